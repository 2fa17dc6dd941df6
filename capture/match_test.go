package capture_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/gopacket/layers"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/capture/expr"
)

func mustParse(t testing.TB, text string) *expr.Filter {
	t.Helper()
	f, err := expr.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// packetList is a source of so many packets at a time.
type packetList struct {
	packets []capture.Packet
	batch   int
}

func (l packetList) Run(_ context.Context, fn func([]capture.Packet) error) error {
	for batch := range slices.Chunk(slices.Clone(l.packets), l.batch) {
		held := make([]capture.Packet, len(batch))
		for i, p := range batch {
			held[i] = p
			held[i].Data = slices.Clone(p.Data)
		}
		if err := fn(held); err != nil {
			return err
		}
		for _, p := range held { // they are the source's again
			clear(p.Data)
		}
	}
	return nil
}

func (packetList) Stats() capture.Stats { return capture.Stats{} }
func (packetList) Close() error         { return nil }
func (packetList) Live() bool           { return false }
func (packetList) Name() string         { return "list" }

// pick returns the indices of the packets that come through, in the order in
// which they come; each is told by its time.
func pick(t testing.TB, text string, tunnels bool, packets []capture.Packet, batch int) []int {
	t.Helper()
	packets = slices.Clone(packets)
	for i := range packets {
		packets[i].Time = int64(i)
	}
	kept := []int{}
	err := capture.Filtered(packetList{packets, batch}, mustParse(t, text), tunnels).Run(context.Background(), func(batch []capture.Packet) error {
		for _, p := range batch {
			if string(p.Data) != string(packets[p.Time].Data) {
				t.Errorf("%q: packet %d came out changed", text, p.Time)
			}
			kept = append(kept, int(p.Time))
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return kept
}

func ethernet(frames ...[]byte) (all []capture.Packet) {
	for _, f := range frames {
		all = append(all, capture.Packet{Data: f, OrigLen: len(f), Link: capture.LinkEthernet})
	}
	return all
}

// hello is a frame of TCP from 10.1.0.1 to port 80 of 10.1.0.2.
func hello(vlan ...uint16) []byte {
	c := capturetest.New("10.1.0.1:4000", "10.1.0.2:80")
	return capturetest.Frame(c.Ends[0], c.Ends[1], vlan, layers.TCP{ACK: true}, []byte("hello"))
}

func TestFilteredInTunnels(t *testing.T) {
	vxlan, mpls, gre := capturetest.VXLAN(7), capturetest.MPLS(18), capturetest.GRE()
	deep := capturetest.Wraps(capturetest.PPPoE(9), capturetest.VXLAN(8), capturetest.GREKey(7))
	inVLAN := func(wrap capturetest.Wrap) capturetest.Wrap {
		return func(frame []byte) []byte { return insertTag(wrap(frame), 5) }
	}
	for _, c := range []struct {
		name    string
		frame   []byte
		text    string
		want    bool // with tunnels
		without bool
	}{
		{"plain", hello(), "tcp port 80", true, true},
		{"a tag is no tunnel", hello(5), "tcp port 80", false, false},
		{"a tag is no tunnel", hello(5), "vlan 5 and tcp port 80", true, true},
		{"outer", vxlan(hello()), "udp port 4789", true, true},
		{"inner", vxlan(hello()), "tcp port 80", true, false},
		{"inner host", vxlan(hello()), "host 10.1.0.1", true, false},
		{"another port", vxlan(hello()), "tcp port 81", false, false},
		{"not asks outside first", vxlan(hello()), "not tcp port 80", true, true},
		{"not, of the inside", vxlan(hello()), "not tcp port 80 and not udp port 4789", false, false},
		{"both at once is neither", vxlan(hello()), "udp port 4789 and tcp port 80", false, false},
		{"inner length", vxlan(hello()), "len = 45", true, false},
		{"inner frame's length, padded", vxlan(hello()), "len = 60", true, false},
		{"inner frame", vxlan(hello()), "ether src 02:00:00:00:00:01 and tcp", true, false},
		{"inner tag", vxlan(insertTag(hello(), 6)), "vlan 6 and tcp port 80", true, false},
		{"inner tag does not hide IP", vxlan(insertTag(hello(), 6)), "tcp port 80", true, false},
		{"outer tag is not inside", inVLAN(vxlan)(hello()), "vlan 5 and tcp", false, false},
		{"outer tag", inVLAN(vxlan)(hello()), "vlan 5 and udp", true, true},
		{"tunnel behind a tag", inVLAN(vxlan)(hello()), "tcp port 80", true, false},
		{"MPLS", mpls(hello()), "tcp port 80", true, false},
		{"MPLS is no Ethernet", mpls(hello()), "vlan and tcp port 80", false, false},
		{"Ethernet in MPLS", capturetest.MPLSEthernet(18)(hello()), "ether src 02:00:00:00:00:01 and tcp", true, false},
		{"PPPoE", capturetest.PPPoE(9)(hello()), "tcp port 80", true, false},
		{"GRE", gre(hello()), "dst host 10.1.0.2 and tcp", true, false},
		{"GRE itself", gre(hello()), "ip proto 47", true, true},
		{"IP in IP", capturetest.IPIP()(hello()), "tcp port 80", true, false},
		{"three deep", deep(hello()), "tcp port 80", true, false},
		{"three deep, the middle one", deep(hello()), "udp port 4789", true, false},
		{"ARP inside", vxlan(edit16(hello(), 12, 0x806)), "arp", true, false},
	} {
		t.Run(fmt.Sprintf("%s, %s", c.name, c.text), func(t *testing.T) {
			for _, tunnels := range []bool{true, false} {
				want := c.want
				if !tunnels {
					want = c.without
				}
				if got := pick(t, c.text, tunnels, ethernet(c.frame), 1); (len(got) == 1) != want {
					t.Errorf("tunnels %v: %v, want %v", tunnels, len(got) == 1, want)
				}
			}
		})
	}
}

// TestFilteredOneByOne: what was found in one packet says nothing of the next.
func TestFilteredOneByOne(t *testing.T) {
	frames := [][]byte{capturetest.VXLAN(7)(hello()), hello(5), hello(), hello(5)}
	if got := pick(t, "tcp port 80", true, ethernet(frames...), 10); !slices.Equal(got, []int{0, 2}) {
		t.Errorf("%v", got)
	}
}

func insertTag(frame []byte, id uint16) []byte {
	return slices.Concat(frame[:12], []byte{0x81, 0, byte(id >> 8), byte(id)}, frame[12:])
}

func edit16(b []byte, at int, v uint16) []byte {
	b = slices.Clone(b)
	binary.BigEndian.PutUint16(b[at:], v)
	return b
}

func TestFilteredFragments(t *testing.T) {
	// Three fragments each; the ports are in the first.
	datagram := func(port string, id uint16, wrap capturetest.Wrap) [][]byte {
		c := capturetest.New("10.1.0.1:4000", "10.1.0.2:"+port)
		f := capturetest.Frame(c.Ends[0], c.Ends[1], nil, layers.TCP{ACK: true}, make([]byte, 100))
		size := 48
		if wrap != nil {
			f = wrap(f)
			size = 80
		}
		return capturetest.Fragments(edit16(f, 18, id), size)
	}
	a, b := datagram("80", 1, nil), datagram("81", 2, nil)
	x, y := datagram("80", 3, capturetest.VXLAN(7)), datagram("81", 4, capturetest.VXLAN(7))
	ipip := datagram("80", 9, capturetest.IPIP())
	if len(a) != 3 || len(x) != 3 || len(ipip) != 2 {
		t.Fatalf("%d, %d and %d fragments", len(a), len(x), len(ipip))
	}
	// Inside of a tunnel there are fragments, too.
	var n [][]byte
	for _, f := range datagram("80", 5, nil) {
		n = append(n, capturetest.VXLAN(7)(f))
	}
	// And fragments of a tunnel's packets that have fragments inside.
	both := append(capturetest.Fragments(edit16(n[0], 18, 6), 64), capturetest.Fragments(edit16(n[1], 18, 7), 64)...)
	both = append(both, capturetest.Fragments(edit16(n[2], 18, 8), 64)...)
	if len(both) < 6 {
		t.Fatalf("%d fragments of fragments", len(both))
	}
	upTo := func(n int) (all []int) {
		for i := range n {
			all = append(all, i)
		}
		return all
	}
	for _, c := range []struct {
		name    string
		frames  [][]byte
		text    string
		tunnels bool
		want    []int
	}{
		{"in order", slices.Concat(a, b), "tcp port 80", false, []int{0, 1, 2}},
		{"interleaved", [][]byte{b[0], a[0], b[1], a[1], a[2], b[2]}, "tcp port 80", false, []int{1, 3, 4}},
		{"backwards", [][]byte{a[2], b[2], a[1], b[1], a[0], b[0]}, "tcp port 80", false, []int{0, 2, 4}},
		{"the first comes second", [][]byte{a[1], a[0], a[2]}, "tcp port 80", false, []int{0, 1, 2}},
		{"the first is lost", a[1:], "tcp port 80", false, nil},
		{"the last is lost", a[:2], "tcp port 80", false, []int{0, 1}},
		{"all match", b, "host 10.1.0.1", false, []int{0, 1, 2}},
		{"only later ones match", a, "ip[6:2] & 0x1fff != 0", false, []int{1, 2}},
		{"not", b, "not port 81", false, []int{1, 2}}, // as tcpdump has it
		{"in pieces of a tunnel", slices.Concat(x, y), "tcp port 80", true, []int{0, 1, 2}},
		{"in pieces of a tunnel, interleaved", [][]byte{y[0], x[0], y[1], x[1], y[2], x[2]}, "tcp port 80", true, []int{1, 3, 5}},
		{"in pieces of a tunnel, backwards", [][]byte{y[2], x[2], x[1], y[1], x[0], y[0]}, "tcp port 80", true, []int{1, 2, 4}},
		{"in pieces of a tunnel, one lost", x[:2], "tcp port 80", true, nil},
		{"in pieces of IP in IP", ipip, "tcp port 80", true, []int{0, 1}},
		{"in pieces of a tunnel, unwanted", x, "tcp port 80", false, nil},
		{"the tunnel", slices.Concat(x, a), "udp port 4789", true, []int{0, 1, 2}},
		{"in pieces inside of a tunnel", n, "tcp port 80", true, []int{0, 1, 2}},
		{"in pieces inside of a tunnel, backwards", [][]byte{n[2], n[1], n[0]}, "tcp port 80", true, []int{0, 1, 2}},
		{"in pieces inside of a tunnel, another port", n, "tcp port 81", true, nil},
		{"pieces of pieces", both, "tcp port 80", true, upTo(len(both))},
		{"pieces of pieces, another port", both, "tcp port 81", true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, batch := range []int{1, 2, 100} {
				got := pick(t, c.text, c.tunnels, ethernet(c.frames...), batch)
				if !slices.Equal(got, c.want) {
					t.Errorf("%d at a time: %v, want %v", batch, got, c.want)
				}
			}
		})
	}
}

// TestFilteredSessions makes sessions of what a filter by port leaves of
// fragmented packets: all of one, nothing of the other.
func TestFilteredSessions(t *testing.T) {
	var frames [][]byte
	for _, port := range []string{"80", "81"} {
		c := capturetest.New("10.1.0.1:4000", "10.1.0.2:"+port)
		c.Wrap[0] = capturetest.VXLAN(7)
		c.Wrap[1] = c.Wrap[0]
		for i, p := range c.Handshake().Client(string(make([]byte, 3000))).Close().Packets {
			frames = append(frames, capturetest.Fragments(edit16(p.Data, 18, uint16(i)), 512)...)
		}
	}
	asm := capture.NewAssembler(capture.AssemblerConfig{})
	src := capture.Filtered(packetList{ethernet(frames...), 7}, mustParse(t, "tcp port 81"), true)
	if err := src.Run(context.Background(), func(batch []capture.Packet) error { asm.Packets(batch); return nil }); err != nil {
		t.Fatal(err)
	}
	all := asm.Flush()
	if stats := asm.Stats(); stats.Sessions != 1 || stats.Stale != 0 || stats.Fragments == 0 {
		t.Errorf("%+v", stats)
	}
	for _, s := range all {
		t.Errorf("not closed: %v", s.Server)
	}
}

func TestFilteredLink(t *testing.T) {
	p := ethernet(hello())
	raw := p[0]
	raw.Data, raw.OrigLen, raw.Link = raw.Data[14:], raw.OrigLen-14, capture.LinkRaw
	n := 0
	err := capture.Filtered(packetList{append(p, raw), 10}, mustParse(t, "ether host 02:00:00:00:00:01"), true).Run(context.Background(),
		func(batch []capture.Packet) error { n += len(batch); return nil })
	var unfit *expr.LinkError
	if !errors.As(err, &unfit) || unfit.Offset != 11 || unfit.Link != 101 || n != 0 {
		t.Errorf("%v after %d packets", err, n)
	}
	if src := capture.Filtered(packetList{}, nil, true); fmt.Sprintf("%T", src) != "capture_test.packetList" {
		t.Errorf("no filter makes a %T", src)
	}
}

// TestFilteredCorpus wants of every file what expr.Match, which is compared
// with tcpdump, says of each packet, and beyond that only fragments that are
// not first ones and packets in tunnels.
func TestFilteredCorpus(t *testing.T) {
	dir := os.Getenv("TCPSANDBOX_CORPUS")
	if dir == "" {
		need(t, "TCPSANDBOX_CORPUS does not name the folder of captures")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*", "*.pcap*"))
	if len(files) == 0 {
		need(t, "no captures in "+dir)
	}
	var more [2]int
	for _, path := range files {
		all := readCapture(t, path)
		for _, text := range []string{"tcp port 80", "udp", "not port 443", "host 10.0.0.1 or net 192.168", "len > 100", "tcp[13] & 2 != 0", "icmp or ip6"} {
			f := mustParse(t, text)
			if len(all) > 0 && f.Check(uint16(all[0].Link)) != nil {
				continue
			}
			for i, tunnels := range []bool{false, true} {
				got := pick(t, text, tunnels, all, 100)
				in := make(map[int]int, len(got))
				for _, k := range got {
					in[k]++
				}
				for k, p := range all {
					plain, err := f.Match(p.Data, p.OrigLen, uint16(p.Link))
					if err != nil {
						continue
					}
					if plain && in[k] != 1 || in[k] > 1 {
						t.Errorf("%s, %q, tunnels %v: packet %d comes %d times", path, text, tunnels, k+1, in[k])
					}
					if plain || in[k] == 0 {
						continue
					}
					more[i]++
					if !tunnels && (p.Link != capture.LinkEthernet || binary.BigEndian.Uint16(p.Data[20:])&0x1fff == 0) {
						t.Errorf("%s, %q: packet %d comes, and tcpdump does not pick it", path, text, k+1)
					}
				}
			}
		}
	}
	if more[0] == 0 || more[1] <= more[0] {
		t.Errorf("%d fragments more, with tunnels %d packets: the corpus has both", more[0], more[1])
	}
	t.Logf("%d files; beyond tcpdump %d later fragments, with tunnels %d packets", len(files), more[0], more[1])
}

func readCapture(t *testing.T, path string) (all []capture.Packet) {
	t.Helper()
	src, err := capture.OpenFile(path)
	if err != nil {
		return nil
	}
	defer src.Close()
	src.Run(context.Background(), func(batch []capture.Packet) error { // a damaged end is fine
		for _, p := range batch {
			p.Data = slices.Clone(p.Data)
			all = append(all, p)
		}
		return nil
	})
	return all
}
