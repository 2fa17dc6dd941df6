package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tcpsandbox/report"
)

// The hostile application on a host of its own, in a namespace that is joined to
// a world: whether anything of it gets out is said by packet sockets in both, and
// by whoever listens there.
//
//	host (10.77.0.1) ═══ world (10.77.0.2, and the default route)
//	 ├ tcpsandbox ─ hostile
//	 ├ victim     listens on all of the host's addresses
//	 └ observer

// rootlessBy is how an ordinary user starts tcpsandbox: by itself, where that is
// empty.
var rootlessBy []string

const nobody = 65534

// marker is in all that the hostile application sends and that has room for it.
const marker = "hostile-marker-5a17"

// sendTo is a packet that the hostile application tries to send.
type sendTo struct {
	target string // as hostile takes it
	on     string // as the observer says it, where the program is not held
	// ledger is the line of egress, "proto address port"; empty: the sandbox's
	// kernel does not even send it.
	ledger string
}

var sends = []sendTo{
	{"tcp 10.77.0.2:9999", "10.77.0.2 9999", "tcp 10.77.0.2 9999"},
	{"tcp [fd77::2]:9999", "fd77::2 9999", "tcp fd77::2 9999"},
	{"tcp 10.77.0.1:9999", "10.77.0.1 9999", "tcp 10.77.0.1 9999"},
	{"tcp [fd77::1]:9999", "fd77::1 9999", "tcp fd77::1 9999"},
	{"tcp 127.0.0.1:9999", "127.0.0.1 9999", ""},
	{"tcp [::1]:9999", "::1 9999", ""},
	{"tcp 169.254.169.254:80", "169.254.169.254 80", "tcp 169.254.169.254 80"},
	{"tcp [fd00:ec2::254]:80", "fd00:ec2::254 80", "tcp fd00:ec2::254 80"},
	{"tcp 198.51.100.9:443", "198.51.100.9 443", "tcp 198.51.100.9 443"},
	{"tcp [2001:db8::9]:443", "2001:db8::9 443", "tcp 2001:db8::9 443"},
	{"udp 10.77.0.2:9999", "10.77.0.2 9999", "udp 10.77.0.2 9999"},
	{"udp [fd77::2]:9999", "fd77::2 9999", "udp fd77::2 9999"},
	{"udp 10.77.0.1:9999", "10.77.0.1 9999", "udp 10.77.0.1 9999"},
	{"udp 127.0.0.1:9999", "127.0.0.1 9999", ""},
	{"udp [::1]:9999", "::1 9999", ""},
	{"udp 169.254.169.254:80", "169.254.169.254 80", "udp 169.254.169.254 80"},
	{"udp 224.0.0.251:5353", "224.0.0.251 5353", "udp 224.0.0.251 5353"},
	{"udp 239.255.255.250:1900", "239.255.255.250 1900", "udp 239.255.255.250 1900"},
	{"udp 255.255.255.255:67", "255.255.255.255 67", "udp 255.255.255.255 67"},
	{"udp 10.77.0.255:137", "10.77.0.255 137", "udp 10.77.0.255 137"},
	{"udp [ff02::fb%]:5353", "ff02::fb 5353", "udp ff02::fb 5353"},
	{"udp [fe80::2%]:547", "fe80::2 547", "udp fe80::2 547"},
	{"dns 10.77.0.2:53", "10.77.0.2 53", "udp 10.77.0.2 53"},
	{"udplite 10.77.0.2:9999", "10.77.0.2 9999", "ip-136 10.77.0.2 0"},
	{"icmp 10.77.0.2:0", "10.77.0.2", ""},
	{"icmp [fd77::2]:0", "fd77::2", ""},
}

func targets() string {
	var all []string
	for _, s := range sends {
		all = append(all, s.target)
	}
	return strings.Join(all, ",")
}

