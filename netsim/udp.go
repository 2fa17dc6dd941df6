package netsim

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// UDP needs nothing of the stack: a datagram is a packet with two headers, and
// its boundaries are all that there is to keep. So datagrams pass the stack by,
// in both directions; what a session then costs is a Socket.
//
// To the application a datagram goes as one packet, however long: a device's
// MTU bounds what the kernel sends through it, not what it takes from it. From
// the application, longer ones come in fragments: see fragments.go.

// Socket is the client's end of one UDP session. Nothing on it blocks. Send,
// Receive and Refused may be used by one goroutine at a time; the wake function
// given to DialUDP comes from the one that reads the TUN device, must return at
// once and must not call the Socket.
type Socket struct {
	net            *Net
	flow           flow
	client, server tcpip.Address
	wake           func()

	sent, sentBytes uint64

	mu    sync.Mutex
	queue [][]byte // arrived and not yet received
	held  int      // bytes in it

	refused, refusedBytes atomic.Uint64
}

// Limits of a Socket.
const (
	// socketQueue bounds the bytes that wait in a Socket, as a receive buffer
	// does: ten times what is read from the device before others get the
	// processor, if it is of one session.
	socketQueue = 4 << 20
	// datagramCost is what the kernel, too, counts for a short datagram.
	datagramCost = 768
)

// DialUDP opens a UDP session from the client's address to the server's, both
// IPv4 or both IPv6. No packet is sent by that. ErrInUse means that there is
// one between these addresses and ports already.
func (n *Net) DialUDP(client, server netip.AddrPort, wake func()) (*Socket, error) {
	s := &Socket{
		net: n, wake: wake, flow: flowOf(client, server),
		client: address(client.Addr().Unmap()), server: address(server.Addr().Unmap()),
	}
	n.dialing.RLock()
	defer n.dialing.RUnlock()
	if n.done.Load() {
		return nil, fmt.Errorf("dial %s/udp: %w", server, ErrClosed)
	}
	if !n.sockets.add(s) {
		return nil, fmt.Errorf("dial %s/udp from %s: %w", server, client, ErrInUse)
	}
	return s, nil
}

// Send hands a datagram to the application's kernel. It keeps no reference to
// p. An error means that the kernel did not take it, nil that it did: whether
// it had a socket for it Refused tells, and whether that socket had room nobody
// does, as on any network.
func (s *Socket) Send(p []byte) error {
	n := s.net
	n.dialing.RLock()
	defer n.dialing.RUnlock()
	if n.done.Load() {
		return fmt.Errorf("send: %w", ErrClosed)
	}
	room := 65535 - header.UDPMinimumSize
	if s.client.Len() == header.IPv4AddressSize {
		room -= header.IPv4MinimumSize
	}
	if len(p) > room {
		return fmt.Errorf("send: a datagram of %d bytes, %d is the most", len(p), room)
	}
	n.sockets.spoke(s)
	buf := packets.Get().(*[]byte)
	defer packets.Put(buf)
	*buf = s.packet((*buf)[:0], p)
	if err := n.link.writeRaw(*buf); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	s.sent++
	s.sentBytes += uint64(len(p))
	return nil
}

var packets = sync.Pool{New: func() any { return new([]byte) }}

// packet appends a datagram's packet to buf, an empty virtio header in front
// and with its checksums.
func (s *Socket) packet(buf, payload []byte) []byte {
	length := header.UDPMinimumSize + len(payload)
	ipLen := header.IPv6MinimumSize
	if s.client.Len() == header.IPv4AddressSize {
		ipLen = header.IPv4MinimumSize
	}
	buf = slices.Grow(buf, virtioHeader+ipLen+length)[:virtioHeader+ipLen+header.UDPMinimumSize]
	clear(buf)
	buf = append(buf, payload...)
	ip, udp := buf[virtioHeader:], header.UDP(buf[virtioHeader+ipLen:])
	if ipLen == header.IPv4MinimumSize {
		h := header.IPv4(ip)
		h.Encode(&header.IPv4Fields{
			TotalLength: uint16(ipLen + length), TTL: 64, Protocol: uint8(header.UDPProtocolNumber),
			Flags: header.IPv4FlagDontFragment, SrcAddr: s.client, DstAddr: s.server,
		})
		h.SetChecksum(^h.CalculateChecksum())
	} else {
		header.IPv6(ip).Encode(&header.IPv6Fields{
			PayloadLength: uint16(length), TransportProtocol: header.UDPProtocolNumber, HopLimit: 64,
			SrcAddr: s.client, DstAddr: s.server,
		})
	}
	udp.Encode(&header.UDPFields{SrcPort: s.flow.clientPort, DstPort: s.flow.serverPort, Length: uint16(length)})
	sum := header.PseudoHeaderChecksum(header.UDPProtocolNumber, s.client, s.server, uint16(length))
	sum = ^checksum.Checksum(udp, sum)
	if sum == 0 { // which would say that there is none (RFC 768)
		sum = 0xffff
	}
	udp.SetChecksum(sum)
	return buf
}

// Receive hands the datagrams that have arrived to fn, each in a call of its
// own, and returns how many they were. fn may keep them.
func (s *Socket) Receive(fn func(p []byte)) int {
	s.mu.Lock()
	queue := s.queue
	s.queue, s.held = nil, 0
	s.mu.Unlock()
	for _, p := range queue {
		fn(p)
	}
	return len(queue)
}

// Refused returns how many of the datagrams sent the application's kernel has
// refused so far, because nobody listens on the port, and the bytes in them.
func (s *Socket) Refused() (datagrams, bytes uint64) {
	return min(s.refused.Load(), s.sent), min(s.refusedBytes.Load(), s.sentBytes)
}

