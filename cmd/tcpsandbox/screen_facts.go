package main

import (
	"fmt"
	"time"

	"tcpsandbox/replay"
	"tcpsandbox/session"
)

// facts writes down what the packets of a session tell, as name, production's,
// and the application's, whose part is the server's. What is not known is left
// out.
func facts(w *session.Wire, link *replay.LinkFacts) (rows [][3]string) {
	var played replay.LinkFacts
	if link != nil {
		played = *link
	} else {
		played.Window = -1
	}
	wire := *w
	if !w.Gathered {
		wire = session.NoWire()
	}
	add := func(name, production, application string) {
		if production != "" || application != "" {
			rows = append(rows, [3]string{name, production, application})
		}
	}
	client, server := &wire.Sides[session.Client], &wire.Sides[session.Server]
	add("connect, client", took(client.Handshake), "")
	add("connect, server", took(server.Handshake), "")
	add("round trip, client", roundTrip(client), "")
	add("round trip, server", roundTrip(server), smoothed(&played))
	add("segments, client", counted(client.Segments), counted(played.SegmentsOut))
	add("sent again, client", repeated(client), counted(played.Retransmits))
	add("timeouts, client", "", counted(played.Timeouts))
	add("out of order, client", counted(client.OutOfOrder), "")
	add("window, client", window(client), "")
	add("segments, server", counted(server.Segments), counted(played.SegmentsIn))
	add("sent again, server", repeated(server), "")
	add("out of order, server", counted(server.OutOfOrder), "")
	add("window, server", window(server), window(&session.WireSide{Window: played.Window, ZeroWindows: played.ZeroWindows}))
	var resets [2]string
	if wire.Reset {
		resets[0] = "by the " + wire.ResetBy.String()
		if wire.ResetAt != session.Unknown {
			resets[0] += " after " + took(wire.ResetAt)
		}
	}
	if played.Reset {
		resets[1] = "by the application"
	}
	add("reset", resets[0], resets[1])
	return rows
}

// took writes a time; "" if it is not known.
func took(d time.Duration) string {
	if d == session.Unknown {
		return ""
	}
	return d.Round(time.Microsecond).String()
}

// smoothed is the application's round trip. It comes from timestamps of 1 ms,
// which tell nothing shorter.
func smoothed(f *replay.LinkFacts) string {
	switch {
	case f.RTT <= 0:
		return ""
	case f.RTT <= time.Millisecond:
		return "1ms or less"
	}
	return "about " + f.RTT.Round(time.Millisecond).String()
}

// roundTrip is the latest one, and the shortest.
func roundTrip(s *session.WireSide) string {
	text := took(s.RTT)
	if text != "" && s.MinRTT != s.RTT {
		text += ", min " + took(s.MinRTT)
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

// repeated is what a side sent again.
func repeated(s *session.WireSide) string {
	if s.Retransmitted == 0 {
		return ""
	}
	return fmt.Sprintf("%s, %s", number(s.Retransmitted), count(s.RetransmittedBytes, "byte"))
}

// window is how much a side has room for.
func window(s *session.WireSide) string {
	if s.Window == session.Unknown {
		return ""
	}
	text := number(s.Window)
	switch {
	case s.Unscaled:
		text += ", unscaled"
	case s.ZeroWindows == 0:
		text = count(s.Window, "byte")
	}
	switch s.ZeroWindows {
	case 0:
		return text
	case 1:
		return text + ", once none"
	}
	return fmt.Sprintf("%s, %s times none", text, number(s.ZeroWindows))
}
