package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// demoNamespace is a network namespace without a name, and a thread in it. It
// lasts as long as the thread, or a process in it.
type demoNamespace struct {
	calls chan func()
	file  *os.File // of the namespace
}

func newDemoNamespace() (*demoNamespace, error) {
	n := &demoNamespace{calls: make(chan func())}
	ready := make(chan error)
	go func() {
		// Never unlocked: the thread ends with this goroutine, and only then
		// do the processes that it started get their parent-death signal
		// (prctl(2), PR_SET_PDEATHSIG).
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			n.file, err = os.Open("/proc/thread-self/ns/net")
		}
		ready <- err
		if err != nil {
			return
		}
		for f := range n.calls {
			f()
		}
	}()
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	return n, nil
}

// call runs f in the namespace.
func (n *demoNamespace) call(f func() error) error {
	done := make(chan error)
	n.calls <- func() { done <- f() }
	return <-done
}

// close lets the namespace go.
func (n *demoNamespace) close() {
	close(n.calls)
	n.file.Close()
}

// buildDemoNetwork does what demoNetwork says, without the names.
func buildDemoNetwork() (spaces map[string]*demoNamespace, err error) {
	spaces = make(map[string]*demoNamespace)
	defer func() {
		if err != nil {
			for _, n := range spaces {
				n.close()
			}
		}
	}()
	for _, name := range []string{"prod", "clients"} {
		n, err := newDemoNamespace()
		if err != nil {
			return nil, err
		}
		spaces[name] = n
	}
	peer := netlink.NsFd(spaces["clients"].file.Fd())
	err = spaces["prod"].call(func() error {
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth0", PeerNamespace: peer})
	})
	if err != nil {
		return nil, fmt.Errorf("add a veth pair: %w", err)
	}
	for name, addrs := range map[string][]string{"prod": {demoServerAddr}, "clients": demoClientAddrs} {
		if err := spaces[name].call(func() error { return demoInterfaces(addrs) }); err != nil {
			return nil, fmt.Errorf("namespace %s: %w", name, err)
		}
	}
	return spaces, nil
}

// demoInterfaces sets up lo and eth0 of the calling thread's namespace.
func demoInterfaces(addrs []string) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	defer h.Close()
	for _, name := range []string{"lo", "eth0"} {
		link, err := h.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		for _, text := range addrs {
			if name != "eth0" {
				break
			}
			addr, err := netlink.ParseAddr(text + demoMask)
			if err != nil {
				return err
			}
			if err := h.AddrAdd(link, addr); err != nil {
				return fmt.Errorf("add %s to eth0: %w", addr, err)
			}
		}
		if err := h.LinkSetUp(link); err != nil {
			return fmt.Errorf("set %s up: %w", name, err)
		}
	}
	return nil
}