// Close ends the session. What the application still sends to it goes to the
// black hole.
func (s *Socket) Close() { s.net.sockets.remove(s) }

// arrive takes in a datagram of the application's.
func (s *Socket) arrive(p []byte) {
	s.mu.Lock()
	full := s.held > socketQueue
	if !full {
		s.queue = append(s.queue, slices.Clone(p))
		s.held += len(p) + datagramCost
	}
	s.mu.Unlock()
	if full {
		s.net.stats.overrun.Add(1)
		return
	}
	s.wake()
}

// socketTable holds the UDP sessions.
type socketTable struct {
	count atomic.Int64
	mu    sync.RWMutex
	m     map[flow]*Socket
	// latest holds, by client and server's port, the session that sent last.
	latest map[flow]*Socket
}

func (t *socketTable) init() {
	t.m, t.latest = make(map[flow]*Socket), make(map[flow]*Socket)
}

func (t *socketTable) add(s *Socket) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m[s.flow] != nil {
		return false
	}
	t.m[s.flow] = s
	t.count.Add(1)
	return true
}

func (t *socketTable) remove(s *Socket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m[s.flow] == s {
		delete(t.m, s.flow)
		t.count.Add(-1)
	}
	if any := s.flow.anyServer(); t.latest[any] == s {
		delete(t.latest, any)
	}
}

// anyServer is the flow without the server's address.
func (f flow) anyServer() flow {
	f.server = [16]byte{}
	return f
}

// spoke notes that a session sends something.
func (t *socketTable) spoke(s *Socket) {
	any := s.flow.anyServer()
	t.mu.RLock()
	known := t.latest[any] == s
	t.mu.RUnlock()
	if known {
		return
	}
	t.mu.Lock()
	if t.m[s.flow] == s {
		t.latest[any] = s
	}
	t.mu.Unlock()
}

// exactly returns the session between these ends, or nil.
func (t *socketTable) exactly(f flow) *Socket {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.m[f]
}

// answered returns the session that a datagram from the application belongs to.
// A socket bound to no address answers from the one that the kernel prefers for
// the route, and the namespace has all of production's: so the server's address
// does not have to fit.
func (t *socketTable) answered(f flow) *Socket {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if s := t.m[f]; s != nil {
		return s
	}
	return t.latest[f.anyServer()]
}

// datagram takes in a packet of the application's that belongs to a UDP
// session, and reports whether it does. The packet begins with first, which
// holds its headers, and goes on with rest; d is what they say. Only the
// goroutine that reads the device calls it.
func (n *Net) datagram(first, rest []byte, d *destination) bool {
	switch tcpip.TransportProtocolNumber(d.proto) {
	case header.UDPProtocolNumber:
		f := fragmentOf(first)
		if d.transport == nil && f.offset == 0 {
			return false // cut short
		}
		body := append(first[min(d.ipLen, len(first)):len(first):len(first)], rest...)
		if !f.is() {
			return n.deliver(d.src, d.dst, body)
		}
		if f.offset == 0 && n.sockets.answered(answerFlow(d.src, d.dst, body)) == nil {
			return false
		}
		whole, ours := n.fragments.add(fragmentKey{d.src, d.dst, f.id}, f, body)
		if whole != nil {
			n.deliver(d.src, d.dst, whole)
		}
		return ours
	case header.ICMPv4ProtocolNumber:
		return d.dst.Is4() && len(d.transport) > 8 && d.transport[0] == byte(header.ICMPv4DstUnreachable) && n.refusal(d.transport[8:])
	case header.ICMPv6ProtocolNumber:
		return d.dst.Is6() && len(d.transport) > 8 && d.transport[0] == byte(header.ICMPv6DstUnreachable) && n.refusal(d.transport[8:])
	}
	return false
}

// answerFlow is the flow of a datagram from the application, udp being the
// beginning of it from its header on; of no flow at all if that is too short.
func answerFlow(server, client netip.Addr, udp []byte) (f flow) {
	if len(udp) < header.UDPMinimumSize {
		return f
	}
	return flowOf(netip.AddrPortFrom(client, binary.BigEndian.Uint16(udp[2:])), netip.AddrPortFrom(server, binary.BigEndian.Uint16(udp)))
}

// deliver hands a datagram, from its header on, to its session. It verifies no
// checksum: it never left this machine, and with offload it is unfinished.
func (n *Net) deliver(server, client netip.Addr, udp []byte) bool {
	s := n.sockets.answered(answerFlow(server, client, udp))
	if s == nil {
		return false
	}
	// What contradicts itself is dropped, as any receiver would.
	if length := int(header.UDP(udp).Length()); length >= header.UDPMinimumSize && length <= len(udp) {
		s.arrive(udp[header.UDPMinimumSize:length])
	}
	return true
}

// refusal takes in the packet that an ICMP message "destination unreachable"
// quotes: the IP header and at least 8 bytes (RFC 792, RFC 4443 §3.1). It
// reports whether a UDP session sent it.
func (n *Net) refusal(quote []byte) bool {
	q := parseDestination(quote)
	if q == nil || q.proto != uint8(header.UDPProtocolNumber) || len(q.transport) < header.UDPMinimumSize {
		return false
	}
	s := n.sockets.exactly(flowOf(netip.AddrPortFrom(q.src, q.sport), netip.AddrPortFrom(q.dst, q.port)))
	if s == nil {
		return false
	}
	s.refused.Add(1)
	s.refusedBytes.Add(uint64(max(0, int(header.UDP(q.transport).Length())-header.UDPMinimumSize)))
	s.wake()
	return true
}
