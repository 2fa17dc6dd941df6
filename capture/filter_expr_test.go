package capture

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"tcpsandbox/capture/capturetest"
	"tcpsandbox/capture/expr"
)

// asks returns a filter's program for Go's virtual machine, which has no socket
// buffer: tag is what stands beside the frame, -1 for none.
func asks(t testing.TB, layout filterLayout, cfg LiveConfig, tag int) *bpf.VM {
	t.Helper()
	program := filterProgram(layout, cfg, 0)
	for i, ins := range program {
		switch ins {
		case bpf.LoadExtension{Num: bpf.ExtVLANTagPresent}:
			program[i] = bpf.LoadConstant{Dst: bpf.RegA, Val: uint32(min(tag+1, 1))}
		case bpf.LoadExtension{Num: bpf.ExtVLANTag}:
			program[i] = bpf.LoadConstant{Dst: bpf.RegA, Val: uint32(max(tag, 0))}
		case bpf.LoadExtension{Num: bpf.ExtProto}:
			program[i] = bpf.LoadConstant{Dst: bpf.RegA, Val: etherIPv4}
		}
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

// picked reports whether a filter in user space lets a single packet through.
func picked(t testing.TB, cfg LiveConfig, p Packet) bool {
	t.Helper()
	src := filtered(one{p}, cfg.Filter, cfg.Tunnels, p.Link == LinkEthernet)
	n := 0
	if err := src.Run(context.Background(), func(batch []Packet) error { n += len(batch); return nil }); err != nil {
		t.Fatal(err)
	}
	return n > 0
}

type one struct{ p Packet }

func (o one) Run(_ context.Context, fn func([]Packet) error) error { return fn([]Packet{o.p}) }
func (one) Stats() Stats                                           { return Stats{} }
func (one) Close() error                                           { return nil }
func (one) Live() bool                                             { return true }
func (one) Name() string                                           { return "one" }

// kernelExpressions: those with vlan ask for the tag beside the frame.
var kernelExpressions = []string{
	"host 10.0.0.1", "src host 10.0.0.1", "tcp dst port 80", "not port 80", "host 10.9.9.9", "ip6", "len > 100", "udp port 4789 or ip proto 47",
	"vlan", "vlan 5 and tcp", "not vlan", "tcp or vlan and ip6", "tcp[13] & 8 != 0 and (src net 10 or ip6)",
}

// TestFilterExpression runs the filter with an expression over what is in no
// tunnel, where it must say what user space says, and what is, where it must
// not be stricter.
func TestFilterExpression(t *testing.T) {
	type packet struct {
		name  string
		data  []byte
		plain bool
	}
	packets := []packet{
		{"IPv4", frame(end4a, end4b), true}, {"back", frame(end4b, end4a), true}, {"IPv6", frame(end6a, end6b), true},
		{"VLAN", frame(end4a, end4b, 5), true}, {"QinQ", frame(end6a, end6b, 5, 6), true},
		{"UDP", capturetest.UDPFrame(end4a, end4b, nil, []byte("hello")), true},
	}
	for _, c := range tunnels {
		packets = append(packets, packet{c.name, c.wrap(frame(end4a, end4b)), false}, packet{c.name + ", IPv6", c.wrap(frame(end6a, end6b)), false})
	}
	var alone, passed int
	for _, text := range kernelExpressions {
		f, err := expr.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range []int{-1, 0, 5, 6} {
			cfg := LiveConfig{Ports: []uint16{80}, UDP: []uint16{80}, Filter: f, Tunnels: true}
			vm := asks(t, layoutEthernet, cfg, tag)
			for _, p := range packets {
				n, err := vm.Run(p.data)
				if err != nil {
					t.Fatal(err)
				}
				pkt := Packet{Data: p.data, OrigLen: len(p.data), Link: LinkEthernet, VLAN: uint16(max(tag, 0)), Tagged: tag >= 0}
				want := picked(t, cfg, pkt)
				if (n > 0) != want && (p.plain || want) {
					t.Errorf("%q, %s, tag %d: kernel %v, user space %v", text, p.name, tag, n > 0, want)
				}
				if p.plain {
					alone++
				}
				if n > 0 {
					passed++
				}
			}
		}
	}
	if passed < alone/2 {
		t.Errorf("%d packets pass", passed)
	}
}

// TestFilterLeavesFragments: a later one passes although the expression is
// about ports, and so does IPv6 whose headers the filter does not walk.
func TestFilterLeavesFragments(t *testing.T) {
	f, _ := expr.Parse("tcp port 80 and host 10.0.0.1")
	vm := asks(t, layoutEthernet, LiveConfig{Ports: []uint16{80}, Filter: f}, -1)
	v4, v6 := frame(end4a, end4b), frame(end6a, end6b)
	v6[20] = protoFragment
	for name, c := range map[string]struct {
		data []byte
		want bool
	}{
		"whole": {v4, true}, "first": {edit(v4, 20, 0x2000), true}, "later": {edit(v4, 20, 0x0010), true},
		"whole, of another host": {edit(v4, 28, 0x0909), false}, "first, of another host": {edit(v4, 28, 0x0909, 20, 0x2000), false},
		"IPv6 fragment": {v6, true},
	} {
		if n, err := vm.Run(c.data); err != nil || (n > 0) != c.want {
			t.Errorf("%s: keeps %d bytes, %v", name, n, err)
		}
	}
}

// TestFilterCooked: packets begin with the IP header, or with tags that the
// capture takes off.
func TestFilterCooked(t *testing.T) {
	f, _ := expr.Parse("host 10.0.0.1 and len < 100")
	vm := asks(t, layoutCooked, LiveConfig{Ports: []uint16{80}, Filter: f}, -1)
	v4 := frame(end4a, end4b)[14:]
	for name, c := range map[string]struct {
		data []byte
		want bool
	}{
		"matches": {v4, true}, "does not": {edit(v4, 14, 0x0909), false},
	} {
		if n, err := vm.Run(c.data); err != nil || (n > 0) != c.want {
			t.Errorf("%s: keeps %d bytes, %v", name, n, err)
		}
	}
	// The kernel says that an inner tag is next; the program begins with that type.
	program := filterProgram(layoutCooked, LiveConfig{Ports: []uint16{80}, Filter: f}, 0)
	for i, ins := range program {
		if ins == (bpf.LoadExtension{Num: bpf.ExtProto}) {
			program[i] = bpf.LoadConstant{Dst: bpf.RegA, Val: etherVLAN}
		}
	}
	tagged, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := tagged.Run(append([]byte{0, 6, 8, 0}, v4...)); err != nil || n == 0 {
		t.Errorf("behind a tag: keeps %d bytes, %v", n, err)
	}
}

// TestFilterTooLong: what does not fit is left to user space.
func TestFilterTooLong(t *testing.T) {
	var ports []string
	many := make([]uint16, maxFilterPorts)
	for i := range many {
		many[i] = uint16(10000 + i)
		if i < 100 {
			ports = append(ports, fmt.Sprint(20000+i))
		}
	}
	f, err := expr.Parse("tcp port " + strings.Join(ports, " or "))
	if err != nil {
		t.Fatal(err)
	}
	if program, ok := f.Kernel(1); !ok {
		t.Fatalf("%d instructions do not fit on their own", len(program))
	}
	for _, cfg := range []LiveConfig{{Ports: many, UDP: many, Tunnels: true, Filter: f}, {Ports: []uint16{80}, Filter: f}} {
		raw, err := bpf.Assemble(filterProgram(layoutEthernet, cfg, 1))
		if err != nil || len(raw) > maxFilter {
			t.Errorf("%d instructions, %v", len(raw), err)
		}
		cfg.Filter = nil
		without := len(filterProgram(layoutEthernet, cfg, 1))
		if asked := len(raw) > without; asked != (len(cfg.Ports) == 1) {
			t.Errorf("%d ports: %d instructions, %d without the expression", len(cfg.Ports), len(raw), without)
		}
	}
}

// FuzzFilterExpression: what is on a wanted port and matches in user space
// passes the kernel's filter; what is in no tunnel and no fragment passes only
// then.
func FuzzFilterExpression(f *testing.F) {
	for i, c := range tunnels {
		f.Add(uint8(i), int16(-1), c.wrap(frame(end4a, end4b)))
		f.Add(uint8(i+3), int16(5), c.wrap(frame(end6a, end6b)))
	}
	f.Add(uint8(1), int16(-1), frame(end4a, end4b, 5, 6))
	var filters []*expr.Filter
	for _, text := range kernelExpressions {
		filter, err := expr.Parse(text)
		if err != nil {
			f.Fatal(err)
		}
		filters = append(filters, filter)
	}
	f.Fuzz(func(t *testing.T, which uint8, tag int16, data []byte) {
		if len(data) == 0 {
			return
		}
		tag = max(tag, -1) & 0xfff
		if tag == 0xfff {
			tag = -1
		}
		cfg := LiveConfig{Ports: []uint16{80}, UDP: []uint16{53}, Tunnels: true, Filter: filters[int(which)%len(filters)]}
		n, err := asks(t, layoutEthernet, cfg, int(tag)).Run(data)
		if err != nil {
			t.Fatal(err)
		}
		var seg segment
		var ip ipInfo
		_, v := decode(data, len(data), LinkEthernet, &seg, &ip)
		wanted := v == isTCP && (seg.srcPort == 80 || seg.dstPort == 80) || v == isUDP && (seg.srcPort == 53 || seg.dstPort == 53)
		tags := 0
		for at := 12; at+4 <= len(data); at += 4 {
			if e := uint16(data[at])<<8 | uint16(data[at+1]); !slices.Contains([]uint16{etherVLAN, etherQinQ, etherOldQ}, e) {
				break
			}
			tags++
		}
		if !wanted || tags > filterTags {
			return
		}
		matches := picked(t, cfg, Packet{Data: data, OrigLen: len(data), Link: LinkEthernet, VLAN: uint16(max(tag, 0)), Tagged: tag >= 0})
		if matches && n == 0 {
			t.Errorf("%v matches and does not pass, in %q: %x", cfg.Filter, ip.path.String(), data)
		}
		ext := ip.srcHi != 0 && len(data) > 20+4*tags && data[20+4*tags] != protoTCP && data[20+4*tags] != protoUDP
		if !matches && n > 0 && !ip.inside && !ext {
			t.Errorf("%v does not match and passes: %x", cfg.Filter, data)
		}
	})
}
