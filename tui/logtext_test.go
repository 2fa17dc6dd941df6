package tui

import (
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

// Whatever an application writes, the line has nothing that steers.
func FuzzLogText(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if left := steers(logText(s)); left != "" {
			t.Errorf("%q is left of %q", left, s)
		}
	})
}
