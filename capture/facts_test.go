package capture

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"tcpsandbox/capture/capturetest"
	"tcpsandbox/session"
)

// wireText writes what is known, "C" and "S" being the sides; times are in
// microseconds. One packet of a script comes 100 µs after the other.
func wireText(w session.Wire) string {
	if !w.Gathered {
		return "nothing"
	}
	var words []string
	for side, s := range w.Sides {
		us := func(d time.Duration) string {
			if d == session.Unknown {
				return "?"
			}
			return fmt.Sprint(d.Microseconds())
		}
		text := fmt.Sprintf("%c%d", "CS"[side], s.Segments)
		add := func(format string, args ...any) { text += " " + fmt.Sprintf(format, args...) }
		add("hs=%s", us(s.Handshake))
		if s.RTT >= 0 || s.MinRTT >= 0 {
			add("rtt=%s/%s", us(s.MinRTT), us(s.RTT))
		}
		if s.Retransmitted > 0 || s.RetransmittedBytes > 0 {
			add("again=%d/%dB", s.Retransmitted, s.RetransmittedBytes)
		}
		if s.OutOfOrder > 0 {
			add("late=%d", s.OutOfOrder)
		}
		switch {
		case s.Window < 0:
			add("win=?")
		case s.Unscaled:
			add("win=%d?", s.Window)
		default:
			add("win=%d", s.Window)
		}
		if s.ZeroWindows > 0 {
			add("zero=%d", s.ZeroWindows)
		}
		if s.FINAt >= 0 {
			add("fin=%s", us(s.FINAt))
		}
		words = append(words, text)
	}
	if w.Reset {
		words = append(words, fmt.Sprintf("reset by %v at %d", w.ResetBy, w.ResetAt.Microseconds()))
	} else if w.ResetAt >= 0 {
		words = append(words, "no reset at", fmt.Sprint(w.ResetAt))
	}
	return strings.Join(words, ", ")
}

