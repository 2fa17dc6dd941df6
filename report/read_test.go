package report

import (
	"bytes"
	"strings"
	"testing"
)

// What was written is read as it was: writing it again gives the same.
func TestRead(t *testing.T) {
	for name, r := range map[string]*Result{"eventful": eventful(), "shop": shop(), "empty": {}} {
		var first, second bytes.Buffer
		if err := r.WriteJSON(&first); err != nil {
			t.Fatal(err)
		}
		back, err := Read(bytes.NewReader(first.Bytes()))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := back.WriteJSON(&second); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("%s is not what it was", name)
		}
		if got, want := back.VerdictLine(), r.VerdictLine(); got != want {
			t.Errorf("%s: verdict %q, want %q", name, got, want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	var whole bytes.Buffer
	if err := eventful().WriteJSON(&whole); err != nil {
		t.Fatal(err)
	}
	var listing bytes.Buffer
	if err := (&Listing{}).WriteJSON(&listing); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "empty"},
		{"a part", whole.String()[:whole.Len()/2], "breaks off"},
		{"broken", strings.Replace(whole.String(), `"tool":`, `"tool"`, 1), "at byte"},
		{"another version", strings.Replace(whole.String(), `"version": 1`, `"version": 2`, 1), "version is 2"},
		{"a list", "[]", "report"},
		{"no report", `{"a": 1}`, "no report"},
		{"a listing", listing.String(), "no report"},
		{"a wrong type", strings.Replace(whole.String(), `"duration_s": `, `"duration_s": "x", "was": `, 1), "report"},
		{"more", whole.String() + "{}", "follows"},
	} {
		if r, err := Read(strings.NewReader(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v, want %q", tt.name, r != nil, err, tt.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	var whole bytes.Buffer
	if err := eventful().WriteJSON(&whole); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Add([]byte(`{"version":1,"started":"2026-01-01T00:00:00Z","answers":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Read(bytes.NewReader(text))
		if err == nil { // it can be written
			if err := r.WriteJSON(new(bytes.Buffer)); err != nil && !strings.Contains(err.Error(), "time") {
				t.Error(err)
			}
		}
	})
}
