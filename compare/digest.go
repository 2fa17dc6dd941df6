package compare

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
)

const (
	// leafSize is how many bytes the finest digests stand for.
	leafSize = 64 << 10
	// maxBlocks is how many digests are kept, so that 1 GiB is told apart in
	// blocks of 4 MiB for 2 KiB of memory. It is even.
	maxBlocks = 256
)

// seed is the same for all digests of the process, so that they compare.
var seed = maphash.MakeSeed()

// digest stands for a stream of bytes in constant memory, and still tells
// about where two streams part. It is a list of digests of blocks; when the
// list is full, neighbours become one and the blocks are twice as large:
//
//	level 0   ▪ ▪ ▪ ▪ ▪ ▪ ▪ ▪      leafSize each
//	level 1    ▪   ▪   ▪   ▪       the digest of two digests
//	level 2      ▪       ▪
//
// A block's digest depends on nothing but its bytes and its level, so the
// finer one of two lists can be made as coarse as the other. The zero value
// is not ready: see reset.
type digest struct {
	len    int64
	leaf   maphash.Hash // of the last leaf, which is not full
	leaves uint64       // full ones

	level  int
	blocks [maxBlocks]uint64 // full ones of this level; leaves>>level of them
	// left holds, by level, the digest that waits for its right neighbour,
	// where that bit of leaves is set. Only below level.
	left [64]uint64
}

func (d *digest) reset() {
	d.len, d.leaves, d.level = 0, 0, 0
	d.leaf.SetSeed(seed)
	d.leaf.Reset()
}

func (d *digest) write(p []byte) {
	for len(p) > 0 {
		n := min(len(p), leafSize-int(d.len%leafSize))
		d.leaf.Write(p[:n])
		p = p[n:]
		if d.len += int64(n); d.len%leafSize == 0 {
			d.add(d.leaf.Sum64())
			d.leaf.Reset()
		}
	}
}

// add takes in a full leaf.
func (d *digest) add(sum uint64) {
	if d.leaves == maxBlocks<<d.level {
		coarsen(&d.blocks, maxBlocks)
		d.level++
	}
	at := d.leaves
	d.leaves++
	for level := range d.level {
		if at>>level&1 == 0 {
			d.left[level] = sum
			return
		}
		sum = joined(d.left[level], sum)
	}
	d.blocks[at>>d.level] = sum
}

// coarsen makes n blocks half as many. The last one of an odd number is lost.
func coarsen(blocks *[maxBlocks]uint64, n int) {
	for i := range n / 2 {
		blocks[i] = joined(blocks[2*i], blocks[2*i+1])
	}
}

func joined(a, b uint64) uint64 {
	var p [16]byte
	binary.LittleEndian.PutUint64(p[:8], a)
	binary.LittleEndian.PutUint64(p[8:], b)
	return maphash.Bytes(seed, p[:])
}

// first compares two streams. Unless they are the same, the first byte that
// differs, or that only one of them has, is at from or later and before until.
// An until beyond the shorter stream's end says that nothing differs which
// could be told apart, but for the lengths or behind from.
func (d *digest) first(o *digest) (from, until int64, same bool) {
	level := max(d.level, o.level)
	n := int(min(d.leaves, o.leaves) >> level)
	x, y := d.at(level), o.at(level)
	for i := range n {
		if x[i] != y[i] {
			return leafSize << level * int64(i), leafSize << level * int64(i+1), false
		}
	}
	from = leafSize << level * int64(n)
	until = min(d.len, o.len) + 1
	if d.leaves>>level != o.leaves>>level {
		return from, until, false
	}
	// Both are in the same block. If their levels differ one is full, and has no
	// digest that waits: an odd bit tells them apart.
	for level--; level >= 0; level-- {
		if (d.leaves^o.leaves)>>level&1 != 0 {
			return from, until, false
		}
		if d.leaves>>level&1 != 0 {
			if d.left[level] != o.left[level] {
				return from, from + leafSize<<level, false
			}
			from += leafSize << level
		}
	}
	if d.len != o.len {
		return from, until, false
	}
	if d.leaf.Sum64() != o.leaf.Sum64() {
		return from, d.len, false
	}
	return d.len, d.len, true
}

// at returns the blocks as they are on a level, d's own or a higher one.
func (d *digest) at(level int) *[maxBlocks]uint64 {
	if level == d.level {
		return &d.blocks
	}
	blocks := d.blocks
	for l := d.level; l < level; l++ {
		coarsen(&blocks, min(maxBlocks, int(d.leaves>>l)))
	}
	return &blocks
}

var digests = sync.Pool{New: func() any { return new(digest) }}

// digestOf returns the digest of p, which is from digests.
func digestOf(p []byte) *digest {
	d := digests.Get().(*digest)
	d.reset()
	d.write(p)
	return d
}

// large is what is known of an answer beyond HeadLimit.
type large struct {
	raw  digest // of the bytes from HeadLimit on
	body bodyDigest
}

var larges = sync.Pool{New: func() any { return new(large) }}
