// Package findings adds up what the comparisons of a run come to: answers by
// verdict and by route, what they differ in, how long they took, and which of
// the differences are noise.
//
// In flow exchanges, through Judge, which compares them by the rules, and
// Baseline, which does the same with the answers of the old version; out comes
// a Summary. In between stand
//
//	recent.go   the comparison, if it was not made before
//	routes.go   requests of one kind: "GET /users/{id}"
//	groups.go   equal differences, counted, with an example
//	spot.go     a place, and how answers differ there
//	noise.go    what the old version differs in, too
//	clock.go    a second that ended between two answers
//	latency.go  how long answers took, by route and in all
//	series.go   all that over time
//	settle.go   at the end: the noise taken off, signatures made groups
//	explain.go  one exchange again, for who wants to read it
//
// However long the run is, memory is bounded: the constants say by what.
package findings

import (
	"slices"
	"strings"
	"sync"
	"time"

	"tcpsandbox/compare"
)

// Config says how to judge. The zero value allows no difference.
type Config struct {
	Rules *compare.Rules
	// Secrets are masked in all that a Summary shows; nil: the default ones.
	Secrets *compare.Secrets
	// Baseline: the old version is asked, too.
	Baseline bool
	// Memory is about how many bytes may be kept; 0: as many as it ever takes,
	// which is MaxMemory. With less, fewer routes and places are told apart, and
	// fewer examples shown.
	Memory int64
	// Wanted is told of each session that became an example of something; nil:
	// nobody wants to know. It is called with a lock held, and must be quick.
	Wanted func(session uint64)
}

// Run adds up one run. All methods may be called by several goroutines at once.
type Run struct {
	cfg    Config
	bounds bounds
	routes router
	recent recent

	mu         sync.Mutex
	byRoute    map[string]*route
	places     int      // what those of all routes take, in bytes
	verdicts   Verdicts // of answers
	closes     Verdicts // of connections' ends
	extra      int64
	uncompared [compare.Reasons]int64
	excused    map[compare.Excuse]int64
	groups     groups
	baseline   struct{ compared, differed int64 }
	latency    [sides]total
	series     series
	noisy      map[string]bool // leaves of places where the old version differs, bounded
}

// New returns a Run without findings.
func New(cfg Config) *Run {
	if cfg.Secrets == nil {
		cfg.Secrets = compare.NewSecrets()
	}
	r := &Run{
		cfg:     cfg,
		bounds:  boundsOf(cfg.Memory),
		byRoute: map[string]*route{},
		excused: map[compare.Excuse]int64{},
		noisy:   map[string]bool{},
	}
	r.routes.init()
	r.series.maxFindings = r.bounds.findings
	r.groups.init()
	r.recent.init()
	for i := range r.latency {
		r.latency[i].init()
	}
	return r
}

// What bounds a Run, beside bounds.
const (
	maxPlaces = 500  // of a route; others are not counted apart, so no noise excuses them
	maxExcuse = 500  // entries of excused
	maxNoisy  = 5000 // entries of noisy
	placeSize = 128  // bytes of a place, without its name
)

// otherRoutes is the route of what came after bounds.routes others.
const otherRoutes = "other requests"

// route is what requests of one kind came to, before noise is taken off.
type route struct {
	name       string
	verdicts   Verdicts
	places     map[spot]*place
	latency    [sides]timings
	signatures int // of its own; see groups

	baselineCompared int64
}

// place counts the answers of one route that differ in one spot.
type place struct {
	application, baseline int64
	volatile, time        bool // what stood there first was another time or token on each side; production's was a time
	own                   bool // of times: the application's differed by more or less than the clock
}

// question says what an exchange is about.
func (r *Run) question(x *compare.Exchange) compare.Question {
	q := compare.Question{HTTP: x.HTTP}
	q.Method, q.Route = r.routes.route(x.Request, x.HTTP)
	if strings.ContainsAny(q.Route, "=%:") { // parameters within the path: /cart;token=…
		q.Route = r.cfg.Secrets.Request(q.Route)
	}
	return q
}

// Judge compares the answers of an exchange and adds up what comes of it. It
// implements compare.Judge for the application.
func (r *Run) Judge(x *compare.Exchange) compare.Outcome {
	q := r.question(x)
	return r.judged(q, x, r.recent.judge(x, q, r.cfg.Rules))
}

func (r *Run) judged(q compare.Question, x *compare.Exchange, res judgement) compare.Outcome {
	at := x.At
	if at.IsZero() {
		at = time.Now()
	}
	out := compare.Outcome{Verdict: res.Verdict}
	first, made := r.count(q, x, &res, at, &out)
	// To hide secrets and to write an example down takes a millisecond and more:
	// others need not wait.
	if first != nil {
		out.First = &r.hidden(q, x, []compare.Difference{*first})[0]
	}
	if made != nil {
		e := r.example(q, x, &res.Result)
		r.mu.Lock()
		r.groups.keep(made, e)
		r.mu.Unlock()
	}
	return out
}

