package compare

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRulesErrors(t *testing.T) {
	rule := func(text string) string { return "version: 1\nrules:\n  - " + text }
	for _, tt := range []struct{ text, want, hint string }{
		{"", "read rules r.yaml: it is empty", "begin it with version: 1"},
		{"# nothing\n", "read rules r.yaml: it is empty", "version"},
		{"rules: []", "read rules r.yaml: the version is missing", "begin it with version: 1"},
		{"version: 2", "r.yaml:1:10: the version must be 1", "version: 1"},
		{"version: '1'", "r.yaml:1:10: the version must be 1", ""},
		{"version: 1\nversion: 1", "r.yaml:2:1: ", ""},
		{"version: 1\n\"version\": 1", "r.yaml:2:1: ", ""},
		{"- a", "r.yaml:1:1: a rules file must be a mapping of keys to values (version, default, rules), not a list", ""},
		{"version: 1\n---\nversion: 1", "one document", ""},
		{"version: 1\nrule: []", `r.yaml:2:1: unknown key "rule": a rules file has version, default, rules`, "did you mean rules?"},
		{"version: 1\n1: x", "r.yaml:2:1: the key must be text", ""},
		{"version: 1\ndefault: no", "r.yaml:2:10: default must be true or false, not text", ""},
		{"version: 1\nrules: {}", "r.yaml:2:8: rules must be a list, not a mapping", ""},
		{"version: 1\nrules:", "rules must be a list, not nothing", ""},
		{"version: 1\nrules: [a]", "r.yaml:2:9: a rule must be a mapping of keys", ""},
		{rule("header: [a]"), `r.yaml:3:5: unknown key "header": a rule has route, why, status`, "did you mean headers?"},
		{rule("route: GET /"), "r.yaml:3:5: the rule allows nothing", "headers: [etag]"},
		{rule("status: false"), "the rule allows nothing", ""},
		{rule("headers: etag"), "r.yaml:3:14: headers must be a list, not text", `headers: ["etag"]`},
		{rule("headers: [1]"), "r.yaml:3:15: headers must be text, not a number", "quotes"},
		{rule("headers: ['']"), "headers is empty", ""},
		{rule("headers: [[a]]"), "headers must be text, not a list", ""},
		{rule("route: 5\n    status: true"), "route must be text, not a number", "quotes"},
		{rule("route: *\n    status: true"), "r.yaml:", "quotes"},
		{rule("status: &x true"), "status must be true or false, not a YAML anchor", ""},
		{rule("status: !!bool true"), "not a YAML tag", ""},
		{rule("<<: {status: true}"), "the key must be text", ""},
		{rule("status: yes"), "status must be true or false, not text", ""},
		{rule("body: none"), "body must be true or false or whole, not text", ""},
		{rule("json: [$.items[*].id]"), "r.yaml:3:", "quotes"},
		{rule("json: [items]"), "r.yaml:3:12: json: a path begins with $", ""},
		{rule(`json: ["$.a..", "$.b"]`), "a name is missing behind a dot", ""},
		{rule(`json: ["$.a*"]`), "a star stands for a whole name", ""},
		{rule(`json: ["$[x]"]`), "[x]: want [*], [3] or [\"name\"]", ""},
		{rule(`json: ["$[3"]`), "] is missing", ""},
		{rule(`json: ["$['a]"]`), "does not end with the quote and ]", ""},
		{rule(`json: ["$a"]`), "want .name, [*]", ""},
		{rule("close: [sooner]"), `"sooner" is none of early, late, missing, reset, not reset`, ""},
		{rule("close: ['']"), "close is empty", ""},
		{rule("close: late"), "close must be true or false or a list of early", ""},
		{rule("lines: [0]"), "counted from 1", ""},
		{rule("lines: [5-3]"), "counted from 1", ""},
		{rule("lines: [3-4 word 2]"), "counted from 1", ""},
		{rule("lines: [true]"), "lines must be text, not true", ""},
		{rule("bytes: [16]"), "want bytes such as 16-20", ""},
		{rule("bytes: [20-20]"), "want bytes such as 16-20", ""},
		{rule("mask: ['(']"), "mask: error parsing regexp", ""},
		{rule("mask: ['x*']"), "mask: the expression matches nothing at all", ""},
		{rule("tolerance: [1]"), "tolerance must be a mapping of keys to values, not a list", ""},
		{rule("tolerance: {$.a: true}"), "must be a number or a percentage", "tolerance:"},
		{rule("tolerance: {$.a: -1}"), "of more than 0", ""},
		{rule("tolerance: {$.a: .inf}"), "must be a number", ""},
		{rule("tolerance: {a: 1}"), "a path begins with $", ""},
		{rule("headers: [\"a"), "r.yaml:3:15: this is not YAML", "quotes"},
		{rule("\theaders: [a]"), "this is not YAML", "spaces"},
		{"version: 1\xff", "it is not UTF-8 text", ""},
	} {
		_, err := ParseRules("r.yaml", []byte(tt.text))
		var wrong *RulesError
		if !errors.As(err, &wrong) {
			t.Errorf("%s: %v, want %s", tt.text, err, tt.want)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) || !strings.Contains(wrong.Hint(), tt.hint) {
			t.Errorf("%s:\n     %v (%s)\nwant %s (%s)", tt.text, err, wrong.Hint(), tt.want, tt.hint)
		}
	}
}

