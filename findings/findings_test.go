package findings

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tcpsandbox/compare"
)

// client is what the tests' sessions have.
var client = netip.MustParseAddrPort("198.51.100.7:40001")

// exchange is a turn's, of text without HTTP around it.
func exchange(request, production, application string) *compare.Exchange {
	p, a := new(compare.Answer), new(compare.Answer)
	p.Add([]byte(production))
	a.Add([]byte(application))
	p.Complete, a.Complete = true, true
	return &compare.Exchange{Session: 1, Client: client, Request: request, At: time.Unix(1700000000, 0), Production: p, Application: a}
}

// differing makes a result that differs in places, as compare would.
func differing(places ...compare.Place) compare.Result {
	r := compare.Result{Verdict: compare.Different}
	for _, p := range places {
		r.Differences = append(r.Differences, compare.Difference{Place: p, Production: []byte("12"), Application: []byte("12.5")})
	}
	return r
}

// differs makes every n-th result differ in places.
func differs(n int, places ...compare.Place) func(i int) *compare.Result {
	return func(i int) *compare.Result {
		if i%n > 0 {
			return &same
		}
		r := differing(places...)
		return &r
	}
}

func never(int) *compare.Result { return &same }

func once(places ...compare.Place) func(i int) *compare.Result { return differs(1000, places...) }

func path(name string) compare.Place { return compare.Place{Kind: compare.InJSON, Name: name} }

// feed adds results without comparing, as Judge and Baseline do after it.
func (r *Run) feed(route string, session uint64, application, baseline *compare.Result) int {
	q := compare.Question{Route: route}
	x := exchange(route, "p", "a")
	x.Session = session
	if baseline != nil {
		r.baselineJudged(q, x, newJudgement(*baseline))
	}
	if application != nil {
		return r.judged(q, x, newJudgement(*application)).Finding
	}
	return 0
}

var same = compare.Result{Verdict: compare.Identical}

func TestGroups(t *testing.T) {
	var wanted []uint64
	r := New(Config{Wanted: func(session uint64) { wanted = append(wanted, session) }})
	for i := range 100 {
		price, none := differing(path("$.price")), compare.Result{Verdict: compare.Missing}
		r.feed("GET /a", uint64(i), &same, nil)
		r.feed("GET /b", uint64(i), &price, nil)
		if i%10 == 0 {
			both := differing(path("$.price"), path("$.name"))
			r.feed("GET /b", uint64(i), &both, nil)
			r.feed("GET /c", uint64(i), &none, nil)
		}
	}
	s := r.Summary()
	want := "GET /b [$.price] 100 false\nGET /b [$.name $.price] 10 false\nGET /c [answer] 10 true\n"
	if got := groupWords(s); got != want {
		t.Errorf("groups:\n%swant:\n%s", got, want)
	}
	if fmt.Sprint(wanted) != "[0 0 0]" || s.Verdicts != (Verdicts{100, 0, 110, 10, 0}) {
		t.Errorf("wanted %v, verdicts %v", wanted, s.Verdicts)
	}
	if r.Differing() != 120 {
		t.Errorf("%d differ", r.Differing())
	}
}

func groupWords(s *Summary) string {
	var b strings.Builder
	for _, g := range s.Groups {
		fmt.Fprintln(&b, g.Route, g.Places, g.Answers, g.Missing)
	}
	return b.String()
}

// What the old version differs in as well is noise; what the new one differs in
// beyond that is left, and named without it.
func TestNoise(t *testing.T) {
	at, price := path("$.at"), path("$.price")
	for _, tt := range []struct {
		name                  string
		application, baseline func(i int) *compare.Result
		want                  string
		noise                 int // places
	}{
		{"always", differs(1, at), differs(1, at), "", 1},
		{"a change beside it", differs(1, at, price), differs(1, at), "GET /a [$.price] 200 false\n", 1},
		{"never in the old version", differs(1, price), never, "GET /a [$.price] 200 false\n", 0},
		{"as often, by chance", differs(20, at), differs(25, at), "", 1},
		{"once in the old version", differs(1, price), once(price), "GET /a [$.price] 200 false\n", 0},
		{"only in the old version", never, differs(3, at), "", 1},
	} {
		r := New(Config{})
		var findings []int
		for i := range 200 {
			findings = append(findings, r.feed("GET /a", uint64(i), tt.application(i), tt.baseline(i)))
		}
		s := r.Summary()
		if got := groupWords(s); got != tt.want || len(s.Noise) != tt.noise {
			t.Errorf("%s: groups %q, want %q; noise %v", tt.name, got, tt.want, s.Noise)
		}
		var left int64
		for _, f := range findings {
			if f != 0 && !s.IsNoise(f) {
				left++
			}
		}
		if wrong := s.Verdicts[compare.Different]; wrong != left || s.Verdicts.sum() != 200 || s.Series.Points[0].Verdicts != s.Verdicts || s.Routes[0].Verdicts != s.Verdicts {
			t.Errorf("%s: verdicts %v, in the series %v, by route %v; %d findings are no noise", tt.name, s.Verdicts, s.Series.Points[0].Verdicts, s.Routes[0].Verdicts, left)
		}
		for _, g := range s.Groups {
			if len(g.Example.Differences) != 1 || g.Example.Differences[0].Place != price {
				t.Errorf("%s: example %v", tt.name, g.Example.Differences)
			}
		}
	}
}

