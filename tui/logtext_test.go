package tui

import (
	"slices"
	"strings"
	"testing"
)

func TestLogText(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "listening on :80", "listening on :80"},
		{"colour", "\x1b[1;31merror\x1b[0m: \x1b[38:2::1:2:3mfoo", "error: foo"},
		{"cursor, private modes", "\x1b[2J\x1b[H\x1b[?25la\x1b[>4;2m\x1b[ qb", "ab"},
		{"a title", "\x1b]0;title\ab\x1b]2;title\x1b\\c", "bc"},
		{"a link", "\x1b]8;;http://a/\x1b\\text\x1b]8;;\x1b\\", "text"},
		{"device control, privacy, application", "a\x1bPq#0~\x1b\\b\x1b^x\x1b\\c\x1b_x\x1b\\d\x1bXx\x1b\\e", "abcde"},
		{"character sets and the like", "\x1b(Ba\x1b7b\x1b=c\x1b%Gd\x1b#8e\x1bcf", "abcdef"},
		{"C1 in UTF-8", "\u009b31ma\u009d0;t\u009cb\u0090x\u009cc\u009cd", "abcd"},
		{"C1 as bytes", "a\x9b31m", `a\x9b31m`},
		{"a sequence without end", "a\x1b[31", "a"},
		{"a sequence broken off", "a\x1b[31\x1b[1mb\x1b[3äc", "abäc"},
		{"only its beginning", "a\x1b", "a"},
		{"a title without end", "a\x1b]0;title", "a"},
		{"a title given up", "a\x1b]0;ti\x18b\x1b]0;ti\x1b[1mc", "abc"},
		{"other controls", "a\x00\bb\u0085c", `a\x00\bb\u0085c`},
		{"tabs", "INFO\tstarted\t日本\tx", "INFO    started 日本    x"},
		{"tabs and sequences", "\x1b[32mINFO\x1b[0m\tstarted", "INFO    started"},
		{"direction", "a\u202eb", `a\u202eb`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := logText(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLogLines(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   string
		want []string
		last string
	}{
		{"nothing", "", nil, ""},
		{"lines", "a\nb\nc", []string{"a", "b"}, "c"},
		{"empty ones", "\n\na\n", []string{"", "", "a"}, ""},
		{"line ends of a terminal", "a\r\n\r\nb\r\r\nc\r\n", []string{"a", "", "b", "c"}, ""},
		{"progress", "10%\r20%\r\r30%\r\ndone", []string{"10%", "20%", "30%"}, "done"},
		{"a title without end takes its line only", "a\x1b]0;t\nb\n", []string{"a", "b"}, ""},
		{"a line without end", strings.Repeat("x", logLineLimit-1) + "éy\n", []string{strings.Repeat("x", logLineLimit-1), "éy"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l logLines
			got := l.add([]byte(tt.in))
			if !slices.Equal(got, tt.want) || l.last() != tt.last {
				t.Errorf("got %.100q and %.100q, want %.100q and %.100q", got, l.last(), tt.want, tt.last)
			}
		})
	}
}

// However an application's output is cut into pieces, the lines are the same, and
// none of them steers the terminal.
func FuzzLogLines(f *testing.F) {
	for i, s := range seeds {
		f.Add([]byte(s+"\n"+s), uint8(i))
	}
	f.Add([]byte("\x1b]0;t\x1b\\a\x1bPx\u009c\r\nb\x1b[3"), uint8(1))
	f.Fuzz(func(t *testing.T, p []byte, size uint8) {
		var whole, pieces logLines
		want := whole.add(p)
		var got []string
		for piece := range slices.Chunk(p, 1+int(size)) {
			got = append(got, pieces.add(slices.Clone(piece))...)
		}
		if !slices.Equal(got, want) || pieces.last() != whole.last() {
			t.Errorf("in pieces %q, as a whole %q", got, want)
		}
		for _, line := range append(want, whole.last()) {
			if left := steers(line); left != "" {
				t.Errorf("%q: %q is left", line, left)
			}
			if method.StringWidth(line) != width(line) {
				t.Errorf("%q: width %d, the renderer's %d", line, width(line), method.StringWidth(line))
			}
		}
	})
}
