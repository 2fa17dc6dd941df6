package capture

import "golang.org/x/net/bpf"

// The kernel's filter: a classic BPF program that lets through what may belong
// to a session, so that nothing else is copied into the ring. It accepts
//
//   - TCP and UDP over IPv4 or IPv6 from or to one of the ports,
//   - later fragments of IPv4, which have no ports, where what they are
//     fragments of is wanted,
//   - IPv6 with extension or fragment headers, which it does not walk,
//
// each also behind one or two VLAN tags; with tunnels also what tunnel filters
// accept, see filter_tunnel.go. decode.go looks at all of it again.
//
// An expression (LiveConfig.Filter) is asked last, of what has a wanted port and
// is in no tunnel. All else that passes has yet to be put together or taken out
// of something before it is known whether it matches: match.go decides.

const (
	// acceptBytes is how much of a packet is kept: more than the largest.
	acceptBytes = 1 << 20
	// maxFilterPorts keeps the program below the kernel's 4096 instructions;
	// with more ports every TCP or UDP packet passes, and the flow table sorts
	// out.
	maxFilterPorts = 450
	maxFilter      = 4096 // BPF_MAXINSNS
)

// filterLayout says what the packets begin with.
type filterLayout uint8

const (
	layoutEthernet filterLayout = iota // an Ethernet header
	layoutCooked                       // the network header; the type is beside the packet
)

// link returns what the packets are once the ring has delivered them.
func (l filterLayout) link() LinkType {
	if l == layoutCooked {
		return LinkRaw
	}
	return LinkEthernet
}

// place is a labelled place in a filter. Where the kernel's registers are read
// there: X is the offset of what the place is about.
type place uint32

const (
	atTransport place = iota // X: TCP or UDP header; M[1]: IP protocol
	atPPPoE                  // X: PPPoE header
	atPPPoEIP
	atUDP // X: UDP header
	atVXLAN
	atGENEVE
	atGTP
	atGRE // X: GRE header
	atGREPlain
	atGREKey
	atGREType    // X: what follows the GRE header
	atInnerEther // X: Ethernet header
	atInnerIP    // X: IP header
	atInner4
	atInner6
	atInnerTransport // as atTransport
	atInnerUDP       // X: UDP header
	atLaterFragment  // M[1]: IP protocol
	atTCPPorts       // X: TCP header
	atUDPPorts       // X: UDP header
	atExpression     // on a wanted port
	atAccept
	atDrop
	atFirst4 // the outermost IP header, behind 0, 1, … tags
	atFirst6 = atFirst4 + filterTags + 1

	places     = atFirst6 + filterTags + 1
	filterTags = 2
	jumpTo     = 1 << 30 // marks a Jump whose Skip is a place, until link
)

// scratch memory of the program.
const (
	memPort  = 0 // source port
	memProto = 1 // IP protocol
	memType  = 2 // EtherType inside
	memLater = 3 // 1: the expression is not to be asked here
)

// filterCode is a program under construction. Conditional jumps reach 255
// instructions and the unconditional one anywhere, but only forwards.
type filterCode struct {
	ins  []bpf.Instruction
	at   [places]int
	asks bool // there is an expression
}

func (c *filterCode) op(ins ...bpf.Instruction) { c.ins = append(c.ins, ins...) }

// here gives the next instruction the name of a place.
func (c *filterCode) here(p place) { c.at[p] = len(c.ins) }

func (c *filterCode) goTo(p place) { c.op(bpf.Jump{Skip: jumpTo | uint32(p)}) }

// when goes to a place if register A holds val.
func (c *filterCode) when(val uint32, p place) {
	c.op(bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: val, SkipTrue: 1})
	c.goTo(p)
}

// whenBits goes to a place if register A has one of the bits.
func (c *filterCode) whenBits(bits uint32, p place) {
	c.op(bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: bits, SkipTrue: 1})
	c.goTo(p)
}

