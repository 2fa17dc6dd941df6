// Package compare judges an answer of the application by production's answer
// to the same request. It does no I/O and knows no protocol: the caller cuts
// the streams into answers, with a framer or by turns, and adds their bytes to
// an Answer for each side.
//
//	production.Add(p)
//	production.Complete = true
//	…
//	result := compare.Answers(&production, &application, compare.Rules{})
package compare

import (
	"bytes"
	"fmt"
)

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

// Rules say in what answers may differ. The zero value allows nothing.
type Rules struct{}

// Result is a verdict and, if it is Different, where.
type Result struct {
	Verdict    Verdict
	Difference *Difference
}

// Excerpt limits, in bytes: what a Difference shows of each side.
const (
	excerptBefore = 16
	excerptAfter  = 32
)

// Difference is the first place where two answers differ. It shares no memory
// with them.
type Difference struct {
	// Offset counts from the answer's first byte. If Beyond is set the
	// difference lies there or later: that part is known by its digest only.
	Offset int64
	Beyond bool
	// Production and Application are what stands there: up to 16 bytes from
	// before Offset and up to 32 from it on. Both are empty if Beyond.
	Production, Application []byte
	// ProductionLen and ApplicationLen are the lengths of the whole answers.
	ProductionLen, ApplicationLen int64
	// Cut: the application's answer did not come to its end.
	Cut bool
}

// String returns the difference in a line, without a full stop.
func (d *Difference) String() string {
	end := ""
	if d.Cut {
		end = ", cut short"
	}
	if d.Beyond {
		return fmt.Sprintf("at or after byte %d: production sent %d bytes, the application %d%s", d.Offset, d.ProductionLen, d.ApplicationLen, end)
	}
	return fmt.Sprintf("at byte %d: production %q, application %q%s", d.Offset, d.Production, d.Application, end)
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
func Answers(production, application *Answer, rules Rules) Result {
	switch {
	case production == nil || !production.Complete:
		return Result{Verdict: Uncompared}
	case application == nil:
		return Result{Verdict: Missing}
	case application.Len == 0 && production.Len == 0:
		return Result{Verdict: Identical}
	case application.Len == 0 && !application.Complete:
		return Result{Verdict: Missing}
	case application.Complete && equal(production, application):
		return Result{Verdict: Identical}
	}
	return Result{Verdict: Different, Difference: difference(production, application)}
}

// Extra is the difference that an answer makes which production did not give.
func Extra(application *Answer) *Difference {
	return difference(&Answer{Complete: true}, application)
}

func equal(a, b *Answer) bool {
	return a.Len == b.Len && bytes.Equal(a.Head, b.Head) &&
		(a.Len <= HeadLimit || a.digest() == b.digest())
}

// difference finds the first byte that differs, or that only one of them has.
func difference(production, application *Answer) *Difference {
	d := &Difference{
		ProductionLen:  production.Len,
		ApplicationLen: application.Len,
		Cut:            !application.Complete,
	}
	p, a := production.Head, application.Head
	n := 0
	for n < min(len(p), len(a)) && p[n] == a[n] {
		n++
	}
	d.Offset = int64(n)
	if n == HeadLimit && min(production.Len, application.Len) > HeadLimit {
		d.Beyond = true
		return d
	}
	d.Production, d.Application = excerpt(p, n), excerpt(a, n)
	return d
}

func excerpt(p []byte, at int) []byte {
	return bytes.Clone(p[max(0, at-excerptBefore):min(len(p), at+excerptAfter)])
}
