package e2e

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namespace is a network namespace without a name: it lasts as long as this
// handle, or a process in it.
type namespace struct {
	fd netns.NsHandle
}

// onThread runs f on a thread of its own, in the namespace, and throws the
// thread away. Processes that f starts are in the namespace, too.
func (n *namespace) onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlock
		err := netns.Set(n.fd)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

func newNamespace() (*namespace, error) {
	var n namespace
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			n.fd, err = netns.Get()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		return nil, fmt.Errorf("new network namespace: %w", err)
	}
	return &n, nil
}

func (n *namespace) close() { n.fd.Close() }

// links returns the names of the interfaces.
func (n *namespace) links() (names []string, err error) {
	h, err := netlink.NewHandleAt(n.fd)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	defer h.Close()
	links, err := h.LinkList()
	for _, l := range links {
		names = append(names, l.Attrs().Name)
	}
	return names, err
}

// The addresses of eth0 in the two namespaces. The client has several, so that
// one address cannot stand for all.
var addresses = map[string][]string{
	"prod":   {"10.77.0.1/24", "fd77::1/64"},
	"client": {"10.77.0.2/24", "10.77.0.3/24", "10.77.0.4/24", "fd77::2/64", "fd77::3/64"},
}

// join builds both namespaces and what joins them: a veth pair, or for "lossy"
// and "narrow" a wire, which is nil otherwise.
func join(kind string) (all map[string]*namespace, w *wire, err error) {
	all = make(map[string]*namespace)
	defer func() {
		if err != nil {
			if w != nil {
				w.close()
			}
			for _, n := range all {
				n.close()
			}
		}
	}()
	for name := range addresses {
		if all[name], err = newNamespace(); err != nil {
			delete(all, name)
			return nil, nil, err
		}
	}
	switch kind {
	case "lossy", "narrow":
		w, err = newWire(all["prod"], all["client"], kind == "narrow")
	default:
		err = addVeth(all["prod"], all["client"])
	}
	if err != nil {
		return nil, w, err
	}
	for name, n := range all {
		if err := n.configure(addresses[name]); err != nil {
			return nil, w, fmt.Errorf("namespace %s: %w", name, err)
		}
	}
	return all, w, nil
}

func addVeth(a, b *namespace) error {
	h, err := netlink.NewHandleAt(a.fd)
	if err != nil {
		return err
	}
	defer h.Close()
	err = h.LinkAdd(&netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: "eth0", TxQLen: 1000},
		PeerName:      "eth0",
		PeerNamespace: netlink.NsFd(b.fd),
	})
	if err != nil {
		return fmt.Errorf("add veth pair: %w", err)
	}
	return nil
}

func (n *namespace) configure(addrs []string) error {
	h, err := netlink.NewHandleAt(n.fd)
	if err != nil {
		return err
	}
	defer h.Close()
	for _, name := range []string{"lo", "eth0"} {
		l, err := h.LinkByName(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if name == "eth0" {
			for _, text := range addrs {
				a, err := netlink.ParseAddr(text)
				if err != nil {
					return err
				}
				if a.IP.To4() == nil {
					a.Flags = unix.IFA_F_NODAD // usable at once
				}
				if err := h.AddrAdd(l, a); err != nil {
					return fmt.Errorf("%s: add %s: %w", name, text, err)
				}
			}
		}
		if err := h.LinkSetUp(l); err != nil {
			return fmt.Errorf("%s: set up: %w", name, err)
		}
	}
	return nil
}

// listens reports whether a TCP socket listens on the port, or a UDP socket
// that is not connected has it.
func (n *namespace) listens(port int, udp bool) (found bool, err error) {
	tables, state := []string{"tcp", "tcp6"}, "0A" // LISTEN
	if udp {
		tables, state = []string{"udp", "udp6"}, "07"
	}
	err = n.onThread(func() error {
		for _, table := range tables {
			data, err := os.ReadFile("/proc/thread-self/net/" + table)
			if err != nil {
				return err
			}
			for line := range strings.Lines(string(data)) {
				f := strings.Fields(line)
				// Local address and port in hexadecimal digits, then the state.
				if len(f) > 3 && f[3] == state && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
					found = true
				}
			}
		}
		return nil
	})
	return found, err
}

// listensUnix reports whether a file is a socket that somebody accepts on.
func listensUnix(path string) bool {
	c, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
