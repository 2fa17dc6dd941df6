package capturetest

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Wrap puts an Ethernet frame without VLAN tags into a tunnel and returns the
// frame that carries it.
type Wrap func(frame []byte) []byte

// Outer are the ends of the tunnels.
var Outer = [2]netip.AddrPort{
	netip.MustParseAddrPort("172.16.0.1:50000"), netip.MustParseAddrPort("172.16.0.2:0"),
}

// Wraps applies several, the innermost first.
func Wraps(all ...Wrap) Wrap {
	return func(frame []byte) []byte {
		for _, w := range all {
			frame = w(frame)
		}
		return frame
	}
}

// VXLAN is RFC 7348.
func VXLAN(vni uint32) Wrap {
	return func(frame []byte) []byte {
		return overUDP(4789, binary.BigEndian.AppendUint32([]byte{8, 0, 0, 0}, vni<<8), frame)
	}
}

// GENEVE is RFC 8926, with so many bytes of options (a multiple of 4).
func GENEVE(vni uint32, options int) Wrap {
	return func(frame []byte) []byte {
		header := binary.BigEndian.AppendUint32([]byte{byte(options / 4), 0, 0x65, 0x58}, vni<<8)
		return overUDP(6081, append(header, make([]byte, options)...), frame)
	}
}

// GTP is GTP-U with a tunnel id; extended adds a sequence number and the PDU
// session container that 5G networks send.
func GTP(teid uint32, extended bool) Wrap {
	return func(frame []byte) []byte {
		packet := frame[14:]
		header := []byte{0x30, 255, 0, 0}
		var more []byte
		if extended {
			header[0] = 0x36
			more = []byte{0, 1, 0, 0x85, 1, 0, 9, 0}
		}
		binary.BigEndian.PutUint16(header[2:], uint16(len(more)+len(packet)))
		header = binary.BigEndian.AppendUint32(header, teid)
		return overUDP(2152, append(header, more...), packet)
	}
}

// GRE carries the IP packet (RFC 2784).
func GRE() Wrap {
	return func(frame []byte) []byte {
		return overIP(layers.IPProtocolGRE, []byte{0, 0, frame[12], frame[13]}, frame[14:])
	}
}

// GREKey carries the frame (RFC 2890).
func GREKey(key uint32) Wrap {
	return func(frame []byte) []byte {
		return overIP(layers.IPProtocolGRE, binary.BigEndian.AppendUint32([]byte{0x20, 0, 0x65, 0x58}, key), frame)
	}
}

// ERSPAN is type 1, 2 or 3, the latter two with a session id.
func ERSPAN(kind int, session uint16) Wrap {
	return func(frame []byte) []byte {
		header := []byte{0, 0, 0x88, 0xbe}
		if kind > 1 {
			header = append([]byte{0x10, 0, 0x88, 0xbe}, 0, 0, 0, 1)
			header = append(header, byte(kind-1)<<4, 0)
			header = binary.BigEndian.AppendUint16(header, session)
			header = append(header, 0, 0, 0, 0)
		}
		if kind == 3 {
			header[2], header[3] = 0x22, 0xeb
			header = append(header, 0, 0, 0, 1) // a subheader follows
			header = append(header, make([]byte, 8)...)
		}
		return overIP(layers.IPProtocolGRE, header, frame)
	}
}

// IPIP carries an IPv4 or IPv6 packet in IPv4 (RFC 2003, RFC 4213).
func IPIP() Wrap {
	return func(frame []byte) []byte {
		proto := layers.IPProtocolIPv4
		if frame[14]>>4 == 6 {
			proto = layers.IPProtocolIPv6
		}
		return overIP(proto, nil, frame[14:])
	}
}

// MPLS puts a label stack before the IP packet (RFC 3032).
func MPLS(labels ...uint32) Wrap {
	return func(frame []byte) []byte {
		return append(stack(frame[:12:12], labels), frame[14:]...)
	}
}

// MPLSEthernet puts a label stack and a control word before the frame
// (RFC 4448).
func MPLSEthernet(labels ...uint32) Wrap {
	return func(frame []byte) []byte {
		return append(append(stack(frame[:12:12], labels), 0, 0, 0, 0), frame...)
	}
}

func stack(b []byte, labels []uint32) []byte {
	b = append(b, 0x88, 0x47)
	for i, l := range labels {
		entry := l<<12 | 64
		if i == len(labels)-1 {
			entry |= 0x100
		}
		b = binary.BigEndian.AppendUint32(b, entry)
	}
	return b
}

// PPPoE is a session packet of RFC 2516.
func PPPoE(id uint16) Wrap {
	return func(frame []byte) []byte {
		packet := frame[14:]
		b := append(frame[:12:12], 0x88, 0x64, 0x11, 0, byte(id>>8), byte(id))
		b = binary.BigEndian.AppendUint16(b, uint16(len(packet)+2))
		if packet[0]>>4 == 6 {
			b = append(b, 0, 0x57)
		} else {
			b = append(b, 0, 0x21)
		}
		return append(b, packet...)
	}
}

func overUDP(port uint16, header, inner []byte) []byte {
	return UDPFrame(Outer[0], netip.AddrPortFrom(Outer[1].Addr(), port), nil, append(header, inner...))
}

func overIP(proto layers.IPProtocol, header, inner []byte) []byte {
	all, _ := headers(Outer[0].Addr(), Outer[1].Addr(), nil, proto)
	return serialize(append(all, gopacket.Payload(append(header, inner...))))
}

// Fragments cuts the IPv4 packet in a frame into fragments with so many bytes
// of payload, a multiple of 8.
func Fragments(frame []byte, size int) [][]byte {
	head := frame[:34] // without options
	var all [][]byte
	for off := 0; off < len(frame)-34; off += size {
		end := min(34+off+size, len(frame))
		f := append(append([]byte(nil), head...), frame[34+off:end]...)
		binary.BigEndian.PutUint16(f[16:], uint16(len(f)-14))
		flags := uint16(off / 8)
		if end < len(frame) {
			flags |= 0x2000
		}
		binary.BigEndian.PutUint16(f[20:], flags)
		all = append(all, f)
	}
	return all
}
