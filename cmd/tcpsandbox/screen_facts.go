package main

import (
	"fmt"
	"time"

	"tcpsandbox/session"
)

// facts writes down what the packets of a session tell, as name, production's,
// and the application's. What is not known is left out.
func facts(w *session.Wire) (rows [][3]string) {
	if !w.Gathered {
		return nil
	}
	add := func(name, production string) {
		if production != "" {
			rows = append(rows, [3]string{name, production, ""})
		}
	}
	client, server := &w.Sides[session.Client], &w.Sides[session.Server]
	add("connect, to the client", took(client.Handshake))
	add("connect, to the server", took(server.Handshake))
	add("round trip to the client", roundTrip(client))
	add("round trip to the server", roundTrip(server))
	for _, side := range []session.Side{session.Client, session.Server} {
		s := &w.Sides[side]
		of := " of the " + side.String()
		add("segments"+of, counted(s.Segments))
		if s.Retransmitted > 0 {
			add("sent again"+of, fmt.Sprintf("%s, %s", count(s.Retransmitted, "segment"), count(s.RetransmittedBytes, "byte")))
		}
		if s.OutOfOrder > 0 {
			add("out of order"+of, count(s.OutOfOrder, "segment"))
		}
		add("window"+of, window(s))
	}
	if w.Reset {
		at := ""
		if w.ResetAt != session.Unknown {
			at = " after " + w.ResetAt.String()
		}
		add("reset", "by the "+w.ResetBy.String()+at)
	}
	return rows
}

// took writes a time; "" if it is not known.
func took(d time.Duration) string {
	if d == session.Unknown {
		return ""
	}
	return d.Round(time.Microsecond).String()
}

// roundTrip is the latest one, and the shortest.
func roundTrip(s *session.WireSide) string {
	text := took(s.RTT)
	if text != "" && s.MinRTT != s.RTT {
		text += ", at least " + took(s.MinRTT)
	}
	return text
}

// counted writes a number; "" for none.
func counted(n uint64) string {
	if n == 0 {
		return ""
	}
	return number(n)
}

// window is how much a side has room for.
func window(s *session.WireSide) string {
	if s.Window == session.Unknown {
		return ""
	}
	text := count(s.Window, "byte")
	if s.Unscaled {
		text = number(s.Window) + ", unscaled"
	}
	if s.ZeroWindows > 0 {
		text += fmt.Sprintf(", %s none", times(s.ZeroWindows))
	}
	return text
}

// times writes "once", "3 times".
func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return number(n) + " times"
}
