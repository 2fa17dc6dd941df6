package report

import (
	"strings"

	"tcpsandbox/compare"
	"tcpsandbox/findings"
)

// Group is answers to requests of one kind that are missing, or differ in the
// same places.
type Group struct {
	Request string   `json:"request"` // the route: "GET /users/{id}", "turn 3"
	Places  []string `json:"places"`  // "$.items[*].price", "header etag", "status"
	Kinds   []string `json:"kinds"`   // of each place: "json", "header", "status" …
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

// Body is an answer as text, decoded. Line ends and backslashes are themselves;
// other bytes that cannot be printed are written as in a Go string.
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
		Request:     printableString(request),
		Offset:      d.Offset,
		Production:  printable(d.Production),
		Application: printable(d.Application),
		Place:       printableString(d.Place.String()),
		Path:        printableString(d.Path),
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

// newGroup writes down a group of differences.
func newGroup(f *findings.Group) Group {
	g := Group{
		Request:     printableString(f.Route),
		Count:       f.Answers,
		Session:     f.Example.Session,
		Client:      printableString(f.Example.Client),
		Production:  NewBody(f.Example.Production),
		Application: NewBody(f.Example.Application),
	}
	if f.Missing {
		g.Missing = f.Answers
	}
	for _, p := range f.Places {
		g.Places = append(g.Places, printableString(p.String()))
		g.Kinds = append(g.Kinds, p.Kind.String())
	}
	for i := range f.Example.Differences {
		g.Differences = append(g.Differences, *NewDifference(f.Example.Request, &f.Example.Differences[i]))
	}
	if len(g.Differences) > 0 {
		first := g.Differences[0]
		g.Example = &first
	}
	return g
}

// NewBody writes down an answer, or a request; nil is nil.
func NewBody(f *findings.Body) *Body {
	if f == nil {
		return nil
	}
	return &Body{
		Head: printableLines(strings.ReplaceAll(f.Head, "\r\n", "\n")),
		Text: printableLines(f.Text),
		Cut:  f.Cut,
	}
}
