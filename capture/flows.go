package capture

import "tcpsandbox/session"

// The flow table: one map lookup per packet, by a key that both directions
// share. Expiry costs nothing per packet: each flow sits in the slot of a
// timing wheel where it may be due; if it was active meanwhile, it moves on to
// the slot where it may be due next.

// flow is one TCP connection, or one UDP flow, while it is followed, and for linger afterwards:
// then it is a tombstone that keeps late packets from starting a session.
type flow struct {
	key      flowKey
	path     [2]uint64        // of each direction, the lower endpoint's first: see lookup.go
	former   [2]uint64        // what that was before
	twin     *flow            // another flow between the same endpoints
	s        *session.Session // nil after the end was handed over
	start    int64            // packet time of s.Start
	last     int64            // clock at the latest packet; of TCP without what was silence
	packets  uint32
	clientHi bool // the higher endpoint of key is the client
	ended    bool
	muted    bool  // never had a session: see mute
	news     uint8 // sides heard that the session does not know of, a bit each
	cause    session.Cause
	half     [2]half // by session.Side
	spoken   []spoke // by the server, from where the client's stream is known on

	facts *facts // nil: nobody asked for them

	pending []session.Event // of this batch; non-nil: the flow is in the touched list

	prev, with *flow // neighbours in the wheel's slot
	slot       int   // of the wheel; -1: in none
	closing    bool  // filed for the last acknowledgement, see settle
}

// side tells who sent a segment of this flow.
func (f *flow) side(s *segment) session.Side {
	if s.flipped == f.clientHi {
		return session.Client
	}
	return session.Server
}

const (
	wheelSlots = 1024
	slotTime   = int64(1e9) // ns: time-outs are exact to the second
)

// wheel holds every flow once, by the second in which it may be due.
type wheel struct {
	slots [wheelSlots]*flow
	now   int64 // in slots
}

// put files a flow to be looked at when due, in ns; at most wheelSlots seconds
// ahead, and earlier when that is further.
func (w *wheel) put(f *flow, due int64) {
	at := due/slotTime + 1
	at = min(max(at, w.now+1), w.now+wheelSlots-1)
	f.slot = int(at % wheelSlots)
	f.prev, f.with = nil, w.slots[f.slot]
	if f.with != nil {
		f.with.prev = f
	}
	w.slots[f.slot] = f
}

func (w *wheel) remove(f *flow) {
	if f.slot < 0 {
		return
	}
	if f.prev != nil {
		f.prev.with = f.with
	} else {
		w.slots[f.slot] = f.with
	}
	if f.with != nil {
		f.with.prev = f.prev
	}
	f.prev, f.with, f.slot = nil, nil, -1
}

// advance moves to clock, in ns, and calls look with every flow that was filed
// until then; look files it again or lets it go. A jump over more than the
// whole wheel looks at every flow once.
func (w *wheel) advance(clock int64, look func(*flow)) {
	to := clock / slotTime
	for n := min(to-w.now, wheelSlots); n > 0; n-- {
		w.now = to - n + 1
		slot := int(w.now % wheelSlots)
		list := w.slots[slot]
		w.slots[slot] = nil
		for list != nil {
			f := list
			list = f.with
			f.prev, f.with, f.slot = nil, nil, -1
			look(f)
		}
	}
}

// hole is an entry of the queue of holes under watch.
type hole struct {
	f    *flow
	side session.Side
	to   int64 // half.holeTo at the time: an entry whose hole is gone does nothing
	due  int64
}

// holeQueue is a first-in, first-out queue: holes come in the order of time.
type holeQueue struct {
	items []hole
	head  int
}

func (q *holeQueue) push(h hole) { q.items = append(q.items, h) }

// due returns the time of the first entry, or the end of time.
func (q *holeQueue) due() int64 {
	if q.head == len(q.items) {
		return 1<<63 - 1
	}
	return q.items[q.head].due
}

func (q *holeQueue) pop() hole {
	h := q.items[q.head]
	q.items[q.head] = hole{}
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	} else if q.head >= 1024 && q.head*2 >= len(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return h
}
