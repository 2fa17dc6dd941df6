package findings

import (
	"cmp"
	"slices"
	"strings"

	"tcpsandbox/compare"
)

// Summary returns what the run has come to so far. It may be called at any
// time; what is noise may yet change while answers still come.
func (r *Run) Summary() *Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &Summary{
		Verdicts: r.verdicts, Closes: r.closes, Extra: r.extra, Uncompared: r.uncompared,
		Latency: Sides{r.latency[byProduction].latency(), r.latency[byApplication].latency(), r.latency[byBaseline].latency()},
	}
	s.Baseline.Compared, s.Baseline.Differed = r.baseline.compared, r.baseline.differed
	routes := r.finalRoutes()
	noise := newNoises(routes)
	r.settle(s, routes, noise)
	s.Series = r.series.result(func(f int) (compare.Verdict, bool) { return r.groups.all[f].verdict(), s.noise[f] })
	for e, n := range r.excused {
		s.Excused = append(s.Excused, Excused{e, n})
	}
	slices.SortFunc(s.Excused, func(a, b Excused) int {
		return cmp.Or(cmp.Compare(b.Answers, a.Answers), comparePlaces(a.Place, b.Place), strings.Compare(a.Why, b.Why))
	})
	return s
}

// finalRoutes returns the routes by the names that they were given out with:
// those that have one name by now are one.
func (r *Run) finalRoutes() map[string]*route {
	routes := make(map[string]*route, len(r.byRoute))
	merged := map[string]*route{}
	for given, rt := range r.byRoute {
		name := r.routes.final(given)
		to := merged[name]
		if to == nil {
			to = &route{name: name, places: map[spot]*place{}}
			merged[name] = to
		}
		to.merge(rt)
		routes[given] = to
	}
	return routes
}

func (rt *route) merge(from *route) {
	for v, n := range from.verdicts {
		rt.verdicts[v] += n
	}
	for p, c := range from.places {
		to := rt.places[p]
		if to == nil {
			to = &place{volatile: c.volatile, time: c.time}
			rt.places[p] = to
		}
		to.application += c.application
		to.baseline += c.baseline
		to.volatile = to.volatile && c.volatile // whichever comes first
		to.own = to.own || c.own
	}
	rt.baselineCompared += from.baselineCompared
	for i := range rt.latency {
		rt.latency[i].merge(&from.latency[i])
	}
}

// settle takes the noise off: signatures become groups.
func (r *Run) settle(s *Summary, routes map[string]*route, noise *noises) {
	verdicts := map[*route]*Verdicts{}
	index := map[string]int{}
	s.noise = make([]bool, len(r.groups.all))
	for _, rt := range routes {
		if verdicts[rt] == nil {
			v := rt.verdicts
			verdicts[rt] = &v
		}
	}
	for i, sig := range r.groups.all {
		if i == 0 {
			continue
		}
		rt := routes[sig.route.name]
		left := slices.DeleteFunc(slices.Clone(sig.places), func(p spot) bool { return noise.is(rt, p) })
		if len(left) == 0 && !sig.more {
			s.noise[i] = true
			in := &s.Verdicts
			if sig.closing {
				in = &s.Closes
			}
			for _, v := range []*Verdicts{in, verdicts[rt]} {
				v[sig.verdict()] -= sig.answers
				v[compare.Equivalent] += sig.answers
			}
			continue
		}
		places := placesOf(left)
		key := rt.name + placesKey(places)
		n, known := index[key]
		if !known {
			n = len(s.Groups)
			index[key] = n
			g := Group{Route: rt.name, Places: places, Missing: sig.missing, Example: *sig.example}
			g.Example.Differences = slices.DeleteFunc(slices.Clone(g.Example.Differences), func(d compare.Difference) bool {
				return !slices.Contains(left, spotOf(&d))
			})
			s.Groups = append(s.Groups, g)
		}
		s.Groups[n].Answers += sig.answers
	}
	slices.SortStableFunc(s.Groups, func(a, b Group) int { return cmp.Compare(b.Answers, a.Answers) })
	for rt, v := range verdicts {
		s.Routes = append(s.Routes, Route{rt.name, *v, Sides{
			rt.latency[byProduction].latency(), rt.latency[byApplication].latency(), rt.latency[byBaseline].latency(),
		}})
		s.Noise = append(s.Noise, noise.of(rt)...)
	}
	slices.SortFunc(s.Routes, func(a, b Route) int {
		return cmp.Or(cmp.Compare(b.Verdicts.sum(), a.Verdicts.sum()), strings.Compare(a.Name, b.Name))
	})
	slices.SortFunc(s.Noise, func(a, b Noise) int {
		return cmp.Or(cmp.Compare(b.Baseline, a.Baseline), strings.Compare(a.Route, b.Route), comparePlaces(a.Place, b.Place))
	})
}

func (v *Verdicts) sum() (n int64) {
	for _, x := range v {
		n += x
	}
	return n
}

// Differing is how many answers differ or are missing, as far as is known now:
// what may be noise, because the old version differs there, too, is not counted.
func (r *Run) Differing() (n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, sig := range r.groups.all[1:] {
		if sig.closing {
			continue
		}
		if sig.more || slices.ContainsFunc(sig.places, func(p spot) bool {
			c := sig.route.places[p]
			return c == nil || c.baseline == 0
		}) {
			n += sig.answers
		}
	}
	return n
}
