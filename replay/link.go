package replay

import "time"

// LinkFacts is what a connection's stack knows of the way to the application,
// and what the application's kernel said of itself. It is a value.
type LinkFacts struct {
	RTT, RTTVar time.Duration // smoothed round trip and its variation; 0: not measured
	Retransmits uint64        // segments sent again
	Timeouts    uint64        // how often nothing was acknowledged in time
	SegmentsIn  uint64
	SegmentsOut uint64
	Window      int64  // bytes the application's kernel last said it has room for; -1: unknown
	ZeroWindows uint64 // segments in which it said that it has none
	Reset       bool   // the application, or its kernel, reset or refused the connection
}

// Instrumented is a Conn that tells of its packets. Not every Conn does. Who may
// use the Conn may ask, also after Close or Abort; it is not for every packet,
// since it may wait for the stack's lock.
type Instrumented interface {
	Facts() LinkFacts
}
