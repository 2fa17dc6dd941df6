package capture

import (
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/net/bpf"

	"tcpsandbox/capture/capturetest"
)

func TestFilter(t *testing.T) {
	v4, v6 := frame(end4a, end4b), frame(end6a, end6b)
	ext := insert(v6, 54, 6, 0, 0, 1, 0, 0, 0, 1) // a fragment header
	ext[20] = protoFragment
	many := make([]uint16, maxFilterPorts)
	for i := range many {
		many[i] = uint16(10000 + i)
	}
	for _, c := range []struct {
		name  string
		data  []byte
		ports []uint16
		want  bool
	}{
		{"to the port", v4, []uint16{443, 80}, true},
		{"from the port", frame(end4b, end4a), []uint16{80}, true},
		{"IPv6", v6, []uint16{80}, true},
		{"another port", v4, []uint16{81}, false},
		{"another port, IPv6", v6, []uint16{81}, false},
		{"all ports", v4, nil, true},
		{"VLAN", frame(end4a, end4b, 5), []uint16{80}, true},
		{"QinQ, IPv6", frame(end6a, end6b, 5, 6), []uint16{80}, true},
		{"VLAN, another port", frame(end4a, end4b, 5), []uint16{81}, false},
		{"as many ports as fit", v4, append(many[1:len(many):len(many)], 80), true},
		{"as many ports as fit, none of them", v4, many, false},
		{"more ports than fit", v4, append(many[:len(many):len(many)], 1, 2), true},
		{"later fragment", edit(v4, 20, 0x0010), []uint16{81}, true},
		{"first fragment", edit(v4, 20, 0x2000), []uint16{80}, true},
		{"first fragment of another port", edit(v4, 20, 0x2000), []uint16{81}, false},
		{"extension header", ext, []uint16{81}, true},
		{"UDP", insert(v4[:23], 23, append([]byte{17}, v4[24:]...)...), nil, false},
		{"later fragment of UDP", edit(insert(v4[:23], 23, append([]byte{17}, v4[24:]...)...), 20, 0x0010), nil, false},
		{"ARP", edit(v4, 12, 0x0806), nil, false},
		{"cut", v4[:20], nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			vm, err := bpf.NewVM(filterProgram(layoutEthernet, LiveConfig{Ports: c.ports}, 0))
			if err != nil {
				t.Fatal(err)
			}
			n, err := vm.Run(c.data)
			if err != nil {
				t.Fatal(err)
			}
			if (n > 0) != c.want {
				t.Errorf("keeps %d bytes", n)
			}
			if n > 0 && n < len(c.data) {
				t.Errorf("keeps %d of %d bytes", n, len(c.data))
			}
		})
	}
	for _, layout := range []filterLayout{layoutEthernet, layoutCooked} {
		raw, err := bpf.Assemble(filterProgram(layout, LiveConfig{Ports: many, UDP: many, Tunnels: true}, 1))
		if err != nil || len(raw) > 4096 {
			t.Errorf("%d instructions, %v; the kernel takes 4096", len(raw), err)
		}
	}
}

// passes runs the filter in Go.
func passes(t *testing.T, cfg LiveConfig, data []byte) bool {
	t.Helper()
	vm, err := bpf.NewVM(filterProgram(layoutEthernet, cfg, 0))
	if err != nil {
		t.Fatal(err)
	}
	n, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return n > 0
}

