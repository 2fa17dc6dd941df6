package netsim

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// The link endpoint is the door between the stack and the TUN device.
//
// In offload mode a segment of up to 64 KiB crosses it in one system call and
// nobody computes a checksum: measured at MTU 1500, 10 Gbit/s and more instead
// of 1.3. gVisor's fdbased endpoint cannot serve: it counts an Ethernet header
// into the checksum's start, and knows nothing of the black hole.

const (
	virtioHeader = 10      // struct virtio_net_hdr, linux/virtio_net.h
	maxPacket    = 1 << 16 // an IP packet with offload
	smallPacket  = 2048    // most packets; larger ones take a second buffer
	maxDrain     = 256     // packets read before others get the processor
)

// Fields of virtio_net_hdr.
const (
	vnetNeedsCsum = 1
	vnetGSOTCPv4  = 1
	vnetGSOTCPv6  = 4
	tcpCsumOffset = 16
)

type link struct {
	net     *Net
	gate    *gate // whose link it is, if it is the gate's
	tun     *os.File
	fd      int
	mtu     uint32
	offload bool
	ackMax  uint32 // bytes that may stay unacknowledged
	stack   stack.NetworkDispatcher
}

func newLink(n *Net, cfg Config) (*link, error) {
	l := &link{net: n, tun: cfg.TUN, mtu: uint32(cfg.MTU), offload: cfg.Offload, ackMax: uint32(2 * cfg.MTU)}
	if err := n.raw.Control(func(fd uintptr) { l.fd = int(fd) }); err != nil {
		return nil, fmt.Errorf("tun: %w", err)
	}
	return l, nil
}

// read hands packets to the stack and the black hole until the file fails or
// interrupt is called. It drains the device before it waits: everything that
// the packets set in motion runs after one wake-up.
func (l *link) read() error {
	r := reader{link: l, large: buffer.NewViewSize(maxPacket)}
	var failed error
	for {
		err := l.net.raw.Read(func(fd uintptr) bool {
			defer l.net.fates.enter(&r.tally)
			for i := 0; i < maxDrain; i++ {
				ok, err := r.packet(int(fd))
				if err != nil {
					failed = err
					return true
				}
				if !ok {
					return false
				}
			}
			return true
		})
		if err != nil {
			return err
		}
		if failed != nil {
			return failed
		}
		runtime.Gosched()
	}
}

// interrupt makes read return.
func (l *link) interrupt() { l.tun.SetReadDeadline(time.Unix(1, 0)) }

// reader is the state of the one goroutine that reads.
type reader struct {
	link   *link
	header [virtioHeader]byte
	small  *buffer.View
	large  *buffer.View
	iov    [3]unix.Iovec
	tally  tally
}

// packet reads one packet; false means that there is none now.
func (r *reader) packet(fd int) (bool, error) {
	if r.small == nil {
		r.small = buffer.NewViewSize(smallPacket)
	}
	iov := r.iov[:0]
	if r.link.offload {
		iov = append(iov, vec(r.header[:]))
	}
	iov = append(iov, vec(r.small.AsSlice()), vec(r.large.AsSlice()))
	n, err := readv(fd, iov)
	switch {
	case err == unix.EAGAIN:
		return false, nil
	case err == unix.EINTR:
		return true, nil
	case err != nil:
		return false, os.NewSyscallError("readv", err)
	}
	if r.link.offload {
		n -= virtioHeader
	}
	r.tally.packets++
	if n <= 0 {
		r.tally.by[fateMalformed]++
		return true, nil
	}
	first := r.small.AsSlice()[:min(n, smallPacket)]
	c, dest := r.link.net.demux(first)
	dispatcher, f := r.link.stack, fateDelivered
	if c == nil {
		rest := r.large.AsSlice()[:max(0, n-smallPacket)]
		dispatcher, f = r.strange(first, rest, n, dest)
	}
	r.tally.by[f]++
	if dispatcher == nil {
		return true, nil
	}
	payload := buffer.MakeWithView(r.small)
	if n <= smallPacket {
		payload.Truncate(int64(n))
	} else {
		r.large.CapLength(n - smallPacket)
		payload.Append(r.large)
		r.large = buffer.NewViewSize(maxPacket)
	}
	r.small = nil
	proto := header.IPv4ProtocolNumber
	if first[0]>>4 == 6 {
		proto = header.IPv6ProtocolNumber
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: payload})
	// It never left this machine, and with offload its checksum is unfinished.
	pkt.RXChecksumValidated = true
	dispatcher.DeliverNetworkPacket(proto, pkt)
	pkt.DecRef()
	return true, nil
}

