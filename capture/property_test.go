package capture_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/session"
)

// truth is what one side is known to have sent, and which of it the capture
// holds.
type truth struct {
	sent     []byte
	captured []bool
	acked    int // highest acknowledgement of the other side's that the capture holds
}

// check compares what came out of one direction: bytes where the capture has
// them, gaps that name exactly what it has not, in order, up to what was
// acknowledged or, behind that, to the first hole.
func (s *truth) check(events []session.Event, side session.Side) error {
	at := 0
	for _, e := range events {
		if e.Side != side {
			continue
		}
		switch e.Kind {
		case session.Data:
			for i, b := range e.Data {
				if at+i >= len(s.sent) || b != s.sent[at+i] {
					return fmt.Errorf("%v: byte %d is not what was sent", side, at+i)
				}
				if !s.captured[at+i] {
					return fmt.Errorf("%v: byte %d was not captured", side, at+i)
				}
			}
			at += len(e.Data)
		case session.Gap:
			for i := at; i < at+int(e.Missing); i++ {
				if i >= len(s.sent) || s.captured[i] {
					return fmt.Errorf("%v: byte %d is called missing", side, i)
				}
			}
			at += int(e.Missing)
		}
	}
	end := s.acked
	for end < len(s.sent) && s.captured[end] {
		end++
	}
	if at != end {
		return fmt.Errorf("%v: %d bytes came out, want %d", side, at, end)
	}
	return nil
}

