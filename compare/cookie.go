package compare

import (
	"bytes"
	"slices"
	"strings"

	"tcpsandbox/protocol"
)

// cookie is a Set-Cookie field (RFC 6265 §5.2).
type cookie struct {
	name       string
	value      []byte
	attributes []field // names as in attributeNames, where they are known
	text       []byte  // all attributes, as they were written
	paired     bool
}

// attributeNames are the attributes that cookies have, as they are reported.
var attributeNames = []string{"Expires", "Max-Age", "Domain", "Path", "Secure", "HttpOnly", "SameSite", "Partitioned", "Priority"}

// cookies compares the cookies that are set, by name; several of one name in
// their order. Values and attributes are differences of their own, so that
// rules can allow a session's id to differ and not the loss of HttpOnly.
func (f *found) cookies(production, application []field) {
	p, a := parseCookies(production), parseCookies(application)
	for i := range p {
		j := slices.IndexFunc(a, func(c cookie) bool { return !c.paired && c.name == p[i].name })
		if j < 0 {
			f.note(Difference{Place: Place{InCookie, p[i].name}, Production: p[i].text})
			continue
		}
		a[j].paired = true
		if i != j {
			f.spelled("header order")
		}
		f.cookie(&p[i], &a[j])
	}
	for i := range a {
		if !a[i].paired {
			f.note(Difference{Place: Place{InCookie, a[i].name}, Application: a[i].text})
		}
	}
}

// cookie compares two cookies of one name.
func (f *found) cookie(p, a *cookie) {
	place := Place{InCookie, p.name}
	if !bytes.Equal(p.value, a.value) {
		f.note(Difference{Place: place, Path: p.name + " value", Production: p.value, Application: a.value})
	}
	same := true
	each := func(name []byte) {
		x, y := attribute(p.attributes, name), attribute(a.attributes, name)
		switch {
		case (x == nil) == (y == nil) && bytes.Equal(x, y):
		case x != nil && y != nil && sameAttribute(name, x, y):
			f.spelled("cookie")
		default:
			same = false
			f.note(Difference{Place: place, Path: p.name + " " + string(name), Production: x, Application: y})
		}
	}
	for i := range p.attributes {
		if firstOf(p.attributes, i) {
			each(p.attributes[i].name)
		}
	}
	for i := range a.attributes {
		if firstOf(a.attributes, i) && attribute(p.attributes, a.attributes[i].name) == nil {
			each(a.attributes[i].name)
		}
	}
	if same && !bytes.Equal(p.text, a.text) {
		f.spelled("cookie")
	}
}

// sameAttribute compares values that are written otherwise: RFC 6265 §5.2.3
// and its successor §5.6.7.
func sameAttribute(name, x, y []byte) bool {
	switch string(name) {
	case "Domain":
		return bytes.EqualFold(bytes.TrimPrefix(x, []byte(".")), bytes.TrimPrefix(y, []byte(".")))
	case "SameSite", "Priority":
		return bytes.EqualFold(x, y)
	case "Secure", "HttpOnly", "Partitioned":
		return true // the value is ignored
	}
	return false
}

// attribute returns an attribute's value: the last one's, as clients have it;
// nil if there is none.
func attribute(attributes []field, name []byte) []byte {
	for i := len(attributes) - 1; i >= 0; i-- {
		if bytes.Equal(attributes[i].name, name) {
			return attributes[i].value
		}
	}
	return nil
}

// firstOf reports whether no attribute before this one has its name.
func firstOf(attributes []field, i int) bool {
	return attribute(attributes[:i], attributes[i].name) == nil
}

func parseCookies(fields []field) []cookie {
	cookies := make([]cookie, 0, len(fields))
	for _, line := range fields {
		first, rest, _ := bytes.Cut(line.value, semicolon)
		name, value, ok := bytes.Cut(first, equals)
		if !ok {
			name, value = nil, first
		}
		c := cookie{name: string(protocol.TrimSpace(name)), value: orEmpty(protocol.TrimSpace(value)), text: orEmpty(protocol.TrimSpace(rest))}
		for item := range bytes.SplitSeq(rest, semicolon) {
			if item = protocol.TrimSpace(item); len(item) > 0 && len(c.attributes) < attributeLimit {
				c.attributes = append(c.attributes, parseAttribute(item))
			}
		}
		cookies = append(cookies, c)
	}
	return cookies
}

// attributeLimit bounds the attributes of a cookie; there are nine.
const attributeLimit = 32

// parseAttribute reads "name=value". An attribute without a value has its name
// for one.
func parseAttribute(item []byte) field {
	name, value, ok := bytes.Cut(item, equals)
	name, value = protocol.TrimSpace(name), protocol.TrimSpace(value)
	for _, known := range attributeNames {
		if strings.EqualFold(known, string(name)) {
			name = []byte(known)
		}
	}
	if !ok {
		value = name
	}
	return field{name, orEmpty(value)}
}

func orEmpty(p []byte) []byte {
	if p == nil {
		return []byte{}
	}
	return p
}

var (
	semicolon = []byte(";")
	equals    = []byte("=")
)
