package capture

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"tcpsandbox/capture/expr"
)

// Live capture: a packet socket with a receive ring, waited for through Go's
// network poller, so that an idle capture occupies no thread and a block of
// packets is one wake-up.

// live is a Source over an interface.
type live struct {
	name     string // as the user gave it
	current  string // as it is called now, as far as is known; Run's own from then on
	index    int    // 0: all interfaces; Run's own
	cooked   bool
	loopback int32 // index of the interface where outgoing copies are dropped
	retire   time.Duration
	file     *os.File // owns the socket
	conn     syscall.RawConn
	ring     *ring
	notice   func(text string)

	packets, bytes, malformed, cut atomic.Uint64

	mu      sync.Mutex
	drops   uint64 // the kernel's counter starts again with each look
	running bool
	closed  bool
	ended   bool          // Run has
	out     *outage       // nil: the interface is there; changed by Run alone
	blind   time.Duration // in all outages that are over
	stop    chan struct{} // closed by Close
}

// OpenLive captures on an interface, both directions; "any" means all of them.
// On loopback, where each packet passes twice, it is captured once. It needs
// CAP_NET_RAW. Errors that a user can mend have a Hint.
func OpenLive(iface string, cfg LiveConfig) (Source, error) {
	l, err := openLive(iface, cfg.withDefaults())
	if err == nil {
		return filtered(l, cfg.Filter, cfg.Tunnels, !l.cooked), nil
	}
	var own *liveError
	if errors.As(err, &own) {
		return nil, own
	}
	e := &liveError{iface: iface, err: err}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		e.err = fmt.Errorf("%w (it needs CAP_NET_RAW)", err)
		self, _ := os.Executable()
		e.hint = fmt.Sprintf("sudo setcap cap_net_raw+ep %s    (or run it with sudo)", self)
	}
	return nil, e
}

func openLive(iface string, cfg LiveConfig) (*live, error) {
	l := &live{name: iface, current: iface, retire: cfg.Retire, stop: make(chan struct{}), notice: cfg.Notice}
	if l.notice == nil {
		l.notice = func(string) {}
	}
	if iface == "any" {
		l.cooked = true
		if lo := loopbackIndex(); lo != 0 {
			l.loopback = int32(lo)
		}
	} else {
		i, err := net.InterfaceByName(iface)
		if err != nil {
			return nil, &liveError{iface: iface, err: errNoInterface, hint: "the interfaces are: " + interfaceNames()}
		}
		l.index = i.Index
		if i.Flags&net.FlagLoopback != 0 {
			l.loopback = int32(i.Index)
		}
	}
	// Protocol 0: the socket hears nothing until it is bound, so that no
	// packet comes in before the filter is there.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	if !l.cooked {
		hardware, err := hardwareType(fd, iface)
		if err != nil {
			unix.Close(fd)
			return nil, err
		}
		l.cooked = isCooked(hardware)
	}
	if l.cooked { // no link header, or one that differs from packet to packet
		unix.Close(fd)
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("open packet socket: %w", err)
		}
	}
	if err := l.bind(fd, cfg); err != nil {
		if l.ring != nil {
			l.ring.unmap()
		}
		unix.Close(fd)
		return nil, err
	}
	l.file = os.NewFile(uintptr(fd), "packet:"+iface)
	l.conn, err = l.file.SyscallConn()
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// bind sets the filter and the ring up, and then lets packets in.
func (l *live) bind(fd int, cfg LiveConfig) error {
	layout := layoutEthernet
	if l.cooked {
		layout = layoutCooked
	}
	var unfit *expr.LinkError
	if cfg.Filter != nil && errors.As(cfg.Filter.Check(uint16(layout.link())), &unfit) {
		return &liveError{iface: l.name, err: unfit, hint: unfit.Hint()}
	}
	raw, err := bpf.Assemble(filterProgram(layout, cfg, uint32(l.loopback)))
	if err != nil {
		return fmt.Errorf("assemble filter: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, ins := range raw {
		filter[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	if err := attach(fd, filter); err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	if l.ring, err = newRing(fd, cfg); err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: l.index}); err != nil {
		return fmt.Errorf("bind packet socket: %w", err)
	}
	return nil
}

func attach(fd int, filter []unix.SockFilter) error {
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

func (l *live) Name() string { return l.name }
func (l *live) Live() bool   { return true }

// onInterface tells Steady that packets arrive when their times say.
func (l *live) onInterface() {}

// Run delivers one batch per block. When ctx ends, it still delivers what has come
// until then, the block that is not full included, however fast more comes. An
// interface that goes is waited for.
func (l *live) Run(ctx context.Context, fn func(batch []Packet) error) error {
	l.mu.Lock()
	if l.closed || l.running {
		closed := l.closed
		l.mu.Unlock()
		if closed {
			return nil
		}
		return &liveError{iface: l.name, err: errors.New("run twice")}
	}
	l.running = true
	l.mu.Unlock()
	defer l.finish()
	cancel := context.AfterFunc(ctx, func() {
		l.shut()
		l.file.SetReadDeadline(time.Unix(1, 0))
	})
	defer cancel()
	var batch []Packet
	for {
		// The poller tells of changes only: empty the ring before waiting.
		for l.ring.ready() {
			if l.isClosed() {
				return nil
			}
			if ctx.Err() != nil {
				return l.rest(&batch, fn)
			}
			if err := l.block(&batch, fn); err != nil {
				return err
			}
		}
		wait := l.wait
		if l.out != nil {
			wait = func() error { return l.waitOutage(ctx) }
		}
		if err := wait(); err != nil {
			if l.isClosed() {
				return nil
			}
			if ctx.Err() == nil {
				return err
			}
			return l.rest(&batch, fn)
		}
	}
}

// block delivers the block that is ready and gives it back.
func (l *live) block(batch *[]Packet, fn func([]Packet) error) error {
	var malformed uint64
	*batch, malformed = l.ring.packets((*batch)[:0], l.cooked, l.loopback)
	var size, cut uint64
	for i := range *batch {
		p := &(*batch)[i]
		size += uint64(len(p.Data))
		if p.OrigLen > len(p.Data) {
			cut++
		}
	}
	l.packets.Add(uint64(len(*batch)))
	l.bytes.Add(size)
	l.cut.Add(cut)
	l.malformed.Add(malformed)
	var err error
	if len(*batch) > 0 {
		err = fn(*batch)
	}
	l.ring.done()
	return err
}

// wait blocks until a block is ready or the socket has failed.
func (l *live) wait() error {
	var failed unix.Errno
	err := l.conn.Read(func(fd uintptr) bool {
		if l.ring.ready() {
			return true
		}
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil {
			code = int(err.(unix.Errno))
		}
		failed = unix.Errno(code)
		return failed != 0
	})
	if failed != 0 {
		return l.failed(failed)
	}
	return err
}

// shut lets no more packets in: what comes is neither captured nor dropped.
func (l *live) shut() {
	l.conn.Control(func(fd uintptr) { // fails once it is closed
		attach(int(fd), []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}})
	})
}