// TestReassemblyProperty cuts two random streams into segments, sends some of
// them again with other boundaries, loses some, repeats some and moves some,
// and wants both streams back but for what was lost for good.
func TestReassemblyProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type sent struct {
			side, from, to int
			ack, place     int
			packet         capturetest.Packet
		}
		streams := [2]truth{}
		content := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "content"), 0))
		for i := range streams {
			streams[i].sent = make([]byte, rapid.IntRange(0, 20000).Draw(t, "bytes"))
			for at := range streams[i].sent {
				streams[i].sent[at] = byte(content.Uint32())
			}
			streams[i].captured = make([]bool, len(streams[i].sent))
		}
		c := capturetest.New("10.0.0.1:4000", "10.0.0.2:80")
		c.Seq = [2]uint32{rapid.Uint32().Draw(t, "client's number"), rapid.Uint32().Draw(t, "server's number")}
		c.Handshake()
		first := c.Seq
		opening := slices.Clone(c.Packets)
		var segments []sent
		var before [][2]int // next, segment by segment
		next := [2]int{}
		for next[0] < len(streams[0].sent) || next[1] < len(streams[1].sent) {
			side := rapid.IntRange(0, 1).Draw(t, "side")
			from := next[side]
			if rapid.IntRange(0, 5).Draw(t, "again") == 0 {
				from = max(0, from-rapid.IntRange(1, 1500).Draw(t, "back"))
				if n := len(before) - 20; n >= 0 {
					from = max(from, before[n][side])
				}
			}
			before = append(before, next)
			to := min(from+rapid.IntRange(0, 1460).Draw(t, "length"), len(streams[side].sent))
			next[side] = max(next[side], to)
			ack := next[side^1] // all that was sent: loss is the capture's
			c.Now = c.Now.Add(c.Step)
			i := c.Raw(side, layers.TCP{ACK: true, Seq: first[side] + uint32(from), Ack: first[side^1] + uint32(ack)}, streams[side].sent[from:to])
			segments = append(segments, sent{side, from, to, ack, 0, c.Packets[i]})
		}
		loss := rapid.SampledFrom([]int{0, 1, 5, 30}).Draw(t, "percent lost")
		var kept []sent
		for _, s := range segments {
			if rapid.IntRange(0, 99).Draw(t, "lost") < loss {
				continue
			}
			kept = append(kept, s)
			if rapid.IntRange(0, 9).Draw(t, "twice") == 0 {
				kept = append(kept, s)
			}
		}
		// Here and above, what comes late is late by a few packets: beyond what
		// the gap rule waits, it is missing although it comes.
		for i := range kept {
			kept[i].place = i
			if rapid.IntRange(0, 4).Draw(t, "moved") == 4 {
				kept[i].place += rapid.IntRange(1, 20).Draw(t, "by")
			}
		}
		slices.SortStableFunc(kept, func(x, y sent) int { return x.place - y.place })
		packets := opening
		for _, s := range kept {
			p := s.packet
			p.Time = capturetest.Epoch.Add(c.Step * 3)
			packets = append(packets, p)
			for i := s.from; i < s.to; i++ {
				streams[s.side].captured[i] = true
			}
			streams[s.side^1].acked = max(streams[s.side^1].acked, s.ack)
		}
		asm := capture.NewAssembler(capture.AssemblerConfig{})
		var r record
		for part := range slices.Chunk(batch(packets), rapid.IntRange(1, 100).Draw(t, "batch")) {
			r.take(asm.Packets(part))
		}
		r.take(asm.Flush())
		if len(r.sessions) != 1 {
			t.Fatalf("%d sessions", len(r.sessions))
		}
		for side := range streams {
			if err := streams[side].check(r.events[r.sessions[0]], session.Side(side)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestCaptureLoss removes packets of whole sessions at random, as a capture
// that could not follow, and wants every missing byte named.
func TestCaptureLoss(t *testing.T) {
	for _, percent := range []int{1, 5} {
		t.Run(fmt.Sprint(percent, " %"), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(7, uint64(percent)))
			load := capturetest.HTTP(capturetest.Load{Sessions: 200, Requests: 3, Request: 3000, Answer: 20000})
			known := make(map[netip.AddrPort]*[2]truth) // by client
			isn := make(map[netip.AddrPort]*[2]uint32)
			var kept []capturetest.Packet
			lost := 0
			for _, p := range load {
				seg := parse(t, p.Data)
				if isn[seg.client] == nil {
					isn[seg.client], known[seg.client] = new([2]uint32), new([2]truth)
				}
				if seg.tcp.SYN {
					isn[seg.client][seg.side] = seg.tcp.Seq + 1
				}
				own, peer := &known[seg.client][seg.side], &known[seg.client][seg.side^1]
				from := int(seg.tcp.Seq - isn[seg.client][seg.side])
				if n := from + len(seg.tcp.Payload); !seg.tcp.SYN && n > len(own.sent) {
					own.sent = append(own.sent, seg.tcp.Payload...)
					own.captured = append(own.captured, make([]bool, len(seg.tcp.Payload))...)
				}
				// The handshake is kept: without it nobody could say how much
				// of the beginning is missing.
				handshake := seg.tcp.SYN || from == 0 && len(seg.tcp.Payload) == 0
				if !handshake && rng.IntN(100) < percent {
					lost++
					continue
				}
				kept = append(kept, p)
				for i := range seg.tcp.Payload {
					own.captured[from+i] = true
				}
				if seg.tcp.ACK && !seg.tcp.SYN {
					peer.acked = max(peer.acked, int(seg.tcp.Ack-isn[seg.client][seg.side^1]))
				}
			}
			asm := capture.NewAssembler(capture.AssemblerConfig{Ports: []uint16{80}})
			var r record
			for part := range slices.Chunk(batch(kept), 200) {
				r.take(asm.Packets(part))
			}
			r.take(asm.Flush())
			if len(r.sessions) != 200 {
				t.Fatalf("%d sessions", len(r.sessions))
			}
			gaps := 0
			for _, s := range r.sessions {
				totals, _ := s.Totals()
				for side, k := range known[s.Client] {
					if over := k.acked - len(k.sent); over > 0 {
						k.acked = len(k.sent)
						if totals.FIN == [2]bool{} { // both lost: nobody can know that this was one
							k.sent, k.captured, k.acked = append(k.sent, 0), append(k.captured, false), k.acked+1
						}
					}
					if err := k.check(r.events[s], session.Side(side)); err != nil {
						t.Errorf("%v: %v", s.Client, err)
					}
					if totals.Missing[side] > 0 {
						gaps++
					}
				}
			}
			if lost == 0 || gaps == 0 {
				t.Errorf("%d packets lost, %d directions with gaps: nothing was tested", lost, gaps)
			}
			t.Logf("%d of %d packets lost, %d directions with gaps", lost, len(load), gaps)
		})
	}
}

// parsed is a frame of the load.
type parsed struct {
	client netip.AddrPort
	side   int
	tcp    *layers.TCP
}

func parse(t *testing.T, frame []byte) parsed {
	t.Helper()
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
	ip, tcp := p.NetworkLayer().(*layers.IPv4), p.TransportLayer().(*layers.TCP)
	addr, port, side := ip.SrcIP, tcp.SrcPort, 0
	if tcp.SrcPort == 80 {
		addr, port, side = ip.DstIP, tcp.DstPort, 1
	}
	a, _ := netip.AddrFromSlice(addr)
	return parsed{netip.AddrPortFrom(a, uint16(port)), side, tcp}
}
