package sandbox

import (
	"fmt"
	"net"
	"net/netip"
	"os"
)

// Listen returns a TCP listener inside the namespace, which the application can
// connect to and which Listening does not show: it is ours. The caller closes it;
// until then the namespace stays.
func (s *Sandbox) Listen(at netip.AddrPort) (l net.Listener, err error) {
	err = s.socket(Listener{Addr: at}, func(f *os.File) (err error) {
		l, err = net.FileListener(f)
		return err
	})
	return l, err
}

// ListenPacket is Listen for UDP.
func (s *Sandbox) ListenPacket(at netip.AddrPort) (c net.PacketConn, err error) {
	err = s.socket(Listener{Addr: at, UDP: true}, func(f *os.File) (err error) {
		c, err = net.FilePacketConn(f)
		return err
	})
	return c, err
}

// socket has the keeper open one, which use then makes a copy of, and keeps it
// out of what Listening returns.
func (s *Sandbox) socket(at Listener, use func(f *os.File) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := os.ErrClosed
	if !s.closed {
		var files []*os.File
		_, files, err = s.keeper.ask(request{Listen: &at})
		defer closeAll(files)
		if err == nil && len(files) == 1 {
			err = use(files[0])
		}
	}
	if err != nil {
		return fmt.Errorf("listen on %v in the sandbox: %w", at, err)
	}
	s.ours = append(s.ours, at)
	return nil
}
