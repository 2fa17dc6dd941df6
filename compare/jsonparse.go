package compare

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// jsonDoc is a JSON document as a tape: its values and keys in the order in
// which they are written, so that parsing costs no allocation once the tape
// has grown, and skipping a value costs no more than reading its next.
//
// An API answer of 50 KB is parsed at 600 to 790 MB/s on one core of a 2.6 GHz
// EPYC; encoding/json.Valid alone takes twice as long. valyala/fastjson v1.6.10
// is as fast, but takes 01, NaN and bare control characters for JSON.
type jsonDoc struct {
	text  []byte
	nodes []jsonNode
	open  []uint32 // the objects and lists that are not closed yet, while parsing
	sums  []uint64 // by node, 0: not computed yet; see sum
	room  []byte   // for one string or number, unescaped
}

// jsonNode is a value, or a key of an object, which stands before its value.
// The elements of a list, and keys and values of an object, follow it. Four
// nodes fill a cache line.
type jsonNode struct {
	start, end uint32 // in text, quotes and brackets included
	next       uint32 // the first node that is not part of this one
	kind       jsonKind
	escaped    bool // a string with a backslash in it
}

type jsonKind uint8

const (
	jsonNull jsonKind = iota
	jsonFalse
	jsonTrue
	jsonNumber
	jsonString
	jsonList
	jsonObject
)

// maxJSONDepth is how deep lists and objects may lie in each other.
// encoding/json takes ten times that, and no API needs a tenth.
const maxJSONDepth = 1000

// maxJSONNodes bounds the memory that a document takes: 16 bytes each come to
// 8 MiB. An answer of 1 MiB has 50,000 to 150,000.
const maxJSONNodes = 512 << 10

// raw returns a value as it is written.
func (d *jsonDoc) raw(at uint32) []byte { n := &d.nodes[at]; return d.text[n.start:n.end] }

// end returns the first node behind the elements or members of a list or
// object; the first of them is at+1.
func (d *jsonDoc) end(at uint32) uint32 { return d.nodes[at].next }

// parse makes text, which is kept, the document. It accepts what RFC 8259
// does, as encoding/json.Valid, up to maxJSONDepth and maxJSONNodes.
func (d *jsonDoc) parse(text []byte) bool {
	d.text, d.nodes, d.open, d.sums = text, d.nodes[:0], d.open[:0], d.sums[:0]
	if len(text) > math.MaxInt32 {
		return false
	}
	at := d.parseFrom(0)
	return at >= 0 && skipSpace(text, at) == len(text)
}

// parseFrom parses one value from there on and returns where it ends, or -1.
func (d *jsonDoc) parseFrom(at int) int {
	text, nodes, open := d.text, d.nodes, d.open
	defer func() { d.nodes, d.open = nodes, open }()
	base := len(open)
value:
	at = skipSpace(text, at)
	if at >= len(text) || len(nodes) > maxJSONNodes {
		return -1
	}
	switch c := text[at]; c {
	case '{', '[':
		if len(open) == maxJSONDepth {
			return -1
		}
		open = append(open, uint32(len(nodes)))
		kind := jsonObject
		if c == '[' {
			kind = jsonList
		}
		nodes = append(nodes, jsonNode{start: uint32(at), kind: kind})
		at = skipSpace(text, at+1)
		if at < len(text) && text[at] == c+2 { // '}' or ']'
			goto closed
		}
		if c == '{' {
			goto key
		}
		goto value
	case '"':
		end, escaped := stringEnd(text, at)
		if end < 0 {
			return -1
		}
		nodes = append(nodes, jsonNode{uint32(at), uint32(end), uint32(len(nodes) + 1), jsonString, escaped})
		at = end
	default:
		kind, end := scalarEnd(text, at)
		if end < 0 {
			return -1
		}
		nodes = append(nodes, jsonNode{uint32(at), uint32(end), uint32(len(nodes) + 1), kind, false})
		at = end
	}
after:
	if len(open) == base {
		return at
	}
	if at >= len(text) || text[at] <= ' ' {
		at = skipSpace(text, at)
		if at >= len(text) {
			return -1
		}
	}
	switch list := nodes[open[len(open)-1]].kind == jsonList; {
	case text[at] == ',' && list:
		at++
		goto value
	case text[at] == ',':
		at = skipSpace(text, at+1)
		goto key
	case text[at] == ']' && list, text[at] == '}' && !list:
		goto closed
	}
	return -1
key:
	if at < len(text) && text[at] == '"' {
		end, escaped := stringEnd(text, at)
		if end < 0 {
			return -1
		}
		nodes = append(nodes, jsonNode{uint32(at), uint32(end), uint32(len(nodes) + 1), jsonString, escaped})
		at = skipSpace(text, end)
		if at < len(text) && text[at] == ':' {
			at++
			goto value
		}
	}
	return -1
closed:
	at++
	last := &nodes[open[len(open)-1]]
	last.end, last.next = uint32(at), uint32(len(nodes))
	open = open[:len(open)-1]
	goto after
}

