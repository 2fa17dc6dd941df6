// Package netsim is the far side of the sandbox's TUN device: a gVisor
// userspace TCP/IP stack that plays every client (the injector) and swallows
// whatever else the application sends (the black hole), but for destinations
// that were named to be let through (the gate).
//
// In flow Dial calls: each makes one TCP connection from a client's original
// IP address and port to the application; DialUDP does the same for datagrams.
// Out flow IP packets into the TUN file, and the application's answers through
// Conn or Socket. Packets that belong to no connection of the injector never
// reach its stack; Egress tells what they were.
//
//	n, err := netsim.New(netsim.Config{TUN: file, MTU: 1500, Offload: true})
//	go n.Run(ctx)
//	conn, err := n.Dial(client, server, wake)
//
// No gVisor type leaves this package.
package netsim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

const nicID tcpip.NICID = 1

// Config says what lies under the stack.
type Config struct {
	TUN     *os.File // non-blocking; packets of the application are read from it, packets to it are written
	MTU     int      // of the TUN device, in bytes
	Offload bool     // each packet carries a 10-byte virtio_net_hdr, and may be a TCP segment of up to 64 KiB
	Refuse  bool     // answer egress with RST or port-unreachable instead of silence

	// Dial reaches the destinations in Ways and those of Serve. nil: nothing is
	// let through.
	Dial Dialer
	Ways []Way
	// Names answers DNS queries to any address that is not in Ways: these names,
	// in lower case, have these addresses, and no others exist. nil: queries are
	// egress as all else.
	Names map[string][]netip.Addr
	// GateMemory bounds what passes on its way to and from the destinations may
	// hold, in bytes: with less than the constant GateMemory fewer connections are
	// let through at a time. 0: that.
	GateMemory int64
}

// Net is one sandbox's network. Its methods may be called concurrently.
type Net struct {
	stack *stack.Stack
	link  *link
	acks  ackHold
	hole  blackHole
	gate  *gate // nil: nothing is let through
	flows flowTable
	stats counters
	fates fateBook

	sockets   socketTable   // of UDP
	fragments fragmentTable // belongs to Run

	// done is set once Close was called. Dial holds dialing for reading: an
	// endpoint made after the stack was told to close would never end.
	done    atomic.Bool
	dialing sync.RWMutex
	reading sync.Mutex // held by Run: the stack must not go while packets are handed to it
	raw     syscall.RawConn
}

// New makes the stack and attaches it to the TUN file, which stays the
// caller's to close. It starts nothing but gVisor's own packet processors.
func New(cfg Config) (*Net, error) {
	raw, err := cfg.TUN.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("tun: %w", err)
	}
	n := &Net{raw: raw}
	n.flows.init()
	n.sockets.init()
	n.hole.init(cfg.Refuse)
	if n.link, err = newLink(n, cfg); err != nil {
		return nil, err
	}
	n.acks.link = n.link
	// What arrives is read at once, so a large receive buffer holds nothing; it
	// lets the application send on while the reader waits for a processor. One
	// stream down on a busy machine, of what the kernel reaches over veth: 0.24
	// with the default of 1 MiB, 0.45 to 0.6 with 8.
	if n.stack, err = newStack(n.link, 8<<20); err != nil {
		return nil, err
	}
	if cfg.Dial != nil || cfg.Names != nil {
		if n.gate, err = newGate(n, cfg); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// newStack returns a stack on a link, whose connections have receive buffers of
// so many bytes.
func newStack(l *link, buffer int) (*stack.Stack, error) {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})
	set := func(opt tcpip.SettableTransportProtocolOption) error {
		if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, opt); err != nil {
			return fmt.Errorf("tcp option %T: %s", opt, err)
		}
		return nil
	}
	// Losses here are only queue overflows of the TUN device, so what cures
	// them cheaply is enough: SACK on, RACK off (its reorder timer costs a
	// wake-up per flight and the device never reorders).
	sack, rack := tcpip.TCPSACKEnabled(true), tcpip.TCPRecovery(0)
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: buffer, Max: buffer}
	// A production client may come back from the same port at once. With the
	// default of 60 s, binding that port fails with "port is in use".
	timeWait := tcpip.TCPTimeWaitTimeoutOption(time.Millisecond)
	// An application that never closes must not keep dead connections forever.
	linger := tcpip.TCPLingerTimeoutOption(10 * time.Second)
	// A request is sent when it is released, not when the last one is acknowledged.
	nagle := tcpip.TCPDelayEnabled(false)
	for _, opt := range []tcpip.SettableTransportProtocolOption{&sack, &rack, &receive, &timeWait, &linger, &nagle} {
		if err := set(opt); err != nil {
			return nil, err
		}
	}
	if err := s.CreateNIC(nicID, l); err != nil {
		return nil, fmt.Errorf("create interface: %s", err)
	}
	// The link reports the loopback capability, and a loopback interface owns
	// all of the subnets of its addresses: these two make the whole of IPv4
	// ours to dial from, without a temporary address for each client, whose
	// list every look-up would walk (20,000 clients: 1.05 s instead of 70 s).
	for _, a := range [][4]byte{{1, 1, 1, 1}, {129, 1, 1, 1}} {
		err := s.AddProtocolAddress(nicID, tcpip.ProtocolAddress{
			Protocol:          ipv4.ProtocolNumber,
			AddressWithPrefix: tcpip.AddressWithPrefix{Address: tcpip.AddrFrom4(a), PrefixLen: 1},
		}, stack.AddressProperties{PEB: stack.NeverPrimaryEndpoint})
		if err != nil {
			return nil, fmt.Errorf("own address %v/1: %s", a, err)
		}
	}
	// IPv6 keeps its addresses in a map, so taking any address is linear there.
	if err := s.SetPromiscuousMode(nicID, true); err != nil {
		return nil, fmt.Errorf("promiscuous mode: %s", err)
	}
	if err := s.SetSpoofing(nicID, true); err != nil {
		return nil, fmt.Errorf("spoofing: %s", err)
	}
	s.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: nicID},
		{Destination: header.IPv6EmptySubnet, NIC: nicID},
	})
	return s, nil
}

