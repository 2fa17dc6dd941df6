package compare

import (
	"regexp"
	"strings"
	"testing"
)

// The finder finds what a regular expression does that ignores case.
func FuzzNameFinder(f *testing.F) {
	f.Add("a Set-Cookie: b=c; COOKIE", "token")
	f.Add("ſet-cooKie x-ſſ \xff\u212aelvin", "kelvin")
	f.Add("ǅ ǆ Ǆ", "ǆ")
	f.Add("aab", "aa")
	f.Fuzz(func(t *testing.T, text, name string) {
		name = strings.ToLower(strings.ToValidUTF8(name, ""))
		if name == "" || strings.Contains(name, "\ufffd") {
			return
		}
		finder := newNameFinder([]string{"set-cookie", name})
		expr := regexp.MustCompile("(?i)set-cookie|" + regexp.QuoteMeta(name))
		for from := 0; from <= len(text); {
			start, end := finder.next(text, from)
			want := expr.FindStringIndex(text[from:])
			if want == nil {
				want = []int{-1 - from, -1 - from}
			}
			if start != from+want[0] || end != from+want[1] {
				t.Fatalf("%q in %q from %d: %d to %d, want %d to %d", name, text, from, start, end, from+want[0], from+want[1])
			}
			if start < 0 {
				return
			}
			from = end
		}
	})
}

// Of several differences the answers are gone through but once.
func TestHideAll(t *testing.T) {
	answer := []byte(strings.Repeat("token=abcd1234; ", 300))
	make64 := func() (all []Difference) {
		for range 64 {
			all = append(all, *differs(InText, "line 3", "", "cd1234; x", "cd1234; y"))
		}
		return all
	}
	all := make64()
	someSecrets.HideAll(all, answer)
	for i := range all {
		if string(all[i].Production) != "***; x" || string(all[i].Application) != "***; y" {
			t.Fatalf("%d: %s, %s", i, all[i].Production, all[i].Application)
		}
	}
	one := testing.AllocsPerRun(10, func() { someSecrets.Hide(&make64()[0], answer) })
	many := testing.AllocsPerRun(10, func() { someSecrets.HideAll(make64(), answer) })
	if many > 4*one {
		t.Errorf("64 differences cost %v allocations, one %v", many, one)
	}
}

// Where a text has more secrets than can be looked for, no excerpt is shown.
func TestHideInTextOfManySecrets(t *testing.T) {
	var b strings.Builder
	for i := range maxValues + 1 {
		b.WriteString("token=" + strings.Repeat("v", 4+i%50) + string(rune('a'+i%26)) + strings.Repeat("w", 4+i/50) + "; ")
	}
	d := differs(InText, "line 3", "", "some", "other")
	someSecrets.Hide(d, []byte(b.String()))
	if string(d.Production) != hidden || string(d.Application) != hidden+another {
		t.Errorf("%s, %s", d.Production, d.Application)
	}
}

// A document of many numbers is gone through once, not copied for each.
func TestHideInManyNumbers(t *testing.T) {
	text := "[" + strings.Repeat("1,", 20_000) + `{"token":12`
	var got string
	result := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			got = someSecrets.Body("application/json", text)
		}
	})
	if !strings.HasSuffix(got, `{"token":"***"`) {
		t.Errorf("%q", got[len(got)-20:])
	}
	if n := result.AllocedBytesPerOp(); n > 100*int64(len(text)) {
		t.Errorf("%d bytes of text took %d bytes", len(text), n)
	}
}
