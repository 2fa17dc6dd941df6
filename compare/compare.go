// Package compare judges an answer of the application by production's answer
// to the same request. It does no I/O: the caller cuts the streams into
// answers, with a framer or by turns, and adds their bytes to an Answer for
// each side.
//
//	production.Add(p)
//	production.Complete = true
//	…
//	result := compare.Answers(&production, &application, compare.Question{}, rules)
//
// Answers that are the same bytes are Identical, and that is all that is looked
// at. Of others the files look, in this order, at
//
//	http1.go   the message: status, header fields (fields.go), cookies (cookie.go)
//	body.go    its body, decoded (decode.go); what kind of content it is
//	json.go    values by path, form.go fields, text.go lines, bytes.go the rest
//	rules.go   whether what differs may: by default (rules_default.go), by a file
//	           (rulesfile.go), or as it was learned (learn.go)
//
// close.go compares how connections end. secret.go hides what no report may
// show, and render.go writes an answer out for people; raw.go does so with a
// request, and with an answer's bytes as they were sent.
package compare

// Verdict is the outcome of one comparison.
type Verdict uint8

const (
	Identical  Verdict = iota // byte for byte
	Equivalent                // different only where the rules allow it
	Different
	Missing    // production answered, nothing came from the application
	Uncompared // production's answer is not known, or not to its end
)

var verdictNames = [...]string{"identical", "equivalent", "different", "missing", "uncompared"}

// String returns the word that reports use.
func (v Verdict) String() string { return verdictNames[v] }

// Reason is why answers were not compared.
type Reason uint8

const (
	Compared     Reason = iota // they were
	NotCaptured                // production's direction was not captured
	InGap                      // part of production's answer was not captured
	CaptureEnded               // production's answer had not come to its end when the capture did
	Unpaired                   // it is not known which bytes belong to which request
	NotPlayed                  // the request did not reach the application
	RunEnded                   // the run ended before the application had answered, or had had the time to
	OverBound                  // too large to be decoded, and not the same bytes

	Reasons // how many there are
)

var reasonNames = [...]string{"", "not-captured", "gap", "capture-ended", "unpaired", "not-played", "run-ended", "over-bound"}

// String returns the word that reports use.
func (r Reason) String() string { return reasonNames[r] }

// Question is what both sides answered.
type Question struct {
	// HTTP: the answers are HTTP/1 messages, interim answers (1xx) included.
	HTTP   bool
	Method string // of the request; of HTTP only
	Route  string // names requests of one kind, for the rules: "GET /users/{id}", "turn 3"
}

// Result is a verdict and what led to it.
type Result struct {
	Verdict Verdict
	Why     Reason // of Uncompared
	// Differences are those that count, of Different only: the first one
	// first, 64 at most, and 4 of one place. More counts the others; Elsewhere
	// tells that there are some in places that are not among Differences.
	Differences []Difference
	More        int
	Elsewhere   bool
	// Excused is where the answers differ and may, each place once.
	Excused []Excuse
}

// First returns the first difference, or nil.
func (r *Result) First() *Difference {
	if len(r.Differences) == 0 {
		return nil
	}
	return &r.Differences[0]
}

// Excerpt limits, in bytes: what a Difference shows of each side.
const (
	excerptBefore = 16
	excerptAfter  = 32
)

// Difference is one place where two answers differ. It shares no memory with
// them.
type Difference struct {
	Place Place
	// Path is the very place in production's answer, "$.items[3].price"; empty
	// where that is Place's name.
	Path string
	// Production and Application are what stands there, cut to a readable
	// length; nil where nothing does, such as a field that one side lacks.
	// InBytes, InBody and InEnd they are up to 16 bytes from before Offset and
	// up to 32 from it on, and both empty if Beyond.
	Production, Application []byte

	// The rest is for InBytes, InBody and InEnd. Offset counts from the first
	// byte, of the answer or of the body. What differs ends before Until, if
	// that is not 0. If Beyond is set the difference lies there or later,
	// before Until: that part is known by its digest only.
	Offset, Until int64
	Beyond        bool
	// ProductionLen and ApplicationLen are the lengths of the whole answers.
	ProductionLen, ApplicationLen int64
	// Cut: the application's answer did not come to its end.
	Cut bool
}

// Answers compares the application's answer with production's.
//
// Without production's answer, or without its end (a gap in the capture, or
// the capture ended), there is nothing to judge by: Uncompared. Then, a nil
// answer of the application's is Missing, and so is one of no bytes and
// without an end where production sent some. Any other answer without an end
// (closed early, or timed out) is Different, with Cut set, even where it holds
// all of production's bytes: a body that lasts until a close which did not
// come is not what production sent. Two answers of no bytes are Identical.
//
// Neither argument is changed or kept.
func Answers(production, application *Answer, q Question, rules *Rules) Result {
	switch {
	case production == nil || !production.Complete:
		return Result{Verdict: Uncompared}
	case application == nil:
		return Result{Verdict: Missing}
	case application.Len == 0 && production.Len == 0:
		return Result{Verdict: Identical}
	case application.Len == 0 && !application.Complete:
		return Result{Verdict: Missing}
	case application.Complete && Same(production, application):
		return Result{Verdict: Identical}
	}
	return judged(production, application, q, rules)
}

// judged compares two answers that are not the same bytes.
func judged(production, application *Answer, q Question, rules *Rules) Result {
	f := begin(production, application, q, rules)
	if !q.HTTP || !f.http(production, application, q.Method) {
		f.raw(production, application, q.HTTP)
	}
	return f.result()
}

// begin begins a comparison.
func begin(production, application *Answer, q Question, rules *Rules) found {
	return found{
		rules: rules, route: q.Route,
		productionLen: production.Len, applicationLen: application.Len, cut: !application.Complete,
	}
}

// Extra is the difference that an answer makes which production did not give.
func Extra(application *Answer) Difference {
	d := whole(&Answer{Complete: true}, application)
	d.Place = Place{InAnswer, "extra answer"}
	return d
}

// whole is the difference between two answers of which no more is told than
// where they part.
func whole(production, application *Answer) Difference {
	d := difference(production, application, production.Head, application.Head)
	d.Production, d.Application = shown(d.Production), shown(d.Application)
	return d
}
