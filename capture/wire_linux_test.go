package capture_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// onThread runs fn on a thread of its own, which is thrown away afterwards
// with the namespace or the privileges that fn gave it.
func onThread(t testing.TB, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock
		fn()
	}()
	<-done
}

// wire is two namespaces joined by a veth pair: a0 10.77.0.1 in the first,
// b0 10.77.0.2 in the second, each also with IPv6.
type wire struct{ near, far netns.NsHandle }

// newWire must be called on a thread of its own; it leaves the thread in the
// first namespace.
func newWire(t testing.TB) *wire {
	t.Helper()
	if os.Geteuid() != 0 {
		need(t, "needs root for network namespaces")
	}
	must := func(err error) {
		t.Helper()
		if errors.Is(err, unix.EPERM) {
			need(t, "needs CAP_SYS_ADMIN and CAP_NET_ADMIN for network namespaces")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w := &wire{}
	var err error
	w.far, err = netns.New()
	must(err)
	t.Cleanup(func() { w.far.Close() })
	w.near, err = netns.New()
	must(err)
	t.Cleanup(func() { w.near.Close() })
	must(netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "a0"}, PeerName: "b0", PeerNamespace: netlink.NsFd(w.far),
	}))
	for i, ns := range []netns.NsHandle{w.near, w.far} {
		h, err := netlink.NewHandleAt(ns)
		must(err)
		defer h.Close()
		name := []string{"a0", "b0"}[i]
		link, err := h.LinkByName(name)
		must(err)
		lo, err := h.LinkByName("lo")
		must(err)
		for _, l := range []struct {
			netlink.Link
			addrs []string
		}{
			{lo, nil},
			{link, []string{fmt.Sprintf("10.77.0.%d/24", i+1), fmt.Sprintf("fd77::%d/64", i+1)}},
		} {
			for _, a := range l.addrs {
				addr, err := netlink.ParseAddr(a)
				must(err)
				addr.Flags = unix.IFA_F_NODAD
				must(h.AddrAdd(l.Link, addr))
			}
			must(h.LinkSetUp(l.Link))
		}
	}
	return w
}

// exchange has a client in one namespace talk to a server in the other: a
// request of so many bytes, an answer, and a close from both sides. It returns
// when the server has seen the client's FIN.
func (w *wire) exchange(t testing.TB, l net.Listener, client netns.NsHandle, request int) {
	t.Helper()
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			served <- err
			return
		}
		defer c.Close()
		if _, err := io.CopyN(io.Discard, c, int64(request)); err != nil {
			served <- err
			return
		}
		io.WriteString(c, "answer\n")
		_, err = io.Copy(io.Discard, c)
		served <- err
	}()
	onThread(t, func() {
		if err := netns.Set(client); err != nil {
			t.Error(err)
			return
		}
		c, err := net.DialTimeout("tcp", l.Addr().String(), patience)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		chunk := make([]byte, min(request, 256<<10))
		for left := request; left > 0; left -= len(chunk) {
			chunk = chunk[:min(left, len(chunk))]
			if _, err := c.Write(chunk); err != nil {
				t.Error(err)
				return
			}
		}
		if _, err := io.ReadFull(c, make([]byte, 7)); err != nil {
			t.Error(err)
		}
	})
	select {
	case err := <-served:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("the server did not finish")
	}
}
