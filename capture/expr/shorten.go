package expr

// Shortening: a test whose outcome is known from the tests before it is
// skipped. The tree asks for the protocol anew in every primitive; of "tcp port
// 80 or 443 or 8080" this leaves 17 of 27 tests, and a TCP packet to another
// port takes 10 of them instead of 18. Nothing is put in another order, and
// what is skipped reads only bytes that were there, so a packet that is cut off
// gets the same answer as from the tests as written.

// fact is what one test found.
type fact struct {
	test    *test
	outcome bool
}

// factLimit is how many facts are carried along: more than a port's own tests,
// few enough that thousands of ports cost little.
const factLimit = 12

// sameSource reports whether two tests look at the same bits.
func sameSource(a, b *test) bool {
	return a.from != worked && a.from == b.from && a.off == b.off && a.ip == b.ip && a.size == b.size &&
		a.masked == b.masked && a.mask == b.mask
}

func sameTest(a, b *test) bool { return sameSource(a, b) && a.cmp == b.cmp && a.val == b.val }

// decide returns the outcome of a test if the facts tell it.
func decide(facts []fact, t *test) (outcome, known bool) {
	for _, f := range facts {
		if !sameSource(f.test, t) {
			continue
		}
		if f.test.cmp == equal && f.outcome {
			return t.cmp.holds(f.test.val, t.val), true
		}
		if sameTest(f.test, t) {
			return f.outcome, true
		}
	}
	return false, false
}

// common keeps of a what b has too.
func common(a, b []fact) []fact {
	kept := a[:0]
	for _, f := range a {
		for _, g := range b {
			if f.outcome == g.outcome && sameTest(f.test, g.test) {
				kept = append(kept, f)
				break
			}
		}
	}
	return kept
}

// shorten leads each test past those whose outcome is known where it leads to,
// and drops the tests that nothing leads to any more.
func (p *program) shorten() {
	known := make([][]fact, len(p.tests))
	reached := make([]bool, len(p.tests))
	lead := func(facts []fact, to int32) int32 {
		for to >= 0 {
			outcome, ok := decide(facts, &p.tests[to])
			if !ok {
				break
			}
			if outcome {
				to = p.tests[to].yes
			} else {
				to = p.tests[to].no
			}
		}
		if to >= 0 {
			if reached[to] {
				known[to] = common(known[to], facts)
			} else {
				known[to], reached[to] = append([]fact(nil), facts...), true
			}
		}
		return to
	}
	p.entry = lead(nil, p.entry)
	// Every test leads to later ones, so what is known at one is complete
	// when it is met.
	var facts []fact
	for i := range p.tests {
		if !reached[i] {
			continue
		}
		t := &p.tests[i]
		before := known[i]
		if t.from != worked && len(before) >= factLimit {
			before = before[1:]
		}
		after := func(outcome bool) []fact {
			facts = append(facts[:0], before...)
			if t.from != worked {
				facts = append(facts, fact{t, outcome})
			}
			return facts
		}
		t.yes = lead(after(true), t.yes)
		t.no = lead(after(false), t.no)
		known[i] = nil
	}
	p.drop(reached)
}

// drop removes the tests that are not kept.
func (p *program) drop(keep []bool) {
	places := make([]int32, len(p.tests))
	var kept []test
	for i, t := range p.tests {
		if keep[i] {
			places[i] = int32(len(kept))
			kept = append(kept, t)
		}
	}
	move := func(to *int32) {
		if *to >= 0 {
			*to = places[*to]
		}
	}
	for i := range kept {
		move(&kept[i].yes)
		move(&kept[i].no)
	}
	move(&p.entry)
	p.tests = kept
}
