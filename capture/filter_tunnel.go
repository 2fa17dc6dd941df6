package capture

import "golang.org/x/net/bpf"

// The part of the kernel's filter that looks into tunnels. Overlay networks
// carry all of a host's traffic in them, so that passing every such packet to
// user space would cost as much as no filter at all. Therefore the inner ports
// are compared in the kernel where the headers before them have a length that
// classic BPF, which cannot loop, can compute:
//
//   - VXLAN, GENEVE with any options, GTP-U without options, IP in IP, 6in4, PPPoE,
//   - GRE with no more than a key, and ERSPAN I and II,
//   - and inside, in IPv4 with options and IPv6 without extension headers.
//
// All else that may hold a session passes: MPLS, GTP-U with options (as in 5G),
// GRE with more options, ERSPAN III, a VLAN tag or a tunnel inside of a tunnel,
// and later fragments of the outer packets, of UDP too.

func (c *filterCode) tunnels() {
	load8 := func(off uint32) { c.op(bpf.LoadIndirect{Off: off, Size: 1}) }
	load16 := func(off uint32) { c.op(bpf.LoadIndirect{Off: off, Size: 2}) }
	keep := func(n int) { c.op(bpf.StoreScratch{Src: bpf.RegA, N: n}) }
	kept := func(n int) { c.op(bpf.LoadScratch{Dst: bpf.RegA, N: n}) }
	addX := func() { c.op(bpf.ALUOpX{Op: bpf.ALUOpAdd}, bpf.TAX{}) }
	and := func(mask uint32) { c.op(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask}) }
	// passOdd passes the EtherTypes in A that it takes user space to look into.
	passOdd := func() {
		for _, ether := range []uint32{etherVLAN, etherQinQ, etherOldQ, etherMPLS, etherMPLSUp, etherPPPoE, etherPPP} {
			c.when(ether, atAccept)
		}
		c.goTo(atDrop)
	}
	times4 := func() { c.op(bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2}) }

	c.here(atPPPoE)
	load16(6)
	c.when(0x21, atPPPoEIP)
	c.when(0x57, atPPPoEIP)
	c.when(0x281, atAccept) // MPLS
	c.when(0x283, atAccept)
	c.goTo(atDrop)
	c.here(atPPPoEIP)
	c.advance(8)
	c.goTo(atInnerIP)

	c.here(atUDP)
	load16(2)
	c.when(portVXLAN, atVXLAN)
	c.when(portFlannel, atVXLAN)
	c.when(portVXLANG, atVXLAN)
	c.when(portGENEVE, atGENEVE)
	c.when(portGTP, atGTP)
	c.when(portMPLS, atAccept)
	c.goTo(atUDPPorts)
	c.here(atVXLAN)
	load8(8)
	c.unlessBits(0x08, atUDPPorts)
	c.whenBits(0x04, atAccept) // VXLAN-GPE
	c.advance(8 + 8)
	c.goTo(atInnerEther)
	c.here(atGENEVE)
	load16(8 + 2)
	keep(memType)
	load8(8)
	and(0x3f)
	times4()
	addX()
	c.advance(8 + 8)
	kept(memType)
	c.when(etherBridged, atInnerEther)
	c.when(etherIPv4, atInnerIP)
	c.when(etherIPv6, atInnerIP)
	passOdd()
	c.here(atGTP)
	load16(8)
	and(0xf0ff)
	c.unless(0x30ff, atUDPPorts) // signalling, or no GTP
	load8(8)
	c.whenBits(0x07, atAccept)
	c.advance(8 + 8)
	c.goTo(atInnerIP)

	c.here(atGRE)
	load16(2)
	keep(memType)
	load16(0)
	c.when(0, atGREPlain)
	c.when(0x2000, atGREKey)
	c.unless(0x1000, atAccept)
	kept(memType)
	c.unless(etherERSPAN, atAccept)
	c.advance(8 + 8)
	c.goTo(atInnerEther)
	c.here(atGREPlain)
	c.advance(4)
	c.goTo(atGREType)
	c.here(atGREKey)
	c.advance(8)
	c.here(atGREType)
	kept(memType)
	c.when(etherBridged, atInnerEther)
	c.when(etherERSPAN, atInnerEther)
	c.when(etherIPv4, atInnerIP)
	c.when(etherIPv6, atInnerIP)
	passOdd()

	c.here(atInnerEther)
	load16(12)
	keep(memType)
	c.advance(14)
	kept(memType)
	c.when(etherIPv4, atInnerIP)
	c.when(etherIPv6, atInnerIP)
	passOdd()
	c.here(atInnerIP)
	load8(0)
	c.op(bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4})
	c.when(4, atInner4)
	c.when(6, atInner6)
	c.goTo(atDrop)
	c.here(atInner4)
	load8(9)
	keep(memProto)
	load16(6)
	c.whenBits(0x1fff, atLaterFragment)
	load8(0)
	and(0x0f)
	times4()
	addX()
	c.goTo(atInnerTransport)
	c.here(atInner6)
	load8(6)
	keep(memProto)
	c.advance(40)
	c.here(atInnerTransport)
	c.askLater(1)
	c.transport()
	c.when(protoUDP, atInnerUDP)
	for _, proto := range []uint32{protoGRE, protoIPIP, proto6in4, protoMPLS} {
		c.when(proto, atAccept)
	}
	c.goTo(atDrop)
	c.here(atInnerUDP)
	load16(2)
	for _, port := range []uint32{portVXLAN, portFlannel, portVXLANG, portGENEVE, portGTP, portMPLS} {
		c.when(port, atAccept)
	}
	c.goTo(atUDPPorts)
}
