// Package sandbox holds the test application: a network namespace of its own
// whose only way out is a TUN device, and the application's process inside.
//
// What flows in is a command line, what flows out is a TUN file on which every
// packet of the application appears, its output lines and its exit status. The
// package knows nothing of who is at the other end of the TUN file: they meet
// as that file, an MTU, and whether packets carry a virtio-net header.
//
//	func main() {
//		sandbox.Main() // never returns in the re-executed children
//		…
//	}
//
//	box, err := sandbox.New(sandbox.Config{})
//	defer box.Close()
//	app, err := box.Start(ctx, sandbox.AppConfig{Command: []string{"./testapp"}})
//	listeners, err := app.WaitListen(ctx, 30*time.Second, sandbox.TCP(80))
//	err = box.AddServer(netip.MustParseAddr("192.0.2.10"))
//	… packets through box.TUN() …
//	status, err := app.Stop(5 * time.Second)
//
// Two processes stand between us and the application, both this program again
// (see Main). The keeper holds the namespace, and the rights to it; once New has
// returned the caller may give up its own. Init is the first of a process
// namespace, and when it ends the kernel ends everything that the application
// ever forked. Each ends with the one before it, after SIGKILL too, and the
// namespace, which has no name, with the keeper.
//
// It isolates the network, takes privileges away, refuses system calls that
// would lead out, and hides the Unix sockets of the host. It is no jail: the
// application sees the host's files, with the rights of the user it runs as.
package sandbox

import (
	"net/netip"
	"strconv"
	"time"
)

// Config says what New makes. Its zero value is useful.
type Config struct {
	MTU   int    // of the TUN device, in bytes; 0 is 1500; IPv6 needs at least 1280
	Plain bool   // no offload: each packet in the TUN file is at most MTU long
	Name  string // of the TUN device as the application sees it; "" is tun0
}

// AppConfig says what Start runs, and as whom.
type AppConfig struct {
	// Command is the program and its arguments. A name without a slash is
	// looked up in the PATH that the application gets, a relative path starts
	// at Dir.
	Command []string
	// User to run as: a name or a number, with ":group" if its own will not
	// do. "" is the user behind sudo, else the invoking one.
	User string
	// KeepCaps are capabilities that the application keeps besides
	// NET_BIND_SERVICE, such as "setuid" or "CAP_SETUID". One that opens the
	// sandbox or reaches the host is an error.
	KeepCaps []string
	// NoFilter leaves out the filter of system calls, which debuggers, 32-bit
	// programs and users of io_uring cannot do with.
	NoFilter bool
	// Hide are files and folders that the application shall not see; a socket
	// there refuses, a folder is empty. Each must exist. Hidden besides are the
	// sockets of container runtimes, D-Bus, systemd and name services, and each
	// other with a path that a process of the host has bound.
	Hide []string
	// Show are sockets and folders that stay in sight of what is hidden besides.
	// Each must exist.
	Show []string
	// OnlyNamed hides nothing but Hide.
	OnlyNamed bool
	// Env holds K=V pairs which are set on top of this process' environment, of
	// which what leads to services of the host is left out.
	Env []string
	Dir string // working directory; "" is the one that was current at New
	// Limits of what it uses. What the host cannot limit is a warning.
	Limits Limits
	// Output is called for each line that the application writes, without its
	// end; a line longer than 8 KB comes in pieces. Calls are one at a time;
	// line is valid until the call returns. The application's writes block
	// while a call lasts, and so do Stop and Close, so it must call neither.
	// nil drops the lines.
	Output func(stream Stream, line []byte)
}

// Enclosure is what Enclosed has found.
type Enclosure struct {
	Interfaces []string // names of those that are up, lo first
	// Dropped are packets of the application's that the TUN device had no room
	// for, because they were not read fast enough.
	Dropped uint64
}

// Limits bound what an application uses together with all that it forks. They
// are set by a control group of version 2. Zeros are no limits.
type Limits struct {
	CPUs float64 // processor time: 0.5 is half of one processor's
	// Memory in bytes, with what of its files the kernel caches for it; it gets
	// no swap. Where more is needed the whole application is killed.
	Memory int64
	PIDs   int // processes and threads at a time
}

