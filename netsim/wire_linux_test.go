package netsim

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"

	"tcpsandbox/netsim/netsimtest"
)

func TestExchange(t *testing.T) {
	for family, ends := range map[string][2]netip.AddrPort{"IPv4": {client4, server4}, "IPv6": {client6, server6}} {
		t.Run(family, func(t *testing.T) {
			eachMode(t, func(t *testing.T, offload bool) {
				n, wire := wired(t, offload, false)
				u := dial(t, n, ends[0], ends[1])
				peer := wire.Peer(ends[0], ends[1])
				peer.Stamps = true
				peer.Accept()
				u.established()
				u.write("request")
				peer.Expect(netsimtest.Flags("A"), netsimtest.Payload("request"), netsimtest.Ack(peer.Seq))
				peer.Send("PA", "answer")
				u.read("answer")
				if got := u.Acked(); got != 7 {
					t.Errorf("%d bytes acknowledged, want 7", got)
				}
				peer.Send("FA", "")
				if err := u.end(); err != io.EOF {
					t.Errorf("end of the answer: %v", err)
				}
				u.Close()
				peer.Expect(netsimtest.Flags("FA"), netsimtest.Ack(peer.Seq))
				peer.Send("A", "")
				peer.Barrier()
				u.until("forgotten", func() bool { return n.Stats().Connections == 0 })
			})
		})
	}
}

// Plain mode: nobody behind us finishes a checksum.
func TestPlainPacketsAreFinished(t *testing.T) {
	for family, ends := range map[string][2]netip.AddrPort{"IPv4": {client4, server4}, "IPv6": {client6, server6}} {
		t.Run(family, func(t *testing.T) {
			n, wire := wired(t, false, false)
			u := dial(t, n, ends[0], ends[1])
			peer := wire.Peer(ends[0], ends[1])
			peer.Stamps = true
			netsimtest.Check(t, peer.Accept(), netsimtest.Checksums())
			u.established()
			u.Flush()
			peer.ExpectNext(netsimtest.Flags("A"), netsimtest.Checksums(), netsimtest.Payload(""))
			want := strings.Repeat("odd", 5001) // several segments, the last of odd length
			go u.write(want)
			var got strings.Builder
			for got.Len() < len(want) {
				p := peer.Expect(netsimtest.Checksums())
				if len(p.Raw) > 1500 {
					t.Errorf("%v: %d bytes, the MTU is 1500", p, len(p.Raw))
				}
				got.Write(p.Body)
				peer.Send("A", "")
			}
			if got.String() != want {
				t.Errorf("%d bytes came, not those that were written", got.Len())
			}
			u.Abort()
			for p := peer.Read(); ; p = peer.Read() {
				netsimtest.Check(t, p, netsimtest.Checksums())
				if p.TCP.RST {
					break
				}
			}
		})
	}
}

// Offload mode: the header tells the kernel what is left to do
// (virtio specification 1.2 §5.1.6).
func TestOffloadHeader(t *testing.T) {
	for _, tt := range []struct {
		family string
		ends   [2]netip.AddrPort
		ipLen  int
		gso    byte
	}{
		{"IPv4", [2]netip.AddrPort{client4, server4}, 20, 1},
		{"IPv6", [2]netip.AddrPort{client6, server6}, 40, 4},
	} {
		t.Run(tt.family, func(t *testing.T) {
			n, wire := wired(t, true, false)
			u := dial(t, n, tt.ends[0], tt.ends[1])
			peer := wire.Peer(tt.ends[0], tt.ends[1])
			peer.Stamps = true
			check := func(p *netsimtest.Packet) (segmented bool) {
				t.Helper()
				v := p.Virtio
				headers := tt.ipLen + int(p.TCP.DataOffset)*4
				field := func(at int) int { return int(binary.NativeEndian.Uint16(v[at:])) }
				if v[0] != 1 {
					t.Errorf("%v: flags %d, want 1 (needs checksum)", p, v[0])
				}
				if field(6) != tt.ipLen || field(8) != 16 {
					t.Errorf("%v: checksum from %d at +%d, want from %d at +16", p, field(6), field(8), tt.ipLen)
				}
				if field(2) != headers {
					t.Errorf("%v: header length %d, want %d", p, field(2), headers)
				}
				if len(p.Raw)+netsimtest.VirtioHeader > 65535 {
					t.Errorf("%v: %d bytes, more than a length field holds", p, len(p.Raw))
				}
				size := 1460 - 12 // the MSS that the peer offered, less its timestamps
				switch {
				case len(p.Body) <= size:
					if v[1] != 0 || field(4) != 0 {
						t.Errorf("%v: GSO type %d, size %d, want none", p, v[1], field(4))
					}
				case v[1] != tt.gso || field(4) > size || field(4) < 1000:
					t.Errorf("%v: GSO type %d, size %d, want type %d and at most %d", p, v[1], field(4), tt.gso, size)
				}
				return v[1] != 0
			}
			check(peer.Accept())
			u.established()
			want := strings.Repeat("x", 300_000)
			go u.write(want)
			total, segmented := 0, false
			for total < len(want) {
				p := peer.Expect()
				segmented = check(p) || segmented
				total += len(p.Body)
				peer.Send("A", "")
			}
			if !segmented {
				t.Error("no packet was left to the kernel to cut into segments")
			}
			u.Abort()
		})
	}
}

