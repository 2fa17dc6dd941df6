package compare

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// text compares two texts line by line. Lines that both have are found first,
// so that a line more is one difference. Of a line that was replaced the words
// are told that differ, if it has as many of them and the same white space
// between them. Other line ends are the Spelling "line ends". It notes nothing
// and returns false where one of them is no text.
func (f *found) text(production, application []byte) bool {
	if !isText(production) || !isText(application) {
		return false
	}
	c := textComparer{f: f}
	// The bytes that both begin with, and the lines that do.
	begin := bytes.LastIndexByte(production[:alike(production, application)], '\n') + 1
	line := 1 + bytes.Count(production[:begin], []byte{'\n'})
	p, a := production[begin:], application[begin:]
	for len(p) > 0 && len(a) > 0 {
		pl, pRest := firstLine(p)
		al, aRest := firstLine(a)
		if !c.same(pl, al) {
			break
		}
		p, a, line = pRest, aRest, line+1
	}
	// And those that both end with.
	tail := alikeAtEnd(p, a)
	if i := bytes.IndexByte(p[len(p)-tail:], '\n'); i >= 0 {
		tail -= i + 1
		p, a = p[:len(p)-tail], a[:len(a)-tail]
	}
	for len(p) > 0 && len(a) > 0 {
		pRest, pl := lastLine(p)
		aRest, al := lastLine(a)
		if !c.same(pl, al) {
			break
		}
		p, a = pRest, aRest
	}
	c.middle(p, a, line)
	if c.ends {
		f.spelled("line ends")
	}
	return true
}

// isText reports whether p is UTF-8 without control characters, but for those
// that texts and terminals' colours have.
func isText(p []byte) bool {
	for len(p) > 0 {
		if len(p) >= 8 {
			w := binary.LittleEndian.Uint64(p)
			if ((w-' '*eachByte)|(w+eachByte)|w)&topBits == 0 { // all of them from ' ' to '~'
				p = p[8:]
				continue
			}
		}
		c := p[0]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(p)
			if r == utf8.RuneError && size == 1 {
				return false
			}
			p = p[size:]
			continue
		}
		if c < ' ' && notText&(1<<c) != 0 || c == 0x7f {
			return false
		}
		p = p[1:]
	}
	return true
}

// notText has a bit for each control character that texts do not have.
const notText = 1<<' ' - 1 - (1<<'\t' | 1<<'\n' | 1<<'\f' | 1<<'\r' | 1<<'\x1b')

// textLine is a line and how it ends: "\n", "\r\n", or "" for the last one.
type textLine struct{ text, end []byte }

// firstLine cuts the first line off.
func firstLine(p []byte) (line textLine, rest []byte) {
	i := bytes.IndexByte(p, '\n') + 1
	if i == 0 {
		i = len(p)
	}
	return lineOf(p[:i]), p[i:]
}

// lastLine cuts the last line off.
func lastLine(p []byte) (rest []byte, line textLine) {
	i := bytes.LastIndexByte(p[:len(p)-1], '\n') + 1
	return p[:i], lineOf(p[i:])
}

func lineOf(p []byte) textLine {
	text, ok := bytes.CutSuffix(p, []byte{'\n'})
	if ok {
		text = bytes.TrimSuffix(text, []byte{'\r'})
	}
	return textLine{text, p[len(text):]}
}

func lines(p []byte) []textLine {
	all := make([]textLine, 0, bytes.Count(p, []byte{'\n'})+1)
	for len(p) > 0 {
		var l textLine
		l, p = firstLine(p)
		all = append(all, l)
	}
	return all
}

// textComparer notes what differs between two texts.
type textComparer struct {
	f    *found
	ends bool // a line was met that both have, with another end
}

func (c *textComparer) same(p, a textLine) bool {
	if !bytes.Equal(p.text, a.text) {
		return false
	}
	c.ends = c.ends || !bytes.Equal(p.end, a.end)
	return true
}

// maxDiffLines is how many lines a side are matched; more are compared one by
// one, in order.
const maxDiffLines = 2000

