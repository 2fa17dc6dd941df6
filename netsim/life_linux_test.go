package netsim

import (
	"context"
	"net/netip"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"tcpsandbox/netsim/netsimtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCloseWhileInUse(t *testing.T) {
	fds := openFiles(t)
	for range 5 {
		wire := netsimtest.NewWire(t, true)
		n, err := New(Config{TUN: wire.TUN, MTU: 1500, Offload: true})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- n.Run(context.Background()) }()
		u := dial(t, n, client4, server4)
		wire.Peer(client4, server4).Accept()
		u.established()
		var users sync.WaitGroup
		users.Go(func() {
			for i := range uint16(200) {
				if c, err := n.Dial(netip.AddrPortFrom(client4.Addr(), 1000+i), server4, func() {}); err == nil {
					c.Established()
				}
			}
		})
		users.Go(func() {
			for range 200 {
				n.Stats()
				n.Egress()
			}
		})
		users.Go(n.Close)
		users.Go(n.Close)
		users.Wait()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		wire.Close()
	}
	if got := openFiles(t); got > fds {
		t.Errorf("%d files open, were %d", got, fds)
	}
}

func TestRunEnds(t *testing.T) {
	t.Run("with its context", func(t *testing.T) {
		wire := netsimtest.NewWire(t, true)
		n, err := New(Config{TUN: wire.TUN, MTU: 1500, Offload: true})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- n.Run(ctx) }()
		wire.Barrier() // it runs
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Run("with the file", func(t *testing.T) {
		wire := netsimtest.NewWire(t, true)
		n, err := New(Config{TUN: wire.TUN, MTU: 1500, Offload: true})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		ended := make(chan error, 1)
		go func() { ended <- n.Run(context.Background()) }()
		wire.Barrier()
		wire.TUN.Close()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Run("before it began", func(t *testing.T) {
		wire := netsimtest.NewWire(t, true)
		n, err := New(Config{TUN: wire.TUN, MTU: 1500, Offload: true})
		if err != nil {
			t.Fatal(err)
		}
		n.Close()
		if err := n.Run(context.Background()); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func openFiles(t testing.TB) int {
	t.Helper()

	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
