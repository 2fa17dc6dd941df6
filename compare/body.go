package compare

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"tcpsandbox/protocol"
)

// likeness is what two bodies have in common.
type likeness uint8

const (
	sameBytes  likeness = iota // as they were sent
	sameCoded                  // in other chunks
	sameText                   // in other chunks and another coding
	otherText                  // both could be decoded
	otherBytes                 // at least one could not
	tooLarge                   // at least one was not kept, and they are not the same
)

// body decodes two bodies as far as it takes to tell what they have in common.
func (f *found) body(p, a *side, same bool) likeness {
	p.codings, p.known = parseCodings(p.codings, p.message.fields)
	a.codings, a.known = parseCodings(a.codings, a.message.fields)
	switch {
	case same:
		return sameBytes
	case !p.whole || !a.whole:
		if p.length() == a.length() && sameSum(p, a) {
			return sameCoded
		}
		return tooLarge
	case bytes.Equal(p.coded, a.coded) && sameCodings(p, a):
		return sameCoded
	case !p.decode() || !a.decode():
		if bytes.Equal(p.coded, a.coded) {
			return sameCoded
		}
		return otherBytes
	case !p.over && !a.over && bytes.Equal(p.text, a.text):
		return sameText
	}
	return otherText
}

// decode undoes the content codings. Of an answer that was cut short there is
// what came.
func (s *side) decode() bool {
	if !s.known {
		return false
	}
	var err error
	s.text, s.over, err = decode(&s.rooms, s.coded, s.codings)
	return err == nil || !s.Complete
}

// recoded reports whether the two differ in their content codings, and in
// nothing that follows from it.
func (s *side) recoded(o *side, l likeness) bool {
	switch {
	case sameCodings(s, o), !s.known, !o.known:
		return false
	case l == sameBytes:
		return len(s.raw()) == 0
	}
	return l == sameText || l == otherText || l == tooLarge
}

// sameCodings reports whether the codings are the same, be they known or not.
func sameCodings(p, a *side) bool {
	return p.known == a.known && slices.Equal(p.codings, a.codings)
}

// length returns the length of the body without the chunked coding.
func (s *side) length() int64 {
	if s.whole {
		return int64(len(s.coded))
	}
	return s.sum.len
}

// sameSum compares two bodies by their digests.
func sameSum(p, a *side) bool {
	_, _, same := firstOfSums(p, a)
	return same
}

// firstOfSums compares two bodies by their digests; see digest.first.
func firstOfSums(p, a *side) (from, until int64, same bool) {
	x, y := p.sum, a.sum
	if x == nil {
		x = digestOf(p.coded)
		defer digests.Put(x)
	}
	if y == nil {
		y = digestOf(a.coded)
		defer digests.Put(y)
	}
	return x.first(y)
}

// content notes how two bodies differ.
func (f *found) content(p, a *side, l likeness) {
	switch l {
	case sameBytes:
		return
	case tooLarge:
		f.large(p, a)
		return
	}
	if p.message.framing != a.message.framing || l == sameCoded && a.Complete && otherChunks(p, a) {
		f.spelled("chunking")
	}
	switch l {
	case sameText:
		f.spelled("content coding")
	case otherBytes:
		if a.Complete || !bytes.HasPrefix(p.coded, a.coded) { // see found.end
			f.bytes(p.coded, a.coded)
		}
	case otherText:
		f.decoded(p, a)
	}
}

// otherChunks reports whether the same body came in other chunks, which of
// bodies that were not kept is known by their lengths only.
func otherChunks(p, a *side) bool {
	return p.whole && a.whole || p.Len-int64(p.message.bodyAt) != a.Len-int64(a.message.bodyAt)
}

// decoded compares two decoded bodies by what kind of content they are.
func (f *found) decoded(p, a *side) {
	x, y := p.text, a.text
	if p.over || a.over || !a.Complete {
		f.beginning(p, a)
		return
	}
	x, y, same := f.masked(x, y)
	if same {
		return
	}
	k, o := kindOf(p.message.value("content-type"), x), kindOf(a.message.value("content-type"), y)
	switch {
	case k == jsonContent && o == jsonContent && f.json(x, y):
	case k == formContent && o == formContent && f.form(x, y):
	case k != otherContent && o != otherContent && f.text(x, y):
	default:
		f.bytes(x, y)
	}
}

