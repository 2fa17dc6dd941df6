package findings

import (
	"cmp"
	"slices"
	"strings"

	"tcpsandbox/compare"
)

// Answers to requests of one route that differ in the same places have one
// signature. Which of the places are noise is known at the end only; until
// then signatures are kept apart, and counted.

const (
	maxSignatures = 2000 // more are put together by route, as are those of a route beyond maxOfRoute
	maxOfRoute    = 100
	// maxBodies bounds what all examples' bodies come to, in bytes.
	maxBodies = 8 << 20
)

// signature is what answers differ in.
type signature struct {
	route   *route
	places  []spot // sorted; empty: only in what is noise for sure
	missing bool   // they did not come
	closing bool   // they are no answers, but the ends of connections
	more    bool   // there are places beyond those
	answers int64
	example *Example
}

func (s *signature) verdict() compare.Verdict {
	if s.missing {
		return compare.Missing
	}
	return compare.Different
}

type groups struct {
	all    []*signature // by Finding, from 1
	index  map[string]int
	bodies int // bytes of examples
}

func (g *groups) init() { g.index, g.all = map[string]int{}, []*signature{nil} }

// add counts an answer that differs or is missing, and returns its finding.
func (g *groups) add(r *Run, rt *route, q compare.Question, x *compare.Exchange, res *compare.Result) int {
	s := &signature{route: rt, places: spotsOf(res), missing: res.Verdict == compare.Missing, closing: x.Closing, more: res.Elsewhere}
	s.places = slices.DeleteFunc(s.places, rt.noiseForSure)
	key := s.key()
	n, known := g.index[key]
	if !known && !s.missing && (len(g.all) > maxSignatures || rt.signatures >= maxOfRoute) {
		// Places that are noise as far as is known make for many signatures.
		s.places = slices.DeleteFunc(s.places, func(p spot) bool { return !p.ofAll() && new(noises).is(rt, p) })
		key = "late " + s.key()
		if n, known = g.index[key]; !known && (len(g.all) > maxSignatures+maxRoutes || rt.signatures >= 2*maxOfRoute) {
			// The signature of all that have no entry: places is what any of them had.
			key = "pool " + rt.name
			if n, known = g.index[key]; known {
				g.all[n].pool(s)
			}
		}
	}
	if !known {
		n = len(g.all)
		g.index[key] = n
		g.all = append(g.all, s)
		rt.signatures++
		s.example = g.example(r, q, x, res)
		if r.cfg.Wanted != nil && (len(s.places) > 0 || s.more) {
			r.cfg.Wanted(x.Session)
		}
	}
	g.all[n].answers++
	return n
}

// pool takes in the places of an answer that has no signature of its own.
func (s *signature) pool(one *signature) {
	s.more = s.more || one.more
	for _, p := range one.places {
		if i, found := slices.BinarySearchFunc(s.places, p, compareSpots); !found {
			if len(s.places) == maxPlaces {
				s.more = true
				return
			}
			s.places = slices.Insert(s.places, i, p)
		}
	}
}

// key is the same for signatures that are.
func (s *signature) key() string {
	var b strings.Builder
	if s.missing {
		b.WriteString("missing ")
	}
	b.WriteString(s.route.name)
	for _, p := range s.places {
		b.WriteByte(0)
		b.WriteByte(byte(p.Kind))
		b.WriteString(p.Name)
		b.WriteByte(1)
		b.WriteString(p.how)
	}
	return b.String()
}

func placesKey(places []compare.Place) string {
	var b strings.Builder
	for _, p := range places {
		b.WriteByte(0)
		b.WriteByte(byte(p.Kind))
		b.WriteString(p.Name)
	}
	return b.String()
}

// example writes down an answer that differs.
func (g *groups) example(r *Run, q compare.Question, x *compare.Exchange, res *compare.Result) *Example {
	e := &Example{
		Session: x.Session, Client: x.Client.String(),
		Request: r.cfg.Secrets.Request(x.Request), Differences: r.hidden(q, x, res.Differences),
	}
	if g.bodies < maxBodies {
		e.Production, e.Application = r.body(x.Production, q), r.body(x.Application, q)
		for _, b := range []*Body{e.Production, e.Application} {
			if b != nil {
				g.bodies += len(b.Head) + len(b.Text)
			}
		}
	}
	return e
}

// body is an answer as text.
func (r *Run) body(a *compare.Answer, q compare.Question) *Body {
	if a == nil {
		return nil
	}
	head, kind, text, cut := a.Text(q, BodyLimit, r.cfg.Secrets)
	return &Body{Head: r.cfg.Secrets.Head(head), Text: r.cfg.Secrets.Body(kind, text), Cut: cut}
}

func comparePlaces(a, b compare.Place) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
}
