package tui

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
)

func TestVisible(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"plain", `{"path": "C:\\x"}`, `{"path": "C:\\x"}`},
		{"colour", "\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		{"a title", "\x1b]0;title\a", `\x1b]0;title\a`},
		{"controls", "\x00\a\b\t\n\v\f\r\x7f", `\x00\a\b\t\n\v\f\r\x7f`},
		{"line ends of both kinds", "a\r\nb\n", `a\r\nb\n`},
		{"C1 in UTF-8", "a\u009b31m\u0085", `a\u009b31m\u0085`},
		{"C1 as bytes", "a\x9b31m", `a\x9b31m`},
		{"not UTF-8", "gr\xfc\xdfe", `gr\xfc\xdfe`},
		{"a character cut off", "\xe2\x80", `\xe2\x80`},
		{"a surrogate", "\xed\xa0\x80", `\xed\xa0\x80`},
		{"the replacement character itself", "\ufffd", "\ufffd"},
		{"direction", "user\u202etxt.exe\u2066\u200f", `user\u202etxt.exe\u2066\u200f`},
		{"zero width", "a\u200bb\u2060c\ufeffd\u00ade\u034f", `a\u200bb\u2060c\ufeffd\u00ade\u034f`},
		{"spaces of other kinds", "a\u00a0b\u3000c\u2028d\u2800e", `a\u00a0b\u3000c\u2028d\u2800e`},
		{"letters without shape", "a\u3164\u115f\u1160\uffa0b", `a\u3164\u115f\u1160\uffa0b`},
		{"tags", "a\U000e0041\U000e0100", `a\U000e0041\U000e0100`},
		{"private use and not assigned", "\ue000\u0378", `\ue000\u0378`},
		{"other scripts", "日本語 Ελλάδα русский ไทย हिन्दी မြန်မာ", "日本語 Ελλάδα русский ไทย हिन्दी မြန်မာ"},
		{"letters in parts", "한글 Ame\u0301lie", "한글 Ame\u0301lie"},
		{"emoji", "👍 🇩🇪", "👍 🇩🇪"},
		{"half a flag", "🇩🇪🇩", `🇩🇪\U0001f1e9`},
		{"emoji whose width is a matter of taste", "👍🏽 ❤\ufe0f 👩\u200d👧", `👍\U0001f3fd ❤\ufe0f 👩\u200d👧`},
		{"a mark on nothing", "\u0301a", `\u0301a`},
		{"a mark on what is escaped", "a\u200b\u0301\n\u0301b\u0301", `a\u200b\u0301\n\u0301b` + "\u0301"},
		{"marks without end", "a" + strings.Repeat("\u0301", 9), "a" + strings.Repeat("\u0301", 7) + `\u0301\u0301`},
		{"letters without end", strings.Repeat("\u1100", 9), strings.Repeat("\u1100", 8) + `\u1100`},
		{"takes the next one along", "\u0d4ea", `\u0d4ea`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := visible(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Whatever stands beside it, a character that is shown keeps to its own cells:
// else the column behind it, or the border, would move.
func TestEachCharacterKeepsToItself(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		s := visible(string(r))
		if got, want := method.StringWidth(s+" "), method.StringWidth(s)+1; got != want || got == 1 {
			t.Errorf("%U as %q and a space are %d cells, want %d", r, s, got, want)
		}
		if c, _ := ansi.FirstGraphemeCluster("|"+s, ansi.GraphemeWidth); c != "|" && !unicode.Is(joining, r) {
			t.Errorf("%U as %q joins a border", r, s)
		}
	}
}

func TestFit(t *testing.T) {
	for _, tt := range []struct {
		in    string
		cells int
		want  string
	}{
		{"", 3, "   "},
		{"abc", 0, ""},
		{"abc", -1, ""},
		{"abc", 1, "…"},
		{"a", 1, "a"},
		{"abc", 3, "abc"},
		{"abc", 5, "abc  "},
		{"abcd", 3, "ab…"},
		{"日本語", 6, "日本語"},
		{"日本語", 7, "日本語 "},
		{"日本語", 5, "日本…"},
		{"日本語", 4, "日… "},
		{"日本語", 2, "… "},
		{"日本語", 1, "…"},
		{"ae\u0301i", 3, "ae\u0301i"},
		{"ae\u0301io", 3, "ae\u0301…"},
		{"🇩🇪🇩🇪", 3, "🇩🇪…"},
		{"\x1b[31mred", 8, `\x1b[31…`},
		{"a\tb", 4, `a\tb`},
	} {
		if got := fit(tt.in, tt.cells); got != tt.want {
			t.Errorf("fit(%q, %d) is %q, want %q", tt.in, tt.cells, got, tt.want)
		}
	}
}

func TestCutLeft(t *testing.T) {
	for _, tt := range []struct {
		in    string
		cells int
		want  string
	}{
		{"", 3, ""},
		{"abcd", 0, "abcd"},
		{"abcd", -1, "abcd"},
		{"abcd", 1, "…cd"},
		{"abcd", 3, "…"},
		{"abcd", 9, "…"},
		{"日本語", 1, "…本語"},
		{"日本語", 2, "… 語"},
		{"日本語", 3, "…語"},
		{"ae\u0301io", 1, "…io"},
	} {
		if got := cutLeft(tt.in, tt.cells); got != tt.want {
			t.Errorf("cutLeft(%q, %d) is %q, want %q", tt.in, tt.cells, got, tt.want)
		}
	}
}

func TestLines(t *testing.T) {
	for _, tt := range []struct {
		in    string
		cells int
		want  []string
	}{
		{"", 4, nil},
		{"a", 0, nil},
		{"\n", 4, []string{"    "}},
		{"a\n\nb\n", 3, []string{"a  ", "   ", "b  "}},
		{"abcdef\ng", 3, []string{"abc", "def", "g  "}},
		{"日本語", 5, []string{"日本 ", "語   "}},
		{"日a", 1, []string{"…", "a"}},
		{"a\tb\r\n", 4, []string{`a\tb`, `\r  `}},
		{"\x1b[2J", 9, []string{`\x1b[2J  `}},
	} {
		if got := lines(tt.in, tt.cells); !slices.Equal(got, tt.want) {
			t.Errorf("lines(%q, %d) are %q, want %q", tt.in, tt.cells, got, tt.want)
		}
	}
}

// steers returns what is left in a text that a terminal would obey or that would
// not be seen.
func steers(s string) string {
	if !utf8.ValidString(s) {
		return "bytes that are not UTF-8"
	}
	for _, r := range s {
		if r < ' ' || r >= 0x7f && r < 0xa0 || unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) {
			return string(r)
		}
	}
	return ""
}

