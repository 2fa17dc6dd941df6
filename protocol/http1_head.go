package protocol

import (
	"bytes"
)

// method is what the framing of an answer depends on in its request.
type method uint8

const (
	ordinary method = iota
	headMethod
	connectMethod
)

// methodLimit is the longest method, in bytes, that passes for one. The
// longest registered with IANA is UPDATEREDIRECTREF, 17.
const methodLimit = 64

// fieldName is a field that the framing depends on.
type fieldName uint8

const (
	otherField fieldName = iota
	contentLength
	transferEncoding
)

// head is what the framing needs of a message's head.
type head struct {
	method    method // of a request
	status    int    // of an answer
	old       bool   // HTTP/1.0
	malformed bool   // the length fields contradict each other or are no such
	coding    TransferCoding
	length    int64 // -1: not told

	// name and value are a field line whose continuation lines may still
	// come (obsolete line folding, RFC 9112 §5.2).
	name  fieldName
	value []byte
}

func (h *head) reset() {
	value := h.value[:0]
	if cap(value) > keepLimit {
		value = nil
	}
	*h = head{length: -1, value: value}
}

// faulty reports that the message's end cannot be told for certain.
func (h *head) faulty() bool {
	return h.malformed || h.old && h.coding != CodingNone // RFC 9112 §6.1
}

// start reads a start line; it reports whether it is one.
func (h *head) start(s Stream, line []byte) (ok bool) {
	if s == Requests {
		h.method, h.old, ok = parseRequestLine(line)
	} else {
		h.status, h.old, ok = parseStatusLine(line)
	}
	return ok
}

// field reads one line of the header section. A line that is no field is
// ignored, as nginx does.
func (h *head) field(line []byte) {
	if line[0] == ' ' || line[0] == '\t' {
		if h.name != otherField {
			h.value = append(append(h.value, ' '), TrimSpace(line)...)
		}
		return
	}
	h.settle()
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return
	}
	name := line[:colon]
	if colon > 0 && (name[colon-1] == ' ' || name[colon-1] == '\t') {
		// Some take it for the field, some do not: RFC 9112 §5.1.
		h.malformed = h.malformed || framingField(TrimSpace(name)) != otherField
		return
	}
	if h.name = framingField(name); h.name != otherField {
		h.value = append(h.value[:0], TrimSpace(line[colon+1:])...)
	}
}

// settle takes in the field whose lines are complete now.
func (h *head) settle() {
	name := h.name
	h.name = otherField
	switch name {
	case contentLength:
		n, ok := ContentLength(h.value, h.length)
		h.length, h.malformed = n, h.malformed || !ok
	case transferEncoding:
		c, ok := TransferEncoding(h.value, h.coding)
		h.coding, h.malformed = c, h.malformed || !ok
	}
}

var (
	comma                = []byte(",")
	chunked              = []byte("chunked")
	identity             = []byte("identity")
	contentLengthName    = []byte("Content-Length")
	transferEncodingName = []byte("Transfer-Encoding")
)

// framingField looks a field name up. The length tells nearly all others apart
// without a look at the letters.
func framingField(name []byte) fieldName {
	switch {
	case len(name) == len(contentLengthName) && bytes.EqualFold(name, contentLengthName):
		return contentLength
	case len(name) == len(transferEncodingName) && bytes.EqualFold(name, transferEncodingName):
		return transferEncoding
	}
	return otherField
}

// parseRequestLine reads "METHOD target HTTP/1.x" (RFC 9112 §3). Spaces inside
// the target are let pass, as some servers do.
func parseRequestLine(line []byte) (m method, old, ok bool) {
	name := methodToken(line)
	target := len(line) - len(" HTTP/1.x")
	if name == 0 || name > methodLimit || target <= name+1 || line[name] != ' ' {
		return ordinary, false, false
	}
	old, ok = parseVersion(line[target+1:])
	if !ok || line[target] != ' ' || len(TrimSpace(line[name:target])) == 0 {
		return ordinary, false, false
	}
	switch string(line[:name]) {
	case "HEAD":
		m = headMethod
	case "CONNECT":
		m = connectMethod
	}
	return m, old, true
}

// parseStatusLine reads "HTTP/1.x 200 reason" (RFC 9112 §4). The reason and the
// space before it may be missing.
func parseStatusLine(line []byte) (status int, old, ok bool) {
	const version = len("HTTP/1.x")
	if len(line) < version+len(" 200") || line[version] != ' ' {
		return 0, false, false
	}
	if old, ok = parseVersion(line[:version]); !ok {
		return 0, false, false
	}
	code, _, _ := bytes.Cut(bytes.TrimLeft(line[version:], " "), space)
	if len(code) != 3 || code[0] == '0' {
		return 0, false, false
	}
	n, ok := ParseDecimal(code)
	return int(n), old, ok
}

var space = []byte(" ")

// versionStart is what the versions that this framer reads have in common.
const versionStart = "HTTP/1."

// parseVersion reads "HTTP/1.x"; names are case-sensitive (RFC 9112 §2.3).
func parseVersion(p []byte) (old, ok bool) {
	if len(p) != len("HTTP/1.x") || string(p[:len(versionStart)]) != versionStart {
		return false, false
	}
	minor := p[len(versionStart)]
	return minor == '0', '0' <= minor && minor <= '9'
}

// mayBeStartLine reports whether p can be the beginning of a start line, or of
// the empty line before one. It is asked for pieces of lines, so that bytes of
// another protocol are not waited upon for the end of a line.
func mayBeStartLine(s Stream, p []byte) bool {
	if s == Requests {
		return mayBeRequestLine(p)
	}
	if len(p) == 1 && p[0] == '\r' {
		return true
	}
	n := min(len(p), len(versionStart))
	return string(p[:n]) == versionStart[:n]
}

func mayBeRequestLine(p []byte) bool {
	if len(p) == 1 && p[0] == '\r' {
		return true
	}
	name := methodToken(p)
	if name == len(p) {
		return name <= methodLimit
	}
	return 0 < name && name <= methodLimit && p[name] == ' '
}

// methodToken returns the length of the token that p begins with (RFC 9110
// §5.6.2). It looks at no more than decides whether that is a method.
func methodToken(p []byte) (n int) {
	for n < len(p) && n <= methodLimit && tokenBytes[p[n]] {
		n++
	}
	return n
}

var tokenBytes = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
		t[c] = true
	}
	return t
}()