func skipSpace(text []byte, at int) int {
	for at < len(text) && text[at] <= ' ' && (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t') {
		at++
	}
	return at
}

// For each byte of a word at once.
const (
	eachByte = 0x0101010101010101
	topBits  = 0x80 * eachByte
)

// stringEnd returns where the string ends that begins with the quote at at, or
// -1. Eight bytes at a time it looks for a quote, a backslash or a control
// character: of (x - 1) &^ x & 0x80 the lowest bit set is of the first byte
// that is nought.
func stringEnd(text []byte, at int) (end int, escaped bool) {
	at++
	for {
		for at+8 <= len(text) {
			w := binary.LittleEndian.Uint64(text[at:])
			quote, slash := w^'"'*eachByte, w^'\\'*eachByte
			found := ((quote-eachByte)&^quote | (slash-eachByte)&^slash | (w-' '*eachByte)&^w) & topBits
			if found != 0 {
				at += bits.TrailingZeros64(found) >> 3
				break
			}
			at += 8
		}
		if at >= len(text) {
			return -1, false
		}
		switch c := text[at]; {
		case c == '"':
			return at + 1, escaped
		case c == '\\':
			escaped = true
			if at = escapeEnd(text, at); at < 0 {
				return -1, false
			}
		case c < ' ':
			return -1, false
		default:
			at++
		}
	}
}

// escapeEnd returns where the escape ends that begins with the backslash at at, or -1.
func escapeEnd(text []byte, at int) int {
	if at+1 >= len(text) {
		return -1
	}
	switch text[at+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return at + 2
	case 'u':
		if at+6 > len(text) {
			return -1
		}
		for _, c := range text[at+2 : at+6] {
			if hexDigit(c) < 0 {
				return -1
			}
		}
		return at + 6
	}
	return -1
}

func hexDigit(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c|' ' && c|' ' <= 'f':
		return rune(c | ' ' - 'a' + 10)
	}
	return -1
}

// scalarEnd returns where a number or a literal ends, or -1.
func scalarEnd(text []byte, at int) (jsonKind, int) {
	switch text[at] {
	case 'n':
		return jsonNull, literalEnd(text, at, "null")
	case 't':
		return jsonTrue, literalEnd(text, at, "true")
	case 'f':
		return jsonFalse, literalEnd(text, at, "false")
	case '-':
		at++
	}
	digits := func() bool {
		from := at
		for at < len(text) && '0' <= text[at] && text[at] <= '9' {
			at++
		}
		return at > from
	}
	first := at
	if !digits() || text[first] == '0' && at > first+1 {
		return jsonNumber, -1
	}
	if at < len(text) && text[at] == '.' {
		if at++; !digits() {
			return jsonNumber, -1
		}
	}
	if at < len(text) && text[at]|' ' == 'e' {
		if at++; at < len(text) && (text[at] == '+' || text[at] == '-') {
			at++
		}
		if !digits() {
			return jsonNumber, -1
		}
	}
	return jsonNumber, at
}

func literalEnd(text []byte, at int, literal string) int {
	if end := at + len(literal); end <= len(text) && string(text[at:end]) == literal {
		return end
	}
	return -1
}