// A time that is in seconds may be the same in all of the old version's few
// answers, and another in the new one's: it is known from other routes.
func TestNoiseOfFew(t *testing.T) {
	stamped := func(production, application string) *compare.Result {
		r := differing(path("$.meta.at"))
		r.Differences[0].Production, r.Differences[0].Application = []byte(production), []byte(application)
		return &r
	}
	run := func(production, application string) string {
		r := New(Config{})
		r.feed("GET /a", 1, stamped(`"2026-11-22T10:00:00Z"`, `"2026-11-22T10:00:01Z"`), stamped(`"2026-11-22T10:00:00Z"`, `"2026-11-22T10:00:01Z"`))
		r.feed("GET /b", 2, stamped(production, application), &same)
		return groupWords(r.Summary())
	}
	if got := run(`"2026-11-22T10:00:00Z"`, `"2026-11-22T10:00:01Z"`); got != "" {
		t.Errorf("a time counts: %s", got)
	}
	const id, other = `"123e4567-e89b-12d3-a456-426614174000"`, `"9fceb02d-e89b-12d3-a456-426614174001"`
	if got := run(id, other); got != "GET /b [$.meta.at] 1 false\n" {
		t.Errorf("another id than the old version's does not count: %s", got)
	}
	if got := run(`"yes"`, `"no"`); got != "GET /b [$.meta.at] 1 false\n" {
		t.Errorf("a word does not count: %s", got)
	}
}

func TestVolatile(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"2026-11-22T10:00:00Z", "2026-11-22T10:00:01.5Z", true},
		{"2026-11-22T10:00:00Z", "2020-11-22T10:00:00Z", false}, // years apart
		{`"2026-11-22 10:00:00"`, `"2026-11-22 10:00:01"`, true},
		{"2026-11-22T10:00:00+0000", "2026-11-22T10:00:01+0000", true},
		{"20261122T100000Z", "20261122T100001Z", true},
		{"2026-11-22 10:00:00 UTC", "2026-11-22 10:00:01 UTC", true},
		{"22/Nov/2026:10:00:00 +0100", "22/Nov/2026:10:00:01 +0100", true},
		{"11/22/2026 9:00:00 AM", "11/22/2026 10:00:00 AM", true},
		{"Sun, 22 Nov 2026 10:00:00 GMT", "Sun, 22 Nov 2026 10:00:09 GMT", true},
		{"1795341600", "1795341601", true},
		{"1795341600.25", "1795341601.5", true},
		{"1795341600123", "1795341601123", true},
		{"12", "12.5", false},
		{"1795341600", "17", false},
		{"123e4567-e89b-12d3-a456-426614174000", "00000000-e89b-12d3-a456-426614174001", true},
		{"123e4567-e89b-12d3-a456-426614174000", "none", false},
		{"9fceb02d0ae598e95dc9", "0ae598e95dc99fceb02d", true},
		{"a-long-sentence-of-words", "a-lung-sentence-of-words", false},
		{"yes", "no", false},
		{"", "", false},
	} {
		if got := volatile(tt.a, tt.b); got != tt.want || volatile(tt.b, tt.a) != got {
			t.Errorf("volatile(%q, %q) = %v", tt.a, tt.b, got)
		}
	}
}

