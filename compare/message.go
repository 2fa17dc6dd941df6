package compare

import (
	"bytes"
	"sync"

	"tcpsandbox/protocol"
)

// Limits of an HTTP answer; one that passes them is compared by its bytes.
const (
	fieldLimit   = 1 << 10 // field lines of a head; servers send some 20
	interimLimit = 16      // interim answers before the final one
)

// framing is where the end of a message's body is.
type framing uint8

const (
	noBody framing = iota
	lengthBody
	chunkedBody
	closeBody // until the connection closes
)

// message is an HTTP/1 answer as it was read: RFC 9112. It points into the
// bytes that it was read from.
type message struct {
	interim []byte // statuses of the interim answers: "100, 103"
	status  int
	minor   byte // of the version: '1'
	reason  []byte
	fields  []field
	bodyAt  int // where the body begins

	framing framing
	length  int64 // of the body; -1: not told
	coding  protocol.TransferCoding
	faulty  bool // the end cannot be told for certain

	folded []byte // values that stood on several lines
}

// field is a header or trailer field. A line without a colon is one without a
// name.
type field struct{ name, value []byte }

// messages holds what reading needs, so that it costs no allocation.
var messages = sync.Pool{New: func() any { return new(message) }}

func (m *message) forget() {
	clear(m.fields)
	m.reason = nil
	if cap(m.folded) > 4<<10 {
		m.folded = nil
	}
	messages.Put(m)
}

// read reads the heads of an answer to a request of this method, interim
// answers included. It fails where that is no HTTP/1 answer, where the head is
// not there to its end, and where it cannot be told for certain where the body
// ends. It is as lenient as the framer that cut the answer, see
// protocol.NewHTTP1: lines may end with a bare LF, empty lines may come before.
func (m *message) read(p []byte, method string) bool {
	m.interim, m.bodyAt = m.interim[:0], 0
	for range interimLimit {
		if !m.readHead(p) {
			return false
		}
		if m.status/100 != 1 || m.status == 101 {
			return m.frame(method)
		}
		if len(m.interim) > 0 {
			m.interim = append(m.interim, ", "...)
		}
		m.interim = appendStatus(m.interim, m.status)
	}
	return false
}

// readHead reads one head, from bodyAt on.
func (m *message) readHead(p []byte) bool {
	m.fields, m.folded = m.fields[:0], m.folded[:0]
	m.length, m.coding, m.faulty = -1, protocol.CodingNone, false
	line, ok := m.firstLine(p)
	return ok && m.statusLine(line) && m.readFields(p)
}

// readRequest reads the head of a request. Its first line may be any.
func (m *message) readRequest(p []byte) bool {
	m.interim, m.bodyAt, m.minor = m.interim[:0], 0, '1'
	m.fields, m.folded = m.fields[:0], m.folded[:0]
	m.length, m.coding, m.faulty = -1, protocol.CodingNone, false
	_, ok := m.firstLine(p)
	return ok && m.readFields(p)
}

// firstLine reads the first line that is not empty: RFC 9112 §2.2.
func (m *message) firstLine(p []byte) (line []byte, ok bool) {
	line, ok = m.line(p)
	for ok && len(line) == 0 {
		line, ok = m.line(p)
	}
	return line, ok
}

// readFields reads the header section to its end.
func (m *message) readFields(p []byte) bool {
	for {
		line, ok := m.line(p)
		if !ok || len(m.fields) > fieldLimit {
			return false
		}
		if len(line) == 0 {
			break
		}
		m.fields, m.folded = addField(m.fields, m.folded, line)
	}
	for i := range m.fields {
		m.settle(&m.fields[i])
	}
	m.faulty = m.faulty || m.minor == '0' && m.coding != protocol.CodingNone // RFC 9112 §6.1
	return true
}

// line reads the next line.
func (m *message) line(p []byte) (line []byte, ok bool) {
	i := bytes.IndexByte(p[m.bodyAt:], '\n')
	if i < 0 {
		return nil, false
	}
	line = p[m.bodyAt : m.bodyAt+i]
	m.bodyAt += i + 1
	return trimCR(line), true
}