func TestFilterUDP(t *testing.T) {
	dns := capturetest.UDPFrame(end4a, netip.MustParseAddrPort("10.0.0.2:53"), nil, []byte("question"))
	dns6 := capturetest.UDPFrame(end6a, netip.MustParseAddrPort("[2001:db8::2]:53"), []uint16{5}, []byte("question"))
	for _, c := range []struct {
		name string
		data []byte
		cfg  LiveConfig
		want bool
	}{
		{"the port", dns, LiveConfig{UDP: []uint16{53}}, true},
		{"IPv6 in a VLAN", dns6, LiveConfig{UDP: []uint16{53}}, true},
		{"another port", dns, LiveConfig{UDP: []uint16{54}}, false},
		{"later fragment", edit(dns, 20, 0x0010), LiveConfig{UDP: []uint16{54}}, true},
		{"a TCP port", dns, LiveConfig{Ports: []uint16{53}}, false},
		{"all TCP", dns, LiveConfig{}, false},
		{"TCP where UDP is asked for", frame(end4a, end4b), LiveConfig{UDP: []uint16{80}}, false},
		{"fragment of TCP where UDP is asked for", edit(frame(end4a, end4b), 20, 0x0010), LiveConfig{UDP: []uint16{80}}, false},
		{"TCP beside UDP", frame(end4a, end4b), LiveConfig{UDP: []uint16{53}, Ports: []uint16{80}}, true},
	} {
		if got := passes(t, c.cfg, c.data); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestFilterTunnels wants of every tunnel what is on the port, and nothing
// else but where it is documented.
func TestFilterTunnels(t *testing.T) {
	unseen := []string{"GTP-U of 5G", "ERSPAN III", "MPLS", "MPLS, explicit null", "Ethernet in MPLS", "PPPoE in VXLAN in GRE"}
	dns := netip.MustParseAddrPort("10.0.0.2:53")
	for _, c := range tunnels {
		for _, tags := range [][]uint16{nil, {5}, {5, 6}} {
			tagged := func(frame []byte) []byte {
				frame = c.wrap(frame)
				for _, tag := range tags {
					frame = insert(frame, 12, 0x81, 0, byte(tag>>8), byte(tag))
				}
				return frame
			}
			for _, p := range []struct {
				name string
				data []byte
				cfg  LiveConfig
				want bool
			}{
				{"IPv4", frame(end4a, end4b), LiveConfig{Ports: []uint16{80}}, true},
				{"IPv6", frame(end6a, end6b), LiveConfig{Ports: []uint16{80}}, true},
				{"back", frame(end4b, end4a), LiveConfig{Ports: []uint16{80}}, true},
				{"all TCP", frame(end4a, end4b), LiveConfig{}, true},
				{"UDP", capturetest.UDPFrame(end4a, dns, nil, []byte("question")), LiveConfig{UDP: []uint16{53}}, true},
				{"another port", frame(end4a, end4b), LiveConfig{Ports: []uint16{81}}, false},
				{"another port, IPv6", frame(end6a, end6b), LiveConfig{Ports: []uint16{81}}, false},
				{"another protocol", capturetest.UDPFrame(end4a, dns, nil, []byte("question")), LiveConfig{Ports: []uint16{80}}, false},
			} {
				data := tagged(p.data)
				p.cfg.Tunnels = true
				if got := passes(t, p.cfg, data); got != (p.want || slices.Contains(unseen, c.name)) {
					t.Errorf("%s, %s, tags %v: %v", c.name, p.name, tags, got)
				}
				p.cfg.Tunnels = false
				if passes(t, p.cfg, data) {
					t.Errorf("%s, %s, tags %v: passes although tunnels are not wanted", c.name, p.name, tags)
				}
			}
		}
	}
	over6 := capturetest.UDPFrame(end6a, netip.MustParseAddrPort("[2001:db8::2]:4789"), nil, append([]byte{8, 0, 0, 0, 0, 0, 1, 0}, frame(end4a, end4b)...))
	if !passes(t, LiveConfig{Tunnels: true, Ports: []uint16{80}}, over6) || passes(t, LiveConfig{Tunnels: true, Ports: []uint16{81}}, over6) {
		t.Error("VXLAN over IPv6 is not looked into")
	}
	vxlan := capturetest.VXLAN(1)(frame(end4a, end4b))
	arp := capturetest.VXLAN(1)(edit(frame(end4a, end4b), 12, 0x0806))
	other := LiveConfig{Tunnels: true, Ports: []uint16{81}}
	if passes(t, other, arp) {
		t.Error("ARP inside of VXLAN passes")
	}
	if !passes(t, other, edit(vxlan, 20, 0x0010)) {
		t.Error("a later fragment of VXLAN does not pass")
	}
}

// FuzzFilter wants the filter to pass whatever decode finds a wanted port in.
func FuzzFilter(f *testing.F) {
	for _, c := range tunnels {
		f.Add(c.wrap(frame(end4a, end4b)))
		f.Add(c.wrap(frame(end6a, end6b)))
	}
	f.Add(frame(end4a, end4b, 5, 6))
	vm, err := bpf.NewVM(filterProgram(layoutEthernet, LiveConfig{Ports: []uint16{80}, UDP: []uint16{53}, Tunnels: true}, 0))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var seg segment
		var ip ipInfo
		_, v := decode(data, len(data), LinkEthernet, &seg, &ip)
		wanted := v == isTCP && (seg.srcPort == 80 || seg.dstPort == 80) || v == isUDP && (seg.srcPort == 53 || seg.dstPort == 53)
		if !wanted {
			return
		}
		tags := 0
		for at := 12; at+4 <= len(data); at += 4 {
			if e := int(data[at])<<8 | int(data[at+1]); e != etherVLAN && e != etherQinQ && e != etherOldQ {
				break
			}
			tags++
		}
		if tags > filterTags {
			return
		}
		if n, err := vm.Run(data); err != nil || n == 0 {
			t.Errorf("does not pass: %v, in %q: %x", v, ip.path.String(), data)
		}
	})
}
