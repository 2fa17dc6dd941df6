package netsim

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// The application's kernel sends a datagram that is longer than the MTU in
// fragments (RFC 791 §3.2, RFC 8200 §4.5): one after the other, the first one
// first, and the device keeps their order. So a fragment that does not continue
// what came before tells that one was lost, and the datagram with it.

// fragment says which part of a datagram a packet holds.
type fragment struct {
	id     uint32
	offset int // bytes of the datagram before this part
	more   bool
}

// is reports whether the packet holds less than a whole datagram.
func (f fragment) is() bool { return f.more || f.offset > 0 }

// fragmentOf reads the headers of a packet that parseDestination could read.
func fragmentOf(p []byte) (f fragment) {
	switch {
	case p[0]>>4 == 4:
		bits := binary.BigEndian.Uint16(p[6:])
		f.id, f.offset, f.more = uint32(binary.BigEndian.Uint16(p[4:])), int(bits&0x1fff)*8, bits&0x2000 != 0
	case p[6] == 44 && len(p) >= 48:
		bits := binary.BigEndian.Uint16(p[42:])
		f.id, f.offset, f.more = binary.BigEndian.Uint32(p[44:]), int(bits&^7), bits&1 != 0
	}
	return f
}

type fragmentKey struct {
	src, dst netip.Addr
	id       uint32
}

// fragmentTable holds the datagrams of which a part has come. Its zero value is
// empty.
type fragmentTable struct {
	waiting []partial // the oldest first
}

type partial struct {
	key  fragmentKey
	data []byte
}

// maxPartial bounds the datagrams that wait for their rest, of up to 64 KiB
// each. The kernel sends a datagram's fragments at once, so that several only
// wait when as many processors send.
const maxPartial = 64

// begun returns what there is of a datagram, nil if its first part has not come.
func (t *fragmentTable) begun(key fragmentKey) []byte {
	if i := slices.IndexFunc(t.waiting, func(p partial) bool { return p.key == key }); i >= 0 {
		return t.waiting[i].data
	}
	return nil
}

// add takes in a part, which it copies, and returns the datagram that it
// completes. The first part of a datagram is always taken; ours reports whether
// a later one belongs to such a datagram.
func (t *fragmentTable) add(key fragmentKey, f fragment, part []byte) (whole []byte, ours bool) {
	i := slices.IndexFunc(t.waiting, func(p partial) bool { return p.key == key })
	if f.offset == 0 {
		if i >= 0 { // the number is in use again: the rest of the other was lost
			t.waiting = slices.Delete(t.waiting, i, i+1)
		}
		if len(t.waiting) == maxPartial {
			t.waiting = slices.Delete(t.waiting, 0, 1)
		}
		t.waiting = append(t.waiting, partial{key, slices.Clone(part)})
		return nil, true
	}
	if i < 0 {
		return nil, false
	}
	p := &t.waiting[i]
	fits := f.offset == len(p.data) && len(p.data)+len(part) <= maxPacket
	if fits {
		p.data = append(p.data, part...)
	}
	if fits && f.more {
		return nil, true
	}
	if fits {
		whole = p.data
	}
	t.waiting = slices.Delete(t.waiting, i, i+1)
	return whole, true
}
