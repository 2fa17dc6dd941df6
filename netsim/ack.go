package netsim

import (
	"sync"
	"sync/atomic"
	"time"
)

// The stack acknowledges every answer with a packet of its own, at once. Each
// such packet is a system call that runs the kernel's whole receive path: at
// 20,000 keep-alive requests/s a quarter of the CPU. The next request could
// carry it. So an acknowledgement without data is held back, as RFC 1122
// §4.2.3.2 allows: until the next packet of the connection, which replaces it,
// until a second full-sized segment would go unacknowledged, or for ackDelay.

const (
	// ackDelay is well below the 500 ms of RFC 1122 and the 40 ms of Linux: an
	// application with Nagle's algorithm on waits for it between two small writes.
	ackDelay = 10 * time.Millisecond
	// ackSize is the longest packet held: IPv6 (40), TCP (20), timestamps (12).
	ackSize = virtioHeader + 72
)

// heldAck is a connection's acknowledgement in waiting.
type heldAck struct {
	mu     sync.Mutex
	n      int // length of packet; 0: none
	packet [ackSize]byte
	due    time.Time
	queued bool   // in ackHold.queue
	sent   uint32 // highest acknowledgement number that went out
	any    bool   // sent is valid
}

func (a *heldAck) cancel() {
	a.mu.Lock()
	a.n = 0
	a.mu.Unlock()
}

// ackHold sends the acknowledgements that found nothing to ride on.
type ackHold struct {
	link  *link
	saved atomic.Uint64

	mu     sync.Mutex
	queue  []*Conn // in order of their time; some were replaced meanwhile
	timer  *time.Timer
	armed  bool
	closed bool
}

// hold takes the packet (header included) that acknowledges up to ack, unless
// it must go out now.
func (h *ackHold) hold(c *Conn, packet []byte, ack uint32, limit uint32) bool {
	a := &c.ack
	a.mu.Lock()
	// A duplicate acknowledgement or a window update says something new
	// without moving the number: never held.
	// The one that completes the handshake (none was sent before) is held too:
	// it mostly rides on the first request.
	if a.any && (ack == a.sent || ack-a.sent > limit) || len(packet) > ackSize {
		a.mu.Unlock()
		return false
	}
	if a.n != 0 {
		h.saved.Add(1)
	}
	a.n = copy(a.packet[:], packet)
	enqueue := !a.queued
	if enqueue {
		a.queued = true
		a.due = time.Now().Add(ackDelay)
	}
	a.mu.Unlock()
	if enqueue {
		h.enqueue(c)
	}
	return true
}

// passed notes that a packet acknowledging up to ack goes out now, which
// replaces what was held.
func (h *ackHold) passed(c *Conn, ack uint32) {
	a := &c.ack
	a.mu.Lock()
	if a.n != 0 {
		a.n = 0
		h.saved.Add(1)
	}
	a.sent, a.any = ack, true
	a.mu.Unlock()
}

// flush sends what is held for c.
func (h *ackHold) flush(c *Conn) {
	a := &c.ack
	a.mu.Lock()
	if a.n != 0 {
		h.send(a)
	}
	a.mu.Unlock()
}

// send is called with a.mu held.
func (h *ackHold) send(a *heldAck) {
	h.link.writeRaw(a.packet[:a.n])
	a.sent, a.any = ackNumber(a.packet[virtioHeader:a.n]), true
	a.n = 0
}

func (h *ackHold) enqueue(c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queue = append(h.queue, c)
	if h.armed || h.closed {
		return
	}
	h.armed = true
	if h.timer == nil {
		h.timer = time.AfterFunc(ackDelay, h.expire)
	} else {
		h.timer.Reset(ackDelay)
	}
}

// expire sends all that is due and sets the timer for the next.
func (h *ackHold) expire() {
	now := time.Now()
	for {
		h.mu.Lock()
		if h.closed || len(h.queue) == 0 {
			h.queue, h.armed = h.queue[:0], false
			h.mu.Unlock()
			return
		}
		c := h.queue[0]
		h.mu.Unlock()

		a := &c.ack
		a.mu.Lock()
		// Connections whose acknowledgement found a carrier stay queued until
		// here, so a busy one is queued once in ackDelay and not per answer.
		if wait := a.due.Sub(now); wait > 0 {
			a.mu.Unlock()
			h.timer.Reset(wait)
			return
		}
		a.queued = false
		if a.n != 0 {
			h.send(a)
		}
		a.mu.Unlock()

		h.mu.Lock()
		h.queue[0] = nil
		h.queue = h.queue[1:]
		h.mu.Unlock()
	}
}

func (h *ackHold) close() {
	h.mu.Lock()
	h.closed = true
	if h.timer != nil {
		h.timer.Stop()
	}
	h.mu.Unlock()
}
