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
	add("connect, to the client", took(client.Handshake), "")
	add("connect, to the server", took(server.Handshake), "")
	add("round trip to the client", roundTrip(client), "")
	trip := ""
	if played.RTT > 0 {
		trip = took(played.RTT) + " ± " + took(played.RTTVar)
	}
	add("round trip to the server", roundTrip(server), trip)
	add("segments of the client", counted(client.Segments), counted(played.SegmentsOut))
	add("sent again by the client", repeated(client), counted(played.Retransmits))
	add("nothing acknowledged in time", "", counted(played.Timeouts))
	add("out of order, the client's", counted(client.OutOfOrder), "")
	add("window of the client", window(client), "")
	add("segments of the server", counted(server.Segments), counted(played.SegmentsIn))
	add("sent again by the server", repeated(server), "")
	add("out of order, the server's", counted(server.OutOfOrder), "")
	add("window of the server", window(server), window(&session.WireSide{Window: played.Window, ZeroWindows: played.ZeroWindows}))
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
	text := count(s.Window, "byte")
	if s.Unscaled {
		text = number(s.Window) + ", unscaled"
	}
	switch s.ZeroWindows {
	case 0:
		return text
	case 1:
		return text + ", once none"
	}
	return fmt.Sprintf("%s, %s times none", text, number(s.ZeroWindows))
}
