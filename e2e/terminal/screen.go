package terminal

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Screen emulates a terminal's screen, as far as full-screen programs use it:
// both buffers, the cursor, erasing, scrolling regions, wide and combining
// characters. Colours are not kept. It answers the questions that programs ask
// a terminal. What it does not know it lists rather than ignores, since
// everything after that may be in the wrong place.
//
// A Screen is not safe for concurrent use.
type Screen struct {
	// Reply takes what the terminal answers; nil drops it. It is called
	// within Write.
	Reply func(answer string)

	cols, rows  int
	buffers     [2][][]cell // normal, alternate
	shown       int         // 1: the alternate one
	cur         place
	saved       [2]place
	pending     bool // the next character goes to the next line
	top, bottom int  // of the scrolling region; bottom is beyond it
	history     []string
	modes       map[int]bool // private modes that differ from a fresh terminal's
	coloured    bool         // what is written next has attributes
	unknown     []string

	parser
}

// cell is a character with what combines with it; "" is the right half of a
// wide one.
type cell string

type place struct{ x, y int }

const (
	blank      = cell(" ")
	historyMax = 10000 // lines
	unknownMax = 20
)

// Private modes, of xterm's ctlseqs.
const (
	modeAutowrap  = 7
	modeCursor    = 25
	modeAlternate = 1049
)

// onAtFirst are the modes that a fresh terminal has.
var onAtFirst = []int{modeAutowrap, modeCursor}

// NewScreen returns an empty screen; less than one cell is taken for one.
func NewScreen(cols, rows int) *Screen {
	s := &Screen{modes: map[int]bool{}}
	s.Resize(cols, rows)
	return s
}

// Resize keeps the upper left of what is shown, as terminals do that do not
// wrap lines anew.
func (s *Screen) Resize(cols, rows int) {
	s.cols, s.rows = max(cols, 1), max(rows, 1)
	for i, old := range s.buffers {
		lines := make([][]cell, s.rows)
		for y := range lines {
			lines[y] = slices.Repeat([]cell{blank}, s.cols)
			if y < len(old) {
				copy(lines[y], old[y])
				mend(lines[y])
			}
		}
		s.buffers[i] = lines
	}
	s.top, s.bottom = 0, s.rows
	s.moveTo(s.cur.x, s.cur.y)
}

// String returns what is shown, without the blanks at the lines' ends.
func (s *Screen) String() string { return strings.Join(s.lines(s.shown), "\n") }

// History returns the normal screen, also where the alternate one is shown,
// after the lines that were scrolled out of it.
func (s *Screen) History() string {
	return strings.Join(append(slices.Clone(s.history), s.lines(0)...), "\n")
}

func (s *Screen) lines(buffer int) []string {
	all := make([]string, s.rows)
	for y, line := range s.buffers[buffer] {
		all[y] = text(line)
	}
	return all
}

func text(line []cell) string {
	var b strings.Builder
	for _, c := range line {
		b.WriteString(string(c))
	}
	return strings.TrimRight(b.String(), " ")
}

// Cursor returns the cursor's column and line from 0, and whether it is shown.
func (s *Screen) Cursor() (x, y int, visible bool) {
	return s.cur.x, s.cur.y, s.Mode(modeCursor)
}

// Mode tells a private mode: 1049 is the alternate screen, 1000, 1002, 1003 and
// 1006 are reports of the mouse, 1004 of the focus, 2004 is bracketed paste, 25
// the cursor.
func (s *Screen) Mode(n int) bool { return s.modes[n] != slices.Contains(onAtFirst, n) }

// Leftovers lists what differs from a fresh terminal, but for its text and the
// cursor's place; empty when a program has given everything back.
func (s *Screen) Leftovers() (all []string) {
	for n := range s.modes {
		all = append(all, fmt.Sprintf("mode %d is %t", n, s.Mode(n)))
	}
	slices.Sort(all)
	if s.coloured {
		all = append(all, "colours or attributes are on")
	}
	if s.top != 0 || s.bottom != s.rows {
		all = append(all, fmt.Sprintf("only lines %d to %d scroll", s.top+1, s.bottom))
	}
	if s.state != ground {
		all = append(all, "an escape sequence has no end")
	}
	return all
}

// Unknown lists escape sequences that were not understood, the first ones only.
func (s *Screen) Unknown() []string { return s.unknown }

func (s *Screen) notKnown(format string, args ...any) {
	if len(s.unknown) < unknownMax {
		s.unknown = append(s.unknown, fmt.Sprintf(format, args...))
	}
}

