package compare

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// step is one step of a path into a JSON document.
type step struct {
	kind stepKind
	key  string // of a member
	at   int    // of an element
}

type stepKind uint8

const (
	aMember    stepKind = iota // .price, ["unit price"]
	anyMember                  // .*
	anElement                  // [3]
	anyElement                 // [*]
	below                      // .. or .**: any number of steps, none too
)

// jsonPath is a pattern for places in JSON documents, such as
// "$.items[*].price", "$..token" or "$.meta.**". What it matches, a value is
// named by: what lies inside of the value is another place.
type jsonPath []step

// readPath reads a pattern. A star behind a dot is any member of an object, one
// in brackets any element of a list.
func readPath(text string) (jsonPath, error) {
	rest, ok := strings.CutPrefix(text, "$")
	if !ok {
		return nil, fmt.Errorf("a path begins with $, such as $.items[*].price")
	}
	var p jsonPath
	for rest != "" {
		switch {
		case strings.HasPrefix(rest, ".**"):
			p, rest = append(p, step{kind: below}), rest[3:]
			continue
		case strings.HasPrefix(rest, "..") && len(rest) > 2 && rest[2] != '.':
			p, rest = append(p, step{kind: below}), rest[1:]
			if rest[1] == '[' {
				rest = rest[1:]
			}
		}
		s, n, err := readStep(rest)
		if err != nil {
			return nil, err
		}
		p, rest = append(p, s), rest[n:]
	}
	return p, nil
}

// readStep reads one step, and says how long it is.
func readStep(text string) (s step, n int, err error) {
	if text[0] == '.' {
		n = 1 + strings.IndexAny(text[1:]+".", ".[")
		switch name := text[1:n]; name {
		case "":
			return s, 0, fmt.Errorf("a name is missing behind a dot")
		case "*":
			return step{kind: anyMember}, n, nil
		default:
			if strings.Contains(name, "*") {
				return s, 0, fmt.Errorf("%q: a star stands for a whole name; write [\"%s\"] for a name with a star", name, name)
			}
			return step{key: name}, n, nil
		}
	}
	if text[0] != '[' {
		return s, 0, fmt.Errorf("%q: want .name, [*], [3] or [\"name\"]", text)
	}
	if len(text) > 1 && (text[1] == '"' || text[1] == '\'') {
		key, n := quotedKey(text[1:])
		if n == 0 || len(text) < n+2 || text[n+1] != ']' {
			return s, 0, fmt.Errorf("%q does not end with the quote and ]", text)
		}
		return step{key: key}, n + 2, nil
	}
	n = strings.IndexByte(text, ']') + 1
	if n == 0 {
		return s, 0, fmt.Errorf("%q: ] is missing", text)
	}
	if text[:n] == "[*]" {
		return step{kind: anyElement}, n, nil
	}
	at, err := strconv.ParseUint(text[1:n-1], 10, 31)
	if err != nil {
		return s, 0, fmt.Errorf("%s: want [*], [3] or [\"name\"]", text[:n])
	}
	return step{kind: anElement, at: int(at)}, n, nil
}

// quotedKey reads a key between quotes, and says how long it is with them; 0
// if it has no end.
func quotedKey(text string) (key string, n int) {
	for n = 1; n < len(text) && text[n] != text[0]; n++ {
		if text[n] == '\\' {
			n++
		}
	}
	n++
	if n > len(text) {
		return "", 0
	}
	inside := text[1 : n-1]
	if text[0] == '"' && json.Unmarshal([]byte(text[:n]), &key) == nil {
		return key, n
	}
	if key, err := strconv.Unquote(`"` + inside + `"`); err == nil {
		return key, n
	}
	return inside, n
}

// match reports whether the pattern matches a path. As each step but below
// takes exactly one, only the last below ever needs to take more.
func (p jsonPath) match(path jsonPath) bool {
	at, back, taken := 0, -1, 0
	for n := 0; n < len(path); {
		switch {
		case at < len(p) && p[at].kind == below:
			back, taken = at, n
			at++
		case at < len(p) && p[at].match(path[n]):
			at++
			n++
		case back >= 0:
			taken++
			at, n = back+1, taken
		default:
			return false
		}
	}
	for at < len(p) && p[at].kind == below {
		at++
	}
	return at == len(p)
}

func (s step) match(other step) bool {
	switch s.kind {
	case anyMember:
		return other.kind == aMember || other.kind == anyMember
	case anyElement:
		return other.kind == anElement || other.kind == anyElement
	}
	return s == other
}

// indexed reports whether the pattern asks which element of a list it is, or
// for a key that places have a star for.
func (p jsonPath) indexed() bool {
	for _, s := range p {
		if s.kind == anElement || s.kind == aMember && madeKey([]byte(s.key)) {
			return true
		}
	}
	return false
}

// fixed reports whether the pattern matches one place only, and its name as
// the comparison writes it.
func (p jsonPath) fixed() (name string, ok bool) {
	for _, s := range p {
		if s.kind != aMember && s.kind != anyElement || s.kind == aMember && (!identifier(s.key) || madeKey([]byte(s.key))) {
			return "", false
		}
	}
	return p.String(), true
}

// String writes the path so that readPath reads it.
func (p jsonPath) String() string {
	var b strings.Builder
	b.WriteByte('$')
	for _, s := range p {
		switch s.kind {
		case aMember:
			if identifier(s.key) {
				b.WriteString("." + s.key)
				continue
			}
			b.WriteString("[" + strconv.Quote(s.key) + "]")
		case anyMember:
			b.WriteString(".*")
		case anElement:
			fmt.Fprintf(&b, "[%d]", s.at)
		case anyElement:
			b.WriteString("[*]")
		case below:
			b.WriteString(".**")
		}
	}
	return b.String()
}

func identifier(key string) bool {
	for i := 0; i < len(key); i++ {
		c := key[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return key != ""
}
