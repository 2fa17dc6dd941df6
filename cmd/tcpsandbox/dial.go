package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"tcpsandbox/netsim"
	"tcpsandbox/replay"
	"tcpsandbox/sandbox"
)

// dial connects a client to where the application listens.
func (s *stand) dial(client, server netip.AddrPort, wake func()) (replay.Conn, error) {
	client, to, err := s.admit(client, server, false)
	if err != nil {
		return nil, err
	}
	conn, err := s.net.Dial(client, to, wake)
	if err != nil {
		return nil, dialError(err)
	}
	return injected{conn}, nil
}

// injected is netsim's connection, with its facts in replay's words.
type injected struct{ *netsim.Conn }

// Facts implements replay.Instrumented.
func (c injected) Facts() replay.LinkFacts { return linkFacts(c.Conn.Facts()) }

func linkFacts(f netsim.Facts) replay.LinkFacts {
	return replay.LinkFacts{
		RTT: f.RTT, RTTVar: f.RTTVar,
		Retransmits: f.Retransmits, Timeouts: f.Timeouts, SegmentsIn: f.SegmentsIn, SegmentsOut: f.SegmentsOut,
		Window: f.Window, ZeroWindows: f.ZeroWindows, Reset: f.Reset,
	}
}

// dialUDP is dial for the clients of UDP.
func (s *stand) dialUDP(client, server netip.AddrPort, wake func()) (replay.Datagrams, error) {
	client, to, err := s.admit(client, server, true)
	if err != nil {
		return nil, err
	}
	socket, err := s.net.DialUDP(client, to, wake)
	if err != nil {
		return nil, dialError(err)
	}
	return socket, nil
}

// datagramRoom returns what tells how much the application's UDP sockets have
// room for.
func (s *stand) datagramRoom() func() (int, bool) {
	ports := s.udpPorts()
	if len(ports) == 0 {
		return nil
	}
	return func() (int, bool) {
		room, _, err := s.box.DatagramQueues(ports)
		return room, err == nil
	}
}

func (s *stand) udpPorts() []sandbox.Port {
	return slices.DeleteFunc(s.opt.appPorts(), func(port sandbox.Port) bool { return !port.UDP })
}

// unreadStalls is how long an application may leave all of the datagrams that wait
// for it where they are until it is not waited for any more; unreadPoll is between
// two looks, and what it gets for those that it read last.
const unreadStalls, unreadPoll = time.Second, 10 * time.Millisecond

// awaitRead waits until the application has read the datagrams that it got, or does
// not: some of them nobody answers, so their sessions are over once they are in its
// socket. now is done where it is not to be waited for.
func (s *stand) awaitRead(now context.Context, most time.Duration) {
	ports := s.udpPorts()
	if len(ports) == 0 {
		return
	}
	begun := time.Now()
	changed, before := begun, 0
	for rest := true; rest && now.Err() == nil && time.Since(begun) < most; {
		_, waiting, err := s.box.DatagramQueues(ports)
		if err != nil {
			return
		}
		if waiting != before {
			changed, before = time.Now(), waiting
		}
		rest = waiting > 0 && time.Since(changed) < unreadStalls
		select {
		case <-s.exited():
			return
		case <-now.Done():
		case <-time.After(unreadPoll):
		}
	}
}

// dialError is netsim's error in replay's words.
func dialError(err error) error {
	if errors.Is(err, netsim.ErrInUse) {
		return fmt.Errorf("%w: %w", replay.ErrInUse, err)
	}
	return fmt.Errorf("%w: %w", replay.ErrRefused, err)
}

// admit prepares the namespace for a client and a server, and returns from where
// to where they are played: the application listens in the server's place.
func (s *stand) admit(client, server netip.AddrPort, udp bool) (from, to netip.AddrPort, err error) {
	if s.isDown() {
		return client, to, fmt.Errorf("%s: %w", s.name, replay.ErrDown)
	}
	if c, at := standIns(client, server); c != client || at != server {
		s.stoodIn.Store(true)
		client, server = c, at
	}
	asked := client.Addr()
	if replay.IsMadeUp(asked) {
		asked = server.Addr() // the kernel takes it, and nothing else has it
	}
	if !sandbox.Replayable(asked, server.Addr()) || client.Port() == 0 || server.Port() == 0 {
		return client, to, fmt.Errorf("%s to %s: %w", client, server, replay.ErrUnsupported)
	}
	s.shutServer(server)
	if err := s.own(server.Addr()); err != nil {
		return client, to, fmt.Errorf("%w: %w", replay.ErrUnsupported, err)
	}
	port := s.opt.appPort(sandbox.Port{Number: server.Port(), UDP: udp})
	if s.box.IsLocal(client.Addr()) {
		if err := s.box.AllowLocalClient(port); err != nil {
			return client, to, fmt.Errorf("%w: %w", replay.ErrUnsupported, err)
		}
	}
	return client, netip.AddrPortFrom(server.Addr(), port.Number), nil
}

// own makes a server's address the application's own. It may be that of a
// client, too, whose connections are open: FTP's server connects back to its
// client. What the application has to say to that one must go on leaving, so
// the way out comes first.
func (s *stand) own(server netip.Addr) error {
	if !s.box.IsLocal(server) {
		tcp, udp := s.net.ServerPorts(server)
		for _, port := range append(sandbox.TCP(tcp...), sandbox.UDP(udp...)...) {
			if err := s.box.AllowLocalClient(port); err != nil {
				return err
			}
		}
	}
	return s.box.AddServer(server)
}
