package capture

import (
	"encoding/binary"
	"fmt"
	"sync"

	"tcpsandbox/session"
)

// Store is a Tap that keeps the packets of sessions for as long as they may
// turn out to be of interest: until it is told that they are not, or there is
// no room. What somebody wants stays.
//
//	             Done, unless wanted; no room
//	live ──Packets──▶ kept ─────────────────▶ forgotten
//	                   │  ▲
//	              Want ▼  │ Release
//	                  wanted ──Write──▶ file
//
// With Linger a session that is done stays, until there is no room: it is the
// first to go, so that live ones lose nothing by it.
//
// Of a session that is longer than its share the latest packets are kept, up
// to when somebody wants it, and from then on those that there are: what it is
// wanted for has just happened. The beginning is dropped packet by packet, and
// its SYN first: what is left is a session that was joined, which is played
// from the next message on. A SYN with a hole behind it would be a session
// that cannot be played beyond the hole.
//
// A packet of 300 bytes costs 0.1 µs, its copy included, of 0.35 that it takes
// to get here (CPU time of BenchmarkFileToSessions), no allocation, and memory
// for its bytes and 24 more. All methods may be called by any goroutine.
type Store struct {
	cfg StoreConfig

	mu       sync.Mutex
	sessions map[uint64]*kept
	chunks   chunks
	quiet    kept  // head of the list of those that may lose theirs, longest silent first
	past     kept  // head of the list of those that linger and lose theirs before, longest done first
	wanted   int   // chunks of those that are wanted
	free     *kept // spare ones, by after
	scratch  []byte
}

// StoreConfig bounds a Store. The zero value is usable.
type StoreConfig struct {
	// Max is how many bytes of memory packets may take, of all sessions; half
	// of it is for what is wanted. Beside that, a live session costs 200 bytes.
	// Default 64 MiB.
	Max int64
	// MaxSession is the share of one session. Default 1 MiB, and at most a
	// quarter of Max.
	MaxSession int64
	// Copies is how often Done is called for each session. Default 1.
	Copies int
	// Linger keeps packets of sessions that are done as long as there is room.
	Linger bool
}

// Kept is a session whose packets a Store holds.
type Kept struct {
	Session *session.Session
	Whole   bool // nothing that was captured of it is lacking
	Packets int
}

// kept is what is known of a session, in the list of quiet ones, or of those
// that linger, if it has packets and is not wanted.
type kept struct {
	s             *session.Session
	q             queue
	packets       int
	wants         int // how often it is wanted
	through       int // calls of Done
	cut           bool
	done, ended   bool // the players are through with it; the capture is
	full          bool // it was wanted when there was no more room
	lingers       bool // done, and kept all the same
	before, after *kept
}

// storedHeader comes before each packet's bytes: time (8 bytes), captured and
// original length (4 each), link type and VLAN (2 each), flags (4).
const storedHeader = 24

const (
	storedOutgoing = 1 << iota
	storedTagged
	storedSYN
)

// NewStore returns an empty store.
func NewStore(cfg StoreConfig) *Store {
	if cfg.Max <= 0 {
		cfg.Max = 64 << 20
	}
	if cfg.MaxSession <= 0 {
		cfg.MaxSession = 1 << 20
	}
	cfg.MaxSession = min(cfg.MaxSession, cfg.Max/4)
	cfg.Copies = max(cfg.Copies, 1)
	st := &Store{cfg: cfg, sessions: make(map[uint64]*kept)}
	for _, list := range []*kept{&st.quiet, &st.past} {
		list.before, list.after = list, list
	}
	return st
}

// Packets implements Tap.
func (st *Store) Packets(batch []Tapped) {
	st.mu.Lock()
	defer st.mu.Unlock()
	var k *kept
	for i := range batch {
		t := &batch[i]
		if k == nil || k.s != t.Session { // packets come in trains
			k = st.of(t.Session)
		}
		if t.Packet != nil {
			st.add(k, t)
			continue
		}
		k.ended = true
		if k.done && k.wants == 0 && !(k.lingers && k.packets > 0) {
			st.forget(k)
			k = nil
		}
	}
}

