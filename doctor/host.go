package doctor

import (
	"io/fs"
	"time"
)

// Host is what is known of the machine and of this process.
type Host struct {
	Files fs.FS // the root directory: proc, sys and dev are read
	// Writable reports whether this process may write to a file or directory,
	// by its absolute path.
	Writable func(path string) bool

	OS, Release, Arch string // "linux", "6.18.44", "amd64"
	UID               int    // effective
	Parent            int    // process id of whoever started this one
	CPUs              int    // that this process may use
	Program           string // path of this binary
	FileCaps          uint64 // what its file capabilities permit, a bit each (capabilities(7))
	LinksC            bool   // it has C code in it, and run cannot give capabilities up
	ChoseWay          bool   // this process was given a niceness or a policy, which run keeps
	OpenTUN           error  // why /dev/net/tun cannot be opened
	PacketSocket      error  // why there is no packet socket
	Interfaces        []Interface

	Here Trial // with this process' own privileges
	// Looks are at the sources that the user wants to capture.
	Looks []Look
}

// Interface is a network interface of the host, and how it changes packets
// before a packet socket sees them (ethtool -k).
type Interface struct {
	Name string
	Up   bool
	// Known: the driver told.
	Known              bool
	GRO, LRO, TSO, GSO bool
	// RXVLAN: the card takes VLAN tags off.
	RXVLAN bool
}

// Trial is a sandbox that was made, with a program started in it, and taken
// away again. Its zero value is one that worked on a TUN device without
// offload.
type Trial struct {
	Failed   string   // what did not work, and why
	Denied   bool     // for want of a privilege
	Fix      string   // known to whoever tried
	Rootless bool     // it was in a user namespace
	Offload  bool     // packets of up to 64 KB cross the device
	Stays    string   // why a live run would not stand back behind what else is on the host
	StaysFix string   // known to whoever tried
	Warnings []string // what the host did not let it set
	// NotStarted is why this program, as the user that applications run as, was not
	// started in it.
	NotStarted string
}

// Works reports whether there was a sandbox.
func (t Trial) Works() bool { return t.Failed == "" }

// Look is what was captured from a source for a moment.
type Look struct {
	Source   string // as the user wrote it
	For      time.Duration
	Failed   string // why it could not be captured
	Denied   bool   // for want of a privilege
	Fix      string // for that, known to whoever tried
	Packets  uint64
	Drops    uint64 // packets that the kernel dropped
	Sessions int
	TLS      int   // those of Sessions whose client speaks TLS
	ToServer int64 // bytes of clients
	ToClient int64 // bytes of servers
	// Servers and Clients: packets of that side were seen.
	Servers, Clients bool
}
