package capture

import (
	"testing"

	"golang.org/x/net/bpf"
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
			vm, err := bpf.NewVM(filterProgram(layoutEthernet, c.ports, 0))
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
		raw, err := bpf.Assemble(filterProgram(layout, many, 1))
		if err != nil || len(raw) > 4096 {
			t.Errorf("%d instructions, %v; the kernel takes 4096", len(raw), err)
		}
	}
}