func (s *Screen) setMode(n int, on bool) {
	if on == slices.Contains(onAtFirst, n) {
		delete(s.modes, n)
	} else {
		s.modes[n] = true
	}
}

// put writes a character at the cursor.
func (s *Screen) put(r rune) {
	width := ansi.StringWidth(string(r))
	if width == 0 { // it belongs to the one before
		s.combine(r)
		return
	}
	if width > s.cols {
		return
	}
	if s.pending || s.cur.x+width > s.cols {
		s.pending = false
		if s.Mode(modeAutowrap) {
			s.cur.x = 0
			s.lineFeed()
		} else {
			s.cur.x = s.cols - width
		}
	}
	line := s.buffers[s.shown][s.cur.y]
	line[s.cur.x] = cell(r)
	if width == 2 {
		line[s.cur.x+1] = ""
	}
	mend(line)
	if s.cur.x += width; s.cur.x >= s.cols {
		s.cur.x, s.pending = s.cols-1, true
	}
}

// combineMax bounds what a cell holds, in bytes.
const combineMax = 64

func (s *Screen) combine(r rune) {
	line, x := s.buffers[s.shown][s.cur.y], s.cur.x
	if !s.pending {
		x--
	}
	if x > 0 && line[x] == "" {
		x--
	}
	if x >= 0 && len(line[x]) < combineMax {
		line[x] += cell(r)
	}
}

// mend blanks the halves of wide characters whose other half is gone.
func mend(line []cell) {
	for x, c := range line {
		r, _ := utf8.DecodeRuneInString(string(c))
		wide := c != "" && ansi.StringWidth(string(r)) == 2
		switch {
		case c == "" && (x == 0 || ansi.StringWidth(string(line[x-1])) < 2):
			line[x] = blank
		case wide && (x+1 == len(line) || line[x+1] != ""):
			line[x] = blank
		}
	}
}

func (s *Screen) moveTo(x, y int) {
	s.cur = place{min(max(x, 0), s.cols-1), min(max(y, 0), s.rows-1)}
	s.pending = false
}

// lineFeed goes down, and scrolls at the end of the scrolling region.
func (s *Screen) lineFeed() {
	s.pending = false
	switch s.cur.y {
	case s.bottom - 1:
		s.scroll(s.top, 1)
	default:
		s.cur.y = min(s.cur.y+1, s.rows-1)
	}
}

// reverseFeed goes up, and scrolls at the beginning of the scrolling region.
func (s *Screen) reverseFeed() {
	s.pending = false
	if s.cur.y == s.top {
		s.scroll(s.top, -1)
	} else {
		s.cur.y = max(s.cur.y-1, 0)
	}
}

// scroll moves the lines from a line to the scrolling region's end up by n, or
// down if n is negative.
func (s *Screen) scroll(from, n int) {
	buffer := s.buffers[s.shown]
	region := buffer[from:s.bottom]
	n = min(max(n, -len(region)), len(region))
	if n > 0 && s.shown == 0 && from == 0 {
		for _, line := range region[:n] {
			s.history = append(s.history, text(line))
		}
		s.history = s.history[max(0, len(s.history)-historyMax):]
	}
	kept := slices.Clone(region)
	for y := range region {
		if old := y + n; old >= 0 && old < len(kept) {
			region[y] = kept[old]
		} else {
			region[y] = slices.Repeat([]cell{blank}, s.cols)
		}
	}
}

// erase blanks cells of a line.
func (s *Screen) erase(y, from, to int) {
	line := s.buffers[s.shown][y]
	for x := max(from, 0); x < min(to, s.cols); x++ {
		line[x] = blank
	}
	mend(line)
}

// shift inserts n blanks at the cursor, or deletes -n characters.
func (s *Screen) shift(n int) {
	line := s.buffers[s.shown][s.cur.y]
	rest := slices.Clone(line[s.cur.x:])
	for i := range rest {
		if old := i - n; old >= 0 && old < len(rest) {
			line[s.cur.x+i] = rest[old]
		} else {
			line[s.cur.x+i] = blank
		}
	}
	mend(line)
}

// alternate enters or leaves the alternate screen, as mode 1049 does: the
// cursor is kept meanwhile, and the screen entered is empty.
func (s *Screen) alternate(on bool) {
	if on {
		s.saved[0] = s.cur
		s.shown = 1
		for y := range s.rows {
			s.erase(y, 0, s.cols)
		}
		return
	}
	s.shown = 0
	s.moveTo(s.saved[0].x, s.saved[0].y)
}
