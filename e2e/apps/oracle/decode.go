package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/ip4defrag"
	"github.com/google/gopacket/layers"
)

// segment is a TCP segment of the capture.
type segment struct {
	from, to netip.AddrPort
	via      string // tags and tunnels around it
	tcp      *layers.TCP
}

// decoder finds the segments in packets.
type decoder struct {
	fragments *ip4defrag.IPv4Defragmenter
}

func newDecoder() *decoder {
	return &decoder{fragments: ip4defrag.NewIPv4Defragmenter()}
}

// first returns what decodes a packet of a link type.
func first(link layers.LinkType, data []byte) gopacket.Decoder {
	switch link {
	case 12, 14, 101: // an IP packet, with nothing before it
		if len(data) > 0 && data[0]>>4 == 6 {
			return layers.LayerTypeIPv6
		}
		return layers.LayerTypeIPv4
	}
	return link
}

// segment returns the TCP segment in a packet, the innermost one. nil: there is
// none, or it is not whole yet.
func (d *decoder) segment(link layers.LinkType, data []byte) *segment {
	return d.find(gopacket.NewPacket(data, first(link, data), gopacket.DecodeOptions{NoCopy: true}), nil)
}

// find goes through the layers of a packet. IP packets put together from
// fragments are decoded anew from there.
func (d *decoder) find(p gopacket.Packet, via []string) *segment {
	s := &segment{}
	var src, dst gopacket.Endpoint
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.Dot1Q:
			via = append(via, fmt.Sprintf("vlan %d", l.VLANIdentifier))
		case *layers.VXLAN:
			via = append(via, fmt.Sprintf("vxlan %d", l.VNI))
		case *layers.ERSPANII:
			via = append(via, "erspan")
		case *layers.GRE:
			via = append(via, "gre")
		case *layers.IPv4:
			src, dst = l.NetworkFlow().Endpoints()
			if l.Flags&layers.IPv4MoreFragments == 0 && l.FragOffset == 0 {
				continue
			}
			whole, err := d.fragments.DefragIPv4(l)
			if err != nil || whole == nil {
				return nil
			}
			return d.find(gopacket.NewPacket(rebuilt(whole), layers.LayerTypeIPv4, gopacket.DecodeOptions{NoCopy: true}), via)
		case *layers.IPv6:
			src, dst = l.NetworkFlow().Endpoints()
		case *layers.TCP:
			s.tcp = l
		}
	}
	if s.tcp == nil {
		return nil
	}
	s.from, s.to = endpoint(src, s.tcp.SrcPort), endpoint(dst, s.tcp.DstPort)
	s.via = strings.Join(via, ", ")
	return s
}

func endpoint(ip gopacket.Endpoint, port layers.TCPPort) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(ip.Raw())
	return netip.AddrPortFrom(addr, uint16(port))
}

// rebuilt writes a packet that was put together as one without fragments.
func rebuilt(ip *layers.IPv4) []byte {
	b := gopacket.NewSerializeBuffer()
	ip.Flags, ip.FragOffset = 0, 0
	err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, ip, gopacket.Payload(ip.Payload))
	if err != nil {
		return nil
	}
	return b.Bytes()
}
