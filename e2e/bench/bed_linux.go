package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"time"

	"tcpsandbox/netsim"
	"tcpsandbox/replay"
	"tcpsandbox/sandbox"
)

// Production's addresses, which the server in the sandbox has.
var (
	server4 = netip.MustParseAddr("10.9.0.1")
	server6 = netip.MustParseAddr("2001:db8:9::1")
)

// bed is a sandbox with the server in it and a running netsim: what
// `tcpsandbox run` sets up around a replay.
type bed struct {
	box   *sandbox.Sandbox
	app   *sandbox.App
	net   *netsim.Net
	stop  context.CancelFunc
	ended chan error
}

func newBed() (_ *bed, err error) {
	b := &bed{}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.box, err = sandbox.New(sandbox.Config{}); err != nil {
		return nil, err
	}
	if !b.box.Offload() {
		return nil, fmt.Errorf("this kernel's TUN device has no offload: the floors do not apply")
	}
	for _, ip := range []netip.Addr{server4, server6} {
		if err := b.box.AddServer(ip); err != nil {
			return nil, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b.app, err = b.box.Start(context.Background(), sandbox.AppConfig{Command: []string{self, roleServe}})
	if err != nil {
		return nil, err
	}
	if _, err := b.app.WaitListen(context.Background(), 10*time.Second, sandbox.TCP(portHTTP, portSink, portSource)); err != nil {
		return nil, err
	}
	b.net, err = netsim.New(netsim.Config{TUN: b.box.TUN(), MTU: b.box.MTU(), Offload: true})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	b.stop, b.ended = stop, make(chan error, 1)
	go func() { b.ended <- b.net.Run(ctx) }()
	return b, nil
}

// dial is what the replay engine is given; the wiring in tcpsandbox run does
// the same.
func (b *bed) dial(client, server netip.AddrPort, wake func()) (replay.Conn, error) {
	if err := b.box.AddServer(server.Addr()); err != nil {
		return nil, err
	}
	c, err := b.net.Dial(client, server, wake)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", replay.ErrRefused, err)
	}
	return c, nil
}

func (b *bed) close() {
	if b.net != nil {
		b.net.Close()
		b.stop()
		<-b.ended
	}
	if b.box != nil {
		b.box.Close()
	}
}
