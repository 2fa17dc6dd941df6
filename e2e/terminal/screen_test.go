package terminal

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

func TestScreen(t *testing.T) {
	const up, down = "\x1b[A", "\x1b[B"
	for _, tt := range []struct {
		name string
		in   string
		want string // of 10 columns and 4 lines, without empty lines at the end
		x, y int
	}{
		{"text", "ab\r\ncd", "ab\ncd", 2, 1},
		{"line feed alone", "ab\ncd", "ab\n  cd", 4, 1},
		{"a full line", "0123456789", "0123456789", 9, 0},
		{"a full line and return", "0123456789\r\nx", "0123456789\nx", 1, 1},
		{"wrapped", "0123456789ab", "0123456789\nab", 2, 1},
		{"no wrapping", "\x1b[?7l0123456789ab", "012345678b", 9, 0},
		{"scrolled", "1\r\n2\r\n3\r\n4\r\n5", "2\n3\n4\n5", 1, 3},
		{"tab and backspace", "a\tb\b\bc", "a      cb", 8, 0},
		{"tab at the end", "\t\t\tx", "         x", 9, 0},
		{"moves", "\x1b[3;5Hx" + up + up + "y" + down + "\x1b[2Dz", "     y\n    z\n    x", 5, 1},
		{"moves beyond", "\x1b[99;99Hx\x1b[99Ay\x1b[99999999999999999999Dz", "z        y\n\n\n         x", 1, 0},
		{"column and line", "\x1b[4Gx\x1b[2dy", "   x\n    y", 5, 1},
		{"erase below", "aaaa\r\nbbbb\r\ncccc\x1b[2;3H\x1b[J", "aaaa\nbb", 2, 1},
		{"erase above", "aaaa\r\nbbbb\r\ncccc\x1b[2;3H\x1b[1J", "\n   b\ncccc", 2, 1},
		{"erase all", "aaaa\r\nbbbb\x1b[2J", "", 4, 1},
		{"erase in line", "aaaa\r\x1b[C\x1b[K", "a", 1, 0},
		{"erase to here", "aaaa\x1b[2G\x1b[1K", "  aa", 1, 0},
		{"erase characters", "abcdef\x1b[2G\x1b[2X", "a  def", 1, 0},
		{"insert and delete", "abcdef\x1b[2G\x1b[2@\x1b[5G\x1b[P", "a  bdef", 4, 0},
		{"insert a line", "a\r\nb\r\nc\r\nd\x1b[2;2H\x1b[L", "a\n\nb\nc", 0, 1},
		{"delete a line", "a\r\nb\r\nc\r\nd\x1b[2;2H\x1b[M", "a\nc\nd", 0, 1},
		{"region", "\x1b[2;3ra\r\nb\r\nc\r\nd", "a\nc\nd", 1, 2},
		{"region and insert", "a\r\nb\r\nc\r\nd\x1b[2;3r\x1b[2H\x1b[L\x1b[r", "a\n\nb\nd", 0, 0},
		{"scroll", "a\r\nb\r\nc\x1b[S\x1b[2Tx", "\n\nbx\nc", 2, 2},
		{"reverse feed", "a\r\nb\x1b[H\x1bMx", "x\na\nb", 1, 0},
		{"saved cursor", "ab\x1b7\x1b[4;4Hx\x1b8c", "abc\n\n\n   x", 3, 0},
		{"alternate", "ab\x1b[?1049h\x1b[Hxyz\x1b[?1049lc", "abc", 3, 0},
		{"alternate is empty", "ab\x1b[?1049hx\x1b[?1049l\x1b[?1049h", "", 2, 0},
		{"wide", "a界b", "a界b", 4, 0},
		{"wide at the end", "012345678界", "012345678\n界", 2, 1},
		{"half overwritten", "界界\x1b[2Gx", " x界", 2, 0},
		{"other half overwritten", "界界\x1b[3Gx", "界x", 3, 0},
		{"wide cut by erasing", "界x\x1b[2G\x1b[K", "", 1, 0},
		{"combining", "e\u0301x", "e\u0301x", 2, 0},
		{"combining at the end", "012345678e\u0301", "012345678e\u0301", 9, 0},
		{"combining with nothing", "\u0301x", "x", 1, 0},
		{"not UTF-8", "a\xff\xe4b", "a\ufffd\ufffdb", 4, 0},
		{"colours", "\x1b[1;38;5;196ma\x1b[0mb\x1b[38:2::1:2:3mc\x1b[m", "abc", 3, 0},
		{"title", "a\x1b]0;title\x07b\x1b]2;title\x1b\\c", "abc", 3, 0},
		{"device control", "a\x1bP1$r0m\x1b\\b", "ab", 2, 0},
		{"character set", "a\x1b(Bb", "ab", 2, 0},
		{"cancelled", "a\x1b[12\x18b\x1b]0;x\x18c", "abc", 3, 0},
		{"cut off", "a\x1b[12\x1b[2Gb\x1b]0;x\x1b[4Gc", "ab c", 4, 0},
		{"control within a sequence", "abc\x1b[\r2Cx", "abx", 3, 0},
		{"reset", "abc\x1b[?25l\x1bcx", "x", 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, step := range []int{len(tt.in), 1} { // whole, and byte by byte
				s := NewScreen(10, 4)
				for part := range slices.Chunk([]byte(tt.in), max(step, 1)) {
					s.Write(part)
				}
				if got := strings.TrimRight(s.String(), "\n"); got != tt.want {
					t.Errorf("%q, want %q", got, tt.want)
				}
				if x, y, _ := s.Cursor(); x != tt.x || y != tt.y {
					t.Errorf("the cursor is at %d,%d, want %d,%d", x, y, tt.x, tt.y)
				}
				if u := s.Unknown(); len(u) > 0 {
					t.Errorf("not known: %q", u)
				}
			}
		})
	}
}

