package compare

import (
	"bytes"
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Secrets are names whose values nobody may read in a report: a name is a
// header field's, a cookie's, a JSON key's, a form field's or a query
// parameter's, whatever its case. Authorization, Proxy-Authorization and the
// values of all cookies are always among them. Nil hides these only. Secrets
// are not changed by use, so that many may use them at once.
//
// All methods take text as it comes, cut anywhere and of any form. Where it is
// not clear what belongs to a value they hide more rather than less; what has
// no name in the text they are given they cannot know.
type Secrets struct {
	names  map[string]bool // in lower case
	finder *nameFinder     // of any of them
}

// hidden stands for a secret value. A second one that is not the same gets
// another added.
const (
	hidden  = "***"
	another = " (another value)"
)

var alwaysSecret = []string{"authorization", "proxy-authorization", "cookie", "set-cookie"}

var defaultSecrets = NewSecrets()

// NewSecrets returns what hides the values of these names, too.
func NewSecrets(names ...string) *Secrets {
	s := &Secrets{names: make(map[string]bool)}
	var all []string
	for _, name := range slices.Concat(alwaysSecret, names) {
		name = strings.ToLower(strings.TrimSpace(name))
		if name != "" && !s.names[name] {
			s.names[name] = true
			all = append(all, name)
		}
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	s.finder = newNameFinder(all)
	return s
}

func (s *Secrets) or() *Secrets {
	if s == nil {
		return defaultSecrets
	}
	return s
}

// secret reports whether the value of a name is hidden. Of names that are made
// of several, such as user[token], each is one.
func (s *Secrets) secret(name string) bool {
	name = strings.ToLower(strings.TrimSpace(name))
	return s.names[name] || strings.ContainsAny(name, "[].") &&
		slices.ContainsFunc(strings.FieldsFunc(name, func(c rune) bool { return c == '[' || c == ']' || c == '.' }), func(part string) bool { return s.names[part] })
}

// Hide replaces what is secret in a difference. Where both sides' values are
// hidden and not the same, that can still be seen.
//
// answers are the texts in which it was found, decoded, where they are at
// hand: an excerpt of text or bytes may lie in the middle of a secret, whose
// name stands before it.
func (s *Secrets) Hide(d *Difference, answers ...[]byte) {
	one := []Difference{*d}
	s.HideAll(one, answers...)
	*d = one[0]
}

// HideAll is Hide for several differences of the same two answers. It goes
// through these but once.
func (s *Secrets) HideAll(all []Difference, answers ...[]byte) {
	s = s.or()
	var values []string
	if slices.ContainsFunc(all, func(d Difference) bool { return !d.Place.Kind.Named() }) {
		values = s.values(answers)
	}
	for i := range all {
		s.hide(&all[i], values)
	}
}

// hide is Hide, where these are the secret values that have no name beside them
// in an excerpt.
func (s *Secrets) hide(d *Difference, values []string) {
	hide := func(v []byte) []byte {
		if v == nil {
			return nil
		}
		return []byte(s.value(d, string(v)))
	}
	production, application := hide(d.Production), hide(d.Application)
	if !d.Place.Kind.Named() {
		production, application = hideValues(production, values), hideValues(application, values)
	}
	if bytes.Equal(production, application) && !bytes.Equal(d.Production, d.Application) && production != nil && application != nil {
		application = append(application, another...)
	}
	d.Production, d.Application = production, application
}

// value hides what is secret in one side of a difference.
func (s *Secrets) value(d *Difference, text string) string {
	if strings.HasSuffix(d.Place.Name, nameCut) || strings.HasSuffix(d.Path, nameCut) {
		return hidden // nobody knows what the name was
	}
	switch d.Place.Kind {
	case InHeader:
		return s.header(d.Place.Name, text)
	case InCookie:
		if part, ok := strings.CutPrefix(d.Path, d.Place.Name+" "); ok && cookieAttribute(part) {
			return text
		}
		return hidden
	case InForm:
		if s.secret(d.Place.Name) {
			return hidden
		}
	case InJSON, InOrder:
		for _, where := range []string{d.Place.Name, d.Path} {
			path, err := readPath(where)
			if where != "" && (err != nil || slices.ContainsFunc(path, func(one step) bool { return s.secret(one.key) })) {
				return hidden
			}
		}
		return s.Body("application/json", text)
	}
	return s.line(text)
}

// Request hides the values of query parameters and a password before the
// host's name in the first line of a request, or of an answer.
func (s *Secrets) Request(line string) string { return s.or().line(line) }

// Words hides what is secret in the words of a command: TOKEN=value,
// --token=value, the word behind --token, and all that Body knows. A word may be
// a command itself.
func (s *Secrets) Words(words []string) []string {
	s = s.or()
	secretNext := false
	one := func(word string) string {
		if secretNext {
			secretNext = false
			return hidden
		}
		bare := strings.TrimLeft(word, "-")
		dashes := word[:len(word)-len(bare)]
		secretNext = dashes != "" && s.secret(bare)
		return dashes + s.line(bare)
	}
	out := make([]string, len(words))
	for i, word := range words {
		if secretNext {
			out[i] = one(word)
			continue
		}
		parts := strings.Split(s.line(word), " ")
		for j := range parts {
			parts[j] = one(parts[j])
		}
		out[i] = strings.Join(parts, " ")
	}
	return out
}

// userinfo is who asks, in a URL (RFC 3986 §3.2.1); cutUserinfo may be, where
// the text ends: what follows the colon is no port.
var (
	userinfo    = regexp.MustCompile(`((?::|%3[Aa])(?:/|%2[Ff]|\\/){2})[^/?#\s"'<>]*(?:@|%40)`)
	cutUserinfo = regexp.MustCompile(`(://)[^/?#\s"'<>:]*:[^/?#\s"'<>]*[^/?#\s"'<>0-9][^/?#\s"'<>]*$`)
)

func hideUser(text string) string {
	if hasUser(text) {
		text = userinfo.ReplaceAllString(text, "${1}"+hidden+"@")
	}
	if last := strings.LastIndex(text, "://"); last >= 0 { // behind it there is no slash
		text = text[:last] + cutUserinfo.ReplaceAllString(text[last:], "${1}"+hidden)
	}
	return text
}

// hasUser reports whether text has what userinfo needs to match, which takes 50
// ns for each byte.
func hasUser(text string) bool {
	return (strings.Contains(text, "@") || strings.Contains(text, "%40")) &&
		(strings.Contains(text, "/") || strings.Contains(text, "%2F") || strings.Contains(text, "%2f"))
}

// line hides what is secret in text in which parameters may be percent-encoded,
// and may belong to a URL.
func (s *Secrets) line(text string) string {
	text = hideUser(text)
	var b strings.Builder
	for len(text) > 0 {
		n := strings.IndexAny(text, "?&;# \t\r\n\"'<>,") + 1
		if n == 0 {
			n = len(text)
		}
		part, end := text[:n], ""
		if strings.ContainsAny(part[n-1:], "?&;# \t\r\n\"'<>,") {
			part, end = part[:n-1], part[n-1:]
		}
		name, _, pair := strings.Cut(part, "=")
		if pair && strings.Contains(name, "%") { // names in clear are for the search below
			if decoded, err := url.QueryUnescape(name); err == nil && s.secret(decoded) {
				part = name + "=" + hidden
			}
		}
		b.WriteString(part)
		b.WriteString(end)
		text = text[n:]
	}
	return s.text(b.String())
}

// blot returns bytes of any kind with stars for what is secret in them. Their
// number stays the same.
func (s *Secrets) blot(body []byte) []byte {
	out := bytes.Clone(body)
	for _, at := range s.or().find(string(body)) {
		blot(out[at.start:at.end])
	}
	return out
}

// text hides what is secret in text of any kind.
func (s *Secrets) text(text string) string { return hideSpans(text, s.find(text)) }

// Head hides the values of secret fields in the head of a message: its first
// line and header fields. Of cookies the names stay, and of cookies that are
// set the attributes.
func (s *Secrets) Head(text string) string {
	s = s.or()
	var b strings.Builder
	folded := "" // the secret field that the line before belongs to
	for line := range strings.Lines(text) {
		bare := strings.TrimRight(line, "\r\n")
		end := line[len(bare):]
		name, value, isField := strings.Cut(bare, ":")
		name = strings.TrimSpace(name)
		switch {
		case folded != "" && (bare == "" || bare[0] == ' ' || bare[0] == '\t'):
			if bare != "" {
				bare = " " + hidden
			}
		case isField && s.secret(name):
			folded = name
			space := value[:len(value)-len(strings.TrimLeft(value, " \t"))]
			bare = bare[:len(bare)-len(value)] + space + s.header(name, value[len(space):])
		default:
			folded = ""
			bare = s.line(bare)
		}
		b.WriteString(bare + end)
	}
	return b.String()
}

// header hides what is secret in a field's value.
func (s *Secrets) header(name, value string) string {
	switch name = strings.ToLower(name); {
	case value == "":
		return ""
	case name == "cookie":
		return hideCookies(value, func(string) bool { return false })
	case name == "set-cookie":
		return hideCookies(value, cookieAttribute)
	case s.secret(name):
		return hidden
	}
	return s.line(value)
}

// hideCookies hides the value of each name but those that may be read.
func hideCookies(value string, readable func(name string) bool) string {
	if strings.Contains(value, `"`) { // within quotes some write semicolons
		return hidden
	}
	var parts []string
	for i, part := range strings.Split(value, ";") {
		name, v, pair := strings.Cut(part, "=")
		pair = pair && strings.Trim(v, "= ") != "" // else it may be the end of base64
		switch {
		case i > 0 && readable(strings.TrimSpace(name)):
		case pair && i == 0, pair && !readable("Path"):
			part = name + "=" + hidden
		case strings.TrimSpace(part) != "":
			part = part[:len(part)-len(strings.TrimLeft(part, " "))] + hidden
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ";")
}

// cookieAttribute reports whether a name is that of an attribute, not of a
// cookie: RFC 6265 §4.1, and what came later.
func cookieAttribute(name string) bool {
	return slices.Contains([]string{"expires", "max-age", "domain", "path", "secure", "httponly", "samesite", "partitioned", "priority"}, strings.ToLower(name))
}

// Body hides what is secret in a body, or in a part of one, that is text:
// values of JSON, form fields, lines of header fields, attributes and elements.
func (s *Secrets) Body(contentType, text string) string {
	s = s.or()
	if strings.Contains(contentType, "json") || strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{") || strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "[") {
		if spans, ok := s.findJSON(text); ok {
			return hideUser(hideSpans(text, spans))
		}
	}
	return s.line(text)
}

// leastPart is how many bytes of a secret value are recognised without its
// name. What is shorter is part of any text.
const leastPart = 3

// values returns what is hidden in answers, longest first.
func (s *Secrets) values(answers [][]byte) []string {
	var values []string
	for _, answer := range answers {
		text := string(answer)
		spans := s.find(text)
		if more, ok := s.findJSON(text); ok {
			spans = append(spans, more...)
		}
		if hasUser(text) {
			for _, at := range userinfo.FindAllStringIndex(text, -1) {
				spans = append(spans, span{start: at[0], end: at[1]})
			}
		}
		for _, at := range spans {
			if value := text[at.start:at.end]; len(value) > leastPart {
				values = append(values, value)
			}
		}
	}
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.Compact(values)
}

// maxValues is how many secret values are looked for in each excerpt, which
// takes some 100 ns for each. Where answers have more, no excerpt is shown.
const maxValues = 2000

// hideValues hides all of the values that an excerpt shows something of. Where
// the excerpt was cut an ellipsis stands.
func hideValues(excerpt []byte, values []string) []byte {
	if excerpt == nil {
		return nil
	}
	if len(values) > maxValues && len(excerpt) > 0 {
		return []byte(hidden)
	}
	text, cutBefore := strings.CutPrefix(string(excerpt), "…")
	text, cutBehind := strings.CutSuffix(text, "…")
	text = hideIn(text, values)
	if cutBefore {
		text = "…" + text
	}
	if cutBehind {
		text += "…"
	}
	return []byte(text)
}

// hideIn does so in what was cut out of an answer in one piece.
func hideIn(text string, values []string) string {
	for _, v := range values {
		if len(text) >= leastPart && strings.Contains(v, text) {
			return hidden
		}
		text = strings.ReplaceAll(text, v, hidden)
		for n := min(len(v), len(text)); n >= leastPart; n-- {
			if strings.HasSuffix(text, v[:n]) {
				text = text[:len(text)-n] + hidden
				break
			}
		}
		for n := min(len(v), len(text)); n >= leastPart; n-- {
			if strings.HasPrefix(text, v[len(v)-n:]) {
				text = hidden + text[n:]
				break
			}
		}
	}
	return text
}
