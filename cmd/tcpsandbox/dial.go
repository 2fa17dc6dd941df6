package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"tcpsandbox/netsim"
	"tcpsandbox/replay"
	"tcpsandbox/sandbox"
)

// dial connects a client to where the application listens.
func (p *pipeline) dial(client, server netip.AddrPort, wake func()) (replay.Conn, error) {
	client, to, err := p.admit(client, server, false)
	if err != nil {
		return nil, err
	}
	conn, err := p.net.Dial(client, to, wake)
	if err != nil {
		return nil, dialError(err)
	}
	return conn, nil
}

// dialUDP is dial for the clients of UDP.
func (p *pipeline) dialUDP(client, server netip.AddrPort, wake func()) (replay.Datagrams, error) {
	client, to, err := p.admit(client, server, true)
	if err != nil {
		return nil, err
	}
	socket, err := p.net.DialUDP(client, to, wake)
	if err != nil {
		return nil, dialError(err)
	}
	return socket, nil
}

// datagramRoom returns what tells how much the application's UDP sockets have
// room for.
func (p *pipeline) datagramRoom() func() (int, bool) {
	ports := slices.DeleteFunc(p.opt.appPorts(), func(port sandbox.Port) bool { return !port.UDP })
	if len(ports) == 0 {
		return nil
	}
	return func() (int, bool) {
		room, err := p.box.DatagramRoom(ports)
		return room, err == nil
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
func (p *pipeline) admit(client, server netip.AddrPort, udp bool) (from, to netip.AddrPort, err error) {
	if c, s := standIns(client, server); c != client || s != server {
		p.stoodIn.Store(true)
		client, server = c, s
	}
	asked := client.Addr()
	if replay.IsMadeUp(asked) {
		asked = server.Addr() // the kernel takes it, and nothing else has it
	}
	if !sandbox.Replayable(asked, server.Addr()) || client.Port() == 0 || server.Port() == 0 {
		return client, to, fmt.Errorf("%s to %s: %w", client, server, replay.ErrUnsupported)
	}
	if err := p.own(server.Addr()); err != nil {
		return client, to, fmt.Errorf("%w: %w", replay.ErrUnsupported, err)
	}
	port := p.opt.appPort(sandbox.Port{Number: server.Port(), UDP: udp})
	if p.box.IsLocal(client.Addr()) {
		if err := p.box.AllowLocalClient(port); err != nil {
			return client, to, fmt.Errorf("%w: %w", replay.ErrUnsupported, err)
		}
	}
	return client, netip.AddrPortFrom(server.Addr(), port.Number), nil
}

// own makes a server's address the application's own. It may be that of a
// client, too, whose connections are open: FTP's server connects back to its
// client. What the application has to say to that one must go on leaving, so
// the way out comes first.
func (p *pipeline) own(server netip.Addr) error {
	if !p.box.IsLocal(server) {
		tcp, udp := p.net.ServerPorts(server)
		for _, port := range append(sandbox.TCP(tcp...), sandbox.UDP(udp...)...) {
			if err := p.box.AllowLocalClient(port); err != nil {
				return err
			}
		}
	}
	return p.box.AddServer(server)
}
