package capture

import (
	"encoding/binary"
	"fmt"
)

// The classic format (draft-ietf-opsawg-pcap): a file header of 24 bytes, then
// records of 16 bytes and the packet. Variants: either byte order, microseconds
// or nanoseconds, and the records of A. Kuznetsov's patched libpcap, which have
// 8 bytes more.

const (
	magicMicro    = 0xa1b2c3d4
	magicNano     = 0xa1b23c4d
	magicModified = 0xa1b2cd34
	magicSection  = 0x0a0d0d0a // pcapng
)

// detect tells the format from the first four bytes; nil if it is none.
func detect(b []byte, f *file) format {
	if binary.LittleEndian.Uint32(b) == magicSection {
		return &pcapng{file: f}
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		p := &pcap{big: order == binary.BigEndian, header: 16, unit: 1000}
		switch order.Uint32(b) {
		case magicMicro:
		case magicNano:
			p.unit = 1
		case magicModified:
			p.header = 24
		default:
			continue
		}
		return p
	}
	return nil
}

type pcap struct {
	big    bool
	header int   // length of a record's
	unit   int64 // ns in the fraction's unit
	link   LinkType
	begun  bool
}

const pcapFileHeader = 24

func (f *pcap) next(b []byte, p *Packet) (step, error) {
	if !f.begun {
		if len(b) < pcapFileHeader {
			return step{need: pcapFileHeader}, nil
		}
		f.begun = true
		f.link = LinkType(f.u32(b[20:])) // the upper bits tell of the frame check sequence
		return step{used: pcapFileHeader}, nil
	}
	if len(b) < f.header {
		return step{need: f.header}, nil
	}
	size, orig := f.u32(b[8:]), f.u32(b[12:])
	if size > maxRecord {
		return step{}, fmt.Errorf("claims %d bytes", size)
	}
	total := f.header + int(size)
	if len(b) < total {
		return step{need: total}, nil
	}
	p.Data = b[f.header:total:total]
	p.Time = int64(f.u32(b))*1e9 + int64(f.u32(b[4:]))*f.unit
	p.OrigLen = origLen(orig, size)
	p.Link = f.link
	return step{used: total, packet: true}, nil
}

// origLen believes the length on the wire only where it is possible.
func origLen(orig, size uint32) int {
	if orig < size || orig > maxRecord {
		return int(size)
	}
	return int(orig)
}

func (f *pcap) u32(b []byte) uint32 {
	if f.big {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}