func TestScreenHistory(t *testing.T) {
	s := NewScreen(10, 2)
	s.Write([]byte("1\r\n2\r\n3\x1b[?1049h\x1b[Ha\r\nb\r\nc\r\nd"))
	if got, want := s.History(), "1\n2\n3"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestLeftovers(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"text\r\n", ""},
		{"\x1b[?1049h\x1b[?25l\x1b[?1002;1006h\x1b[?2004h", "mode 1002 is true; mode 1006 is true; mode 1049 is true; mode 2004 is true; mode 25 is false"},
		{"\x1b[?1049h\x1b[?25l\x1b[?1049l\x1b[?25h", ""},
		{"\x1b[31mred", "colours or attributes are on"},
		{"\x1b[31mred\x1b[m", ""},
		{"\x1b[0;1mbold", "colours or attributes are on"},
		{"\x1b[1;0mplain", ""},
		{"\x1b[2;3r", "only lines 2 to 3 scroll"},
		{"\x1b[2;3r\x1b[r", ""},
		{"\x1b]0;ti", "an escape sequence has no end"},
	} {
		s := NewScreen(10, 4)
		s.Write([]byte(tt.in))
		if got := strings.Join(s.Leftovers(), "; "); got != tt.want {
			t.Errorf("%q leaves %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestScreenAnswers(t *testing.T) {
	for in, want := range map[string]string{
		"ab\r\nc\x1b[6n":    "\x1b[2;2R",
		"\x1b[5n":           "\x1b[0n",
		"\x1b[c":            "\x1b[?62;22c",
		"\x1b]11;?\x07":     "\x1b]11;rgb:0000/0000/0000\x1b\\",
		"\x1b]10;?\x1b\\":   "\x1b]10;rgb:ffff/ffff/ffff\x1b\\",
		"\x1b]0;title\x07x": "",
	} {
		var got string
		s := NewScreen(10, 4)
		s.Reply = func(answer string) { got += answer }
		s.Write([]byte(in))
		if got != want {
			t.Errorf("%q is answered with %q, want %q", in, got, want)
		}
	}
}

// What is not understood is never silent.
func TestUnknown(t *testing.T) {
	for _, in := range []string{"\x1b[5y", "\x1b[?77h", "\x1b[?5x", "\x1b[>4;2q", "\x1bZ", "\u009b2J", "\x0e", "\x1b[" + strings.Repeat("1", 300) + "m"} {
		s := NewScreen(10, 4)
		s.Write([]byte(in))
		if len(s.Unknown()) == 0 {
			t.Errorf("%.20q was understood", in)
		}
	}
}

func TestScreenResize(t *testing.T) {
	s := NewScreen(10, 4)
	s.Write([]byte("abcdefgh\x1b[4;9H界"))
	s.Resize(5, 2)
	if got, want := s.String(), "abcde\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	s.Resize(10, 3)
	s.Write([]byte("\x1b[3;1Hx"))
	if got, want := s.String(), "abcde\n\nx"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Whatever comes, in whatever pieces, the screen keeps its form.
func FuzzScreen(f *testing.F) {
	f.Add([]byte("ab界\x1b[2;3r\x1b[L\x1b[?1049h\x1b]0;t\x07\x1b[99@\x1b[5Te\u0301"), uint8(4), uint8(3))
	f.Add([]byte("\x1b[?7l界界界\x1b[P\x1b[X\x1b[1K\x1bM\x1b8"), uint8(1), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, cols, rows uint8) {
		s := NewScreen(int(cols%40), int(rows%20))
		pieces := NewScreen(int(cols%40), int(rows%20))
		s.Write(data)
		for i := range data {
			pieces.Write(data[i : i+1])
		}
		if a, b := s.String(), pieces.String(); a != b {
			t.Fatalf("whole: %q, in pieces: %q", a, b)
		}
		s.Resize(int(rows%40), int(cols%20))
		s.Write(data)
		lines := strings.Split(s.String(), "\n")
		if len(lines) != s.rows {
			t.Errorf("%d lines, want %d", len(lines), s.rows)
		}
		for y, line := range s.buffers[s.shown] {
			width := 0
			for _, c := range line {
				r, _ := utf8.DecodeRuneInString(string(c))
				if c != "" {
					width += ansi.StringWidth(string(r))
				}
			}
			if len(line) != s.cols || width != s.cols {
				t.Errorf("line %d has %d cells and %d columns, want %d: %q", y, len(line), width, s.cols, line)
			}
		}
		if x, y, _ := s.Cursor(); x < 0 || x >= s.cols || y < 0 || y >= s.rows {
			t.Errorf("the cursor is at %d,%d", x, y)
		}
		if strings.ContainsFunc(s.String(), func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) || !utf8.ValidString(s.String()) {
			t.Errorf("control characters on the screen: %q", s.String())
		}
	})
}
