package capture_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/session"
)

// batch makes a batch of scripted packets.
func batch(packets []capturetest.Packet) []capture.Packet {
	all := make([]capture.Packet, len(packets))
	for i, p := range packets {
		all[i] = capture.Packet{Data: slices.Clone(p.Data), Time: p.Time.UnixNano(), OrigLen: len(p.Data), Link: capture.LinkEthernet}
	}
	return all
}

// record keeps every session's events as text.
type record struct {
	sessions []*session.Session
	events   map[*session.Session][]session.Event
}

func (r *record) take(touched []*session.Session) {
	if r.events == nil {
		r.events = make(map[*session.Session][]session.Event)
	}
	for _, s := range touched {
		if !slices.Contains(r.sessions, s) {
			r.sessions = append(r.sessions, s)
		}
		events, _ := s.Take(nil)
		r.events[s] = append(r.events[s], events...)
	}
}

// text writes a session on one line: "C" and "S" are the sides, "@" is Seen
// and "!" SeenFIN.
func (r *record) text(i int) string {
	if i >= len(r.sessions) {
		return "(none)"
	}
	s := r.sessions[i]
	var words []string
	if s.Joined {
		words = append(words, "joined")
	}
	for _, e := range r.events[s] {
		w := "CS"[e.Side:e.Side+1] + e.Kind.String()
		switch e.Kind {
		case session.Data:
			w = fmt.Sprintf("%s%q", "CS"[e.Side:e.Side+1], e.Data)
		case session.Gap:
			w += fmt.Sprint(e.Missing)
		}
		if e.Seen > 0 {
			w += fmt.Sprint("@", e.Seen)
		}
		if e.SeenFIN {
			w += "!"
		}
		words = append(words, w)
	}
	_, cause := s.Totals()
	return strings.Join(append(words, cause.String()), " ")
}

func script() *capturetest.Conn { return capturetest.New("10.0.0.1:4000", "10.0.0.2:80") }

