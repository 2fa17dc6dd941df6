package compare

import (
	"bytes"
	"cmp"
	"unicode/utf8"
)

// Kind is the part of an answer that a Place is in.
type Kind uint8

const (
	InAnswer Kind = iota // the answer as a whole: none came, or, with the Name "extra answer", one that production did not give
	InStatus             // the HTTP status
	InHeader             // a header field; Name in lower case
	InCookie             // a cookie that is set; Name is the cookie's
	InJSON               // a value in a JSON body; Name is its path, "$.items[*].price"; ".*" stands for keys that are made, see madeKey
	InOrder              // the order of a JSON list's elements; Name is the list's path
	InForm               // a field of a form; Name is the field's
	InText               // a line of text, or a word of it; Name is "line 3" or "line 3 word 2", from 1
	InBytes              // bytes of an answer that is no message, or of a body; Name is "16-20" (half open) or "16-", from 0
	InBody               // the body as a whole: its type, its coding, its length
	InEnd                // where the answer ends: cut short, or in another way than production's
	InClose              // the connection's close
	Spelling             // the same, written otherwise; Name says how: "header order", "chunking", "content coding", "json", …
)

var kindNames = [...]string{"answer", "status", "header", "cookie", "json", "order", "form", "text", "bytes", "body", "end", "close", "spelling"}

// String returns the word that rules and reports use.
func (k Kind) String() string { return kindNames[k] }

// Named reports whether what stands in such a place has a name, by which it can
// be told whether it is secret: not so pieces of a text or of bytes.
func (k Kind) Named() bool {
	switch k {
	case InAnswer, InText, InBytes, InBody, InEnd:
		return false
	}
	return true
}

// Place is where two answers differ, in words that are the same for all
// answers to requests of one kind: of a list's elements it does not say which.
// So differences can be counted, and excused, by their place.
type Place struct {
	Kind Kind
	Name string // see Kind; empty where the kind says it all
}

// String returns the place as reports name it: "status", "header etag",
// "$.items[*].price", "order of $.items", "line 3 word 2", "bytes 16-20".
func (p Place) String() string {
	switch p.Kind {
	case InJSON, InText:
		return p.Name
	case InAnswer:
		return cmp.Or(p.Name, "answer")
	case InOrder:
		return "order of " + p.Name
	case InForm:
		return "field " + p.Name
	case Spelling:
		return p.Name
	}
	if p.Name == "" {
		return p.Kind.String()
	}
	return p.Kind.String() + " " + p.Name
}

// Excuse is a place where answers differ and may.
type Excuse struct {
	Place Place
	// Why: the rule that allows it, as reports name it ("default: header date",
	// "rules.yaml:12"), or "" for Spelling.
	Why string
}

// found collects what a comparison meets, up to a bound. The rules decide
// on each difference whether it counts.
type found struct {
	rules *Rules
	route string

	differences []Difference // those that count; the first one first
	more        int          // others
	looked      int          // differences that were asked for
	elsewhere   bool         // of those more, some are in places that are not among the differences
	excused     []Excuse     // each place once
	uncompared  Reason       // why what was not compared was not; counts where the rest is the same

	// What every difference of bytes tells; see Difference.
	productionLen, applicationLen int64
	cut                           bool
}

// What is told of one answer is bounded, so that a body that is another one
// altogether costs no more than its comparison. Of one place there are a few
// only: a list in which each element has another time must not hide the price.
const (
	maxDifferences = 64
	maxOfPlace     = 4
	// maxLooked is how many differences are looked at for their place; each
	// costs some 200 ns.
	maxLooked = 20_000
)

// enough reports whether no more differences are looked at, and counts one if
// so: who meets them need not find out where they are.
func (f *found) enough() bool {
	if f.looked < maxLooked {
		return false
	}
	f.more++
	f.elsewhere = true
	return true
}

// add notes a difference, unless the rules excuse it.
func (f *found) add(d Difference) {
	if f.counts(&d) {
		f.differences = append(f.differences, d)
	}
}

// note is add for a difference whose values lie in the answers, or in memory
// that is used again: it copies them as far as they are shown.
func (f *found) note(d Difference) {
	if f.counts(&d) {
		d.Production, d.Application = shown(d.Production), shown(d.Application)
		f.differences = append(f.differences, d)
	}
}

// counts reports whether a difference is to be told.
func (f *found) counts(d *Difference) bool {
	if why, ok := f.rules.excuse(f.route, d); ok {
		f.excuse(d.Place, why)
		return false
	}
	f.looked++
	n := 0
	for i := range f.differences {
		if f.differences[i].Place == d.Place {
			n++
		}
	}
	if n == maxOfPlace || len(f.differences) == maxDifferences {
		f.more++
		f.elsewhere = f.elsewhere || n == 0
		return false
	}
	return true
}

// valueLimit is how much of a value is shown, in bytes.
const valueLimit = 200

// shown copies a value and cuts it to valueLimit, between characters. Nil stays
// nil.
func shown(value []byte) []byte {
	if len(value) <= valueLimit {
		return bytes.Clone(value)
	}
	n := valueLimit
	for n > valueLimit-utf8.UTFMax && !utf8.RuneStart(value[n]) {
		n--
	}
	return append(bytes.Clone(value[:n]), "…"...)
}

// beforeMismatch is how much of two long values is shown from before the place
// where they part, in bytes.
const beforeMismatch = 20

// shownPair is shown for values that differ: where both are long and
// begin alike, it shows where they part.
func shownPair(p, a []byte) ([]byte, []byte) {
	at := alike(p, a) - beforeMismatch
	if at <= 0 || max(len(p), len(a)) <= valueLimit {
		return shown(p), shown(a)
	}
	for at > 0 && (at < len(p) && !utf8.RuneStart(p[at]) || at < len(a) && !utf8.RuneStart(a[at])) {
		at--
	}
	behind := func(v []byte) []byte { return append([]byte("…"), shown(v[at:])...) }
	return behind(p), behind(a)
}

// spelled notes that something was written otherwise and means the same.
func (f *found) spelled(how string) { f.excuse(Place{Spelling, how}, "") }

func (f *found) excuse(p Place, why string) {
	for i := range f.excused {
		if f.excused[i].Place == p {
			return
		}
	}
	if len(f.excused) < maxDifferences {
		f.excused = append(f.excused, Excuse{p, why})
	}
}

// result is the verdict on answers that are not the same bytes.
func (f *found) result() Result {
	r := Result{Verdict: Equivalent, Differences: f.differences, More: f.more, Elsewhere: f.elsewhere, Excused: f.excused}
	switch {
	case len(f.differences) > 0:
		r.Verdict = Different
	case f.uncompared != Compared:
		r.Verdict, r.Why = Uncompared, f.uncompared
	}
	return r
}
