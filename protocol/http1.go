package protocol

import (
	"bytes"
	"slices"
)

// Limits of the HTTP/1 framer. A stream that passes one is out of sync from
// there on, so that a session costs a bounded amount of memory.
const (
	// headLimit bounds a start line with its header section, and a trailer
	// section, in bytes. nginx takes 32 KiB by default, Node.js 16 KiB.
	headLimit = 64 << 10
	// chunkLineLimit bounds the line that tells a chunk's size, with its
	// extensions, in bytes. net/http takes 4 KiB.
	chunkLineLimit = 4 << 10
	// exceptionLimit bounds the requests in exchange.exceptions: 16 KiB.
	exceptionLimit = 1 << 10
	// keepLimit is the largest buffer that a stream keeps between messages, in
	// bytes: idle keep-alive connections are the many.
	keepLimit = 512
)

// state is where a stream stands.
//
//	       ┌──────────────────────────── End, Interim ─────────────────────────────┐
//	       ▼                                                                       │
//	    atStart ─line─▶ inHead ─empty line─┬─ no body ─────────────────────────────┤
//	                                       ├─ content-length ▶ inBody ─────────────┤
//	                                       ├─ chunked ▶ atChunk ─0─▶ inTrailer ────┤
//	                                       │            ▲    └─n─▶ inChunk         │
//	                                       │            └─ afterChunk ◀┘           │
//	                                       └─ else ▶ untilClose ────── Close ──────┘
//	any of them ─ garbage, limit, upgrade ─▶ lost
type state uint8

const (
	atStart    state = iota // before a start line, perhaps in it
	inHead                  // in the header section
	inBody                  // in a body of known length
	atChunk                 // in the line that tells a chunk's size
	inChunk                 // in a chunk's data
	afterChunk              // in the line end that follows a chunk's data
	inTrailer               // in the trailer section
	untilClose              // in a body that lasts until the stream ends
	lost                    // out of sync, or in another protocol
)

// lane is one stream's reading position and the message at hand.
type lane struct {
	state    state
	closed   bool
	line     []byte // the beginning of a line whose end has not come
	section  int    // bytes of the lines read so far of what limit bounds
	left     int64  // bytes of the body or chunk still to come
	answered uint64 // requests that this stream of answers has answered
	head     head
}

// exception is a request whose method changes how its answer is framed.
type exception struct {
	request uint64 // its number in the session, from 0
	method  method
}

// http1 follows HTTP/1.0 and HTTP/1.1 as RFC 9112 frames them.
type http1 struct {
	lanes [streams]lane
	asked uint64 // requests whose head was read
	// exceptions holds, in order, the requests with a method that matters
	// which at least one stream of answers has not come to.
	exceptions []exception
}

// NewHTTP1 returns a framer for HTTP/1.0 and HTTP/1.1.
//
// It is lenient where servers are: lines may end with a bare LF, empty lines
// before a start line are skipped (and leave the stream outside a message). It
// loses sync where implementations are known to disagree about the end of a
// message: lengths that contradict each other, a length that is no number,
// white space between the name of a length field and its colon, a transfer
// coding in HTTP/1.0, a request whose last transfer coding is not chunked, and
// after any limit of this package.
//
// Answers are matched to the requests in order, each stream of answers for
// itself. An answer that nobody asked for is read as the answer to a GET.
// After a 101, or a 2xx to a CONNECT, that stream of answers is out of sync; if
// production answered so, the requests are too, since the captured client
// followed production.
//
// Memory: 400 bytes, and while a line is split over several Feeds its
// beginning, at most 64 KiB.
func NewHTTP1() Framer {
	h := &http1{}
	for i := range h.lanes {
		h.lanes[i].head.reset()
	}
	return h
}

func (h *http1) Name() string { return "http1" }

func (h *http1) InSync(s Stream) bool { return h.lanes[s].state != lost }

// Open is false between an interim answer and the final one, after empty
// lines, and when out of sync.
func (h *http1) Open(s Stream) bool {
	l := &h.lanes[s]
	switch l.state {
	case lost:
		return false
	case atStart:
		return len(trimCR(l.line)) > 0
	}
	return true
}

// Feed reads lines and bodies until a message ends. After Close it ignores
// what it is fed.
func (h *http1) Feed(s Stream, p []byte) (int, Mark) {
	l := &h.lanes[s]
	if l.closed {
		return len(p), More
	}
	for n := 0; n < len(p); {
		switch l.state {
		case lost, untilClose:
			return len(p), More
		case inBody, inChunk:
			used := min(int64(len(p)-n), l.left)
			n += int(used)
			if l.left -= used; l.left > 0 {
				return len(p), More
			}
			if l.state == inBody {
				return n, l.finish(End)
			}
			l.state, l.section = afterChunk, 0
		default:
			i := bytes.IndexByte(p[n:], '\n')
			if i < 0 {
				h.keep(s, p[n:])
				return len(p), More
			}
			line := p[n : n+i]
			n += i + 1
			if m := h.readLine(s, line); m != More {
				return n, m
			}
		}
	}
	return len(p), More
}

// Close ends a stream. A body that lasts until the close is then complete; any
// other message that is not stays open.
func (h *http1) Close(s Stream) Mark {
	l := &h.lanes[s]
	if l.closed {
		return More
	}
	l.closed = true
	if l.state == untilClose {
		return l.finish(End)
	}
	return More
}

