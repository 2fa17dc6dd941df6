package tui

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

func TestHexViews(t *testing.T) {
	p := []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\x1b[31m\x00\x7f\x80\xffend")
	a := []byte("HTTP/1.1 500 OK\r\nContent-Length: 5\r\n\r\n\x1b[31m\x00\x7f\x81\xff")
	for _, cells := range []int{160, 143, 80, 77, 76, 73, 40, 9} {
		one, two := hexOne(p, cells), hexSides(p, a, cells)
		golden(t, fmt.Sprintf("hex/one-%d", cells), bordered(one.draw(0, one.rows(), diffStyles{})))
		golden(t, fmt.Sprintf("hex/sides-%d", cells), bordered(two.draw(0, two.rows(), diffStyles{})))
	}
	none := hexSides(p, nil, 80)
	golden(t, "hex/no-answer-80", bordered(none.draw(0, none.rows(), diffStyles{})))
}

// Bytes that differ have a look of their own, and so do those that only one side
// has.
func TestHexStyles(t *testing.T) {
	s := colours()
	v := hexSides([]byte("ab"), []byte("ac!"), 40)
	c, w, n := s.Changed, s.Word, s.Number
	want := n.paint("000000") + "  " +
		c.paint("61") + " " + w.paint("62") + strings.Repeat(" ", 8) + c.paint("a") + w.paint("b") + "   " + c.paint("|") + " " +
		c.paint("61") + " " + w.paint("63") + " " + w.paint("21")
	if got := v.draw(0, 1, s)[0]; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q first", got, want)
	}
}

func TestHexRows(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	other := bytes.Clone(big)
	for _, at := range []int{0, 5, 100_000, 100_016, 1<<20 - 1} {
		other[at] ^= 1
	}
	v := hexSides(big, other, 160)
	if v.rows() != 1<<16 || v.rowAt(100_000) != 6250 {
		t.Errorf("%d rows, row %d", v.rows(), v.rowAt(100_000))
	}
	var down, up []int
	for at := v.next(-1); at >= 0; at = v.next(at) {
		down = append(down, at)
	}
	for at := v.previous(v.rows()); at >= 0; at = v.previous(at) {
		up = append(up, at)
	}
	if got, want := fmt.Sprint(down, up), "[0 6250 65535] [65535 6250 0]"; got != want {
		t.Errorf("runs that differ are at %s, want %s", got, want)
	}
	for _, tt := range []struct{ from, n, want int }{{-5, 3, 3}, {0, 0, 0}, {0, -1, 0}, {65535, 10, 1}, {70000, 10, 0}} {
		if got := v.draw(tt.from, tt.n, diffStyles{}); len(got) != tt.want {
			t.Errorf("%d rows from %d are %d, want %d", tt.n, tt.from, len(got), tt.want)
		}
	}
	var zero hexView
	if zero.rows() != 0 || len(zero.draw(0, 5, diffStyles{})) != 0 || zero.next(-1) != -1 || zero.previous(0) != -1 {
		t.Error("the zero value has rows")
	}
}

func FuzzHex(f *testing.F) {
	f.Add([]byte("abc"), []byte("abd\x1b"), 80)
	f.Add([]byte(nil), []byte("日本語"), 3)
	styles := colours()
	f.Fuzz(func(t *testing.T, p, a []byte, cells int) {
		cells = max(0, cells%200)
		for _, v := range []hexView{hexOne(p, cells), hexSides(p, a, cells)} {
			styled := v.draw(0, v.rows(), styles)
			for i, line := range v.draw(0, v.rows(), diffStyles{}) {
				if left := steers(line); left != "" {
					t.Errorf("%q: %q is left", line, left)
				}
				if got := method.StringWidth(line); got != cells || ansi.Strip(styled[i]) != line {
					t.Errorf("%q takes %d cells, want %d; styled %q", line, got, cells, styled[i])
				}
			}
		}
	})
}

func BenchmarkHex(b *testing.B) {
	p := make([]byte, 1<<20)
	v := hexSides(p, p, 160)
	b.Run("draw 60 rows", func(b *testing.B) {
		for b.Loop() {
			v.draw(30_000, 60, diffStyles{})
		}
	})
	b.Run("look through 1 MiB", func(b *testing.B) {
		for b.Loop() {
			v.next(-1)
		}
	})
}