// Stream is where the application wrote a line.
type Stream string

const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// ExitStatus is how the application ended.
type ExitStatus struct {
	Code   int    `json:"code"`   // exit code, -1 if a signal ended it
	Signal string `json:"signal"` // "SIGSEGV", "" if it exited by itself
	// LeftBehind: it exited and left processes of its own running (which
	// were then killed), as a program does that goes to the background.
	LeftBehind bool `json:"left_behind"`
	// OverMemory is the limit of memory, in bytes, that it was killed at; 0 if
	// it was not.
	OverMemory int64 `json:"over_memory,omitempty"`
}

// Port is a port of TCP or UDP.
type Port struct {
	Number uint16
	UDP    bool
}

// String returns "80" or "53/udp".
func (p Port) String() string {
	text := strconv.Itoa(int(p.Number))
	if p.UDP {
		text += "/udp"
	}
	return text
}

// TCP returns ports of TCP.
func TCP(numbers ...uint16) []Port { return portsOf(numbers, false) }

// UDP returns ports of UDP.
func UDP(numbers ...uint16) []Port { return portsOf(numbers, true) }

func portsOf(numbers []uint16, udp bool) (all []Port) {
	for _, n := range numbers {
		all = append(all, Port{n, udp})
	}
	return all
}

// Listener is a socket that takes the clients' sessions: one of TCP that
// listens, or one of UDP that is not connected to anybody.
type Listener struct {
	Addr netip.AddrPort
	UDP  bool
	// LoopbackOnly: it is bound to 127.0.0.0/8 or ::1, so a session to
	// production's address does not reach it.
	LoopbackOnly bool
}

// Port returns the port that it listens on.
func (l Listener) Port() Port { return Port{l.Addr.Port(), l.UDP} }

// String returns its address, and "/udp" where it is UDP's.
func (l Listener) String() string {
	if l.UDP {
		return l.Addr.String() + "/udp"
	}
	return l.Addr.String()
}

// Limits of what is kept and waited for.
const (
	defaultMTU  = 1500
	defaultName = "tun0"

	// lineLimit cuts lines, so that an application that writes no newline
	// cannot make us buffer without bound.
	lineLimit = 8 << 10
	// keptLines and keptLine bound what LastLines holds: a screen's worth.
	keptLines = 20
	keptLine  = 512
	// listenPoll is how often WaitListen asks for listening sockets.
	listenPoll = 10 * time.Millisecond
	// killWait bounds how long Stop waits after SIGKILL, which the kernel
	// delays only for a process stuck in a device or a network file system.
	killWait = 5 * time.Second

	// LeastMemory is the least limit of memory that makes sense: init's part of
	// it is some 5 MB.
	LeastMemory = 16 << 20
)

// Addresses of the TUN device itself, so that the application has a source
// address for connections of its own before the first server was added. No
// host on any network has them.
var (
	ownAddr4 = netip.MustParseAddr("192.0.0.8") // RFC 7600 §4.8: the IPv4 dummy address
	ownAddr6 = netip.MustParseAddr("100::1")    // RFC 6666: discard-only prefix
)

// Replayable reports whether packets of such a session can enter the
// namespace through a TUN device. The kernel drops ::1 that arrives from any
// other device than lo, and addresses that no host may have: multicast,
// broadcast, unspecified. It says nothing about whether the server's address
// was added.
func Replayable(client, server netip.Addr) bool {
	return unicast(client) && unicast(server) && client.Unmap().Is4() == server.Unmap().Is4()
}

func unicast(ip netip.Addr) bool {
	ip = ip.Unmap()
	if !ip.IsValid() || ip.IsMulticast() || ip.IsUnspecified() {
		return false
	}
	if ip.Is6() {
		return !ip.IsLoopback()
	}
	b := ip.As4()
	return b[0] != 0 && b[0] < 240 // RFC 1122 §3.2.1.3: "this network"; class E holds the broadcast address
}