// middle compares what is left between the lines that both texts begin and
// end with; line is the number of its first one.
func (c *textComparer) middle(p, a []byte, line int) {
	if len(p) > 0 && len(a) > 0 {
		pl, pRest := firstLine(p)
		al, aRest := firstLine(a)
		if len(pRest) == 0 && len(aRest) == 0 { // as a rule: a text in which one line differs
			c.words(pl, al, line)
			return
		}
	}
	if bytes.Count(p, []byte{'\n'}) >= maxDiffLines || bytes.Count(a, []byte{'\n'}) >= maxDiffLines {
		c.inOrder(p, a, line)
		return
	}
	ps, as := lines(p), lines(a)
	// Of several ways to match that are as good, the same one is taken whichever
	// side is which.
	swapped := bytes.Compare(p, a) > 0
	if swapped {
		ps, as = as, ps
	}
	matches := matchLines(sumLines(ps), sumLines(as))
	if swapped {
		ps, as = as, ps
		for i, m := range matches {
			matches[i].a, matches[i].b = m.b, m.a
		}
	}
	i, j := 0, 0
	for _, m := range matches {
		c.replaced(ps[i:m.a], as[j:m.b], line+i, line+j)
		c.same(ps[m.a], as[m.b])
		i, j = m.a+1, m.b+1
	}
	c.replaced(ps[i:], as[j:], line+i, line+j)
}

// inOrder compares the first line with the first, and so on, and holds none.
func (c *textComparer) inOrder(p, a []byte, line int) {
	for ; len(p) > 0 || len(a) > 0; line++ {
		var pl, al textLine
		switch {
		case len(p) == 0:
			al, a = firstLine(a)
			c.note(line, 0, nil, &al.text)
		case len(a) == 0:
			pl, p = firstLine(p)
			c.note(line, 0, &pl.text, nil)
		default:
			pl, p = firstLine(p)
			al, a = firstLine(a)
			c.words(pl, al, line)
		}
	}
}

// replaced notes lines that stand in each other's place: the first for the
// first, and so on. pLine and aLine are the numbers of the first ones.
func (c *textComparer) replaced(ps, as []textLine, pLine, aLine int) {
	n := min(len(ps), len(as))
	for i := range n {
		c.words(ps[i], as[i], pLine+i)
	}
	for i := n; i < len(ps); i++ {
		c.note(pLine+i, 0, &ps[i].text, nil)
	}
	for i := n; i < len(as); i++ {
		c.note(aLine+i, 0, nil, &as[i].text)
	}
}

// words compares two lines by words, or as a whole where these do not stand
// for each other.
func (c *textComparer) words(pl, al textLine, line int) {
	if c.same(pl, al) {
		return
	}
	if c.f.enough() { // as note does, but for all words at once
		return
	}
	// The first few are told once the whole line is known to have the same
	// shape; of lines with more, the words are looked at again.
	var few [8]struct {
		word                    int
		production, application []byte
	}
	n := 0
	same := eachWord(pl.text, al.text, func(word int, pw, aw []byte) bool {
		if n < len(few) {
			few[n].word, few[n].production, few[n].application = word, pw, aw
		}
		n++
		return true
	})
	if !same {
		c.note(line, 0, &pl.text, &al.text)
		return
	}
	for i := range min(n, len(few)) {
		c.note(line, few[i].word, &few[i].production, &few[i].application)
	}
	if n <= len(few) {
		return
	}
	seen := 0
	eachWord(pl.text, al.text, func(word int, pw, aw []byte) bool {
		if seen++; seen <= len(few) {
			return true
		}
		if c.f.enough() {
			return false // the rest of the line counts as one
		}
		c.note(line, word, &pw, &aw)
		return true
	})
}

// eachWord calls f with the words in which two lines differ, counted from 1,
// until it returns false. It returns false itself where the lines do not have
// the same number of words, with the same white space between them.
func eachWord(p, a []byte, f func(word int, pw, aw []byte) bool) bool {
	for word := 1; len(p) > 0 && len(a) > 0; {
		var pw, aw []byte
		pw, p = firstWord(p)
		aw, a = firstWord(a)
		equal, space := bytes.Equal(pw, aw), isSpace(pw)
		if !equal {
			if space || isSpace(aw) {
				return false
			}
			if !f(word, pw, aw) {
				return true
			}
		}
		if !space {
			word++
		}
	}
	return len(p) == 0 && len(a) == 0
}

