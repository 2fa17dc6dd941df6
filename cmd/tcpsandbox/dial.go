package main

import (
	"errors"
	"fmt"
	"net/netip"

	"tcpsandbox/netsim"
	"tcpsandbox/replay"
	"tcpsandbox/sandbox"
)

// dial connects a client to where the application listens.
func (p *pipeline) dial(client, server netip.AddrPort, wake func()) (replay.Conn, error) {
	if c, s := standIns(client, server); c != client || s != server {
		p.stoodIn.Store(true)
		client, server = c, s
	}
	asked := client.Addr()
	if replay.IsMadeUp(asked) {
		asked = server.Addr() // the kernel takes it, and nothing else has it
	}
	if !sandbox.Replayable(asked, server.Addr()) || client.Port() == 0 || server.Port() == 0 {
		return nil, fmt.Errorf("%s to %s: %w", client, server, replay.ErrUnsupported)
	}
	if err := p.own(server.Addr()); err != nil {
		return nil, fmt.Errorf("%w: %w", replay.ErrUnsupported, err)
	}
	to := netip.AddrPortFrom(server.Addr(), p.opt.appPort(server.Port()))
	if p.box.IsLocal(client.Addr()) {
		if err := p.box.AllowLocalClient(to.Port()); err != nil {
			return nil, fmt.Errorf("%w: %w", replay.ErrUnsupported, err)
		}
	}
	conn, err := p.net.Dial(client, to, wake)
	switch {
	case errors.Is(err, netsim.ErrInUse):
		return nil, fmt.Errorf("%w: %w", replay.ErrInUse, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", replay.ErrRefused, err)
	}
	return conn, nil
}

// own makes a server's address the application's own. It may be that of a
// client, too, whose connections are open: FTP's server connects back to its
// client. What the application has to say to that one must go on leaving, so
// the way out comes first.
func (p *pipeline) own(server netip.Addr) error {
	if !p.box.IsLocal(server) {
		for _, port := range p.net.ServerPorts(server) {
			if err := p.box.AllowLocalClient(port); err != nil {
				return err
			}
		}
	}
	return p.box.AddServer(server)
}
