package netsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// world is a namespace with a TUN device, a Net on it, and the kernel's own
// TCP as the application.
type world struct {
	*Net
	in func(func()) // runs a function on a thread inside the namespace
}

func newWorld(t testing.TB, offload, refuse bool) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		skip(t, "needs root to make a network namespace")
	}
	jobs := make(chan func())
	t.Cleanup(func() { close(jobs) })
	var tun *os.File
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			ready <- err
			return
		}
		var err error
		tun, err = openTUN(offload)
		ready <- err
		for f := range jobs {
			f()
		}
	}()
	if err := <-ready; err != nil {
		skip(t, "no TUN device: "+err.Error())
	}
	w := &world{in: func(f func()) {
		done := make(chan struct{})
		jobs <- func() { defer close(done); f() }
		<-done
	}}
	var err error
	w.in(func() { err = configure() })
	if err != nil {
		t.Fatal(err)
	}
	w.Net, err = New(Config{TUN: tun, MTU: 1500, Offload: offload, Refuse: refuse})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		w.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		tun.Close()
	})
	return w
}

func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("TCPSANDBOX_NEED") == "all" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func openTUN(offload bool) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	var req struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}
	copy(req.name[:], "tun0")
	req.flags = unix.IFF_TUN | unix.IFF_NO_PI
	if offload {
		req.flags |= unix.IFF_VNET_HDR
	}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(&req))); e != 0 {
		return nil, e
	}
	if offload {
		if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM|unix.TUN_F_TSO4|unix.TUN_F_TSO6); err != nil {
			return nil, err
		}
	}
	return os.NewFile(uintptr(fd), "tun"), nil
}

func configure() error {
	for _, name := range []string{"lo", "tun0"} {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(l); err != nil {
			return err
		}
		if name == "lo" {
			continue
		}
		for _, a := range []string{"10.9.0.1/32", "fd00:9::1/128"} {
			addr, _ := netlink.ParseAddr(a)
			addr.Flags = unix.IFA_F_NODAD
			if err := netlink.AddrAdd(l, addr); err != nil {
				return fmt.Errorf("%s: %w", a, err)
			}
		}
		for _, d := range []string{"0.0.0.0/0", "::/0"} {
			_, dst, _ := net.ParseCIDR(d)
			if err := netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: dst}); err != nil {
				return fmt.Errorf("%s: %w", d, err)
			}
		}
		netlink.LinkSetTxQLen(l, 10000)
	}
	return os.WriteFile("/proc/sys/net/core/somaxconn", []byte("65535"), 0)
}

// serve accepts on the namespace's kernel until the test ends.
func (w *world) serve(t testing.TB, port int, handle func(net.Conn)) {
	t.Helper()
	var l net.Listener
	var err error
	w.in(func() { l, err = net.Listen("tcp", fmt.Sprintf(":%d", port)) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go handle(c)
		}
	}()
}

var (
	server4 = netip.MustParseAddrPort("10.9.0.1:80")
	server6 = netip.MustParseAddrPort("[fd00:9::1]:80")
)

func eachMode(t *testing.T, f func(t *testing.T, offload bool)) {
	t.Run("offload", func(t *testing.T) { f(t, true) })
	t.Run("plain", func(t *testing.T) { f(t, false) })
}

func TestClientAddressIsKept(t *testing.T) {
	eachMode(t, func(t *testing.T, offload bool) {
		w := newWorld(t, offload, false)
		w.serve(t, 80, func(c net.Conn) {
			fmt.Fprintf(c, "%s %s\n", c.RemoteAddr(), c.LocalAddr())
			c.Close()
		})
		for _, tt := range []struct{ client, server string }{
			{"192.0.2.7:40000", "10.9.0.1:80"},
			{"8.8.8.8:53", "10.9.0.1:80"},
			{"223.255.255.254:65535", "10.9.0.1:80"},
			{"[2001:db8::7]:40000", "[fd00:9::1]:80"},
		} {
			c, err := w.DialContext(t.Context(), netip.MustParseAddrPort(tt.client), netip.MustParseAddrPort(tt.server))
			if err != nil {
				t.Fatalf("%s: %v", tt.client, err)
			}
			got, _ := io.ReadAll(c)
			c.Close()
			if want := tt.client + " " + tt.server + "\n"; string(got) != want {
				t.Errorf("application saw %q, want %q", got, want)
			}
		}
	})
}

func TestBulkBothWays(t *testing.T) {
	eachMode(t, func(t *testing.T, offload bool) {
		w := newWorld(t, offload, false)
		w.serve(t, 80, func(c net.Conn) {
			io.Copy(c, c)
			c.Close()
		})
		for i, server := range []netip.AddrPort{server4, server6} {
			client := netip.MustParseAddrPort("192.0.2.7:40000")
			if i == 1 {
				client = netip.MustParseAddrPort("[2001:db8::7]:40000")
			}
			c, err := w.DialContext(t.Context(), client, server)
			if err != nil {
				t.Fatal(err)
			}
			data := make([]byte, 8<<20)
			for i := range data {
				data[i] = byte(i * 7 >> 3)
			}
			go func() {
				c.Write(data)
				c.(interface{ CloseWrite() error }).CloseWrite()
			}()
			start := time.Now()
			got, err := io.ReadAll(c)
			t.Logf("%d bytes echoed in %v", len(got), time.Since(start))
			if err != nil || string(got) != string(data) {
				t.Errorf("%s: %d bytes came back of %d, equal %v: %v", server, len(got), len(data), string(got) == string(data), err)
			}
			c.Close()
		}
	})
}

func TestRefused(t *testing.T) {
	w := newWorld(t, true, false)
	_, err := w.DialContext(t.Context(), netip.MustParseAddrPort("192.0.2.7:40000"), server4)
	if !errors.Is(err, ErrRefused) {
		t.Errorf("got %v, want refused", err)
	}
}
