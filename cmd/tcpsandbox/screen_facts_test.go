package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tcpsandbox/replay"
	"tcpsandbox/session"
)

// What is known of either side has a row, and what is not has none.
func TestFacts(t *testing.T) {
	quiet := session.NoWire()
	quiet.Gathered = true
	full := quiet
	full.Sides[session.Client] = session.WireSide{
		Handshake: time.Millisecond, MinRTT: 2 * time.Millisecond, RTT: 3 * time.Millisecond, Segments: 1234, Retransmitted: 2,
		RetransmittedBytes: 1, OutOfOrder: 3, Window: 100, Unscaled: true, ZeroWindows: 1, FINAt: session.Unknown,
	}
	full.Sides[session.Server].Window, full.Sides[session.Server].ZeroWindows = 0, 5
	full.Reset, full.ResetBy, full.ResetAt = true, session.Server, 1500*time.Millisecond
	for _, tt := range []struct {
		name string
		wire session.Wire
		link *replay.LinkFacts
		want string
	}{
		{"nothing", session.Wire{}, nil, ""},
		{"not gathered", session.NoWire(), nil, ""},
		{"a silent connection", quiet, nil, ""},
		{"production's", full, nil, "connect, client: 1ms | ; round trip, client: 3ms, min 2ms | ; segments, client: 1,234 | ; " +
			"sent again, client: 2, 1 byte | ; out of order, client: 3 | ; window, client: 100, unscaled, once none | ; " +
			"window, server: 0, 5 times none | ; reset: by the server after 1.5s | "},
		{"the application's", session.Wire{}, &replay.LinkFacts{
			RTT: time.Millisecond, RTTVar: time.Microsecond, Retransmits: 4, Timeouts: 1, SegmentsIn: 7, SegmentsOut: 8, Window: 65535, ZeroWindows: 2, Reset: true,
		}, "round trip, server:  | 1ms or less; segments, client:  | 8; sent again, client:  | 4; timeouts, client:  | 1; " +
			"segments, server:  | 7; window, server:  | 65,535, 2 times none; reset:  | by the application"},
		{"no word of the application's", session.Wire{}, &replay.LinkFacts{Window: -1, SegmentsOut: 1}, "segments, client:  | 1"},
	} {
		var got []string
		for _, row := range facts(&tt.wire, tt.link) {
			if len(row[0]) > 22 { // the room at 120 cells, where two facts stand side by side
				t.Errorf("%q is too long a name", row[0])
			}
			got = append(got, fmt.Sprintf("%s: %s | %s", row[0], row[1], row[2]))
		}
		if strings.Join(got, "; ") != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, strings.Join(got, "; "), tt.want)
		}
	}
}
