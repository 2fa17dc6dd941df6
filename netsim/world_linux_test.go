package netsim

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
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
	return newWorldWith(t, Config{Offload: offload, Refuse: refuse})
}

// newWorldWith takes all of the configuration but the device.
func newWorldWith(t testing.TB, cfg Config) *world {
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
		tun, err = openTUN(cfg.Offload)
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
	cfg.TUN, cfg.MTU = tun, 1500
	w.Net, err = New(cfg)
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
		for _, a := range []string{"10.9.0.1", "fd00:9::1"} {
			if err := ownAddress(netip.MustParseAddr(a)); err != nil {
				return err
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

// ownAddress gives tun0 an address, on a thread of the namespace.
func ownAddress(ip netip.Addr) error {
	l, err := netlink.LinkByName("tun0")
	if err != nil {
		return err
	}
	host := &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(ip.BitLen(), ip.BitLen())}
	if err := netlink.AddrAdd(l, &netlink.Addr{IPNet: host, Flags: unix.IFA_F_NODAD}); err != nil {
		return fmt.Errorf("%v: %w", ip, err)
	}
	// Packets to a new IPv6 address are taken only once a work queue
	// of the kernel has come round to it; with this route at once.
	err = netlink.RouteReplace(&netlink.Route{
		LinkIndex: l.Attrs().Index, Dst: host, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST,
	})
	if err != nil {
		return fmt.Errorf("own %v: %w", ip, err)
	}
	return nil
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

func eachMode(t *testing.T, f func(t *testing.T, offload bool)) {
	t.Run("offload", func(t *testing.T) { f(t, true) })
	t.Run("plain", func(t *testing.T) { f(t, false) })
}
