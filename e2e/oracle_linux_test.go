package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"tcpsandbox/capture/capturetest"
)

// message is what a client sent at once, and what of it a capture has.
type message struct {
	text     string // as testapp -messages writes it, without the client
	from, to int    // in the client's stream
	state    int
}

const (
	captured = iota // all of it, and that can be told
	doubtful        // all of it, but where it begins cannot be told
	broken          // not all of it
)

// sender is a client's stream as it was, and what a capture has of it.
type sender struct {
	name     string
	messages []message
	opened   bool  // a packet of the handshake that tells where the stream begins was captured
	holes    int   // below what production is seen to have acknowledged
	missing  int64 // bytes in those

	isn     uint32
	stream  []byte
	has     []bool // by byte
	acked   int    // by a packet that was captured
	replies []reply
}

// reply is a captured packet of the server's with data.
type reply struct {
	acked int // of the client's stream
}

// foresee puts the streams of an uncut capture together, in the order of the
// clients' first packets, and marks what is left of them without the packets
// lost. It trusts that the capture begins before the connections, and that
// nothing was lost on the wire.
func foresee(kind string, packets []capturetest.Packet, lost map[int]bool) (all []*sender, err error) {
	by := map[netip.AddrPort]*sender{}
	for i, p := range packets {
		eth := gopacket.NewPacket(p.Data, layers.LayerTypeEthernet, gopacket.NoCopy)
		tcp, isTCP := eth.TransportLayer().(*layers.TCP)
		if !isTCP {
			continue
		}
		ends := eth.NetworkLayer().NetworkFlow()
		src, _ := netip.AddrFromSlice(ends.Src().Raw())
		dst, _ := netip.AddrFromSlice(ends.Dst().Raw())
		from, to := netip.AddrPortFrom(src, uint16(tcp.SrcPort)), netip.AddrPortFrom(dst, uint16(tcp.DstPort))
		if tcp.SYN && !tcp.ACK {
			c := &sender{name: from.String(), isn: tcp.Seq, opened: !lost[i]}
			by[from], all = c, append(all, c)
			continue
		}
		if c := by[to]; c != nil { // of the server
			if tcp.SYN {
				c.opened = c.opened || !lost[i]
			}
			if !lost[i] && tcp.ACK {
				c.acked = max(c.acked, int(tcp.Ack-c.isn-1))
				if len(tcp.Payload) > 0 {
					c.replies = append(c.replies, reply{int(tcp.Ack - c.isn - 1)})
				}
			}
			continue
		}
		c := by[from]
		if c == nil {
			return nil, fmt.Errorf("packet %d is of no connection that was opened before", i)
		}
		off := int(tcp.Seq - c.isn - 1)
		for n, b := range tcp.Payload {
			switch {
			case off+n == len(c.stream):
				c.stream, c.has = append(c.stream, b), append(c.has, !lost[i])
			case off+n < len(c.stream):
				c.has[off+n] = c.has[off+n] || !lost[i]
			default:
				return nil, fmt.Errorf("packet %d: the capture is not whole", i)
			}
		}
	}
	for _, c := range all {
		if err := c.divide(kind); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		c.assess()
		if kind == "frames" {
			c.turns()
		}
	}
	return all, nil
}

// greeted reports whether what the server said first was captured.
func (c *sender) greeted() bool {
	return slices.ContainsFunc(c.replies, func(r reply) bool { return r.acked == 0 })
}

// divide finds the messages.
func (c *sender) divide(kind string) error {
	for at := 0; at < len(c.stream); {
		var text string
		var n int
		rest := c.stream[at:]
		switch kind {
		case "frames":
			n = 4 + int(binary.BigEndian.Uint32(rest))
			text = fmt.Sprintf("frame %d %x", n-4, sha256.Sum256(rest[4:n]))
		case "http":
			under := bytes.NewReader(rest)
			r := bufio.NewReader(under)
			req, err := http.ReadRequest(r)
			if err != nil {
				return err
			}
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return err
			}
			n = len(rest) - under.Len() - r.Buffered()
			text = fmt.Sprintf("%s %s %d %x", req.Method, req.RequestURI, len(body), sha256.Sum256(body))
		default:
			return fmt.Errorf("messages of kind %s are not known", kind)
		}
		c.messages = append(c.messages, message{text: text, from: at, to: at + n})
		at += n
	}
	return nil
}

// assess marks the messages that are not whole, and counts what is missing.
func (c *sender) assess() {
	for i := range c.messages {
		m := &c.messages[i]
		for _, has := range c.has[m.from:m.to] {
			if !has {
				m.state = broken
			}
		}
	}
	for i, has := range c.has[:min(c.acked, len(c.stream))] {
		if !has {
			c.missing++
			if i == 0 || c.has[i-1] {
				c.holes++
			}
		}
	}
}

// turns marks the frames that are whole but cannot be told to be: those next to
// a hole of which the server's answer before them, or to them, is missing too.
// Whoever knows nothing of the protocol cannot see then whether the hole was a
// frame of its own, or a part of this one. The same goes for the beginning of a
// stream without its handshake.
func (c *sender) turns() {
	answered := map[int]bool{}
	for _, r := range c.replies {
		answered[r.acked] = true
	}
	for i := range c.messages {
		m := &c.messages[i]
		before := i == 0 && !c.opened || i > 0 && !c.has[m.from-1]
		behind := m.to < len(c.stream) && !c.has[m.to]
		if m.state == captured && (before && !answered[m.from] || behind && !answered[m.to]) {
			m.state = doubtful
		}
	}
}

// booked is what a report says of a client.
type booked struct {
	missing int64  // not_captured
	verdict string // the worst of its answers
}

func readBooked(report string) (map[string]booked, error) {
	var doc struct {
		Detail []struct {
			Client      string `json:"client"`
			Verdict     string `json:"verdict"`
			ClientBytes struct {
				NotCaptured int64 `json:"not_captured"`
			} `json:"client_bytes"`
		} `json:"detail"`
	}
	if err := json.Unmarshal([]byte(report), &doc); err != nil {
		return nil, err
	}
	all := map[string]booked{}
	for _, d := range doc.Detail {
		all[d.Client] = booked{d.ClientBytes.NotCaptured, d.Verdict}
	}
	return all, nil
}
