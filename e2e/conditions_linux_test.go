package e2e

import (
	"encoding/json"
	"testing"
)

func TestConditions(t *testing.T) {
	var doc any
	err := json.Unmarshal([]byte(`{"a": {"b": 3, "c": 4}, "s": "a word or two", "l": [{"n": 1}, {"n": 2}], "z": null}`), &doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		condition string
		ok, fails bool
	}{
		{"a.b == 3", true, false},
		{"a.b == 4", false, false},
		{"a.b + a.c == 7", true, false},
		{"a.b != a.c", true, false},
		{"a.b < a.c", true, false},
		{"a.b >= a.c", false, false},
		{"a.c <= 4", true, false},
		{"l.# == 2", true, false},
		{"l.1.n > l.0.n", true, false},
		{`s == "a word or two"`, true, false},
		{`s ~ "word"`, true, false},
		{`s ~ "sword"`, false, false},
		{`s != ""`, true, false},
		{"a.missing == 3", false, true},
		{"l.2.n == 3", false, true},
		{"a == 3", false, true},
		{"z == 0", false, true},
		{`s < "b"`, false, true},
		{`a.b == "3"`, false, true},
		{"s == 3", false, true},
		{"a.b", false, true},
		{"a.b=3", false, true},
	} {
		ok, why, err := check(doc, test.condition)
		if ok != test.ok || (err != nil) != test.fails {
			t.Errorf("%s: %v (%s), error %v", test.condition, ok, why, err)
		}
	}
}
