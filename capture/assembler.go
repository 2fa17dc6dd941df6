package capture

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"tcpsandbox/session"
)

// AssemblerConfig says which packets become sessions, and bounds memory. The
// zero value is usable.
type AssemblerConfig struct {
	// Ports are the servers' TCP ports; empty means every TCP connection, or
	// none where UDP is not empty. They also tell the server in a connection
	// whose SYN was not captured; where they do not, it is the side to which
	// another connection's SYN went, else the one with the lower port.
	Ports []uint16
	// UDP are the servers' UDP ports; empty means no UDP.
	UDP []uint16
	// IdleTimeout ends a session that has had no packet for so long, in packet
	// time. Default 10 minutes.
	IdleTimeout time.Duration
	// UDPIdleTimeout is the same for UDP flows, which have no other end.
	// Default 2 minutes, after which Linux' connection tracking lets go of
	// them too (nf_conntrack_udp_timeout_stream).
	UDPIdleTimeout time.Duration
	// LongestSilence is how much of a silence, in which no packet at all came,
	// counts towards IdleTimeout; 0: all of it. When a clock leaps, a machine
	// sleeps or the capture sees nothing for a while, no session is to blame, and
	// to end one means to lose the rest of the message that it is in.
	LongestSilence time.Duration
	// NoTunnels takes VXLAN, GRE and the like for what they are, other traffic:
	// for a capture that holds overlay traffic both inside and outside of its
	// tunnels, such as one of all interfaces.
	NoTunnels bool
	// MaxBuffered bounds the bytes that wait for earlier ones, of all
	// sessions. Default 64 MiB.
	MaxBuffered int
	// MaxSessionBuffered bounds them for one direction of one session.
	// Default 8 MiB: more than Linux' largest default receive window, 6 MiB.
	MaxSessionBuffered int
	// MaxFlows bounds the connections that are followed at once; what comes
	// beyond is ignored and counted. Default 1 Mi: 800 MB when all are idle.
	MaxFlows int
	// Facts notes what the packets tell of each TCP connection, for Session.Wire.
	Facts bool
	// Tap is shown the packets that belong to sessions; nil: nobody is.
	Tap Tap
	// NextID numbers sessions. Default: 1, 2, 3, …. Give assemblers that feed
	// one run the same function, safe for concurrent use.
	NextID func() uint64
}

// AssemblerStats counts what became of the packets.
type AssemblerStats struct {
	Packets     uint64   // given to Packets
	Segments    uint64   // that belong to a session
	Ignored     uint64   // well-formed, but not of a session: other protocols and ports, late packets
	Malformed   uint64   // headers that contradict themselves or are cut off
	Unsupported uint64   // packets of a link type not known here
	LastLink    LinkType // the latest of those
	Fragments   uint64   // IP fragments of TCP, UDP or tunnels
	Stale       uint64   // fragmented datagrams given up, since not all of their fragments came
	Sessions    uint64   // seen
	Live        int      // sessions that have not ended
	Shed        uint64   // payload bytes dropped over a limit; those that mattered are gaps too
	Orphaned    uint64   // payload bytes behind a hole that nobody had acknowledged when the session ended
	Refused     uint64   // connections not followed because of MaxFlows
	// DataSegments counts segments with data as they are on the wire, of both sides;
	// Retransmitted those of them that were sent before.
	DataSegments, Retransmitted uint64
	Buffered                    int // bytes waiting for earlier ones, now, what keeping them costs included
}

// Plus adds up two counts; what is a state, not a count, is the later one's.
func (s AssemblerStats) Plus(later AssemblerStats) AssemblerStats {
	later.Packets += s.Packets
	later.Segments += s.Segments
	later.Ignored += s.Ignored
	later.Malformed += s.Malformed
	later.Unsupported += s.Unsupported
	later.Fragments += s.Fragments
	later.Stale += s.Stale
	later.Sessions += s.Sessions
	later.Shed += s.Shed
	later.Orphaned += s.Orphaned
	later.Refused += s.Refused
	later.DataSegments += s.DataSegments
	later.Retransmitted += s.Retransmitted
	return later
}

