package replay

import (
	"sync"

	"tcpsandbox/compare"
)

// What is kept of the sessions' stories is bounded: of each by numbers of its
// own, and of all by Watch.Memory, which those that go on share with those that
// have ended.
const (
	maxPlayed  = 256       // exchanges of a session
	firstKept  = 16        // of those, the session's first ones
	maxRoom    = 1 << 10   // of a request that was let go, and of which the room is used again, in bytes
	maxMarks   = 64        // of a session; the first quarter stays, of the rest the latest
	plainText  = 16 << 10  // of a request, and of each answer that is as production's, in bytes
	tellsText  = 256 << 10 // of each answer that differs
	storyText  = 1 << 20   // of a session
	playedCost = 512       // of an exchange without its texts
	storyCost  = 1600      // of a session that has ended, without its exchanges and marks
	markCost   = 40
)

// hold keeps n bytes more of text, if there is room for them.
func (t *story) hold(l *library, n int) bool {
	if t.text+n > storyText || !l.take(int64(n), t.notable) {
		return false
	}
	t.text += n
	t.size += int64(n)
	return true
}

// drop lets go of n bytes of text.
func (t *story) drop(l *library, n int) {
	t.text -= n
	t.size -= int64(n)
	l.give(int64(n))
}

// reserve makes room for an exchange with so much text in its answers. whole:
// the text, too, may be kept. Room is made of older exchanges that do not
// differ, also where it is the library that is full: what came last is kept.
func (t *story) reserve(l *library, text int, differs bool) (ok, whole bool) {
	if len(t.played) >= maxPlayed && !t.forgetPlain(l) {
		t.forget(l, firstKept)
	}
	for t.text+text > storyText && t.forgetPlain(l) {
	}
	whole = t.text+text <= storyText
	for {
		size := int64(playedCost)
		if whole {
			size += int64(text)
		}
		switch {
		case l.take(size, differs):
			t.size += size
			if whole {
				t.text += text
			}
			return true, whole
		case t.forgetPlain(l):
		case whole:
			whole = false
		default:
			return false, false
		}
	}
}

// fitting returns n bytes for a text for which room was reserved: old, if that
// is about as long, or else new ones.
func (t *story) fitting(l *library, old []byte, n int) []byte {
	if n == 0 {
		return nil
	}
	if more := cap(old) - n; more == 0 || more > 0 && more <= n && t.hold(l, more) {
		return old[:n]
	}
	return make([]byte, n) // bytes.Clone would take more than was reserved
}

// forgetPlain lets go of the oldest exchange that does not differ, but for the
// first ones; false: there is none.
func (t *story) forgetPlain(l *library) bool {
	t.firm = max(t.firm, firstKept)
	for t.firm < len(t.played) && t.played[t.firm].differs() {
		t.firm++
	}
	if t.firm >= len(t.played) {
		return false
	}
	t.forget(l, t.firm)
	return true
}

// differs reports whether the answers do.
func (k *kept) differs() bool { return k.Verdict == compare.Different || k.Verdict == compare.Missing }

// text is the memory that its texts take, in bytes.
func (k *kept) text() int {
	return cap(k.Request) + cap(k.answers[OfProduction].Head) + cap(k.answers[OfApplication].Head)
}

// forget lets go of the i-th exchange.
func (t *story) forget(l *library, i int) {
	k := t.played[i]
	t.drop(l, k.text())
	if !k.shown {
		if t.spare = k; cap(k.Request) <= maxRoom {
			t.room = k.Request
		}
	}
	t.size -= playedCost
	l.give(playedCost)
	copy(t.played[i:], t.played[i+1:])
	t.played[len(t.played)-1] = nil
	t.played = t.played[:len(t.played)-1]
	if i < t.firm {
		t.firm--
	}
	t.lost++
}

// library holds the stories of sessions that have ended, in bounded memory, and
// counts those of the others.
type library struct {
	limit int64

	mu      sync.Mutex
	size    int64 // of all stories, those of live sessions too
	slots   map[int]*story
	plain   shelf // went as production's; let go first
	notable shelf
}

// shelf is a list of stories, oldest first.
type shelf struct {
	ends story
	size int64
}

func (s *shelf) init() { s.ends.before, s.ends.after = &s.ends, &s.ends }

func (s *shelf) push(t *story) {
	last := s.ends.before
	t.before, t.after = last, &s.ends
	last.after, s.ends.before = t, t
	s.size += t.size
}

func (l *library) init(limit int64) {
	l.limit, l.slots = limit, map[int]*story{}
	l.plain.init()
	l.notable.init()
}

// take reports whether n bytes more may be kept, which are counted then; older
// stories are let go for them. What is plain leaves an eighth of the room to what
// is notable, of which it drives out no more than is in excess of a half.
func (l *library) take(n int64, notable bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit, stay := l.limit, int64(0)
	if !notable {
		limit, stay = l.limit-l.limit/8, l.limit/2
	}
	for l.size+n > limit {
		if !l.drop(&l.plain) && (l.notable.size <= stay || !l.drop(&l.notable)) {
			return false
		}
	}
	l.size += n
	return true
}

// give tells that n bytes are not kept any more.
func (l *library) give(n int64) {
	l.mu.Lock()
	l.size -= n
	l.mu.Unlock()
}

// drop lets the oldest story of a shelf go; false: there is none.
func (l *library) drop(s *shelf) bool {
	t := s.ends.after
	if t == &s.ends {
		return false
	}
	t.before.after, t.after.before = t.after, t.before
	t.before, t.after = nil, nil
	delete(l.slots, t.final.Slot)
	s.size -= t.size
	l.size -= t.size
	return true
}

// shelve takes in the story of a session that has ended.
func (l *library) shelve(t *story) {
	l.mu.Lock()
	defer l.mu.Unlock()
	cost := storyCost + int64(len(t.final.Marks))*markCost
	t.size += cost
	l.size += cost
	l.slots[t.final.Slot] = t
	if t.notable {
		l.notable.push(t)
	} else {
		l.plain.push(t)
	}
	for l.size > l.limit && (l.drop(&l.plain) || l.drop(&l.notable)) {
	}
}

// of returns the story of a slot.
func (l *library) of(slot int) (*Story, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.slots[slot]
	if t == nil {
		return nil, false
	}
	s := t.final
	s.Played = t.copies()
	return &s, true
}
