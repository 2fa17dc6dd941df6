package capture

// IP reassembly, for both versions: the payloads of a datagram's fragments are
// laid into one buffer; where they overlap, the first bytes win. Fragments are
// rare in TCP, but tunnels make them of full-sized packets (path MTU discovery avoids it), so this is small and bounded rather
// than fast: at most maxDatagrams at a time and none older than
// datagramTimeout; the oldest goes first.

const (
	maxDatagrams    = 256
	maxDatagram     = 1 << 16          // an IP payload is shorter
	datagramTimeout = 30 * 1e9         // ns of packet time, as Linux' ipfrag_time
	maxFragments    = maxDatagram / 64 // of one datagram; real ones are longer
)

type datagramKey struct {
	srcHi, srcLo, dstHi, dstLo uint64
	path                       uint64
	id                         uint32
	proto                      uint8
}

// span is a run of bytes of a datagram that have arrived.
type span struct{ from, to int }

type datagram struct {
	started int64
	buf     []byte
	have    []span // sorted, disjoint, not touching
	pieces  int
	total   int // known once the last fragment came, else -1

	// For a filter; see match.go.
	matched bool
	held    []Packet
}

// defragmenter collects the fragments of TCP datagrams. Its zero value is
// ready.
type defragmenter struct {
	open    map[datagramKey]*datagram
	expired uint64 // datagrams given up
}

// add takes one fragment and returns the datagram's payload once it is whole,
// else nil. The payload is the caller's. The datagram is returned, too, unless
// the fragment is refused or gave it the end.
func (d *defragmenter) add(ip *ipInfo, payload []byte, now int64) (whole []byte, g *datagram) {
	end := ip.offset + len(payload)
	if len(payload) == 0 || end > maxDatagram || ip.more && len(payload)%8 != 0 {
		return nil, nil
	}
	key := datagramKey{ip.srcHi, ip.srcLo, ip.dstHi, ip.dstLo, ip.path.id, ip.id, ip.proto}
	g = d.open[key]
	if g != nil && now-g.started > datagramTimeout {
		d.drop(key)
		g = nil
	}
	if g == nil {
		if d.open == nil {
			d.open = make(map[datagramKey]*datagram)
		}
		if len(d.open) >= maxDatagrams {
			d.dropOldest()
		}
		g = &datagram{started: now, total: -1}
		d.open[key] = g
	}
	if g.pieces++; g.pieces > maxFragments {
		d.drop(key)
		return nil, nil
	}
	if !ip.more {
		if g.total >= 0 && g.total != end {
			d.drop(key) // two ends: nobody can say which is right
			return nil, nil
		}
		g.total = end
	}
	if g.total >= 0 && (end > g.total || len(g.buf) > g.total) {
		d.drop(key)
		return nil, nil
	}
	g.lay(ip.offset, payload)
	if g.total < 0 || len(g.have) != 1 || g.have[0] != (span{0, g.total}) {
		return nil, g
	}
	delete(d.open, key)
	return g.buf, g
}

// lay copies what is new of a fragment and notes that it is there.
func (g *datagram) lay(from int, payload []byte) {
	to := from + len(payload)
	if to > len(g.buf) {
		g.buf = append(g.buf, make([]byte, to-len(g.buf))...)
	}
	at := from
	merged := span{from, to}
	kept := make([]span, 0, len(g.have)+1)
	var after []span
	for _, s := range g.have {
		switch {
		case s.to < from:
			kept = append(kept, s)
		case s.from > to:
			after = append(after, s)
		default:
			if at < s.from {
				copy(g.buf[at:s.from], payload[at-from:])
			}
			at = max(at, s.to)
			merged = span{min(merged.from, s.from), max(merged.to, s.to)}
		}
	}
	if at < to {
		copy(g.buf[at:to], payload[at-from:])
	}
	g.have = append(append(kept, merged), after...)
}

func (d *defragmenter) drop(key datagramKey) {
	delete(d.open, key)
	d.expired++
}

func (d *defragmenter) dropOldest() {
	var oldest datagramKey
	var at int64
	first := true
	for k, g := range d.open {
		if first || g.started < at {
			oldest, at, first = k, g.started, false
		}
	}
	d.drop(oldest)
}
