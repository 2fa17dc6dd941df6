package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// pcapng (draft-ietf-opsawg-pcapng): blocks of type, length, body, length. A
// section has a byte order and interfaces of its own; each interface has a
// link type and a clock. Blocks that do not hold packets or describe
// interfaces are skipped, whatever their length.

const (
	blockInterface  = 1
	blockOldPacket  = 2
	blockSimple     = 3
	blockStatistics = 5
	blockEnhanced   = 6

	optionResolution = 9  // if_tsresol
	optionOffset     = 14 // if_tsoffset
	optionDropped    = 5  // isb_ifdrop

	// maxInterfaces bounds what a damaged file can make us keep.
	maxInterfaces = 4096
)

type pcapng struct {
	file  *file
	big   bool
	ifs   []ngInterface
	drops uint64 // of the sections before this one
}

type ngInterface struct {
	link    LinkType
	snap    uint32
	scale   uint64 // ns in a unit of its clock; 0: use units
	units   uint64 // of its clock in a second
	offset  int64  // seconds to add
	dropped uint64
}

var errBlock = errors.New("its two lengths differ")

func (f *pcapng) next(b []byte, p *Packet) (step, error) {
	if len(b) < 12 {
		return step{need: 12}, nil
	}
	kind := f.u32(b)
	if kind == magicSection { // reads the same in either order
		switch binary.LittleEndian.Uint32(b[8:]) {
		case 0x1a2b3c4d:
			f.big = false
		case 0x4d3c2b1a:
			f.big = true
		default:
			return step{}, errors.New("section of unknown byte order")
		}
	}
	size := f.u32(b[4:])
	if size < 12 || size%4 != 0 {
		return step{}, fmt.Errorf("block of %d bytes", size)
	}
	switch kind {
	case magicSection, blockInterface, blockOldPacket, blockSimple, blockStatistics, blockEnhanced:
	default:
		return step{used: 12, discard: int64(size) - 12}, nil
	}
	if size > maxRecord {
		return step{}, fmt.Errorf("block of %d bytes", size)
	}
	if len(b) < int(size) {
		return step{need: int(size)}, nil
	}
	if f.u32(b[size-4:]) != size {
		return step{}, errBlock
	}
	st := step{used: int(size)}
	body := b[8 : size-4 : size-4]
	var err error
	switch kind {
	case magicSection:
		for i := range f.ifs {
			f.drops += f.ifs[i].dropped
		}
		f.ifs = f.ifs[:0]
	case blockInterface:
		err = f.addInterface(body)
	case blockStatistics:
		f.statistics(body)
	case blockEnhanced:
		st.packet, err = f.enhanced(body, p)
	case blockOldPacket:
		st.packet, err = f.oldPacket(body, p)
	case blockSimple:
		st.packet, err = f.simple(body, p)
	}
	return st, err
}

func (f *pcapng) addInterface(b []byte) error {
	if len(b) < 8 || len(f.ifs) == maxInterfaces {
		return errors.New("interface that cannot be described")
	}
	i := ngInterface{link: LinkType(f.u16(b)), snap: f.u32(b[4:]), scale: 1000, units: 1e6}
	f.options(b[8:], func(code uint16, v []byte) {
		switch {
		case code == optionResolution && len(v) >= 1:
			i.resolution(v[0])
		case code == optionOffset && len(v) >= 8:
			i.offset = int64(f.u64(v))
		}
	})
	f.ifs = append(f.ifs, i)
	return nil
}

// resolution sets the clock: a negative power of 10, or of 2 with the highest
// bit set.
func (i *ngInterface) resolution(v byte) {
	i.units = 1
	if v&0x80 != 0 {
		i.units <<= min(v&0x7f, 63)
	} else {
		for range min(v, 19) {
			i.units *= 10
		}
	}
	i.scale = 0
	if 1e9%i.units == 0 {
		i.scale = 1e9 / i.units
	}
}

// time turns the interface's clock into ns since the epoch.
func (i *ngInterface) time(high, low uint32) int64 {
	t := uint64(high)<<32 | uint64(low)
	if i.scale != 0 {
		return int64(t*i.scale) + i.offset*1e9
	}
	hi, lo := bits.Mul64(t%i.units, 1e9)
	fraction, _ := bits.Div64(hi, lo, i.units)
	return int64(t/i.units)*1e9 + int64(fraction) + i.offset*1e9
}

func (f *pcapng) statistics(b []byte) {
	if len(b) < 12 || uint64(f.u32(b)) >= uint64(len(f.ifs)) {
		return
	}
	f.options(b[12:], func(code uint16, v []byte) {
		if code == optionDropped && len(v) >= 8 {
			f.ifs[f.u32(b)].dropped = f.u64(v)
		}
	})
	sum := f.drops
	for i := range f.ifs {
		sum += f.ifs[i].dropped
	}
	f.file.drops.Store(sum)
}

// options calls visit for each option of a block, and ends quietly where they
// contradict themselves.
func (f *pcapng) options(b []byte, visit func(code uint16, v []byte)) {
	for len(b) >= 4 {
		code, size := f.u16(b), int(f.u16(b[2:]))
		b = b[4:]
		if code == 0 || size > len(b) {
			return
		}
		visit(code, b[:size])
		b = b[min((size+3)&^3, len(b)):]
	}
}

var errInterface = errors.New("packet of an interface that was not described")

func (f *pcapng) enhanced(b []byte, p *Packet) (bool, error) {
	if len(b) < 20 {
		return false, errors.New("packet block cut short")
	}
	return f.packet(p, f.u32(b), b[4:20], b[20:])
}

func (f *pcapng) oldPacket(b []byte, p *Packet) (bool, error) {
	if len(b) < 20 {
		return false, errors.New("packet block cut short")
	}
	return f.packet(p, uint32(f.u16(b)), b[4:20], b[20:])
}

// packet fills p in; fixed holds time and lengths.
func (f *pcapng) packet(p *Packet, id uint32, fixed, data []byte) (bool, error) {
	if uint64(id) >= uint64(len(f.ifs)) {
		return false, errInterface
	}
	size := f.u32(fixed[8:])
	if uint64(size) > uint64(len(data)) {
		return false, fmt.Errorf("claims %d bytes", size)
	}
	i := &f.ifs[id]
	p.Data = data[:size:size]
	p.OrigLen = origLen(f.u32(fixed[12:]), size)
	p.Time = i.time(f.u32(fixed), f.u32(fixed[4:]))
	p.Link = i.link
	return true, nil
}

// simple reads a packet without a time, of the first interface.
func (f *pcapng) simple(b []byte, p *Packet) (bool, error) {
	if len(b) < 4 {
		return false, errors.New("packet block cut short")
	}
	if len(f.ifs) == 0 {
		return false, errInterface
	}
	orig := f.u32(b)
	size := min(orig, uint32(len(b)-4))
	if f.ifs[0].snap != 0 {
		size = min(size, f.ifs[0].snap)
	}
	p.Data = b[4 : 4+size : 4+size]
	p.OrigLen = origLen(orig, size)
	p.Time = 0
	p.Link = f.ifs[0].link
	return true, nil
}

func (f *pcapng) u16(b []byte) uint16 {
	if f.big {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (f *pcapng) u32(b []byte) uint32 {
	if f.big {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

func (f *pcapng) u64(b []byte) uint64 {
	if f.big {
		return binary.BigEndian.Uint64(b)
	}
	return binary.LittleEndian.Uint64(b)
}