func TestEarlyEnds(t *testing.T) {
	tests := []struct {
		name string
		act  func(t *testing.T, u *user, peer *netsimtest.Peer)
	}{
		{"the application refuses", func(t *testing.T, u *user, peer *netsimtest.Peer) {
			syn := peer.Read()
			peer.Next, peer.Seq = syn.TCP.Seq+1, 0
			peer.Send("RA", "")
			var err error
			u.until("refused", func() bool { _, err = u.Established(); return err != nil })
			if !errors.Is(err, ErrRefused) {
				t.Errorf("got %v, want %v", err, ErrRefused)
			}
		}},
		{"the application resets", func(t *testing.T, u *user, peer *netsimtest.Peer) {
			peer.Accept()
			u.established()
			u.write("request")
			peer.Expect()
			peer.Send("RA", "")
			if err := u.end(); !errors.Is(err, ErrReset) {
				t.Errorf("got %v, want %v", err, ErrReset)
			}
		}},
		{"we abort", func(t *testing.T, u *user, peer *netsimtest.Peer) {
			peer.Accept()
			u.established()
			u.write("request")
			peer.Expect()
			u.Abort()
			peer.Expect(netsimtest.Flags("RA"), netsimtest.Seq(peer.Next))
		}},
		{"we abort before the answer to the SYN", func(t *testing.T, u *user, peer *netsimtest.Peer) {
			syn := peer.Read()
			u.Abort()
			if _, err := u.net.Dial(client4, server4, func() {}); !errors.Is(err, ErrInUse) {
				t.Errorf("a second SYN while the first is half open: got %v, want %v", err, ErrInUse)
			}
			peer.Next, peer.Seq = syn.TCP.Seq+1, 7000
			peer.Send("SA", "")
			for reset := peer.Read(); !reset.TCP.RST; reset = peer.Read() {
				netsimtest.Check(t, reset, netsimtest.Flags("A")) // if anything: the handshake's last
			}
		}},
		{"we abort, and the SYN is refused", func(t *testing.T, u *user, peer *netsimtest.Peer) {
			syn := peer.Read()
			u.Abort()
			peer.Next, peer.Seq = syn.TCP.Seq+1, 0
			peer.Send("RA", "")
		}},
		{"both close, we first", func(t *testing.T, u *user, peer *netsimtest.Peer) {
			peer.Accept()
			u.established()
			u.write("request")
			peer.Expect(netsimtest.Payload("request"))
			if err := u.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			peer.Expect(netsimtest.Flags("FA"))
			peer.Send("PA", "answer after the half-close")
			u.read("answer after the half-close")
			peer.Send("FA", "")
			if err := u.end(); err != io.EOF {
				t.Errorf("got %v, want EOF", err)
			}
			u.Close()
			for last := peer.ExpectNext(netsimtest.Flags("A")); last.TCP.Ack != peer.Seq; {
				last = peer.ExpectNext(netsimtest.Flags("A"))
			}
		}},
		{"both close, the application first", func(t *testing.T, u *user, peer *netsimtest.Peer) {
			peer.Accept()
			u.established()
			u.Flush()
			peer.ExpectNext(netsimtest.Flags("A"))
			peer.Send("FA", "")
			if err := u.end(); err != io.EOF {
				t.Errorf("got %v, want EOF", err)
			}
			u.write("said after its FIN")
			var got strings.Builder
			for got.Len() < len("said after its FIN") {
				got.Write(peer.Expect(netsimtest.Ack(peer.Seq)).Body)
			}
			u.Close()
			peer.Expect(netsimtest.Flags("FA"))
			peer.Send("A", "")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, wire := wired(t, true, false)
			u := dial(t, n, client4, server4)
			tt.act(t, u, wire.Peer(client4, server4))
			u.until("forgotten", func() bool { return n.Stats().Connections == 0 })
			if e := n.Egress(); len(e) > 0 {
				t.Errorf("counted as egress: %+v", e)
			}
			// The 4-tuple is free again.
			again := dial(t, n, client4, server4)
			for p := wire.Read(); !p.TCP.SYN; p = wire.Read() {
			}
			again.drop()
		})
	}
}

func TestStragglerOfAForgottenSession(t *testing.T) {
	n, wire := wired(t, true, false)
	u := dial(t, n, client4, server4)
	peer := wire.Peer(client4, server4)
	peer.Accept()
	u.established()
	u.Abort()
	for p := peer.Read(); !p.TCP.RST; p = peer.Read() {
	}
	sent := peer.Next
	peer.Send("PA", "sent before the reset arrived")
	netsimtest.Check(t, peer.Read(), netsimtest.Flags("R"), netsimtest.Seq(sent), netsimtest.Ends(client4, server4), netsimtest.Checksums())
	if e := n.Egress(); len(e) > 0 {
		t.Errorf("counted as egress: %+v", e)
	}
}

func TestGarbageIsSurvived(t *testing.T) {
	eachMode(t, func(t *testing.T, offload bool) {
		n, wire := wired(t, offload, true)
		segment := netsimtest.TCP(server4, client4, "PA", 1, 1, []byte("hello"))
		u := dial(t, n, client4, server4)
		peer := wire.Peer(client4, server4)
		peer.Accept()
		u.established()
		for size := 1; size < len(segment); size++ {
			wire.Write(segment[:size])
		}
		for _, at := range []int{0, 2, 3, 12, 32, 33} { // version, length, ports, offset, flags
			broken := append([]byte{}, segment...)
			broken[at] ^= 0xff
			wire.Write(broken)
		}
		if offload {
			wire.WriteRaw(make([]byte, 3)) // shorter than the virtio header
		}
		wire.Barrier()
		u.write("still here")
		for p := peer.Read(); string(p.Body) != "still here"; p = peer.Read() {
		}
	})
}
