package netsim

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/waiter"
)

// DialContext is Dial for tests that prefer an ordinary blocking net.Conn; it
// returns when the handshake is complete.
func (n *Net) DialContext(ctx context.Context, client, server netip.AddrPort) (net.Conn, error) {
	c := &Conn{net: n, wake: func() {}}
	c.note.Init(c, waiter.EventHUp|waiter.EventErr)
	c.wq.EventRegister(&c.note)
	ready, notify := waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventHUp | waiter.EventErr)
	c.wq.EventRegister(&ready)
	defer c.wq.EventUnregister(&ready)
	if err := n.connect(c, client, server); err != nil {
		return nil, err
	}
	select {
	case <-notify:
	case <-ctx.Done():
		c.Abort()
		return nil, fmt.Errorf("dial %s: %w", server, ctx.Err())
	}
	if ok, err := c.Established(); !ok {
		c.Close()
		if err == nil {
			err = fmt.Errorf("dial %s: %w", server, ErrTimeout)
		}
		return nil, err
	}
	return gonet.NewTCPConn(&c.wq, c.ep), nil
}
