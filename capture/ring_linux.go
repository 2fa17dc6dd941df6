package capture

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The receive ring, TPACKET_V3 (packet(7), and packet_mmap in the kernel's
// documentation): blocks of memory shared with the kernel. The kernel fills a
// block with packets, hands it over when it is full or has waited long enough,
// and wakes the reader once per block; the reader gives it back.

type ring struct {
	mem    []byte
	block  int // size of one
	blocks int
	at     int // the block that is handed over next
}

// newRing attaches a ring to a packet socket. Where the kernel cannot find
// memory for all blocks, it takes half as many.
func newRing(fd int, cfg LiveConfig) (*ring, error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return nil, fmt.Errorf("set up ring: version: %w", err)
	}
	r := &ring{block: cfg.BlockSize, blocks: cfg.Blocks}
	for {
		const frame = 2048 // without meaning in version 3, where packets have their own length; must divide the block
		req := unix.TpacketReq3{
			Block_size:     uint32(r.block),
			Block_nr:       uint32(r.blocks),
			Frame_size:     frame,
			Frame_nr:       uint32(r.block / frame * r.blocks),
			Retire_blk_tov: uint32(max(cfg.Retire/time.Millisecond, 1)),
		}
		err := unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req)
		if err == unix.ENOMEM && r.blocks > 4 {
			r.blocks /= 2
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("set up ring of %d blocks of %d bytes: %w", r.blocks, r.block, err)
		}
		break
	}
	mem, err := unix.Mmap(fd, 0, r.block*r.blocks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map ring: %w", err)
	}
	r.mem = mem
	return r, nil
}

func (r *ring) header() *unix.TpacketHdrV1 {
	desc := (*unix.TpacketBlockDesc)(unsafe.Pointer(&r.mem[r.at*r.block]))
	return (*unix.TpacketHdrV1)(unsafe.Pointer(&desc.Hdr))
}

// ready tells whether the kernel has handed the next block over.
func (r *ring) ready() bool {
	return atomic.LoadUint32(&r.header().Block_status)&unix.TP_STATUS_USER != 0
}

// done gives the block back to the kernel and goes on to the next.
func (r *ring) done() {
	atomic.StoreUint32(&r.header().Block_status, unix.TP_STATUS_KERNEL)
	r.at = (r.at + 1) % r.blocks
}

// sockaddrAt is where each packet's link-level address stands.
const sockaddrAt = (unix.SizeofTpacket3Hdr + unix.TPACKET_ALIGNMENT - 1) &^ (unix.TPACKET_ALIGNMENT - 1)

// packets appends the packets of the block that is ready; their Data points
// into the ring until done. cooked tells that they begin with the network
// header.
func (r *ring) packets(batch []Packet, cooked bool, loopback int32) (_ []Packet, malformed uint64) {
	h := r.header()
	mem := r.mem[r.at*r.block : (r.at+1)*r.block]
	off := int(h.Offset_to_first_pkt)
	for range h.Num_pkts {
		if off+sockaddrAt+unix.SizeofSockaddrLinklayer > len(mem) {
			malformed++ // never seen; better than a fault
			break
		}
		p := (*unix.Tpacket3Hdr)(unsafe.Pointer(&mem[off]))
		a := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&mem[off+sockaddrAt]))
		from, to := off+int(p.Mac), off+int(p.Mac)+int(p.Snaplen)
		if to > len(mem) {
			malformed++
			break
		}
		off += int(p.Next_offset)
		out := a.Pkttype == packetOutgoing
		if out && a.Ifindex == loopback {
			continue
		}
		pkt := Packet{
			Data: mem[from:to:to], Time: int64(p.Sec)*1e9 + int64(p.Nsec),
			OrigLen: int(p.Len), Link: LinkEthernet, Outgoing: out,
		}
		if cooked {
			if !uncook(&pkt, a.Protocol) {
				continue
			}
		} else if p.Status&unix.TP_STATUS_VLAN_VALID != 0 {
			pkt.VLAN, pkt.Tagged = uint16(p.Hv1.Vlan_tci)&0xfff, true
		}
		batch = append(batch, pkt)
	}
	return batch, malformed
}

// uncook makes raw IP of a packet without link header, and tells whether it is
// IP. The kernel strips the outer VLAN tag; what it leaves of inner ones goes
// here. Since Linux 6.11 the protocol beside the packet is that behind the
// inner tag, which still stands before it; before, it was the tag's.
func uncook(p *Packet, protocol uint16) bool {
	ether := networkOrder(protocol)
	for range maxTags {
		if ether == etherIPv4 && beginsIP(p.Data, p.OrigLen) && p.Data[0]>>4 == 4 ||
			ether == etherIPv6 && beginsIP(p.Data, p.OrigLen) && p.Data[0]>>4 == 6 {
			p.Link = LinkRaw
			return true
		}
		if len(p.Data) < 4 {
			return false
		}
		ether = binary.BigEndian.Uint16(p.Data[2:])
		p.Data, p.OrigLen = p.Data[4:], p.OrigLen-4
	}
	return false
}

// networkOrder converts between the host's byte order and the network's.
func networkOrder(v uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], v)
	return binary.BigEndian.Uint16(b[:])
}

func (r *ring) unmap() {
	if r.mem != nil {
		unix.Munmap(r.mem)
		r.mem = nil
	}
}
