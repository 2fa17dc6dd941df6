package main

import (
	"bytes"
	"net/netip"
	"slices"

	"github.com/google/gopacket/layers"
)

// script is production's side of a connection.
type script struct {
	client, server netip.AddrPort
	begins         bool // the client's SYN was captured
	accepted       bool // the server answered it, or said or acknowledged anything
	whole          bool // begins, and no byte of either side is missing

	// streams are both sides' bytes. Those that were acknowledged and never
	// captured are zeros.
	streams [2][]byte
	moves   []move
	seen    []seen

	played bool // by a connection before
}

// seen is how many of the server's bytes the client had acknowledged when it
// sent a packet.
type seen struct {
	at    int // offset of the packet's first byte in the client's stream
	bytes int
}

// The two sides of a connection, as indices.
const (
	client = iota
	server
)

// move is something that the server did.
type move struct {
	cause cause
	data  []byte // to send
	fin   bool   // close its half
	rst   bool   // reset the connection
}

// cause is what the server had received before it did something.
type cause struct {
	bytes int  // of the client's stream
	fin   bool // and its end
}

// after reports whether c comes after o.
func (c cause) after(o cause) bool {
	return c.bytes > o.bytes || c.bytes == o.bytes && c.fin && !o.fin
}

// readScripts returns the scripts of a capture file's connections, in the
// order of their first packets. Of a connection without SYN nobody knows who
// the client is: it comes twice, once each way.
func readScripts(path string) ([]*script, error) {
	return scripts(func(f func(layers.LinkType, []byte)) error { return readFile(path, f) })
}

// scripts does so for packets from anywhere.
func scripts(read func(func(layers.LinkType, []byte)) error) (all []*script, err error) {
	type key struct {
		a, b netip.AddrPort
		via  string
	}
	var connections []*connection
	latest := map[key]*connection{}
	d := newDecoder()
	err = read(func(link layers.LinkType, data []byte) {
		s := d.segment(link, data)
		if s == nil {
			return
		}
		k := key{s.from, s.to, s.via}
		if s.to.Compare(s.from) < 0 {
			k.a, k.b = k.b, k.a
		}
		c := latest[k]
		if opens := s.tcp.SYN && !s.tcp.ACK; c == nil || opens && c.segments[0].tcp.Seq != s.tcp.Seq && c.over() {
			c = &connection{}
			latest[k] = c
			connections = append(connections, c)
		}
		c.segments = append(c.segments, s)
	})
	for _, c := range connections {
		all = append(all, c.scripts()...)
	}
	return all, err
}

// connection is the segments of one connection, in the order of capture.
type connection struct {
	segments []*segment
}

// over reports whether the connection may be followed by another of the same
// addresses and ports.
func (c *connection) over() bool {
	return slices.ContainsFunc(c.segments, func(s *segment) bool { return s.tcp.FIN || s.tcp.RST })
}

// scripts returns the script of a connection, or both possible ones.
func (c *connection) scripts() []*script {
	for _, s := range c.segments {
		switch {
		case s.tcp.SYN && !s.tcp.ACK:
			return []*script{c.script(s.from, s.to)}
		case s.tcp.SYN:
			return []*script{c.script(s.to, s.from)}
		}
	}
	s := c.segments[0]
	return []*script{c.script(s.from, s.to), c.script(s.to, s.from)}
}

// most is how much of a stream is believed: what lies beyond comes from a
// sequence number that is wrong. The longest one of the corpus is 1.7 MB.
const most = 4 << 20

