package tui

// What is what in an HTTP message: the status, header names, and in JSON the
// keys, strings, numbers and literals. The text stays as it is and is read line
// by line, so nothing in it can do more than look wrong.

import (
	"strings"
)

// tokenKind says what a part of a message is.
type tokenKind byte

const (
	tokenStatus tokenKind = iota // 200 OK
	tokenName                    // of a header
	tokenKey                     // of a JSON object, with its quotes
	tokenString
	tokenNumber
	tokenLiteral // true, false, null
)

// token is a part of a visible text that has a look of its own.
type token struct {
	span
	kind tokenKind
}

// messageStyles are the looks of a message. The zero value is plain. As in
// diffStyles they change no text.
type messageStyles struct {
	Text                         brush
	Status, Name                 brush
	Key, String, Number, Literal brush
}

// headTokens finds what is in a line of the head of a message.
func headTokens(line string) []token {
	if strings.HasPrefix(line, "HTTP/") {
		if _, status, found := strings.Cut(line, " "); found && status != "" {
			return []token{{span{len(line) - len(status), len(line)}, tokenStatus}}
		}
		return nil
	}
	colon := strings.IndexByte(line, ':')
	if colon <= 0 || strings.ContainsRune(line[:colon], ' ') { // GET http://a/
		return nil
	}
	return []token{{span{0, colon}, tokenName}}
}

// jsonTokens finds what is in a line of JSON. What is not JSON has fewer.
func jsonTokens(line string) (all []token) {
	for at := 0; at < len(line); {
		from, kind := at, tokenNumber
		switch c := line[at]; {
		case c == '"':
			at, kind = stringEnd(line, at), tokenString
			if rest := strings.TrimLeft(line[at:], " "); rest != "" && rest[0] == ':' {
				kind = tokenKey
			}
		case c == '-' || c >= '0' && c <= '9':
			at = runEnd(line, at, "+-.")
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			at, kind = runEnd(line, at, "_"), tokenLiteral
			if word := line[from:at]; word != "true" && word != "false" && word != "null" {
				continue
			}
		default:
			at++
			continue
		}
		all = append(all, token{span{from, at}, kind})
	}
	return whole(all, line)
}

// stringEnd returns where the string ends that begins with the quote at a place,
// which is the end of the line if nothing ends it.
func stringEnd(line string, at int) int {
	for at++; at < len(line); at++ {
		switch line[at] {
		case '\\':
			at++
		case '"':
			return at + 1
		}
	}
	return len(line)
}

// runEnd returns where letters, digits and some others end.
func runEnd(line string, at int, others string) int {
	for at < len(line) {
		c := line[at]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && strings.IndexByte(others, c) < 0 {
			break
		}
		at++
	}
	return at
}

// whole moves the ends of tokens behind the marks on their last characters, and
// leaves out what begins within them.
func whole(all []token, line string) []token {
	kept, at := all[:0], 0
	for _, t := range all {
		for at < t.from {
			n, _ := cell(line[at:])
			at += n
		}
		if at > t.from {
			continue
		}
		for at < t.to {
			n, _ := cell(line[at:])
			at += n
		}
		t.to = at
		kept = append(kept, t)
	}
	return kept
}

// drawTokens draws a visible line in exactly that many cells, the first left ones
// scrolled out.
func drawTokens(line string, tokens []token, left, cells int, s messageStyles) string {
	brushes := [...]brush{tokenStatus: s.Status, tokenName: s.Name, tokenKey: s.Key, tokenString: s.String, tokenNumber: s.Number, tokenLiteral: s.Literal}
	marks := make([]mark, len(tokens))
	for i, t := range tokens {
		marks[i] = mark{t.span, brushes[t.kind]}
	}
	return drawMarked(line, marks, left, cells, s.Text)
}
