package expr

import "golang.org/x/net/bpf"

// The same programs for the kernel, in classic BPF.

const (
	kernelAccept = 1 << 18 // bytes kept of a packet that passes: all of any
	kernelLimit  = 4096    // instructions, BPF_MAXINSNS
	farthest     = 255     // that a conditional jump reaches
	registers    = 16      // scratch words, BPF_MEMWORDS
)

// Kernel returns the filter as a classic BPF program for a packet socket, and
// whether it can be expressed as one. The program returns 262144 for a packet
// that passes and 0 for another, by its last two instructions, in this order,
// and by no others: a caller can put its own code in their place. What begins the packets depends on link:
//
//   - 113 and 276, Linux cooked: a SOCK_DGRAM socket, whose packets begin with
//     the network header. The protocol comes from the socket buffer and len
//     counts the cooked header, as Match does on the record made of it.
//   - 1, Ethernet: as MatchLive has it.
//   - any other: as Match has it.
//
// It is false for an expression that reads other fields of the cooked header,
// computes an offset or a shift that may be out of the range where the kernel
// agrees with libpcap, or needs more than 4096 instructions or 16 scratch
// words; and for a link type on which Match is an error. Capture unfiltered
// then and ask Match.
func (f *Filter) Kernel(link uint16) ([]bpf.Instruction, bool) {
	p, err := f.on(link)
	if link == linkEthernet {
		p, err = f.onLive()
	}
	if err != nil {
		return nil, false
	}
	k := &kernel{}
	if where := layoutOf(link); where.form == cooked || where.form == cooked2 {
		k.header, k.kind, k.cooked = where.network, where.kind, true
	}
	return k.program(p)
}

// kernel writes one program.
type kernel struct {
	cooked bool
	header uint32 // bytes that the socket leaves off
	kind   uint32 // offset in them of the protocol
	code   []bpf.Instruction
	bad    bool // something has no equal in the kernel
}

// program writes all tests, then makes their jumps. A conditional jump that
// does not reach is followed by two unconditional ones, which moves everything
// after it; so that is repeated until all reach.
func (k *kernel) program(p *program) ([]bpf.Instruction, bool) {
	if p.entry < 0 {
		return []bpf.Instruction{bpf.Jump{Skip: uint32(accept - p.entry)}, ret(accept), ret(reject)}, true
	}
	blocks := make([][]bpf.Instruction, len(p.tests))
	for i := range p.tests {
		k.code = nil
		k.test(&p.tests[i])
		blocks[i] = k.code
	}
	if k.bad {
		return nil, false
	}
	long := make([]bool, len(blocks))
	starts := make([]int, len(blocks)+2) // of each test, of accept, of reject
	target := func(at int32) int {
		if at < 0 {
			return starts[len(blocks)-1-int(at)]
		}
		return starts[at]
	}
	for moved := true; moved; {
		moved = false
		at := 0
		for i, b := range blocks {
			starts[i] = at
			at += len(b)
			if long[i] {
				at += 2
			}
		}
		starts[len(blocks)], starts[len(blocks)+1] = at, at+1
		if at+2 > kernelLimit {
			return nil, false
		}
		for i, b := range blocks {
			after := starts[i] + len(b)
			far := max(target(p.tests[i].yes), target(p.tests[i].no))-after > farthest
			if far && !long[i] {
				long[i], moved = true, true
			}
		}
	}
	var out []bpf.Instruction
	for i, b := range blocks {
		after := starts[i] + len(b)
		yes, no := target(p.tests[i].yes)-after, target(p.tests[i].no)-after
		out = append(out, b[:len(b)-1]...)
		last := b[len(b)-1]
		if long[i] {
			out = append(out, skips(last, 0, 1), bpf.Jump{Skip: uint32(yes - 1)}, bpf.Jump{Skip: uint32(no - 2)})
		} else {
			out = append(out, skips(last, yes, no))
		}
	}
	return append(out, ret(accept), ret(reject)), true
}

func ret(end int32) bpf.Instruction {
	if end == accept {
		return bpf.RetConstant{Val: kernelAccept}
	}
	return bpf.RetConstant{}
}

// skips sets how far a conditional jump goes.
func skips(jump bpf.Instruction, yes, no int) bpf.Instruction {
	switch j := jump.(type) {
	case bpf.JumpIf:
		j.SkipTrue, j.SkipFalse = uint8(yes), uint8(no)
		return j
	case bpf.JumpIfX:
		j.SkipTrue, j.SkipFalse = uint8(yes), uint8(no)
		return j
	}
	panic("expr: a test that does not end in a conditional jump")
}

var jumpTests = map[comparison]bpf.JumpTest{
	equal: bpf.JumpEqual, greater: bpf.JumpGreaterThan, atLeast: bpf.JumpGreaterOrEqual, anyBit: bpf.JumpBitsSet,
}

func (k *kernel) add(in ...bpf.Instruction) { k.code = append(k.code, in...) }