func TestAssembler(t *testing.T) {
	const (
		cl, sv = 0, 1
		whole  = `Copen Sopen C"ab" S"xyz" C"cd"@3 CFIN@3 SFIN closed`
	)
	basic := func() *capturetest.Conn {
		return script().Handshake().Client("ab").Server("xyz").Client("cd").Close()
	}
	swap := func(c *capturetest.Conn, i, j int) *capturetest.Conn {
		c.Packets[i].Data, c.Packets[j].Data = c.Packets[j].Data, c.Packets[i].Data
		return c
	}
	again := func(c *capturetest.Conn, i, at int) *capturetest.Conn {
		c.Packets = slices.Insert(c.Packets, at, c.Packets[i])
		return c
	}
	// noise makes so many acknowledgements of the server.
	noise := func(c *capturetest.Conn, n int) *capturetest.Conn {
		for range n {
			c.ServerACK()
		}
		return c
	}
	for _, c := range []struct {
		name string
		conn *capturetest.Conn
		cfg  capture.AssemblerConfig
		want []string
	}{
		{"in order", basic(), capture.AssemblerConfig{}, []string{whole}},
		{"sequence numbers wrap", func() *capturetest.Conn {
			c := script()
			c.Seq = [2]uint32{0xffffffff - 1, 0xffffffff}
			return c.Handshake().Client("ab").Server("xyz").Client("cd").Close()
		}(), capture.AssemblerConfig{}, []string{whole}},
		{"every packet twice", func() *capturetest.Conn {
			c := basic()
			for i := len(c.Packets) - 1; i >= 0; i-- {
				again(c, i, i)
			}
			return c
		}(), capture.AssemblerConfig{}, []string{whole}},
		{"SYN after SYN+ACK", swap(basic(), 0, 1), capture.AssemblerConfig{}, []string{whole}},
		{"SYN and SYN+ACK again later", again(again(basic(), 0, 5), 1, 6), capture.AssemblerConfig{}, []string{whole}},
		{"SYN not captured", basic().Drop(0), capture.AssemblerConfig{}, []string{whole}},
		{"out of order", swap(script().Handshake().Client("ab").Client("cd").Client("ef").ServerACK(), 3, 5),
			capture.AssemblerConfig{}, []string{`Copen Sopen C"ab" C"cd" C"ef" capture-end`}},
		{"FIN before the data", swap(script().Handshake().Client("ab").ClientFIN().ServerFIN().ClientACK(), 3, 4),
			capture.AssemblerConfig{}, []string{`Copen Sopen C"ab" CFIN SFIN closed`}},
		{"data on the SYN", func() *capturetest.Conn {
			c := script()
			c.Send(cl, layers.TCP{SYN: true}, []byte("ab"))
			c.SYNACK().ClientACK().Server("xyz").Client("cd").Close()
			return c
		}(), capture.AssemblerConfig{}, []string{`Copen C"ab" Sopen S"xyz" C"cd"@3 CFIN@3 SFIN closed`}},
		{"data on the SYN refused and sent again", func() *capturetest.Conn {
			c := script()
			c.Send(cl, layers.TCP{SYN: true}, []byte("ab"))
			c.Seq[cl] -= 2
			return c.SYNACK().Client("ab").Server("xyz").Client("cd").Close()
		}(), capture.AssemblerConfig{}, []string{`Copen C"ab" Sopen S"xyz" C"cd"@3 CFIN@3 SFIN closed`}},
		{"keep-alive probes", func() *capturetest.Conn {
			c := script().Handshake().Client("ab").Server("xyz")
			c.Raw(cl, layers.TCP{ACK: true, Seq: c.Seq[cl] - 1, Ack: c.Seq[sv]}, []byte{0})
			c.ServerACK()
			c.Raw(cl, layers.TCP{ACK: true, Seq: c.Seq[cl] - 1, Ack: c.Seq[sv]}, nil)
			return c.Client("cd").Close()
		}(), capture.AssemblerConfig{}, []string{whole}},
		{"overlap: first bytes win", func() *capturetest.Conn {
			c := script().Handshake()
			c.Client("abcd")
			c.Raw(cl, layers.TCP{ACK: true, Seq: c.Seq[cl] - 2, Ack: c.Seq[sv]}, []byte("XXef"))
			c.Raw(cl, layers.TCP{ACK: true, Seq: c.Seq[cl] - 4, Ack: c.Seq[sv]}, []byte("YYYYYYgh"))
			return c
		}(), capture.AssemblerConfig{}, []string{`Copen Sopen C"abcd" C"ef" C"gh" capture-end`}},
		{"overlap out of order: first bytes win", func() *capturetest.Conn {
			c := script().Handshake()
			raw := func(off uint32, data string) {
				c.Raw(cl, layers.TCP{ACK: true, Seq: c.Seq[cl] + off, Ack: c.Seq[sv]}, []byte(data))
			}
			raw(2, "cd")
			raw(6, "gh")
			raw(1, "BCDEFGHI") // b, ef and i are new
			raw(0, "a")
			return c
		}(), capture.AssemblerConfig{}, []string{`Copen Sopen C"a" C"B" C"cd" C"EF" C"gh" C"I" capture-end`}},
		{"overlap of what waits: first bytes win", func() *capturetest.Conn {
			c := script().Handshake()
			c.Raw(cl, layers.TCP{ACK: true, Seq: c.Seq[cl] + 2, Ack: c.Seq[sv]}, []byte("cd"))
			c.Raw(cl, layers.TCP{ACK: true, Seq: c.Seq[cl] + 5, Ack: c.Seq[sv]}, []byte("f"))
			c.Raw(cl, layers.TCP{ACK: true, Seq: c.Seq[cl], Ack: c.Seq[sv]}, []byte("abXXeYg"))
			return c
		}(), capture.AssemblerConfig{}, []string{`Copen Sopen C"ab" C"cd" C"e" C"f" C"g" capture-end`}},
		{"Seen is that of the packet", func() *capturetest.Conn {
			c := script().Handshake()
			c.Server("xyz")
			late := c.Send(cl, layers.TCP{ACK: true}, []byte("ab")) // sees 3
			c.Server("uvw")
			c.Client("cd") // sees 6, comes first
			p := c.Packets[late]
			c.Drop(late)
			c.Packets = append(c.Packets, p)
			return c
		}(), capture.AssemblerConfig{}, []string{`Copen Sopen S"xyz" S"uvw" C"ab"@3 C"cd"@6 capture-end`}},
		{"only the client is captured", func() *capturetest.Conn {
			c := basic()
			return c.Drop(7).Drop(4).Drop(1) // SYN+ACK, data and FIN of the server
		}(), capture.AssemblerConfig{}, []string{`Copen Sopen C"ab" C"cd"@3 CFIN@3 Sgap3 SFIN closed`}},
		{"server closes first", script().Handshake().Client("ab").Server("xyz").ServerFIN().ClientFIN().ServerACK(),
			capture.AssemblerConfig{}, []string{`Copen Sopen C"ab" S"xyz" SFIN CFIN@3! closed`}},
		{"last acknowledgement not captured", basic().Drop(8), capture.AssemblerConfig{}, []string{whole}},
		{"refused", script().SYN().ServerRST(), capture.AssemblerConfig{}, []string{`Copen SRST reset`}},
		{"client resets", script().Handshake().Client("ab").Server("xyz").ClientRST().ServerACK(),
			capture.AssemblerConfig{}, []string{`Copen Sopen C"ab" S"xyz" CRST@3 reset`}},
		{"reset out of the window", func() *capturetest.Conn {
			c := script().Handshake().Client("ab").ServerACK()
			c.Raw(cl, layers.TCP{RST: true, Seq: c.Seq[cl] - 100}, nil)
			c.Raw(cl, layers.TCP{RST: true, Seq: c.Seq[cl] + 1<<31 - 1}, nil)
			return c.Client("cd")
		}(), capture.AssemblerConfig{}, []string{`Copen Sopen C"ab" C"cd" capture-end`}},
		{"late packets start nothing", again(again(basic(), 3, 9), 4, 10), capture.AssemblerConfig{}, []string{whole}},
		{"replaced by a new SYN", func() *capturetest.Conn {
			c := script().Handshake().Client("ab")
			c.Seq[cl] += 1 << 20
			return c.SYN()
		}(), capture.AssemblerConfig{}, []string{`Copen Sopen C"ab" replaced`, `Copen capture-end`}},
		{"the tuple again after the end", func() *capturetest.Conn {
			c := basic()
			c.Seq = [2]uint32{1 << 20, 1 << 21}
			return c.Handshake().Client("ab").Server("xyz").Client("cd").Close()
		}(), capture.AssemblerConfig{}, []string{whole, whole}},
		{"the tuple again, the other way round", func() *capturetest.Conn {
			c := basic()
			d := capturetest.New("10.0.0.2:80", "10.0.0.1:4000")
			d.Seq, d.Now = [2]uint32{1 << 20, 1 << 21}, c.Now
			c.Packets = append(c.Packets, d.Handshake().Client("ab").Server("xyz").Client("cd").Close().Packets...)
			return c
		}(), capture.AssemblerConfig{}, []string{whole, whole}},
		{"both open at once", func() *capturetest.Conn {
			c := script().SYN()
			c.Send(sv, layers.TCP{SYN: true}, nil)
			return c.Client("ab").Server("xyz").Client("cd").Close()
		}(), capture.AssemblerConfig{}, []string{whole}},
		{"idle", script().Handshake().Client("ab").Wait(11 * time.Minute).Client("cd"), capture.AssemblerConfig{},
			[]string{`Copen Sopen C"ab" idle`, `joined C"cd" capture-end`}},
		{"idle, then more on a forgotten tuple", script().Handshake().Client("ab").Wait(30 * time.Second).Client("cd").Wait(30 * time.Second).Client("ef"),
			capture.AssemblerConfig{IdleTimeout: 5 * time.Second}, []string{`Copen Sopen C"ab" idle`, `joined C"cd" idle`, `joined C"ef" capture-end`}},
		{"joined at a request", script().Client("ab").Server("xyz").Client("cd").Close(), capture.AssemblerConfig{},
			[]string{`joined C"ab" S"xyz" C"cd"@3 CFIN@3 SFIN closed`}},
		{"joined at an answer", script().Server("xyz").Client("cd").Close(), capture.AssemblerConfig{},
			[]string{`joined S"xyz" C"cd"@3 CFIN@3 SFIN closed`}},
		{"acknowledgements alone start nothing", script().ClientACK().ServerACK().ClientFIN().ServerRST(), capture.AssemblerConfig{}, nil},
		{"a wrong number at the join", func() *capturetest.Conn {
			c := script()
			c.Raw(cl, layers.TCP{ACK: true, Seq: c.Seq[cl], Ack: c.Seq[sv] + 1<<31 - 1}, []byte("ab"))
			c.Seq[cl] += 2
			return c.Server("xyz").Client("cd")
		}(), capture.AssemblerConfig{}, []string{`joined C"ab" S"xyz" C"cd"@3 capture-end`}},

		{"a hole that nobody acknowledged is no gap", noise(script().Handshake().Client("ab").Client("cd").Drop(3), 0),
			capture.AssemblerConfig{}, []string{`Copen Sopen capture-end`}},
		{"a hole is a gap after 64 packets", noise(script().Handshake().Client("ab").Client("cd").Drop(3), 70).Client("ef"),
			capture.AssemblerConfig{}, []string{`Copen Sopen Cgap2 C"cd" C"ef" capture-end`}},
		{"and not before", again(noise(script().Handshake().Client("ab").Client("cd"), 60), 3, 65).Drop(3),
			capture.AssemblerConfig{}, []string{`Copen Sopen C"ab" C"cd" capture-end`}},
		{"a hole is a gap after 200 ms", script().Handshake().Client("ab").Client("cd").Drop(3).ServerACK().Wait(201 * time.Millisecond).Server("x").Wait(time.Second).Client("ef"),
			capture.AssemblerConfig{}, []string{`Copen Sopen Cgap2 C"cd" S"x" C"ef"@1 capture-end`}},
		{"a hole is a gap at the end", script().Handshake().Client("ab").Client("cd").Drop(3).Close(),
			capture.AssemblerConfig{}, []string{`Copen Sopen SFIN Cgap2 C"cd" CFIN closed`}},
		{"the acknowledgement comes first", swap(script().Handshake().Client("ab").ServerACK().Client("cd"), 3, 4),
			capture.AssemblerConfig{}, []string{`Copen Sopen C"ab" C"cd" capture-end`}},
		{"a gap at the end of what was sent waits for no FIN", noise(script().Handshake().Client("ab").Drop(3).Client("cd").Drop(3), 70).Client("ef").ServerACK(),
			capture.AssemblerConfig{}, []string{`Copen Sopen Cgap3 Cgap1 C"ef" capture-end`}},
		{"a FIN that was not captured is no byte", script().Handshake().Client("ab").Close().Drop(4),
			capture.AssemblerConfig{}, []string{`Copen Sopen C"ab" SFIN CFIN closed`}},
		{"a reset ends the wait", script().Handshake().Client("ab").Client("cd").Drop(3).ServerACK().ServerRST(),
			capture.AssemblerConfig{}, []string{`Copen Sopen Cgap2 C"cd" SRST reset`}},

		{"port", basic(), capture.AssemblerConfig{Ports: []uint16{80}}, []string{whole}},
		{"another port", basic(), capture.AssemblerConfig{Ports: []uint16{4000}}, nil},
		{"the port tells the server of a joined session", script().Client("ab"), capture.AssemblerConfig{Ports: []uint16{4000}}, []string{`joined S"ab" capture-end`}},
	} {
		for _, size := range []int{1, 1000} { // packets in a batch
			t.Run(fmt.Sprintf("%s/%d", c.name, size), func(t *testing.T) {
				asm := capture.NewAssembler(c.cfg)
				var r record
				for part := range slices.Chunk(batch(c.conn.Packets), size) {
					r.take(asm.Packets(part))
					for i := range part {
						clear(part[i].Data[14:]) // the batch is not the assembler's any more
					}
				}
				r.take(asm.Flush())
				for i := range max(len(c.want), len(r.sessions)) {
					want := "(none)"
					if i < len(c.want) {
						want = c.want[i]
					}
					if got := r.text(i); got != want {
						t.Errorf("session %d:\n got %s\nwant %s", i, got, want)
					}
				}
				if s := asm.Stats(); s.Buffered != 0 || s.Live != 0 || int(s.Sessions) != len(r.sessions) || s.Segments+s.Ignored+s.Malformed != s.Packets {
					t.Errorf("stats at the end: %+v", s)
				}
			})
		}
	}
}