// count adds up a result. It returns the first difference that is not known to
// be noise, if it is wanted, and the signature that the answer is the first of.
func (r *Run) count(q compare.Question, x *compare.Exchange, res *judgement, at time.Time, out *compare.Outcome) (first *compare.Difference, made *signature) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if x.Closing {
		r.closes[res.Verdict]++
	} else {
		r.verdicts[res.Verdict]++
	}
	if res.Verdict == compare.Uncompared {
		if x.Closing {
			return nil, nil
		}
		r.uncompared[res.Why]++
	}
	if x.Extra {
		r.extra++
	}
	rt := r.route(q.Route)
	rt.verdicts[res.Verdict]++
	if res.Verdict == compare.Different || res.Verdict == compare.Missing {
		var told clock
		if r.cfg.Baseline {
			told = clockOf(x)
		}
		r.countPlaces(rt, res, func(p *place, at spot) *int64 {
			p.own = p.own || p.time && p.baseline == 0 && !told.tells(&res.Result, at)
			return &p.application
		})
		out.Finding, made = r.groups.add(r, rt, x, res)
		if x.First && !slices.Contains(x.Told, out.Finding) {
			first = r.telling(rt, &res.Result, told)
		}
	}
	for _, e := range res.Excused {
		if _, known := r.excused[e]; known || len(r.excused) < maxExcuse {
			r.excused[e]++
		}
	}
	r.time(rt, byProduction, x.ProductionTimes)
	r.time(rt, byApplication, x.ApplicationTimes)
	if !x.Closing {
		r.series.add(at, x, res.Verdict, out.Finding)
	}
	return first, made
}

// telling returns the first difference in a place where the old version differs
// in no route, or at least not in this one, as far as it was asked yet, and which
// is not the clock's; nil: there is none.
func (r *Run) telling(rt *route, res *compare.Result, told clock) *compare.Difference {
	var here *compare.Difference
	for i := range res.Differences {
		d := &res.Differences[i]
		at := spotOf(d)
		switch c := rt.places[at]; {
		case told.tells(res, at):
		case !r.noisy[leaf(at.Place)+at.how]:
			return d
		case here == nil && rt.baselineCompared > 0 && (c == nil || c.baseline == 0):
			here = d
		}
	}
	return here
}

// Baseline does with the old version's answers what Judge does with the
// application's: what they differ in is noise. It implements compare.Judge.
func (r *Run) Baseline(x *compare.Exchange) compare.Outcome {
	q := r.question(x)
	return r.baselineJudged(q, x, r.recent.judge(x, q, r.cfg.Rules))
}

func (r *Run) baselineJudged(q compare.Question, x *compare.Exchange, res judgement) compare.Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	rt := r.route(q.Route)
	if res.Verdict != compare.Uncompared {
		rt.baselineCompared++
	}
	differs := res.Verdict == compare.Different || res.Verdict == compare.Missing
	if !x.Closing && res.Verdict != compare.Uncompared {
		r.baseline.compared++
		if differs {
			r.baseline.differed++
		}
	}
	if differs {
		r.countPlaces(rt, &res, func(p *place, _ spot) *int64 { return &p.baseline })
		for i := range res.Differences {
			at := spotOf(&res.Differences[i])
			if c := rt.places[at]; c != nil && c.baseline == 1 && len(r.noisy) < maxNoisy {
				r.noisy[leaf(at.Place)+at.how] = true
			}
		}
	}
	r.time(rt, byBaseline, x.ApplicationTimes)
	return compare.Outcome{Verdict: res.Verdict}
}

// route returns the entry of a route, which it makes if there is room.
func (r *Run) route(name string) *route {
	if rt := r.byRoute[name]; rt != nil {
		return rt
	}
	if len(r.byRoute) >= r.bounds.routes && name != compare.CloseRoute {
		name = otherRoutes
		if rt := r.byRoute[name]; rt != nil {
			return rt
		}
	}
	rt := &route{name: name, places: map[spot]*place{}}
	r.byRoute[name] = rt
	return rt
}

// countPlaces counts an answer at each place of its route where it differs.
func (r *Run) countPlaces(rt *route, res *judgement, which func(*place, spot) *int64) {
	for _, p := range res.spots {
		at := rt.places[p]
		if at == nil {
			size := placeSize + len(p.Name)
			if len(rt.places) == maxPlaces || r.places+size > r.bounds.places {
				continue
			}
			r.places += size
			production, other := sample(&res.Result, p)
			at = &place{volatile: volatile(production, other), time: isTime(production)}
			rt.places[p] = at
		}
		*which(at, p)++
	}
}

// hidden returns differences without secrets. An excerpt of a text may lie in
// the middle of one, which only the text tells.
func (r *Run) hidden(q compare.Question, x *compare.Exchange, all []compare.Difference) []compare.Difference {
	var texts [][]byte
	if slices.ContainsFunc(all, func(d compare.Difference) bool { return !d.Place.Kind.Named() }) {
		for _, a := range []*compare.Answer{x.Production, x.Application} {
			if a != nil {
				texts = append(texts, a.Decoded(q))
			}
		}
	}
	out := slices.Clone(all)
	r.cfg.Secrets.HideAll(out, texts...)
	return out
}

func (r *Run) time(rt *route, who side, t compare.Times) {
	if t.First == 0 {
		return
	}
	rt.latency[who].add(t)
	r.latency[who].add(t)
}
