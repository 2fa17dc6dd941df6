package compare

import (
	"bytes"
	"sync"
)

// HeadLimit is how many bytes of an answer are kept as they are, unless its
// owner allows more; what lies beyond is compared by length and digests, which
// tell about where it differs. 64 KiB holds nearly every page and API answer
// whole, and what a session can hold in production's answer and the
// application's is then 128 KiB at most.
const HeadLimit = 64 << 10

// MaxHead is the most that an owner can allow.
const MaxHead = 1 << 20

// Answer is what one side sent back to one request or in one turn, in bounded
// memory. The zero value is an empty answer. It must not be copied once bytes
// were added, and is not safe for concurrent use.
//
// Beyond HeadLimit it takes 6 KiB for digests, and of HTTP answers in chunks as
// much as their trailer section, 64 KiB at most.
type Answer struct {
	// Head is the answer's beginning, Keep bytes at most. It is valid until
	// Reset, and read-only.
	Head []byte
	// Len is the length of the whole answer, in bytes.
	Len int64
	// Complete: the answer's end was seen. It is the caller's to set.
	Complete bool

	// The rest is the caller's, too, and is set before bytes are added. Reset
	// leaves it as it is.

	// Keep is how long Head may become, in bytes: HeadLimit where it is less
	// than that, MaxHead where it is more. Answers of different Keep compare.
	Keep int
	// HTTP: these are HTTP/1 messages, so that a body too large to be kept is
	// known by digests of its own, whatever its head and its chunks.
	HTTP bool

	room  *[]byte // what Head lies in; from rooms
	large *large  // nil up to HeadLimit
}

// rooms holds the memory that answers lie in, by size. Idle connections are
// the many: an answer that was reset holds none, and yet a new one costs no
// allocation (BenchmarkAnswer: 0 allocs/op).
var rooms = [...]struct {
	size int
	pool sync.Pool // of *[]byte
}{{size: 1 << 10}, {size: 8 << 10}, {size: HeadLimit}, {size: 256 << 10}, {size: MaxHead}}

// Add appends p, which it copies as far as it keeps it. Into how many calls
// an answer is split makes no difference.
func (a *Answer) Add(p []byte) {
	at := a.Len
	a.Len += int64(len(p))
	if at == int64(len(a.Head)) { // all of it was kept so far
		part := p[:min(len(p), max(0, a.keep()-len(a.Head)))]
		a.grow(len(a.Head) + len(part))
		a.Head = append(a.Head, part...)
	}
	if a.Len <= HeadLimit {
		return
	}
	if a.large == nil {
		if at > HeadLimit || len(a.Head) < HeadLimit {
			return // made by hand
		}
		a.large = larges.Get().(*large)
		a.large.raw.reset()
		a.large.body.begin(a.Head[:HeadLimit], a.HTTP)
	}
	beyond := p[max(0, HeadLimit-at):]
	a.large.raw.write(beyond)
	a.large.body.write(beyond)
}

// keep returns how long Head may become.
func (a *Answer) keep() int { return min(max(a.Keep, HeadLimit), MaxHead) }

// Kept reports whether Head is all of the answer.
func (a *Answer) Kept() bool { return a.Len == int64(len(a.Head)) }

// Reset makes the answer empty and gives its memory back.
func (a *Answer) Reset() {
	a.release()
	if a.large != nil {
		larges.Put(a.large)
		a.large = nil
	}
	a.Head, a.Len, a.Complete = nil, 0, false
}

// Same reports whether two answers are the same bytes, be they complete or not.
func Same(a, b *Answer) bool {
	if a.Len != b.Len {
		return false
	}
	n := min(len(a.Head), len(b.Head))
	if !bytes.Equal(a.Head[:n], b.Head[:n]) {
		return false
	}
	if a.Len == int64(n) || a.Kept() && b.Kept() {
		return true
	}
	_, _, same := beyondHead(a, b)
	return same
}

// beyondHead compares what lies beyond HeadLimit in two answers that both have
// something there; see digest.first.
func beyondHead(a, b *Answer) (from, until int64, same bool) {
	if a.large == nil || b.large == nil { // made by hand
		return HeadLimit, min(a.Len, b.Len) + 1, false
	}
	from, until, same = a.large.raw.first(&b.large.raw)
	return HeadLimit + from, HeadLimit + until, same
}

// grow makes room for size bytes in Head, which are MaxHead at most.
func (a *Answer) grow(size int) {
	if size <= cap(a.Head) {
		return
	}
	for i := range rooms {
		if size > rooms[i].size {
			continue
		}
		room, _ := rooms[i].pool.Get().(*[]byte)
		if room == nil {
			b := make([]byte, rooms[i].size)
			room = &b
		}
		head := append((*room)[:0], a.Head...)
		a.release()
		a.Head, a.room = head, room
		return
	}
}

// release gives the memory back that Head lies in, if it is ours.
func (a *Answer) release() {
	if a.room == nil {
		return
	}
	for i := range rooms {
		if len(*a.room) == rooms[i].size {
			rooms[i].pool.Put(a.room)
		}
	}
	a.room = nil
}

// Beginning returns an answer of its own that has the first limit bytes of this
// one, and its length and end.
func (a *Answer) Beginning(limit int) *Answer {
	return &Answer{Head: bytes.Clone(a.Head[:min(len(a.Head), limit)]), Len: a.Len, Complete: a.Complete, Keep: a.Keep, HTTP: a.HTTP}
}
