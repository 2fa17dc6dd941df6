package tui

// Lines of visible text with looks, cut to cells.

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// brush is what a style writes before and after a text. The zero value is plain.
// Style.Render itself looks at each character: with it a frame took four to
// eight times as long (BenchmarkDraw). It also underlines each by itself, and so
// tears marks off their letters.
type brush struct{ on, off string }

func brushOf(s lipgloss.Style) brush {
	on, off, _ := strings.Cut(s.Render("x"), "x") // no colour or attribute is written with an x
	return brush{on, off}
}

func (b brush) paint(text string) string {
	if text == "" {
		return ""
	}
	return b.on + text + b.off
}

// mark is a part of a text with a look of its own.
type mark struct {
	span
	look brush
}

// drawMarked draws visible text in exactly that many cells, the first left ones
// scrolled out. Marks are in order and apart.
func drawMarked(text string, marks []mark, left, cells int, look brush) string {
	if cells <= 0 {
		return ""
	}
	from, before := skip(text, left)
	room := cells - width(before)
	if room <= 0 {
		return look.paint(fit(before, cells))
	}
	n, after := take(text[from:], room)
	at, to := from, from+n
	var b strings.Builder
	for _, m := range marks {
		if m.to <= at || m.from >= to {
			continue
		}
		begin, end := max(at, m.from), min(to, m.to)
		b.WriteString(look.paint(before + text[at:begin]))
		b.WriteString(m.look.paint(text[begin:end]))
		before, at = "", end
	}
	b.WriteString(look.paint(before + text[at:to] + after))
	return b.String()
}
