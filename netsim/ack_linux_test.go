package netsim

import (
	"encoding/binary"
	"strings"
	"testing"

	"tcpsandbox/netsim/netsimtest"
)

// Every answer calls for an acknowledgement, and that either goes out by
// itself or rides on the next request.
func TestAcknowledgementRidesOnTheNextRequest(t *testing.T) {
	const exchanges = 200
	n, wire := wired(t, true, false)
	u := dial(t, n, client4, server4)
	peer := wire.Peer(client4, server4)
	peer.Stamps = true
	peer.Accept()
	u.established()
	for range exchanges {
		u.write("request")
		peer.Expect(netsimtest.Payload("request"), netsimtest.Ack(peer.Seq))
		peer.Send("PA", "answer")
		u.read("answer")
	}
	// The last one finds nothing to ride on and goes when its time has come.
	for p := peer.ExpectNext(netsimtest.Flags("A")); p.TCP.Ack != peer.Seq; {
		p = peer.ExpectNext(netsimtest.Flags("A"))
	}
	stats := n.Stats()
	const all = 1 + 1 + 2*exchanges // SYN, handshake, and for each exchange a request and an acknowledgement
	if got := int(stats.PacketsOut+stats.AcksSaved) - peer.Again; got != all {
		t.Errorf("%d packets sent, %d of them again, and %d saved, want %d together", stats.PacketsOut, peer.Again, stats.AcksSaved, all)
	}
	// A slow machine lets some time out, but not most.
	if stats.AcksSaved < exchanges/2 {
		t.Errorf("%d acknowledgements saved in %d exchanges", stats.AcksSaved, exchanges)
	}
}

func TestHandshakeIsCompletedWithoutARequest(t *testing.T) {
	n, wire := wired(t, true, false)
	u := dial(t, n, client4, server4)
	peer := wire.Peer(client4, server4)
	peer.Accept()
	u.established()
	peer.ExpectNext(netsimtest.Flags("A"), netsimtest.Ack(peer.Seq), netsimtest.Payload(""))
}

// Three segments out of order call for three duplicates, which tell the
// sender what is lost (RFC 5681 §3.2); held ones would become one.
func TestDuplicatesAreNotHeld(t *testing.T) {
	n, wire := wired(t, true, false)
	u := dial(t, n, client4, server4)
	peer := wire.Peer(client4, server4)
	peer.Accept()
	u.established()
	u.Flush()
	peer.ExpectNext(netsimtest.Flags("A"))
	lost := peer.Seq
	peer.Seq += 10
	for range 3 {
		peer.Send("PA", "segment")
	}
	for range 3 {
		peer.ExpectNext(netsimtest.Flags("A"), netsimtest.Ack(lost))
	}
	after := peer.Seq
	peer.Seq = lost
	peer.Send("A", "0123456789")
	u.read("0123456789segmentsegmentsegment")
	peer.ExpectNext(netsimtest.Flags("A"), netsimtest.Ack(after))
}

// A reader that pauses closes the window and must open it again by itself.
func TestWindowUpdateIsNotHeld(t *testing.T) {
	n, wire := wired(t, true, false)
	u := dial(t, n, client4, server4)
	peer := wire.Peer(client4, server4)
	peer.Accept()
	u.established()
	u.Flush()
	scale := 0
	first := peer.ExpectNext(netsimtest.Flags("A"))
	window := func(p *netsimtest.Packet) int { return int(p.TCP.Window) << scale }
	if window(first) == 0 {
		t.Fatal("the window is closed from the start")
	}
	// Fill it: nobody reads.
	sent := 0
	last := first
	for last.TCP.Window > 0 {
		peer.Send("PA", strings.Repeat("x", 60_000))
		sent += 60_000
		for last = peer.ExpectNext(netsimtest.Flags("A")); last.TCP.Ack != peer.Seq && last.TCP.Window > 0; {
			last = peer.ExpectNext(netsimtest.Flags("A"))
		}
		if sent > 64<<20 {
			t.Fatal("64 MiB unread and the window is still open")
		}
	}
	total := 0
	u.until("all that was taken", func() bool {
		got, err := u.Read(func(p []byte) { total += len(p) })
		if err != nil {
			t.Fatal(err)
		}
		return got > 0
	})
	peer.ExpectNext(netsimtest.Flags("A"), netsimtest.Ack(last.TCP.Ack), func(t testing.TB, p *netsimtest.Packet) {
		if p.TCP.Window == 0 {
			t.Errorf("%v: the window stays closed after %d bytes were read", p, total)
		}
	})
}

