package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"tcpsandbox/capture/capturetest"
)

// prison is the host, its world, and who looks.
type prison struct {
	*world
	t           *testing.T
	host, other *observer
	victims     string // addresses of those who listen on the host
}

func newPrison(t *testing.T) *prison {
	lookAtSources(t)
	if os.Geteuid() != 0 {
		lack(t, "network namespaces need root")
	}
	if _, err := exec.LookPath("unshare"); err != nil {
		lack(t, err.Error())
	}
	dir, err := os.MkdirTemp(root, "containment-")
	if err != nil {
		t.Fatal(err)
	}
	p := &prison{t: t}
	if p.world, err = newWorld(t, dir); err != nil {
		t.Fatal(err)
	}
	if p.namespaces, p.wire, err = join(""); err != nil {
		t.Fatal(err)
	}
	if err := p.connect(); err != nil {
		t.Fatal(err)
	}
	p.victims = strings.Join([]string{
		filepath.Join(dir, "victim.sock"), filepath.Join(dir, "hidden", "inner.sock"), "@hostile-containment",
		"10.77.0.1:9999", "[fd77::1]:9999", "127.0.0.1:9999", "[::1]:9999",
	}, ",")
	if err := os.Mkdir(filepath.Join(dir, "hidden"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.mustStart("victim", "prod", "hostile", "-pid", "victim.pid", "-victim", p.victims+",udp:10.77.0.1:9999,udp:127.0.0.1:9999,udp:[::1]:9999")
	p.mustStart("far", "client", "hostile", "-pid", "far.pid", "-victim", "10.77.0.2:9999,[fd77::2]:9999,udp:10.77.0.2:9999,udp:[fd77::2]:9999,udp:10.77.0.2:53")
	for _, name := range []string{"victim.pid", "far.pid"} {
		p.await(name+" exists", func() bool { return readText(filepath.Join(dir, name)) != "" })
	}
	p.host = observe(t, p.namespaces["prod"], marker)
	p.other = observe(t, p.namespaces["client"], marker)
	return p
}

// connect makes the world the host's way to everywhere, and a neighbour.
func (p *prison) connect() error {
	if err := p.namespaces["client"].configure([]string{"fe80::2/64"}); err != nil {
		return err
	}
	h, err := netlink.NewHandleAt(p.namespaces["prod"].fd)
	if err != nil {
		return err
	}
	defer h.Close()
	for _, gateway := range []string{"10.77.0.2", "fd77::2"} {
		a, err := netlink.ParseAddr(gateway + "/32")
		if err == nil {
			err = h.RouteAdd(&netlink.Route{Gw: a.IP})
		}
		if err != nil {
			return fmt.Errorf("default route by %s: %w", gateway, err)
		}
	}
	return nil
}

func (p *prison) await(what string, holds func() bool) {
	p.t.Helper()
	if err := await(what, holds); err != nil {
		p.t.Fatal(err)
	}
}

func (p *prison) getenv(key string) string {
	if key == "WORK" {
		return p.dir
	}
	return os.Getenv(key)
}

func (p *prison) mustStart(name, ns string, args ...string) *process {
	p.t.Helper()
	started, err := p.start(name, ns, p.dir, p.getenv, args)
	if err != nil {
		p.t.Fatal(err)
	}
	return started
}

// held is a tcpsandbox with the hostile application in it. It plays a capture of
// one session, which comes on a pipe, and lasts until that is closed.
type held struct {
	*process
	source *os.File
	name   string
}

// hold starts one as a user, by the words that come before tcpsandbox.
func (p *prison) hold(name string, by []string, user uint32, flags []string, app ...string) *held {
	p.t.Helper()
	in, out, err := os.Pipe()
	if err != nil {
		p.t.Fatal(err)
	}
	defer in.Close()
	p.t.Cleanup(func() { out.Close() })
	args := []string{"tcpsandbox", "run", "--capture", "-", "--report", name + ".json", "--app-log", name + ".app", "--listen-timeout", "60s"}
	args = append(append(append(slices.Concat(by, args), flags...), "--", "hostile"), app...)
	started, err := p.startAs(name, "prod", p.dir, p.getenv, args, func(c *exec.Cmd) {
		c.Stdin = in
		if user != 0 {
			c.SysProcAttr.Credential = &syscall.Credential{Uid: user, Gid: user}
		}
	})
	if err != nil {
		p.t.Fatal(err)
	}
	c := capturetest.New("10.77.0.9:40000", "10.77.0.1:80")
	c.Handshake().Client("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
	c.Server("HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n" +
		"Content-Length: 19\r\n\r\n404 page not found\n").ClientACK().Close()
	if _, err := out.Write(capturetest.Pcap(c.Packets)); err != nil {
		p.t.Fatal(err)
	}
	return &held{started, out, name}
}

// says waits until the application has written a line.
func (h *held) says(t *testing.T, text string) {
	t.Helper()
	log := filepath.Join(h.world.dir, h.name+".app")
	err := await("the application says "+text, func() bool { return strings.Contains(readText(log), text) || !h.running() })
	if err != nil || !strings.Contains(readText(log), text) {
		t.Fatalf("%v\n%s%s", err, readText(log), h.lastWords())
	}
}

// quiet fails the test if either side has seen anything.
func (p *prison) quiet(t *testing.T) {
	t.Helper()
	for name, o := range map[string]*observer{"host": p.host, "world": p.other} {
		if seen := o.all(); len(seen) > 0 {
			t.Errorf("packets in the namespace of the %s: %s", name, strings.Join(seen, ", "))
		}
	}
}
