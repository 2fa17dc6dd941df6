package capture

// chunks is memory in pieces of one size, lent and given back. A queue of
// packets then costs no allocation for a packet and at most one piece that it
// does not fill, and what one session gives back serves any other. There are
// no pointers in it for the garbage collector to follow. It never shrinks: its
// owner bounds it.
type chunks struct {
	slabs [][]byte
	next  []int32 // of each chunk: the one behind it in its queue, or among the free; -1: none
	free  int32   // the first free one, -1: none; meaningful once there are slabs
	used  int
}

const (
	// chunkSize holds the ten packets of a short HTTP session (1.8 KB, and
	// tapHeader of each) in two pieces, and those of one that only shook hands
	// in one.
	chunkSize = 2 << 10
	slabLen   = 32 // chunks in a slab
)

func (c *chunks) take() int32 {
	if len(c.slabs) == 0 || c.free < 0 {
		first := int32(len(c.next))
		c.slabs = append(c.slabs, make([]byte, slabLen*chunkSize))
		for i := range int32(slabLen) {
			c.next = append(c.next, first+i+1)
		}
		c.next[len(c.next)-1] = -1
		c.free = first
	}
	n := c.free
	c.free, c.next[n] = c.next[n], -1
	c.used++
	return n
}

func (c *chunks) give(n int32) {
	c.next[n], c.free = c.free, n
	c.used--
}

func (c *chunks) bytes(n int32) []byte {
	at := int(n) % slabLen * chunkSize
	return c.slabs[n/slabLen][at : at+chunkSize]
}

// queue is bytes in chunks, first in, first out. The zero value is empty.
type queue struct {
	head, tail int32 // chunks; meaningful if held > 0
	from, to   int   // offsets in the head and the tail
	size       int   // bytes
	held       int   // chunks
}

// push appends bytes.
func (q *queue) push(c *chunks, p []byte) {
	q.size += len(p)
	for len(p) > 0 {
		switch {
		case q.held == 0:
			q.head = c.take()
			q.tail, q.from, q.to, q.held = q.head, 0, 0, 1
		case q.to == chunkSize:
			n := c.take()
			c.next[q.tail] = n
			q.tail, q.to = n, 0
			q.held++
		}
		n := copy(c.bytes(q.tail)[q.to:], p)
		q.to += n
		p = p[n:]
	}
}

// peek copies the first bytes, as many as p holds; there must be so many.
func (q *queue) peek(c *chunks, p []byte) {
	chunk, at := q.head, q.from
	for len(p) > 0 {
		if at == chunkSize {
			chunk, at = c.next[chunk], 0
		}
		n := copy(p, c.bytes(chunk)[at:])
		at += n
		p = p[n:]
	}
}

// drop takes the first n bytes away; there must be so many.
func (q *queue) drop(c *chunks, n int) {
	if q.size -= n; q.size == 0 {
		for ; q.held > 0; q.held-- {
			next := c.next[q.head]
			c.give(q.head)
			q.head = next
		}
		return
	}
	for q.from += n; q.from >= chunkSize; q.from -= chunkSize {
		next := c.next[q.head]
		c.give(q.head)
		q.head = next
		q.held--
	}
}

// skip moves past the first n bytes, there must be so many, and gives nothing
// back: a copy of a queue is a position to read from.
func (q *queue) skip(c *chunks, n int) {
	q.size -= n
	for q.from += n; q.from >= chunkSize && q.size > 0; q.from -= chunkSize {
		q.head = c.next[q.head]
	}
}
