package compare

import (
	"bytes"

	"tcpsandbox/protocol"
)

// Limits of chunked bodies, the same as the framer's in package protocol.
const (
	chunkLineLimit = 4 << 10
	trailerLimit   = 64 << 10
)

// chunkState is where a chunks stands.
//
//	atSize ─0─▶ inTrailer ─empty line─▶ atEnd
//	▲    └─n─▶ inData ─▶ afterData ─┐
//	└───────────────────────────────┘
//	any of them ─ garbage, limit ─▶ broken
type chunkState uint8

const (
	atSize    chunkState = iota // in the line that tells a chunk's size
	inData                      // in a chunk's data
	afterData                   // in the line end behind it
	inTrailer                   // in the trailer section
	atEnd
	broken
)

// chunks takes the chunked coding off a body (RFC 9112 §7.1), in whatever
// pieces it comes. The zero value is at the body's beginning. It is as lenient
// as the framer: lines may end with a bare LF.
type chunks struct {
	state   chunkState
	left    int64  // bytes of the chunk still to come
	line    []byte // the beginning of a line whose end has not come
	trailer []byte // the lines of the trailer section, without the empty one
}

func (c *chunks) reset() { *c = chunks{line: c.line[:0], trailer: c.trailer[:0]} }

// next reads from p up to the next data, of which it returns as much as p has,
// and what it has not read. Data behind the body's end breaks it.
func (c *chunks) next(p []byte) (data, rest []byte) {
	for len(p) > 0 {
		switch c.state {
		case broken:
			return nil, nil
		case atEnd:
			c.state = broken
			return nil, nil
		case inData:
			n := int(min(c.left, int64(len(p))))
			if c.left -= int64(n); c.left == 0 {
				c.state = afterData
			}
			return p[:n], p[n:]
		}
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			if len(c.line)+len(p) > c.lineLimit() {
				c.state = broken
				return nil, nil
			}
			c.line = append(c.line, p...)
			return nil, nil
		}
		line := p[:i]
		if len(c.line) > 0 {
			c.line = append(c.line, line...)
			line = c.line
		}
		p = p[i+1:]
		if len(line) > c.lineLimit() {
			c.state = broken
			return nil, nil
		}
		c.take(line)
		c.line = c.line[:0]
	}
	return nil, nil
}

func (c *chunks) lineLimit() int {
	if c.state == inTrailer {
		return trailerLimit
	}
	return chunkLineLimit
}

// take reads a line, without its LF.
func (c *chunks) take(line []byte) {
	end := trimCR(line)
	switch c.state {
	case atSize:
		n, ok := protocol.ChunkSize(end)
		switch {
		case !ok:
			c.state = broken
		case n == 0:
			c.state = inTrailer
		default:
			c.state, c.left = inData, n
		}
	case afterData:
		if c.state = atSize; len(end) > 0 {
			c.state = broken
		}
	case inTrailer:
		if len(end) == 0 {
			c.state = atEnd
			return
		}
		c.trailer = append(append(c.trailer, line...), '\n')
		if len(c.trailer) > trailerLimit {
			c.state = broken
		}
	}
}

// bodyDigest digests the body of an HTTP answer as it comes, with the chunked
// coding taken off, so that the same body in other chunks is the same.
type bodyDigest struct {
	known   bool // the answer has a head that could be read
	chunked bool
	chunks  chunks
	digest
}

// begin reads the answer's beginning, which holds the head if it is to be known.
func (b *bodyDigest) begin(head []byte, http bool) {
	b.known, b.chunked = false, false
	if !http {
		return
	}
	m := messages.Get().(*message)
	if m.read(head, "") && m.framing != noBody {
		b.known, b.chunked = true, m.framing == chunkedBody
		b.chunks.reset()
		b.digest.reset()
		b.write(head[m.bodyAt:])
	}
	m.forget()
}

func (b *bodyDigest) write(p []byte) {
	switch {
	case !b.known:
	case !b.chunked:
		b.digest.write(p)
	default:
		for len(p) > 0 {
			var data []byte
			data, p = b.chunks.next(p)
			b.digest.write(data)
		}
		b.known = b.chunks.state != broken
	}
}
