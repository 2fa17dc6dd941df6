package capture

import (
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"tcpsandbox/capture/capturetest"
)

// What counts as sent again, and what does not.
func TestRetransmissionsAreCounted(t *testing.T) {
	const cl, sv = 0, 1
	script := func() *capturetest.Conn { return capturetest.New("10.0.0.1:4000", "10.0.0.2:80") }
	again := func(c *capturetest.Conn, i int) *capturetest.Conn {
		c.Now = c.Now.Add(c.Step)
		c.Packets = append(c.Packets, capturetest.Packet{Time: c.Now, Data: c.Packets[i].Data})
		return c
	}
	move := func(c *capturetest.Conn, i int) *capturetest.Conn { return again(c, i).Drop(i) }
	large := script()
	large.MSS = 60_000
	large.Handshake().Client("q").Server(strings.Repeat("x", 14480))
	for _, tt := range []struct {
		name      string
		conn      *capturetest.Conn
		all, sent uint64
	}{
		{"a handshake has no data", again(script().Handshake(), 0), 0, 0},
		{"request and answer", script().Handshake().Client("ab").Server("xy").ClientACK().Close(), 2, 0},
		{"the server sends again", again(script().Handshake().Client("ab").Server("xy"), 4), 3, 1},
		{"the client sends again what was acknowledged", again(script().Handshake().Client("ab").Server("xy"), 3), 3, 1},
		{"overtaken", move(script().Handshake().Client("ab").Client("cd"), 3), 2, 0},
		{"lost before it came here", move(script().Handshake().Client("ab").Client("cd").Wait(5*time.Millisecond), 3), 2, 1},
		{"more behind it", func() *capturetest.Conn {
			c := script().Handshake().Client("abcd")
			c.Seq[cl] -= 4
			return c.Client("abcdef")
		}(), 2, 0},
		{"a keep-alive probe", func() *capturetest.Conn {
			c := script().Handshake().Client("ab").ServerACK()
			c.Raw(cl, layers.TCP{ACK: true, Seq: c.Seq[cl] - 1, Ack: c.Seq[sv], Window: 65535}, []byte{0})
			return c
		}(), 2, 0},
		{"one that was put together from ten", large, 11, 0},
		{"and one of those sent again", func() *capturetest.Conn {
			large := script()
			large.MSS = 60_000
			large.Handshake().Client("q").Server(strings.Repeat("x", 14480))
			large.Seq[sv] -= 1448
			return large.Server(strings.Repeat("x", 1448))
		}(), 12, 1},
	} {
		a := NewAssembler(AssemblerConfig{Ports: []uint16{80}})
		for _, p := range tt.conn.Packets {
			a.Packets([]Packet{{Time: p.Time.UnixNano(), Data: p.Data, OrigLen: len(p.Data), Link: LinkEthernet}})
		}
		if s := a.Stats(); s.DataSegments != tt.all || s.Retransmitted != tt.sent {
			t.Errorf("%s: %d of %d were sent again, want %d of %d", tt.name, s.Retransmitted, s.DataSegments, tt.sent, tt.all)
		}
	}
}