// statusLine reads "HTTP/1.x 200 reason". The reason and the space before it
// may be missing.
func (m *message) statusLine(line []byte) bool {
	const start, version = "HTTP/1.", len("HTTP/1.x")
	if len(line) < version+len(" 200") || string(line[:len(start)]) != start || line[version] != ' ' {
		return false
	}
	m.minor = line[version-1]
	code, reason, _ := bytes.Cut(bytes.TrimLeft(line[version:], " "), space)
	n, ok := protocol.ParseDecimal(code)
	if m.minor < '0' || m.minor > '9' || len(code) != 3 || code[0] == '0' || !ok {
		return false
	}
	m.status, m.reason = int(n), protocol.TrimSpace(reason)
	return true
}

// addField takes in a line of a header or trailer section. A continuation line
// belongs to the field before (obsolete line folding, RFC 9112 §5.2); such a
// value is put together in folded.
func addField(fields []field, folded, line []byte) (_ []field, _ []byte) {
	if (line[0] == ' ' || line[0] == '\t') && len(fields) > 0 {
		last := &fields[len(fields)-1]
		at := len(folded)
		if n := len(last.value); n > 0 && at >= n && &folded[at-n] == &last.value[0] {
			at -= n // it is there already
		} else {
			folded = append(folded, last.value...)
		}
		if more := protocol.TrimSpace(line); len(more) > 0 {
			if len(folded) > at {
				folded = append(folded, ' ')
			}
			folded = append(folded, more...)
		}
		last.value = folded[at:len(folded):len(folded)]
		return fields, folded
	}
	i := bytes.IndexByte(line, ':')
	if i < 0 {
		return append(fields, field{nil, protocol.TrimSpace(line)}), folded
	}
	return append(fields, field{line[:i], protocol.TrimSpace(line[i+1:])}), folded
}

// settle takes in what a field says about the body's end.
func (m *message) settle(f *field) {
	if n := len(f.name); n > 0 && (f.name[n-1] == ' ' || f.name[n-1] == '\t') {
		// Some take it for the field, some do not: RFC 9112 §5.1.
		f.name = protocol.TrimSpace(f.name)
		m.faulty = m.faulty || is(f.name, "content-length") || is(f.name, "transfer-encoding")
		return
	}
	switch {
	case is(f.name, "content-length"):
		n, ok := protocol.ContentLength(f.value, m.length)
		m.length, m.faulty = n, m.faulty || !ok
	case is(f.name, "transfer-encoding"):
		c, ok := protocol.TransferEncoding(f.value, m.coding)
		m.coding, m.faulty = c, m.faulty || !ok
	}
}

// frame settles where the body ends: RFC 9112 §6.3. Behind a 101, and a 2xx to
// a CONNECT, another protocol follows to the close.
func (m *message) frame(method string) bool {
	switch {
	case m.status == 101, method == "CONNECT" && m.status/100 == 2:
		m.framing = closeBody
		return true
	case method == "HEAD", m.status == 204, m.status == 304:
		m.framing = noBody
		return true
	case m.faulty:
		return false
	case m.coding == protocol.CodingChunked:
		m.framing = chunkedBody
	case m.coding == protocol.CodingOther, m.length < 0:
		m.framing = closeBody
	default:
		m.framing = lengthBody
	}
	return true
}

// value returns the first field of a name, in lower case; nil if there is none.
func (m *message) value(name string) []byte {
	for i := range m.fields {
		if is(m.fields[i].name, name) {
			return m.fields[i].value
		}
	}
	return nil
}

var (
	comma = []byte(",")
	space = []byte(" ")
)

// is compares names without regard to case; lower is in lower case.
func is(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func appendStatus(p []byte, status int) []byte {
	return append(p, byte('0'+status/100), byte('0'+status/10%10), byte('0'+status%10))
}

func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}