func (c *filterCode) unless(val uint32, p place) {
	c.op(bpf.JumpIf{Cond: bpf.JumpEqual, Val: val, SkipTrue: 1})
	c.goTo(p)
}

func (c *filterCode) unlessBits(bits uint32, p place) {
	c.op(bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: bits, SkipTrue: 1})
	c.goTo(p)
}

// advance adds n to X; A is lost.
func (c *filterCode) advance(n uint32) {
	c.op(bpf.TXA{}, bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: n}, bpf.TAX{})
}

// link resolves the jumps.
func (c *filterCode) link() []bpf.Instruction {
	for i, ins := range c.ins {
		if j, ok := ins.(bpf.Jump); ok && j.Skip&jumpTo != 0 {
			c.ins[i] = bpf.Jump{Skip: uint32(c.at[j.Skip&^jumpTo] - i - 1)}
		}
	}
	return c.ins
}

// filterProgram returns the filter, without the expression where that has no
// equal in the kernel or makes the filter too long. On loopback, where each
// packet passes twice, the copy on the way out is dropped; loopback is the
// interface's index or 0.
func filterProgram(layout filterLayout, cfg LiveConfig, loopback uint32) []bpf.Instruction {
	var expression []bpf.Instruction
	if cfg.Filter != nil {
		expression, _ = cfg.Filter.Kernel(uint16(layout.link()))
	}
	program := assembleFilter(layout, cfg, loopback, expression)
	if len(program) > maxFilter {
		program = assembleFilter(layout, cfg, loopback, nil)
	}
	return program
}

// assembleFilter builds the filter. The expression's last two instructions
// accept and drop; in their place stand those of the filter.
func assembleFilter(layout filterLayout, cfg LiveConfig, loopback uint32, expression []bpf.Instruction) []bpf.Instruction {
	c := &filterCode{asks: len(expression) > 0}
	if c.asks {
		c.askLater(0)
	}
	if loopback != 0 {
		c.op(bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: loopback, SkipTrue: 3},
			bpf.LoadExtension{Num: bpf.ExtType})
		c.when(packetOutgoing, atDrop)
	}
	base := uint32(0)
	if layout == layoutEthernet {
		base = 14
		c.op(bpf.LoadAbsolute{Off: 12, Size: 2})
	} else {
		c.op(bpf.LoadExtension{Num: bpf.ExtProto})
	}
	for tag := range uint32(filterTags + 1) { // A holds the type of what stands at base
		c.when(etherIPv4, atFirst4+place(tag))
		c.when(etherIPv6, atFirst6+place(tag))
		if cfg.Tunnels {
			c.when(etherMPLS, atAccept)
			c.when(etherMPLSUp, atAccept)
			c.op(bpf.LoadConstant{Dst: bpf.RegX, Val: base + 4*tag})
			c.when(etherPPPoE, atPPPoE)
		}
		if tag == filterTags {
			break
		}
		c.op(bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherVLAN, SkipTrue: 3},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherQinQ, SkipTrue: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherOldQ, SkipTrue: 1})
		c.goTo(atDrop)
		c.op(bpf.LoadAbsolute{Off: base + 4*tag + 2, Size: 2})
	}
	c.goTo(atDrop)
	for tag := range uint32(filterTags + 1) {
		at := base + 4*tag
		c.here(atFirst4 + place(tag))
		c.doubtTag(layout, tag)
		c.op(bpf.LoadAbsolute{Off: at + 9, Size: 1},
			bpf.StoreScratch{Src: bpf.RegA, N: memProto},
			bpf.LoadAbsolute{Off: at + 6, Size: 2})
		c.whenBits(0x1fff, atLaterFragment)
		c.op(bpf.LoadMemShift{Off: at})
		c.advance(at)
		c.goTo(atTransport)
		c.here(atFirst6 + place(tag))
		c.doubtTag(layout, tag)
		c.op(bpf.LoadAbsolute{Off: at + 6, Size: 1},
			bpf.StoreScratch{Src: bpf.RegA, N: memProto},
			bpf.LoadConstant{Dst: bpf.RegX, Val: at + 40})
		c.goTo(atTransport)
	}
	c.here(atTransport)
	c.transport()
	if cfg.Tunnels {
		c.when(protoUDP, atUDP)
		c.when(protoGRE, atGRE)
		c.when(protoIPIP, atInnerIP)
		c.when(proto6in4, atInnerIP)
		c.when(protoMPLS, atAccept)
		c.goTo(atDrop)
		c.tunnels()
	} else {
		c.when(protoUDP, atUDPPorts)
		c.goTo(atDrop)
	}
	c.ports(cfg)
	if c.asks {
		c.here(atExpression)
		c.op(bpf.LoadScratch{Dst: bpf.RegA, N: memLater})
		c.when(1, atAccept)
		c.op(expression[:len(expression)-2]...)
	}
	c.here(atAccept)
	c.op(bpf.RetConstant{Val: acceptBytes})
	c.here(atDrop)
	c.op(bpf.RetConstant{Val: 0})
	return c.link()
}

