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
	// differenceSize is that of one without what it points to.
	differenceSize = 144
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
	size   int // bytes of the signatures' places
	bodies int // bytes of examples
	told   int // bytes of their differences
}

func (g *groups) init() { g.index, g.all = map[string]int{}, []*signature{nil} }

// add counts an answer that differs or is missing, and returns its finding.
// made is its signature if that is new; it is yet to get its example.
func (g *groups) add(r *Run, rt *route, x *compare.Exchange, res *judgement) (n int, made *signature) {
	s := &signature{route: rt, places: slices.Clone(res.spots), missing: res.Verdict == compare.Missing, closing: x.Closing, more: res.Elsewhere}
	s.places = slices.DeleteFunc(s.places, rt.noiseForSure)
	key := s.key()
	n, known := g.index[key]
	full := g.size > r.bounds.signatures
	if !known && !s.missing && (full || len(g.all) > maxSignatures || rt.signatures >= maxOfRoute) {
		// Places that are noise as far as is known make for many signatures.
		s.places = slices.DeleteFunc(s.places, func(p spot) bool { return !p.ofAll() && new(noises).is(rt, p) })
		key = "late " + s.key()
		if n, known = g.index[key]; !known && (full || len(g.all) > maxSignatures+r.bounds.routes || rt.signatures >= 2*maxOfRoute) {
			// The signature of all that have no entry: places is what any of them had.
			key = "pool " + rt.name
			if n, known = g.index[key]; known {
				g.size += g.all[n].pool(s, full)
			} else if full {
				s.places, s.more = nil, true
			}
		}
	}
	if !known {
		n = len(g.all)
		g.index[key] = n
		g.size += s.size() + len(key)
		g.all = append(g.all, s)
		rt.signatures++
		s.example = &Example{Session: x.Session, Client: x.Client.String(), Request: r.cfg.Secrets.Request(x.Request)}
		made = s
		if r.cfg.Wanted != nil && (len(s.places) > 0 || s.more) {
			r.cfg.Wanted(x.Session)
		}
	}
	g.all[n].answers++
	return n, made
}

// pool takes in the places of an answer that has no signature of its own, if
// there is room, and returns how many bytes they take.
func (s *signature) pool(one *signature, full bool) (size int) {
	s.more = s.more || one.more
	before := s.size()
	for _, p := range one.places {
		if i, found := slices.BinarySearchFunc(s.places, p, compareSpots); !found {
			if full || len(s.places) == maxPlaces {
				s.more = true
				break
			}
			s.places = slices.Insert(s.places, i, p)
		}
	}
	return s.size() - before
}

// size is how many bytes the places take.
func (s *signature) size() (n int) {
	for _, p := range s.places {
		n += 40 + len(p.Name)
	}
	return n
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

// example writes down how an answer differs, as far as there may be room.
func (r *Run) example(q compare.Question, x *compare.Exchange, res *compare.Result) Example {
	r.mu.Lock()
	bodies, told := r.groups.bodies < r.bounds.bodies, r.groups.told < r.bounds.told
	r.mu.Unlock()
	differences := res.Differences
	if !told {
		differences = differences[:min(len(differences), 1)]
	}
	e := Example{Differences: r.hidden(q, x, differences)}
	if bodies {
		e.Production, e.Application = r.body(x.Production, q), r.body(x.Application, q)
	}
	return e
}

// keep completes a signature's example.
func (g *groups) keep(s *signature, e Example) {
	for i := range e.Differences {
		d := &e.Differences[i]
		g.told += differenceSize + len(d.Place.Name) + len(d.Path) + len(d.Production) + len(d.Application)
	}
	for _, b := range []*Body{e.Production, e.Application} {
		if b != nil {
			g.bodies += len(b.Head) + len(b.Text)
		}
	}
	// Summary may have the example that was there.
	now := *s.example
	now.Differences, now.Production, now.Application = e.Differences, e.Production, e.Application
	s.example = &now
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