// TestContainment: nothing that the hostile application does is seen outside, and
// all that it sent is in the report.
func TestContainment(t *testing.T) {
	p := newPrison(t)

	// Who is not held is seen, and answered: the observers see what there is.
	free := p.mustStart("free", "prod", "hostile", "-marker", marker, "-reach", p.victims, "-send", targets())
	if err := free.expect("0"); err != nil {
		t.Fatal(err)
	}
	said := readText(filepath.Join(p.dir, "free.out"))
	for _, s := range sends {
		p.await("the observer has seen "+s.on, func() bool { return p.host.saw(s.on) })
		if strings.HasPrefix(s.on, "10.77.0.2") || strings.HasPrefix(s.on, "fd77::2") {
			p.await("the world's observer has seen "+s.on, func() bool { return p.other.saw(s.on) })
		}
	}
	if reached := strings.Count(said, "REACHED"); reached < 18 {
		t.Errorf("who is not held reached %d:\n%s", reached, said)
	}
	p.host.all()
	p.other.all()
	p.quiet(t)

	for _, tt := range []struct {
		name  string
		by    []string
		user  uint32
		flags []string
	}{
		{"root", nil, 0, nil},
		{"user", nil, 0, []string{"--user", "nobody"}},
		{"kept", nil, 0, []string{"--keep-caps", "setuid,setgid,chown,dac_override,setpcap,kill"}},
		{"refuse", nil, 0, []string{"--egress", "refuse"}},
		{"rootless", rootlessBy, nobody, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// Nobody names victim.sock.
			flags := append([]string{"--hide", filepath.Join(p.dir, "hidden")}, tt.flags...)
			h := p.hold(tt.name, tt.by, tt.user, flags, "-listen", ":80", "-marker", marker, "-send", targets(),
				"-reach", p.victims, "-pid", "victim.pid", "-hidden", filepath.Join(p.dir, "hidden"))
			h.says(t, "all tried")
			h.source.Close()
			if err := h.expect("0"); err != nil {
				t.Error(err)
			}
			p.quiet(t)
			app := readText(filepath.Join(p.dir, tt.name+".app"))
			for line := range strings.Lines(app) {
				if strings.HasPrefix(line, "REACHED") || strings.HasPrefix(line, "UNCLEAR") {
					t.Error(strings.TrimSpace(line))
				}
			}
			if n := strings.Count(app, "refused "); n < 55 {
				t.Errorf("%d attempts were refused:\n%s", n, app)
			}
			p.inLedger(t, tt.name)
			if tt.name != "refuse" {
				return
			}
			for _, target := range []string{"tcp 10.77.0.2:9999", "tcp [fd77::2]:9999", "udp 10.77.0.2:9999", "udp [fd77::2]:9999"} {
				if want := "refused send " + target + ": connection refused\n"; !strings.Contains(app, want) {
					t.Errorf("not among what the application says: %s", want)
				}
			}
		})
	}
}

// TestContainmentOfPaths: the sockets by which a host is steered, and its log, are
// there for a program that is not held, and hidden from one that is. A /run of
// their own has them all.
func TestContainmentOfPaths(t *testing.T) {
	p := newPrison(t)
	sockets := []string{
		"/run/docker.sock", "/run/containerd/containerd.sock", "/run/dbus/system_bus_socket", "/run/systemd/private",
		"/run/systemd/journal/socket", "/run/systemd/journal/dev-log", "/run/systemd/notify", "/run/user/1000/bus",
	}
	script := fmt.Sprintf(`set -e
mount -t tmpfs tmpfs /run
for s in %s; do mkdir -p "${s%%/*}"; touch $s; mount --bind %s $s; done
exec "$@"`, strings.Join(sockets, " "), filepath.Join(p.dir, "victim.sock"))
	within := []string{"unshare", "-m", "sh", "-c", script, "sh"}
	reach := strings.Join(sockets, ",")

	free := p.mustStart("free", "prod", append(within, "hostile", "-reach", reach)...)
	if err := free.expect("0"); err != nil {
		t.Fatal(err)
	}
	if said := readText(filepath.Join(p.dir, "free.out")); strings.Count(said, "REACHED") != len(sockets) {
		t.Errorf("who is not held says:\n%s", said)
	}
	h := p.hold("held", within, 0, nil, "-listen", ":80", "-reach", reach, "-pid", "victim.pid", "-hidden", "/run/dbus")
	h.says(t, "all tried")
	h.source.Close()
	if err := h.expect("0"); err != nil {
		t.Error(err)
	}
	if said := readText(filepath.Join(p.dir, "held.app")); strings.Contains(said, "REACHED") || strings.Count(said, "refused connect to") != len(sockets) {
		t.Errorf("who is held says:\n%s", said)
	}
	p.quiet(t)
}