// rest waits until the kernel has handed over the block at hand, and delivers
// what the ring holds: the last packets before the end of the capture are in it.
func (l *live) rest(batch *[]Packet, fn func([]Packet) error) error {
	select {
	case <-time.After(2*l.retire + time.Millisecond):
	case <-l.stop:
		return nil
	}
	for range l.ring.blocks {
		if !l.ring.ready() {
			break
		}
		if err := l.block(batch, fn); err != nil {
			return err
		}
	}
	return nil
}

func (l *live) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.countDrops()
	blind := l.blind
	if l.out != nil {
		blind += time.Since(l.out.since)
	}
	return Stats{
		Packets: l.packets.Load(), Bytes: l.bytes.Load(), KernelDrops: l.drops,
		Malformed: l.malformed.Load(), Cut: l.cut.Load(), Blind: blind,
	}
}

// countDrops adds what the kernel dropped since the last look; it counts from
// zero after each.
func (l *live) countDrops() {
	if l.ended { // what finds no room now was not to be captured
		return
	}
	l.conn.Control(func(fd uintptr) { // fails once it is closed
		if s, err := unix.GetsockoptTpacketStatsV3(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			l.drops += uint64(s.Drops)
		}
	})
}

func (l *live) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// Close ends the capture; the ring goes when Run no longer reads it.
func (l *live) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.stop)
	if l.conn != nil {
		l.countDrops()
	}
	err := l.file.Close() // wakes wait
	if !l.running {
		l.ring.unmap()
	}
	return err
}

// finish is the end of Run.
func (l *live) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = false
	if l.out != nil { // it is not waited for any more
		l.blind += time.Since(l.out.since)
		l.out = nil
	}
	if l.closed {
		l.ring.unmap()
	} else {
		l.countDrops()
	}
	l.ended = true
}

func loopbackIndex() int {
	all, _ := net.Interfaces()
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			return i.Index
		}
	}
	return 0
}

func interfaceNames() string {
	names := []string{}
	all, _ := net.Interfaces()
	for _, i := range all {
		names = append(names, i.Name)
	}
	return strings.Join(append(names, "any"), ", ")
}

// isCooked reports whether packets of such an interface are captured without
// their link header.
func isCooked(hardware uint16) bool {
	return hardware != unix.ARPHRD_ETHER && hardware != unix.ARPHRD_LOOPBACK
}

// hardwareType returns the ARPHRD_ number of an interface.
func hardwareType(fd int, iface string) (uint16, error) {
	req, err := unix.NewIfreq(iface)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, req); err != nil {
		return 0, fmt.Errorf("ask for the link type: %w", err)
	}
	return req.Uint16(), nil // the address family of the answer
}
