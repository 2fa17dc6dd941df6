package compare

import (
	"bytes"
	"sync"

	"tcpsandbox/protocol"
)

// side is one side's answer as HTTP.
type side struct {
	*Answer
	message  *message
	trailers []field

	// coded is the body without the chunked coding: all of it if whole, or
	// else what of it is in Head. sum is the digest of all of it, nil if whole.
	coded []byte
	whole bool
	sum   *digest
	ended bool // the body is there to the end that its framing tells

	codings []contentCoding
	known   bool   // we can undo all of them
	text    []byte // decoded
	over    bool   // text is its beginning only

	chunks chunks
	room   []byte // what coded lies in
	folded []byte // what trailers lie in
	rooms  [2][]byte
}

// pair is the two answers to one request. Pairs hold the memory that comparing
// needs, so that it costs no allocation where nothing is to be told.
type pair struct {
	production, application side
	fields                  fieldPairs
}

var pairs = sync.Pool{New: func() any { return new(pair) }}

// keepRoom is the largest buffer that a pair keeps between comparisons, in
// bytes. Nearly all answers fit, and a pool of large ones is no leak.
const keepRoom = 256 << 10

func (x *pair) forget() {
	for _, s := range [...]*side{&x.production, &x.application} {
		if s.message != nil {
			s.message.forget()
		}
		clear(s.trailers)
		keep := side{trailers: s.trailers[:0], codings: s.codings[:0], chunks: s.chunks}
		keep.room, keep.folded = kept(s.room), kept(s.folded)
		keep.rooms = [2][]byte{kept(s.rooms[0]), kept(s.rooms[1])}
		*s = keep
	}
	pairs.Put(x)
}

func kept(room []byte) []byte {
	if cap(room) > keepRoom {
		return nil
	}
	return room[:0]
}

// http compares two answers as HTTP/1 messages: first what their first lines
// say, then the fields, the body, the trailer fields, the end. It fails, and
// has noted nothing, where either is no such message, or one whose end cannot
// be told.
func (f *found) http(production, application *Answer, method string) bool {
	x := pairs.Get().(*pair)
	defer x.forget()
	p, a := &x.production, &x.application
	if !p.read(production, method) || !a.read(application, method) {
		return false
	}
	same := sameRaw(p, a)
	if !same && (!p.open() || !a.open()) {
		return false
	}
	b := f.body(p, a, same)

	f.head(x, b)
	f.content(p, a, b)
	f.fields(&x.fields, p.trailers, a.trailers)
	if !a.Complete || p.ended != a.ended {
		f.end(p, a)
	}
	return true
}

// head compares what comes before the body.
func (f *found) head(x *pair, l likeness) {
	p, a := &x.production, &x.application
	f.status(p.message, a.message)
	f.connection(p.message, a.message)
	x.fields.recoded = p.recoded(a, l)
	x.fields.codings = x.fields.recoded || p.known && sameCodings(p, a)
	x.fields.lengths = p.message.framing == noBody && p.message.status != 204
	f.fields(&x.fields, p.message.fields, a.message.fields)
}

// read reads the heads.
func (s *side) read(a *Answer, method string) bool {
	s.Answer, s.message = a, messages.Get().(*message)
	return s.message.read(a.Head, method)
}

// raw is what of the body is in Head, as it was sent.
func (s *side) raw() []byte { return s.Head[s.message.bodyAt:] }

// sameRaw reports whether two bodies are the same bytes in the same framing.
// This is the everyday case: answers that differ in their Date.
func sameRaw(p, a *side) bool {
	m, n := p.message, a.message
	if m.framing != n.framing || m.framing == lengthBody && m.length != n.length ||
		!p.Kept() || !a.Kept() || !bytes.Equal(p.raw(), a.raw()) {
		return false
	}
	for _, s := range [...]*side{p, a} {
		s.coded, s.whole, s.ended = s.raw(), true, true // or neither ended
	}
	return true
}

