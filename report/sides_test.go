package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawnSides writes runs of pairs as lines: what is marked is in brackets.
func drawnSides(runs []run) (lines []string) {
	side := func(l *line) string {
		if l == nil {
			return "-"
		}
		s := fmt.Sprintf("%d %s", l.Number, l.Before)
		if l.Mark != "" {
			s += "[" + l.Mark + "]"
		}
		return s + l.After
	}
	for _, r := range runs {
		switch {
		case r.Left != "":
			lines = append(lines, r.Left)
		case r.Fold > 0:
			lines = append(lines, fmt.Sprintf("fold %d", r.Fold))
		default:
			for _, p := range r.Pairs {
				lines = append(lines, side(p.Production)+" | "+side(p.Application))
			}
		}
	}
	return lines
}

func numbered(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

func TestPairs(t *testing.T) {
	for _, tt := range []struct {
		name, production, application string
		want                          []string
	}{
		{"nothing", "", "", nil},
		{"the same", "a\nb\n", "a\nb\n", []string{"1 a | 1 a", "2 b | 2 b"}},
		{"a value", `  "price": 12,`, `  "price": 12.5,`, []string{`1   "price": [12], | 1   "price": [12.5],`}},
		{"words whole", "the total is 178.2 EUR", "the total is 198 EUR", []string{"1 the total is [178.2] EUR | 1 the total is [198] EUR"}},
		{"a word more", "a b", "a x b", []string{"1 a b | 1 a [x ]b"}},
		{"a line more", "a\nc\n", "a\nb\nc\n", []string{"1 a | 1 a", "- | 2 [b]", "2 c | 3 c"}},
		{"a line less", "a\nb\nc\n", "a\nc\n", []string{"1 a | 1 a", "2 [b] | -", "3 c | 2 c"}},
		{"nothing there", "", "a\n", []string{"- | 1 [a]"}},
		{"moved", "a\nb\nc\nd", "d\na\nb\nc", []string{"- | 1 [d]", "1 a | 2 a", "2 b | 3 b", "3 c | 4 c", "4 [d] | -"}},
		{"few equal ones", numbered(1, 9) + "x", numbered(1, 9) + "y", []string{"fold 6", "7 line 7 | 7 line 7", "8 line 8 | 8 line 8", "9 line 9 | 9 line 9", "10 [x] | 10 [y]"}},
		{"a fold after", "x\n" + numbered(1, 50), "y\n" + numbered(1, 50), []string{"1 [x] | 1 [y]", "2 line 1 | 2 line 1", "3 line 2 | 3 line 2", "4 line 3 | 4 line 3", "fold 47"}},
		{"too many equal ones", numbered(1, 1000) + "x", numbered(1, 1000) + "y", []string{"… 997 equal lines", "998 line 998 | 998 line 998", "999 line 999 | 999 line 999", "1000 line 1000 | 1000 line 1000", "1001 [x] | 1001 [y]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := drawnSides(pairs(tt.production, tt.application)); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// However much differs, the page has room for it, and says what it leaves out.
func TestPairsLimit(t *testing.T) {
	p, a := strings.Repeat("p\n", 16<<10), strings.Repeat("a\n", 16<<10)
	runs := pairs(p, a)
	n := 0
	for _, r := range runs {
		n += len(r.Pairs)
	}
	if last := runs[len(runs)-1].Left; n != pairsLimit || last != "… 15,984 more lines" {
		t.Errorf("%d pairs, then %q", n, last)
	}
}

// Each line of both sides is in the pairs once, in order, and pairs that do not
// differ are equal.
func TestPairsKeepAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) []string {
			return rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "a b", "a.b c", "ü"}), 0, 30).Draw(t, name)
		}
		p, a := text("production"), text("application")
		var gotP, gotA []string
		for _, r := range pairs(strings.Join(p, "\n"), strings.Join(a, "\n")) {
			for _, x := range r.Pairs {
				var both [2]string
				for i, l := range []*line{x.Production, x.Application} {
					if l == nil {
						continue
					}
					both[i] = l.Before + l.Mark + l.After
					to := []*[]string{&gotP, &gotA}[i]
					*to = append(*to, both[i])
					if l.Number != len(*to) {
						t.Fatalf("line %d is the %dth", l.Number, len(*to))
					}
				}
				if !x.Differs && (x.Production == nil || x.Application == nil || both[0] != both[1]) {
					t.Fatalf("%q and %q are said to be the same", both[0], both[1])
				}
			}
		}
		if !slices.Equal(gotP, p) || !slices.Equal(gotA, a) {
			t.Fatalf("production %q, application %q", gotP, gotA)
		}
	})
}

func TestSides(t *testing.T) {
	head := &Body{Head: "HTTP/1.1 200 OK\na: b\n", Text: "x"}
	for _, tt := range []struct {
		name                    string
		production, application *Body
		want                    []string
	}{
		{"none", nil, nil, nil},
		{"no head", &Body{Text: "x"}, &Body{Text: "y"}, []string{"", "1 [x] | 1 [y]"}},
		{"no answer", head, nil, []string{"head", "1 [HTTP/1.1 200 OK] | -", "2 [a: b] | -", "body", "1 [x] | 1 [(no answer)]"}},
		{"no body", &Body{Head: "a"}, &Body{Head: "a"}, []string{"head", "1 a | 1 a"}},
		{"cut", &Body{Text: "x\n", Cut: true}, &Body{Text: "x"}, []string{"", "1 x | 1 x", "2 [… (cut)] | -"}},
	} {
		var got []string
		for _, p := range sides(tt.production, tt.application) {
			got = append(append(got, p.Title), drawnSides(p.Runs)...)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