// seeds are texts that fuzzing starts from.
var seeds = []string{"", "abc", "\x1b[31mred\x1b[0m", "日本語\t한글", "a\u0301\u200b\u0301", "\xff\xc3e\xff\u0301", "🇩🇪🇩👍🏽❤\ufe0f", "\u1100\u1161\u11a8\u1100\u1100", "क्क्क", "\u0d4ea", "\r\n\n\r", "\u202e\u2028\u009b31m",
	"हिन्दी", "ന്ന കി", "กำ ກຳ", "ﾊﾞ", "1⃣", "🇩🇪🇩", "👩🏽‍🚀", "ကျွန်"}

// Nothing that is shown steers the terminal, and it takes just the cells it was
// given.
func FuzzVisible(f *testing.F) {
	for _, s := range seeds {
		f.Add(s, 5)
	}
	f.Fuzz(func(t *testing.T, s string, cells int) {
		cells %= 200
		safe := visible(s)
		if left := steers(safe); left != "" {
			t.Fatalf("%q is visible as %q: %q is left", s, safe, left)
		}
		if again := visible(safe); again != safe {
			t.Fatalf("%q is not visible: %q", safe, again)
		}
		if got, want := width(safe), method.StringWidth(safe); got != want {
			t.Fatalf("width(%q) is %d, the renderer's %d", safe, got, want)
		}
		shown := append(lines(s, cells), fit(s, cells), fit(safe, cells), fit(cutLeft(safe, cells/2), cells))
		if cells > 0 && fit(s, cells) != fit(safe, cells) {
			t.Errorf("%q: fit shows %q as it came, and %q when visible", s, fit(s, cells), fit(safe, cells))
		}
		for _, line := range shown {
			if left := steers(line); left != "" {
				t.Errorf("%q: %q is left", line, left)
			}
			// Between borders: it must not join them.
			if got, want := method.StringWidth("|"+line+"|"), max(0, cells)+2; got != want {
				t.Errorf("%q with borders takes %d cells, want %d", line, got, want)
			}
			if at := borderCell(line, max(0, cells)); at != max(0, cells)+1 {
				t.Errorf("the renderer draws the border after %q in cell %d, want %d", line, at, max(0, cells)+1)
			}
			// A terminal that counts letters all the same leaves a gap. More
			// than there is room for would go to the next line.
			if got := ansi.StringWidth("|" + line + "|"); got > max(0, cells)+2 {
				t.Errorf("%q takes %d cells of a terminal that counts letters, want no more than %d", line, got, max(0, cells)+2)
			}
		}
		if text := strings.Join(lines(s, 1000), ""); len(s) > 0 && s[len(s)-1] != '\n' && strings.Count(s, "\n") == 0 && len(safe) < 1000 && strings.TrimRight(text, " ") != strings.TrimRight(safe, " ") {
			t.Errorf("the lines of %q hold %q", s, text)
		}
	})
}

// borderCell draws a line between borders with Bubble Tea's own renderer, and
// tells in which cell the right one came out.
func borderCell(line string, cells int) int {
	screen := uv.NewScreenBuffer(cells+20, 1)
	screen.Method = method
	uv.NewStyledString("|"+line+"\u2551").Draw(screen, screen.Bounds())
	for x := range cells + 20 {
		if c := screen.CellAt(x, 0); c != nil && c.Content == "\u2551" {
			return x
		}
	}
	return -1
}

// A megabyte in one line takes as long for each byte as a kilobyte does, and one
// screen of it does not take longer because of the rest.
func BenchmarkVisible(b *testing.B) {
	for name, piece := range map[string]string{"ascii": "abcdefgh", "controls": "\x1b\x00\x01\x02\x03\x04\x05\x06", "wide": "日本語a", "marks": "\u0301\u0301\u0301\u0301", "letters without end": "क्क्"} {
		for _, size := range []int{1 << 10, 1 << 20} {
			s := strings.Repeat(piece, size/len(piece))
			b.Run(name+map[int]string{1 << 10: "/1 KB", 1 << 20: "/1 MB"}[size], func(b *testing.B) {
				b.SetBytes(int64(len(s)))
				for b.Loop() {
					visible(s)
				}
			})
		}
	}
	s := strings.Repeat("日本語a", 1<<17)
	b.Run("fit to 80 cells", func(b *testing.B) {
		for b.Loop() {
			fit(s, 80)
		}
	})
}
