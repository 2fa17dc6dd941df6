package tui

// Text that came from the network or from the application, made safe to show:
//
//	visible, lines    escape what would steer the terminal or could not be seen
//	fit, cutLeft      cut and pad it to a number of cells
//
// Terminals do not agree on how wide it is when several characters make up one
// letter: some count cells a character, as wcwidth does, others a letter. Those
// of Hindi's न्दी come to 3, or to 1. The renderer would go over to the second way
// where the terminal says that it knows both (mode 2027). Then neither a terminal
// that says so and means something else, nor tmux in between, would be where the
// renderer believes the cursor to be, so it is held to the first way (widthsMsg),
// and so is what is measured here. Letters stay in one piece either way.

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// clusterLimit is how many characters may share a cell, or two. Written
// languages need four; without a limit, one cell could take a megabyte.
const clusterLimit = 8

// method is how cells are counted.
const method = ansi.WcWidth

// halfFlag are the letters that make a flag in pairs. One alone has one cell, or
// two.
var halfFlag = unicode.Regional_Indicator

// more stands for what was cut off. It is one cell wide.
const more = "…"

// awkward are characters that can be printed and still do no good on a grid.
var awkward = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x0d4e, 0x0d4e, 1}, // these take the next character into their own cell: a space, or the border
		{0x2800, 0x2800, 1}, // looks like a space
	},
	R32: []unicode.Range32{
		{0x111c2, 0x111c3, 1}, // as 0d4e
		{0x1193f, 0x11941, 2},
		{0x11a84, 0x11a89, 1},
		{0x11d46, 0x11d46, 1},
		{0x11f02, 0x11f02, 1},
		{0x1f3fb, 0x1f3ff, 1}, // skin colours: no cell by themselves, or two, as the terminal likes
	},
}

// joining are letters that share the cell of the character before, as marks do.
var joining = &unicode.RangeTable{
	R16: []unicode.Range16{{0x0e33, 0x0eb3, 0x80}, {0xff9e, 0xff9f, 1}},
}

// visible makes foreign text safe to show on a line. What cannot be seen is
// written as in a Go string, as it is in the reports: controls, line ends and
// tabs, bytes that are not UTF-8 (\x9b), characters without a shape or that
// change the direction of writing (\u202e), and marks on nothing. Backslashes
// stay single: it is to be read by people.
//
// The result is valid UTF-8 without controls and at most ten times as long. What
// is visible already is returned as it is.
func visible(s string) string {
	at := plain(s)
	if at == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + len(s)/4)
	b.WriteString(s[:at])
	on := at > 0 // a character that a mark could be on is before
	for s = s[at:]; s != ""; {
		if at := plain(s); at > 0 {
			b.WriteString(s[:at])
			s, on = s[at:], true
			continue
		}
		cluster, _ := ansi.FirstGraphemeCluster(s, method)
		s = s[len(cluster):]
		kept := 0
		for cluster != "" {
			r, n := utf8.DecodeRuneInString(cluster)
			half := false
			if kept == 0 && unicode.Is(halfFlag, r) {
				other, _ := utf8.DecodeRuneInString(cluster[n:])
				half = !unicode.Is(halfFlag, other)
			}
			if r == utf8.RuneError && n == 1 {
				b.WriteString(`\x`)
				b.WriteByte("0123456789abcdef"[cluster[0]>>4])
				b.WriteByte("0123456789abcdef"[cluster[0]&15])
				kept, on = 0, false
			} else if unseen(r) || half || !on && unicode.In(r, unicode.M, joining) || kept == clusterLimit {
				quoted := strconv.QuoteRuneToASCII(r)
				b.WriteString(quoted[1 : len(quoted)-1])
				kept, on = 0, false
			} else {
				b.WriteRune(r)
				kept, on = kept+1, true
			}
			cluster = cluster[n:]
		}
	}
	return b.String()
}