func TestWire(t *testing.T) {
	const cl, sv = 0, 1
	script := func() *capturetest.Conn { return capturetest.New("10.0.0.1:4000", "10.0.0.2:80") }
	scaled := func(n byte) layers.TCP {
		return layers.TCP{Options: []layers.TCPOption{
			{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 180}},
			{OptionType: layers.TCPOptionKindNop, OptionLength: 1},
			{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{n}},
		}}
	}
	// opened is a handshake with the window scales given, or none if negative.
	opened := func(c *capturetest.Conn, client, server int) *capturetest.Conn {
		for side, n := range []int{client, server} {
			tcp := layers.TCP{}
			if n >= 0 {
				tcp = scaled(byte(n))
			}
			tcp.SYN, tcp.ACK = true, side == sv
			c.Send(side, tcp, nil)
		}
		return c.ClientACK()
	}
	again := func(c *capturetest.Conn, i int) *capturetest.Conn { // the same packet, now
		c.Now = c.Now.Add(c.Step)
		c.Packets = append(c.Packets, capturetest.Packet{Time: c.Now, Data: c.Packets[i].Data})
		return c
	}
	window := func(c *capturetest.Conn, w uint16) *capturetest.Conn { c.Window = w; return c }
	slow := func() *capturetest.Conn { // a round trip of 1.2 ms
		return script().SYN().SYNACK().Wait(time.Millisecond).ClientACK()
	}
	// move takes the packet at index i to the end, where it comes one step later.
	move := func(c *capturetest.Conn, i int) *capturetest.Conn { return again(c, i).Drop(i) }
	for _, tt := range []struct {
		name string
		conn *capturetest.Conn
		want string
	}{
		{"handshake", script().Handshake(), "C2 hs=100 win=65535, S1 hs=100 win=65535"},
		{"a slow client", script().SYN().SYNACK().Wait(30 * time.Millisecond).ClientACK(), "C2 hs=30100 win=65535, S1 hs=100 win=65535"},
		{"SYN sent again", again(script().SYN(), 0).SYNACK().ClientACK(), "C3 hs=100 again=1/0B win=65535, S1 hs=? win=65535"},
		{"SYN+ACK sent again", again(script().SYN().SYNACK(), 1).ClientACK(), "C2 hs=? win=65535, S2 hs=100 again=1/0B win=65535"},
		{"SYN+ACK captured before the SYN", move(script().SYN().SYNACK(), 0).ClientACK(), "C2 hs=200 win=65535, S1 hs=? win=65535"},
		{"the ACK rides on the request", script().SYN().SYNACK().Client("ab"), "C2 hs=? win=65535, S1 hs=100 win=65535"},
		{"the first ACK comes after the answer", script().SYN().SYNACK().Client("ab").Server("xy").ClientACK(), "C3 hs=? rtt=100/100 win=65535, S2 hs=100 rtt=100/100 win=65535"},
		{"request and answer", script().Handshake().Client("ab").Wait(time.Millisecond).Server("xy").ClientACK().Client("cd").ServerACK(),
			"C5 hs=100 rtt=100/100 win=65535, S3 hs=100 rtt=100/100 win=65535"},
		{"the last of many round trips", script().Handshake().Client("ab").ServerACK().Client("cd").Wait(time.Millisecond).ServerACK(),
			"C4 hs=100 win=65535, S3 hs=100 rtt=100/1100 win=65535"},
		{"one segment of a flight is timed", script().Handshake().Client("ab").Client("cd").Client("ef").ServerACK(),
			"C5 hs=100 win=65535, S2 hs=100 rtt=300/300 win=65535"},
		{"sent again before it is acknowledged: not timed", again(script().Handshake().Client("ab"), 3).ServerACK(),
			"C4 hs=100 again=1/2B win=65535, S2 hs=100 win=65535"},
		{"sent again after it is acknowledged", again(script().Handshake().Client("abc").ServerACK(), 3),
			"C4 hs=100 again=1/3B win=65535, S2 hs=100 rtt=100/100 win=65535"},
		{"sent again, with more behind it", func() *capturetest.Conn {
			c := script().Handshake().Client("abcd")
			c.Seq[cl] -= 4
			return c.Client("abcdef")
		}(), "C4 hs=100 again=1/4B win=65535, S1 hs=100 win=65535"},
		{"a keep-alive probe", func() *capturetest.Conn {
			c := script().Handshake().Client("ab").ServerACK()
			c.Raw(cl, layers.TCP{ACK: true, Seq: c.Seq[cl] - 1, Ack: c.Seq[sv], Window: 65535}, []byte{0})
			c.Raw(cl, layers.TCP{ACK: true, Seq: c.Seq[cl] - 1, Ack: c.Seq[sv], Window: 65535}, nil)
			return c
		}(), "C5 hs=100 win=65535, S2 hs=100 rtt=100/100 win=65535"},
		{"one byte sent again is no probe", again(script().Handshake().Client("a"), 3), "C4 hs=100 again=1/1B win=65535, S1 hs=100 win=65535"},
		{"out of order", move(script().Handshake().Client("ab").Client("cd"), 3).ServerACK(),
			"C4 hs=100 late=1 win=65535, S2 hs=100 win=65535"},
		{"a hole filled after a round trip was sent again", move(script().Handshake().Client("ab").Client("cd").Wait(time.Millisecond), 3),
			"C4 hs=100 again=1/2B win=65535, S1 hs=100 win=65535"},
		{"without a handshake, within 3 ms", move(script().Server("x").Client("ab").Client("cd").Client("ef").Wait(2*time.Millisecond), 2),
			"C3 hs=? rtt=100/100 late=1 win=65535?, S1 hs=? win=65535?"},
		{"or later", move(script().Server("x").Client("ab").Client("cd").Client("ef").Wait(4*time.Millisecond), 2),
			"C3 hs=? rtt=100/100 again=1/2B win=65535?, S1 hs=? win=65535?"},
		{"what waits behind a hole, sent again", again(script().Handshake().Client("ab").Client("cd").Client("ef").Drop(3), 4),
			"C5 hs=100 again=1/2B win=65535, S1 hs=100 win=65535"},
		{"the hole between what waits", move(slow().Client("ab").Client("cd").Client("ef").Client("gh").Drop(3), 4),
			"C5 hs=1100 late=1 win=65535, S1 hs=100 win=65535"},
		{"what waits behind a hole, sent again at once", again(slow().Client("ab").Client("cd").Drop(3), 3),
			"C4 hs=1100 again=1/2B win=65535, S1 hs=100 win=65535"},
		{"what lies before a hole, sent again at once", again(slow().Client("ab").Client("cd").Client("ef").Drop(4), 3),
			"C5 hs=1100 again=1/2B win=65535, S1 hs=100 win=65535"},
		{"more behind a hole does not hide it", move(slow().Client("ab").Client("cd").Client("ef"), 3),
			"C5 hs=1100 late=1 win=65535, S1 hs=100 win=65535"},
		{"another hole does not make the first one new", move(script().Handshake().Client("ab").Client("cd").Client("ef").Client("gh").Drop(5), 3),
			"C5 hs=100 again=1/2B win=65535, S1 hs=100 win=65535"},
		{"behind a hole nothing is timed", script().Handshake().Client("ab").Client("cd").Client("ef").Drop(3).ServerACK(),
			"C4 hs=100 win=65535, S2 hs=100 win=65535"},
		{"the acknowledgement is captured before the data", move(script().Handshake().Client("ab").ServerACK(), 3).ServerACK(),
			"C3 hs=100 win=65535, S3 hs=100 win=65535"},
		{"the acknowledgement covers more than was captured", script().Handshake().Client("ab").Client("cd").ServerACK().Drop(4),
			"C3 hs=100 win=65535, S2 hs=100 rtt=200/200 win=65535"},
		{"an acknowledgement that is garbage", func() *capturetest.Conn {
			c := script().Handshake().Client("ab")
			c.Raw(sv, layers.TCP{ACK: true, Seq: c.Seq[sv], Ack: c.Seq[cl] + 1<<31 - 10, Window: 65535}, nil)
			return c
		}(), "C3 hs=100 win=65535, S2 hs=100 win=65535"},
		{"the clock goes back", script().SYN().Wait(-time.Millisecond).SYNACK().ClientACK().Client("ab").Wait(-time.Millisecond).ServerACK(),
			"C3 hs=100 win=65535, S2 hs=? win=65535"},
		{"the first ACK not captured", script().SYN().SYNACK().Client("ab").ClientACK(), "C3 hs=? win=65535, S1 hs=100 win=65535"},

		{"the SYN+ACK's window is not scaled", opened(window(script(), 1000), 7, 2), "C2 hs=100 win=128000, S1 hs=100 win=1000"},
		{"scaled windows", opened(window(script(), 1000), 7, 2).Client("ab").ServerACK(), "C3 hs=100 win=128000, S2 hs=100 rtt=100/100 win=4000"},
		{"the SYN's window is not scaled", func() *capturetest.Conn {
			c := window(script(), 1000)
			tcp := scaled(7)
			tcp.SYN = true
			c.Send(cl, tcp, nil)
			return c
		}(), "C1 hs=? win=1000, S0 hs=? win=?"},
		{"no scale by the client", opened(window(script(), 1000), -1, 2).Client("ab").ServerACK(), "C3 hs=100 win=1000, S2 hs=100 rtt=100/100 win=1000"},
		{"no scale by the server", opened(window(script(), 1000), 7, -1).Client("ab").ServerACK(), "C3 hs=100 win=1000, S2 hs=100 rtt=100/100 win=1000"},
		{"scale of more than may be", opened(window(script(), 1), 200, 15).ServerACK(), "C2 hs=100 win=16384, S2 hs=100 win=16384"},
		{"SYN not captured: the server's scale is known", opened(window(script(), 1000), 7, 2).Client("ab").ServerACK().Drop(0),
			"C2 hs=100 win=1000?, S2 hs=? rtt=100/100 win=4000"},
		{"SYN+ACK not captured: no scale is known", opened(window(script(), 1000), 7, 2).Client("ab").ServerACK().Drop(1),
			"C3 hs=? win=1000?, S1 hs=? rtt=100/100 win=1000?"},
		{"zero windows", func() *capturetest.Conn {
			c := window(opened(script(), 3, 3).Client("ab"), 0).ServerACK()
			return window(c.ServerACK(), 5).ServerACK()
		}(), "C3 hs=100 win=524280, S4 hs=100 rtt=100/100 win=40 zero=2"},

		{"the client resets", script().Handshake().Client("ab").Server("xy").ClientRST().ServerACK(),
			"C4 hs=100 win=65535, S2 hs=100 rtt=100/100 win=65535, reset by client at 500"},
		{"the server resets, and the client answers", window(script().Handshake().Client("ab"), 0).ServerRST().ClientRST(),
			"C3 hs=100 win=65535, S2 hs=100 win=65535, reset by server at 400"},
		{"refused", window(script().SYN(), 0).ServerRST(), "C1 hs=? win=65535, S1 hs=? win=0, reset by server at 100"},
		{"a reset out of the window", func() *capturetest.Conn {
			c := script().Handshake()
			c.Raw(sv, layers.TCP{RST: true, Seq: c.Seq[sv] - 100}, nil)
			return c
		}(), "C2 hs=100 win=65535, S2 hs=100 win=65535"},
		{"closed", script().Handshake().Close(), "C4 hs=100 win=65535 fin=300, S2 hs=100 win=65535 fin=400"},
		{"FIN sent again", again(script().Handshake().ClientFIN(), 3), "C4 hs=100 again=1/0B win=65535 fin=300, S1 hs=100 win=65535"},
		{"data and FIN sent again", func() *capturetest.Conn {
			c := script().Handshake()
			c.Send(cl, layers.TCP{ACK: true, FIN: true}, []byte("ab"))
			return again(c, 3)
		}(), "C4 hs=100 again=1/2B win=65535 fin=300, S1 hs=100 win=65535"},
		{"FIN before the data", move(script().Handshake().Client("ab").ClientFIN(), 3), "C4 hs=100 again=1/2B win=65535 fin=400, S1 hs=100 win=65535"},
		{"data behind the end changes nothing", script().Handshake().ClientRST().Client("ab"), "C3 hs=100 win=65535, S1 hs=100 win=65535, reset by client at 300"},

		{"joined", script().Client("ab").ServerACK().Server("xy").ClientACK(), "C2 hs=? rtt=100/100 win=65535?, S2 hs=? rtt=100/100 win=65535?"},
		{"joined at an answer", script().Server("xy").Client("cd").ServerACK(), "C1 hs=? rtt=100/100 win=65535?, S2 hs=? rtt=100/100 win=65535?"},
		{"client only", script().Handshake().Client("ab").Server("xy").Client("cd").ClientFIN().Drop(4).Drop(1),
			"C5 hs=? win=65535 fin=600, S0 hs=? win=?"},
		{"IPv6", opened(window(capturetest.New("[2001:db8::1]:4000", "[2001:db8::2]:80"), 9), 1, 2).Client("ab").Server("xy").ClientRST(),
			"C4 hs=100 win=18, S2 hs=100 rtt=100/100 win=36, reset by client at 500"},
		{"the numbers wrap", func() *capturetest.Conn {
			c := script()
			c.Seq = [2]uint32{1<<32 - 3, 1<<32 - 2}
			return again(c.Handshake().Client("abcd"), 3).ServerACK()
		}(), "C4 hs=100 again=1/4B win=65535, S2 hs=100 win=65535"},
		{"data on the SYN", func() *capturetest.Conn {
			c := script()
			c.Send(cl, layers.TCP{SYN: true}, []byte("ab"))
			return c.SYNACK().ClientACK()
		}(), "C2 hs=100 win=65535, S1 hs=100 rtt=100/100 win=65535"},
		{"garbage far from the stream", func() *capturetest.Conn {
			c := script().Handshake().Client("ab")
			c.Raw(cl, layers.TCP{ACK: true, Seq: c.Seq[cl] + 1<<31 - 1, Ack: c.Seq[sv] + 1<<31 - 1, Window: 65535}, []byte("xy"))
			return c
		}(), "C4 hs=100 win=65535, S1 hs=100 win=65535"},
	} {
		for _, size := range []int{1, 1000} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, size), func(t *testing.T) {
				asm := NewAssembler(AssemblerConfig{Facts: true})
				var s *session.Session
				packets := scripted(tt.conn)
				for len(packets) > 0 {
					n := min(size, len(packets))
					for _, s = range asm.Packets(packets[:n]) {
					}
					packets = packets[n:]
				}
				if got := wireText(s.Wire()); got != tt.want {
					t.Errorf("\n got %s\nwant %s", got, tt.want)
				}
				asm.Flush()
				if got := wireText(s.Wire()); got != tt.want {
					t.Errorf("after the end of the capture:\n got %s\nwant %s", got, tt.want)
				}
			})
		}
	}
}