// open takes the chunked coding off. It fails where bytes follow the body's
// end, or stand where a chunk should be.
func (s *side) open() bool {
	m, raw := s.message, s.raw()
	size := s.Len - int64(m.bodyAt)
	s.whole, s.coded = s.Kept(), raw
	if !s.whole {
		if s.large == nil || !s.large.body.known {
			return false
		}
		s.sum = &s.large.body.digest
	}
	switch m.framing {
	case noBody:
		s.ended = true
		return size == 0
	case lengthBody:
		s.ended = size == m.length
		return size <= m.length
	case closeBody:
		s.ended = s.Complete
		return true
	}
	s.chunks.reset()
	s.coded = s.join(raw)
	c := &s.chunks
	if c.state == broken {
		return false
	}
	if !s.whole {
		c = &s.large.body.chunks
	}
	s.ended = c.state == atEnd
	s.readTrailers(c.trailer)
	return true
}

// join reads chunks, and copies the data of all but a single one.
func (s *side) join(raw []byte) []byte {
	var first []byte
	s.room = s.room[:0]
	for n := 0; len(raw) > 0; {
		var data []byte
		if data, raw = s.chunks.next(raw); len(data) == 0 {
			continue
		}
		switch n++; n {
		case 1:
			first = data
			continue
		case 2:
			s.room = append(s.room, first...)
		}
		s.room = append(s.room, data...)
	}
	if len(s.room) > 0 {
		return s.room
	}
	return first
}

func (s *side) readTrailers(lines []byte) {
	s.trailers, s.folded = s.trailers[:0], s.folded[:0]
	for len(lines) > 0 && len(s.trailers) < fieldLimit {
		var line []byte
		line, lines, _ = bytes.Cut(lines, lineFeed)
		s.trailers, s.folded = addField(s.trailers, s.folded, trimCR(line))
	}
}

var lineFeed = []byte("\n")

// status compares the first lines, and which interim answers came before.
func (f *found) status(p, a *message) {
	if !bytes.Equal(p.interim, a.interim) {
		f.note(Difference{Place: Place{InStatus, "interim"}, Production: orNil(p.interim), Application: orNil(a.interim)})
	}
	switch {
	case p.status != a.status:
		var x, y [3]byte
		f.note(Difference{Place: Place{Kind: InStatus}, Production: appendStatus(x[:0], p.status), Application: appendStatus(y[:0], a.status)})
	case !bytes.Equal(p.reason, a.reason):
		f.spelled("reason phrase")
	}
	if p.minor != a.minor {
		f.spelled("version")
	}
}

// connection compares whether the connection may be used again (RFC 9112
// §9.3). What else the field says is of the connection, not of the answer.
func (f *found) connection(p, a *message) {
	if x, y := p.persistence(), a.persistence(); x != y {
		f.note(Difference{Place: Place{InHeader, "connection"}, Production: []byte(x), Application: []byte(y)})
	}
}

func (m *message) persistence() string {
	lasts := m.minor != '0'
	for i := range m.fields {
		if !is(m.fields[i].name, "connection") {
			continue
		}
		value := m.fields[i].value
		for more := true; more; {
			var item []byte
			item, value, more = bytes.Cut(value, comma)
			switch item = protocol.TrimSpace(item); {
			case is(item, "close"):
				return "close"
			case is(item, "keep-alive"):
				lasts = true
			}
		}
	}
	if lasts {
		return "keep-alive"
	}
	return "close"
}

// end notes that the application's answer ends in another way.
func (f *found) end(p, a *side) {
	f.note(Difference{
		Place:         Place{Kind: InEnd},
		Offset:        a.length(),
		Until:         p.length(),
		ProductionLen: p.Len, ApplicationLen: a.Len,
		Cut: !a.Complete || p.ended,
	})
}

func orNil(p []byte) []byte {
	if len(p) == 0 {
		return nil
	}
	return p
}