// Run reads what the application sends until ctx ends, Close is called or the
// TUN file is closed. It returns nil then, and an error if the file fails.
func (n *Net) Run(ctx context.Context) error {
	n.reading.Lock()
	defer n.reading.Unlock()
	if n.done.Load() {
		return nil
	}
	stop := context.AfterFunc(ctx, func() { n.link.interrupt() })
	defer stop()
	err := n.link.read()
	if n.done.Load() || ctx.Err() != nil {
		return nil
	}
	// The raw connection's own error for a closed file is not os.ErrClosed.
	if _, e := n.link.tun.Read(nil); errors.Is(e, os.ErrClosed) {
		return nil
	}
	return fmt.Errorf("read tun: %w", err)
}

// Close resets what is still open and stops the stack. Run returns. Dial fails
// with ErrClosed from now on.
func (n *Net) Close() {
	n.dialing.Lock()
	closed := n.done.Swap(true)
	n.dialing.Unlock()
	if closed {
		return
	}
	n.link.interrupt()
	n.reading.Lock() // Run has left
	defer n.reading.Unlock()
	n.acks.close()
	if n.gate != nil {
		n.gate.close()
	}
	n.stack.Close()
	n.stack.Wait()
}

// Stats is what passed the device since New.
type Stats struct {
	PacketsOut  uint64 // to the application, those that the TUN device refused included
	AcksSaved   uint64 // acknowledgements that rode on a later packet
	Connections int    // now known to the stack
	Sockets     int    // of UDP, open now
	Overrun     uint64 // datagrams of the application's that a Socket had no room for

	Fates Fates // of the packets that came from the application; as of a moment, together
}

type counters struct {
	packetsOut, overrun atomic.Uint64
}

// Stats returns the counters.
func (n *Net) Stats() Stats {
	return Stats{
		PacketsOut: n.stats.packetsOut.Load(), AcksSaved: n.acks.saved.Load(),
		Connections: n.flows.len(), Sockets: int(n.sockets.count.Load()), Overrun: n.stats.overrun.Load(),
		Fates: n.fates.fates(),
	}
}

// flow is the 4-tuple of a connection of the injector, IPv4 mapped into IPv6.
// It is an array of plain bytes, so that hashing it is one call and the
// garbage collector need not look into the table's keys.
type flow struct {
	client, server         [16]byte
	clientPort, serverPort uint16
}

func flowOf(client, server netip.AddrPort) flow {
	return flow{client.Addr().As16(), server.Addr().As16(), client.Port(), server.Port()}
}

// flowTable holds the connections whose packets belong to the stack.
type flowTable struct {
	mu sync.RWMutex
	m  map[flow]*Conn
}

func (t *flowTable) init() { t.m = make(map[flow]*Conn) }

func (t *flowTable) get(f *flow) *Conn {
	t.mu.RLock()
	c := t.m[*f]
	t.mu.RUnlock()
	return c
}

// add returns false if the 4-tuple is taken.
func (t *flowTable) add(f flow, c *Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m[f] != nil {
		return false
	}
	t.m[f] = c
	return true
}

// remove takes the connection out, unless another has its place already.
func (t *flowTable) remove(c *Conn) {
	t.mu.Lock()
	if t.m[c.flow] == c {
		delete(t.m, c.flow)
	}
	t.mu.Unlock()
}

// ServerPorts returns the ports that a client address has connections and UDP
// sockets to, each once, in no order. It looks at all of them.
func (n *Net) ServerPorts(client netip.Addr) (tcp, udp []uint16) {
	n.flows.mu.RLock()
	tcp = serverPorts(n.flows.m, client)
	n.flows.mu.RUnlock()
	n.sockets.mu.RLock()
	udp = serverPorts(n.sockets.m, client)
	n.sockets.mu.RUnlock()
	return tcp, udp
}

func serverPorts[T any](flows map[flow]T, client netip.Addr) []uint16 {
	ip, ports := client.As16(), map[uint16]bool{}
	for f := range flows {
		if f.client == ip {
			ports[f.serverPort] = true
		}
	}
	return slices.Collect(maps.Keys(ports))
}

func (t *flowTable) len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.m)
}
