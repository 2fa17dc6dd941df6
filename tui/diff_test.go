package tui

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// bracketed writes what differs in brackets.
func bracketed(d diffSide) string {
	var b strings.Builder
	at := 0
	for _, w := range d.words {
		b.WriteString(d.text[at:w.from] + "[" + d.text[w.from:w.to] + "]")
		at = w.to
	}
	return b.String() + d.text[at:]
}

func TestDiffRows(t *testing.T) {
	for _, tt := range []struct {
		name, production, application string
		want                          []string
	}{
		{"nothing", "", "", nil},
		{"the same", "a\nb\n", "a\nb\n", []string{"1 a   1 a", "2 b   2 b"}},
		{"a value", "{\n  \"price\": 12,\n}", "{\n  \"price\": 12.5,\n}", []string{"1 {   1 {", `2   "price": [12], | 2   "price": [12.5],`, "3 }   3 }"}},
		{"a line more", "a\nc\n", "a\nb\nc\n", []string{"1 a   1 a", "0  > 2 b", "2 c   3 c"}},
		{"a line less", "a\nb\nc\n", "a\nc\n", []string{"1 a   1 a", "2 b < 0 ", "3 c   2 c"}},
		{"only production", "a\n", "", []string{"1 a < 0 "}},
		{"only the application", "", "a\n", []string{"0  > 1 a"}},
		{"changed, and one more", "a\n", "b\nc\n", []string{"1 [a] | 1 [b]", "0  > 2 c"}},
		{"the line end at the end", "a\n", "a", []string{"1 a   1 a", "2  < 0 "}},
		{"line ends of two kinds", "a\r\n", "a\n", []string{`1 a[\r] | 1 a`}},
		{"steering", "\x1b[31mred", "\x1b[32mred", []string{`1 \x1b[[31mred] | 1 \x1b[[32mred]`}},
		{"it looks alike", "\x1b[31m", `\x1b[31m`, []string{`1 [\x1b[31m] | 1 [\x1b[31m]`}},
		{"a mark more", "Amelie", "Ame\u0301lie", []string{"1 [Amelie] | 1 [Ame\u0301lie]"}},
		{"a space that is none", "a b", "a\u00a0b", []string{`1 a[ b] | 1 a[\u00a0b]`}},
		{"others around it", "a\n  \"total\": 178.2\n", "x\n  \"note\": 1,\n  \"total\": 198\ny\n", []string{"1 [a] | 1 [x]", `0  > 2   "note": 1,`, `2   "total": [178.2] | 3   "total": [198]`, "0  > 4 y"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, r := range diffRows(tt.production, tt.application) {
				got = append(got, fmt.Sprintf("%d %s %s %d %s", r.left.number, bracketed(r.left), r.kind.marker(), r.right.number, bracketed(r.right)))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestWords(t *testing.T) {
	for _, tt := range []struct{ left, right, wantLeft, wantRight string }{
		{"the total is 178.2 EUR", "the total is 198 EUR", "the total is [178.2] EUR", "the total is [198] EUR"},
		{"a b", "a x b", "a b", "a [x ]b"},
		{`{"a":1,"b":2,"c":3}`, `{"a":1,"b":5,"c":7}`, `{"a":1,"b":[2],"c":[3]}`, `{"a":1,"b":[5],"c":[7]}`},
		{"one two three", "four five six", "[one two three]", "[four five six]"},
		{"keep one two", "keep three four", "keep [one two]", "keep [three four]"},
		{"(a)", "(b)", "([a])", "([b])"},
		{"a-b-c", "x-y-z", "[a-b-c]", "[x-y-z]"},
		{"", "a", "", "[a]"},
		{"日本語 x", "日本国 x", "[日本語] x", "[日本国] x"},
	} {
		l, r := words(tt.left, tt.right)
		if l, r := bracketed(diffSide{text: tt.left, words: l}), bracketed(diffSide{text: tt.right, words: r}); l != tt.wantLeft || r != tt.wantRight {
			t.Errorf("%q and %q, want %q and %q", l, r, tt.wantLeft, tt.wantRight)
		}
	}
}

// Long lines differ in one piece, which cuts no character from its marks.
func TestWordsOfLongLines(t *testing.T) {
	long := strings.Repeat("日本", wordsLimit/6)
	l, r := words(long+"e\u0301 e"+long, long+"e e\u0301"+long)
	want := []span{{len(long), len(long) + 5}}
	if !slices.Equal(l, want) || !slices.Equal(r, want) {
		t.Errorf("%v and %v, want %v", l, r, want)
	}
	l, r = words(long+"oe\u0301", long+"ae\u0301"+"e\u0301")
	if want := []span{{len(long), len(long) + 1}}; !slices.Equal(l, want) {
		t.Errorf("%v, want %v", l, want)
	}
	if want := []span{{len(long), len(long) + 4}}; !slices.Equal(r, want) {
		t.Errorf("%v, want %v", r, want)
	}
}

// shop is an answer with a difference of each kind, and two folds.
func shop(application bool) string {
	var b strings.Builder
	b.WriteString("{\n  \"shop\": \"日本の店\",\n")
	if !application {
		b.WriteString("  \"session\": \"only here\",\n")
	}
	for i := range 120 {
		price := fmt.Sprint(i*7%50, ".", i%10)
		if application && i == 60 {
			price = "98.5"
		}
		fmt.Fprintf(&b, "  {\"id\": %d, \"name\": \"article number %d with a name of some length\", \"price\": %s},\n", i, i, price)
	}
	if application {
		b.WriteString("  \"note\": \"\x1b[31mred\x1b[0m and \u202eback\",\n")
	}
	b.WriteString("  \"total\": " + map[bool]string{false: "178.2", true: "198"}[application] + "\n}\n")
	return b.String()
}

func TestDiffViews(t *testing.T) {
	rows := diffRows(shop(false), shop(true))
	for name, layOut := range map[string]func([]diffRow, int) diffView{"sides": sideBySide, "unified": unified} {
		v := layOut(rows, diffContext)
		for _, cells := range []int{160, 80, 40, 5} {
			golden(t, fmt.Sprintf("diff/%s-%d", name, cells), bordered(v.draw(0, len(v.lines), cells, 0, diffStyles{})))
		}
		golden(t, "diff/"+name+"-80-scrolled", bordered(v.draw(0, len(v.lines), 80, 30, diffStyles{})))
	}
}

// bordered draws lines in a box, so that a golden shows where they end.
func bordered(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString("|" + line + "|\n")
	}
	return b.String()
}

// A key goes from difference to difference, and sideways to where it is.
func TestDiffHunks(t *testing.T) {
	rows := diffRows(shop(false), shop(true))
	for name, v := range map[string]diffView{"sides": sideBySide(rows, diffContext), "unified": unified(rows, diffContext), "all": sideBySide(rows, -1), "no context": unified(rows, 0)} {
		if len(v.hunks) != 3 {
			t.Errorf("%s: %d hunks", name, len(v.hunks))
		}
		var down, up []int
		for at := v.next(-1); at >= 0; at = v.next(at) {
			down = append(down, at)
			if l := v.lines[at]; rows[l.row].kind == rowSame || at > 0 && v.lines[at-1].fold == 0 && rows[v.lines[at-1].row].kind != rowSame {
				t.Errorf("%s: no hunk begins at line %d, %+v", name, at, l)
			}
		}
		for at := v.previous(len(v.lines)); at >= 0; at = v.previous(at) {
			up = append(up, at)
		}
		slices.Reverse(up)
		if !slices.Equal(down, v.hunks) || !slices.Equal(up, v.hunks) {
			t.Errorf("%s: hunks %v, downwards %v, upwards %v", name, v.hunks, down, up)
		}
		shown := 0
		for _, l := range v.lines {
			shown += max(1, l.fold)
		}
		if name == "all" && shown != len(v.lines) || name == "sides" && shown != len(rows) {
			t.Errorf("%s: %d rows in %d lines, of %d", name, shown, len(v.lines), len(rows))
		}
	}
	changed := rows[slices.IndexFunc(rows, func(r diffRow) bool { return r.kind == rowChanged })]
	if got := cutLeft(changed.left.text, changed.column()-1); got != "…20.0}," {
		t.Errorf("at column %d there is %q", changed.column(), got)
	}
}

// colours are styles that all differ, on a terminal with colours.
func colours() diffStyles {
	c := func(n string) brush { return brushOf(lipgloss.NewStyle().Foreground(lipgloss.Color(n))) }
	word := brushOf(lipgloss.NewStyle().Foreground(lipgloss.Color("5")).Underline(true))
	return diffStyles{Same: c("1"), Changed: c("2"), Removed: c("3"), Added: c("4"), Word: word, Fold: c("6"), Number: c("7")}
}

func TestDiffStyles(t *testing.T) {
	v := unified(diffRows("keep 1 a", "keep 2 a"), 0)
	s := colours()
	want := s.Number.paint("1") + " " + "  " + s.Removed.paint("<") + " " + s.Removed.paint("keep ") + s.Word.paint("1") + s.Removed.paint(" a"+strings.Repeat(" ", 6))
	if got := v.draw(0, 1, 20, 0, s); len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Each line of a difference takes just its cells and steers nothing, styled or
// not; styles change no text.
func FuzzDiff(f *testing.F) {
	for i, s := range seeds {
		f.Add(s, seeds[(i+1)%len(seeds)], 10*i, i)
	}
	f.Add("a\nb\nc\nd\ne\nf\ng\nh\ni", "a\nb\nc\nd\ne\nf\ng\nh\nj", 30, 0)
	styles := colours()
	f.Fuzz(func(t *testing.T, production, application string, cells, left int) {
		cells, left = max(0, cells%200), left%100
		rows := diffRows(production, application)
		differ := slices.ContainsFunc(rows, func(r diffRow) bool { return r.kind != rowSame })
		// What ends in one line end, or in none on both sides, is the same only if
		// it is; beside nothing a line end is nothing.
		if production != "" && application != "" && differ != (production != application) {
			t.Errorf("%q and %q differ: %v", production, application, differ)
		}
		for _, layOut := range []func([]diffRow, int) diffView{sideBySide, unified} {
			v := layOut(rows, 1)
			styled := v.draw(0, len(v.lines), cells, left, styles)
			for i, line := range v.draw(0, len(v.lines), cells, left, diffStyles{}) {
				if rest := steers(line); rest != "" {
					t.Errorf("%q: %q is left", line, rest)
				}
				if got := method.StringWidth("|" + line + "|"); got != cells+2 {
					t.Errorf("%q takes %d cells, want %d", line, got-2, cells)
				}
				if got := ansi.Strip(styled[i]); got != line || method.StringWidth(styled[i]) != cells {
					t.Errorf("styled %q, plain %q", styled[i], line)
				}
			}
		}
	})
}

func BenchmarkDiff(b *testing.B) {
	long := [2]string{strings.Repeat(`{"id": 123, "name": "日本"},`, 40_000), strings.Repeat(`{"id": 124, "name": "日本"},`, 40_000)}
	b.Run("1 MB in one line", func(b *testing.B) {
		for b.Loop() {
			diffRows(long[0], long[1])
		}
	})
	many := [2]string{strings.ReplaceAll(long[0], ",{", ",\n{"), strings.ReplaceAll(long[1], ",{", ",\n{")}
	b.Run("40,000 lines", func(b *testing.B) {
		for b.Loop() {
			diffRows(many[0], many[1])
		}
	})
	v := sideBySide(diffRows(many[0], many[1]), diffContext)
	b.Run("draw 60 lines", func(b *testing.B) {
		for b.Loop() {
			v.draw(20_000, 60, 200, 0, colours())
		}
	})
}
