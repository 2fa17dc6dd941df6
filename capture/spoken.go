package capture

import "tcpsandbox/session"

// Where the server spoke. Without a parser for the protocol, a client's turn is
// known by the server's answer to it. When bytes of the client's are missing,
// that is the only sign of whether a turn ended just before them, or with them.
//
//	client:  one ──┤├── (gap) ──┤├── three
//	server:        "1" at 3      "2" at 7: both turns ended where the gap does

// spoke is where the server spoke: when it had so much of the client's stream,
// from this offset of its own on.
type spoke struct{ client, from int64 }

// maxSpoken bounds what is kept of a flow. There is more than one only while
// the client's stream has a hole, which is a gap after gapPackets packets.
const maxSpoken = 1024

// spoke notes that the server sends data from an offset on, having acknowledged
// so much of the client's.
func (f *flow) spoke(client, from int64) {
	next := f.half[session.Client].next
	old := 0
	for old < len(f.spoken) && f.spoken[old].client < next {
		old++
	}
	f.spoken = append(f.spoken[:0], f.spoken[old:]...)
	n := len(f.spoken)
	if client >= next && n < maxSpoken && (n == 0 || f.spoken[n-1].client < client) {
		f.spoken = append(f.spoken, spoke{client, from})
	}
}

// spokeAt reports whether the server spoke when it had the client's stream up to
// an offset and no more, and the client, in what it sent next, had seen of it.
func (f *flow) spokeAt(client int64, seen uint64) bool {
	for _, s := range f.spoken {
		if s.client == client {
			return seen > uint64(max(s.from, 0))
		}
	}
	return false
}
