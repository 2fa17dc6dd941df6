package capturetest

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// Merge returns the packets of several scripts in the order of their times.
func Merge(conns ...*Conn) []Packet {
	var all []Packet
	for _, c := range conns {
		all = append(all, c.Packets...)
	}
	slices.SortStableFunc(all, func(a, b Packet) int { return cmp.Compare(a.Time.UnixNano(), b.Time.UnixNano()) })
	return all
}

// Pcap returns a capture file (nanoseconds) of Ethernet packets.
func Pcap(packets []Packet) []byte {
	var buf bytes.Buffer
	w := pcapgo.NewWriterNanos(&buf)
	must(w.WriteFileHeader(1<<20, layers.LinkTypeEthernet))
	for _, p := range packets {
		must(w.WritePacket(info(p), p.Data))
	}
	return buf.Bytes()
}

func info(p Packet) gopacket.CaptureInfo {
	return gopacket.CaptureInfo{Timestamp: p.Time, CaptureLength: len(p.Data), Length: len(p.Data)}
}

func must(err error) {
	if err != nil {
		panic("capturetest: " + err.Error()) // memory does not fail to write
	}
}

// Load describes many HTTP-like sessions at once.
type Load struct {
	Sessions int
	Requests int            // in each session, one after the other; default 1
	Request  int            // bytes of a request, header included; default 400
	Answer   int            // bytes of an answer, header included; default 600
	MSS      int            // default 1460
	Gap      time.Duration  // between the starts of sessions; default 50 µs
	Server   netip.AddrPort // default 10.9.0.1:80
}

// HTTP returns the packets of keep-alive HTTP sessions, each from a client
// address of its own, interleaved as their times say.
func HTTP(l Load) []Packet {
	l.Requests = cmp.Or(l.Requests, 1)
	l.Request, l.Answer = cmp.Or(l.Request, 400), cmp.Or(l.Answer, 600)
	l.MSS, l.Gap = cmp.Or(l.MSS, 1460), cmp.Or(l.Gap, 50*time.Microsecond)
	if !l.Server.IsValid() {
		l.Server = netip.MustParseAddrPort("10.9.0.1:80")
	}
	conns := make([]*Conn, l.Sessions)
	for i := range conns {
		addr := netip.AddrFrom4([4]byte{10, byte(1 + i>>16), byte(i >> 8), byte(i)})
		c := Between(netip.AddrPortFrom(addr, uint16(20000+i%40000)), l.Server)
		c.MSS = l.MSS
		c.Now = Epoch.Add(time.Duration(i) * l.Gap)
		c.Seq = [2]uint32{uint32(i) * 7919, uint32(i) * 104729}
		c.Handshake()
		for r := range l.Requests {
			c.Client(padded(fmt.Sprintf("GET /item/%d/%d HTTP/1.1\r\nHost: shop\r\nX-Pad: ", i, r), "\r\n\r\n", l.Request))
			head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", max(l.Answer-64, 0))
			c.Server(head + padded("", "", max(l.Answer-64, 0)))
			c.ClientACK()
		}
		conns[i] = c.Close()
	}
	return Merge(conns...)
}

// padded returns head and tail with so much between them that it is size long.
func padded(head, tail string, size int) string {
	return head + strings.Repeat("x", max(size-len(head)-len(tail), 0)) + tail
}
