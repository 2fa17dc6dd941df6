package compare

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for _, tt := range []struct {
		name                    string
		production, application string
		want                    string
	}{
		{"the same", "a\nb\n", "a\nb\n", ""},
		{"line ends", "a\nb\n", "a\r\nb\r\n", "line ends written otherwise"},
		{"no end of the last line", "a\nb", "a\nb\n", "line ends written otherwise"},
		{"line ends and a word", "a\nb x\nc\n", "a\r\nb y\r\nc\r\n", "line 2 word 2: x → y\nline ends written otherwise"},

		{"word", "one\ntwo three\n", "one\ntwo 3\n", "line 2 word 2: three → 3"},
		{"words count without white space", "at: 10:20:30", "at: 10:21:31", "line 1 word 5: 20 → 21\nline 1 word 7: 30 → 31"},
		{"sign", "a+b", "a-b", "line 1 word 2: + → -"},
		{"letters of any script", "größe=1", "größer=1", "line 1 word 1: größe → größer"},
		{"another number of words", "a b\nc", "a b d\nc", "line 1: a b → a b d"},
		{"white space only", "a b", "a  b", "line 1: a b → a  b"},
		{"white space at the end", "a ", "a\t", "line 1: a  → a\t"},

		{"line added", "a\nb\nc\n", "a\nx\nb\nc\n", "line 2: none → x"},
		{"line removed", "a\nb\nc\n", "a\nc\n", "line 2: b → none"},
		{"empty line added", "a\n", "a\n\n", "line 2: none → "},
		{"added and changed", "a\nb 1\nc\nd\n", "x\na\nb 2\nc\nd\n", "line 1: none → x\nline 2 word 2: 1 → 2"},
		{"one for two", "a\nb\nc\n", "a\nx\ny\nc\n", "line 2 word 1: b → x\nline 3: none → y"},
		{"lines in another order", "a\nb\nc\nd\n", "b\nc\nd\na\n", "line 1: a → none\nline 4: none → a"},
		{"nothing", "", "a\n", "line 1: none → a"},
		{"colours", "\x1b[31mred\x1b[0m", "\x1b[32mred\x1b[0m", "line 1 word 3: 31mred → 32mred"},
	} {
		f := new(found)
		if !f.text([]byte(tt.production), []byte(tt.application)) {
			t.Errorf("%s: no text", tt.name)
		}
		if got := noted(f); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
	for _, body := range []string{"\x00", "a\x01b", "\x7f", "\xff", "\xc3"} {
		f := new(found)
		if f.text([]byte(body), []byte("a")) || f.text([]byte("a"), []byte(body)) || noted(f) != "" {
			t.Errorf("%q is no text; noted %q", body, noted(f))
		}
	}
}

// numbered is n lines, all different.
func numbered(n int) (ls []string) {
	for i := range n {
		ls = append(ls, fmt.Sprintf("line number %d of it", i+1))
	}
	return ls
}

// A line more at the front is found as long as there are not too many lines
// between the first and the last difference, or too many differences; then
// lines are compared in order.
func TestTextBounded(t *testing.T) {
	for _, tt := range []struct {
		name string
		n    int
		want int
	}{
		{"few lines", maxDiffLines - 2, 2},
		{"many lines", maxDiffLines + 1, maxDiffLines + 3},
	} {
		ls := numbered(tt.n)
		production := strings.Join(ls, "\n") + "\nlast"
		application := "first line\n" + strings.Join(ls, "\n") + "\nend"
		f := new(found)
		f.text([]byte(production), []byte(application))
		if got := len(f.differences) + f.more; got != tt.want {
			t.Errorf("%s: %d differences, want %d: %s", tt.name, got, tt.want, noted(f))
		}
	}
	// A timestamp in each line.
	ls := numbered(1000)
	f := new(found)
	f.text([]byte(strings.Join(ls, " at 10:20\n")), []byte(strings.Join(ls, " at 10:21\n")))
	if f.differences[0].Place.Name != "line 1 word 9" || len(f.differences)+f.more != 999 {
		t.Errorf("%s", noted(f))
	}
}

