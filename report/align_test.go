package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Texts too long for the table still have what is equal beside each other, also
// where lines went in and out at several places.
func TestAlignLong(t *testing.T) {
	const n = 10_000
	list := func(line func(i int) string) (lines []string) {
		for i := range n {
			lines = append(lines, line(i))
		}
		return lines
	}
	for _, tt := range []struct {
		name string
		line func(i int) string
	}{
		{"each line once", func(i int) string { return fmt.Sprint("id ", i) }},
		{"most lines often", func(i int) string {
			if i%5 != 0 {
				return []string{"{", "},", `"a": 1,`, `"b": 2`}[i%5-1]
			}
			return fmt.Sprint("id ", i)
		}},
		{"small numbers", func(i int) string { return fmt.Sprint(i * i % 101) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := list(tt.line)
			a := slices.Clone(p)
			a[0], a[n-1] = "first", "last" // nothing in common at the ends
			a = slices.Insert(a, n/3, "new 1", "new 2", "new 3")
			a = slices.Delete(a, n/2, n/2+7)
			same := 0
			for _, x := range Align(p, a) {
				if x.Same {
					same++
				}
			}
			if want := n - 2 - 7; same != want {
				t.Errorf("%d lines are beside their equal, of %d", same, want)
			}
		})
	}
}

// Each part of both is there once and in order, whatever the texts are, and what
// is said to be the same is.
func TestAlignKeepsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) []string {
			few := rapid.SliceOfN(rapid.SampledFrom(strings.Split("abcdefgh", "")), 0, 40).Draw(t, name)
			return slices.Repeat(few, rapid.SampledFrom([]int{1, 1, 60}).Draw(t, name+" times"))
		}
		p, a := text("production"), text("application")
		align := rapid.SampledFrom([]func(p, a []string) []Aligned{Align, AlignLines}).Draw(t, "of lines or parts")
		i, j := 0, 0
		for _, x := range align(p, a) {
			if x.Same && (x.Production < 0 || x.Application < 0 || p[x.Production] != a[x.Application]) {
				t.Fatalf("%+v is not the same", x)
			}
			if x.Production >= 0 {
				if x.Production != i {
					t.Fatalf("%+v where %d of production's is due", x, i)
				}
				i++
			}
			if x.Application >= 0 {
				if x.Application != j {
					t.Fatalf("%+v where %d of the application's is due", x, j)
				}
				j++
			}
		}
		if i != len(p) || j != len(a) {
			t.Fatalf("%d of %d, %d of %d", i, len(p), j, len(a))
		}
	})
}

// Lines that changed are beside what they were, whatever came in between.
func TestAlignLines(t *testing.T) {
	for _, tt := range []struct{ name, production, application, want string }{
		{"one came before", "total: 178.2", "note: x/total: 198", "-/note: x total: 178.2/total: 198"},
		{"one came after", "total: 178.2", "total: 198/note: x", "total: 178.2/total: 198 -/note: x"},
		{"one went", "note: x/total: 178.2", "total: 198", "note: x/- total: 178.2/total: 198"},
		{"as many", "aa/bb", "bc/ax", "aa/bc bb/ax"},
		{"none is alike", "a", "x/y", "a/x -/y"},
		{"nothing is there", "", "x/y", "/x -/y"},
		{"what is the same stays", "same/total: 1", "same/x/total: 2/same", "same/same -/x total: 1/total: 2 -/same"},
	} {
		p, a := strings.Split(tt.production, "/"), strings.Split(tt.application, "/")
		line := func(text []string, i int) string {
			if i < 0 {
				return "-"
			}
			return text[i]
		}
		var got []string
		for _, x := range AlignLines(p, a) {
			got = append(got, line(p, x.Production)+"/"+line(a, x.Application))
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func BenchmarkAlign(b *testing.B) {
	const n = 10_000
	texts := map[string]func(i, side int) string{
		"nothing equal": func(i, side int) string { return fmt.Sprint(side, i) },
		"all moved":     func(i, side int) string { return fmt.Sprint((i + side*n/2) % n) },
		"most alike": func(i, side int) string {
			if i%64 == 0 {
				return fmt.Sprint(i)
			}
			if side == 1 && i%64 == 63 {
				return ""
			}
			return strings.Repeat("=", 250) + fmt.Sprint(side, i)
		},
		"reversed": func(i, side int) string { return fmt.Sprint(i + side*(n-1-2*i)) },
		"blocks": func(i, side int) string { // tables of the largest size between the anchors
			if i%1000 == 0 {
				return fmt.Sprint(i)
			}
			return fmt.Sprint("x", (i*(side+1))%(7+side))
		},
	}
	for name, line := range texts {
		var sides [2][]string
		for side := range sides {
			for i := range n {
				if text := line(i, side); text != "" {
					sides[side] = append(sides[side], text)
				}
			}
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				AlignLines(sides[0], sides[1])
			}
		})
	}
}