// TestContainmentOfSockets: of a socket that a process of the host has bound, in a
// folder that nobody has named and in another network namespace, an application
// knows nothing, unless it is to be shown.
func TestContainmentOfSockets(t *testing.T) {
	p := newPrison(t)
	ours, theirs := filepath.Join(p.dir, "victim.sock"), filepath.Join(p.dir, "in a container.sock")
	p.mustStart("container", "client", "hostile", "-pid", "container.pid", "-victim", theirs)
	p.await("container.pid exists", func() bool { return readText(filepath.Join(p.dir, "container.pid")) != "" })
	for _, tt := range []struct {
		name  string
		by    []string
		user  uint32
		flags []string
		open  []string
	}{
		{"root", nil, 0, nil, nil},
		{"rootless", rootlessBy, nobody, nil, nil},
		{"one shown", nil, 0, []string{"--show", ours}, []string{ours}},
		{"all of a folder shown", nil, 0, []string{"--show", p.dir}, []string{ours, theirs}},
		{"nothing hidden", nil, 0, []string{"--hide", "none"}, []string{ours, theirs}},
		{"only one hidden", nil, 0, []string{"--hide", "none", "--hide", ours}, []string{theirs}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := p.hold(strings.ReplaceAll(tt.name, " ", "-"), tt.by, tt.user, tt.flags,
				"-listen", ":80", "-reach", ours+","+theirs, "-pid", "victim.pid", "-hidden", "/run/dbus")
			h.says(t, "all tried")
			h.source.Close()
			if err := h.expect("0"); err != nil {
				t.Error(err)
			}
			said := readText(filepath.Join(p.dir, h.name+".app"))
			for _, path := range []string{ours, theirs} {
				want := "refused connect to " + path + ": connection refused\n"
				if slices.Contains(tt.open, path) {
					want = "REACHED connect to " + path + "\n"
				}
				if !strings.Contains(said, want) {
					t.Errorf("not among what it says: %s%s", want, said)
				}
			}
		})
	}
}

// TestContainmentLetsThrough: of all that the application sends, the observers see
// what --allow names, and nothing else.
func TestContainmentLetsThrough(t *testing.T) {
	p := newPrison(t)
	h := p.hold("allow", nil, 0, []string{"--allow", "10.77.0.2:9999"}, "-listen", ":80", "-marker", marker,
		"-send", targets(), "-pid", "victim.pid", "-hidden", "/run/dbus")
	h.says(t, "all tried")
	h.source.Close()
	if err := h.expect("0"); err != nil {
		t.Error(err)
	}
	if app := readText(filepath.Join(p.dir, "allow.app")); !strings.Contains(app, "REACHED send tcp 10.77.0.2:9999\n") || strings.Count(app, "REACHED send") != 1 {
		t.Errorf("who is let through to one says:\n%s", app)
	}
	for name, o := range map[string]*observer{"host": p.host, "world": p.other} {
		seen := o.all()
		for _, words := range seen {
			there := strings.HasPrefix(words, "6 from 10.77.0.1 to 10.77.0.2 9999 ")
			if back := strings.HasPrefix(words, "6 from 10.77.0.2 to 10.77.0.1 "); !there && !back {
				t.Errorf("a packet in the namespace of the %s: %s", name, words)
			}
		}
		if len(seen) < 2 {
			t.Errorf("in the namespace of the %s only this was seen: %q", name, seen)
		}
	}
}