// Texts are without a difference where they have the same lines, and the
// comparison does not fail on any.
func FuzzText(f *testing.F) {
	f.Add("a\nb\nc", "a\r\nb\nd\n")
	f.Add("GET / 10:20:30 200\n\n\nx y", "x y\n GET / 10:20:31 200\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		got := new(found)
		isText := func(s string) bool {
			return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
				return r < ' ' && !strings.ContainsRune("\t\r\n\f\x1b", r) || r == 0x7f
			})
		}
		if want := isText(a) && isText(b); got.text([]byte(a), []byte(b)) != want {
			t.Fatalf("text: %v", !want)
		} else if !want {
			return
		}
		lines := func(s string) []string {
			ls := strings.Split(s, "\n")
			for i := range len(ls) - 1 {
				ls[i] = strings.TrimSuffix(ls[i], "\r")
			}
			if ls[len(ls)-1] == "" {
				ls = ls[:len(ls)-1]
			}
			return ls
		}
		if equal := slices.Equal(lines(a), lines(b)); equal != (len(got.differences) == 0) || equal && a != b && len(got.excused) != 1 {
			t.Fatalf("equal: %v, noted %s", equal, noted(got))
		}
	})
}

// The lines matched are as many as any diff can match.
func FuzzMatchLines(f *testing.F) {
	f.Add([]byte("abcabba"), []byte("cbabac"))
	f.Add([]byte(""), []byte("a"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		a, b = a[:min(len(a), 100)], b[:min(len(b), 100)]
		sums := func(p []byte) (s []uint64) {
			for _, c := range p {
				s = append(s, uint64(c))
			}
			return s
		}
		got := matchLines(sums(a), sums(b))
		i, j := 0, 0
		for _, m := range got {
			if m.a < i || m.b < j || a[m.a] != b[m.b] {
				t.Fatalf("%v", got)
			}
			i, j = m.a+1, m.b+1
		}
		longest := make([][]int, len(a)+1)
		longest[0] = make([]int, len(b)+1)
		for i := range a {
			longest[i+1] = make([]int, len(b)+1)
			for j := range b {
				longest[i+1][j+1] = max(longest[i][j+1], longest[i+1][j])
				if a[i] == b[j] {
					longest[i+1][j+1] = longest[i][j] + 1
				}
			}
		}
		if want := longest[len(a)][len(b)]; len(got) != want {
			t.Fatalf("%d matched, want %d", len(got), want)
		}
	})
}

// MB/s of one side, a word in the middle differs: 800 on one core of a 2.6
// GHz EPYC.
func BenchmarkText(b *testing.B) {
	ls := numbered(2000)
	production := []byte(strings.Join(ls, "\n"))
	ls[1000] = "line NUMBER 1001 of it"
	application := []byte(strings.Join(ls, "\n"))
	b.SetBytes(int64(len(production)))
	b.ReportAllocs()
	var f found
	for b.Loop() {
		f = found{differences: f.differences[:0]}
		if !f.text(production, application) || len(f.differences) != 1 {
			b.Fatal(noted(&f))
		}
	}
}

// Half a kilobyte in which one word differs: what most answers that differ are
// like.
func BenchmarkTextShort(b *testing.B) {
	production := []byte("the answer to /item/17 " + strings.Repeat("p", 480))
	application := []byte("the answer to /item/18 " + strings.Repeat("p", 480))
	b.SetBytes(int64(len(production)))
	b.ReportAllocs()
	var f found
	for b.Loop() {
		f = found{differences: f.differences[:0]}
		if !f.text(production, application) || len(f.differences) != 1 {
			b.Fatal(noted(&f))
		}
	}
}

// A token of base64 is one word, whatever characters are in it.
func TestTextTokens(t *testing.T) {
	for text, want := range map[string]string{
		`mrMLPYyPewiyxNFBGSBAYDYX0f1VPPb+RQ=="`: "mrMLPYyPewiyxNFBGSBAYDYX0f1VPPb+RQ==",
		"/vnx+DPVvoTEHYkjnyCUtn+eNTIFv0kX rest": "/vnx+DPVvoTEHYkjnyCUtn+eNTIFv0kX",
		"/static/stylesheets/Main/all.css":      "/",
		"application/x-www-form-urlencoded":     "application",
		"123e4567-e89b-12d3-a456-426614174000":  "123e4567",
		"name=mrMLPYyPewiyxNFBGSBAYDYX":         "name",
	} {
		if word, _ := firstWord([]byte(text)); string(word) != want {
			t.Errorf("%q: %q, want %q", text, word, want)
		}
	}
}
