package capture

import (
	"bytes"
	"context"
	"encoding/binary"

	"tcpsandbox/capture/expr"
)

// Which packets an expression picks. tcpdump's answer for the packet as it was
// captured comes first, and for most packets it is all there is. Two things go
// beyond:
//
//   - A tunnel. Each IP packet inside is asked about as if it had been captured
//     on its own, and each Ethernet frame inside. One yes is enough.
//   - A fragment. Later ones have no ports, so "port 80" picks only the first,
//     of which nobody can make a connection. The others go with the first: they
//     are held until that one has come, and where the ports are inside of a
//     tunnel until the datagram is whole.
//
// On an interface this is asked of what the kernel's filter let through, also
// where that has asked the same. It costs 50 to 90 ns a packet (BenchmarkFiltered);
// to come here costs 800 and more (BenchmarkLiveFilter), which the kernel's
// filter saves for what does not match. So there is one truth, and the kernel's
// program may be as lax as is simple.

// Filtered returns a source of those packets of src that match an expression:
// as tcpdump -r would pick them, and with tunnels those inside of which it
// would pick something, and later fragments with the first of their datagram.
// Those may come late, up to the end of their datagram. If f is nil it is src
// itself. Run fails with f's *expr.LinkError at the first packet of a link type
// that f cannot be asked of. What was read is counted in Stats, whether it
// matched or not.
func Filtered(src Source, f *expr.Filter, tunnels bool) Source {
	return filtered(src, f, tunnels, false)
}

// filtered is Filtered; live tells of frames whose outer VLAN tag the kernel
// took off.
func filtered(src Source, f *expr.Filter, tunnels, live bool) Source {
	if f == nil {
		return src
	}
	m := &matching{Source: src, filter: f, live: live, known: make(map[LinkType]error)}
	if m.ip.plain = !tunnels; tunnels {
		m.ip.within = f
	}
	return m
}

// matching is a source behind a filter.
type matching struct {
	Source
	filter *expr.Filter
	live   bool
	known  map[LinkType]error // what the filter's Check says
	defrag defragmenter       // its datagrams hold the packets that wait: some 16 MiB at most, and as much of payload
	seg    segment
	ip     ipInfo
	out    []Packet
}

// Run delivers what matches, a batch for each of the source's, also an empty
// one.
func (m *matching) Run(ctx context.Context, fn func(batch []Packet) error) error {
	return m.Source.Run(ctx, func(batch []Packet) error {
		clear(m.out) // of packets that were held
		m.out = m.out[:0]
		for i := range batch {
			if err := m.packet(&batch[i]); err != nil {
				return err
			}
		}
		return fn(m.out)
	})
}

func (m *matching) packet(p *Packet) error {
	matched, err := m.outside(p)
	if err != nil {
		return err
	}
	m.ip.matched = matched
	payload, v := decode(p.Data, p.OrigLen, p.Link, &m.seg, &m.ip)
	matched = m.ip.matched
	if v == isFragment {
		m.fragment(p, payload)
	}
	if matched {
		m.out = append(m.out, *p)
	}
	return nil
}

// fragment lets go of what waited for a fragment, and has it wait with the
// others if it does not match by itself. m.ip describes it.
func (m *matching) fragment(p *Packet, payload []byte) {
	var waiting []Packet
	if !m.ip.matched {
		held := *p
		held.Data = bytes.Clone(p.Data)
		waiting = []Packet{held}
	}
	for v := isFragment; v == isFragment; { // again when what is inside a tunnel is one, too
		whole, g := m.defrag.add(&m.ip, payload, p.Time)
		if g == nil {
			return
		}
		g.matched = g.matched || m.ip.matched && m.ip.offset == 0
		waiting = append(g.held, waiting...)
		if g.matched {
			m.out, waiting = append(m.out, waiting...), nil
		}
		g.held = waiting
		if whole == nil {
			return
		}
		m.ip.matched = g.matched
		payload, v = decodeUpper(whole, &m.seg, &m.ip)
	}
	if m.ip.matched {
		m.out = append(m.out, waiting...)
	}
}

// outside is tcpdump's answer.
func (m *matching) outside(p *Packet) (bool, error) {
	err, ok := m.known[p.Link]
	if !ok {
		err = m.filter.Check(uint16(p.Link))
		m.known[p.Link] = err
	}
	if err != nil {
		return false, err
	}
	if !m.live {
		return m.filter.Match(p.Data, p.OrigLen, uint16(p.Link))
	}
	tag := -1
	if p.Tagged {
		tag = int(p.VLAN)
	}
	return m.filter.MatchLive(p.Data, p.OrigLen, tag)
}

// ask has the filter look at an IP packet, if it is inside of a tunnel. What
// follows the packet in a frame is padding and no part of its length.
func (ip *ipInfo) ask(data []byte, wire int) {
	if !ip.inside || ip.matched {
		return
	}
	length := 0
	switch {
	case len(data) >= 20 && data[0]>>4 == 4:
		length = int(binary.BigEndian.Uint16(data[2:]))
	case len(data) >= 40 && data[0]>>4 == 6:
		length = int(binary.BigEndian.Uint16(data[4:]))
		if length > 0 {
			length += 40
		}
	}
	if length > 0 && length < wire {
		wire = length
	}
	ip.matched = ip.within.MatchIP(data[:min(wire, len(data))], wire)
}