// inLedger checks what a report says of the application's packets.
func (p *prison) inLedger(t *testing.T, name string) {
	t.Helper()
	f, err := os.Open(filepath.Join(p.dir, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r report.Result
	if err := json.NewDecoder(f).Decode(&r); err != nil {
		t.Fatal(err)
	}
	have := make(map[string]bool)
	for _, e := range r.Egress {
		have[fmt.Sprintf("%s %s %d", e.Proto, e.Dst, e.Port)] = true
		if e.Dst == "10.77.0.2" && e.Port == 53 && e.Name != marker+".example" {
			t.Errorf("the name that was asked for: %q", e.Name)
		}
	}
	for _, s := range sends {
		if s.ledger != "" && !have[s.ledger] {
			t.Errorf("%s is not in the egress ledger: %v", s.ledger, have)
		}
		delete(have, s.ledger)
	}
	if len(have) > 0 {
		t.Errorf("nobody sent this: %v", have)
	}
	c := r.Containment
	if c == nil || c.Delivered < 3 || c.Swallowed+c.Refused < 20 || c.Allowed+c.Answered+c.Dropped > 0 ||
		!slices.Equal(c.Interfaces, []string{"lo", "tun0"}) || len(r.Defects) > 0 || r.Answers.Identical+r.Answers.Equivalent != 1 {
		t.Errorf("containment %+v, answers %+v, defects %q", c, r.Answers, r.Defects)
	}
	if text := readText(filepath.Join(p.dir, name+".out")); !strings.Contains(text, "interfaces lo, tun0: nothing left\n") {
		t.Errorf("the text does not say that nothing left:\n%s", text)
	}
}

// TestContainmentOfTheOrphan: when tcpsandbox is killed, the application that
// floods ends with it, and its namespace, and no packet finds a way out meanwhile.
func TestContainmentOfTheOrphan(t *testing.T) {
	p := newPrison(t)
	for _, tt := range []struct {
		name string
		by   []string
		user uint32
	}{{"root", nil, 0}, {"rootless", rootlessBy, nobody}} {
		t.Run(tt.name, func(t *testing.T) {
			h := p.hold(tt.name, tt.by, tt.user, nil, "-listen", ":80", "-marker", marker,
				"-flood", "udp 10.77.0.2:9999,udp [fd77::2]:9999,tcp 10.77.0.2:9999,tcp 198.51.100.9:443")
			h.says(t, "flooding 400")
			namespaces := p.namespacesOf(tt.name)
			if len(namespaces) == 0 {
				t.Fatal("the application has no network namespace of its own")
			}
			if err := h.signal("KILL"); err != nil {
				t.Fatal(err)
			}
			killed := time.Now()
			if err := h.expect("KILL"); err != nil { // and waits for all that stems from it
				t.Error(err)
			}
			p.await("the namespace is gone", func() bool { return !anyIn(namespaces) })
			t.Logf("gone %v after the signal", time.Since(killed))
			// What could still come would come now: this is the time that it is
			// given, not one that is waited for in vain.
			time.Sleep(max(0, 2*time.Second-time.Since(killed)))
			p.quiet(t)
		})
	}
}

// namespacesOf returns the network namespaces of what stems from a process, but for
// the host's.
func (p *prison) namespacesOf(name string) (all []string) {
	var host syscall.Stat_t
	if err := syscall.Fstat(int(p.namespaces["prod"].fd), &host); err != nil {
		p.t.Fatal(err)
	}
	for _, pid := range p.descendants(name) {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err == nil && link != fmt.Sprintf("net:[%d]", host.Ino) && !slices.Contains(all, link) {
			all = append(all, link)
		}
	}
	return all
}

// anyIn reports whether a thread is in one of these network namespaces, or a
// process has one open.
func anyIn(namespaces []string) bool {
	for _, pattern := range []string{"/proc/[0-9]*/task/*/ns/net", "/proc/[0-9]*/fd/*"} {
		links, _ := filepath.Glob(pattern)
		for _, l := range links {
			if target, err := os.Readlink(l); err == nil && slices.Contains(namespaces, target) {
				return true
			}
		}
	}
	return false
}
