package netsim

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Facts is what the stack knows of the way to the application, and what the
// application's kernel said of itself. It is a value.
type Facts struct {
	RTT    time.Duration // smoothed round trip (RFC 6298), by timestamps of 1 ms and never less; 0: not measured
	RTTVar time.Duration // its variation
	RTO    time.Duration // retransmission timeout; 0: not connected yet

	Retransmits uint64 // segments sent again, SYNs and FINs included
	Timeouts    uint64 // how often the retransmission timer expired
	SegmentsIn  uint64 // taken by the stack, of up to 64 KiB with offload
	SegmentsOut uint64 // made by the stack; some bare acknowledgements among them ride on another

	CongestionWindow int // segments; 0: not connected yet

	Window      int64  // bytes the application's kernel last said it has room for; -1: it has said nothing
	ZeroWindows uint64 // segments in which it said that it has none
	Reset       bool   // it reset the connection, or refused it
}

// Facts returns what is known by now, also after Close or Abort. It asks the
// stack for its lock, as Read does.
func (c *Conn) Facts() Facts {
	f := Facts{Window: c.heard.room(), ZeroWindows: c.heard.zeros.Load(), Reset: c.heard.reset.Load()}
	var info tcpip.TCPInfoOption
	if c.ep.GetSockOpt(&info) == nil {
		f.RTT, f.RTTVar, f.RTO, f.CongestionWindow = info.RTT, info.RTTVar, info.RTO, int(info.SndCwnd)
	}
	if stats, ok := c.ep.Stats().(*tcp.Stats); ok {
		f.Retransmits, f.Timeouts = stats.SendErrors.Retransmits.Value(), stats.SendErrors.Timeouts.Value()
		f.SegmentsIn, f.SegmentsOut = stats.SegmentsReceived.Value(), stats.SegmentsSent.Value()
	}
	// The stack does not count a SYN among these.
	if again := uint64(c.syns.Load()); again > 1 {
		f.Retransmits += again - 1
		f.Timeouts += again - 1
	}
	return f
}

// heard is what the application's kernel says of itself in the headers of its
// segments. The stack keeps it to itself, so the goroutine that reads the
// device notes it: a load, and a store where the window changed. That is 10 ns of
// a packet's way, whose system call alone takes more than 1 µs.
type heard struct {
	window atomic.Uint32
	zeros  atomic.Uint64
	reset  atomic.Bool
}

// Bits of heard.window: the header's field, by how much to shift it (RFC 7323
// §2.2), whether there is any, and whether a SYN had it, which is not scaled.
const (
	windowShift = 16
	windowAny   = 1 << 20
	windowOnSYN = 1 << 21
)

// note looks at a segment's header; t begins with it and holds 20 bytes of it
// at least.
func (h *heard) note(t []byte) {
	flags := header.TCPFlags(t[13])
	if flags&header.TCPFlagRst != 0 {
		h.reset.Store(true)
		return // its window says nothing
	}
	window := uint32(binary.BigEndian.Uint16(t[14:]))
	before := h.window.Load()
	now := before&(15<<windowShift) | window | windowAny
	if flags&header.TCPFlagSyn != 0 {
		// Ours has the option: without it in the answer nothing is scaled.
		options := t[20:max(20, min(int(t[12]>>4)*4, len(t)))]
		scale := uint32(max(0, header.ParseSynOptions(options, true).WS))
		now = scale<<windowShift | window | windowAny | windowOnSYN
	}
	if now != before {
		h.window.Store(now)
	}
	if window == 0 {
		h.zeros.Add(1)
	}
}

// room returns the latest window in bytes, or -1.
func (h *heard) room() int64 {
	w := h.window.Load()
	switch {
	case w&windowAny == 0:
		return -1
	case w&windowOnSYN != 0:
		return int64(w & 0xffff)
	}
	return int64(w&0xffff) << (w >> windowShift & 15)
}