func (st *Store) of(s *session.Session) *kept {
	k := st.sessions[s.ID]
	if k == nil {
		if k = st.free; k == nil {
			k = new(kept)
		} else {
			st.free = k.after
		}
		*k = kept{s: s}
		st.sessions[s.ID] = k
	}
	return k
}

// add keeps a packet, in the place of older ones if need be.
func (st *Store) add(k *kept, t *Tapped) {
	p := t.Packet
	size := storedHeader + len(p.Data)
	switch {
	case k.full || k.done && k.wants == 0 && !k.lingers:
		return
	case int64(size) > st.cfg.MaxSession: // then what comes before it is worth nothing either
		k.full = k.wants > 0
		if !k.full {
			st.empty(k)
		}
		return
	}
	for int64(k.q.size+size) > st.cfg.MaxSession {
		if k.wants > 0 {
			k.full = true
			return
		}
		st.dropFirst(k)
	}
	for need := 1 + size/chunkSize; st.over(need, st.cfg.Max, st.chunks.used); {
		first := st.past.after
		if first == k {
			first = k.after
		}
		if first != &st.past {
			st.letGo(first)
			continue
		}
		other := st.quiet.after
		switch {
		case other == &st.quiet && k.wants > 0:
			k.full = true
			return
		case other != &st.quiet && other != k && !k.lingers:
			st.empty(other)
		case k.packets > 0:
			st.dropFirst(k)
		default: // those wanted take half at most: Max is a few packets
			k.cut = true
			return
		}
	}
	if k.wants > 0 && st.over(1+size/chunkSize, st.cfg.Max/2, st.wanted) {
		k.full = true
		return
	}
	var header [storedHeader]byte
	binary.LittleEndian.PutUint64(header[:], uint64(p.Time))
	binary.LittleEndian.PutUint32(header[8:], uint32(len(p.Data)))
	binary.LittleEndian.PutUint32(header[12:], uint32(p.OrigLen))
	binary.LittleEndian.PutUint16(header[16:], uint16(p.Link))
	binary.LittleEndian.PutUint16(header[18:], p.VLAN)
	header[20] = flag(p.Outgoing, storedOutgoing) | flag(p.Tagged, storedTagged) | flag(t.SYN, storedSYN)
	before := k.q.held
	k.q.push(&st.chunks, header[:])
	k.q.push(&st.chunks, p.Data)
	k.packets++
	if k.wants > 0 {
		st.wanted += k.q.held - before
		return
	}
	st.unlink(k)
	st.link(k)
}

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

// over reports that so many chunks more would be too many.
func (st *Store) over(more int, limit int64, used int) bool {
	return int64(used+more)*chunkSize > limit
}

// dropFirst drops a session's oldest packet.
func (st *Store) dropFirst(k *kept) {
	var header [storedHeader]byte
	k.q.peek(&st.chunks, header[:])
	k.q.drop(&st.chunks, storedHeader+int(binary.LittleEndian.Uint32(header[8:])))
	k.cut = true
	if k.packets--; k.packets == 0 {
		st.unlink(k)
	}
}

// empty drops all packets of a session that nobody wants. What comes later is
// kept again.
func (st *Store) empty(k *kept) {
	k.q.drop(&st.chunks, k.q.size)
	k.packets, k.cut = 0, true
	st.unlink(k)
}

// forget lets go of a session that nobody wants.
func (st *Store) forget(k *kept) {
	st.empty(k)
	delete(st.sessions, k.s.ID)
	*k = kept{after: st.free}
	st.free = k
}

// letGo drops the packets of a session that lingers.
func (st *Store) letGo(k *kept) {
	if k.ended {
		st.forget(k)
		return
	}
	st.empty(k)
	k.lingers = false // what comes later is not kept
}

// link puts a session behind those that have been silent, or done, for longer.
func (st *Store) link(k *kept) {
	list := &st.quiet
	if k.lingers {
		list = &st.past
	}
	last := list.before
	k.before, k.after = last, list
	last.after, list.before = k, k
}

func (st *Store) unlink(k *kept) {
	if k.before != nil {
		k.before.after, k.after.before = k.after, k.before
		k.before, k.after = nil, nil
	}
}

// Has reports whether packets of a session are kept.
func (st *Store) Has(id uint64) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	k := st.sessions[id]
	return k != nil && k.packets > 0
}

