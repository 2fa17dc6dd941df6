package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/gopacket/layers"
)

var (
	clientAddr = netip.MustParseAddrPort("192.0.2.1:40000")
	serverAddr = netip.MustParseAddrPort("192.0.2.2:80")
)

// seg is a segment: "c" or "s" for who sent it, its flags, and its numbers,
// counted from 100 (the client's) and 500 (the server's).
func seg(who, flags string, seq, ack uint32, data string) *segment {
	s := &segment{from: clientAddr, to: serverAddr, tcp: &layers.TCP{
		SYN: strings.Contains(flags, "S"), ACK: strings.Contains(flags, "A"),
		FIN: strings.Contains(flags, "F"), RST: strings.Contains(flags, "R"),
	}}
	mine, other := uint32(100), uint32(500)
	if who == "s" {
		s.from, s.to = serverAddr, clientAddr
		mine, other = other, mine
	}
	s.tcp.Seq, s.tcp.Payload = mine+seq, []byte(data)
	if s.tcp.ACK {
		s.tcp.Ack = other + ack
	}
	return s
}

func written(moves []move) string {
	var b strings.Builder
	for _, m := range moves {
		fmt.Fprintf(&b, "%d", m.cause.bytes)
		if m.cause.fin {
			b.WriteString("+FIN")
		}
		fmt.Fprintf(&b, ":%q", m.data)
		if m.fin {
			b.WriteString(" FIN")
		}
		if m.rst {
			b.WriteString(" RST")
		}
		b.WriteString("; ")
	}
	return strings.TrimSuffix(b.String(), "; ")
}

func TestMoves(t *testing.T) {
	opened := func(rest ...*segment) []*segment {
		return append([]*segment{seg("c", "S", 0, 0, ""), seg("s", "SA", 0, 1, ""), seg("c", "A", 1, 1, "")}, rest...)
	}
	for _, tt := range []struct {
		name     string
		segments []*segment
		moves    string
		client   string // its stream
		whole    bool
	}{
		{"an answer", opened(seg("c", "A", 1, 1, "ab"), seg("s", "A", 1, 3, "xy"), seg("c", "A", 3, 3, "c"), seg("s", "A", 3, 4, "z")),
			`2:"xy"; 3:"z"`, "abc", true},
		{"the server speaks first", opened(seg("s", "A", 1, 1, "hi"), seg("c", "A", 1, 3, "ab")), `0:"hi"`, "ab", true},
		{"said before the next turn was there", opened(seg("c", "A", 1, 1, "ab"), seg("s", "A", 1, 3, "x"), seg("c", "A", 3, 2, "c"), seg("s", "A", 2, 3, "y")),
			`2:"xy"`, "abc", true},
		{"out of order, and twice with other bytes", opened(seg("c", "A", 1, 1, "ab"), seg("s", "A", 2, 3, "y"), seg("s", "A", 1, 3, "x"), seg("s", "A", 1, 3, "XY")),
			`2:"xy"`, "ab", true},
		{"a byte that is never seen", opened(seg("c", "A", 1, 1, "ab"), seg("s", "A", 1, 3, "x"), seg("s", "A", 3, 3, "z")),
			`2:"x\x00z"`, "ab", false},
		{"the server closes first", opened(seg("s", "A", 1, 1, "hi"), seg("s", "FA", 3, 1, ""), seg("c", "FA", 1, 4, "")),
			`0:"hi"; 0:"" FIN`, "", true},
		{"an answer to the client's FIN", opened(seg("c", "FA", 1, 1, "ab"), seg("s", "A", 1, 4, "xy"), seg("s", "FA", 3, 4, "")),
			`2+FIN:"xy"; 2+FIN:"" FIN`, "ab", true},
		{"the server resets", opened(seg("c", "A", 1, 1, "ab"), seg("s", "A", 1, 3, "x"), seg("s", "RA", 2, 3, "")),
			`2:"x"; 2:"" RST`, "ab", true},
		{"a reset after both have closed", opened(seg("c", "FA", 1, 1, ""), seg("s", "FA", 1, 2, ""), seg("s", "R", 2, 0, "")),
			`0+FIN:"" FIN`, "", true},
		{"acknowledged and never captured", []*segment{seg("c", "S", 0, 0, ""), seg("c", "A", 1, 1, "ab"), seg("c", "A", 3, 6, "c"), seg("c", "A", 4, 8, "")},
			`2:"\x00\x00\x00\x00\x00"; 3:"\x00\x00"`, "abc", false},
		{"a probe before the window", opened(seg("c", "A", 1, 1, "ab"), seg("c", "A", 0, 1, "?")), "", "ab", true},
	} {
		s := (&connection{tt.segments}).scripts()
		if len(s) != 1 || written(s[0].moves) != tt.moves || string(s[0].streams[client]) != tt.client || s[0].whole != tt.whole {
			t.Errorf("%s: %d scripts, %s, %q, whole %v; want %s, %q, %v", tt.name, len(s), written(s[0].moves), s[0].streams[client], s[0].whole, tt.moves, tt.client, tt.whole)
		}
	}
	both := (&connection{[]*segment{seg("s", "A", 1, 1, "xy"), seg("c", "A", 1, 3, "ab")}}).scripts()
	if len(both) != 2 || both[0].client != serverAddr || both[1].client != clientAddr || both[1].begins || written(both[1].moves) != `0:"xy"` {
		t.Errorf("without SYN: %d scripts, %+v", len(both), both)
	}
}

func TestAlign(t *testing.T) {
	s := &script{seen: []seen{{0, 0}, {2, 5}, {4, 7}}}
	s.streams[client] = []byte("abcdef")
	for begin, want := range map[string]seen{"ab": {0, 0}, "cd": {2, 5}, "de": {3, 5}, "f": {5, 7}, "zz": {0, 0}} {
		if got := s.align([]byte(begin)); got != want {
			t.Errorf("%q: %+v, want %+v", begin, got, want)
		}
	}
}

// Whatever a file holds, a script says the server's bytes once and in order,
// and waits for nothing that the client never sent.
func FuzzScripts(f *testing.F) {
	f.Add([]byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x65\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x2a\x00\x00\x00\x2a\x00\x00\x00" +
		"\x45\x00\x00\x2a\x00\x00\x00\x00\x40\x06\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02" +
		"\x9c\x40\x00\x50\x00\x00\x00\x01\x00\x00\x00\x01\x50\x10\xff\xff\x00\x00\x00\x00hi"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, _ := scripts(func(each func(layers.LinkType, []byte)) error {
			return readPcap(bufio.NewReader(bytes.NewReader(data)), each)
		})
		for _, s := range all {
			var said []byte
			latest := cause{}
			for _, m := range s.moves {
				if latest.after(m.cause) {
					t.Fatalf("%+v comes after %+v", m.cause, latest)
				}
				latest = m.cause
				said = append(said, m.data...)
			}
			if !bytes.Equal(said, s.streams[server]) {
				t.Fatalf("says %d bytes, the stream has %d", len(said), len(s.streams[server]))
			}
			if latest.bytes > len(s.streams[client]) {
				t.Fatalf("waits for %d bytes of %d", latest.bytes, len(s.streams[client]))
			}
		}
	})
}
