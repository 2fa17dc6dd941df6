package compare

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// span is the place of a secret value in a text.
type span struct {
	start, end int
	bare       bool // JSON that is no string: it gets quotes
}

// hideSpans replaces what lies in the spans.
func hideSpans(text string, spans []span) string {
	slices.SortFunc(spans, func(a, b span) int { return a.start - b.start })
	var b strings.Builder
	from := 0
	for _, at := range spans {
		if at.start < from {
			from = max(from, at.end)
			continue
		}
		b.WriteString(text[from:at.start])
		if at.bare {
			b.WriteString(`"` + hidden + `"`)
		} else {
			b.WriteString(hidden)
		}
		from = at.end
	}
	return b.String() + text[from:]
}

// find looks for secret names in text of any kind, and for the values that
// belong to them. It looks at the surroundings of each name only, so that
// nothing that stands before it leads astray:
//
//	name=value  "name": "value"  \"name\":\"value\"  Name: value
//	name%3Dvalue  <name>value</name>  <input name="name" value="value">
func (s *Secrets) find(text string) (spans []span) {
	for from := 0; from < len(text); {
		start, end := s.finder.next(text, from)
		if start < 0 {
			return spans
		}
		from = start + 1
		if !begins(text, start) || end < len(text) && wordByte(text[end]) {
			continue
		}
		found := valueOf(text, start, end)
		spans = append(spans, found...)
		if len(found) == 1 && found[0].start >= end && found[0].end == len(text) {
			return spans // so a text full of names and open quotes takes no longer than others
		}
	}
	return spans
}

// maxBetween bounds what may stand between a name and its value, and maxTag how
// far back the beginning of its tag is looked for, in bytes.
const (
	maxBetween = 1 << 10
	maxTag     = 8 << 10
)

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// begins reports whether a name may begin at i: there, or behind an escape such
// as %26, \n or \u0026.
func begins(text string, i int) bool {
	return i == 0 || !wordByte(text[i-1]) ||
		i >= 3 && text[i-3] == '%' || i >= 2 && text[i-2] == '\\' || i >= 6 && text[i-6:i-4] == `\u` || i >= 4 && text[i-4:i-2] == `\x`
}

// behindName is what may stand between a name and the sign behind it, and the
// sign.
var behindName = regexp.MustCompile(`^(?:[\]"'\\)\s]|%5[Dd]|%22|%20|&quot;|&#34;)*(=>|=|:|%3[DdAa]|\\u003[dD])`)

// valueOf returns where the value of the name text[start:end] stands, if it has
// one.
func valueOf(text string, start, end int) []span {
	before := strings.TrimRight(text[:start], "\\")
	if strings.HasSuffix(before, "<") || tagPrefix.MatchString(text[max(0, start-64):start]) {
		return element(text, end)
	}
	sign := behindName.FindStringSubmatchIndex(text[end:min(len(text), end+maxBetween)])
	if sign == nil {
		return slices.Concat(attributes(text, start, end), content(text, start, end), formPart(text, start, end))
	}
	quoted := sign[2] > 0 && strings.ContainsAny(text[end:end+sign[2]], `"'`)
	mark := text[end+sign[2] : end+sign[3]]
	i := end + sign[1]
	line := !quoted && (mark == ":" || strings.EqualFold(mark, "%3a"))
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || !line && (text[i] == '\r' || text[i] == '\n')) {
		i++
	}
	if i == len(text) {
		return nil
	}
	if line {
		return []span{{start: i, end: lineEnd(text, i)}}
	}
	if quote := i + len(text[i:]) - len(strings.TrimLeft(text[i:], `\`)); quote < len(text) && strings.IndexByte("\"'`", text[quote]) >= 0 {
		return []span{{start: quote + 1, end: quoteEnd(text, quote, quote-i)}}
	}
	if text[i] == '{' || text[i] == '[' {
		return []span{{start: i, end: bracketEnd(text, i)}}
	}
	ends := "&; \t\r\n\"'<>`"
	if quoted {
		ends = ", \t\r\n}]\"'<>&;"
	}
	return []span{{start: i, end: wordEnd(text, i, ends)}}
}

var tagPrefix = regexp.MustCompile(`<[\w.-]{1,60}:$`)

