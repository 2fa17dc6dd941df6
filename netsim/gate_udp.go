package netsim

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Datagrams that are let through: each of the application's sockets has an
// exchange with each destination, which is a connected socket of Config.Dial's,
// and ends when nothing has come either way for a while.

// Limits of exchanges.
const (
	// maxExchanges bounds those open at a time. Over it the one goes that has
	// been silent the longest: a resolver takes a new port for each query.
	maxExchanges  = 256
	exchangeIdle  = 2 * time.Minute // RFC 4787 §4.3
	exchangeQueue = 64              // datagrams that wait for Dial
	exchangeBytes = 256 << 10       // in them

	exchangeBuffer = 64 << 10 // no datagram is longer
)

// flight is the two ends of an exchange.
type flight struct{ app, to netip.AddrPort }

type flights struct {
	mu sync.Mutex
	m  map[flight]*exchange
}

// exchange is what one socket of the application's has with a destination.
type exchange struct {
	flight
	way    *way
	ctx    context.Context
	cancel context.CancelFunc
	queue  chan []byte
	held   atomic.Int64 // bytes in queue
	last   atomic.Int64 // when something came, in nanoseconds since 1970
	// refusal is the ICMP message for when nobody listens there.
	refusal []byte
}

// datagram is admit for UDP.
func (g *gate) datagram(first, rest []byte, n int, d *destination) (passage, fate) {
	f := fragmentOf(first)
	key := fragmentKey{d.src, d.dst, f.id}
	body := append(first[min(d.ipLen, len(first)):len(first):len(first)], rest...)
	ports := body
	if f.offset > 0 {
		ports = g.fragments.begun(key)
	}
	if len(ports) < header.UDPMinimumSize {
		return notAllowed, fateSwallowed
	}
	at := header.UDP(ports)
	ends := flight{netip.AddrPortFrom(d.src, at.SourcePort()), netip.AddrPortFrom(d.dst, at.DestinationPort())}
	w := g.open(ends.to, true)
	if w == nil && (ends.to.Port() != 53 || g.names == nil || f.is()) {
		return notAllowed, fateSwallowed
	}
	if w != nil {
		w.out.add(n)
	}
	if f.is() {
		if body, _ = g.fragments.add(key, f, body); body == nil {
			return taken, fateAllowed
		}
	}
	length := int(header.UDP(body).Length())
	if length < header.UDPMinimumSize || length > len(body) {
		if w == nil {
			return notAllowed, fateSwallowed
		}
		return taken, fateAllowed // as any receiver would drop it
	}
	payload := body[header.UDPMinimumSize:length]
	if w == nil {
		return g.answer(ends, payload, n, d)
	}
	if said, known := dnsGuess(ends.to, payload), w.guess.Load(); known == nil && said != nil {
		w.guess.CompareAndSwap(nil, said)
	}
	x := g.exchange(ends, w, func() []byte {
		if d.transport == nil {
			return nil
		}
		return d.unreachable(first)
	})
	if x == nil {
		return taken, fateAllowed
	}
	x.last.Store(time.Now().UnixNano())
	if x.held.Load()+int64(len(payload)) <= exchangeBytes {
		select {
		case x.queue <- slices.Clone(payload):
			x.held.Add(int64(len(payload)))
			return taken, fateAllowed
		default:
		}
	}
	g.net.stats.overrun.Add(1)
	return taken, fateAllowed
}

func dnsGuess(to netip.AddrPort, payload []byte) *guess {
	if to.Port() != 53 {
		return nil
	}
	return &guess{proto: "dns", host: queryName(payload)}
}

// send gives the application a datagram from its destination, which came by a way
// or by none.
func (g *gate) send(ends flight, payload []byte, w *way) {
	s := Socket{flow: flowOf(ends.to, ends.app), client: address(ends.to.Addr()), server: address(ends.app.Addr())}
	buf := packets.Get().(*[]byte)
	defer packets.Put(buf)
	*buf = s.packet((*buf)[:0], payload)
	if w != nil {
		w.in.add(len(*buf) - virtioHeader)
	}
	g.net.link.writeRaw(*buf)
}

// exchange returns the one between these ends, a new one if there is none; nil
// when the gate is closed.
func (g *gate) exchange(ends flight, w *way, refusal func() []byte) *exchange {
	g.datagrams.mu.Lock()
	defer g.datagrams.mu.Unlock()
	if x := g.datagrams.m[ends]; x != nil && x.ctx.Err() == nil {
		return x
	}
	if len(g.datagrams.m) >= g.maxExchanges {
		var oldest *exchange
		for _, x := range g.datagrams.m {
			if oldest == nil || x.last.Load() < oldest.last.Load() {
				oldest = x
			}
		}
		oldest.cancel()
		delete(g.datagrams.m, oldest.flight)
	}
	if !g.begin() {
		return nil
	}
	x := &exchange{flight: ends, way: w, queue: make(chan []byte, exchangeQueue), refusal: refusal()}
	x.ctx, x.cancel = context.WithCancel(w.ctx)
	x.last.Store(time.Now().UnixNano())
	g.datagrams.m[ends] = x
	go func() {
		defer g.end()
		g.run(x)
		x.cancel()
		g.datagrams.mu.Lock()
		defer g.datagrams.mu.Unlock()
		if g.datagrams.m[ends] == x {
			delete(g.datagrams.m, ends)
		}
	}()
	return x
}

// run carries an exchange until it has been silent for long, or ends.
func (g *gate) run(x *exchange) {
	ctx, cancel := context.WithTimeout(x.ctx, dialTimeout)
	far, err := g.dial(ctx, "udp", x.to)
	cancel()
	if err != nil {
		return
	}
	stop := context.AfterFunc(x.ctx, func() { far.Close() })
	defer stop()
	defer far.Close()
	var sending sync.WaitGroup
	defer sending.Wait()
	defer x.cancel()
	sending.Go(func() {
		for {
			select {
			case p := <-x.queue:
				x.held.Add(-int64(len(p)))
				far.Write(p) // a refusal is read, too; else it is lost, as on any network
			case <-x.ctx.Done():
				return
			}
		}
	})
	g.receive(x, far)
}

// receive passes on what the destination sends.
func (g *gate) receive(x *exchange, far net.Conn) {
	room := 65535 - header.UDPMinimumSize
	if x.to.Addr().Is4() {
		room -= header.IPv4MinimumSize
	}
	buf := make([]byte, exchangeBuffer)
	for {
		far.SetReadDeadline(time.Unix(0, x.last.Load()).Add(exchangeIdle))
		n, err := far.Read(buf)
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			if x.refusal != nil {
				x.way.in.add(len(x.refusal) - virtioHeader)
				g.net.link.writeRaw(x.refusal)
			}
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			if time.Since(time.Unix(0, x.last.Load())) < exchangeIdle {
				continue
			}
			return
		case err != nil:
			return
		}
		x.last.Store(time.Now().UnixNano())
		if n > room {
			continue
		}
		if x.to.Port() == 53 {
			answeredNames(buf[:n], g.net.hole.resolved)
		}
		g.send(x.flight, buf[:n], x.way)
	}
}
