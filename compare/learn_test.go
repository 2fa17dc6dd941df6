package compare

import (
	"errors"
	"strings"
	"testing"
)

func TestLearned(t *testing.T) {
	const route = "GET /users/*/{id}\\"
	for _, p := range []Place{
		{Kind: InStatus}, {InStatus, "interim"}, {Kind: InEnd}, {InClose, "late"}, {InClose, "not reset"}, {Kind: InBody},
		{InHeader, "etag"}, {InHeader, "x-*"}, {InCookie, "a*\\b"}, {InForm, "a b"}, {InForm, "=é\x01\U0001f600\u2028"},
		{InJSON, "$"}, {InJSON, "$.items[*].price"}, {InJSON, `$["a b"]["c*"][*]`}, {InJSON, `$["\u00e9\"]"]`}, {InJSON, `$["\xff\x01"]`}, {InJSON, `$["a\\"].b`}, {InOrder, "$.items"},
		{InText, "line 3"}, {InText, "line 3 word 2"}, {InBytes, "16-20"}, {InBytes, "16-"},
	} {
		text, err := WriteLearned("learned.yaml", nil, []LearnedPlace{{route, p, 120, 200}})
		if err != nil {
			t.Errorf("%v: %v", p, err)
			continue
		}
		if !strings.Contains(string(text), " # differed in 120 of 200 of the baseline's answers\n") {
			t.Errorf("%v: no comment in\n%s", p, text)
		}
		read, err := ParseRules("learned.yaml", text)
		if err != nil {
			t.Errorf("%v: %v\n%s", p, err, text)
			continue
		}
		for how, r := range map[string]*Rules{"learned": Learned([]LearnedPlace{{Route: route, Place: p}}), "written and read": read} {
			if _, ok := r.excuse(route, &Difference{Place: p}); !ok {
				t.Errorf("%s, %v is not excused by\n%s", how, p, text)
			}
			for _, other := range []*Difference{
				{Place: Place{p.Kind, p.Name + "x"}}, {Place: Place{Kind: InHeader, Name: "x-other"}}, {Place: Place{Kind: InCookie, Name: "aab"}},
				{Place: Place{InJSON, "$.items[*].other"}}, {Place: Place{InJSON, "$.items"}}, {Place: Place{InJSON, `$["a b"].c[*]`}}, {Place: Place{Kind: InAnswer}},
				{Place: Place{InText, "line 4"}}, {Place: Place{InBytes, "15-20"}},
			} {
				if other.Place.Kind == InBody { // the body as a whole has no finer place
					continue
				}
				if why, ok := r.excuse(route, other); ok {
					t.Errorf("%s, %v is excused by what was learned of %v: %s", how, other.Place, p, why)
				}
			}
			for _, elsewhere := range []string{"GET /users/x/{id}\\", "POST /", ""} {
				if _, ok := r.excuse(elsewhere, &Difference{Place: p}); ok {
					t.Errorf("%s, %v is excused for %q, too", how, p, elsewhere)
				}
			}
		}
	}
}

// What no rules file can name is not learned, and does no harm.
func TestLearnedUnnameable(t *testing.T) {
	for _, p := range []LearnedPlace{
		{Route: "GET /", Place: Place{Kind: InAnswer}},
		{Route: "GET /", Place: Place{Spelling, "json"}},
		{Route: "GET /", Place: Place{Kind: InHeader}},
		{Route: "GET /", Place: Place{InForm, "\xff"}},
		{Route: "GET /", Place: Place{InJSON, "$[x]"}},
		{Route: "GET /", Place: Place{InText, "line x"}},
		{Route: "GET /", Place: Place{InStatus, "other"}},
		{Route: "GET /\xff", Place: Place{Kind: InStatus}},
		{Place: Place{Kind: InStatus}},
	} {
		text, err := WriteLearned("f", nil, []LearnedPlace{p})
		if err != nil || !strings.HasSuffix(string(text), "rules: []\n") {
			t.Errorf("%+v: %v\n%s", p, err, text)
		}
		if r := Learned([]LearnedPlace{p}); len(r.rules) > 0 {
			t.Errorf("%+v: %s", p, r.Marshal())
		}
	}
}

func TestWriteLearned(t *testing.T) {
	at := LearnedPlace{"GET /a", Place{InJSON, "$.at"}, 3, 4}
	id := LearnedPlace{"GET /a", Place{InJSON, "$.id"}, 4, 4}
	status := LearnedPlace{"GET /b", Place{Kind: InStatus}, 1, 4}
	first, err := WriteLearned("f", nil, []LearnedPlace{at, status, at})
	if err != nil {
		t.Fatal(err)
	}
	want := learnedBy + `
version: 1
rules:
  - route: "GET /a"
    json:
      - "$.at" # differed in 3 of 4 of the baseline's answers
  - route: "GET /b"
    status: true # differed in 1 of 4 of the baseline's answers
`
	if string(first) != want {
		t.Errorf("\n%s\nwant\n%s", first, want)
	}
	edited := strings.Replace(string(first), "  - route: \"GET /b\"", "  # mine\n  - route: GET /b", 1)
	second, err := WriteLearned("f", []byte(edited), []LearnedPlace{at, id, status})
	if err != nil {
		t.Fatal(err)
	}
	want = edited + "  - route: \"GET /a\"\n    json:\n      - \"$.id\" # differed in 4 of 4 of the baseline's answers\n"
	if string(second) != want {
		t.Errorf("\n%s\nwant\n%s", second, want)
	}
	if third, err := WriteLearned("f", second, []LearnedPlace{at, id, status}); err != nil || string(third) != string(second) {
		t.Errorf("with nothing new: %v\n%s", err, third)
	}
	empty, _ := WriteLearned("f", nil, nil)
	if again, err := WriteLearned("f", empty, []LearnedPlace{at, status}); err != nil || string(again) != string(first) {
		t.Errorf("an empty one: %v\n%s", err, again)
	}
	for text, want := range map[string]string{
		"version: 1\n": "was not written by --learn",
		learnedBy + "\nversion: 1\nrules: [{status: true}]\n":             "nothing can be added",
		learnedBy + "\nversion: 1\nrules:\n- status: true\ndefault: true": "nothing can be added",
		learnedBy + "\nversion: 2\n":                                      "the version must be 1",
	} {
		_, err := WriteLearned("f", []byte(text), []LearnedPlace{at})
		var wrong *RulesError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
