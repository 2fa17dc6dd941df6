package netsim

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Conn is the client's end of one connection into the application.
//
// Nothing on it blocks: Read and Write do what can be done now, and the wake
// function given to Dial is called whenever that may have changed. One
// goroutine at a time may use it; wake comes from the stack's own goroutines,
// must return at once and must not call the Conn, but for Gone.
type Conn struct {
	net  *Net
	flow flow
	ep   tcpip.Endpoint
	wq   waiter.Queue
	note waiter.Entry
	wake func()

	payload bytes.Reader // reused by Write
	sink    readSink     // reused by Read
	written uint64

	iss   atomic.Uint32 // our initial sequence number
	acked atomic.Uint64 // sequence space the application's kernel has acknowledged, SYN not counted

	syns  atomic.Uint32 // sent
	heard heard

	ack heldAck // an acknowledgement waiting for a packet to ride on

	leaving atomic.Bool // aborted: it goes when its SYN is answered
	late    atomic.Bool // its SYN never was
	gone    atomic.Bool // the stack has no more use for it
}

// mostSYNs is how often a SYN is sent: at once, and 1 and 3 s later. When it would be
// sent once more, at 7 s, which is longer than what an answer may take by default, the
// connection is given up. The stack would go on for 127 s (its
// TCPSynRetriesOption changes nothing, as of its version of September 2026), and who
// aborts before the answer leaves an endpoint behind for as long: at 500 sessions/s
// into an application that accepts nothing those took 300 MB.
const mostSYNs = 3

// giveUp ends a connection whose SYN is not answered.
func (c *Conn) giveUp() {
	if c.connecting() {
		c.late.Store(true)
		c.ep.Abort() // tells NotifyEvent
	}
}

// Dial starts a connection from the client's address to the server's, IPv4 or
// IPv6, both of the same family. It does not wait for the handshake:
// Established tells. ErrInUse means that an earlier connection of the same
// 4-tuple has not ended yet; try again after it has.
func (n *Net) Dial(client, server netip.AddrPort, wake func()) (*Conn, error) {
	c := &Conn{net: n, wake: wake}
	c.note.Init(c, waiter.ReadableEvents|waiter.WritableEvents|waiter.EventHUp|waiter.EventErr|waiter.EventRdHUp)
	c.wq.EventRegister(&c.note)
	if err := n.connect(c, client, server); err != nil {
		return nil, err
	}
	return c, nil
}

func (n *Net) connect(c *Conn, client, server netip.AddrPort) error {
	proto := ipv4.ProtocolNumber
	if server.Addr().Is6() && !server.Addr().Is4In6() {
		proto = ipv6.ProtocolNumber
	}
	n.dialing.RLock()
	defer n.dialing.RUnlock()
	if n.done.Load() {
		return fmt.Errorf("dial %s: %w", server, ErrClosed)
	}
	c.flow = flowOf(client, server)
	if !n.flows.add(c.flow, c) {
		return fmt.Errorf("dial %s from %s: %w", server, client, ErrInUse)
	}
	ep, err := n.stack.NewEndpoint(tcp.ProtocolNumber, proto, &c.wq)
	if err != nil {
		n.flows.remove(c)
		return translate("dial", err)
	}
	c.ep = ep
	ep.SetOwner(c)
	// One client port may talk to several servers at once; without these the
	// second bind fails with "port is in use".
	ep.SocketOptions().SetReuseAddress(true)
	ep.SocketOptions().SetReusePort(true)
	err = ep.Bind(fullAddress(client))
	if err == nil {
		err = ep.Connect(fullAddress(server))
		if _, ok := err.(*tcpip.ErrConnectStarted); ok {
			return nil
		}
	}
	ep.Close()
	n.flows.remove(c)
	if err == nil {
		return nil
	}
	return translate(fmt.Sprintf("dial %s from %s", server, client), err)
}

func fullAddress(a netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nicID, Addr: tcpip.AddrFromSlice(a.Addr().Unmap().AsSlice()), Port: a.Port()}
}

// Established reports whether the handshake is complete; the error tells why
// it never will be.
func (c *Conn) Established() (bool, error) {
	if c.connecting() {
		return false, nil
	}
	switch tcp.EndpointState(c.ep.State()) {
	case tcp.StateError, tcp.StateClose, tcp.StateInitial, tcp.StateBound:
		if c.late.Load() {
			return false, fmt.Errorf("connect: %w", ErrTimeout)
		}
		if err := c.ep.LastError(); err != nil {
			return false, translate("connect", err)
		}
		return false, fmt.Errorf("connect: %w", ErrClosed)
	}
	return true, nil
}