// askLater notes whether the expression is to be left to user space; A is lost.
func (c *filterCode) askLater(yes uint32) {
	if c.asks {
		c.op(bpf.LoadConstant{Dst: bpf.RegA, Val: yes}, bpf.StoreScratch{Src: bpf.RegA, N: memLater})
	}
}

// doubtTag leaves the expression to user space where tags that the capture
// removes (ring.uncook) still stand before the IP header.
func (c *filterCode) doubtTag(layout filterLayout, tags uint32) {
	if layout == layoutCooked && tags > 0 {
		c.askLater(1)
	}
}

// transport goes on from the IP protocol with what is the same in and outside
// of tunnels, and leaves the protocol in A for the rest.
func (c *filterCode) transport() {
	c.op(bpf.LoadScratch{Dst: bpf.RegA, N: memProto})
	c.when(protoTCP, atTCPPorts)
	for _, extension := range []uint32{protoHopByHop, protoRouting, protoFragment, protoAH, protoDestOpts} {
		c.when(extension, atAccept)
	}
}

// ports compares the ports, and goes to the expression if there is one.
func (c *filterCode) ports(cfg LiveConfig) {
	allTCP := len(cfg.Ports) == 0 && len(cfg.UDP) == 0 || len(cfg.Ports) > maxFilterPorts
	wantTCP := allTCP || len(cfg.Ports) > 0
	wantUDP := len(cfg.UDP) > 0
	c.here(atLaterFragment)
	c.op(bpf.LoadScratch{Dst: bpf.RegA, N: memProto})
	if wantTCP {
		c.when(protoTCP, atAccept)
	}
	if wantUDP || cfg.Tunnels {
		c.when(protoUDP, atAccept)
	}
	if cfg.Tunnels {
		for _, proto := range []uint32{protoGRE, protoIPIP, proto6in4, protoMPLS} {
			c.when(proto, atAccept)
		}
	}
	c.goTo(atDrop)
	wanted := atAccept
	if c.asks {
		wanted = atExpression
	}
	compare := func(all bool, ports []uint16) {
		switch {
		case all:
			c.goTo(wanted)
			return
		case len(ports) > 0:
			c.op(bpf.LoadIndirect{Off: 0, Size: 2},
				bpf.StoreScratch{Src: bpf.RegA, N: memPort},
				bpf.LoadIndirect{Off: 2, Size: 2})
			for i := range 2 {
				if i == 1 {
					c.op(bpf.LoadScratch{Dst: bpf.RegA, N: memPort})
				}
				for _, port := range ports {
					c.when(uint32(port), wanted)
				}
			}
		}
		c.goTo(atDrop)
	}
	c.here(atTCPPorts)
	compare(allTCP, cfg.Ports)
	c.here(atUDPPorts)
	compare(len(cfg.UDP) > maxFilterPorts, cfg.UDP)
}

// packetOutgoing is the packet type of what this host sends (packet(7)).
const packetOutgoing = 4