func (k *kernel) test(t *test) {
	switch t.from {
	case absolute:
		k.value(&value{op: loadAbsolute, off: t.off, size: t.size}, 0)
	case transport:
		k.value(&value{op: loadTransport, off: t.off, ip: t.ip, size: t.size}, 0)
	case length:
		k.value(&value{op: wireLength}, 0)
	case beside:
		if t.val == tagThere {
			k.add(bpf.LoadExtension{Num: bpf.ExtVLANTagPresent}, bpf.JumpIf{Cond: bpf.JumpNotEqual})
			return
		}
		k.add(bpf.LoadExtension{Num: bpf.ExtVLANTag})
	case worked:
		if t.right.op != constant {
			k.operands(t.left, t.right, 0)
			k.add(bpf.JumpIfX{Cond: jumpTests[t.cmp]})
			return
		}
		k.value(t.left, 0)
		k.add(bpf.JumpIf{Cond: jumpTests[t.cmp], Val: t.right.k})
		return
	}
	if t.masked {
		k.add(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: t.mask})
	}
	k.add(bpf.JumpIf{Cond: jumpTests[t.cmp], Val: t.val})
}

// operands leaves l in A and r in X, using the scratch words from slot on.
func (k *kernel) operands(l, r *value, slot int) {
	if slot >= registers {
		k.bad = true
		return
	}
	k.value(l, slot)
	k.add(bpf.StoreScratch{Src: bpf.RegA, N: slot})
	k.value(r, slot+1)
	k.add(bpf.TAX{}, bpf.LoadScratch{Dst: bpf.RegA, N: slot})
}

var aluOps = map[byte]bpf.ALUOp{
	'+': bpf.ALUOpAdd, '-': bpf.ALUOpSub, '*': bpf.ALUOpMul, '/': bpf.ALUOpDiv, '%': bpf.ALUOpMod,
	'&': bpf.ALUOpAnd, '|': bpf.ALUOpOr, '^': bpf.ALUOpXor, '<': bpf.ALUOpShiftLeft, '>': bpf.ALUOpShiftRight,
}

// value leaves a value in A, using the scratch words from slot on. X is lost.
func (k *kernel) value(v *value, slot int) {
	switch v.op {
	case constant:
		k.add(bpf.LoadConstant{Dst: bpf.RegA, Val: v.k})
	case wireLength:
		k.add(bpf.LoadExtension{Num: bpf.ExtLen})
		if k.header != 0 {
			k.add(bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: k.header})
		}
	case negated:
		k.value(v.l, slot)
		k.add(bpf.TAX{}, bpf.LoadConstant{Dst: bpf.RegA}, bpf.ALUOpX{Op: bpf.ALUOpSub})
	case loadAbsolute:
		k.absolute(v, slot)
	case loadTransport:
		k.transport(v, slot)
	case operation:
		if v.r.op == constant {
			k.value(v.l, slot)
			k.add(bpf.ALUOpConstant{Op: aluOps[v.alu], Val: v.r.k})
			return
		}
		if (v.alu == '<' || v.alu == '>') && v.r.most() > 31 {
			k.bad = true // libpcap's result is 0, the kernel's is not defined
			return
		}
		k.operands(v.l, v.r, slot)
		k.add(bpf.ALUOpX{Op: aluOps[v.alu]})
	}
}

func (k *kernel) absolute(v *value, slot int) {
	if k.cooked && v.index == nil && v.off == k.kind && v.size == 2 {
		k.add(bpf.LoadExtension{Num: bpf.ExtProto})
		return
	}
	off, ok := k.within(v)
	if !ok {
		k.bad = true
		return
	}
	if v.index == nil {
		k.add(bpf.LoadAbsolute{Off: off, Size: int(v.size)})
		return
	}
	k.value(v.index, slot)
	k.add(bpf.TAX{}, bpf.LoadIndirect{Off: off, Size: int(v.size)})
}

func (k *kernel) transport(v *value, slot int) {
	off, ok := k.within(v)
	if !ok || slot >= registers {
		k.bad = true
		return
	}
	shift := bpf.LoadMemShift{Off: v.ip - k.header}
	if v.index == nil {
		k.add(shift, bpf.LoadIndirect{Off: off, Size: int(v.size)})
		return
	}
	k.value(v.index, slot)
	k.add(shift, bpf.ALUOpX{Op: bpf.ALUOpAdd}, bpf.TAX{}, bpf.LoadIndirect{Off: off, Size: int(v.size)})
}

// within returns the offset of a load without the header that the socket
// leaves off. It is false if the load may reach that header, or an offset from
// 2^31 on: those the kernel counts from elsewhere.
func (k *kernel) within(v *value) (uint32, bool) {
	most := uint64(v.off) + 60
	if v.index != nil {
		most += v.index.most()
	}
	return v.off - k.header, v.off >= k.header && most < 1<<31
}
