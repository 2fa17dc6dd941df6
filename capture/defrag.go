package capture

import (
	"cmp"
	"slices"
)

// IP reassembly, for both versions: the payloads of a datagram's fragments are
// laid into one buffer; where they overlap, the first bytes win. Fragments are
// rare in TCP, but tunnels make them of full-sized packets (path MTU discovery avoids it), so this is small and bounded rather
// than fast: at most maxDatagrams at a time and none older than
// datagramTimeout; the oldest goes first. Of UDP,
// one that is given up is a datagram that the capture has not whole: a gap, like
// one that the snap length cut. It is told of when it is given up, which may be
// later than what came behind it.

const (
	maxDatagrams    = 256
	maxDatagram     = 1 << 16          // an IP payload is shorter
	datagramTimeout = 30 * 1e9         // ns of packet time, as Linux' ipfrag_time
	maxFragments    = maxDatagram / 64 // of one datagram; real ones are longer
	sweepEvery      = 1e9              // ns of packet time between looks for time-outs
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
	ip      ipInfo // of its first fragment to come
	vlan    uint16 // that the kernel took off the frame
	buf     []byte
	have    []span // sorted, disjoint, not touching
	pieces  int
	total   int // known once the last fragment came, else -1

	matched bool     // for a filter; see match.go
	held    []Packet // for a filter, or a tap
}

// defragmenter collects the fragments of datagrams. Its zero value is
// ready.
type defragmenter struct {
	open    map[datagramKey]*datagram
	expired uint64 // datagrams given up
	swept   int64  // when time-outs were last looked for

	// keepUDP is an order to keep those of UDP in given, of which the beginning
	// is known; the caller takes them from there.
	keepUDP bool
	given   []*datagram
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
	if now-d.swept >= sweepEvery {
		d.sweep(now)
	}
	if g == nil {
		if d.open == nil {
			d.open = make(map[datagramKey]*datagram)
		}
		if len(d.open) >= maxDatagrams {
			d.dropOldest()
		}
		g = &datagram{started: now, total: -1, ip: *ip}
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
	g := d.open[key]
	delete(d.open, key)
	d.expired++
	if d.keepUDP && key.proto == protoUDP && len(g.have) > 0 && g.have[0].from == 0 && g.have[0].to >= 8 {
		d.given = append(d.given, g)
	}
}

// sweep gives up what is older than datagramTimeout.
func (d *defragmenter) sweep(now int64) {
	d.swept = now
	d.giveUp(func(g *datagram) bool { return now-g.started > datagramTimeout })
}

// giveUp gives up some of the datagrams, the oldest first.
func (d *defragmenter) giveUp(which func(*datagram) bool) {
	var keys []datagramKey
	for k, g := range d.open {
		if which(g) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b datagramKey) int {
		return cmp.Or(cmp.Compare(d.open[a].started, d.open[b].started), cmp.Compare(a.id, b.id))
	})
	for _, k := range keys {
		d.drop(k)
	}
}

// beginning fills in seg and ip with what is known of a UDP datagram that was
// given up: its header, its length, and its first bytes.
func (g *datagram) beginning(seg *segment, ip *ipInfo) verdict {
	*ip = g.ip
	return decodeUDP(g.buf[:g.have[0].to], maxDatagram, seg, ip)
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
