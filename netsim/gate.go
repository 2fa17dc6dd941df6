package netsim

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// The gate is the one way past the black hole: to the destinations that the user
// has named, and to no other. No packet goes through it. A TCP connection of the
// application's ends in a stack of the gate's own, and another one is made by
// Config.Dial, which alone reaches the world; between them bytes are copied.
//
//	application ═TUN═ gate's stack ─ relay ─ Dial's connection ─ destination
//	                       └ looks up the destination again: no way, no Dial
//
// Datagrams need no stack (gate_udp.go), and DNS queries that the gate answers
// itself (dns.go) no connection either. The replayed sessions have a stack to
// themselves, so nothing here holds up theirs.

// Way is a destination that is let through.
type Way struct {
	To   netip.AddrPort
	UDP  bool
	Name string // of the host, as the user wrote it; "" if that was an address
}

// Dialer makes a connection ("tcp" or "udp") to a destination, from where that can
// be reached. It may be called concurrently and returns at the latest when ctx ends.
type Dialer func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error)

// Limits of the gate.
const (
	// maxRelays bounds the connections open at a time. More are refused. A pool of
	// connections to a database has tens.
	maxRelays = 512
	// dialTimeout is less than the 127 s for which Linux repeats a SYN, and
	// enough for two that were lost.
	dialTimeout = 10 * time.Second
	gateQueue   = 256 << 10 // bytes that wait in the stack for who reads slowly, each way

	// relayCost is what a connection holds at most, if nobody reads: a buffer and
	// a queue each way. exchangeCost is the same of a UDP socket.
	relayCost    = 2 * (relayBuffer + gateQueue)
	exchangeCost = exchangeBytes + exchangeBuffer

	// GateMemory is what the gate holds at most, in bytes: 288 MiB for connections
	// and 80 MiB for UDP.
	GateMemory = maxRelays*relayCost + maxExchanges*exchangeCost
)

// capacity returns how many connections and UDP sockets may be let through at a
// time where they may hold so many bytes in all: parts of GateMemory, and a few
// in any case. 0 bytes set no bound.
func capacity(memory int64) (relays int64, exchanges int) {
	if memory <= 0 || memory >= GateMemory {
		return maxRelays, maxExchanges
	}
	const few = 4
	share := float64(memory) / GateMemory
	return max(few, int64(share*maxRelays)), max(few, int(share*maxExchanges))
}

type wayKey struct {
	to  netip.AddrPort
	udp bool
}

// way is a Way and what went through it.
type way struct {
	Way
	ctx     context.Context // ends when it is shut, or the gate
	shut    context.CancelFunc
	out, in traffic
	guess   atomic.Pointer[guess] // nil: not known yet

	loopback bool // it is one of Serve

	conns  sync.Mutex
	served map[*tallied]bool // connections of Serve
}

// traffic counts one direction.
type traffic struct{ packets, bytes atomic.Uint64 }

func (t *traffic) add(bytes int) {
	t.packets.Add(1)
	t.bytes.Add(uint64(bytes))
}

type gate struct {
	net    *Net
	link   *link
	stack  *stack.Stack
	dial   Dialer
	ways   map[wayKey]*way // never changed
	names  map[string][]netip.Addr
	ctx    context.Context
	cancel context.CancelFunc

	datagrams flights
	fragments fragmentTable // belongs to Run

	mu     sync.Mutex
	all    []*way // ways, and those of Serve
	closed bool
	busy   sync.WaitGroup // each Add under mu, none once closed
	relays atomic.Int64

	maxRelays    int64
	maxExchanges int
}

func newGate(n *Net, cfg Config) (*gate, error) {
	g := &gate{net: n, dial: cfg.Dial, ways: make(map[wayKey]*way), names: cfg.Names}
	g.maxRelays, g.maxExchanges = capacity(cfg.GateMemory)
	g.datagrams.m = make(map[flight]*exchange)
	g.ctx, g.cancel = context.WithCancel(context.Background())
	for _, w := range cfg.Ways {
		w.To = netip.AddrPortFrom(w.To.Addr().Unmap(), w.To.Port())
		g.ways[wayKey{w.To, w.UDP}] = g.newWay(w, false)
	}
	var err error
	if g.link, err = newLink(n, cfg); err != nil {
		return nil, err
	}
	g.link.gate = g
	if g.stack, err = newStack(g.link, gateQueue); err != nil {
		return nil, err
	}
	// As many SYNs may wait for Dial at a time as there may be relays.
	forwarder := tcp.NewForwarder(g.stack, gateQueue, int(g.maxRelays), g.accept)
	g.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, forwarder.HandlePacket)
	return g, nil
}

func (g *gate) newWay(w Way, loopback bool) *way {
	made := &way{Way: w, loopback: loopback, served: make(map[*tallied]bool)}
	made.ctx, made.shut = context.WithCancel(g.ctx)
	if w.Name != "" {
		g.net.hole.resolved(w.Name, w.To.Addr())
	}
	g.mu.Lock()
	g.all = append(g.all, made)
	g.mu.Unlock()
	return made
}

// open returns the way to a destination, or nil.
func (g *gate) open(to netip.AddrPort, udp bool) *way {
	if w := g.ways[wayKey{to, udp}]; w != nil && w.ctx.Err() == nil {
		return w
	}
	return nil
}

