package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// observer sees every packet on every interface of a namespace, in both
// directions, by a packet socket: it asks nobody of this project.
type observer struct {
	fd     int
	marker []byte
	done   chan struct{}

	mu   sync.Mutex
	seen map[string]int // what carries the marker, or is not the kernel's own talk with its neighbours
}

// observe begins now, and ends with the test. What contains the marker it takes for
// nobody's but the application's.
func observe(t *testing.T, n *namespace, marker string) *observer {
	t.Helper()
	o := &observer{marker: []byte(marker), done: make(chan struct{}), seen: make(map[string]int)}
	err := n.onThread(func() (err error) {
		// Bound to no interface it has all of them; of the link's header it
		// gets nothing.
		o.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(bigEndian(unix.ETH_P_ALL)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	wake := unix.NsecToTimeval(int64(20 * time.Millisecond))
	err = errors.Join(
		unix.SetsockoptInt(o.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20),
		unix.SetsockoptTimeval(o.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wake))
	if err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(o.read)
	t.Cleanup(func() {
		close(o.done)
		reading.Wait()
		stats, err := unix.GetsockoptTpacketStats(o.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
		if err != nil || stats.Drops > 0 {
			t.Errorf("the observer missed packets: %+v, %v", stats, err)
		}
		unix.Close(o.fd)
	})
	return o
}

func bigEndian(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}

func (o *observer) read() {
	p := make([]byte, 1<<17)
	for {
		n, _, err := unix.Recvfrom(o.fd, p, 0)
		if err == nil {
			o.take(p[:n])
			continue
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return
		}
		select {
		case <-o.done:
			return
		default:
		}
	}
}

func (o *observer) take(p []byte) {
	what, chatter := packetWords(p)
	if chatter && !bytes.Contains(p, o.marker) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen[what]++
}

// all returns what was seen since the last time, in words and how often.
func (o *observer) all() (words []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for what, n := range o.seen {
		words = append(words, fmt.Sprintf("%s (%d)", what, n))
	}
	clear(o.seen)
	slices.Sort(words)
	return words
}

// saw reports whether a packet to such a destination was seen.
func (o *observer) saw(what string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for seen := range o.seen {
		if strings.HasSuffix(seen, " to "+what) {
			return true
		}
	}
	return false
}

// packetWords says what a packet is: "6 from 192.0.2.1 to 192.0.2.2 80", by its
// protocol's number; and whether a kernel sends such by itself.
func packetWords(p []byte) (words string, chatter bool) {
	var proto byte
	var src, dst netip.Addr
	var rest []byte
	switch {
	case len(p) >= 20 && p[0]>>4 == 4:
		proto, src, dst, rest = p[9], netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20])), p[min(len(p), int(p[0]&15)*4):]
	case len(p) >= 40 && p[0]>>4 == 6:
		proto, src, dst, rest = p[6], netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[24:40])), p[40:]
		if proto == 0 && len(rest) >= 8 { // hop-by-hop options
			proto, rest = rest[0], rest[min(len(rest), 8+int(rest[1])*8):]
		}
	default:
		return fmt.Sprintf("% x", p[:min(len(p), 40)]), true // ARP
	}
	words = fmt.Sprintf("%d from %v to %v", proto, src, dst)
	switch proto {
	case 6, 17, 136:
		if len(rest) >= 4 {
			words += fmt.Sprint(" ", binary.BigEndian.Uint16(rest[2:]))
		}
	case 58: // router and neighbour discovery, multicast membership
		chatter = len(rest) > 0 && (rest[0] >= 130 && rest[0] <= 137 || rest[0] == 143)
	case 2:
		chatter = true
	}
	return words, chatter
}
