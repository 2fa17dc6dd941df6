package capture

import "golang.org/x/net/bpf"

// The kernel's filter: a classic BPF program that lets through what may belong
// to a session, so that nothing else is copied into the ring. It accepts
//
//   - TCP over IPv4 or IPv6 from or to one of the ports (or any),
//   - later fragments of IPv4 TCP, which have no ports,
//   - IPv6 with extension or fragment headers, which it does not walk,
//
// each also behind one or two VLAN tags. decode.go looks at all of it again.

const (
	// acceptBytes is how much of a packet is kept: more than the largest.
	acceptBytes = 1 << 20
	// maxFilterPorts keeps the program below the kernel's 4096 instructions;
	// with more ports every TCP packet passes, and the flow table sorts out.
	maxFilterPorts = 900
)

// filterLayout says what the packets begin with.
type filterLayout uint8

const (
	layoutEthernet filterLayout = iota // an Ethernet header
	layoutCooked                       // the network header; the type is beside the packet
)

// filterProgram returns the filter. On loopback, where each packet passes
// twice, the copy on the way out is dropped; loopback is the interface's index
// or 0.
func filterProgram(layout filterLayout, ports []uint16, loopback uint32) []bpf.Instruction {
	if len(ports) > maxFilterPorts {
		ports = nil
	}
	// Conditional jumps reach 255 instructions, the unconditional one
	// anywhere: so tests skip over jumps to labels, which are resolved last.
	const (
		drop = 1 << 30
		test = drop + 1 // compare the ports
	)
	var p []bpf.Instruction
	jump := func(label uint32) bpf.Instruction { return bpf.Jump{Skip: label} }
	accept := bpf.RetConstant{Val: acceptBytes}
	if loopback != 0 {
		p = append(p,
			bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: loopback, SkipTrue: 3},
			bpf.LoadExtension{Num: bpf.ExtType},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: packetOutgoing, SkipTrue: 1},
			jump(drop),
		)
	}
	base := uint32(0)
	if layout == layoutEthernet {
		base = 14
		p = append(p, bpf.LoadAbsolute{Off: 12, Size: 2})
	} else {
		p = append(p, bpf.LoadExtension{Num: bpf.ExtProto})
	}
	// A holds the type of what stands at base.
	const tags = 2
	for tag := range tags + 1 {
		at := base + 4*uint32(tag)
		v4 := []bpf.Instruction{
			bpf.LoadAbsolute{Off: at + 9, Size: 1},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoTCP, SkipTrue: 1},
			jump(drop),
			bpf.LoadAbsolute{Off: at + 6, Size: 2},
			bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: 0x1fff, SkipTrue: 1},
			accept,
			bpf.LoadMemShift{Off: at},
			bpf.LoadIndirect{Off: at, Size: 2},
			bpf.StoreScratch{Src: bpf.RegA, N: 0},
			bpf.LoadIndirect{Off: at + 2, Size: 2},
			jump(test),
		}
		v6 := []bpf.Instruction{
			bpf.LoadAbsolute{Off: at + 6, Size: 1},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoTCP, SkipTrue: 7},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoHopByHop, SkipTrue: 5},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoRouting, SkipTrue: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoFragment, SkipTrue: 3},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoAH, SkipTrue: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoDestOpts, SkipTrue: 1},
			jump(drop),
			accept,
			bpf.LoadAbsolute{Off: at + 40, Size: 2},
			bpf.StoreScratch{Src: bpf.RegA, N: 0},
			bpf.LoadAbsolute{Off: at + 42, Size: 2},
			jump(test),
		}
		p = append(p, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: etherIPv4, SkipTrue: uint8(len(v4))})
		p = append(p, v4...)
		p = append(p, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: etherIPv6, SkipTrue: uint8(len(v6))})
		p = append(p, v6...)
		if tag < tags {
			p = append(p,
				bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherVLAN, SkipTrue: 3},
				bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherQinQ, SkipTrue: 2},
				bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherOldQ, SkipTrue: 1},
				jump(drop),
				bpf.LoadAbsolute{Off: at + 2, Size: 2},
			)
		}
	}
	p = append(p, jump(drop))
	testAt := len(p) // A: destination port, M[0]: source port
	if len(ports) == 0 {
		p = append(p, accept)
	} else {
		for i := range 2 {
			if i == 1 {
				p = append(p, bpf.LoadScratch{Dst: bpf.RegA, N: 0})
			}
			for _, port := range ports {
				p = append(p, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(port), SkipTrue: 1}, accept)
			}
		}
	}
	dropAt := len(p) // last: the kernel wants M[0] stored on every way that leads past a load of it
	p = append(p, bpf.RetConstant{Val: 0})
	for i, ins := range p {
		if j, ok := ins.(bpf.Jump); ok {
			target := dropAt
			if j.Skip == test {
				target = testAt
			}
			p[i] = bpf.Jump{Skip: uint32(target - i - 1)}
		}
	}
	return p
}

// packetOutgoing is the packet type of what this host sends (packet(7)).
const packetOutgoing = 4