// firstWord cuts the first word off: letters, digits and underscores, or a token
// in base64; or white space, which is not counted as a word; or any other
// character by itself.
func firstWord(p []byte) (word, rest []byte) {
	if n := tokenLength(p); n > 0 {
		return p[:n], p[n:]
	}
	kind, at := 0, 0
	if len(p) > 0 && p[0] < utf8.RuneSelf {
		if kind = int(asciiKinds[p[0]]); kind == otherRune {
			return p[:1], p[1:]
		}
		for at = 1; at < len(p) && p[at] < utf8.RuneSelf && int(asciiKinds[p[at]]) == kind; {
			at++
		}
		if at < len(p) && p[at] < utf8.RuneSelf {
			return p[:at], p[at:]
		}
	}
	for at < len(p) {
		r, size := utf8.DecodeRune(p[at:])
		k := runeKind(r)
		if at > 0 && k != kind {
			break
		}
		kind, at = k, at+size
		if kind == otherRune {
			break
		}
	}
	return p[:at], p[at:]
}

// A token is at least minToken long. maxToken bytes tell whether it is one: in
// random ones two of three are of another class than the one before. A fourth is
// asked for: a third left out 15 of 2,000 tokens of 34 bytes.
const minToken, maxToken = 16, 64

// tokenLength returns how long the random token in base64 is that p begins with;
// 0: it is none. Its characters + / - = are no ends of words: a page in one line
// would have other words behind it each time.
func tokenLength(p []byte) int {
	n, changes, last := 0, 0, byte(0)
	var upper, lower bool
	for ; n < len(p); n++ {
		kind := base64Kind(p[n])
		if kind == 0 {
			break
		}
		if n < maxToken {
			upper, lower = upper || kind == 'A', lower || kind == 'a'
			if kind != last && kind != '+' && last != '+' && n > 0 {
				changes++
			}
		} else if n == maxToken && changes*4 < n {
			return 0
		}
		last = kind
	}
	if n < minToken || !upper || !lower || changes*4 < min(n, maxToken) {
		return 0
	}
	for n < len(p) && p[n] == '=' {
		n++
	}
	return n
}

// base64Kind is 'A', 'a', '0' or '+' for a character like that, and 0 for one
// that base64 does not have.
func base64Kind(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return 'A'
	case 'a' <= c && c <= 'z':
		return 'a'
	case '0' <= c && c <= '9':
		return '0'
	case c == '+' || c == '/' || c == '-' || c == '_':
		return '+'
	}
	return 0
}

const (
	otherRune = iota
	wordRune
	spaceRune
)

// asciiKinds are the kinds of most characters, for speed.
var asciiKinds = func() (kinds [utf8.RuneSelf]uint8) {
	for r := range kinds {
		kinds[r] = uint8(runeKind(rune(r)))
	}
	return kinds
}()

func runeKind(r rune) int {
	switch {
	case r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
		return wordRune
	case unicode.IsSpace(r):
		return spaceRune
	}
	return otherRune
}

// isSpace reports whether a word of firstWord is white space.
func isSpace(word []byte) bool {
	if len(word) > 0 && word[0] < utf8.RuneSelf {
		return asciiKinds[word[0]] == spaceRune
	}
	r, _ := utf8.DecodeRune(word)
	return runeKind(r) == spaceRune
}

// note notes a difference in a line, or in a word of it, unless word is 0. A
// nil side does not have it. Once there are as many as f keeps, it only
// counts: the rules are not asked.
func (c *textComparer) note(line, word int, production, application *[]byte) {
	if c.f.enough() {
		return
	}
	name := strconv.AppendInt([]byte("line "), int64(line), 10)
	if word > 0 {
		name = strconv.AppendInt(append(name, " word "...), int64(word), 10)
	}
	d := Difference{Place: Place{InText, string(name)}}
	switch {
	case production != nil && application != nil:
		d.Production, d.Application = shownPair(*production, *application)
	case production != nil:
		d.Production = shown(*production)
	default:
		d.Application = shown(*application)
	}
	c.f.add(d)
}
