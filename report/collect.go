package report

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"tcpsandbox/compare"
	"tcpsandbox/findings"
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

// Group is answers to requests of one kind that are missing, or differ in the
// same places.
type Group struct {
	Request string   `json:"request"` // the route: "GET /users/{id}", "turn 3"
	Places  []string `json:"places"`  // "$.items[*].price", "header etag", "status"
	Count   int64    `json:"count"`   // answers
	Missing int64    `json:"missing"` // of those: nothing came
	Session uint64   `json:"session"` // the example's, or the first one's
	Client  string   `json:"client"`  // of that session
	// Example is the first difference of the example; null if all are missing.
	Example *Difference `json:"example"`
	// Differences are all those of the example, 64 at most.
	Differences []Difference `json:"differences"`
	// Production and Application are the example's answers to set side by side;
	// null: there was none.
	Production  *Body  `json:"production"`
	Application *Body  `json:"application"`
	Capture     string `json:"capture"` // file of --save-failures; "" if there is none
	Command     string `json:"command"` // replays the example; "" if nothing can
}

// Body is an answer as text, decoded.
type Body struct {
	Head string `json:"head"` // status line and header fields; of HTTP only
	Text string `json:"text"` // JSON is indented, what is no text a hex dump
	Cut  bool   `json:"cut"`  // it was longer
}

// Difference is where an answer differs from production's. The excerpts are
// text: bytes that are not printable UTF-8, and the backslash, are written as
// in a Go string ("\r\n", "\x00", "\\").
type Difference struct {
	Request     string `json:"request"` // "GET /cart HTTP/1.1", "turn 3", or of UDP "answer 3"
	Offset      int64  `json:"offset"`  // of bytes: from the answer's or the body's first; if both excerpts are empty, there or later
	Production  string `json:"production"`
	Application string `json:"application"`

	Place string `json:"place"` // "$.items[*].price", "header etag", "bytes 16-20"
	Path  string `json:"path"`  // the very place, "$.items[3].price"
	// Lacks is "production" or "application" where that side has nothing there.
	Lacks string `json:"lacks,omitempty"`
}

// NewDifference writes down what compare found in the answer to request.
func NewDifference(request string, d *compare.Difference) *Difference {
	w := &Difference{
		Request:     printable([]byte(request)),
		Offset:      d.Offset,
		Production:  printable(d.Production),
		Application: printable(d.Application),
		Place:       printable([]byte(d.Place.String())),
		Path:        printable([]byte(d.Path)),
	}
	if w.Path == "" {
		w.Path = w.Place
	}
	if d.Place.Kind != compare.InBytes {
		switch {
		case d.Production == nil:
			w.Lacks = "production"
		case d.Application == nil:
			w.Lacks = "application"
		}
	}
	return w
}

// SetFindings fills in what the comparisons came to.
func (r *Result) SetFindings(s *findings.Summary) {
	for v, n := range s.Verdicts {
		r.Answers.Count(compare.Verdict(v), n)
	}
	r.Answers.Extra = s.Extra
	pc := func(d findings.Distribution) Percentiles {
		return Percentiles{P50: Milliseconds(d.P50), P90: Milliseconds(d.P90), P99: Milliseconds(d.P99), Count: d.Count}
	}
	r.Latency.Production, r.Latency.Application = pc(s.Latency.Production.First), pc(s.Latency.Application.First)
	for _, g := range s.Groups {
		w := Group{Request: g.Route, Count: g.Answers, Session: g.Example.Session}
		if g.Missing {
			w.Missing = g.Answers
		}
		if len(g.Example.Differences) > 0 {
			w.Example = NewDifference(g.Example.Request, &g.Example.Differences[0])
		}
		r.Differences = append(r.Differences, w)
	}
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
