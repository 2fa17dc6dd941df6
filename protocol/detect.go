package protocol

import "bytes"

// detectLimit is the longest first line, in bytes, that Detect waits for.
// Servers take no longer one by default: Apache httpd and nginx stop at 8 KiB.
const detectLimit = 8 << 10

// Detect chooses the framer of a session from the first bytes that its client
// sent, from the beginning of the stream or from a place where a message
// begins. While the bytes could still become an HTTP/1 request line and its
// end has not come, decided is false and f is nil: ask again with more bytes
// from the same beginning. A caller that cannot wait, because the server
// answered to what is there or spoke first, should take NewRaw.
//
// HTTP/1 is what begins, after any empty lines, with a line "METHOD target
// HTTP/1.x" (RFC 9112 §3). The preface of HTTP/2 (RFC 9113 §3.4) looks like
// one but for its version, and is raw.
func Detect(first []byte) (f Framer, decided bool) {
	line := first
	for {
		i := bytes.IndexByte(line, '\n')
		switch {
		case i < 0 && (len(first) > detectLimit || !mayBeRequestLine(line)):
			return NewRaw(), true
		case i < 0:
			return nil, false
		case len(trimCR(line[:i])) == 0:
			line = line[i+1:]
			continue
		}
		if _, _, ok := parseRequestLine(trimCR(line[:i])); ok {
			return NewHTTP1(), true
		}
		return NewRaw(), true
	}
}
