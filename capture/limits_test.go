package capture

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"tcpsandbox/capture/capturetest"
	"tcpsandbox/session"
)

func scripted(c *capturetest.Conn) []Packet {
	all := make([]Packet, len(c.Packets))
	for i, p := range c.Packets {
		all[i] = Packet{Data: p.Data, Time: p.Time.UnixNano(), OrigLen: len(p.Data), Link: LinkEthernet}
	}
	return all
}

// TestBufferLimit loses the first packet and sends more than may wait.
func TestBufferLimit(t *testing.T) {
	for _, acked := range []bool{false, true} {
		c := capturetest.New("10.0.0.1:4000", "10.0.0.2:80").Handshake()
		lost := len(c.Packets)
		for range 40 {
			c.Client(string(make([]byte, 1000)))
			if acked {
				c.ServerACK()
			}
		}
		asm := NewAssembler(AssemblerConfig{MaxSessionBuffered: 10 * (1000 + pieceCost)})
		touched := asm.Packets(scripted(c.Drop(lost)))
		totals, _ := touched[0].Totals()
		s := asm.Stats()
		switch {
		case s.Buffered > 10*(1000+pieceCost):
			t.Errorf("acknowledged %v: %d bytes wait", acked, s.Buffered)
		case acked && (totals.Missing[session.Client] != 1000 || totals.Bytes[session.Client] != 39000 || s.Shed != 0):
			t.Errorf("the hole was not closed to make room: %+v, %+v", totals, s)
		case !acked && (totals.Bytes[session.Client] != 0 || s.Shed != 29000):
			t.Errorf("%+v, %+v", totals, s)
		}
		asm.Flush()
		if s := asm.Stats(); s.Buffered != 0 || !acked && s.Orphaned != 10000 {
			t.Errorf("at the end: %+v", s)
		}
	}
}

func TestFlowLimit(t *testing.T) {
	asm := NewAssembler(AssemblerConfig{MaxFlows: 10})
	for i := range 20 {
		c := capturetest.New("10.0.0.1:4000", "10.0.0.2:80")
		c.Ends[0] = netip.AddrPortFrom(c.Ends[0].Addr(), uint16(4000+i))
		asm.Packets(scripted(c.SYN()))
	}
	if s := asm.Stats(); s.Sessions != 10 || s.Refused != 10 {
		t.Errorf("%+v", s)
	}
}

// TestForgetting lets ended and idle flows run out of the table, by packets
// and by Tick, over jumps of every size.
func TestForgetting(t *testing.T) {
	for _, jump := range []time.Duration{time.Second, 9 * time.Second, 11 * time.Second, time.Minute, 11 * time.Minute, time.Hour, 23 * time.Hour} {
		asm := NewAssembler(AssemblerConfig{})
		ended := capturetest.New("10.0.0.1:4000", "10.0.0.2:80").Handshake().Close()
		live := capturetest.New("10.0.0.1:4001", "10.0.0.2:80").Handshake()
		asm.Packets(append(scripted(ended), scripted(live)...))
		wall := time.Now() // not the packets' time at all
		for at := time.Duration(0); at < jump; at += max(jump/3, time.Second) {
			asm.Tick(wall.Add(at))
		}
		touched := slices.Clone(asm.Tick(wall.Add(jump)))
		want := 2
		if jump > 10*time.Second+time.Second {
			want--
		}
		if jump > 10*time.Minute+time.Second {
			want--
		}
		if got := len(asm.flows); got != want && !(jump == 11*time.Second && got == 1) {
			t.Errorf("after %v %d flows are in the table, want %d", jump, got, want)
		}
		for _, s := range touched {
			if _, cause := s.Totals(); cause != session.Idle {
				t.Errorf("after %v: ended as %v", jump, cause)
			}
		}
		filed := 0
		for _, f := range asm.wheel.slots {
			for ; f != nil; f = f.with {
				filed++
			}
		}
		if filed != len(asm.flows) {
			t.Errorf("after %v: %d flows in the wheel, %d in the table", jump, filed, len(asm.flows))
		}
	}
}

func TestBrokenTimestamp(t *testing.T) {
	c := capturetest.New("10.0.0.1:4000", "10.0.0.2:80").Handshake().Client("ab").Client("cd").Close()
	packets := scripted(c)
	packets[3].Time += int64(40 * 365 * 24 * time.Hour)
	for _, size := range []int{1, 100} {
		asm := NewAssembler(AssemblerConfig{})
		var s *session.Session
		for part := range slices.Chunk(packets, size) {
			for _, s = range asm.Packets(part) {
			}
		}
		if totals, cause := s.Totals(); cause != session.Closed || totals.Bytes[session.Client] != 4 || totals.Last > time.Second {
			t.Errorf("%+v, %v", totals, cause)
		}
	}
}

func TestNoAllocationPerPacket(t *testing.T) {
	c := capturetest.New("10.0.0.1:4000", "10.0.0.2:80").Handshake().Client("ab")
	asm := NewAssembler(AssemblerConfig{})
	asm.Packets(scripted(c))
	again := scripted(c.ServerACK())[3:]
	if n := testing.AllocsPerRun(100, func() { asm.Packets(again) }); n != 0 {
		t.Errorf("%v allocations for a retransmission and an acknowledgement", n)
	}
}
