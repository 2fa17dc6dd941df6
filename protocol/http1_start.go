package protocol

import "bytes"

// startMethods are the methods that Start trusts: those of RFC 9110, PATCH, and
// WebDAV's. In the middle of a stream a word in capitals is no method just
// because it stands where one could.
var startMethods = [...]string{
	"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT",
	"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH",
}

// targetLimit is the longest target, in bytes, that Start looks back over.
const targetLimit = 8 << 10

// Start looks for a whole request line, METHOD target HTTP/1.x and a line end,
// and returns where its method begins. It accepts one that
//
//   - has one of the usual methods, and before it nothing (the beginning of p),
//     a line end, or any byte but a capital letter, '-' and '_': a body may end
//     with any byte, and "PROPPATCH" holds no PATCH;
//   - has a target without spaces in one of the four forms of RFC 9112 §3.2:
//     a path, a URL, "*" for OPTIONS, host and port for CONNECT;
//   - is followed by an empty line or the beginning of a field, as far as p
//     goes.
//
// It can be wrong in one way: a body which itself holds the text of a request,
// such as an uploaded log of a proxy, is taken for one. It misses a request
// behind a body that ends with a capital letter, one with a method of its own
// making, and one whose line is not all in p: call again with more bytes, from
// the last line end on.
func (h *http1) Start(p []byte) int {
	for from := 0; ; {
		i := bytes.Index(p[from:], versionMark)
		if i < 0 {
			return -1
		}
		at := from + i
		from = at + len(versionMark)
		if !lineEndsAfterVersion(p[from:]) {
			continue
		}
		if start := requestLineBefore(p, at); start >= 0 {
			return start
		}
	}
}

var versionMark = []byte(" HTTP/1.")

// lineEndsAfterVersion reads on after " HTTP/1.": the minor version, the line's
// end, and what the next line begins with.
func lineEndsAfterVersion(p []byte) bool {
	if len(p) == 0 || p[0] < '0' || p[0] > '9' {
		return false
	}
	switch p = p[1:]; {
	case bytes.HasPrefix(p, []byte("\r\n")):
		p = p[2:]
	case bytes.HasPrefix(p, []byte("\n")):
		p = p[1:]
	default:
		return false
	}
	name := methodToken(p)
	if name == len(p) || name > methodLimit {
		return true // as far as p goes
	}
	if name == 0 {
		return p[0] == '\r' || p[0] == '\n'
	}
	return p[name] == ':'
}

// requestLineBefore returns the offset of the request line whose version
// follows at p[at], or -1.
func requestLineBefore(p []byte, at int) int {
	sp := at - 1
	for ; sp >= 0 && p[sp] > ' ' && p[sp] != 0x7f; sp-- {
		if at-sp > targetLimit {
			return -1
		}
	}
	if sp < 0 || p[sp] != ' ' {
		return -1
	}
	target := p[sp+1 : at]
	for _, m := range startMethods {
		start := sp - len(m)
		if start < 0 || string(p[start:sp]) != m {
			continue
		}
		if (start == 0 || !partOfWord(p[start-1])) && targetFits(m, target) {
			return start
		}
	}
	return -1
}

// partOfWord reports that a method which follows c is the end of a longer word.
func partOfWord(c byte) bool { return 'A' <= c && c <= 'Z' || c == '-' || c == '_' }

// targetFits reports whether a target has a form that its method may have.
func targetFits(m string, target []byte) bool {
	switch {
	case len(target) == 0:
		return false
	case m == "CONNECT":
		return bytes.IndexByte(target, ':') > 0
	case target[0] == '/':
		return true
	case target[0] == '*':
		return m == "OPTIONS" && len(target) == 1
	}
	return bytes.HasPrefix(target, []byte("http://")) || bytes.HasPrefix(target, []byte("https://"))
}
