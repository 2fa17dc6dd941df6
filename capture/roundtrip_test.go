package capture_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/session"
)

// keep gives packets to an assembler with a store, so many at a time, and
// returns both and what came out. The memory of a batch is used again.
func keep(packets []capture.Packet, cfg capture.AssemblerConfig, limits capture.StoreConfig, size int) (*capture.Store, *record) {
	store := capture.NewStore(limits)
	cfg.Tap = store
	asm := capture.NewAssembler(cfg)
	r := new(record)
	for batch := range slices.Chunk(packets, size) {
		lent := slices.Clone(batch)
		for i := range lent {
			lent[i].Data = slices.Clone(lent[i].Data)
		}
		r.take(asm.Packets(lent))
		for i := range lent {
			clear(lent[i].Data)
		}
	}
	r.take(asm.Flush())
	return store, r
}

// written returns the packets of the file that a store writes of a session.
func written(t testing.TB, store *capture.Store, id uint64) []capture.Packet {
	t.Helper()
	var file bytes.Buffer
	w := capture.NewWriter(&file, "test")
	if err := store.Write(id, w); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	packets, err := readAll(stream(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return packets
}

// alone reads the packets of one session.
func alone(t testing.TB, packets []capture.Packet, s *session.Session, cfg capture.AssemblerConfig) *record {
	t.Helper()
	cfg.Ports, cfg.UDP, cfg.Tap = []uint16{s.Server.Port()}, nil, nil
	if s.Proto == session.UDP {
		cfg.Ports, cfg.UDP = nil, []uint16{s.Server.Port()}
	}
	r := new(record)
	asm := capture.NewAssembler(cfg)
	r.take(asm.Packets(packets))
	r.take(asm.Flush())
	return r
}

// times lists when the events of a session were.
func (r *record) times(i int) (all []time.Duration) {
	for _, e := range r.events[r.sessions[i]] {
		all = append(all, e.At)
	}
	return all
}

// datagrams makes packets of a UDP flow: the client's and the server's by
// turns, each cut into fragments if size is not 0.
func datagrams(n, length, size int) (all []capture.Packet) {
	ends := [2]netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:4000"), netip.MustParseAddrPort("10.0.0.2:53")}
	for i := range n {
		data := strings.Repeat(fmt.Sprintf("%04d", i), length/4)
		frames := [][]byte{capturetest.UDPFrame(ends[i%2], ends[1-i%2], nil, []byte(data))}
		if size > 0 {
			frames = capturetest.Fragments(edit16(frames[0], 18, uint16(i+1)), size)
		}
		for _, p := range ethernet(frames...) {
			p.Time = capturetest.Epoch.Add(time.Duration(len(all)) * time.Millisecond).UnixNano()
			all = append(all, p)
		}
	}
	return all
}

// TestStoreRoundTrip: what is written of a session reads as that session does
// among all others.
func TestStoreRoundTrip(t *testing.T) {
	wrapped := func(wrap capturetest.Wrap) *capturetest.Conn {
		c := script()
		c.Wrap = [2]capturetest.Wrap{wrap, wrap}
		return c
	}
	visit := func(c *capturetest.Conn) []capture.Packet {
		return batch(c.Handshake().Client("ab").Server("xyz").Wait(time.Second).Client("cd").Close().Packets)
	}
	fragments := func(packets []capture.Packet, size int) (all []capture.Packet) {
		for i, p := range packets {
			for _, f := range ethernet(capturetest.Fragments(edit16(p.Data, 18, uint16(i+1)), size)...) {
				f.Time = p.Time
				all = append(all, f)
			}
		}
		return all
	}
	tagged := visit(script())
	for i := range tagged {
		tagged[i].VLAN, tagged[i].Tagged, tagged[i].Outgoing = 300, true, i%2 == 0
	}
	raw := visit(script())
	for i := range raw {
		raw[i].Data, raw[i].Link = raw[i].Data[14:], capture.LinkRaw
		raw[i].OrigLen = len(raw[i].Data)
	}
	snapped := visit(script())
	for i := range snapped {
		snapped[i].Data = snapped[i].Data[:min(len(snapped[i].Data), 55)]
	}
	lacking := datagrams(6, 400, 64)
	lacking = slices.Delete(lacking, 9, 10)
	var crossed []capture.Packet // a fragmented datagram with another one inside of it
	crossed = append(crossed, datagrams(1, 400, 64)[:3]...)
	crossed = append(crossed, datagrams(2, 40, 0)[1:]...)
	crossed = append(crossed, datagrams(1, 400, 64)[3:]...)
	for i := range crossed {
		crossed[i].Time = capturetest.Epoch.Add(time.Duration(i) * time.Millisecond).UnixNano()
	}
	for _, c := range []struct {
		name    string
		packets []capture.Packet
		cfg     capture.AssemblerConfig
	}{
		{"many", batch(capturetest.HTTP(capturetest.Load{Sessions: 40, Requests: 3, Answer: 5000, MSS: 700})), capture.AssemblerConfig{}},
		{"joined", batch(script().Handshake().Client("ab").Server("xyz").Client("cd").Close().Packets[4:]), capture.AssemblerConfig{}},
		{"reset", batch(script().Handshake().Client("ab").ServerRST().Packets), capture.AssemblerConfig{}},
		{"replaced", append(batch(script().Handshake().Client("ab").Packets), batch(func() *capturetest.Conn {
			c := script().Wait(time.Second)
			c.Seq = [2]uint32{70000, 90000}
			return c.Handshake().Client("cd").Close()
		}().Packets)...), capture.AssemblerConfig{}},
		{"a gap", batch(script().Handshake().Client("ab").Client("cd").ServerACK().Server("x").Drop(3).Close().Packets), capture.AssemblerConfig{}},
		{"retransmitted", func() []capture.Packet {
			p := visit(script())
			return append(p[:5:5], append(p[3:5:5], p[5:]...)...)
		}(), capture.AssemblerConfig{}},
		{"IPv6", visit(capturetest.New("[2001:db8::1]:4000", "[2001:db8::2]:80")), capture.AssemblerConfig{}},
		{"a tag beside the frame", tagged, capture.AssemblerConfig{}},
		{"raw IP", raw, capture.AssemblerConfig{}},
		{"cut by the capture", snapped, capture.AssemblerConfig{}},
		{"VXLAN", visit(wrapped(capturetest.VXLAN(7))), capture.AssemblerConfig{}},
		{"tunnels in tunnels", visit(wrapped(capturetest.Wraps(capturetest.PPPoE(9), capturetest.VXLAN(8), capturetest.GREKey(7)))), capture.AssemblerConfig{}},
		{"fragments", fragments(visit(script()), 8), capture.AssemblerConfig{}},
		{"fragments of a tunnel", fragments(visit(wrapped(capturetest.VXLAN(7))), 48), capture.AssemblerConfig{}},
		{"fragments in fragments of a tunnel", func() (all []capture.Packet) {
			for i, p := range fragments(visit(script()), 16) {
				outer := fragments([]capture.Packet{{Data: edit16(capturetest.VXLAN(7)(p.Data), 18, uint16(100+i)), Time: p.Time}}, 32)
				for _, f := range outer {
					f.Data = edit16(f.Data, 18, uint16(100+i))
					all = append(all, f)
				}
			}
			return all
		}(), capture.AssemblerConfig{}},
		{"UDP", datagrams(20, 40, 0), capture.AssemblerConfig{UDP: []uint16{53}}},
		{"UDP in fragments", datagrams(6, 400, 64), capture.AssemblerConfig{UDP: []uint16{53}}},
		{"UDP, one lacks a fragment", lacking, capture.AssemblerConfig{UDP: []uint16{53}}},
		{"UDP, one between another's fragments", crossed, capture.AssemblerConfig{UDP: []uint16{53}}},
	} {
		for _, size := range []int{1, 7, 1000} {
			store, r := keep(c.packets, c.cfg, capture.StoreConfig{}, size)
			if len(r.sessions) == 0 {
				t.Errorf("%s: no session", c.name)
			}
			for i, s := range r.sessions {
				if k, ok := store.Look(s.ID); !ok || !k.Whole || k.Session != s {
					t.Errorf("%s: session %d: %+v, %v", c.name, s.ID, k, ok)
					continue
				}
				packets := written(t, store, s.ID)
				again := alone(t, packets, s, c.cfg)
				if len(again.sessions) != 1 {
					t.Errorf("%s: it reads as %d sessions", c.name, len(again.sessions))
					continue
				}
				got, want := again.text(0), r.text(i)
				if before, replaced := strings.CutSuffix(want, "replaced"); replaced {
					want = before + "capture-end" // by a session that is in another file
				}
				if got != want {
					t.Errorf("%s, %d at a time\n got %s\nwant %s", c.name, size, got, want)
				}
				a := again.sessions[0]
				if a.Client != s.Client || a.Server != s.Server || !a.Start.Equal(s.Start) || a.Via != s.Via || !slices.Equal(again.times(0), r.times(i)) {
					t.Errorf("%s, %d at a time: got %v %v %v %q, want %v %v %v %q", c.name, size,
						a.Client, a.Server, a.Start, a.Via, s.Client, s.Server, s.Start, s.Via)
				}
			}
			if len(r.sessions) == 1 && c.name != "a tag beside the frame" {
				got, want := written(t, store, 1), slices.Clone(c.packets)
				slices.SortStableFunc(want, func(a, b capture.Packet) int { return int(a.Time - b.Time) })
				slices.SortStableFunc(got, func(a, b capture.Packet) int { return int(a.Time - b.Time) })
				if !slices.EqualFunc(got, want, func(a, b capture.Packet) bool {
					return bytes.Equal(a.Data, b.Data) && a.Time == b.Time && a.OrigLen == b.OrigLen && a.Link == b.Link
				}) {
					t.Errorf("%s, %d at a time: %d packets, or others; want the %d that were captured", c.name, size, len(got), len(want))
				}
			}
		}
	}
}

// storeIgnored are sessions with holes that are given up at another moment when
// no other session's packets tell that time has passed.
var storeIgnored = map[string]string{
	"formats/pcapplusplus__raw_ip.pcap":         "10.0.0.1:55469",
	"malformed/ndpi__fuzz-2006-06-26-2594.pcap": "192.168.1.2:2720",
}

// TestStoreCorpus does the same with captures that nobody here wrote.
func TestStoreCorpus(t *testing.T) {
	dir := os.Getenv("TCPSANDBOX_CORPUS")
	if dir == "" {
		need(t, "TCPSANDBOX_CORPUS does not name the folder of captures")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*", "*.pcap*"))
	if len(files) == 0 {
		t.Fatalf("no captures in %s", dir)
	}
	sessions := 0
	for _, path := range files {
		src, err := capture.OpenFile(path)
		if err != nil {
			continue // such as a file that is there to be refused
		}
		packets, _ := readAll(src)
		src.Close()
		for _, cfg := range []capture.AssemblerConfig{{}, {UDP: []uint16{53, 123, 443, 5060}}} {
			store, r := keep(packets, cfg, capture.StoreConfig{Max: 1 << 30, MaxSession: 256 << 20}, 100)
			for i, s := range r.sessions {
				if len(r.events[s]) == 0 {
					continue
				}
				sessions++
				again := alone(t, written(t, store, s.ID), s, cfg)
				want := r.text(i)
				got := again.text(0)
				if _, cause := s.Totals(); cause != session.Reset && cause != session.Closed { // by others' packets
					want, got = want[:strings.LastIndexByte(want, ' ')], got[:strings.LastIndexByte(got, ' ')]
				}
				if where := strings.TrimPrefix(path, dir+"/"); storeIgnored[where] == s.Client.String() {
					continue
				}
				if len(again.sessions) != 1 || got != want || again.sessions[0].Client != s.Client {
					t.Errorf("%s: %v → %v reads as %d sessions\n got %.300q\nwant %.300q", path, s.Client, s.Server, len(again.sessions), got, want)
				}
			}
		}
	}
	t.Logf("%d sessions", sessions)
}
