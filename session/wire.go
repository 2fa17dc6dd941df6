package session

import "time"

// Unknown stands in the fields of a Wire for what was not seen: a time that was
// not measured, a window that nobody advertised.
const Unknown = -1

// Wire is what the packets of a captured TCP connection tell beside its bytes:
// what an engineer looks for in a capture when a session failed. It is a value;
// times are measured where the capture stood, by the packets' own timestamps.
type Wire struct {
	// Gathered is false where nobody noted these facts: the capture was not
	// asked to, or the session is a UDP flow. All else is empty or Unknown then.
	Gathered bool
	Sides    [2]WireSide // by Side
	// Reset tells that a reset ended the connection, ResetBy who sent it, and
	// ResetAt when, as an offset from Session.Start (else Unknown). It is the
	// first one that was in the window; what came later is not looked at.
	Reset   bool
	ResetBy Side
	ResetAt time.Duration
}

// WireSide is what one side's packets tell. Of a side that was never heard, as
// in a one-sided capture, all is empty or Unknown.
type WireSide struct {
	// Handshake is the round trip from the capture to this side and back when
	// the connection was opened: SYN to SYN+ACK for the server, SYN+ACK to its
	// ACK for the client. The sum is the client's connect time. Unknown where
	// one of the two was not captured or was sent twice, or the ACK has data.
	Handshake time.Duration
	// MinRTT and RTT are the smallest and the latest time that passed between a
	// data segment to this side and the first acknowledgement that covers it,
	// delayed acknowledgements included. One segment is timed at once, and none
	// that was sent again (Karn's rule, RFC 6298 §3).
	MinRTT, RTT time.Duration

	Segments uint64 // captured, whatever they carried
	// Retransmitted are segments of which something had been captured before,
	// or which fill a hole so late that it was noticed: SYN, FIN and
	// RetransmittedBytes of data. A probe of an idle connection is none. A capture
	// that shows each packet twice makes each look sent again.
	Retransmitted      uint64
	RetransmittedBytes uint64
	// OutOfOrder are segments that fill a hole within the round trip that the
	// handshake took, so that nobody can have asked for them again. Where that
	// is not known, it is within 3 ms, as Wireshark has it.
	OutOfOrder uint64

	// Window is how many bytes the side said it has room for, in its latest
	// segment; Unknown if there was none. Unscaled: the number is the header's,
	// since the SYN that tells what to multiply it with was not captured.
	Window      int64
	Unscaled    bool
	ZeroWindows uint64 // segments that said there is no room

	FINAt time.Duration // offset of its first FIN from Session.Start, or Unknown
}

// NoWire returns a Wire that says nothing is known.
func NoWire() Wire {
	side := WireSide{Handshake: Unknown, MinRTT: Unknown, RTT: Unknown, Window: Unknown, FINAt: Unknown}
	return Wire{Sides: [2]WireSide{side, side}, ResetAt: Unknown}
}

// Observe replaces what is known of the packets by a copy of w.
func (s *Session) Observe(w *Wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire == nil {
		s.wire = new(Wire)
	}
	*s.wire = *w
}

// Wire returns what the packets tell so far. Any goroutine may ask while the
// capture writes.
func (s *Session) Wire() Wire {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire == nil {
		return NoWire()
	}
	return *s.wire
}