// More signatures than are kept apart are counted all the same, and what is
// beyond the noise is still found among them.
func TestManySignatures(t *testing.T) {
	r := New(Config{})
	random := rand.New(rand.NewPCG(1, 2))
	const n = 5000
	for i := range n {
		var places []compare.Place
		for len(places) == 0 {
			for j := range 40 {
				if random.IntN(2) == 0 {
					places = append(places, path(fmt.Sprintf("$.list[*].f%d", j)))
				}
			}
		}
		noise := differing(places...)
		route := []string{"GET /a", "GET /b", "GET /c"}[i%3]
		r.feed(route, uint64(i), &noise, &noise)
	}
	if s := r.Summary(); len(s.Groups) != 0 || s.Verdicts[compare.Equivalent] != n {
		t.Errorf("%d groups, verdicts %v", len(s.Groups), s.Verdicts)
	}
	price, status := differing(path("$.price")), differing(compare.Place{Kind: compare.InStatus})
	for i := range 10 {
		r.feed("GET /a", uint64(n+i), &price, &same)
	}
	r.feed("GET /b", uint64(n), &same, &status) // once in the old version
	for i := range 50 {
		r.feed("GET /b", uint64(n+i), &status, &same)
	}
	s := r.Summary()
	if len(s.Groups) == 2 && fmt.Sprint(s.Groups[0].Places) == "[status]" && s.Groups[0].Answers == 50 {
		s.Groups = s.Groups[1:]
	} else {
		t.Errorf("the status is not among them")
	}
	if len(s.Groups) != 1 || s.Groups[0].Route != "GET /a" || fmt.Sprint(s.Groups[0].Places) != "[$.price]" || s.Groups[0].Answers != 10 {
		t.Errorf("%s", groupWords(s))
	}
	if len(r.groups.all) > maxSignatures+2*r.bounds.routes {
		t.Errorf("%d signatures", len(r.groups.all))
	}
}

