// Package session holds the nouns that every stage shares: the Session, a
// captured TCP connection or UDP flow as a growing list of events of both sides,
// and the Ledger of what became of its client's bytes.
//
// Events flow in from capture, which calls Append and End, and out to one
// reader, which calls Take. A session is live: the reader follows it while the
// capture still writes it. The record is append-only; what was taken is no
// longer held here, so a session of any length costs only what its reader has
// not taken yet, and totals.
package session

import (
	"net/netip"
	"sync"
	"time"
)

// Side tells which end of the TCP connection did something. Above the packet
// level there is no source and destination, only the client, which sent the
// SYN, and the server.
type Side uint8

const (
	Client Side = iota
	Server
)

// String returns "client" or "server".
func (s Side) String() string {
	if s == Client {
		return "client"
	}
	return "server"
}

// Other returns the opposite side.
func (s Side) Other() Side { return s ^ 1 }

// Proto is the transport protocol of a session.
type Proto uint8

const (
	TCP Proto = iota
	UDP
)

// String returns "tcp" or "udp".
func (p Proto) String() string {
	if p == UDP {
		return "udp"
	}
	return "tcp"
}

// Session is one captured TCP connection, or one UDP flow: the datagrams
// between one client address and port and one of the server's. Of a UDP flow
// each datagram is one Data event with its boundaries kept, also an empty one;
// one that was captured only in part is a Gap of its whole length. There are no
// other events, and Seen is how many bytes of the server's were captured before
// the datagram. The exported fields are set before
// the session is handed to anyone and never change afterwards; the rest is
// behind a lock of the session's own, so one writer (capture) and one reader
// (the player) may use it at once.
type Session struct {
	ID     uint64         // in order of appearance, from 1
	Client netip.AddrPort // as the production server saw it
	Server netip.AddrPort // production's own address
	Start  time.Time      // of the first captured packet
	Joined bool           // the beginning (the client's SYN) was not captured; of UDP: the server's datagram came first
	Proto  Proto
	Via    string // VLAN tags and tunnels around it, outermost first: "vlan 10, vxlan 4711"; of the first packet

	// Owner belongs to the reader, which alone may touch it: its place to hang
	// what it knows of this session.
	Owner any

	mu     sync.Mutex
	events []Event // appended and not yet taken
	totals Totals
	end    Cause
	wire   *Wire // nil: nobody observes the packets
}

// Totals is what was captured of a session so far.
type Totals struct {
	Bytes    [2]int64      // captured and in order, by Side
	Missing  [2]int64      // acknowledged by the other side but never captured, by Side
	FIN      [2]bool       // the side closed its direction
	RST      [2]bool       // the side reset the connection
	Accepted bool          // the server's SYN+ACK was captured, or the client's acknowledgement of it
	Heard    [2]bool       // a packet of the side was captured; one only: a one-sided capture
	Turns    int           // runs of data in one direction
	Last     time.Duration // offset of the latest event
	lastSide Side          // of the latest data
	started  bool          // any data was seen
}

// Cause is why a session's record ended.
type Cause uint8

const (
	Live       Cause = iota // it has not ended
	Closed                  // FIN from both sides
	Reset                   // RST from either side
	Replaced                // a new SYN on the same 4-tuple
	Idle                    // no packet for the idle time-out
	CaptureEnd              // the capture ended first
)

var causeNames = [...]string{"live", "closed", "reset", "replaced", "idle", "capture-end"}

// String returns the word that reports use.
func (c Cause) String() string { return causeNames[c] }

// Append adds events at the end of the record. The session keeps Data of each
// event: the caller must not change those bytes any more. Append after End is
// a defect of the caller and panics.
func (s *Session) Append(events ...Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end != Live {
		panic("session: append after end")
	}
	for i := range events {
		s.totals.add(&events[i])
	}
	s.events = append(s.events, events...)
}

// End closes the record; nothing will be appended any more. Only the first
// call counts.
func (s *Session) End(why Cause) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end == Live {
		s.end = why
	}
}

// Take returns the events appended since the last call, which belong to the
// caller from then on, and how the record ended (Live: more may come). It
// gives buf, which may be nil, to the session as room for the next ones: hand
// back the slice of the call before once its events are dealt with.
func (s *Session) Take(buf []Event) ([]Event, Cause) {
	clear(buf)
	s.mu.Lock()
	defer s.mu.Unlock()
	events := s.events
	s.events = buf[:0]
	return events, s.end
}

// Totals returns what was captured so far, and how the record ended.
func (s *Session) Totals() (Totals, Cause) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.totals, s.end
}

// Hear notes that a packet of a side was captured.
func (s *Session) Hear(side Side) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.totals.Heard[side] = true
}

// Opening is how production's server answered the client's attempt to connect.
type Opening uint8

const (
	OpeningUnseen     Opening = iota // the session was joined: the attempt was not captured, or it is a UDP flow
	OpeningAccepted                  // it accepted the connection
	OpeningRefused                   // it reset instead
	OpeningUnanswered                // neither was captured, so far
)

var openingNames = [...]string{"unseen", "accepted", "refused", "unanswered"}

// String returns the word that reports use.
func (o Opening) String() string { return openingNames[o] }

// Opening returns what became of the client's SYN, as far as was captured. A
// session OpeningAccepted whose client sent nothing before it ended Idle is that of a
// silent client.
func (s *Session) Opening() Opening {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch t := &s.totals; {
	case s.Joined || s.Proto == UDP:
		return OpeningUnseen
	case t.Accepted, t.Bytes[Server] > 0:
		return OpeningAccepted
	case t.RST[Server]:
		return OpeningRefused
	}
	return OpeningUnanswered
}

func (t *Totals) add(e *Event) {
	t.Last = max(t.Last, e.At)
	switch e.Kind {
	case Open:
		if e.Side == Server {
			t.Accepted = true
		}
	case Data:
		t.Bytes[e.Side] += int64(len(e.Data))
		if !t.started || t.lastSide != e.Side {
			t.Turns++
		}
		t.started, t.lastSide = true, e.Side
	case FIN:
		t.FIN[e.Side] = true
	case RST:
		t.RST[e.Side] = true
	case Gap:
		t.Missing[e.Side] += e.Missing
	}
}