func TestHold(t *testing.T) {
	const limit = 3000
	type event struct {
		pass bool // a packet with data goes out, else an acknowledgement comes up
		ack  uint32
		held bool
	}
	for _, tt := range []struct {
		name   string
		events []event
		saved  uint64
	}{
		{"the handshake's", []event{{false, 1, true}, {true, 1, false}}, 1},
		{"an answer's", []event{{true, 1, false}, {false, 500, true}, {true, 500, false}}, 1},
		{"a later one replaces it", []event{{true, 1, false}, {false, 500, true}, {false, 900, true}, {true, 900, false}}, 2},
		{"a duplicate", []event{{true, 500, false}, {false, 500, false}}, 0},
		{"two full segments", []event{{true, 1, false}, {false, 1 + limit, true}}, 0},
		{"more than two", []event{{true, 1, false}, {false, 2 + limit, false}}, 0},
		{"more than two, bit by bit", []event{{true, 1, false}, {false, 2000, true}, {false, 4000, false}}, 1},
		{"across the end of the numbers", []event{{true, 0xfffffff0, false}, {false, 0x10, true}}, 0},
		{"far across", []event{{true, 0xfffffff0, false}, {false, limit, false}}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wire := netsimtest.NewWire(t, true)
			n, err := New(Config{TUN: wire.TUN, MTU: 1500, Offload: true})
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			n.acks.close() // no timer: only what the test does happens
			c := &Conn{net: n}
			for i, e := range tt.events {
				if e.pass {
					n.acks.passed(c, e.ack)
					continue
				}
				p := make([]byte, virtioHeader+40)
				copy(p[virtioHeader:], netsimtest.TCP(client4, server4, "A", 1, e.ack, nil))
				if got := n.acks.hold(c, p, e.ack, limit); got != e.held {
					t.Errorf("event %d, acknowledgement of %d: held %v, want %v", i, e.ack, got, e.held)
				} else if !got {
					n.acks.passed(c, e.ack)
				}
			}
			if got := n.Stats().AcksSaved; got != tt.saved {
				t.Errorf("%d saved, want %d", got, tt.saved)
			}
			if c.ack.n == 0 {
				if !wire.Quiet() {
					t.Error("something was sent")
				}
				return
			}
			last := tt.events[len(tt.events)-1].ack
			c.Flush()
			netsimtest.Check(t, wire.Read(), netsimtest.Flags("A"), netsimtest.Ack(last))
			if c.Flush(); !wire.Quiet() {
				t.Error("sent twice")
			}
		})
	}
	t.Run("too long to keep", func(t *testing.T) {
		n := bare(false)
		if n.acks.hold(&Conn{net: n}, make([]byte, ackSize+1), 1, limit) {
			t.Error("held")
		}
	})
}

func TestAckNumber(t *testing.T) {
	for _, p := range [][]byte{
		netsimtest.TCP(client4, server4, "A", 1, 0xdeadbeef, nil),
		netsimtest.TCP(client6, server6, "A", 1, 0xdeadbeef, nil),
	} {
		if got := ackNumber(p); got != 0xdeadbeef {
			t.Errorf("% x: got %#x (%d)", p, got, binary.BigEndian.Uint32(p[28:]))
		}
	}
}