// plain returns how many bytes s begins with that are printable ASCII and have
// their cells for themselves.
func plain(s string) int {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' {
			if c > 0x7f && i > 0 { // may be a mark on the one before
				i--
			}
			return i
		}
	}
	return len(s)
}

// unseen reports that a character leaves no trace on the screen, or the wrong
// one.
func unseen(r rune) bool {
	return !unicode.IsPrint(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, awkward)
}

// cell returns how many bytes and cells the first character of s takes, with the
// marks on it. s is visible and not empty.
func cell(s string) (n, width int) {
	if s[0] < utf8.RuneSelf && (len(s) == 1 || s[1] < utf8.RuneSelf) {
		return 1, 1
	}
	cluster, width := ansi.FirstGraphemeCluster(s, method)
	return len(cluster), width
}

// width returns how many cells visible text takes.
func width(s string) (cells int) {
	for s != "" {
		n, w := cell(s)
		s, cells = s[n:], cells+w
	}
	return cells
}

// take returns how many bytes of s fit into a number of cells, and what to write
// behind them: "…" if that was not all, and spaces.
func take(s string, cells int) (n int, after string) {
	used := 0
	last, lastUsed := 0, 0 // where there is still a cell left for more
	for n < len(s) {
		size, w := cell(s[n:])
		if used+w > cells {
			return last, more + strings.Repeat(" ", cells-lastUsed-1)
		}
		n, used = n+size, used+w
		if used < cells {
			last, lastUsed = n, used
		}
	}
	return n, strings.Repeat(" ", cells-used)
}

// skip returns how many bytes to leave out so that the first cells are not shown,
// and what to write before the rest: "…", in the first cell that is left, and a
// space for half of a wide character. Both are nothing if there is nothing to
// leave out.
func skip(s string, cells int) (n int, before string) {
	if cells <= 0 || s == "" {
		return 0, ""
	}
	used := 0
	for n < len(s) && used <= cells {
		size, w := cell(s[n:])
		n, used = n+size, used+w
	}
	return n, more + strings.Repeat(" ", max(0, used-cells-1))
}

// beginning returns as much of foreign text as can be of interest where there are
// so many cells: more than fills them, if there is more.
func beginning(s string, cells int) string {
	// What is visible has clusterLimit characters a cell at most, and what is not
	// has at least four cells each.
	return s[:min(len(s), (max(cells, 0)+2)*(clusterLimit+1)*utf8.UTFMax)]
}

// fit cuts or pads text to a number of cells; what was cut ends in "…". It takes
// as long as what it returns, however long s is. Foreign text is made visible.
// Text with styles is not for this.
func fit(s string, cells int) string {
	if cells <= 0 {
		return ""
	}
	s = visible(beginning(s, cells))
	n, after := take(s, cells)
	return s[:n] + after
}

// cutLeft leaves out the first cells of visible text, for scrolling sideways. If
// there were any, "…" stands in the first cell that is left.
func cutLeft(s string, cells int) string {
	n, before := skip(s, cells)
	return before + s[n:]
}

// lines makes foreign text of many lines visible and wraps it. Each line is
// exactly that many cells wide. There are none of an empty text.
func lines(text string, cells int) (all []string) {
	if cells <= 0 || text == "" {
		return nil
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		all = wrap(all, visible(line), cells)
	}
	return all
}

// wrap appends a visible line to all, in as many pieces as it takes.
func wrap(all []string, s string, cells int) []string {
	before := len(all)
	at, used := 0, 0
	for at < len(s) {
		switch n, w := cell(s[at:]); {
		case used+w <= cells:
			at, used = at+n, used+w
		case at > 0:
			all = append(all, s[:at]+strings.Repeat(" ", cells-used))
			s, at, used = s[at:], 0, 0
		default: // wider than a whole line
			all = append(all, fit(more, cells))
			s = s[n:]
		}
	}
	if at > 0 || len(all) == before {
		all = append(all, s+strings.Repeat(" ", cells-used))
	}
	return all
}