// strange deals with a packet that belongs to no connection of the injector, and
// returns the stack that it is for, nil if it is done with.
func (r *reader) strange(first, rest []byte, n int, dest *destination) (stack.NetworkDispatcher, fate) {
	f, gated, reply := r.link.net.strange(first, rest, n, dest)
	if gated {
		return r.link.net.gate.link.stack, f
	}
	if reply != nil {
		r.link.writeRaw(reply)
	}
	return nil, f
}

// WritePackets implements stack.LinkWriter.
func (l *link) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	n := 0
	for _, pkt := range list.AsSlice() {
		l.write(pkt)
		n++
	}
	return n, nil
}

// write sends one packet, or leaves a mere acknowledgement with ackHold. A
// packet that the device refuses is lost as on any link: TCP sends it again.
func (l *link) write(pkt *stack.PacketBuffer) {
	var iovs [16]unix.Iovec
	var vnet [virtioHeader]byte
	iov := iovs[:1]
	views, skip := pkt.AsViewList()
	size := 0
	var head []byte // IP and TCP header, which the stack builds in one piece
	for v := views.Front(); v != nil; v = v.Next() {
		b := v.AsSlice()
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		b, skip = b[skip:], 0
		if head == nil {
			head = b
		}
		size += len(b)
		iov = append(iov, vec(b))
	}
	ipLen := 20
	if len(head) > 0 && head[0]>>4 == 6 {
		ipLen = 40
	}
	if len(head) < ipLen+20 {
		return
	}
	t := head[ipLen:]
	conn, _ := pkt.Owner.(*Conn)
	payload := size - ipLen - int(t[12]>>4)*4

	if l.offload {
		vnet[0] = vnetNeedsCsum
		if g := &pkt.GSOOptions; g.Type != stack.GSONone && payload > int(g.MSS) {
			vnet[1] = vnetGSOTCPv4
			if ipLen == 40 {
				vnet[1] = vnetGSOTCPv6
			}
			binary.NativeEndian.PutUint16(vnet[4:], g.MSS)
		}
		binary.NativeEndian.PutUint16(vnet[2:], uint16(size-payload))
		binary.NativeEndian.PutUint16(vnet[6:], uint16(ipLen))
		binary.NativeEndian.PutUint16(vnet[8:], tcpCsumOffset)
		iov[0] = vec(vnet[:])
	} else {
		l.checksum(head, ipLen, pkt)
		iov = iov[1:]
	}

	if conn != nil {
		flags := header.TCPFlags(t[13])
		ack := binary.BigEndian.Uint32(t[8:])
		switch {
		case flags&header.TCPFlagSyn != 0:
			conn.iss.Store(binary.BigEndian.Uint32(t[4:]))
			if conn.syns.Load() == mostSYNs {
				go conn.giveUp() // the stack holds a lock that this needs
				return
			}
			conn.syns.Add(1)
		case flags == header.TCPFlagAck && payload == 0:
			var whole [ackSize]byte
			if n := gather(whole[:], vnet[:], head[:min(size, len(head))]); n == virtioHeader+size && l.net.acks.hold(conn, whole[:n], ack, l.ackMax) {
				return
			}
		}
		if flags&header.TCPFlagAck != 0 {
			l.net.acks.passed(conn, ack)
		}
	}
	if l.gate != nil {
		l.gate.wrote(head, ipLen, size)
	}
	l.net.stats.packetsOut.Add(1)
	writev(l.fd, iov) // what the device refuses, TCP sends again
}