// script lays out the streams, and the server's moves.
func (c *connection) script(from, to netip.AddrPort) *script {
	s := &script{client: from, server: to}
	base, known := c.bases(from)
	offset := func(side int, seq uint32) int { return int(int32(seq - base[side])) }
	var (
		have   [2][]bool
		end    [2]int // where the FIN stands; -1: there is none
		causes []cause
		last   move
		acked  int // of the server's stream, by the client
	)
	grow := func(side, size int, why cause) {
		n := size - len(s.streams[side])
		if n <= 0 {
			return
		}
		s.streams[side] = append(s.streams[side], make([]byte, n)...)
		have[side] = append(have[side], make([]bool, n)...)
		if side == server {
			causes = append(causes, slices.Repeat([]cause{why}, n)...)
		}
	}
	end[client], end[server] = -1, -1
	for _, seg := range c.segments {
		side := client
		if seg.from != from {
			side = server
		}
		t := seg.tcp
		s.begins = s.begins || side == client && t.SYN && !t.ACK
		s.accepted = s.accepted || !t.RST && (side == server || !t.SYN || len(t.Payload) > 0)
		at := offset(side, t.Seq)
		if t.SYN {
			at = 0 // its data comes after the SYN
		}
		now := cause{bytes: len(s.streams[client]), fin: end[client] >= 0}
		if t.ACK && known[client] && side == server && !t.RST {
			now.bytes = max(0, min(now.bytes, offset(client, t.Ack)))
			now.fin = now.fin && offset(client, t.Ack) > end[client]
		}
		if n := offset(server, t.Ack); side == client && t.ACK && !t.RST && known[server] && n > acked && n < most {
			if acked = n; end[server] >= 0 {
				acked = min(acked, end[server])
			}
			grow(server, acked, now)
		}
		if side == client && len(t.Payload) > 0 {
			s.seen = append(s.seen, seen{at, acked})
		}
		for i, b := range t.Payload {
			at := at + i
			if at < 0 || at >= most {
				continue
			}
			grow(side, at+1, now)
			if !have[side][at] {
				have[side][at], s.streams[side][at] = true, b
				if side == server {
					causes[at] = now
				}
			}
		}
		if at += len(t.Payload); t.FIN && at >= 0 && at < most && end[side] < 0 {
			end[side] = at
			if side == server {
				last = move{cause: now, fin: true}
			}
		}
		if t.RST && side == server && !last.rst && (end[client] < 0 || end[server] < 0) {
			// Where both have closed it comes from a kernel that has forgotten
			// the connection, and not from the server.
			last.rst = true
			if !last.fin || now.after(last.cause) {
				last.cause = now
			}
		}
	}
	s.moves = moves(s.streams[server], causes)
	if last.fin || last.rst {
		if n := len(s.moves); n > 0 && s.moves[n-1].cause.after(last.cause) {
			last.cause = s.moves[n-1].cause
		}
		s.moves = append(s.moves, last)
	}
	s.whole = s.begins && !slices.Contains(have[client], false) && !slices.Contains(have[server], false)
	return s
}

// bases returns the sequence numbers of both streams' first bytes, as far as
// they are known: the one after the SYN, else the lowest that was seen.
func (c *connection) bases(from netip.AddrPort) (base [2]uint32, known [2]bool) {
	var exact [2]bool
	note := func(side int, seq uint32, syn bool) {
		switch {
		case syn && !exact[side]:
			base[side], exact[side] = seq+1, true
		case !exact[side] && (!known[side] || int32(seq-base[side]) < 0):
			base[side] = seq
		}
		known[side] = true
	}
	for _, seg := range c.segments {
		side := client
		if seg.from != from {
			side = server
		}
		if t := seg.tcp; t.SYN || len(t.Payload) > 0 || t.FIN {
			note(side, t.Seq, t.SYN)
		}
	}
	if !known[server] { // its direction was not captured
		for _, seg := range c.segments {
			if t := seg.tcp; seg.from == from && t.ACK && !t.RST {
				note(server, t.Ack, false)
			}
		}
	}
	return base, known
}

// moves cuts the server's stream where its causes change. A byte never goes
// out before the ones in front of it.
func moves(stream []byte, causes []cause) (all []move) {
	begin, latest := 0, cause{}
	for i := range stream {
		if !causes[i].after(latest) {
			continue
		}
		if i > begin {
			all = append(all, move{cause: latest, data: stream[begin:i]})
		}
		begin, latest = i, causes[i]
	}
	if begin < len(stream) {
		all = append(all, move{cause: latest, data: stream[begin:]})
	}
	return all
}

// align returns where in the client's stream a connection begins whose first
// bytes these are, and how many of the server's bytes the client had by then. A
// replay starts in the middle of a session whose beginning it does not know,
// and goes on in the middle after a gap.
func (s *script) align(begin []byte) seen {
	at := max(0, bytes.Index(s.streams[client], begin))
	had := seen{at: at}
	for _, e := range s.seen {
		if e.at <= at {
			had.bytes = max(had.bytes, e.bytes)
		}
	}
	return had
}
