package netsim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// DNS queries that the gate answers itself, with Config.Names: to any address by
// TCP and UDP, and on sockets inside the namespace, for resolvers that are
// loopback addresses (as systemd-resolved's 127.0.0.53) and that no packet to
// them passes the device for.

// answer answers a query that came by the device.
func (g *gate) answer(ends flight, query []byte, n int, d *destination) (passage, fate) {
	answer, f := g.answerTo(query, n, d)
	if answer == nil {
		return notAllowed, f
	}
	g.send(ends, answer, nil)
	return taken, f
}

// answerTo returns the answer to a datagram, nil if it is no query, and counts it
// as egress of n bytes.
func (g *gate) answerTo(query []byte, n int, d *destination) ([]byte, fate) {
	answer, known := answerQuery(query, g.names, dnsUDPMax)
	if answer == nil {
		return nil, fateSwallowed
	}
	policy, f := "answer", fateAnswered
	if !known {
		policy, f = "refuse", fateRefused
	}
	g.net.hole.count(n, d, policy)
	return answer, f
}

// ServeNames answers the queries that come on two sockets of one address, until
// Close, which closes both. It returns at once.
func (n *Net) ServeNames(c net.PacketConn, l net.Listener) error {
	g := n.gate
	if g == nil || g.names == nil || !g.begin() {
		c.Close()
		l.Close()
		return fmt.Errorf("answer names on %v: %w", l.Addr(), ErrClosed)
	}
	stop := context.AfterFunc(g.ctx, func() { c.Close() })
	go func() {
		defer g.end()
		defer stop()
		defer c.Close()
		g.answerAt(c)
	}()
	at, _ := netip.ParseAddrPort(l.Addr().String())
	return g.accepting(l, func(near net.Conn) {
		g.net.hole.count(0, &destination{proto: uint8(header.TCPProtocolNumber), dst: at.Addr(), port: at.Port(), inside: true}, "answer")
		g.serveNames(near)
	})
}

// answerAt answers datagrams until the socket is closed.
func (g *gate) answerAt(c net.PacketConn) {
	at, _ := netip.ParseAddrPort(c.LocalAddr().String())
	buf := make([]byte, maxPacket)
	for {
		n, from, err := c.ReadFrom(buf[header.UDPMinimumSize:])
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // an ICMP message about an earlier answer
		}
		d := &destination{proto: uint8(header.UDPProtocolNumber), dst: at.Addr(), port: at.Port(), transport: buf[:header.UDPMinimumSize+n], inside: true}
		if answer, _ := g.answerTo(d.transport[header.UDPMinimumSize:], n, d); answer != nil {
			c.WriteTo(answer, from)
		}
	}
}

// nameTimeout is how long a connection may stay open without a query.
const nameTimeout = 10 * time.Second

// serveNames answers the queries of a DNS connection (RFC 1035 §4.2.2).
func (g *gate) serveNames(c net.Conn) {
	stop := context.AfterFunc(g.ctx, func() { abort(c) })
	defer stop()
	defer c.Close()
	var length [2]byte
	query := make([]byte, 64<<10)
	for {
		c.SetDeadline(time.Now().Add(nameTimeout))
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		q := query[:binary.BigEndian.Uint16(length[:])]
		if _, err := io.ReadFull(c, q); err != nil {
			return
		}
		answer, _ := answerQuery(q, g.names, maxPacket-1)
		if answer == nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}