// writeRaw sends a finished packet that begins with its virtio_net_hdr.
func (l *link) writeRaw(p []byte) error {
	if !l.offload {
		p = p[virtioHeader:]
	}
	l.net.stats.packetsOut.Add(1)
	iov := [1]unix.Iovec{vec(p)}
	if _, err := writev(l.fd, iov[:]); err != nil {
		return fmt.Errorf("write tun: %w", err)
	}
	return nil
}

// checksum fills in the TCP checksum, which a loopback interface leaves out.
func (l *link) checksum(head []byte, ipLen int, pkt *stack.PacketBuffer) {
	t := header.TCP(head[ipLen:])
	var src, dst []byte
	if ipLen == 20 {
		src, dst = head[12:16], head[16:20]
	} else {
		src, dst = head[8:24], head[24:40]
	}
	whole := pkt.ToBuffer()
	length := uint16(whole.Size() - int64(ipLen))
	t.SetChecksum(0)
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, tcpip.AddrFromSlice(src), tcpip.AddrFromSlice(dst), length)
	t.SetChecksum(^checksum.Combine(sum, whole.Checksum(ipLen)))
	whole.Release()
}

// gather copies the parts into dst and returns the length they have together.
func gather(dst []byte, parts ...[]byte) (n int) {
	for _, p := range parts {
		if n < len(dst) {
			copy(dst[n:], p)
		}
		n += len(p)
	}
	return n
}

func vec(b []byte) (v unix.Iovec) {
	if len(b) > 0 {
		v.Base = &b[0]
		v.SetLen(len(b))
	}
	return v
}

// The rest implements stack.LinkEndpoint and stack.GSOEndpoint.

// MTU implements stack.LinkEndpoint.
func (l *link) MTU() uint32 { return l.mtu }

// SetMTU implements stack.LinkEndpoint; the MTU is the TUN device's.
func (l *link) SetMTU(uint32) {}

// MaxHeaderLength implements stack.LinkEndpoint.
func (l *link) MaxHeaderLength() uint16 { return 0 }

// LinkAddress implements stack.LinkEndpoint.
func (l *link) LinkAddress() tcpip.LinkAddress { return "" }

// SetLinkAddress implements stack.LinkEndpoint.
func (l *link) SetLinkAddress(tcpip.LinkAddress) {}

// Capabilities implements stack.LinkEndpoint: see newStack for "loopback".
func (l *link) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityLoopback | stack.CapabilityRXChecksumOffload | stack.CapabilityTXChecksumOffload
}

// Attach implements stack.LinkEndpoint.
func (l *link) Attach(d stack.NetworkDispatcher) { l.stack = d }

// IsAttached implements stack.LinkEndpoint.
func (l *link) IsAttached() bool { return l.stack != nil }

// Wait implements stack.LinkEndpoint.
func (l *link) Wait() {}

// ARPHardwareType implements stack.LinkEndpoint.
func (l *link) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }

// AddHeader implements stack.LinkEndpoint.
func (l *link) AddHeader(*stack.PacketBuffer) {}

// ParseHeader implements stack.LinkEndpoint.
func (l *link) ParseHeader(*stack.PacketBuffer) bool { return true }

// Close implements stack.LinkEndpoint.
func (l *link) Close() {}

// SetOnCloseAction implements stack.LinkEndpoint.
func (l *link) SetOnCloseAction(func()) {}

// GSOMaxSize implements stack.GSOEndpoint: the longest segment the kernel takes
// with 16-bit lengths, headers included.
func (l *link) GSOMaxSize() uint32 { return maxPacket - 1 - 60 - 60 }

// SupportedGSO implements stack.GSOEndpoint.
func (l *link) SupportedGSO() stack.SupportedGSO {
	if l.offload {
		return stack.HostGSOSupported
	}
	return stack.GSONotSupported
}

func readv(fd int, iov []unix.Iovec) (int, error)  { return vector(unix.SYS_READV, fd, iov) }
func writev(fd int, iov []unix.Iovec) (int, error) { return vector(unix.SYS_WRITEV, fd, iov) }

// vector calls readv(2) or writev(2) without the allocation of x/sys' wrappers.
func vector(call uintptr, fd int, iov []unix.Iovec) (int, error) {
	n, _, errno := syscall.Syscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(iov))), uintptr(len(iov)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