// Where a rule has no words of its own it is named by its file and line.
func TestRulesWhy(t *testing.T) {
	r := rulesFrom(t, "version: 1\nrules:\n  - headers:\n      - etag\n      - via\n  - why: |\n      because\n    status: true\n")
	for name, want := range map[string]string{"etag": "rules.yaml:4", "via": "rules.yaml:5"} {
		if why, _ := r.excuse("", differs(InHeader, name, "", "", "")); why != want {
			t.Errorf("header %s: %q, want %q", name, why, want)
		}
	}
	if why, _ := r.excuse("", differs(InStatus, "", "", "", "")); why != "because\n" {
		t.Errorf("status: %q", why)
	}
}

// written is what a rules file says, without where.
type written struct {
	Off   bool
	Rules [][]string
}

func saying(r *Rules) (w written) {
	w.Off = r.noDefault
	for _, one := range r.rules {
		texts := []string{one.route.text, one.why}
		for _, a := range one.allows {
			texts = append(texts, a.key, a.text, a.value)
		}
		w.Rules = append(w.Rules, texts)
	}
	return w
}

func FuzzRules(f *testing.F) {
	for _, text := range []string{
		"version: 1\ndefault: false\nrules:\n  - route: GET /users/*\n    why: ids\n    status: true\n    headers: [etag, x-*]\n    cookies: [sid]\n" +
			"    json: [\"$.at\", \"$.items[*].id\", \"$..token\", \"$.meta.**\", \"$['a b']\"]\n    unordered: [\"$.items\"]\n    fields: [csrf]\n" +
			"    lines: [3, 40-45, 7 word 2]\n    bytes: [16-20, 30-]\n    mask: ['nonce=\"[^\"]*\"']\n    tolerance: {\"$.price\": 0.01, $.q: 1%}\n    body: whole\n    end: true\n    close: true\n",
		"version: 1\nrules:\n  - mask: [\"\\x01\\u00e9\\U0001f600 \\\"x\\\\\\\\\"]\n",
		"version: 1\nrules: [{why: >\n  folded\n  text\n, status: true}]", "version: 1\nrules: [{status: &a true}, *a]", "? version\n: 1\n", "%YAML 1.2\n---\nversion: 1\n", "version: 1 # c\nrules:\n# c\n- status: true",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseRules("rules.yaml", text)
		if err != nil {
			var wrong *RulesError
			if !errors.As(err, &wrong) || wrong.Problem == "" {
				t.Fatalf("%#v", err)
			}
			return
		}
		again, err := ParseRules("again.yaml", r.Marshal())
		if err != nil {
			t.Fatalf("%v\n%s\nfrom\n%s", err, r.Marshal(), text)
		}
		if diff := cmp.Diff(saying(r), saying(again)); diff != "" {
			t.Fatalf("%s\n%s\nfrom\n%s", diff, r.Marshal(), text)
		}
		r.excuse("GET /", differs(InJSON, "$.a[*]", "$.a[1]", "1", "2"))
		r.mask("GET /", text)
	})
}
