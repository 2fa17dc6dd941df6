// Package capture turns packets into sessions.
//
// What flows in: packets, from a Source: a live interface (OpenLive), a
// capture file (OpenFile) or a capture on a stream (OpenStream). What flows
// out: batches of session.Session that got new events, from an Assembler.
//
// A packet meets the files of this package in this order: spec.go says where
// to capture; filter.go, filter_tunnel.go, live_linux.go and ring_linux.go, or
// file.go, pcap.go and pcapng.go, bring it in (outage_linux.go waits for an
// interface that is gone, follow.go for more of a file), and steady.go takes the
// steps of a clock out of its time; decode.go, tunnel.go and
// defrag.go find the TCP segment or UDP datagram in it, and path.go keeps in
// what tunnels that was; match.go drops it if an expression (package expr) does
// not mean it; assembler.go has lookup.go find its flow in the table
// of flows.go; connection.go follows the connection; reassemble.go puts its
// bytes in order (spoken.go keeps where turns end), copied once into arena.go's memory; datagram.go does the
// little that UDP needs; at the end of the batch the session gets its events.
// select.go and writer.go keep packets instead, for `record`; tap.go shows those
// of sessions to a Tap, and store.go is one, which keeps them for a while.
//
// The smallest use:
//
//	src, err := capture.OpenFile("shop.pcap")
//	…
//	asm := capture.NewAssembler(capture.AssemblerConfig{Ports: []uint16{80}})
//	err = src.Run(ctx, func(batch []capture.Packet) error {
//		for _, s := range asm.Packets(batch) {
//			events, cause := s.Take(nil)
//			…
//		}
//		return nil
//	})
//	for _, s := range asm.Flush() { … }
package capture

import (
	"context"
	"time"
)

// Source yields packets in batches.
type Source interface {
	// Run delivers packets until the input ends or ctx is done, and returns
	// nil then; it returns the first error of fn as it is, and an error of its
	// own when the input is damaged. It waits for an interface that goes down or
	// away. It may be called once. All calls of fn come from the goroutine of Run; a batch and
	// the Data in it belong to the source and are valid until fn returns.
	Run(ctx context.Context, fn func(batch []Packet) error) error
	// Stats may be called at any time, by any goroutine.
	Stats() Stats
	// Close releases the source and makes Run return nil. It may be called
	// more than once, by any goroutine, also from within fn.
	Close() error
	// Live tells that packets arrive as they happen, so that time passes even
	// while none comes: call Assembler.Tick now and then.
	Live() bool
	// Name is what the user called it: "eth0", "shop.pcap", "-".
	Name() string
}

// Packet is one captured packet.
type Packet struct {
	Data     []byte // captured bytes, from the link-layer header on
	Time     int64  // nanoseconds since the Unix epoch; an integer because it is compared per packet
	OrigLen  int    // length on the wire; more than len(Data) when the capture cut it
	Link     LinkType
	Outgoing bool // sent by this host, where the source knows
	// VLAN is the id of the tag that the kernel took off before Data, 0 for
	// none. Captures of all interfaces leave it at 0, so that a packet seen on
	// a trunk and on its VLAN interface counts once. Tagged is also true of a
	// tag that has no id, only a priority.
	VLAN   uint16
	Tagged bool
}

// Stats is what a source has read so far.
type Stats struct {
	Packets     uint64 // handed to fn
	Bytes       uint64 // captured bytes of those
	KernelDrops uint64 // packets that the kernel had no room for
	Malformed   uint64 // records of the input that could not be read
	Cut         uint64 // packets that the capture kept only in part
	Truncated   string // what the end of a broken-off input lacks; empty for a whole one
	// Blind is for how long an interface gave nothing because it was down or
	// gone, up to now.
	Blind time.Duration
}

// Plus adds up two counts; what can be said once only is the later one's.
func (s Stats) Plus(later Stats) Stats {
	later.Packets += s.Packets
	later.Bytes += s.Bytes
	later.KernelDrops += s.KernelDrops
	later.Malformed += s.Malformed
	later.Cut += s.Cut
	later.Blind += s.Blind
	return later
}

// LinkType says what Data begins with. The numbers are the LINKTYPE_ values of
// capture files.
type LinkType uint16

const (
	LinkNull      LinkType = 0   // BSD loopback: 4 bytes of address family
	LinkEthernet  LinkType = 1   // Ethernet, with or without VLAN tags
	LinkPPP       LinkType = 9   // PPP, with or without HDLC-like framing
	LinkRaw12     LinkType = 12  // raw IP, as some BSDs number it
	LinkRaw14     LinkType = 14  // raw IP, as OpenBSD numbers it
	LinkPPPSerial LinkType = 50  // PPP with HDLC-like framing
	LinkPPPoE     LinkType = 51  // PPPoE session header
	LinkRaw       LinkType = 101 // raw IPv4 or IPv6
	LinkLoop      LinkType = 108 // OpenBSD loopback: 4 bytes of address family
	LinkSLL       LinkType = 113 // Linux cooked capture
	LinkIPv4      LinkType = 228 // raw IPv4
	LinkIPv6      LinkType = 229 // raw IPv6
	LinkSLL2      LinkType = 276 // Linux cooked capture, second version
)
