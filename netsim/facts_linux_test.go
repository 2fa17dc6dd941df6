package netsim

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"

	"tcpsandbox/netsim/netsimtest"
)

// say sends a bare acknowledgement with a window as in the header. Nobody
// verifies its checksum on the way in.
func say(peer *netsimtest.Peer, window uint16) {
	segment := netsimtest.TCP(peer.Server, peer.Client, "A", peer.Seq, peer.Next, nil)
	binary.BigEndian.PutUint16(segment[len(segment)-20+14:], window)
	peer.Write(segment)
}

// What the application's kernel said of itself, in both families.
func TestFactsOfTheApplication(t *testing.T) {
	for _, tt := range []struct {
		name string
		act  func(t *testing.T, u *user, peer *netsimtest.Peer)
		want Facts // those of its fields that heard has
	}{
		{"nothing said", func(t *testing.T, u *user, peer *netsimtest.Peer) { peer.Read() }, Facts{Window: -1}},
		{"the SYN's window is not scaled", func(t *testing.T, u *user, peer *netsimtest.Peer) { peer.Accept() }, Facts{Window: 65535}},
		{"scaled", func(t *testing.T, u *user, peer *netsimtest.Peer) { peer.Accept(); say(peer, 1000) }, Facts{Window: 128000}},
		{"no room, twice", func(t *testing.T, u *user, peer *netsimtest.Peer) {
			peer.Accept()
			say(peer, 0)
			say(peer, 0)
		}, Facts{ZeroWindows: 2}},
		{"room again", func(t *testing.T, u *user, peer *netsimtest.Peer) {
			peer.Accept()
			say(peer, 0)
			say(peer, 5)
		}, Facts{Window: 640, ZeroWindows: 1}},
		{"an answer without the option", func(t *testing.T, u *user, peer *netsimtest.Peer) {
			peer.Next = peer.Read().TCP.Seq + 1
			peer.Send("SA", "")
			say(peer, 1000)
		}, Facts{Window: 1000}},
		{"it refuses", func(t *testing.T, u *user, peer *netsimtest.Peer) {
			peer.Next, peer.Seq = peer.Read().TCP.Seq+1, 0
			peer.Send("RA", "")
			u.until("refused", func() bool { _, err := u.Established(); return err != nil })
		}, Facts{Window: -1, Reset: true}},
		{"it resets", func(t *testing.T, u *user, peer *netsimtest.Peer) {
			peer.Accept()
			u.established()
			say(peer, 7)
			peer.Send("RA", "")
			if err := u.end(); err == nil {
				t.Error("no error")
			}
		}, Facts{Window: 896, Reset: true}},
		{"we reset", func(t *testing.T, u *user, peer *netsimtest.Peer) {
			peer.Accept()
			u.established()
			u.Abort()
			for p := peer.Read(); !p.TCP.RST; p = peer.Read() {
			}
		}, Facts{Window: 65535}},
		{"it closes", func(t *testing.T, u *user, peer *netsimtest.Peer) {
			peer.Accept()
			u.established()
			peer.Send("FA", "")
			if err := u.end(); err != io.EOF {
				t.Error(err)
			}
			u.Close()
		}, Facts{Window: 65535 << 7}},
	} {
		for family, ends := range map[string][2]netip.AddrPort{"IPv4": {client4, server4}, "IPv6": {client6, server6}} {
			t.Run(tt.name+"/"+family, func(t *testing.T) {
				n, wire := wired(t, true, false)
				u := dial(t, n, ends[0], ends[1])
				peer := wire.Peer(ends[0], ends[1])
				tt.act(t, u, peer)
				peer.Barrier()
				f := u.Facts()
				if got := (Facts{Window: f.Window, ZeroWindows: f.ZeroWindows, Reset: f.Reset}); got != tt.want {
					t.Errorf("got %+v, want %+v", got, tt.want)
				}
				if !f.Reset && f.Retransmits != f.Timeouts || f.SegmentsOut == 0 {
					t.Errorf("got %+v", f)
				}
				u.Abort()
			})
		}
	}
}

// What is not acknowledged is sent again, and counted; so is a SYN.
func TestFactsOfLoss(t *testing.T) {
	n, wire := wired(t, true, false)
	u := dial(t, n, client4, server4)
	peer := wire.Peer(client4, server4)
	netsimtest.Check(t, peer.Read(), netsimtest.Flags("S")) // lost; the next one comes after a second
	peer.Accept()
	u.established()
	if f := u.Facts(); f.Retransmits != 1 || f.Timeouts != 1 {
		t.Errorf("a SYN was lost: %+v", f)
	}
	u.write("request")
	lost := peer.Read()
	for len(lost.Body) == 0 {
		lost = peer.Read()
	}
	again := peer.Read()
	for len(again.Body) == 0 {
		again = peer.Read()
	}
	netsimtest.Check(t, again, netsimtest.Payload("request"), netsimtest.Seq(lost.TCP.Seq))
	if f := u.Facts(); f.Retransmits < 2 || f.Timeouts < 2 || f.SegmentsOut < 4 || f.SegmentsIn < 1 || f.CongestionWindow < 1 {
		t.Errorf("a segment was lost: %+v", f)
	}
	u.Abort()
}

// The kernel answers, so round trips are measured; also after the end the facts
// are there, and asking does not disturb a transfer.
func TestFactsOfTheKernel(t *testing.T) {
	w := newWorld(t, true, false)
	w.serve(t, 80, func(c net.Conn) {
		io.Copy(c, c)
		c.Close()
	})
	u := dial(t, w.Net, client4, server4)
	u.established()
	for range 50 {
		u.write("there and back")
		u.read("there and back")
		u.Facts()
	}
	f := u.Facts()
	if f.RTT <= 0 || f.RTTVar <= 0 || f.RTO <= f.RTT || f.SegmentsIn < 51 || f.SegmentsOut < 51 || f.Window <= 0 || f.Reset || f.CongestionWindow < 1 {
		t.Errorf("got %+v", f)
	}
	t.Logf("%+v", f)
	if err := u.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := u.end(); err != io.EOF {
		t.Fatal(err)
	}
	u.Close()
	u.until("the end", func() bool { return w.Stats().Connections == 0 })
	if after := u.Facts(); after.SegmentsIn <= f.SegmentsIn || after.Reset {
		t.Errorf("after the end: %+v, before %+v", after, f)
	}
}
