package sandbox

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Listen returns a TCP listener inside the namespace, which the application can
// connect to and which Listening does not show: it is ours. The caller closes it;
// until then the namespace stays.
func (s *Sandbox) Listen(at netip.AddrPort) (net.Listener, error) {
	var l net.Listener
	err := s.inside(func() (err error) {
		l, err = new(net.ListenConfig).Listen(context.Background(), "tcp", at.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen on %v in the sandbox: %w", at, err)
	}
	s.keepOut(Listener{Addr: at})
	return l, nil
}

// ListenPacket is Listen for UDP.
func (s *Sandbox) ListenPacket(at netip.AddrPort) (net.PacketConn, error) {
	var c net.PacketConn
	err := s.inside(func() (err error) {
		c, err = new(net.ListenConfig).ListenPacket(context.Background(), "udp", at.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen on %v/udp in the sandbox: %w", at, err)
	}
	s.keepOut(Listener{Addr: at, UDP: true})
	return c, nil
}

// keepOut keeps a socket of ours out of what Listening returns.
func (s *Sandbox) keepOut(l Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ours = append(s.ours, l)
}

// inside runs f on a thread of the namespace, and waits for it. A socket that f
// opens is the namespace's for good.
func (s *Sandbox) inside(f func() error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return os.ErrClosed
	}
	done := make(chan error)
	onThread(func() {
		if err := unix.Setns(int(s.ns), unix.CLONE_NEWNET); err != nil {
			done <- os.NewSyscallError("setns", err)
			return
		}
		done <- f()
	})
	return <-done
}
