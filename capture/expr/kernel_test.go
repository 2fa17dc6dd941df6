package expr

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
)

// machine runs a Kernel program as the kernel would for packets of one link
// type. The VM of x/net/bpf takes the data's length for the wire's.
type machine struct {
	link    uint16
	program []bpf.Instruction
	vm      *bpf.VM
	proto   uint16
	tag     int // beside the frame, -1 for none
}

// run gives the program what the socket would see of data; it is false in ok
// if no socket would see it.
func (m *machine) run(data []byte) (match, ok bool, err error) { return m.runTagged(data, -1) }

// runTagged is run with a tag beside the frame, or -1.
func (m *machine) runTagged(data []byte, tag int) (match, ok bool, err error) {
	if tag != m.tag {
		m.tag, m.vm = tag, nil
	}
	where := layoutOf(m.link)
	if where.form == cooked || where.form == cooked2 {
		if len(data) < int(where.network) {
			return false, false, nil
		}
		proto := binary.BigEndian.Uint16(data[where.kind:])
		if m.vm == nil || proto != m.proto {
			m.proto, m.vm = proto, nil
		}
		data = data[where.network:]
	}
	if m.vm == nil {
		program := make([]bpf.Instruction, len(m.program))
		for i, in := range m.program {
			switch in { // the VM has no socket buffer
			case bpf.LoadExtension{Num: bpf.ExtProto}:
				in = bpf.LoadConstant{Dst: bpf.RegA, Val: uint32(m.proto)}
			case bpf.LoadExtension{Num: bpf.ExtVLANTag}:
				in = bpf.LoadConstant{Dst: bpf.RegA, Val: uint32(max(tag, 0))}
			case bpf.LoadExtension{Num: bpf.ExtVLANTagPresent}:
				in = bpf.LoadConstant{Dst: bpf.RegA, Val: map[bool]uint32{true: 1}[tag >= 0]}
			}
			program[i] = in
		}
		if m.vm, err = bpf.NewVM(program); err != nil {
			return false, false, err
		}
	}
	n, err := m.vm.Run(data)
	return n != 0, true, err
}

// kernelMatch is what a program for the kernel is to say.
func (f *Filter) kernelMatch(data []byte, link uint16, tag int) bool {
	match := f.Match
	if link == 1 {
		match = func(data []byte, wire int, _ uint16) (bool, error) { return f.MatchLive(data, wire, tag) }
	}
	ok, _ := match(data, len(data), link)
	return ok
}

// TestKernelOnCorpus compares the compiled programs with Match.
func TestKernelOnCorpus(t *testing.T) {
	files := captures(t)
	files = append(files, derived(files)...)
	var programs, packets, longest int
	for _, text := range expressions {
		f, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := f.Kernel(1); !ok {
			t.Errorf("%q does not compile for the kernel", text)
		}
		machines := map[uint16]*machine{}
		for _, c := range files {
			m := machines[c.link]
			if m == nil {
				program, ok := f.Kernel(c.link)
				if !ok {
					continue
				}
				m = &machine{link: c.link, program: program}
				machines[c.link] = m
				programs++
				longest = max(longest, len(program))
			}
			for i, p := range c.packets {
				want := f.kernelMatch(p.data, c.link, -1)
				got, ok, err := m.run(p.data)
				if err != nil {
					t.Fatalf("%q: %v", text, err)
				}
				if ok && got != want {
					t.Errorf("%q, %s packet %d: program %v, Match %v", text, c.path, i+1, got, want)
				}
				packets++
			}
		}
	}
	t.Logf("%d programs over %d packets; the longest has %d instructions", programs, packets, longest)
}

// TestKernelLimits asks for what has no equal in the kernel, and for programs
// whose jumps are long.
func TestKernelLimits(t *testing.T) {
	ports := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprint(1000+i))
		}
		return "tcp port " + strings.Join(list, " or ")
	}
	for _, c := range []struct {
		text string
		link uint16
		ok   bool
	}{
		{"", 1, true},
		{"tcp port 80", 1, true},
		{"tcp port 80", 113, true},
		{"tcp port 80", 276, true},
		{"tcp port 80", 101, true},
		{"tcp port 80", 147, false},            // unknown link type
		{"ether host 1:2:3:4:5:6", 113, false}, // no Ethernet header
		{"vlan 5 and tcp", 1, true},            // the tag is beside the packet
		{"vlan", 113, false},                   // no Ethernet header
		{"ether[0] = 1", 1, true},              //
		{"ether[0] = 1", 113, false},           // the cooked header is not there
		{"ether[0x7fffffff] = 1", 1, false},    // the kernel counts from elsewhere
		{"ip[len - 2] = 1", 1, false},          // may be negative
		{"ip[ip[0] & 0xf] = 1", 1, true},       //
		{"ip[ip[0:4]] = 1", 1, false},          // may be 2^31 and more
		{"len << ip[0] = 1", 1, false},         // may be 32 and more
		{"len << (ip[0] & 7) = 1", 1, true},    //
		{strings.Repeat("(len - ", 20) + "1" + strings.Repeat(")", 20) + " = 1", 1, false}, // 16 scratch words
		{ports(100), 1, true},
		{ports(2000), 1, false}, // more than 4096 instructions
	} {
		f, err := Parse(c.text)
		if err != nil {
			t.Errorf("%.60q: %v", c.text, err)
			continue
		}
		program, ok := f.Kernel(c.link)
		if ok != c.ok {
			t.Errorf("%.60q on %d: %d instructions, %v; want %v", c.text, c.link, len(program), ok, c.ok)
		}
		if _, err := bpf.Assemble(program); ok && err != nil {
			t.Errorf("%.60q on %d: %v", c.text, c.link, err)
		}
	}

	f, err := Parse(ports(100))
	if err != nil {
		t.Fatal(err)
	}
	program, _ := f.Kernel(1)
	m := &machine{link: 1, program: program}
	for port := uint16(995); port < 1105; port++ {
		data := frame(etherIP, ipv4(6, transportHeader(port, 7)))
		if got, _, err := m.run(data); err != nil || got != (port >= 1000 && port < 1100) {
			t.Errorf("port %d: %v, %v", port, got, err)
		}
	}
}