// element returns the content of an XML element whose name ends at end.
func element(text string, end int) []span {
	open := strings.IndexByte(text[end:], '>')
	if open < 0 {
		return []span{{start: end, end: len(text)}}
	}
	from := end + open + 1
	if closing := strings.Index(text[from:], "</"); closing >= 0 {
		return []span{{start: from, end: from + closing}}
	}
	return []span{{start: from, end: len(text)}}
}

var valueAttribute = regexp.MustCompile(`(?i)\b(?:value|content)\s*=\s*(\\*)(["']?)`)

// attributes returns the values in the tag that the name is an attribute of.
func attributes(text string, start, end int) (spans []span) {
	near := text[max(0, start-maxTag):start]
	tag := max(strings.LastIndexByte(near, '<'), strings.LastIndex(near, `\u003c`))
	if tag < 0 {
		return nil
	}
	for at := start - len(near) + tag; at < len(text); {
		m := valueAttribute.FindStringSubmatchIndex(text[at:min(len(text), end+maxBetween)])
		if m == nil {
			return spans
		}
		if from := max(end, at); at+m[0] > from && strings.IndexByte(text[from:at+m[0]], '>') >= 0 {
			return spans // of another tag
		}
		one := span{start: at + m[1]}
		if m[5] > m[4] {
			one.end = quoteEnd(text, at+m[4], m[3]-m[2])
		} else {
			one.end = wordEnd(text, one.start, " \t\r\n>\"'")
		}
		spans = append(spans, one)
		at = max(one.end, at+m[1])
	}
	return spans
}

var nameAttribute = regexp.MustCompile(`(?i)\sname\s*=\s*\\*["']?$`)

// content returns the text of the element that has the name as its name:
// <textarea name="name">value</textarea>.
func content(text string, start, end int) []span {
	if !nameAttribute.MatchString(text[max(0, start-16):start]) {
		return nil
	}
	near := text[max(0, start-maxTag):start]
	if tag := near[max(0, strings.LastIndexByte(near, '<')):]; len(tag) > 6 && strings.EqualFold(tag[:6], "<input") {
		return nil // it has an attribute, and no content
	}
	n := strings.IndexAny(text[end:min(len(text), end+maxBetween)], "<>")
	if n < 0 || text[end+n] == '<' {
		return nil
	}
	from, to := end+n+1, len(text)
	if n := strings.IndexByte(text[from:], '<'); n >= 0 {
		to = from + n
	}
	if strings.TrimSpace(text[from:to]) == "" {
		return nil
	}
	return []span{{start: from, end: to}}
}

var (
	formPartHead = regexp.MustCompile(`(?i)content-disposition:[^\r\n]*$`)
	headEnd      = regexp.MustCompile(`\r?\n\r?\n`)
)

// formPart returns the value of a multipart form's field (RFC 7578), whose name
// stands in the head of its part.
func formPart(text string, start, end int) []span {
	if !formPartHead.MatchString(text[max(0, start-256):start]) {
		return nil
	}
	m := headEnd.FindStringIndex(text[end:min(len(text), end+maxBetween)])
	if m == nil {
		return nil
	}
	from, to := end+m[1], len(text)
	if n := strings.Index(text[from:], "\n--"); n >= 0 {
		to = from + len(strings.TrimRight(text[from:from+n], "\r"))
	}
	return []span{{start: from, end: to}}
}

// lineEnd is where a line ends, and those that go on with it.
func lineEnd(text string, i int) int {
	for {
		n := strings.IndexAny(text[i:], "\r\n")
		if n < 0 {
			return len(text)
		}
		end := i + n
		next := len(text) - len(strings.TrimLeft(text[end:], "\r\n"))
		if next == len(text) || text[next] != ' ' && text[next] != '\t' {
			return end
		}
		i = next
	}
}

