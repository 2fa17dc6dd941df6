package compare

import (
	"bytes"
	"slices"

	"tcpsandbox/protocol"
)

// fieldPairs compares two lists of fields.
type fieldPairs struct {
	codings bool // Content-Encoding says how: the content is compared
	recoded bool // and it is another one
	lengths bool // without a body: Content-Length tells what it would have been

	doneP, doneA []bool
}

// fields compares header or trailer fields by name. Their order and the case
// of their names are spelling (RFC 9110 §5.1, §5.3), and whether a list stands
// in one line or in several.
func (f *found) fields(x *fieldPairs, p, a []field) {
	x.doneP = append(x.doneP[:0], make([]bool, len(p))...)
	x.doneA = append(x.doneA[:0], make([]bool, len(a))...)
	ordered, same := len(p) == len(a), len(p) == len(a)
	for i := range min(len(p), len(a)) {
		if !bytes.Equal(p[i].name, a[i].name) {
			ordered, same = false, false
			continue
		}
		equal := bytes.Equal(p[i].value, a[i].value)
		x.doneP[i], x.doneA[i] = equal, equal
		same = same && equal
	}
	if same {
		return
	}
	if !ordered {
		f.order(p, a)
	}
	for i := range p {
		if !x.doneP[i] {
			f.name(x, p[i].name, p, a)
		}
	}
	for i := range a {
		if !x.doneA[i] {
			f.name(x, a[i].name, p, a)
		}
	}
}

// order notes whether the names that both have are in another order.
func (f *found) order(p, a []field) {
	i, j := 0, 0
	for {
		for i < len(p) && !has(a, p[i].name) {
			i++
		}
		for j < len(a) && !has(p, a[j].name) {
			j++
		}
		if i == len(p) || j == len(a) {
			return
		}
		if !sameName(p[i].name, a[j].name) {
			f.spelled("header order")
			break
		}
		i, j = i+1, j+1
	}
}

func has(fields []field, name []byte) bool {
	for i := range fields {
		if sameName(fields[i].name, name) {
			return true
		}
	}
	return false
}

func sameName(a, b []byte) bool {
	return len(a) == len(b) && (bytes.Equal(a, b) || bytes.EqualFold(a, b))
}

// name compares all fields of one name.
func (f *found) name(x *fieldPairs, name []byte, p, a []field) {
	if is(name, "set-cookie") {
		f.cookies(pick(p, name, x.doneP), pick(a, name, x.doneA))
		return
	}
	production, np := list(p, name, x.doneP)
	application, na := list(a, name, x.doneA)
	if np > 0 && na > 0 && !sameSpelling(p, a, name) {
		f.spelled("header case")
	}
	if np > 0 && na > 0 && bytes.Equal(production, application) {
		if np != na {
			f.spelled("header lines")
		}
		return
	}
	if np == 0 {
		production = nil
	}
	if na == 0 {
		application = nil
	}
	if how := x.allowed(name, production, application); how != "" {
		f.spelled(how)
		return
	}
	if len(name) == len("content-length") && is(name, "content-length") && !x.lengths || is(name, "connection") {
		return // the body's difference; see connection
	}
	f.note(Difference{Place: Place{InHeader, lowered(name)}, Production: production, Application: application})
}

// list returns the values of a name in order, as one list, and how many fields
// they are.
func list(fields []field, name []byte, done []bool) (value []byte, n int) {
	for i := range fields {
		if !sameName(fields[i].name, name) {
			continue
		}
		done[i] = true
		if n++; n == 1 {
			value = fields[i].value
			continue
		}
		if n == 2 {
			value = bytes.Clone(value)
		}
		value = append(append(value, ", "...), fields[i].value...)
	}
	if value == nil && n > 0 {
		value = []byte{}
	}
	return value, n
}

// pick returns the fields of a name.
func pick(fields []field, name []byte, done []bool) (picked []field) {
	for i := range fields {
		if sameName(fields[i].name, name) {
			done[i] = true
			picked = append(picked, fields[i])
		}
	}
	return picked
}

// sameSpelling reports whether a name is written in the same case on both sides.
func sameSpelling(p, a []field, name []byte) bool {
	i := slices.IndexFunc(p, func(x field) bool { return sameName(x.name, name) })
	j := slices.IndexFunc(a, func(x field) bool { return sameName(x.name, name) })
	return bytes.Equal(p[i].name, a[j].name)
}

// allowed returns what a difference between fields is a spelling of; "": of
// nothing. These say how an answer is sent, not what it says:
//
//   - Content-Length, Transfer-Encoding, Trailer, TE: where the body ends. What
//     it is is compared by itself. The lengths of bodies that are not there
//     (HEAD, 304) are compared.
//   - Keep-Alive, Proxy-Connection: hints about the connection. Whether it
//     lasts is compared by itself.
//   - Content-Encoding, where the content is compared. A server that compresses
//     changes other fields with it, which then count as well: Vary gets
//     Accept-Encoding, ETag becomes weak or gets the coding's name, and
//     Accept-Ranges goes.
func (x *fieldPairs) allowed(name, production, application []byte) string {
	lacking := production == nil || application == nil
	switch {
	case is(name, "content-length"):
		if lacking {
			return "chunking"
		}
	case is(name, "transfer-encoding"), is(name, "trailer"), is(name, "te"):
		return "chunking"
	case is(name, "keep-alive"), is(name, "proxy-connection"):
		return "connection"
	case is(name, "content-encoding"):
		if x.codings {
			return "content coding"
		}
	case !x.recoded:
	case is(name, "accept-ranges") && lacking,
		is(name, "vary") && sameVary(production, application),
		is(name, "etag") && !lacking && bytes.Equal(entityTag(production), entityTag(application)):
		return "content coding"
	}
	return ""
}

// sameVary compares lists of field names without Accept-Encoding.
func sameVary(a, b []byte) bool {
	names := func(value []byte) (names []string) {
		for item := range bytes.SplitSeq(value, comma) {
			if item = protocol.TrimSpace(item); len(item) > 0 && !is(item, "accept-encoding") {
				names = append(names, lowered(item))
			}
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	return slices.Equal(names(a), names(b))
}

// entityTag returns what an ETag says of the content: without the weakness that
// nginx adds when it compresses, and without the suffix that Apache does
// ("…-gzip").
func entityTag(value []byte) []byte {
	value = bytes.TrimPrefix(value, []byte("W/"))
	value = bytes.Trim(value, `"`)
	for _, suffix := range [...]string{"-gzip", "-br", "-zstd", "-deflate", ";gzip", "--gzip"} {
		if cut, ok := bytes.CutSuffix(value, []byte(suffix)); ok {
			return cut
		}
	}
	return value
}

// lowered returns a name in lower case. Names that are met often cost no
// allocation.
func lowered(name []byte) string {
	var room [64]byte
	lower := append(room[:0], name...)
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c | 0x20
		}
	}
	if s, ok := usualNames[string(lower)]; ok {
		return s
	}
	return string(lower)
}

var usualNames = func() map[string]string {
	names := make(map[string]string)
	for _, s := range []string{"date", "age", "etag", "expires", "server", "via", "location", "vary", "last-modified",
		"content-type", "content-encoding", "cache-control", "x-request-id", "server-timing", "traceparent"} {
		names[s] = s
	}
	return names
}()
