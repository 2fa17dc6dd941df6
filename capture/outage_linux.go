package capture

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// What happens to an interface under a capture, and what is done (the kernel's
// side is packet_notifier in net/packet/af_packet.c):
//
//	it goes down     the socket fails once, with ENETDOWN; the kernel lets it
//	                 hear again when the interface is up
//	it is deleted    the same, but the socket is bound to nothing any more: it is
//	                 bound to the next interface of that name
//	it is renamed    nothing: the socket is bound to the interface, not to its
//	                 name
//
// Binding a socket anew needs no capability, unlike opening one, so this works
// also when the process has dropped its rights by then. Ring and filter stay.
// The socket is asked about interfaces, not this thread: it knows the network
// namespace in which the capture was opened.

// lookAgain is how often it is looked whether an interface is back. What it
// carries until then is missed after it was deleted; after it was down, nothing.
const lookAgain = 50 * time.Millisecond

// outage is the time in which an interface gives nothing.
type outage struct {
	since time.Time
	down  bool // which was said
	gone  bool // deleted, which was said
}

var errOtherLink = errors.New("it is there again, but of another kind: start anew")

// failed takes note of what the socket failed with, and returns an error where
// there is nothing to wait for.
func (l *live) failed(code unix.Errno) error {
	if code != unix.ENETDOWN {
		return &liveError{iface: l.name, err: code}
	}
	// What happened is said after a first wait: an interface that is deleted is
	// down for a moment before.
	l.mu.Lock()
	l.out = &outage{since: time.Now()}
	l.mu.Unlock()
	return nil
}

// gone begins to wait for an interface of the same name.
func (l *live) gone() {
	l.out.gone = true
	l.notice(l.current + " is gone: waiting for an interface of that name")
}

// waitOutage waits a little, and looks whether the interface is back.
func (l *live) waitOutage(ctx context.Context) error {
	select {
	case <-time.After(lookAgain):
	case <-ctx.Done():
		return ctx.Err()
	case <-l.stop:
		return nil // Run notices
	}
	name, up := l.state()
	if name == "" {
		if !l.out.gone {
			l.gone()
		}
		return l.rebind()
	}
	switch {
	case up:
		l.back(name)
	case !l.out.down:
		l.out.down = true
		l.notice(name + " is down: waiting for it")
	}
	return nil
}

// back ends an outage.
func (l *live) back(name string) {
	l.mu.Lock()
	d := time.Since(l.out.since)
	l.blind += d
	l.out = nil
	l.mu.Unlock()
	text := fmt.Sprintf("%s is up again after %v", name, d.Round(100*time.Millisecond))
	if d < time.Second {
		text = name + " was down for a moment"
	}
	if name != l.current {
		text += fmt.Sprintf("; it was called %s before", l.current)
		l.current = name
	}
	l.notice(text)
}

// state returns what the interface is called now, "" if it is gone, and whether
// it is up.
func (l *live) state() (name string, up bool) {
	l.control(func(fd int) error {
		var err error
		if name, err = interfaceName(fd, l.index); err != nil {
			name = ""
			return nil
		}
		var req *unix.Ifreq
		if req, err = unix.NewIfreq(name); err == nil {
			err = unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req)
		}
		up = err == nil && req.Uint16()&unix.IFF_UP != 0
		return nil
	})
	return name, up
}

// interfaceName asks for the name of an interface.
func interfaceName(fd, index int) (string, error) {
	req, err := unix.NewIfreq("")
	if err != nil {
		return "", err
	}
	req.SetUint32(uint32(index))
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFNAME, req); err != nil {
		return "", fmt.Errorf("ask for the interface's name: %w", err)
	}
	return req.Name(), nil
}

// rebind binds the socket to the interface that has taken the gone one's place,
// if there is one: one of its latest name, or of the one that the user gave.
func (l *live) rebind() error {
	return l.control(func(fd int) error {
		for _, name := range []string{l.current, l.name} {
			req, err := unix.NewIfreq(name)
			if err != nil {
				return err
			}
			if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req); err != nil {
				continue
			}
			index := int(req.Uint32())
			hardware, err := hardwareType(fd, name)
			if err != nil {
				continue // gone again
			}
			if l.cooked != isCooked(hardware) {
				return &liveError{iface: name, err: errOtherLink}
			}
			err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: index})
			switch {
			case errors.Is(err, unix.ENODEV): // the same
				continue
			case err != nil:
				return &liveError{iface: name, err: fmt.Errorf("bind packet socket again: %w", err)}
			}
			// Where it is down the socket has failed once more by now, which is
			// no news.
			unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
			l.index, l.current = index, name
			return nil
		}
		return nil
	})
}

// control calls f with the socket, if it is open.
func (l *live) control(f func(fd int) error) (err error) {
	if e := l.conn.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return nil // it is closed, which Run notices
	}
	return err
}
