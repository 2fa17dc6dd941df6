package capture

import (
	"encoding/binary"
	"fmt"
	"testing"

	"tcpsandbox/session"
)

// rawTCP builds a raw IPv4 packet.
func rawTCP(fromClient bool, seq, ack uint32, flags byte, payload []byte) []byte {
	b := make([]byte, 40, 40+len(payload))
	b[0], b[8], b[9], b[32], b[33] = 0x45, 64, protoTCP, 5<<4, flags
	b[12], b[15], b[16], b[19] = 10, 1, 10, 2
	src, dst := 4000, 80
	if !fromClient {
		b[15], b[19] = 2, 1
		src, dst = dst, src
	}
	binary.BigEndian.PutUint16(b[20:], uint16(src))
	binary.BigEndian.PutUint16(b[22:], uint16(dst))
	binary.BigEndian.PutUint32(b[24:], seq)
	binary.BigEndian.PutUint32(b[28:], ack)
	b = append(b, payload...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// oracle is what a naive reader knows of one direction: for every byte of the
// stream, whether it was captured before it was given out or given up.
type oracle struct {
	captured  []bool
	now, nowN int // the segment at hand: a gap may be declared just before it counts
	out       int // bytes given out or given up
	acked     int // by the other side
}

// streamByte is the content of each stream.
func streamByte(side session.Side, off int) byte { return byte(off*31+off>>8*7) ^ byte(side)*0x55 }

const fuzzStream = 4096

// FuzzReassemble has two sides send segments of known streams in any order,
// with loss, duplicates, overlaps, acknowledgements ahead of the data and
// sequence numbers that wrap, and compares what comes out with the oracle.
func FuzzReassemble(f *testing.F) {
	f.Add(uint32(0xfffffff0), uint32(7), []byte{0, 0, 9, 0, 1, 1, 0, 0, 0, 9, 9, 0})
	f.Add(uint32(1<<31-100), uint32(1<<32-1), []byte{0, 20, 20, 0, 0, 0, 40, 0, 1, 0, 60, 200, 0, 0, 1, 0})
	f.Add(uint32(0), uint32(0), []byte{0, 100, 255, 0, 0, 50, 100, 0, 1, 0, 0, 255, 1, 0, 0, 255, 4, 0, 0, 255})
	f.Fuzz(func(t *testing.T, isnC, isnS uint32, ops []byte) {
		asm := NewAssembler(AssemblerConfig{})
		isn := [2]uint32{isnC, isnS}
		var want [2]oracle
		for i := range want {
			want[i].captured = make([]bool, fuzzStream)
		}
		var s *session.Session
		take := func(touched []*session.Session) {
			if len(touched) > 1 {
				t.Fatalf("%d sessions", len(touched))
			}
			for _, s = range touched {
				events, _ := s.Take(nil)
				for _, e := range events {
					want[e.Side].event(t, e)
				}
			}
		}
		now := int64(1e18)
		send := func(side session.Side, flags byte, off, n int, ack uint32) {
			payload := make([]byte, n)
			for i := range payload {
				payload[i] = streamByte(side, off+i)
			}
			want[side].now, want[side].nowN = off, n
			want[side.Other()].nowN = 0
			seq := isn[side] + 1 + uint32(off)
			if flags&flagSYN != 0 {
				seq--
			}
			data := rawTCP(side == session.Client, seq, ack, flags, payload)
			take(asm.Packets([]Packet{{Data: data, Time: now, OrigLen: len(data), Link: LinkRaw}}))
			clear(data)
			for i := range n {
				want[side].captured[off+i] = true
			}
			want[side].nowN = 0
		}
		send(session.Client, flagSYN, 0, 0, 0)
		send(session.Server, flagSYN|flagACK, 0, 0, isn[0]+1)
		var sent [2]int // upper end of what either side may have sent, captured or not
		for i := 0; i+3 < len(ops); i += 4 {
			side := session.Side(ops[i] & 1)
			p := &want[side.Other()]
			now += int64(ops[i]>>1) * 1e6
			// Somewhere around what was sent so far.
			off := min(max(sent[side]+int(int8(ops[i+1])), 0), fuzzStream-256)
			n := int(ops[i+2])
			sent[side] = max(sent[side], off+n)
			ackTo := min(max(p.acked, p.acked+int(int8(ops[i+3]))*4), sent[side.Other()])
			p.acked = max(p.acked, ackTo)
			if ops[i+2] == 255 {
				n = 0
			}
			send(side, flagACK, off, n, isn[side.Other()]+1+uint32(ackTo))
		}
		take(asm.Flush())
		for side := range want {
			want[side].check(t, session.Side(side))
		}
		if asm.held != 0 {
			t.Fatalf("%d bytes are still held", asm.held)
		}
	})
}

func (o *oracle) event(t *testing.T, e session.Event) {
	switch e.Kind {
	case session.Data:
		if len(e.Data) == 0 {
			t.Fatal("data without bytes")
		}
		for i, b := range e.Data {
			if at := o.out + i; !o.captured[at] && (at < o.now || at >= o.now+o.nowN) {
				t.Fatalf("%v: byte %d was never captured", e.Side, o.out+i)
			}
			if b != streamByte(e.Side, o.out+i) {
				t.Fatalf("%v: byte %d is wrong", e.Side, o.out+i)
			}
		}
		o.out += len(e.Data)
	case session.Gap:
		if e.Missing <= 0 {
			t.Fatalf("gap of %d", e.Missing)
		}
		for i := range int(e.Missing) {
			if o.captured[o.out+i] {
				t.Fatalf("%v: byte %d was captured and is called missing", e.Side, o.out+i)
			}
		}
		o.out += int(e.Missing)
		if o.out > o.acked {
			t.Fatalf("%v: gap up to %d, acknowledged %d", e.Side, o.out, o.acked)
		}
		for i := o.out - int(e.Missing); i < o.out; i++ {
			o.captured[i] = true // given up: a copy that comes later is not wanted
		}
	}
}

// check tells whether everything came out that should have: all that was
// acknowledged, and what was captured next to it.
func (o *oracle) check(t *testing.T, side session.Side) {
	if o.out < o.acked {
		t.Fatalf("%v: %d bytes came out, %d were acknowledged", side, o.out, o.acked)
	}
	if o.out < fuzzStream && o.captured[o.out] {
		t.Fatalf("%v: byte %d was captured and did not come out", side, o.out)
	}
}

// FuzzPackets feeds arbitrary packets of one connection, in up to eight VLANs, to find panics and
// broken promises: nothing held after the end, offsets that do not go back.
func FuzzPackets(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 0, 0x12, 0, 0, 0, 0x10, 1, 5, 0x11, 0, 9})
	f.Fuzz(func(t *testing.T, ops []byte) {
		asm := NewAssembler(AssemblerConfig{MaxSessionBuffered: 2000, MaxBuffered: 3000})
		last := make(map[string]int64)
		take := func(touched []*session.Session) {
			for _, s := range touched {
				events, _ := s.Take(nil)
				for _, e := range events {
					k := fmt.Sprint(s.ID, e.Side)
					if e.At < 0 || int64(e.At) < last[k] {
						t.Fatalf("event at %v after %v", e.At, last[k])
					}
					last[k] = int64(e.At)
				}
			}
		}
		now := int64(1e18)
		var batch []Packet
		for i := 0; i+4 < len(ops); i += 5 {
			now += int64(int8(ops[i])) * 1e9 / 8
			seq, ack := uint32(int8(ops[i+1]))*8, uint32(int8(ops[i+2]))*8
			if ops[i+4]&0x40 != 0 {
				seq <<= 24
			}
			data := rawTCP(ops[i+4]&0x80 == 0, seq, ack, ops[i+3]&0x1f, make([]byte, int(ops[i+4]&0x3f)*4))
			batch = append(batch, Packet{Data: data, Time: now, OrigLen: len(data) + int(ops[i]>>6)*10, Link: LinkRaw, VLAN: uint16(ops[i+3] >> 5)})
			if ops[i]&1 == 0 {
				take(asm.Packets(batch))
				batch = batch[:0]
			}
		}
		take(asm.Packets(batch))
		take(asm.Flush())
		if s := asm.Stats(); s.Buffered != 0 || s.Live != 0 || len(asm.flows) != 0 || asm.filed != 0 {
			t.Fatalf("after the end: %+v, %d flows", s, len(asm.flows))
		}
	})
}
