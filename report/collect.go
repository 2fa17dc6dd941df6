package report

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"tcpsandbox/compare"
)

// Limits that keep a result small however long the run.
const (
	// DetailLimit is how many sessions are listed. An entry is 500 to 800
	// bytes of JSON: the file stays under 10 MB.
	DetailLimit = 10_000
	// groupLimit is how many requests are counted apart in Differences.
	groupLimit = 1_000
	// groupsWritten is how many of these are shown.
	groupsWritten = 20
)

// Group is the answers to one request that differ or are missing.
type Group struct {
	Request string `json:"request"` // what RequestGroup made of it
	Count   int64  `json:"count"`   // answers
	Missing int64  `json:"missing"` // of those: nothing came
	Session uint64 `json:"session"` // the example's, or the first one's
	// Example is the first difference met; null if all are missing.
	Example *Difference `json:"example"`
}

// Difference is where an answer differs from production's. The excerpts are
// text: bytes that are not printable UTF-8, and the backslash, are written as
// in a Go string ("\r\n", "\x00", "\\").
type Difference struct {
	Request     string `json:"request"` // "GET /cart HTTP/1.1", "turn 3", or of UDP "answer 3"
	Offset      int64  `json:"offset"`  // from the answer's first byte; if both excerpts are empty, there or later
	Production  string `json:"production"`
	Application string `json:"application"`
}

// NewDifference writes down what compare found in the answer to request.
func NewDifference(request string, d *compare.Difference) *Difference {
	return &Difference{
		Request:     printable([]byte(request)),
		Offset:      d.Offset,
		Production:  printable(d.Production),
		Application: printable(d.Application),
	}
}

// AddDifference counts an answer that differs or, if d is nil, is missing.
// request is the request's first line, or "turn 3".
func (r *Result) AddDifference(session uint64, request string, d *compare.Difference) {
	name := RequestGroup(request)
	i, known := r.groups[name]
	if !known {
		if len(r.Differences) == groupLimit {
			r.DifferencesOmitted++
			return
		}
		if r.groups == nil {
			r.groups = make(map[string]int)
		}
		i = len(r.Differences)
		r.groups[name] = i
		r.Differences = append(r.Differences, Group{Request: name, Session: session})
	}
	g := &r.Differences[i]
	g.Count++
	if d == nil {
		g.Missing++
	} else if g.Example == nil {
		g.Session, g.Example = session, NewDifference(request, d)
	}
}

// RequestGroup returns what requests of one kind have in common: of an HTTP/1
// request line the method and the path without its query, else all of it.
func RequestGroup(request string) string {
	line, version, ok := cutLast(request, " ")
	if !ok || !strings.HasPrefix(version, "HTTP/1.") {
		return printable([]byte(request))
	}
	line, _, _ = strings.Cut(line, "?")
	return printable([]byte(line))
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// AddDetail lists a session, and keeps count of those that lost something.
// Beyond DetailLimit a session that is remarkable takes the place of one that
// is not; the others are only counted.
func (r *Result) AddDetail(d Detail) {
	r.addLoss(d)
	if len(r.Detail) < DetailLimit {
		r.Detail = append(r.Detail, d)
		return
	}
	r.DetailOmitted++
	if !d.remarkable() {
		return
	}
	for r.plain < len(r.Detail) && r.Detail[r.plain].remarkable() {
		r.plain++
	}
	if r.plain < len(r.Detail) {
		r.Detail[r.plain] = d
		r.plain++
	}
}

// remarkable reports that a session is one to look at: it differs, failed or
// lost something.
func (d *Detail) remarkable() bool {
	return d.FirstDifference != nil || d.ClientBytes.lost() > 0 || d.State != "finished" && d.State != "skipped" ||
		d.Verdict == compare.Different.String() || d.Verdict == compare.Missing.String()
}

// written returns a copy of r as it is shown: what is most telling first, no
// more than there is room for, no nil slices.
func (r *Result) written() *Result {
	w := *r
	w.Version = Version
	w.Differences = slices.Clone(r.Differences)
	slices.SortStableFunc(w.Differences, func(a, b Group) int { return cmp.Compare(b.Count, a.Count) })
	for len(w.Differences) > groupsWritten {
		last := len(w.Differences) - 1
		w.DifferencesOmitted += w.Differences[last].Count
		w.Differences = w.Differences[:last]
	}
	w.Detail = slices.Clone(r.Detail)
	slices.SortFunc(w.Detail, func(a, b Detail) int {
		if x, y := a.remarkable(), b.remarkable(); x != y {
			if x {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.ID, b.ID)
	})
	w.Capture.Sources = orEmpty(w.Capture.Sources)
	w.Egress = orEmpty(w.Egress)
	w.Warnings = orEmpty(w.Warnings)
	w.Defects = orEmpty(w.Defects)
	w.Differences = orEmpty(w.Differences)
	w.Detail = orEmpty(w.Detail)
	return &w
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// printable writes bytes as text that a terminal and JSON can show. What comes
// from the network may hold escape sequences.
func printable(p []byte) string {
	var b strings.Builder
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x`)
			b.WriteByte("0123456789abcdef"[p[0]>>4])
			b.WriteByte("0123456789abcdef"[p[0]&15])
		case r == '\\':
			b.WriteString(`\\`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		p = p[n:]
	}
	return b.String()
}
