package findings

import (
	"slices"

	"tcpsandbox/compare"
)

// Explained is one exchange, to be read by people: secrets are hidden, and
// bodies decoded.
type Explained struct {
	Verdict compare.Verdict
	Why     compare.Reason // of Uncompared
	// Differences are all those that count, 64 at most; More counts others.
	Differences []compare.Difference
	More        int
	Excused     []compare.Excuse
	// Request, Production and Application are nil where there is nothing.
	Request, Production, Application *Body
	// Raw are production's answer and the application's as they were sent,
	// BodyLimit bytes at most, with stars for secrets; nil where there is none.
	Raw [2][]byte
	// Part: of an answer only the beginning was at hand, and it is judged as far
	// as that goes.
	Part bool
}

// Explain judges an exchange again, and counts nothing. request is what was
// asked, or its beginning if it is not whole. Where the answers are beginnings,
// compare.Answer.Beginning, those are judged: the verdict is then the caller's
// to know.
func (r *Run) Explain(x *compare.Exchange, request []byte, whole bool) Explained {
	q := r.question(x)
	judged := *x
	p, a := x.Production, x.Application
	part := p != nil && !p.Kept() || a != nil && !a.Kept()
	if part {
		judged.Production, judged.Application = beginnings(p, a)
	}
	res := judged.Judge(q, r.cfg.Rules)
	e := Explained{
		Verdict: res.Verdict, Why: res.Why, More: res.More, Part: part, Excused: slices.Clone(res.Excused),
		Differences: r.hidden(q, &judged, res.Differences),
		Production:  r.beginning(p, q), Application: r.beginning(a, q),
	}
	if len(request) > 0 {
		head, kind, text, cut := compare.RequestText(request, x.HTTP, whole, BodyLimit, r.cfg.Secrets)
		e.Request = &Body{Head: r.cfg.Secrets.Head(head), Text: r.cfg.Secrets.Body(kind, text), Cut: cut}
	}
	for i, answer := range []*compare.Answer{p, a} {
		if answer != nil {
			e.Raw[i] = answer.Raw(q, BodyLimit, r.cfg.Secrets)
		}
	}
	return e
}

// beginnings returns what is at hand of two answers as answers of their own, of
// the same length where both go on: where they end is no difference.
func beginnings(p, a *compare.Answer) (_, _ *compare.Answer) {
	limit := -1
	for _, one := range []*compare.Answer{p, a} {
		if one != nil && !one.Kept() && (limit < 0 || len(one.Head) < limit) {
			limit = len(one.Head)
		}
	}
	of := func(one *compare.Answer) *compare.Answer {
		if one == nil {
			return nil
		}
		b := one.Beginning(limit)
		b.Complete = b.Complete || b.Len > int64(len(b.Head))
		b.Len = int64(len(b.Head))
		return b
	}
	return of(p), of(a)
}

// beginning is an answer as text, as far as it is at hand.
func (r *Run) beginning(a *compare.Answer, q compare.Question) *Body {
	if a == nil || a.Kept() {
		return r.body(a, q)
	}
	part := a.Beginning(len(a.Head))
	part.Len, part.Complete = int64(len(part.Head)), false
	b := r.body(part, q)
	b.Cut = true
	return b
}

// Counts are the running sums of a Summary that cost nothing to ask for. What
// is noise is not taken off them.
type Counts struct {
	Verdicts   Verdicts // of answers
	Closes     Verdicts // of the ends of connections
	Extra      int64
	Uncompared [compare.Reasons]int64
}

// Counts returns the sums so far.
func (r *Run) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Counts{r.verdicts, r.closes, r.extra, r.uncompared}
}