// Assembler turns packets into sessions. Its methods, but for Stats, must be
// called from one goroutine at a time. A session that it returned is followed
// by its reader while the assembler appends to it.
type Assembler struct {
	cfg   AssemblerConfig
	ports *portSet // nil: all
	udp   *portSet // nil: none

	flows     map[flowKey]*flow // the first of each chain: see lookup.go
	filed     int               // flows in all chains
	servers   map[endpoint]struct{}
	learned   endpoint // the latest of those
	recent    *flow    // of the packet before: packets come in trains
	wheel     wheel
	holes     holeQueue
	deafHoles holeQueue
	defrag    defragmenter
	arena     arena
	seg       segment
	ip        ipInfo

	clock     int64     // latest packet time; never goes back
	silent    int64     // how much of it does not count: see LongestSilence
	tickClock int64     // clock at the latest Tick
	tickWall  time.Time // its argument
	held      int       // bytes in all queues
	stats     AssemblerStats

	touched []*flow
	noted   []*flow         // those of this batch whose facts changed
	wires   []*session.Wire // spare ones for them
	shown   []Tapped        // of this batch, with a tap
	out     []*session.Session
	spare   [][]session.Event // buffers for flow.pending

	mu     sync.Mutex
	public AssemblerStats
}

// NewAssembler returns an assembler without sessions.
func NewAssembler(cfg AssemblerConfig) *Assembler {
	if cfg.IdleTimeout <= 0 {
		cfg.IdleTimeout = 10 * time.Minute
	}
	if cfg.UDPIdleTimeout <= 0 {
		cfg.UDPIdleTimeout = 2 * time.Minute
	}
	if cfg.MaxBuffered <= 0 {
		cfg.MaxBuffered = 64 << 20
	}
	if cfg.MaxSessionBuffered <= 0 {
		cfg.MaxSessionBuffered = 8 << 20
	}
	if cfg.MaxFlows <= 0 {
		cfg.MaxFlows = 1 << 20
	}
	if cfg.NextID == nil {
		var id uint64
		cfg.NextID = func() uint64 { id++; return id }
	}
	a := &Assembler{cfg: cfg, flows: make(map[flowKey]*flow)}
	a.ports, a.udp = portSets(cfg.Ports, cfg.UDP)
	a.ip.plain, a.defrag.keepUDP = cfg.NoTunnels, a.udp != nil
	return a
}

// Packets takes a batch and returns the sessions that got events or ended, in
// the order of the first such event, each once. The slice is valid until the
// next call; of the batch, nothing is kept. A session comes for the first time
// with its first event. Times are taken as they are: Steady takes broken ones
// and a clock's steps out.
func (a *Assembler) Packets(batch []Packet) []*session.Session {
	for i := range batch {
		t := batch[i].Time
		if t <= 0 { // it has none
			t = a.clock
		}
		a.packet(&batch[i], t)
	}
	return a.commit()
}

// Tick lets time pass while no packets come: time-outs are served, and the
// sessions that they touched returned. Call it every second or so for a live
// source; a file's own packets are its clock. Only differences between calls
// count, from the first one after a packet on: the packets may come from a host
// whose clock is wrong, or from an old capture on a pipe.
func (a *Assembler) Tick(now time.Time) []*session.Session {
	passed := now.Sub(a.tickWall) // by the monotonic clock, where now has it
	if a.clock == a.tickClock && len(a.flows) > 0 {
		a.advance(a.clock + int64(passed))
	}
	a.tickClock, a.tickWall = a.clock, now
	return a.commit()
}

// Flush ends all sessions because the capture ended and returns those. Bytes
// behind a hole are given out as far as the other side acknowledged them.
func (a *Assembler) Flush() []*session.Session {
	a.defrag.giveUp(func(*datagram) bool { return true })
	a.givenUp()
	live := make([]*flow, 0, a.stats.Live)
	for _, f := range a.flows {
		for ; f != nil; f = f.twin {
			if !f.ended {
				live = append(live, f)
			}
		}
	}
	slices.SortFunc(live, func(x, y *flow) int { return cmp.Compare(x.s.ID, y.s.ID) })
	for _, f := range live {
		a.conclude(f, session.CaptureEnd)
	}
	a.flows, a.filed = make(map[flowKey]*flow), 0
	a.wheel = wheel{now: a.wheel.now}
	a.recent, a.holes, a.deafHoles = nil, holeQueue{}, holeQueue{}
	a.defrag = defragmenter{expired: a.defrag.expired, keepUDP: a.udp != nil}
	return a.commit()
}

// Stats returns the counts as of the latest call of Packets, Tick or Flush. It
// may be called at any time by any goroutine.
func (a *Assembler) Stats() AssemblerStats {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.public
}