// Nobody asked: nothing is noted; and a UDP flow has none of it.
func TestNoWire(t *testing.T) {
	asm := NewAssembler(AssemblerConfig{})
	s := asm.Packets(scripted(capturetest.New("10.0.0.1:4000", "10.0.0.2:80").Handshake().Client("ab")))[0]
	if w := s.Wire(); w != session.NoWire() {
		t.Errorf("got %+v", w)
	}
	c := capturetest.New("10.0.0.1:4000", "10.0.0.2:53")
	data := capturetest.UDPFrame(c.Ends[0], c.Ends[1], nil, []byte("ab"))
	asm = NewAssembler(AssemblerConfig{Facts: true, UDP: []uint16{53}})
	s = asm.Packets([]Packet{{Data: data, Time: 1e18, OrigLen: len(data), Link: LinkEthernet}})[0]
	if w := s.Wire(); w != session.NoWire() {
		t.Errorf("got %+v", w)
	}
}

// A reader may look while the capture writes: for the race detector.
func TestWireWhileWritten(t *testing.T) {
	asm := NewAssembler(AssemblerConfig{Facts: true})
	packets := scripted(capturetest.New("10.0.0.1:4000", "10.0.0.2:80").Handshake().Client(strings.Repeat("x", 1460*2000)))
	s := asm.Packets(packets[:4])[0]
	seen := make(chan uint64)
	go func() {
		n := uint64(0)
		for n < uint64(len(packets)-1) {
			n = s.Wire().Sides[session.Client].Segments
		}
		seen <- n
	}()
	for part := range slices.Chunk(packets[4:], 10) {
		asm.Packets(part)
	}
	if n := <-seen; n != uint64(len(packets)-1) {
		t.Errorf("%d segments of the client, want %d", n, len(packets)-1)
	}
}

