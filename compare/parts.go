package compare

import "bytes"

// Parts compares the application's answer with the beginning of production's,
// where nobody knows how that went on: the capture ended in it, or the client
// reset the connection. It judges as far as production's part goes.
//
// As long as that are Identical. An application that sent more may be as right
// as one that did not: Uncompared. One that sent less did not send what
// production did, which Answers judges; unless cut says that its answer, too,
// was ended from outside. An answer that differs in what both have is
// Different.
//
// Neither argument is changed or kept.
func Parts(production, application *Answer, cut bool) Result {
	if Same(production, application) {
		return Result{Verdict: Identical}
	}
	n := min(len(production.Head), len(application.Head))
	switch {
	case !bytes.Equal(production.Head[:n], application.Head[:n]), application.Len == production.Len:
		return Result{Verdict: Different, Differences: []Difference{whole(production, application)}}
	case application.Len > production.Len, cut:
		return Result{Verdict: Uncompared, Why: CaptureEnded}
	case application.Len == 0:
		return Result{Verdict: Missing}
	}
	return Result{Verdict: Different, Differences: []Difference{whole(production, application)}}
}

// partsOf is Parts by the rules. Of HTTP answers the heads are compared as
// Answers does, and the bodies as far as production's goes. Where production's
// head is not there to its end, nothing is compared.
func partsOf(production, application *Answer, cut bool, q Question, rules *Rules) Result {
	r := Parts(production, application, cut)
	if r.Verdict != Different || !q.HTTP {
		return r
	}
	x := pairs.Get().(*pair)
	defer x.forget()
	p, a := &x.production, &x.application
	readable := p.read(production, q.Method)
	if !readable && bytes.HasPrefix(production.Head, []byte("HTTP/1.")) {
		return Result{Verdict: Uncompared, Why: CaptureEnded}
	}
	f := begin(production, application, q, rules)
	if !a.read(application, q.Method) || !readable || !p.open() || !a.open() {
		f.note(difference(production, application, blankSecrets(production.Head), blankSecrets(application.Head)))
		return f.result()
	}
	p.codings, p.known = parseCodings(p.codings, p.message.fields)
	a.codings, a.known = parseCodings(a.codings, a.message.fields)
	f.head(x, otherText)
	f.parts(p, a, cut)
	return f.result()
}

// parts compares the beginning of production's body with the application's.
func (f *found) parts(p, a *side, cut bool) {
	x, y := p.coded, a.coded
	lenP, lenA := p.length(), a.length()
	switch {
	case p.whole && a.whole && p.known && a.known:
		p.decode()
		a.decode()
		x, _ = f.rules.mask(f.route, p.text)
		y, _ = f.rules.mask(f.route, a.text)
		lenP, lenA = int64(len(x)), int64(len(y))
	case len(p.codings)+len(a.codings) > 0, !p.known, !a.known:
		f.uncompared = CaptureEnded
		return
	}
	n := mismatch(x, y)
	switch {
	case n < min(len(x), len(y)):
		f.partsAt(x, y, n)
		return
	case !p.whole || !a.whole:
		from, until, same := firstOfSums(p, a)
		if !same && until <= min(lenP, lenA) {
			f.beyond(max(from, int64(n)), until)
		}
		if same || until <= min(lenP, lenA) {
			return
		}
	case lenP == lenA:
		return
	}
	switch {
	case lenA >= lenP, cut:
		f.uncompared = CaptureEnded // how it goes on is not known
	case a.Complete:
		f.partsAt(x, y, n)
	default:
		f.end(p, a)
	}
}
