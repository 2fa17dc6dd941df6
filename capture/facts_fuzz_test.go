package capture

import (
	"encoding/binary"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"tcpsandbox/session"
)

// What notes the facts must not change what is made of the packets.

// oddPacket makes a packet of a connection of up to 8 bytes: near what came
// before, and now and then anything.
func oddPacket(op []byte, at *[2]uint32) []byte {
	side := int(op[0] & 1)
	flags := [...]byte{flagACK, flagACK, flagACK, flagACK | flagPSH, flagSYN, flagSYN | flagACK, flagFIN | flagACK, flagRST, flagRST | flagACK, flagSYN | flagRST, 0, flagFIN | flagSYN, 255}[op[0]>>1%13]
	length := int(op[1])
	if op[1] > 200 {
		length = int(op[1] & 1)
	}
	seq := at[side] + uint32(int32(int8(op[2])))
	if op[2] == 127 {
		seq += 1 << 31
	}
	ack := at[side^1] + uint32(int32(int8(op[3])))
	if op[3] == 127 {
		ack += 1 << 30
	}
	if end := seq + uint32(length); int32(end-at[side]) > 0 && op[2] != 127 {
		at[side] = end
	}
	b := rawTCP(side == 0, seq, ack, flags, nil)
	binary.BigEndian.PutUint16(b[34:], uint16(op[4])<<(op[5]&7))
	if op[5]&8 != 0 { // options: some, or what came by
		b[32] = 7 << 4
		b = append(b, 3, 3, op[6], 1, op[6], op[7], op[4], op[3])
	}
	b = append(b, make([]byte, length)...)
	for i := range length {
		b[len(b)-length+i] = byte(seq) + byte(i)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	if op[5]&0xf0 == 0x10 { // cut by the capture
		b = b[:min(len(b), 40+int(op[6]))]
	}
	return b
}

// told is what an assembler said of a batch.
type told struct {
	ids    []uint64
	events [][]session.Event
	ends   []session.Cause
	stats  AssemblerStats
}

func tell(asm *Assembler, touched []*session.Session) (all told) {
	for _, s := range touched {
		events, end := s.Take(nil)
		all.ids, all.events, all.ends = append(all.ids, s.ID), append(all.events, events), append(all.ends, end)
	}
	all.stats = asm.Stats()
	return all
}

// checkFacts has two assemblers read the same packets, one of which notes facts:
// they say the same, and the facts hold together.
func checkFacts(t *testing.T, isnC, isnS uint32, ops []byte) {
	plain, noting := NewAssembler(AssemblerConfig{}), NewAssembler(AssemblerConfig{Facts: true})
	at, now := [2]uint32{isnC, isnS}, int64(1e18)
	last := map[*session.Session]session.Wire{}
	compare := func(want []*session.Session, got []*session.Session) {
		t.Helper()
		for _, s := range got {
			last[s] = session.Wire{}
		}
		if w, g := tell(plain, want), tell(noting, got); !reflect.DeepEqual(w, g) {
			t.Fatalf("with facts %+v\nwithout %+v", g, w)
		}
		for s, before := range last {
			w := s.Wire()
			totals, cause := s.Totals()
			if !w.Gathered || w.Reset != (w.ResetAt >= 0) || w.Reset != (cause == session.Reset) || w.Reset && !totals.RST[w.ResetBy] {
				t.Fatalf("%+v, %+v, %v", w, totals, cause)
			}
			for side, f := range w.Sides {
				if b := before.Sides[side]; f.Segments < b.Segments || f.Retransmitted < b.Retransmitted || f.RetransmittedBytes < b.RetransmittedBytes ||
					f.Retransmitted+f.OutOfOrder > f.Segments || f.ZeroWindows > f.Segments || f.RetransmittedBytes > 200*f.Retransmitted ||
					f.Handshake < -1 || f.RTT < -1 || f.MinRTT > f.RTT || (f.MinRTT < 0) != (f.RTT < 0) ||
					f.Window > 65535<<14 || f.Segments == 0 && f != session.NoWire().Sides[0] || f.FINAt < -1 {
					t.Fatalf("%v after %v", wireText(w), wireText(before))
				}
			}
			last[s] = w
		}
	}
	for len(ops) >= 9 {
		n := 1 + int(ops[8]>>6) // packets in a batch
		var batch []Packet
		for ; n > 0 && len(ops) >= 9; n-- {
			now += int64(int8(ops[8]<<2)) * 1e5 // backwards, too
			data := oddPacket(ops[:8], &at)
			batch = append(batch, Packet{Data: data, Time: now, OrigLen: len(data), Link: LinkRaw})
			ops = ops[9:]
		}
		compare(plain.Packets(batch), noting.Packets(batch))
	}
	compare(plain.Flush(), noting.Flush())
	for s := range last {
		if _, cause := s.Totals(); cause == session.Live {
			t.Fatal("a session lives on")
		}
	}
}

// TestFactsChangeNothing is the fuzz target on random packets.
func TestFactsChangeNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	again, late, reset, timed := false, false, false, false
	for range 300 {
		ops := make([]byte, 9*60)
		for i := range ops {
			ops[i] = byte(rng.Uint32())
			if i%9 == 0 && rng.IntN(4) > 0 {
				ops[i] &= 7 // mostly data
			}
		}
		checkFacts(t, rng.Uint32(), rng.Uint32(), ops)
		at, asm := [2]uint32{}, NewAssembler(AssemblerConfig{Facts: true})
		for part := range slices.Chunk(ops, 9) {
			data := oddPacket(part, &at)
			for _, s := range asm.Packets([]Packet{{Data: data, Time: 1e18, OrigLen: len(data), Link: LinkRaw}}) {
				w := s.Wire()
				for _, f := range w.Sides {
					again, late, reset, timed = again || f.Retransmitted > 0, late || f.OutOfOrder > 0, reset || w.Reset, timed || f.RTT >= 0
				}
			}
		}
	}
	if !again || !late || !reset || !timed {
		t.Errorf("nothing was tested: retransmission %v, disorder %v, reset %v, round trip %v", again, late, reset, timed)
	}
}

func FuzzFacts(f *testing.F) {
	f.Add(uint32(1<<32-5), uint32(9), []byte("\x08\x00\x00\x00\x05\x08\x07\x00\x05\x0b\x00\x00\x00\x05\x08\x07\x00\x05\x00\x10\x00\x00\x05\x00\x07\x00\x05\x01\x10\x00\x00\x05\x00\x07\x00\x05"))
	f.Fuzz(checkFacts)
}
