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
		{"production's", full, nil, "connect, to the client: 1ms | ; round trip to the client: 3ms, at least 2ms | ; segments of the client: 1,234 | ; " +
			"sent again by the client: 2, 1 byte | ; out of order, the client's: 3 | ; window of the client: 100, unscaled, once none | ; " +
			"window of the server: 0 bytes, 5 times none | ; reset: by the server after 1.5s | "},
		{"the application's", session.Wire{}, &replay.LinkFacts{
			RTT: time.Millisecond, RTTVar: time.Microsecond, Retransmits: 4, Timeouts: 1, SegmentsIn: 7, SegmentsOut: 8, Window: 65535, ZeroWindows: 2, Reset: true,
		}, "round trip to the server:  | 1ms ± 1µs; segments of the client:  | 8; sent again by the client:  | 4; nothing acknowledged in time:  | 1; " +
			"segments of the server:  | 7; window of the server:  | 65,535 bytes, 2 times none; reset:  | by the application"},
		{"no word of the application's", session.Wire{}, &replay.LinkFacts{Window: -1, SegmentsOut: 1}, "segments of the client:  | 1"},
	} {
		var got []string
		for _, row := range facts(&tt.wire, tt.link) {
			got = append(got, fmt.Sprintf("%s: %s | %s", row[0], row[1], row[2]))
		}
		if strings.Join(got, "; ") != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, strings.Join(got, "; "), tt.want)
		}
	}
}
