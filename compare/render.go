package compare

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"unicode/utf8"
)

// Text returns an answer as people read it: of HTTP the head as it was sent,
// the body's media type, and the body decoded, JSON indented; else all of it as
// text. What is no text is a hex dump. Text is limit bytes at most; cut tells
// that there was more. An answer without bytes is empty.
func (a *Answer) Text(q Question, limit int, hide *Secrets) (head, mediaType, text string, cut bool) {
	head, mediaType, body, cut := a.decoded(q)
	text, more := readable(body, kindOf([]byte(mediaType), body) == jsonContent && q.HTTP, limit, hide)
	return head, mediaType, text, cut || more
}

// Decoded is the answer's body after chunking and content coding were undone,
// as far as it was kept, or the answer where it is no message; a copy.
func (a *Answer) Decoded(q Question) []byte {
	_, _, body, _ := a.decoded(q)
	return body
}

// decoded takes an answer apart; head and mediaType are empty where it is no
// message. cut: there was more of it.
func (a *Answer) decoded(q Question) (head, mediaType string, body []byte, cut bool) {
	if !q.HTTP {
		return "", "", bytes.Clone(a.Head), !a.Kept()
	}
	x := pairs.Get().(*pair)
	defer x.forget()
	s := &x.production
	if !s.read(a, q.Method) || !s.open() {
		return "", "", blankSecrets(a.Head), !a.Kept()
	}
	mediaType = string(s.message.value("content-type"))
	head = string(bytes.TrimRight(a.Head[:s.message.bodyAt], "\r\n"))
	s.codings, s.known = parseCodings(s.codings, s.message.fields)
	body = s.coded
	if s.known && s.decode() {
		body = s.text
	}
	return head, mediaType, bytes.Clone(body), s.over || !s.whole
}

// readable is a body as text of limit bytes at most. In a hex dump hide's names
// are not found any more, so their values are taken out before.
func readable(body []byte, isJSON bool, limit int, hide *Secrets) (text string, cut bool) {
	if isJSON && len(body) <= 4*limit {
		var b bytes.Buffer
		if json.Indent(&b, body, "", "  ") == nil {
			body = b.Bytes()
		}
	}
	// A cut may part a character: what is left of it is no sign of bytes.
	if part := wholeRunes(body[:min(len(body), limit)]); isText(part) {
		return string(part), len(part) < len(body)
	}
	const perLine, lineBytes = 16, 79 // of hex.Dump
	part := body[:min(len(body), limit/lineBytes*perLine)]
	return hex.Dump(hide.blot(part)), len(part) < len(body)
}

// wholeRunes cuts off the beginning of a character whose rest is not there.
func wholeRunes(p []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(p); i++ {
		if c := p[len(p)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(p[len(p)-i:]) {
				return p[:len(p)-i]
			}
			break
		}
	}
	return p
}