// What is missing of the client's stream, and whether a turn ended before it
// and with it, as the server's words tell.
func TestTurnsAtGaps(t *testing.T) {
	const cl = 0
	for _, tt := range []struct {
		name string
		conn *capturetest.Conn
		lost []int // packets of conn, from 0: three of the handshake
		want string
	}{
		{"a turn of its own", script().Handshake().Server("hi").Client("one").Server("1").Client("two").Server("2").Client("three").Server("3"), []int{6}, "3 before behind"},
		{"the end of a turn", script().Handshake().Client("one").Server("1").Client("two").Client("three").Server("2").Client("four").Server("4"), []int{6}, "5 behind"},
		{"the beginning of a turn", script().Handshake().Client("one").Server("1").Client("two").Client("three").Server("2"), []int{5}, "3 before"},
		{"the middle of a turn", script().Handshake().Client("one").Client("two").Client("three").Server("3"), []int{4}, "3"},
		{"the answer before it, too", script().Handshake().Client("one").Server("1").Client("two").Server("2").Client("three").Server("3"), []int{4, 5}, "3 behind"},
		{"the answer behind it, too", script().Handshake().Client("one").Server("1").Client("two").Server("2").Client("three").Server("3"), []int{5, 6}, "3 before"},
		{"a mere acknowledgement is no answer", script().Handshake().Client("one").ServerACK().Client("two").ServerACK().Client("three").Server("3"), []int{5}, "3"},
		{"the client had not seen the answer", func() *capturetest.Conn {
			c := script().Handshake().Client("one").Server("1").Client("two")
			ack := c.Seq[1]
			c.Server("2")
			c.Raw(cl, layers.TCP{ACK: true, Seq: c.Seq[cl], Ack: ack, Window: 1000}, []byte("three"))
			c.Seq[cl] += 5
			return c.Server("3")
		}(), []int{5}, "3 before"},
		{"with a hole on the server's side", script().Handshake().Client("one").Server("1").Client("two").Server("2").Client("three").Server("3").Client("four").Server("4"), []int{4, 7}, "5 before behind"},
	} {
		var kept []capturetest.Packet
		for i, p := range tt.conn.Packets {
			if !slices.Contains(tt.lost, i) {
				kept = append(kept, p)
			}
		}
		a := capture.NewAssembler(capture.AssemblerConfig{})
		s := a.Packets(batch(kept))[0]
		events, _ := s.Take(nil)
		a.Flush()
		more, _ := s.Take(nil)
		var got []string
		for _, e := range append(events, more...) {
			if e.Side == session.Client && e.Kind == session.Gap {
				got = append(got, strings.TrimSpace(fmt.Sprint(e.Missing, map[bool]string{true: " before"}[e.Before], map[bool]string{true: " behind"}[e.Behind])))
			}
		}
		if !slices.Equal(got, []string{tt.want}) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