// keep stores the beginning of a line until its end comes.
func (h *http1) keep(s Stream, p []byte) {
	l := &h.lanes[s]
	if l.section+len(l.line)+len(p) > l.limit() {
		l.lose()
		return
	}
	l.line = append(l.line, p...)
	switch {
	case l.state == atStart && !mayBeStartLine(s, l.line),
		l.state == afterChunk && string(l.line) != "\r":
		l.lose()
	}
}

// readLine reads a line of which p is the last part, without its LF.
func (h *http1) readLine(s Stream, p []byte) Mark {
	l := &h.lanes[s]
	if l.section += len(l.line) + len(p) + 1; l.section > l.limit() {
		return l.lose()
	}
	line := p
	if len(l.line) > 0 {
		l.line = append(l.line, p...)
		line = l.line
	}
	m := h.readWholeLine(s, trimCR(line))
	l.line = l.line[:0]
	return m
}

func (h *http1) readWholeLine(s Stream, line []byte) Mark {
	l := &h.lanes[s]
	switch l.state {
	case atStart:
		if len(line) == 0 { // RFC 9112 §2.2
			l.section = 0
			return More
		}
		if !l.head.start(s, line) {
			return l.lose()
		}
		l.state = inHead
	case inHead:
		if len(line) > 0 {
			l.head.field(line)
			return More
		}
		l.head.settle()
		if s == Requests {
			return h.requestHead()
		}
		return h.answerHead(s)
	case atChunk:
		size, ok := ChunkSize(line)
		switch {
		case !ok:
			return l.lose()
		case size == 0:
			l.state, l.section = inTrailer, 0
		default:
			l.state, l.left = inChunk, size
		}
	case afterChunk:
		if len(line) > 0 {
			return l.lose()
		}
		l.state, l.section = atChunk, 0
	case inTrailer:
		if len(line) == 0 {
			return l.finish(End)
		}
	}
	return More
}

// requestHead acts at the end of a request's head: RFC 9112 §6.3, rules 3 to 7.
func (h *http1) requestHead() Mark {
	l := &h.lanes[Requests]
	h.ask(l.head.method)
	switch {
	case l.head.faulty(), l.head.coding == CodingOther:
		return l.lose()
	case l.head.coding == CodingChunked:
		l.state, l.section = atChunk, 0
		return More
	case l.head.length > 0:
		l.state, l.left = inBody, l.head.length
		return More
	}
	return l.finish(End)
}

// answerHead acts at the end of an answer's head: RFC 9112 §6.3, all rules.
func (h *http1) answerHead(s Stream) Mark {
	l := &h.lanes[s]
	status := l.head.status
	if status/100 == 1 && status != 101 {
		return l.finish(Interim)
	}
	m := h.answer(l)
	switch {
	case status == 101, m == connectMethod && status/100 == 2:
		l.lose()
		if s == Production {
			h.lanes[Requests].lose()
		}
		return End
	case m == headMethod, status == 204, status == 304:
		return l.finish(End)
	case l.head.faulty():
		return l.lose()
	case l.head.coding == CodingChunked:
		l.state, l.section = atChunk, 0
		return More
	case l.head.coding == CodingOther, l.head.length < 0:
		l.state = untilClose
		return More
	case l.head.length > 0:
		l.state, l.left = inBody, l.head.length
		return More
	}
	return l.finish(End)
}

// ask notes a request, so that both streams of answers can be matched to it.
func (h *http1) ask(m method) {
	if m != ordinary {
		if len(h.exceptions) == exceptionLimit {
			for s := Production; s < streams; s++ {
				if l := &h.lanes[s]; l.answered <= h.exceptions[0].request {
					l.lose()
				}
			}
			h.forget()
		}
		h.exceptions = append(h.exceptions, exception{h.asked, m})
	}
	h.asked++
}

// answer takes the next request off a stream of answers' own queue and returns
// its method.
func (h *http1) answer(l *lane) method {
	if l.answered == h.asked {
		return ordinary // nobody asked
	}
	request := l.answered
	l.answered++
	i, found := slices.BinarySearchFunc(h.exceptions, request, func(e exception, r uint64) int {
		return int(int64(e.request - r))
	})
	if !found {
		return ordinary
	}
	m := h.exceptions[i].method
	h.forget()
	return m
}

// forget drops the exceptions that both streams of answers are past.
func (h *http1) forget() {
	past := h.asked
	for s := Production; s < streams; s++ {
		if l := &h.lanes[s]; l.state != lost {
			past = min(past, l.answered)
		}
	}
	n := 0
	for n < len(h.exceptions) && h.exceptions[n].request < past {
		n++
	}
	h.exceptions = slices.Delete(h.exceptions, 0, n)
}

// limit returns how long the section at hand may be, in bytes.
func (l *lane) limit() int {
	if l.state == atChunk {
		return chunkLineLimit
	}
	return headLimit
}

// finish ends a message: the next bytes begin another one.
func (l *lane) finish(m Mark) Mark {
	l.state, l.section, l.left = atStart, 0, 0
	if cap(l.line) > keepLimit {
		l.line = nil
	}
	l.head.reset()
	return m
}

// lose gives up on a stream for good.
func (l *lane) lose() Mark {
	*l = lane{state: lost, closed: l.closed, answered: l.answered}
	return More
}

func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}
