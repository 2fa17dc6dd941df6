package compare

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// rulesFrom reads rules that are one rule, or the whole file.
func rulesFrom(t *testing.T, text string) *Rules {
	t.Helper()
	if !strings.HasPrefix(text, "version") {
		text = "version: 1\nrules:\n  - " + text
	}
	r, err := ParseRules("rules.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return r
}

// differs makes a difference of what people see in a report.
func differs(kind Kind, name, path, production, application string) *Difference {
	d := &Difference{Place: Place{kind, name}, Path: path}
	if production != "none" {
		d.Production = []byte(production)
	}
	if application != "none" {
		d.Application = []byte(application)
	}
	return d
}

func TestExcuse(t *testing.T) {
	const route = "GET /users/{id}"
	for _, tt := range []struct {
		rule string
		d    *Difference
		want bool
	}{
		{"status: true", differs(InStatus, "", "", "200", "500"), true},
		{"status: true", differs(InStatus, "interim", "", "100", ""), false},
		{"interim: true", differs(InStatus, "interim", "", "100", ""), true},
		{"end: true", differs(InEnd, "", "", "", ""), true},
		{"close: true", differs(InClose, "early", "", "kept open", "closed before the client"), true},
		{"close: [late, not reset]", differs(InClose, "late", "", "", ""), true},
		{"close: [late, not reset]", differs(InClose, "not reset", "", "", ""), true},
		{"close: [late, not reset]", differs(InClose, "reset", "", "", ""), false},
		{"close: true", differs(InEnd, "", "", "", ""), false},

		{"headers: [ETag]", differs(InHeader, "etag", "", "a", "none"), true},
		{"headers: [etag]", differs(InHeader, "etags", "", "a", "b"), false},
		{"headers: [x-*]", differs(InHeader, "x-served-by", "", "a", "b"), true},
		{"headers: [x-*]", differs(InHeader, "ex-x-", "", "a", "b"), false},
		{"headers: ['x-\\*']", differs(InHeader, "x-*", "", "a", "b"), true},
		{"headers: ['x-\\*']", differs(InHeader, "x-a", "", "a", "b"), false},
		{"headers: [sid]", differs(InCookie, "sid", "sid value", "a", "b"), false},
		{"cookies: [sid]", differs(InCookie, "sid", "sid HttpOnly", "", "none"), true},
		{"cookies: [SID]", differs(InCookie, "sid", "sid value", "a", "b"), false},
		{"fields: [csrf*]", differs(InForm, "csrf_token", "", "a", "b"), true},

		{`json: ["$.at"]`, differs(InJSON, "$.at", "", "1", "2"), true},
		{`json: ["$.at"]`, differs(InOrder, "$.at", "", "1", "2"), false},
		{`json: ["$.at"]`, differs(InJSON, "$.at.zone", "", "1", "2"), false},
		{`json: ["$"]`, differs(InJSON, "$", "", "1", "2"), true},
		{`json: ["$.items[*].id"]`, differs(InJSON, "$.items[*].id", "$.items[3].id", "1", "2"), true},
		{`json: ["$.items[*].id"]`, differs(InJSON, "$.items.a.id", "", "1", "2"), false},
		{`json: ["$.items[3].id"]`, differs(InJSON, "$.items[*].id", "$.items[3].id", "1", "2"), true},
		{`json: ["$.items[3].id"]`, differs(InJSON, "$.items[*].id", "$.items[4].id", "1", "2"), false},
		{`json: ["$.users.*.id"]`, differs(InJSON, "$.users.bob.id", "", "1", "2"), true},
		{`json: ["$.users.*.id"]`, differs(InJSON, "$.users[*].id", "$.users[0].id", "1", "2"), false},
		{`json: ["$..token"]`, differs(InJSON, "$.token", "", "1", "2"), true},
		{`json: ["$..token"]`, differs(InJSON, "$.a[*].b.token", "$.a[0].b.token", "1", "2"), true},
		{`json: ["$..token"]`, differs(InJSON, "$.token.a", "", "1", "2"), false},
		{`json: ["$..[*]"]`, differs(InJSON, "$.a[*]", "$.a[1]", "1", "2"), true},
		{`json: ["$..a..b"]`, differs(InJSON, "$.x.a.y.a.z.b", "", "1", "2"), true},
		{`json: ["$..a..b"]`, differs(InJSON, "$.x.b.a", "", "1", "2"), false},
		{`json: ["$.meta.**"]`, differs(InJSON, "$.meta", "", "1", "2"), true},
		{`json: ["$.meta.**"]`, differs(InJSON, "$.meta.took[*]", "$.meta.took[1]", "1", "2"), true},
		{`json: ["$.meta.**"]`, differs(InJSON, "$.metadata", "", "1", "2"), false},
		{`json: ['$["unit price"]']`, differs(InJSON, `$["unit price"]`, "", "1", "2"), true},
		{`json: ["$['a.b'].c"]`, differs(InJSON, `$["a.b"].c`, "", "1", "2"), true},
		{`json: ["$.émile"]`, differs(InJSON, `$["émile"]`, "", "1", "2"), true},
		{`unordered: ["$.items"]`, differs(InOrder, "$.items", "", "1", "2"), true},
		{`unordered: ["$..*"]`, differs(InOrder, "$.a.items", "", "1", "2"), true},
		{`unordered: ["$.items"]`, differs(InJSON, "$.items", "", "1", "2"), false},

		{`tolerance: {"$.price": 0.01}`, differs(InJSON, "$.price", "", "12", "12.01"), true},
		{`tolerance: {"$.price": 0.01}`, differs(InJSON, "$.price", "", "12", "11.99"), true},
		{`tolerance: {"$.price": 0.01}`, differs(InJSON, "$.price", "", "12", "12.010001"), false},
		{`tolerance: {"$.price": 0.01}`, differs(InJSON, "$.price", "", "12", `"12"`), false},
		{`tolerance: {"$.price": 0.01}`, differs(InJSON, "$.price", "", "12", "none"), false},
		{`tolerance: {"$.price": 1%}`, differs(InJSON, "$.price", "", "-200", "-202"), true},
		{`tolerance: {"$.price": "1%"}`, differs(InJSON, "$.price", "", "200", "197.9"), false},
		{`tolerance: {"$.n": 5}`, differs(InJSON, "$.n", "", "9007199254740993", "9007199254740998"), true},
		{`tolerance: {"$.n": 5}`, differs(InJSON, "$.n", "", "9007199254740993", "9007199254740999"), false},
		{`tolerance: {"$.n": 5}`, differs(InJSON, "$.n", "", "1e999999999", "1e999999998"), false},
		{`tolerance: {"$..n": 5}`, differs(InJSON, "$.a[*].n", "$.a[7].n", "1", "2"), true},

		{"lines: [3]", differs(InText, "line 3", "", "a", "b"), true},
		{"lines: [3]", differs(InText, "line 3 word 2", "", "a", "b"), true},
		{"lines: [3]", differs(InText, "line 33", "", "a", "b"), false},
		{"lines: [40-45]", differs(InText, "line 45 word 9", "", "a", "b"), true},
		{"lines: [40-45]", differs(InText, "line 46", "", "a", "b"), false},
		{"lines: [3 word 2]", differs(InText, "line 3 word 2", "", "a", "b"), true},
		{"lines: [3 word 2]", differs(InText, "line 3 word 3", "", "a", "b"), false},
		{"lines: [3 word 2]", differs(InText, "line 3", "", "a", "b"), false},
		{"bytes: [16-20]", differs(InBytes, "16-20", "", "a", "b"), true},
		{"bytes: [16-20]", differs(InBytes, "17-18", "", "a", "b"), true},
		{"bytes: [16-20]", differs(InBytes, "16-21", "", "a", "b"), false},
		{"bytes: [16-20]", differs(InBytes, "16-", "", "a", "b"), false},
		{"bytes: [16-]", differs(InBytes, "20-", "", "a", "b"), true},
		{"bytes: [16-]", differs(InBytes, "20-24", "", "a", "b"), true},
		{"bytes: [16-]", differs(InBytes, "15-", "", "a", "b"), false},

		{"body: true", differs(InBody, "", "", "a", "b"), true},
		{"body: true", differs(InJSON, "$.a", "", "1", "2"), true},
		{"body: true", differs(InHeader, "etag", "", "a", "b"), false},
		{"body: whole", differs(InBody, "", "", "a", "b"), true},
		{"body: whole", differs(InJSON, "$.a", "", "1", "2"), false},

		{"{route: GET /users/*, status: true}", differs(InStatus, "", "", "200", "500"), true},
		{"{route: 'GET /users/{id}', status: true}", differs(InStatus, "", "", "200", "500"), true},
		{"{route: 'GET /*', status: true}", differs(InStatus, "", "", "200", "500"), false},
		{"{route: 'GET /**', status: true}", differs(InStatus, "", "", "200", "500"), true},
		{"{route: '* /users/*', status: true}", differs(InStatus, "", "", "200", "500"), true},
		{"{route: 'POST /**', status: true}", differs(InStatus, "", "", "200", "500"), false},
		{"{route: 'POST /**', headers: [x-*]}", differs(InHeader, "x-a", "", "a", "b"), false},
		{"{route: 'GET /**', tolerance: {$.a: 1}}", differs(InJSON, "$.a", "", "1", "2"), true},
		{"{route: 'POST /**', tolerance: {$.a: 1}}", differs(InJSON, "$.a", "", "1", "2"), false},
	} {
		r := rulesFrom(t, tt.rule)
		for range 2 { // the second time from what is remembered
			why, ok := r.excuse(route, tt.d)
			if ok != tt.want || ok != (why == "rules.yaml:3") {
				t.Errorf("%s: %v: %v, %q, want %v", tt.rule, tt.d.Place, ok, why, tt.want)
			}
		}
	}
	if why, ok := (*Rules)(nil).excuse(route, differs(InStatus, "", "", "", "")); ok || why != "" {
		t.Errorf("nil allows something: %q", why)
	}
}

func TestDefault(t *testing.T) {
	for _, tt := range []struct {
		d    *Difference
		want string
	}{
		{differs(InHeader, "date", "", "a", "none"), "default: header date"},
		{differs(InHeader, "x-b3-traceid", "", "a", "b"), "default: header x-b3-*"},
		{differs(InHeader, "x-kong-upstream-latency", "", "1", "2"), "default: header x-kong-*-latency"},
		{differs(InHeader, "expires", "", "Sun, 22 Nov 2026 10:00:00 GMT", "Mon, 23 Nov 2026 10:00:00 GMT"), "default: header expires"},
		{differs(InHeader, "expires", "", "Sun, 22 Nov 2026 10:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"), ""},
		{differs(InHeader, "expires", "", "Sun, 22 Nov 2026 10:00:00 GMT", "0"), ""},
		{differs(InHeader, "expires", "", "Sun, 22 Nov 2026 10:00:00 GMT", "none"), ""},
		{differs(InHeader, "etag", "", "a", "b"), ""},
		{differs(InHeader, "server", "", "a", "b"), "default: header server"},
		{differs(InHeader, "server", "", "a", "none"), "default: header server"},
		{differs(InHeader, "via", "", "a", "b"), ""},
		{differs(InHeader, "last-modified", "", "a", "b"), ""},
		{differs(InHeader, "x-ratelimit-limit", "", "100", "50"), ""},
		{differs(InCookie, "sid", "sid value", "abc", "def"), "default: cookie value"},
		{differs(InCookie, "sid", "sid value", "abc", ""), ""},
		{differs(InCookie, "sid", "", "abc", "none"), ""},
		{differs(InCookie, "sid", "sid value", "abc", "none"), ""},
		{differs(InCookie, "sid", "sid Expires", "Sun, 22 Nov 2026 10:00:00 GMT", "Mon, 23 Nov 2026 10:00:00 GMT"), "default: cookie Expires"},
		{differs(InCookie, "sid", "sid Expires", "Sun, 22 Nov 2026 10:00:00 GMT", "Thu, 01-Jan-1970 00:00:00 GMT"), ""},
		{differs(InCookie, "sid", "sid Expires", "Sun, 22 Nov 2026 10:00:00 GMT", "none"), ""},
		{differs(InCookie, "sid", "sid Max-Age", "3600", "3599"), "default: cookie Max-Age"},
		{differs(InCookie, "sid", "sid Max-Age", "3600", "0"), ""},
		{differs(InCookie, "sid", "sid Max-Age", "3600", "-1"), ""},
		{differs(InCookie, "sid", "sid HttpOnly", "", "none"), ""},
		{differs(InCookie, "sid", "sid Path", "/", "/shop"), ""},
		{differs(InJSON, "$.date", "", "1", "2"), ""},
		{differs(InStatus, "", "", "200", "201"), ""},
	} {
		if why, ok := Default().excuse("GET /", tt.d); why != tt.want || ok != (tt.want != "") {
			t.Errorf("%v %s, %q and %q: %v, %q, want %q", tt.d.Place, tt.d.Path, tt.d.Production, tt.d.Application, ok, why, tt.want)
		}
	}
}

func TestWith(t *testing.T) {
	date := differs(InHeader, "date", "", "a", "b")
	etag := differs(InHeader, "etag", "", "a", "b")
	mine := rulesFrom(t, "{why: clocks, headers: [date]}")
	tags := rulesFrom(t, "headers: [etag]")
	off := rulesFrom(t, "version: 1\ndefault: false\n")
	for _, tt := range []struct {
		name       string
		r          *Rules
		date, etag string
	}{
		{"nothing", (*Rules)(nil).With(), "", ""},
		{"nil", (*Rules)(nil).With(nil, tags), "", "rules.yaml:3"},
		{"one", Default().With(tags), "default: header date", "rules.yaml:3"},
		{"own words first", Default().With(tags, mine), "clocks", "rules.yaml:3"},
		{"off", Default().With(tags, off), "", "rules.yaml:3"},
		{"off, first", off.With(Default(), tags), "", "rules.yaml:3"},
		{"off, twice", Default().With(off).With(tags), "", "rules.yaml:3"},
		{"on is nothing new", Default().With(rulesFrom(t, "version: 1\ndefault: true\n")), "default: header date", ""},
	} {
		why, _ := tt.r.excuse("GET /", date)
		tag, _ := tt.r.excuse("GET /", etag)
		if why != tt.date || tag != tt.etag {
			t.Errorf("%s: date by %q, want %q; etag by %q, want %q", tt.name, why, tt.date, tag, tt.etag)
		}
	}
}

func TestMask(t *testing.T) {
	r := rulesFrom(t, "version: 1\nrules:\n"+
		"  - mask: ['nonce=\"[^\"]*\"']\n"+
		"  - {route: GET /api/**, why: tokens, mask: ['\"token\":\"([^\"]*)\"', 'a(b)?c']}\n")
	for _, tt := range []struct{ route, body, want, why string }{
		{"GET /", `<script nonce="abc"> <b nonce="">`, "<script ***> <b ***>", "rules.yaml:3"},
		{"GET /", `"token":"abc"`, `"token":"abc"`, ""},
		{"GET /api/x", `{"token":"abc","a":1}`, `{"token":"***","a":1}`, "tokens"},
		{"GET /api/x", `nonce="" "token":""`, `*** "token":"***"`, "rules.yaml:3"},
		{"GET /api/x", `ac abc`, `ac a***c`, "tokens"},
		{"GET /api/x", ``, ``, ""},
	} {
		body := []byte(tt.body)
		got, why := r.mask(tt.route, body)
		if string(got) != tt.want || why != tt.why {
			t.Errorf("%s %s: %s, %q, want %s, %q", tt.route, tt.body, got, why, tt.want, tt.why)
		}
		if string(body) != tt.body {
			t.Errorf("the body became %s", body)
		}
		if why == "" && len(body) > 0 && &got[0] != &body[0] {
			t.Errorf("%s: a copy without need", tt.body)
		}
	}
	if got, why := (*Rules)(nil).mask("", []byte("x")); string(got) != "x" || why != "" {
		t.Errorf("nil masks: %s, %q", got, why)
	}
}

// Many judges use the same rules, and places are named by the traffic.
func TestRulesShared(t *testing.T) {
	r := Default().With(rulesFrom(t, `{route: GET /**, json: ["$.users.*.id"]}`))
	var judges sync.WaitGroup
	for range 4 {
		judges.Go(func() {
			for i := range 2 * maxDecisions {
				name := fmt.Sprintf("$.users.u%d.", i)
				if _, ok := r.excuse("GET /x", differs(InJSON, name+"id", "", "1", "2")); !ok {
					t.Errorf("%sid is not excused", name)
				}
				if _, ok := r.excuse("GET /x", differs(InJSON, name+"name", "", "1", "2")); ok {
					t.Errorf("%sname is excused", name)
				}
			}
		})
	}
	judges.Wait()
	if len(r.cache) > maxDecisions {
		t.Errorf("%d decisions are remembered, of %d at most", len(r.cache), maxDecisions)
	}
}

// The table in the docs is the default rules, and the example is a rules file.
func TestRulesInDocs(t *testing.T) {
	docs, err := os.ReadFile("../docs/verdict.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(docs), "## What may differ by default\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var listed []string
	for line := range strings.Lines(section) {
		cell, isRow := strings.CutPrefix(line, "| `")
		cell, _, _ = strings.Cut(cell, " |")
		if isRow {
			listed = append(listed, strings.Split(strings.ReplaceAll(cell, "`", ""), ", ")...)
		}
	}
	want := append(strings.Split(strings.Join(defaultHeaders, "\n"), "\n"), "Set-Cookie value", "Set-Cookie Expires", "Set-Cookie Max-Age")
	if got := strings.Join(listed, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("docs/verdict.md lists\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	_, example, _ := strings.Cut(string(docs), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	r, err := ParseRules("docs/verdict.md", []byte(example))
	if err != nil {
		t.Fatal(err)
	}
	used := make(map[string]bool)
	for _, one := range r.rules {
		for _, a := range one.allows {
			used[a.key] = true
		}
	}
	for _, key := range allowKeys {
		if !used[key] {
			t.Errorf("the example in docs/verdict.md does not show %s", key)
		}
	}
}

func BenchmarkExcuse(b *testing.B) {
	var text strings.Builder
	text.WriteString("version: 1\nrules:\n")
	for i := range 50 {
		fmt.Fprintf(&text, "  - {route: GET /r%d/*, json: [\"$.items[*].id\", \"$..token\"]}\n", i)
	}
	r, err := ParseRules("rules.yaml", []byte(text.String()))
	if err != nil {
		b.Fatal(err)
	}
	r = Default().With(r)
	for _, bb := range []struct {
		name string
		d    *Difference
	}{
		{"exact", differs(InHeader, "date", "", "a", "b")},
		{"pattern", differs(InJSON, "$.a.token", "", "1", "2")},
		{"none", differs(InJSON, "$.price", "", "1", "2")},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.excuse("GET /r49/x", bb.d)
			}
		})
	}
}