func (c *Conn) connecting() bool {
	switch tcp.EndpointState(c.ep.State()) {
	case tcp.StateConnecting, tcp.StateSynSent, tcp.StateSynRecv:
		return true
	}
	return false
}

// Write queues as much of p as the send buffer has room for and returns how
// much that was; fewer than len(p) bytes with a nil error means that wake will
// be called when there is room again. It keeps no reference to p.
func (c *Conn) Write(p []byte) (int, error) {
	c.payload.Reset(p)
	n, err := c.ep.Write(&c.payload, tcpip.WriteOptions{})
	c.payload.Reset(nil)
	c.written += uint64(n)
	if err != nil {
		if _, ok := err.(*tcpip.ErrWouldBlock); ok {
			err = nil
		} else {
			return int(n), translate("write", err)
		}
	}
	return int(n), nil
}

// Read hands what has arrived to fn, in pieces that are valid only during the
// call, and returns their total. 0 and nil: nothing is there now. io.EOF: the
// application has closed its direction. fn must not call the Conn.
func (c *Conn) Read(fn func(p []byte)) (int, error) {
	c.sink.fn = fn
	res, err := c.ep.Read(&c.sink, tcpip.ReadOptions{})
	c.sink.fn = nil
	if err != nil {
		switch err.(type) {
		case *tcpip.ErrWouldBlock:
			return 0, nil
		case *tcpip.ErrClosedForReceive:
			return 0, io.EOF
		}
		return 0, translate("read", err)
	}
	return res.Count, nil
}

type readSink struct{ fn func([]byte) }

func (s *readSink) Write(p []byte) (int, error) {
	s.fn(p)
	return len(p), nil
}

// Acked returns how many of the written bytes the application's kernel has
// acknowledged.
func (c *Conn) Acked() uint64 { return min(c.acked.Load(), c.written) }

// CloseWrite sends FIN after what was written (half-close).
func (c *Conn) CloseWrite() error {
	if err := c.ep.Shutdown(tcpip.ShutdownWrite); err != nil {
		return translate("close", err)
	}
	return nil
}

// Abort sends RST and frees the connection; wake may still be called. A
// SYN that was not answered cannot be taken back: then both are done when the
// answer comes, and until then Dial finds the 4-tuple in use. Another SYN while
// the application's kernel has the first one half open would be refused (RFC
// 9293 §3.10.7.4), as if the application did not listen.
func (c *Conn) Abort() {
	c.leaving.Store(true)
	if !c.connecting() && c.leaving.Swap(false) {
		c.drop()
	}
}

func (c *Conn) drop() {
	c.ack.cancel()
	c.ep.Abort()
	c.leave()
}

// leave takes the 4-tuple out of the table.
func (c *Conn) leave() {
	c.net.flows.remove(c)
	c.gone.Store(true)
}

// Gone reports whether the stack has no more use for the connection, so that its
// memory is free but for what others hold of it. After Close and Abort wake is called
// when it has become so.
func (c *Conn) Gone() bool { return c.gone.Load() }

// Close ends the use of the connection. What was written is still sent, then
// FIN; the stack keeps the 4-tuple until the application has closed as well,
// or 10 s have passed.
func (c *Conn) Close() {
	c.ep.Close()
	c.forget()
}

// Flush sends an acknowledgement that was being held back at once. Call it
// where the application may be waiting for it: after the handshake, when there
// is nothing to send yet.
func (c *Conn) Flush() { c.net.acks.flush(c) }

// NotifyEvent implements the stack's listener; it is not for callers.
func (c *Conn) NotifyEvent(mask waiter.EventMask) {
	if c.leaving.Load() && c.leaving.Swap(false) {
		go func() { // the stack holds locks that drop needs
			c.drop()
			c.wake()
		}()
		return
	}
	if mask&(waiter.EventHUp|waiter.EventErr) != 0 {
		c.forget()
	}
	c.wake()
}

// forget takes the 4-tuple out of the table once the stack has no more use
// for it.
func (c *Conn) forget() {
	if c.ep == nil {
		return
	}
	switch tcp.EndpointState(c.ep.State()) {
	case tcp.StateClose, tcp.StateError:
		// What is held acknowledges the application's FIN.
		c.Flush()
		c.leave()
	}
}

// KUID and KGID make a Conn the "owner" of its packets, which is how the link
// finds it again without a look-up.
func (c *Conn) KUID() uint32 { return 0 }
func (c *Conn) KGID() uint32 { return 0 }