func TestWindowScale(t *testing.T) {
	for _, tt := range []struct {
		options string
		want    int8
	}{
		{"", noScale},
		{"\x03\x03\x07", 7},
		{"\x03\x03\x00", 0},
		{"\x03\x03\x0f", 14},
		{"\x02\x04\x05\xb4\x01\x03\x03\x09", 9},
		{"\x02\x04\x05\xb4\x04\x02\x08\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x01\x03\x03\x08", 8},
		{"\x00\x03\x03\x07", noScale},             // behind the list's end
		{"\x03\x03", noScale},                     // cut off by the capture
		{"\x03\x04\x07\x07", noScale},             // not its length
		{"\x02\x00\x03\x03\x07", noScale},         // a length that leads nowhere
		{"\x02\x01\x03\x03\x07", noScale},         //
		{"\x02\x09\x03\x03\x07", noScale},         // one that leads out
		{"\x02", noScale},                         //
		{"\xfe\x02\x03\x03\x06", 6},               // an option that nobody knows
		{"\x03\x03\x02\x03\x03\x05", 2},           // the first counts
		{"\x01\x01\x01\x01\x01\x01\x01", noScale}, //
	} {
		if got := windowScale([]byte(tt.options)); got != tt.want {
			t.Errorf("% x: got %d, want %d", tt.options, got, tt.want)
		}
	}
}