// masked masks what the rules say, in two runs of bytes that are not the same.
// If they are then, that is noted.
func (f *found) masked(production, application []byte) (p, a []byte, same bool) {
	p, why := f.rules.mask(f.route, production)
	a, whyToo := f.rules.mask(f.route, application)
	if same = bytes.Equal(p, a); same {
		f.excuse(Place{Kind: InBody}, cmp.Or(why, whyToo))
	}
	return p, a, same
}

// beginning compares two bodies of which at least one is not there to its end:
// it was too long to be decoded, or the answer was cut short. What is missing
// is not told here.
func (f *found) beginning(p, a *side) {
	x, _ := f.rules.mask(f.route, p.text)
	y, _ := f.rules.mask(f.route, a.text)
	n := mismatch(x, y)
	switch {
	case n == len(y) && !a.Complete: // see found.end
	case n == len(y) && a.over, n == len(x) && p.over:
		f.uncompared = OverBound
	default:
		f.partsAt(x, y, n)
	}
}

// large compares two bodies of which at least one was not kept.
func (f *found) large(p, a *side) {
	if len(p.codings)+len(a.codings) > 0 || !p.known || !a.known {
		f.uncompared = OverBound // digests tell nothing of the content
		return
	}
	n := mismatch(p.coded, a.coded)
	x, y := p.length(), a.length()
	switch {
	case n < min(len(p.coded), len(a.coded)):
		f.partsAt(p.coded, a.coded, n)
		return
	case int64(n) == min(x, y): // one ends here
		if int64(n) == x || a.Complete {
			f.partsAt(p.coded, a.coded, n)
		}
		return
	}
	from, until, _ := firstOfSums(p, a)
	if until > y && !a.Complete {
		return // as far as it came it is the same; see found.end
	}
	f.beyond(max(from, int64(n)), until)
}

// beyond notes that two bodies part somewhere between from and until.
func (f *found) beyond(from, until int64) {
	f.note(Difference{
		Place:         Place{Kind: InBody},
		Offset:        from,
		Until:         until,
		Beyond:        true,
		ProductionLen: f.productionLen, ApplicationLen: f.applicationLen,
		Cut: f.cut,
	})
}

// partsAt notes that two bodies part at n.
func (f *found) partsAt(production, application []byte, n int) {
	f.note(Difference{
		Place:         Place{Kind: InBody},
		Production:    excerpt(production, n),
		Application:   excerpt(application, n),
		Offset:        int64(n),
		ProductionLen: f.productionLen, ApplicationLen: f.applicationLen,
		Cut: f.cut,
	})
}

// contentKind is how a body is compared.
type contentKind uint8

const (
	otherContent contentKind = iota
	jsonContent
	formContent
	textContent
)

// kindOf tells by its media type what a body is, and where that is not said, or
// no more than "text", by its first character. What is called text and is none
// is found out by who compares it.
func kindOf(mediaType, body []byte) contentKind {
	mediaType, _, _ = bytes.Cut(mediaType, semicolon)
	kind := lowered(protocol.TrimSpace(mediaType))
	main, sub, _ := strings.Cut(kind, "/")
	switch {
	case sub == "json", strings.HasSuffix(sub, "+json"):
		return jsonContent
	case kind == "application/x-www-form-urlencoded":
		return formContent
	case main == "text", main == "":
		if first := bytes.TrimLeft(body, " \t\r\n"); len(first) > 0 && (first[0] == '{' || first[0] == '[') {
			return jsonContent
		}
		return textContent
	case main == "multipart", main == "message", strings.HasSuffix(sub, "+xml"), strings.HasSuffix(sub, "+yaml"), slices.Contains(textSubtypes, sub):
		return textContent
	}
	return otherContent
}

// textSubtypes are those of application that are text.
var textSubtypes = []string{"xml", "javascript", "x-javascript", "ecmascript", "x-ndjson", "ndjson", "jsonl", "json-seq",
	"yaml", "x-yaml", "toml", "graphql", "sql", "x-sh", "x-mpegurl", "vnd.apple.mpegurl"}
