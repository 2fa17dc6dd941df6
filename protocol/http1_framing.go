package protocol

import (
	"bytes"
	"math"
)

// What the fields of an HTTP/1 message say about where its body ends (RFC 9112
// §6), for whoever reads one.

// TransferCoding is what the codings of a Transfer-Encoding come to.
type TransferCoding uint8

const (
	CodingNone    TransferCoding = iota
	CodingChunked                // the last coding is chunked
	CodingOther                  // it is another one
)

// ContentLength takes in the value of a Content-Length where length was known
// before; -1: it was not. A list of equal numbers counts as one (RFC 9112 §6.3,
// rule 5). It fails where that is no number, or another one.
func ContentLength(value []byte, length int64) (_ int64, ok bool) {
	for more := true; more; {
		var item []byte
		item, value, more = bytes.Cut(value, comma)
		n, ok := ParseDecimal(TrimSpace(item))
		if !ok || length >= 0 && length != n {
			return length, false
		}
		length = n
	}
	return length, true
}

// TransferEncoding takes in the value of a Transfer-Encoding behind others that
// came to coding: several add up to one list. It fails where a coding is empty,
// or chunked twice (RFC 9112 §7.1).
func TransferEncoding(value []byte, coding TransferCoding) (_ TransferCoding, ok bool) {
	ok = true
	for more := true; more; {
		var item []byte
		item, value, more = bytes.Cut(value, comma)
		switch item = TrimSpace(item); {
		case bytes.EqualFold(item, chunked):
			ok = ok && coding != CodingChunked
			coding = CodingChunked
		case len(item) == 0:
			ok = false
		case !bytes.EqualFold(item, identity): // RFC 2616 §3.6: stands for none
			coding = CodingOther
		}
	}
	return coding, ok
}

// ParseDecimal reads a number that consists of digits alone and fits.
func ParseDecimal(p []byte) (n int64, ok bool) {
	for _, c := range p {
		if c < '0' || c > '9' || n > (math.MaxInt64-int64(c-'0'))/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(p) > 0
}

// ChunkSize reads "size[;extensions]", the size in hexadecimal (RFC 9112
// §7.1).
func ChunkSize(line []byte) (n int64, ok bool) {
	if i := bytes.IndexByte(line, ';'); i >= 0 {
		line = line[:i]
	}
	line = bytes.TrimRight(line, " \t")
	for _, c := range line {
		var d int64
		switch {
		case '0' <= c && c <= '9':
			d = int64(c - '0')
		case 'a' <= c && c <= 'f':
			d = int64(c-'a') + 10
		case 'A' <= c && c <= 'F':
			d = int64(c-'A') + 10
		default:
			return 0, false
		}
		if n > math.MaxInt64>>4 {
			return 0, false
		}
		n = n<<4 | d
	}
	return n, len(line) > 0
}

// TrimSpace cuts spaces and tabs off both ends.
func TrimSpace(p []byte) []byte {
	for len(p) > 0 && (p[0] == ' ' || p[0] == '\t') {
		p = p[1:]
	}
	for len(p) > 0 && (p[len(p)-1] == ' ' || p[len(p)-1] == '\t') {
		p = p[:len(p)-1]
	}
	return p
}
