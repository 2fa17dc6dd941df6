package capture

import (
	"bytes"

	"tcpsandbox/session"
)

// Tap is shown the packets of which sessions are made, as they were captured:
// with the link layer's header, tags and tunnels, in the order of their coming.
// The fragments of a datagram come together, when it is whole or given up.
// Retransmissions and acknowledgements belong to a session, too; what comes
// after its end does not.
//
// It costs an assembler without one nothing but the question: see
// BenchmarkFileToSessions.
type Tap interface {
	// Packets is called at the end of each batch, before the sessions get its
	// events. All of it is the assembler's again when the call returns, which
	// may not call the assembler.
	Packets([]Tapped)
}

// Tapped is a packet of a session.
type Tapped struct {
	Session *session.Session
	Packet  *Packet // nil: the session has ended, and no more will come
	SYN     bool    // it opens a connection, or answers one that does
}

// show notes that packets belong to a flow's session: p, or if there are any,
// the fragments, of which p is the last.
func (a *Assembler) show(f *flow, p *Packet, fragments []Packet) {
	syn := a.seg.flags&flagSYN != 0
	if fragments == nil {
		a.shown = append(a.shown, Tapped{f.s, p, syn})
	}
	for i := range fragments {
		a.shown = append(a.shown, Tapped{f.s, &fragments[i], syn})
	}
}

// tap shows the batch.
func (a *Assembler) tap() {
	for _, f := range a.touched {
		if f.ended {
			a.shown = append(a.shown, Tapped{Session: f.s})
		}
	}
	if len(a.shown) > 0 {
		a.cfg.Tap.Packets(a.shown)
	}
	clear(a.shown)
	a.shown = a.shown[:0]
}

// hold keeps a fragment of g's with the others and returns them all. inner are
// those of the fragment itself, if it was put together of some.
func (g *datagram) hold(p *Packet, inner []Packet) []Packet {
	if inner == nil {
		kept := *p
		kept.Data = bytes.Clone(p.Data)
		inner = []Packet{kept}
	}
	g.held = append(g.held, inner...)
	return g.held
}