// quoteEnd is where the text ends that the quote opened, which stands behind so
// many backslashes: at one behind no more.
func quoteEnd(text string, quote, slashes int) int {
	for i := quote + 1; i < len(text); i++ {
		if text[i] != text[quote] {
			continue
		}
		before := strings.TrimRight(text[quote+1:i], `\`)
		if n := i - quote - 1 - len(before); n <= slashes {
			return i - n
		}
	}
	return len(text)
}

// bracketEnd is where an object or a list ends.
func bracketEnd(text string, i int) int {
	depth := 0
	for ; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			if i = quoteEnd(text, i, 0); i == len(text) {
				return i
			}
		}
	}
	return len(text)
}

var scheme = regexp.MustCompile(`(?i)^(?:bearer|basic|digest|negotiate|token|apikey)(?:[ \t]|%20|\+)+`)

// wordEnd is where a value without quotes ends.
func wordEnd(text string, i int, ends string) int {
	if m := scheme.FindString(text[i:]); m != "" {
		i += len(m)
	}
	if n := strings.IndexAny(text[i:], ends); n >= 0 {
		return i + n
	}
	return len(text)
}

// findJSON looks for secret keys in a JSON document, which may be cut. It is
// false where the text is something else.
func (s *Secrets) findJSON(text string) ([]span, bool) {
	p := jsonSecrets{s: s, text: strings.TrimSuffix(text, "…")}
	ok := p.value(0, false)
	p.space()
	return p.spans, ok && p.at == len(p.text)
}

// jsonSecrets goes through a document. Whatever is cut off at its end was
// right.
type jsonSecrets struct {
	s     *Secrets
	text  string
	at    int
	spans []span
}

func (p *jsonSecrets) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// value passes a value. In a hidden one nothing is noted.
func (p *jsonSecrets) value(depth int, inHidden bool) bool {
	p.space()
	if p.at == len(p.text) {
		return true
	}
	switch c := p.text[p.at]; {
	case depth > 1000:
		return false
	case c == '"':
		_, ok := p.str(inHidden)
		return ok
	case c == '{' || c == '[':
		p.at++
		return p.elements(c, depth, inHidden)
	default:
		n := strings.IndexAny(p.text[p.at:], ",]} \t\r\n")
		if n < 0 {
			n = len(p.text) - p.at
		}
		word := p.text[p.at : p.at+n]
		p.at += n
		cut := strings.Trim(word, "+-.0123456789eE") == "" || strings.HasPrefix("true", word) || strings.HasPrefix("false", word) || strings.HasPrefix("null", word)
		return json.Valid([]byte(word)) || cut && p.at == len(p.text)
	}
}

// elements passes what an object or a list holds, and its end.
func (p *jsonSecrets) elements(open byte, depth int, inHidden bool) bool {
	for first := true; ; first = false {
		p.space()
		switch {
		case p.at == len(p.text):
			return true
		case p.text[p.at] == open+2: // ] and } are two behind [ and {
			p.at++
			return true
		case !first && p.text[p.at] != ',':
			return false
		case !first:
			p.at++
		}
		secret := false
		if open == '{' {
			p.space()
			key, ok := p.str(inHidden)
			if !ok {
				return false
			}
			if p.space(); p.at < len(p.text) {
				if p.text[p.at] != ':' {
					return false
				}
				p.at++
			}
			secret = p.s.secret(key)
		}
		p.space()
		start, count := p.at, len(p.spans)
		if !p.value(depth+1, inHidden || secret) {
			return false
		}
		if secret && !inHidden && p.at > start {
			p.spans = append(p.spans[:count], p.hide(start))
		}
	}
}

// hide returns the span of the value from start to here.
func (p *jsonSecrets) hide(start int) span {
	if p.text[start] != '"' {
		return span{start: start, end: p.at, bare: true}
	}
	end := p.at
	if end-start > 1 && p.text[end-1] == '"' && p.at < len(p.text) {
		end--
	}
	return span{start: start + 1, end: end}
}

// str passes a string and returns it as it is meant. What is secret in it is
// noted.
func (p *jsonSecrets) str(inHidden bool) (text string, ok bool) {
	if p.at == len(p.text) {
		return "", true
	}
	if p.text[p.at] != '"' {
		return "", false
	}
	start := p.at
	for p.at++; p.at < len(p.text) && p.text[p.at] != '"'; p.at++ {
		if p.text[p.at] == '\\' {
			p.at++
		}
	}
	inside := p.text[start+1 : min(p.at, len(p.text))]
	p.at = min(p.at+1, len(p.text))
	if !inHidden {
		for _, at := range p.s.find(inside) {
			p.spans = append(p.spans, span{start: start + 1 + at.start, end: start + 1 + at.end})
		}
	}
	if strings.Contains(inside, `\`) && json.Unmarshal([]byte(p.text[start:p.at]), &text) == nil {
		return text, true
	}
	return inside, true
}
