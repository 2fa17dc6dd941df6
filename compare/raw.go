package compare

import (
	"bytes"
	"net/url"
	"strings"

	"tcpsandbox/protocol"
)

// RequestText returns a request as people read it, as Answer.Text does with an
// answer: of HTTP its first line and header fields as they were sent, the body's
// media type, and the body decoded. p is its beginning; whole tells that it is
// all. hide is for hex dumps only: head and text are the caller's to hide.
func RequestText(p []byte, http, whole bool, limit int, hide *Secrets) (head, mediaType, text string, cut bool) {
	if !http {
		text, cut = readable(p, false, limit, hide)
		return "", "", text, cut || !whole
	}
	x := pairs.Get().(*pair)
	defer x.forget()
	s := &x.production
	if !s.readRequest(p, whole) {
		head = string(p[:min(len(p), limit)])
		return strings.TrimRight(head, "\r\n"), "", "", !whole || len(head) < len(p)
	}
	mediaType = string(s.message.value("content-type"))
	head = string(bytes.TrimRight(p[:s.message.bodyAt], "\r\n"))
	body := s.decoded()
	text, more := readable(body, kindOf([]byte(mediaType), body) == jsonContent, limit, hide)
	return head, mediaType, text, more || s.over || !whole
}

// readRequest reads a request, and its body without the chunked coding, as far
// as it is there.
func (s *side) readRequest(p []byte, whole bool) bool {
	s.Answer, s.message = &Answer{Head: p, Len: int64(len(p)), Complete: whole}, messages.Get().(*message)
	if !s.message.readRequest(p) {
		return false
	}
	s.coded = s.raw()
	if s.message.coding == protocol.CodingChunked {
		s.chunks.reset()
		s.coded = s.join(s.raw())
	}
	return true
}

// decoded is the body with the codings undone, as far as that can be.
func (s *side) decoded() []byte {
	s.codings, s.known = parseCodings(s.codings, s.message.fields)
	if s.known && s.decode() {
		return s.text
	}
	return s.coded
}

// Raw returns an answer as it was sent, limit bytes of it at most, with stars
// for what is secret. Their number is that of the bytes that they stand for. A
// secret that lies across chunks is found, too; a compressed body that has one
// is nothing but stars. It is a copy.
func (a *Answer) Raw(q Question, limit int, hide *Secrets) []byte {
	hide = hide.or()
	out := bytes.Clone(a.Head)
	for _, at := range hide.spans(string(out)) {
		blot(out[at.start:at.end])
	}
	if q.HTTP {
		hide.blotBody(out, a, q.Method)
	}
	return out[:min(len(out), limit)]
}

// blotBody blots in out what is secret in the body of an answer, and shows only
// in the body by itself, without its codings.
func (s *Secrets) blotBody(out []byte, a *Answer, method string) {
	x := pairs.Get().(*pair)
	defer x.forget()
	p := &x.production
	if !p.read(a, method) {
		return
	}
	raw := p.raw()
	room := out[len(out)-len(raw):]
	p.coded = raw
	var from []int // of each byte of coded, where it stands in raw; nil: in the same place
	if p.message.framing == chunkedBody {
		p.coded = p.coded[:0:0]
		p.chunks.reset()
		for rest := raw; len(rest) > 0; {
			var data []byte
			data, rest = p.chunks.next(rest)
			at := len(raw) - len(rest) - len(data)
			for i := range data {
				from = append(from, at+i)
			}
			p.coded = append(p.coded, data...)
		}
	}
	p.codings, p.known = parseCodings(p.codings, p.message.fields)
	switch {
	case len(p.codings) > 0:
		p.decode() // what there is before an error counts, too
		if len(s.spans(string(p.text))) > 0 {
			blotAll(room)
		}
	default:
		for _, at := range s.spans(string(p.coded)) {
			if from == nil {
				blot(room[at.start:at.end])
				continue
			}
			for _, i := range from[at.start:at.end] {
				blot(room[i : i+1])
			}
		}
	}
}

// blotAll leaves nothing of compressed bytes, among which line ends and spaces
// are no such.
func blotAll(p []byte) {
	for i := range p {
		p[i] = '*'
	}
}

// spans returns where secret values stand in bytes of any kind, in no order.
func (s *Secrets) spans(text string) []span {
	all := s.find(text)
	if more, ok := s.findJSON(text); ok {
		all = append(all, more...)
	}
	if hasUser(text) {
		for _, at := range userinfo.FindAllStringSubmatchIndex(text, -1) {
			all = append(all, span{start: at[3], end: at[1]})
		}
	}
	if last := strings.LastIndex(text, "://"); last >= 0 {
		if at := cutUserinfo.FindStringSubmatchIndex(text[last:]); at != nil {
			all = append(all, span{start: last + at[3], end: last + at[1]})
		}
	}
	return append(all, s.encodedNames(text)...)
}

// encodedNames finds the parameters whose names are percent-encoded; see line.
func (s *Secrets) encodedNames(text string) (all []span) {
	for at := 0; at < len(text); {
		end := len(text)
		if n := strings.IndexAny(text[at:], "?&;# \t\r\n\"'<>,"); n >= 0 {
			end = at + n
		}
		name, value, pair := strings.Cut(text[at:end], "=")
		if pair && strings.Contains(name, "%") {
			if decoded, err := url.QueryUnescape(name); err == nil && s.secret(decoded) {
				all = append(all, span{start: end - len(value), end: end})
			}
		}
		at = end + 1
	}
	return all
}
