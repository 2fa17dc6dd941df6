package netsimtest

import (
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"
)

// patience bounds every wait: only a test that fails waits that long.
const patience = 10 * time.Second

// Wire is a socket pair that keeps packets apart, in place of a TUN device.
type Wire struct {
	TUN     *os.File // netsim's end
	t       testing.TB
	far     *os.File
	offload bool
}

// NewWire makes a wire which lasts until the test ends.
func NewWire(t testing.TB, offload bool) *Wire {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{TUN: os.NewFile(uintptr(fds[0]), "tun"), far: os.NewFile(uintptr(fds[1]), "far"), t: t, offload: offload}
	t.Cleanup(w.Close)
	return w
}

// Close closes both ends. The end of the test does it, too.
func (w *Wire) Close() {
	w.TUN.Close()
	w.far.Close()
}

// Write sends an IP packet to netsim, as the application's kernel does.
func (w *Wire) Write(packet []byte) {
	w.t.Helper()
	if w.offload {
		packet = append(make([]byte, VirtioHeader, VirtioHeader+len(packet)), packet...)
	}
	w.WriteRaw(packet)
}

// WriteRaw sends bytes to netsim as they are.
func (w *Wire) WriteRaw(b []byte) {
	w.t.Helper()
	w.far.SetWriteDeadline(time.Now().Add(patience))
	if _, err := w.far.Write(b); err != nil {
		w.t.Fatalf("write to the wire: %v", err)
	}
}

// Read waits for the next packet from netsim.
func (w *Wire) Read() *Packet {
	w.t.Helper()
	p := w.read(patience)
	if p == nil {
		w.t.Fatal("no packet came")
	}
	return p
}

// Quiet reports whether no packet is on the wire at this moment. Where netsim
// may still be at work make it answer something first: see Barrier.
func (w *Wire) Quiet() bool {
	w.t.Helper()
	if p := w.read(time.Nanosecond); p != nil {
		w.t.Logf("on the wire: %v", p)
		return false
	}
	return true
}

func (w *Wire) read(wait time.Duration) *Packet {
	w.t.Helper()
	buf := make([]byte, 1<<17)
	w.far.SetReadDeadline(time.Now().Add(wait))
	n, err := w.readNow(buf, wait)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if err != nil {
		w.t.Fatalf("read from the wire: %v", err)
	}
	p, err := Decode(buf[:n:n], w.offload)
	if err != nil {
		w.t.Fatalf("netsim sent % x…: %v", buf[:min(n, 80)], err)
	}
	return p
}

// readNow looks once before a deadline may hide what is there.
func (w *Wire) readNow(buf []byte, wait time.Duration) (n int, err error) {
	raw, err := w.far.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	raw.Control(func(fd uintptr) { n, failed = unix.Read(int(fd), buf) })
	if failed == unix.EAGAIN {
		if wait <= time.Nanosecond {
			return 0, os.ErrDeadlineExceeded
		}
		return w.far.Read(buf)
	}
	return n, failed
}

// barrierPort is where Barrier's segments claim to come from.
const barrierPort = 9

// Barrier waits until netsim has read all that was written before, and returns
// the packets that it sent meanwhile: a segment of an unknown connection is
// answered with RST by the goroutine that reads, after what came earlier.
func (w *Wire) Barrier() (before []*Packet) {
	w.t.Helper()
	from, to := netip.MustParseAddrPort("10.255.255.1:9"), netip.MustParseAddrPort("10.255.255.2:9")
	w.Write(TCP(from, to, "A", 1, 1, nil))
	for {
		p := w.Read()
		if p.TCP != nil && p.TCP.RST && p.Dst().Port() == barrierPort {
			return before
		}
		before = append(before, p)
	}
}

// Peer is the application's kernel in one connection. Its numbers may be
// changed at any time.
type Peer struct {
	*Wire
	Client, Server netip.AddrPort
	Seq            uint32 // next sequence number of the server
	Next           uint32 // next one expected of the client
	Stamps         bool   // use the timestamp option, as Linux does
	Again          int    // packets that Expect skipped because they repeat what came before
	stamp          uint32 // of the client, latest
}

// Peer returns the server's end of a connection that netsim will dial.
func (w *Wire) Peer(client, server netip.AddrPort) *Peer {
	return &Peer{Wire: w, Client: client, Server: server, Seq: 7_000_000}
}

// Accept answers the client's SYN and returns it.
func (p *Peer) Accept() *Packet {
	p.t.Helper()
	syn := p.Read()
	Check(p.t, syn, Flags("S"), Ends(p.Client, p.Server))
	p.Next = syn.TCP.Seq + 1
	p.note(syn)
	options := []layers.TCPOption{
		{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 180}}, // 1460
		{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{7}},
	}
	p.Write(TCP(p.Server, p.Client, "SA", p.Seq, p.Next, nil, append(options, p.options()...)...))
	p.Seq++
	return syn
}

// Expect waits for the client's next packet that is more than a bare
// acknowledgement, applies the checkers, and takes what it carries as
// received: Send acknowledges it. Bare acknowledgements are skipped because
// whether one rides on the next packet depends on the clock.
func (p *Peer) Expect(checks ...Checker) *Packet {
	p.t.Helper()
	for {
		got := p.Read()
		if got.TCP != nil && flagsOf(got.TCP) == "A" && len(got.Body) == 0 {
			p.note(got)
			continue
		}
		if got.TCP != nil && !got.TCP.SYN && !got.TCP.RST && int32(got.TCP.Seq-p.Next) < 0 {
			p.Again++ // this process stood still for longer than the retransmission timeout
			continue
		}
		p.take(got, checks)
		return got
	}
}

// ExpectNext is Expect for the client's next packet, whatever it is.
func (p *Peer) ExpectNext(checks ...Checker) *Packet {
	p.t.Helper()
	got := p.Read()
	p.take(got, checks)
	return got
}

func (p *Peer) take(got *Packet, checks []Checker) {
	p.t.Helper()
	Check(p.t, got, append(checks, Ends(p.Client, p.Server))...)
	if got.TCP == nil {
		p.t.Fatalf("%v: want TCP", got)
	}
	if got.TCP.Seq == p.Next {
		p.Next += uint32(len(got.Body))
		if got.TCP.FIN {
			p.Next++
		}
	}
	p.note(got)
}

// Send sends a segment that acknowledges all that was received.
func (p *Peer) Send(flags, payload string) {
	p.t.Helper()
	p.Write(TCP(p.Server, p.Client, flags, p.Seq, p.Next, []byte(payload), p.options()...))
	p.Seq += uint32(len(payload))
	for _, f := range flags {
		if f == 'S' || f == 'F' {
			p.Seq++
		}
	}
}

func (p *Peer) note(got *Packet) {
	for _, o := range got.TCP.Options {
		if o.OptionType == layers.TCPOptionKindTimestamps && len(o.OptionData) == 8 {
			p.stamp = uint32(o.OptionData[0])<<24 | uint32(o.OptionData[1])<<16 | uint32(o.OptionData[2])<<8 | uint32(o.OptionData[3])
		}
	}
}

func (p *Peer) options() []layers.TCPOption {
	if !p.Stamps {
		return nil
	}
	s := p.stamp
	return []layers.TCPOption{
		{OptionType: layers.TCPOptionKindNop, OptionLength: 1}, {OptionType: layers.TCPOptionKindNop, OptionLength: 1},
		{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: []byte{0, 0, 0, 1, byte(s >> 24), byte(s >> 16), byte(s >> 8), byte(s)}},
	}
}
