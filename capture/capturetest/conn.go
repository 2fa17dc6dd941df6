// Package capturetest makes captures for tests: a Conn scripts one TCP
// connection packet by packet, and the writers turn packets into the bytes of
// a capture file. It builds packets with gopacket and knows nothing of the
// code that it tests.
//
//	c := capturetest.New("10.0.0.1:40000", "10.0.0.2:80")
//	c.Handshake().Client("GET / HTTP/1.1\r\n\r\n").Server("HTTP/1.1 204 No Content\r\n\r\n").Close()
//	file := capturetest.Pcap(c.Packets)
package capturetest

import (
	"net/netip"
	"slices"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Packet is a packet on the wire, beginning with an Ethernet header.
type Packet struct {
	Time time.Time
	Data []byte
}

// Epoch is when scripts begin, unless told otherwise.
var Epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Conn scripts a TCP connection. Each method appends the packets that it
// names to Packets and advances the clock by Step before each one. The fields
// may be changed at any time.
type Conn struct {
	Ends    [2]netip.AddrPort // client, server
	Seq     [2]uint32         // next sequence number of each; set before Handshake, they are the initial ones
	Ack     [2]uint32         // what each acknowledges in its packets
	MSS     int               // payload bytes in a packet; default 1460
	Window  uint16            // default 65535
	VLAN    []uint16          // tags, outermost first
	Wrap    [2]Wrap           // of each side's packets; nil: none
	Now     time.Time
	Step    time.Duration // default 100 µs
	Packets []Packet
}

const (
	client = 0
	server = 1
)

// New returns a script between two endpoints such as "10.0.0.1:4000" or
// "[2001:db8::1]:4000". It panics if they are not that.
func New(clientEnd, serverEnd string) *Conn {
	return Between(netip.MustParseAddrPort(clientEnd), netip.MustParseAddrPort(serverEnd))
}

// Between returns a script between two endpoints.
func Between(clientEnd, serverEnd netip.AddrPort) *Conn {
	return &Conn{
		Ends: [2]netip.AddrPort{clientEnd, serverEnd},
		Seq:  [2]uint32{1000, 5000},
		MSS:  1460, Window: 65535, Now: Epoch, Step: 100 * time.Microsecond,
	}
}

// Wait lets time pass.
func (c *Conn) Wait(d time.Duration) *Conn {
	c.Now = c.Now.Add(d)
	return c
}

// Handshake appends SYN, SYN+ACK and ACK.
func (c *Conn) Handshake() *Conn { return c.SYN().SYNACK().ClientACK() }

// SYN appends the client's SYN.
func (c *Conn) SYN() *Conn {
	c.Send(client, layers.TCP{SYN: true}, nil)
	return c
}

// SYNACK appends the server's.
func (c *Conn) SYNACK() *Conn {
	c.Send(server, layers.TCP{SYN: true, ACK: true}, nil)
	return c
}

// Client appends data of the client, in as many packets as MSS asks for. Each
// acknowledges all that the server has sent.
func (c *Conn) Client(data string) *Conn { return c.data(client, []byte(data)) }

// Server appends data of the server.
func (c *Conn) Server(data string) *Conn { return c.data(server, []byte(data)) }

// ClientACK appends an acknowledgement of all that the server has sent.
func (c *Conn) ClientACK() *Conn { return c.data(client, nil) }

// ServerACK appends an acknowledgement of all that the client has sent.
func (c *Conn) ServerACK() *Conn { return c.data(server, nil) }

// ClientFIN appends a FIN of the client.
func (c *Conn) ClientFIN() *Conn {
	c.Send(client, layers.TCP{ACK: true, FIN: true}, nil)
	return c
}

// ServerFIN appends a FIN of the server.
func (c *Conn) ServerFIN() *Conn {
	c.Send(server, layers.TCP{ACK: true, FIN: true}, nil)
	return c
}

// ClientRST appends a reset by the client.
func (c *Conn) ClientRST() *Conn {
	c.Send(client, layers.TCP{ACK: true, RST: true}, nil)
	return c
}

// ServerRST appends a reset by the server.
func (c *Conn) ServerRST() *Conn {
	c.Send(server, layers.TCP{ACK: true, RST: true}, nil)
	return c
}

// Close appends a close that the client begins: FIN, FIN, ACK.
func (c *Conn) Close() *Conn { return c.ClientFIN().ServerFIN().ClientACK() }

func (c *Conn) data(side int, data []byte) *Conn {
	for first := true; first || len(data) > 0; first = false {
		n := min(len(data), c.MSS)
		c.Send(side, layers.TCP{ACK: true, PSH: n > 0}, data[:n])
		data = data[n:]
	}
	return c
}

// Send appends one packet of a side (0: client, 1: server) and returns its
// index. Ports, numbers and window are filled in; the sequence number advances.
func (c *Conn) Send(side int, tcp layers.TCP, payload []byte) int {
	c.Now = c.Now.Add(c.Step)
	tcp.Seq = c.Seq[side]
	if tcp.ACK {
		c.Ack[side] = c.Seq[side^1]
		tcp.Ack = c.Ack[side]
	}
	tcp.Window = c.Window
	c.Seq[side] += uint32(len(payload))
	if tcp.SYN {
		c.Seq[side]++
	}
	if tcp.FIN {
		c.Seq[side]++
	}
	return c.Raw(side, tcp, payload)
}

// Raw appends one packet with the numbers as they are in tcp, touches no
// state, and returns its index.
func (c *Conn) Raw(side int, tcp layers.TCP, payload []byte) int {
	src, dst := c.Ends[side], c.Ends[side^1]
	frame := Frame(src, dst, c.VLAN, tcp, payload)
	if c.Wrap[side] != nil {
		frame = c.Wrap[side](frame)
	}
	c.Packets = append(c.Packets, Packet{c.Now, frame})
	return len(c.Packets) - 1
}

// Drop removes the packet at index i, as a capture that missed it.
func (c *Conn) Drop(i int) *Conn {
	c.Packets = slices.Delete(c.Packets, i, i+1)
	return c
}

// Frame builds one Ethernet frame with correct lengths and checksums.
func Frame(src, dst netip.AddrPort, vlan []uint16, tcp layers.TCP, payload []byte) []byte {
	tcp.SrcPort, tcp.DstPort = layers.TCPPort(src.Port()), layers.TCPPort(dst.Port())
	all, network := headers(src.Addr(), dst.Addr(), vlan, layers.IPProtocolTCP)
	tcp.SetNetworkLayerForChecksum(network)
	return serialize(append(all, &tcp, gopacket.Payload(payload)))
}

// UDPFrame builds one Ethernet frame with a datagram.
func UDPFrame(src, dst netip.AddrPort, vlan []uint16, payload []byte) []byte {
	udp := layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	all, network := headers(src.Addr(), dst.Addr(), vlan, layers.IPProtocolUDP)
	udp.SetNetworkLayerForChecksum(network)
	return serialize(append(all, &udp, gopacket.Payload(payload)))
}

// headers returns what goes before the transport layer.
func headers(src, dst netip.Addr, vlan []uint16, proto layers.IPProtocol) ([]gopacket.SerializableLayer, gopacket.NetworkLayer) {
	network := layers.EthernetTypeIPv4
	if src.Is6() {
		network = layers.EthernetTypeIPv6
	}
	eth := &layers.Ethernet{
		SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, EthernetType: network,
	}
	all := []gopacket.SerializableLayer{eth}
	if len(vlan) > 0 {
		eth.EthernetType = layers.EthernetTypeDot1Q
	}
	for i, id := range vlan {
		tag := &layers.Dot1Q{VLANIdentifier: id, Type: network}
		if i+1 < len(vlan) {
			tag.Type = layers.EthernetTypeDot1Q
		}
		all = append(all, tag)
	}
	if network == layers.EthernetTypeIPv4 {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
		return append(all, ip), ip
	}
	ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	return append(all, ip), ip
}

func serialize(all []gopacket.SerializableLayer) []byte {
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...); err != nil {
		panic("capturetest: " + err.Error()) // a payload over 64 KiB
	}
	return buf.Bytes()
}
