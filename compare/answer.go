package compare

import (
	"hash/maphash"
	"sync"
)

// HeadLimit is how many bytes of an answer are kept as they are; what lies
// beyond is compared by length and digest, without a place where it differs.
// 64 KiB holds nearly every page and API answer whole, and what a session can
// hold in production's answer and the application's is then 128 KiB at most.
const HeadLimit = 64 << 10

// Answer is what one side sent back to one request or in one turn, in bounded
// memory. The zero value is an empty answer. It must not be copied once bytes
// were added, and is not safe for concurrent use.
type Answer struct {
	// Head is the answer's beginning, HeadLimit bytes at most. It is valid
	// until Reset, and read-only.
	Head []byte
	// Len is the length of the whole answer, in bytes.
	Len int64
	// Complete: the answer's end was seen. It is the caller's to set.
	Complete bool

	room   *[]byte // what Head lies in; from rooms
	beyond maphash.Hash
}

// seed is the same for all answers of the process, so that digests compare.
var seed = maphash.MakeSeed()

// rooms holds the memory that answers lie in, by size. Idle connections are
// the many: an answer that was reset holds none, and yet a new one costs no
// allocation (BenchmarkAnswer: 0 allocs/op).
var rooms = [...]struct {
	size int
	pool sync.Pool // of *[]byte
}{{size: 1 << 10}, {size: 8 << 10}, {size: HeadLimit}}

// Add appends p, which it copies as far as it keeps it. Into how many calls
// an answer is split makes no difference.
func (a *Answer) Add(p []byte) {
	a.Len += int64(len(p))
	if free := HeadLimit - len(a.Head); free > 0 {
		part := p[:min(free, len(p))]
		a.grow(len(a.Head) + len(part))
		a.Head = append(a.Head, part...)
		p = p[len(part):]
	}
	if len(p) == 0 {
		return
	}
	if a.Len-int64(len(p)) == HeadLimit { // the first bytes beyond Head
		a.beyond.SetSeed(seed)
	}
	a.beyond.Write(p)
}

// Reset makes the answer empty and gives its memory back.
func (a *Answer) Reset() {
	a.release()
	a.Head, a.Len, a.Complete = nil, 0, false
}

// digest stands for the bytes beyond Head; only answers that have some may be
// asked.
func (a *Answer) digest() uint64 { return a.beyond.Sum64() }

// grow makes room for size bytes in Head, which are HeadLimit at most.
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