// Want keeps a session's packets until Release is called as often as Want was.
// It returns false, and does nothing, if there are none, or if those that are
// wanted would take more than half of the memory.
func (st *Store) Want(id uint64) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	k := st.sessions[id]
	if k == nil || k.packets == 0 {
		return false
	}
	if k.wants == 0 {
		if st.over(k.q.held, st.cfg.Max/2, st.wanted) {
			return false
		}
		st.wanted += k.q.held
		st.unlink(k)
	}
	k.wants++
	return true
}

// Release takes a Want back.
func (st *Store) Release(id uint64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	k := st.sessions[id]
	if k == nil || k.wants == 0 {
		return
	}
	if k.wants--; k.wants > 0 {
		return
	}
	st.wanted -= k.q.held
	if k.full { // what follows would have a hole before it
		st.empty(k)
		k.full = false
	} else if k.packets > 0 {
		st.link(k)
	}
	st.settle(k)
}

// Done tells that nothing more will be found out about a session, or one of
// its copies: unless it is wanted, its packets go, at once or with Linger in
// time.
func (st *Store) Done(id uint64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	k := st.sessions[id]
	if k == nil {
		return
	}
	if k.through++; k.through >= st.cfg.Copies {
		k.done, k.lingers = true, st.cfg.Linger && k.packets > 0
		if k.lingers { // not with all that its reader has hung on it
			k.s = &session.Session{ID: k.s.ID, Client: k.s.Client, Server: k.s.Server, Start: k.s.Start, Joined: k.s.Joined, Proto: k.s.Proto, Via: k.s.Via}
		}
		st.settle(k)
	}
}

// Drop is Done for all copies at once: of a session that is not played, and
// does not linger.
func (st *Store) Drop(id uint64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if k := st.sessions[id]; k != nil {
		k.done, k.lingers = true, false
		st.settle(k)
	}
}

// Len returns how many sessions the store knows of, with packets or without.
func (st *Store) Len() int {
	st.mu.Lock()
	defer st.mu.Unlock()
	return len(st.sessions)
}

// settle drops what nobody will ask for any more.
func (st *Store) settle(k *kept) {
	switch {
	case !k.done || k.wants > 0:
	case k.lingers && k.packets > 0:
		st.unlink(k)
		st.link(k)
	case k.ended:
		st.forget(k)
	default: // known until then, so that nothing more of it is kept
		st.empty(k)
	}
}

// Look tells what is kept of a session; false: nothing.
func (st *Store) Look(id uint64) (Kept, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	k := st.sessions[id]
	if k == nil || k.packets == 0 {
		return Kept{}, false
	}
	return Kept{Session: k.s, Whole: !k.cut && !k.full, Packets: k.packets}, true
}

// Write writes a session's packets, and keeps them; the caller flushes w. The
// capture waits meanwhile, if it is still going on. Errors are w's, or that
// there are no packets.
func (st *Store) Write(id uint64, w *Writer) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	k := st.sessions[id]
	if k == nil || k.packets == 0 {
		return fmt.Errorf("write session %d: its packets are not kept", id)
	}
	rest := k.q // a reading position
	var header [storedHeader]byte
	for range k.packets {
		rest.peek(&st.chunks, header[:])
		rest.skip(&st.chunks, storedHeader)
		size := int(binary.LittleEndian.Uint32(header[8:]))
		if cap(st.scratch) < size {
			st.scratch = make([]byte, size)
		}
		p := Packet{
			Data:     st.scratch[:size],
			Time:     int64(binary.LittleEndian.Uint64(header[:])),
			OrigLen:  int(binary.LittleEndian.Uint32(header[12:])),
			Link:     LinkType(binary.LittleEndian.Uint16(header[16:])),
			VLAN:     binary.LittleEndian.Uint16(header[18:]),
			Outgoing: header[20]&storedOutgoing != 0,
			Tagged:   header[20]&storedTagged != 0,
		}
		rest.peek(&st.chunks, p.Data)
		rest.skip(&st.chunks, size)
		if k.cut && header[20]&storedSYN != 0 {
			continue // there is a hole behind it
		}
		if err := w.Write([]Packet{p}); err != nil {
			return err
		}
	}
	return nil
}