// Shut closes the ways to an address for good, those of Serve only where its
// port is the server's, too, and what goes through them at this moment. It
// returns those that were open.
func (n *Net) Shut(server netip.AddrPort) (shut []Way) {
	if n.gate == nil {
		return nil
	}
	n.gate.mu.Lock()
	all := slices.Clone(n.gate.all)
	n.gate.mu.Unlock()
	for _, w := range all {
		named := n.gate.ways[wayKey{w.To, w.UDP}] == w
		if w.To.Addr() != server.Addr().Unmap() || !named && w.To.Port() != server.Port() || w.ctx.Err() != nil {
			continue
		}
		w.shut()
		shut = append(shut, w.Way)
	}
	return shut
}

// passage is what the gate does with a packet.
type passage int

const (
	notAllowed passage = iota // it is the black hole's
	taken                     // it is done with
	stacked                   // it is for the gate's stack
)

// admit decides on a packet of n bytes that belongs to no session. It begins
// with first, goes on with rest, and d is what its headers say. Only the
// goroutine that reads the device calls it. The fate is that of a packet that is
// not the black hole's.
func (g *gate) admit(first, rest []byte, n int, d *destination) (passage, fate) {
	to := netip.AddrPortFrom(d.dst, d.port)
	switch tcpip.TransportProtocolNumber(d.proto) {
	case header.TCPProtocolNumber:
		if len(d.transport) < header.TCPMinimumSize || fragmentOf(first).is() {
			return notAllowed, fateSwallowed
		}
		if w := g.open(to, false); w != nil {
			w.out.add(n)
			return stacked, fateAllowed
		}
		if d.port == 53 && g.names != nil {
			g.net.hole.count(n, d, "answer")
			return stacked, fateAnswered
		}
	case header.UDPProtocolNumber:
		return g.datagram(first, rest, n, d)
	}
	return notAllowed, fateSwallowed
}

// wrote counts a packet of n bytes that the stack sends to the application.
func (g *gate) wrote(head []byte, ipLen, n int) {
	from, _ := netip.AddrFromSlice(head[12:16])
	if ipLen == header.IPv6MinimumSize {
		from, _ = netip.AddrFromSlice(head[8:24])
	}
	port := binary.BigEndian.Uint16(head[ipLen:])
	if w := g.ways[wayKey{netip.AddrPortFrom(from, port), false}]; w != nil {
		w.in.add(n)
	}
}

// begin reports whether there still is a gate; end must follow then.
func (g *gate) begin() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.busy.Add(1)
	return true
}

func (g *gate) end() { g.busy.Done() }

// accept answers a SYN: as the destination does, once it has.
func (g *gate) accept(r *tcp.ForwarderRequest) {
	if !g.begin() {
		r.Complete(false)
		return
	}
	defer g.end()
	id := r.ID()
	local, _ := netip.AddrFromSlice(id.LocalAddress.AsSlice())
	to := netip.AddrPortFrom(local, id.LocalPort)
	w := g.open(to, false)
	if g.relays.Add(1) > g.maxRelays || w == nil && (to.Port() != 53 || g.names == nil) {
		g.relays.Add(-1)
		r.Complete(true)
		return
	}
	defer g.relays.Add(-1)
	if w == nil {
		if near := g.establish(r); near != nil {
			g.serveNames(near)
		}
		return
	}
	far, err := g.reach(w)
	if err != nil {
		r.Complete(true)
		return
	}
	near := g.establish(r)
	if near == nil {
		abort(far)
		return
	}
	w.relay(near, far)
}

// reach dials a way's destination.
func (g *gate) reach(w *way) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(w.ctx, dialTimeout)
	defer cancel()
	return g.dial(ctx, "tcp", w.To)
}

// establish completes the application's handshake; nil: it did not want it any more.
func (g *gate) establish(r *tcp.ForwarderRequest) net.Conn {
	var queue waiter.Queue
	ep, err := r.CreateEndpoint(&queue)
	r.Complete(err != nil)
	if err != nil {
		return nil
	}
	ep.SocketOptions().SetSendBufferSize(gateQueue, true)
	return &nearConn{gonet.NewTCPConn(&queue, ep), ep}
}

// nearConn is the application's connection as the gate's stack has it.
type nearConn struct {
	*gonet.TCPConn
	ep tcpip.Endpoint
}

func (c *nearConn) reset() { c.ep.Abort() }

// close resets all that goes through. Nothing may be handed to the stack any more.
func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.cancel()
	done := make(chan struct{})
	go func() { g.busy.Wait(); close(done) }()
	// A handshake that began just now has an endpoint that the first Close did
	// not see, and nobody will complete it.
	for ended := false; !ended; {
		g.stack.Close()
		select {
		case <-done:
			ended = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	g.stack.Close()
	g.stack.Wait()
}

// egress appends what went through.
func (g *gate) egress(list []Egress) []Egress {
	g.mu.Lock()
	all := slices.Clone(g.all)
	g.mu.Unlock()
	for _, w := range all {
		w.count()
		e := Egress{
			Proto: "tcp", Dst: w.To.Addr(), Port: w.To.Port(), Policy: "allow", Name: w.Name,
			Packets: w.out.packets.Load(), Bytes: w.out.bytes.Load(),
			PacketsBack: w.in.packets.Load(), BytesBack: w.in.bytes.Load(),
		}
		if e.Packets == 0 {
			continue
		}
		if w.UDP {
			e.Proto = "udp"
		}
		e.Loopback = w.loopback
		if said := w.guess.Load(); said != nil {
			e.Guess, e.Host = said.proto, said.host
		}
		list = append(list, e)
	}
	return list
}