func (a *Assembler) packet(p *Packet, now int64) {
	a.stats.Packets++
	var fragments []Packet // of the datagram that p completes, with a tap
	payload, v := decode(p.Data, p.OrigLen, p.Link, &a.seg, &a.ip)
	for v == isFragment { // again when what is inside a tunnel is one, too
		a.stats.Fragments++
		whole, g := a.defrag.add(&a.ip, payload, now)
		if g != nil {
			g.vlan = p.VLAN
			if a.cfg.Tap != nil {
				fragments = g.hold(p, fragments)
			}
		}
		if len(a.defrag.given) > 0 {
			ip := a.ip
			a.givenUp()
			a.ip = ip
		}
		if whole == nil {
			return
		}
		payload, v = decodeUpper(whole, &a.seg, &a.ip)
	}
	if v <= isUDP && p.VLAN != 0 {
		a.reroute(p.VLAN)
	}
	var f *flow
	switch v {
	case isTCP:
		f = a.segment(now)
	case isUDP:
		f = a.datagram(now)
	case isOther:
		a.stats.Ignored++
	case isUnsupported:
		a.stats.Unsupported++
		a.stats.LastLink = p.Link
	default:
		a.stats.Malformed++
	}
	if a.cfg.Tap != nil && f != nil {
		a.show(f, p, fragments)
	}
}

// givenUp tells the flows of datagrams of which fragments are lacking.
func (a *Assembler) givenUp() {
	for _, g := range a.defrag.given {
		if g.beginning(&a.seg, &a.ip) != isUDP {
			continue
		}
		if g.vlan != 0 {
			a.reroute(g.vlan)
		}
		if f := a.datagram(g.started); a.cfg.Tap != nil && f != nil {
			a.show(f, nil, g.held)
		}
	}
	clear(a.defrag.given)
	a.defrag.given = a.defrag.given[:0]
}

// reroute adds the tag that the kernel took off to the path.
func (a *Assembler) reroute(vlan uint16) {
	inner := a.ip.path
	a.ip.path.id, a.ip.path.depth = 0, 0
	a.ip.path.enter(wrapVLAN, uint64(vlan))
	for _, w := range inner.wraps[:min(inner.depth, len(inner.wraps))] {
		a.ip.path.enter(w.kind, w.id)
	}
	a.seg.path = a.ip.path.id
}

// segment finds the flow of a.seg, gives it the segment and returns it; nil:
// the segment belongs to no session.
func (a *Assembler) segment(now int64) *flow {
	a.advance(now)
	s := &a.seg
	f := a.find(s)
	switch {
	case s.flags&flagSYN != 0:
		f = a.handshake(f, s, now)
	case f == nil:
		f = a.join(s, now)
	}
	if f == nil {
		a.stats.Ignored++
		return nil
	}
	a.recent = f
	if f.ended && !f.muted {
		a.stats.Ignored++
		return nil
	}
	f.last = a.clock - a.silent
	if f.muted {
		a.stats.Ignored++
		return nil
	}
	a.stats.Segments++
	f.packets++
	if f.facts != nil {
		a.note(f, s, now)
		return f
	}
	a.deliver(f, f.side(s), s, now)
	return f
}

// emit adds an event to a flow's batch.
func (a *Assembler) emit(f *flow, e session.Event, m mark) {
	h := &f.half[e.Side]
	h.lastAt = max(h.lastAt, m.at)
	e.At = time.Duration(h.lastAt - f.start)
	if e.Side == session.Client {
		e.Seen, e.SeenFIN = m.seen, m.seenFIN
		h.seen = m.seen
	}
	a.touch(f)
	f.pending = append(f.pending, e)
}

func (a *Assembler) touch(f *flow) {
	if f.pending != nil {
		return
	}
	if n := len(a.spare); n > 0 {
		f.pending, a.spare = a.spare[n-1], a.spare[:n-1]
	} else {
		f.pending = make([]session.Event, 0, 16)
	}
	a.touched = append(a.touched, f)
}

// commit hands the batch's events to their sessions: one lock per session and
// batch.
func (a *Assembler) commit() []*session.Session {
	if a.cfg.Tap != nil {
		a.tap()
	}
	clear(a.out)
	a.out = a.out[:0]
	if a.cfg.Facts {
		a.publish()
	}
	for _, f := range a.touched {
		for side := session.Client; f.news>>side != 0; side++ {
			if f.news&(1<<side) != 0 {
				f.s.Hear(side)
			}
		}
		f.news = 0
		if len(f.pending) > 0 {
			f.s.Append(f.pending...)
		}
		if cap(f.pending) <= 1024 {
			clear(f.pending)
			a.spare = append(a.spare, f.pending[:0])
		}
		f.pending = nil
		a.out = append(a.out, f.s)
		if f.ended {
			f.s.End(f.cause)
			f.s, f.facts = nil, nil
		}
	}
	clear(a.touched)
	a.touched = a.touched[:0]
	a.stats.Buffered, a.stats.Stale = a.held, a.defrag.expired
	a.mu.Lock()
	a.public = a.stats
	a.mu.Unlock()
	return a.out
}