// Routes that turn out to be one are one in the summary, with all they have.
func TestRoutesMerge(t *testing.T) {
	r := New(Config{})
	for i := range 2 * maxChildren {
		name := "w" + strings.Map(func(c rune) rune { return c - '0' + 'a' }, fmt.Sprint(i))
		x := exchange("GET /users/"+name+" HTTP/1.1", "p", "a")
		x.HTTP = true
		x.ApplicationTimes.First = time.Duration(i+1) * time.Millisecond
		r.Judge(x)
	}
	s := r.Summary()
	if len(s.Routes) != 1 || s.Routes[0].Name != "GET /users/{name}" || len(s.Groups) != 1 || s.Groups[0].Answers != 2*maxChildren {
		t.Fatalf("%d routes, the first %s; groups:\n%s", len(s.Routes), s.Routes[0].Name, groupWords(s))
	}
	for name, l := range map[string]Distribution{"route": s.Routes[0].Latency.Application.First, "run": s.Latency.Application.First} {
		if l.Count != 2*maxChildren || l.P50 < 297*time.Millisecond || l.P50 > 303*time.Millisecond || l.Max < 595*time.Millisecond || l.Max > 605*time.Millisecond {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

// Against all values sorted: exact while they are few, within 1 % beyond.
func TestDistribution(t *testing.T) {
	for _, n := range []int{1, 2, 100, exactCounts, exactCounts + 1, 10_000} {
		var c, half, other counts
		random := rand.New(rand.NewPCG(uint64(n), 0))
		for i := range n {
			d := time.Duration(1+random.ExpFloat64()*5000) * time.Microsecond
			c.add(d)
			if i%2 == 0 {
				half.add(d)
			} else {
				other.add(d)
			}
		}
		half.merge(&other)
		if a, b := c.distribution(), half.distribution(); fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%d values: %v, merged %v", n, a, b)
		}
	}
	var c counts
	for i := range 1000 {
		c.add(time.Duration(i+1) * time.Millisecond)
	}
	for _, tt := range []struct{ got, want time.Duration }{
		{c.distribution().P50, 500 * time.Millisecond}, {c.distribution().P90, 900 * time.Millisecond},
		{c.distribution().P99, 990 * time.Millisecond}, {c.distribution().Max, 1000 * time.Millisecond},
	} {
		if off := float64(tt.got-tt.want) / float64(tt.want); off < 0 || off > 0.008 {
			t.Errorf("%v, want %v", tt.got, tt.want)
		}
	}
}

// However long the run, the series has at most maxPoints, and loses nothing.
func TestSeries(t *testing.T) {
	r := New(Config{})
	const n = 5000
	for i := range n {
		x := exchange("turn 1", "a", "a")
		x.At = x.At.Add(time.Duration(i) * time.Second)
		x.ProductionTimes.First = 2 * time.Millisecond
		r.Judge(x)
	}
	s := r.Summary().Series
	var all int64
	for _, p := range s.Points {
		all += p.Verdicts[compare.Identical]
		if p.Production != 2*time.Millisecond || p.Application != 0 {
			t.Fatalf("%+v", p)
		}
	}
	if all != n || len(s.Points) > maxPoints || s.Step*time.Duration(len(s.Points)) < n*time.Second {
		t.Errorf("%d answers in %d points of %v", all, len(s.Points), s.Step)
	}
	early := exchange("turn 1", "a", "a")
	early.At = early.At.Add(-time.Hour)
	r.Judge(early) // is counted with the first
	if got := r.Summary().Series.Points[0].Verdicts.sum(); got != s.Points[0].Verdicts.sum()+1 {
		t.Errorf("%d", got)
	}
}

// The everyday case: the answers are the same.
func BenchmarkJudge(b *testing.B) {
	r := New(Config{})
	x := exchange("GET /cart?id=17 HTTP/1.1", strings.Repeat("x", 512), strings.Repeat("x", 512))
	x.HTTP = true
	x.ProductionTimes, x.ApplicationTimes = compare.Times{First: 1e6, Whole: 2e6}, compare.Times{First: 1e6, Whole: 2e6}
	b.ReportAllocs()
	for b.Loop() {
		if r.Judge(x).Verdict != compare.Identical {
			b.Fatal("not identical")
		}
	}
}

// The first difference is not made out again for whoever knows it.
func TestTold(t *testing.T) {
	r := New(Config{})
	x := exchange("turn 1", "one", "two")
	x.First = true
	out := r.Judge(x)
	if out.First == nil || out.Finding == 0 {
		t.Fatalf("%+v", out)
	}
	x.Told = []int{out.Finding}
	if again := r.Judge(x); again.First != nil || again.Finding != out.Finding {
		t.Errorf("told again: %+v", again)
	}
	if s := r.Summary(); len(s.Groups) != 1 || s.Groups[0].Answers != 2 || len(s.Groups[0].Example.Differences) != 1 {
		t.Errorf("%+v", s.Groups)
	}
}

// An excerpt of a long text may be a secret whose name is only in the text.
func TestSecretFarBehind(t *testing.T) {
	r := New(Config{Secrets: compare.NewSecrets("token")})
	x := exchange("turn 1", "", "")
	x.First = true
	for a, secret := range map[*compare.Answer]string{x.Production: "Zq9Wv8Xk7Y", x.Application: "S3cr37abcd"} {
		a.Keep = compare.MaxHead
		a.Add([]byte(strings.Repeat("all the same\n", 10_000) + "token=" + secret + " x\n"))
	}
	out := r.Judge(x)
	if out.First == nil {
		t.Fatal("no difference")
	}
	g := r.Summary().Groups[0]
	for _, d := range append(g.Example.Differences, *out.First) {
		if got := string(d.Production) + string(d.Application); strings.Contains(got, "Zq9") || strings.Contains(got, "S3c") {
			t.Errorf("%s: %s", d.Place.Name, got)
		}
	}
}

// A parameter within the path is part of no route's name.
func TestSecretInRoute(t *testing.T) {
	r := New(Config{Secrets: compare.NewSecrets("token")})
	for _, secret := range []string{"Zq9", "S3c"} {
		x := exchange("GET /cart;token="+secret+"/items HTTP/1.1", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
		x.HTTP = true
		r.Judge(x)
	}
	s := r.Summary()
	if len(s.Routes) != 1 || len(s.Groups) != 1 || strings.Contains(s.Routes[0].Name+s.Groups[0].Route, "Zq9") {
		t.Errorf("%+v, %+v", s.Routes, s.Groups)
	}
}

// The difference that is shown of a session is none that will turn out to be
// noise, if that can be known.
func TestTellingDifference(t *testing.T) {
	order, price, id := compare.Place{Kind: compare.InOrder, Name: "$.items"}, path("$.price"), path("$.id")
	r := New(Config{})
	noise := differing(order, id)
	r.feed("GET /a", 1, nil, &noise)
	r.feed("GET /known", 1, nil, &same)
	for _, tt := range []struct {
		route  string
		places []compare.Place
		want   string
	}{
		{"GET /a", []compare.Place{order, price}, "$.price"},
		{"GET /b", []compare.Place{id, order, price}, "$.price"},
		{"GET /c", []compare.Place{id, order}, ""}, // the old version was not asked yet
		{"GET /a", []compare.Place{order}, ""},
		{"GET /known", []compare.Place{order}, "$.items"},
	} {
		res := differing(tt.places...)
		x := exchange(tt.route, "p", "a")
		x.First = true
		got := ""
		if d := r.judged(compare.Question{Route: tt.route}, x, newJudgement(res)).First; d != nil {
			got = d.Place.Name
		}
		if got != tt.want {
			t.Errorf("%s, %v: %q, want %q", tt.route, tt.places, got, tt.want)
		}
	}
}

// Noise in 30 places of each answer, as a list with ids has.
func BenchmarkNoise(b *testing.B) {
	var places []compare.Place
	for i := range 30 {
		places = append(places, path(fmt.Sprintf("$.f%d", i)))
	}
	r, noise := New(Config{}), differing(places...)
	for i := range noise.Differences {
		d := &noise.Differences[i]
		d.Production, d.Application = []byte(`"9fceb02d0ae598e95dc9"`), []byte(`"0ae598e95dc99fceb02d"`)
	}
	r.feed("GET /a", 1, &noise, &noise)
	b.ReportAllocs()
	for b.Loop() {
		r.feed("GET /a", 1, &noise, &noise)
	}
}
