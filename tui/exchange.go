package tui

// The panel of one exchange, or of a group of equal differences, from top to
// bottom:
//
//	≠ different  GET /cart HTTP/1.1
//	side by side  first byte 22 ms │ 38 ms  line 1 of 40
//	2 differences
//	  $.total: 12.50 → 13.00
//	── body ──
//	  3  "total": 12.50    |   3  "total": 13.00
//
// exchange_parts.go lays out what is scrolled.

import (
	"fmt"
	"strings"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
	"tcpsandbox/report"
)

// exchangeMode is how two answers are shown.
type exchangeMode uint8

const (
	modeSides exchangeMode = iota
	modeUnified
	modeHex
	exchangeModes
)

var exchangeModeNames = [...]string{"side by side", "unified", "hex"}

// gutter is how many cells stand before each line for the sign of the difference
// that was jumped to.
const gutter = 1

// sidesLeast is how many cells two answers side by side need; with fewer they
// are unified.
const sidesLeast = 60

// answers shows two answers. The zero value shows that there are none.
type answers struct {
	of      string // what tells the exchange from others
	title   string
	verdict compare.Verdict
	judged  bool
	facts   string // beside the mode
	what    *Explanation
	waits   bool // for what

	mode    exchangeMode
	request bool // the request is shown
	all     bool // all differences are listed, not only the first ones
	top     int  // the first line on the screen
	left    int  // cells scrolled out
	stop    int  // the line that was jumped to last; -1: none since

	parts []exchangePart // laid out
	width int            // cells that they are laid out for: all but the gutter's
	// As drawn last:
	height int // lines of the parts
}

// loading shows what a story tells of an exchange, until its texts are here.
func (x *answers) loading(p *replay.Played) {
	x.set(p, nil)
	x.waits = true
}

// set shows an exchange of a session; nil: its texts are not kept. The same
// exchange stays scrolled where it is.
func (x *answers) set(p *replay.Played, what *Explanation) {
	of, title, facts, verdict, judged := "", "", "", compare.Uncompared, false
	if p != nil {
		of = fmt.Sprint(p.Number, " ", p.Label)
		title, verdict, judged = p.Label, p.Verdict, p.Judged
		m := moment{kind: momentAnswer, played: p}
		if took := m.latency(); took[0] >= 0 || took[1] >= 0 {
			facts = "first byte " + shortTime(took[0]) + " │ " + shortTime(took[1])
		}
	}
	if what != nil {
		if p == nil || p.Judged {
			verdict, judged = what.Verdict, true
		}
		if what.Why != "" {
			facts = strings.TrimSpace(what.Why + "  " + facts)
		}
	}
	x.show(of, title, facts, verdict, judged, what)
}

// setGroup shows the example of a group of equal differences.
func (x *answers) setGroup(g *report.Group) {
	facts := howMany(g.Count, "answer")
	verdict := compare.Different
	switch {
	case g.Missing == g.Count:
		verdict = compare.Missing
	case g.Missing > 0:
		facts += fmt.Sprintf(", %s missing", grouped(g.Missing))
	}
	facts += fmt.Sprintf("  example: session %d", g.Session)
	if g.Client != "" {
		facts += " of " + g.Client
	}
	x.show(fmt.Sprint(g.Request, g.Places), g.Request, facts, verdict, true, &Explanation{
		Verdict: verdict, Production: g.Production, Application: g.Application, Differences: g.Differences,
	})
}

// show shows what set and setGroup have found.
func (x *answers) show(of, title, facts string, verdict compare.Verdict, judged bool, what *Explanation) {
	x.waits = false
	if of != x.of || (what == nil) != (x.what == nil) {
		x.top, x.left, x.stop = 0, 0, -1
	}
	if !sameTexts(what, x.what) {
		x.parts = nil
	}
	x.of, x.title, x.facts, x.verdict, x.judged, x.what = of, title, facts, verdict, judged, what
}

// sameTexts reports whether two explanations need not be laid out anew.
func sameTexts(a, b *Explanation) bool {
	return a == b || a != nil && b != nil && a.Production == b.Production && a.Application == b.Application && a.Request == b.Request &&
		a.Verdict == b.Verdict && len(a.Differences) == len(b.Differences) && len(a.Excused) == len(b.Excused) && a.Raw[0] == nil && b.Raw[0] == nil
}

// nextMode shows the answers in the next way.
func (x *answers) nextMode() {
	x.mode = (x.mode + 1) % exchangeModes
	x.top, x.left, x.stop, x.parts = 0, 0, -1, nil
}

// toggleRequest shows the request, or does not.
func (x *answers) toggleRequest() {
	x.request = !x.request
	x.top, x.stop, x.parts = 0, -1, nil
}

// toggleDifferences lists all differences, or the first ones.
func (x *answers) toggleDifferences() {
	x.all = !x.all
	x.top, x.stop, x.parts = 0, -1, nil
}

// move scrolls by lines.
func (x *answers) move(by int) {
	x.top = max(0, min(x.top+by, x.lines()-x.height))
	x.stop = -1
}

// page scrolls by screens.
func (x *answers) page(by int) { x.move(by * max(x.height-1, 1)) }

func (x *answers) home() { x.move(-x.top) }
func (x *answers) last() { x.move(x.lines()) }

// sideways scrolls the texts by cells.
func (x *answers) sideways(by int) {
	widest := 0
	for i := range x.parts {
		widest = max(widest, x.parts[i].widest)
	}
	x.left = max(0, min(x.left+by, widest-1))
}

// nextDifference scrolls to the next place where the answers differ, or with -1
// to the one before. It reports whether there is one.
func (x *answers) nextDifference(by int) bool {
	at := x.stop
	if at < 0 {
		if at = x.top; by > 0 {
			at-- // one on the first line counts
		}
	}
	stop, column := x.findStop(at, by)
	if stop < 0 {
		return false
	}
	x.top = max(0, min(stop-x.height/4, x.lines()-x.height))
	x.stop = stop
	x.left = 0
	if room := x.textWidth(); column+10 > room {
		x.left = max(0, column-room/3)
	}
	return true
}

// findStop returns the line of the difference next to a line, or -1, and how many
// cells of text are before it.
func (x *answers) findStop(at, by int) (line, column int) {
	x.ready()
	line, first := -1, 0
	for i := range x.parts {
		p := &x.parts[i]
		if p.stop != nil {
			found, c := p.stop(at-first, by)
			if found >= 0 && (line < 0 || by < 0) {
				line, column = first+found, c
			}
		}
		first += p.n
	}
	return line, column
}

// textWidth is about how many cells of a text are on the screen.
func (x *answers) textWidth() int {
	if x.shownMode() == modeSides {
		return max(x.width/2-6, 1)
	}
	return max(x.width-10, 1)
}

// shownMode is the mode that there is the width for.
func (x *answers) shownMode() exchangeMode {
	if x.mode == modeSides && x.width < sidesLeast {
		return modeUnified
	}
	return x.mode
}

// ready lays out what is new, once it is known how wide the panel is.
func (x *answers) ready() {
	if x.parts == nil && x.width > 0 {
		x.layOut()
		x.stop = -1
	}
}

// lines is how many there are to be scrolled.
func (x *answers) lines() (n int) {
	x.ready()
	for i := range x.parts {
		n += x.parts[i].n
	}
	return n
}

// view draws the panel: exactly height lines of exactly width cells.
func (x *answers) view(width, height int, st styles, focused bool) []string {
	if width <= 0 || height <= 0 {
		return nil
	}
	if cells := max(width-gutter, 0); x.width != cells {
		x.width, x.parts = cells, nil
	}
	x.ready()
	out := []string{x.headline(width, &st)}
	switch {
	case x.waits:
		return filled(out, width, height)
	case x.nothing():
		return append(out, notKept(width, height-1, &st, x.whyNothing())...)
	}
	x.height = max(height-2, 0)
	x.top = max(0, min(x.top, x.lines()-x.height))
	if height > 1 {
		out = append(out, x.status(width, &st, focused))
	}
	first := 0
	for i := range x.parts {
		p := &x.parts[i]
		from := max(x.top-first, 0)
		if n := min(p.n-from, height-len(out)); from < p.n && n > 0 {
			for l, line := range p.draw(from, n, x.width, x.left, &st) {
				mark := " "
				if first+from+l == x.stop {
					mark = "▸"
				}
				out = append(out, st.Accent.paint(mark)+line)
			}
		}
		first += p.n
	}
	return filled(out, width, height)
}

// nothing reports whether there is neither answer to be shown, though there was
// one.
func (x *answers) nothing() bool {
	e := x.what
	return e == nil || e.Production == nil && e.Application == nil && e.Raw[0] == nil && e.Raw[1] == nil &&
		len(e.Differences) == 0 && e.Request == nil
}

func (x *answers) whyNothing() string {
	if x.title == "" {
		return "No exchange is selected, or its texts are not kept."
	}
	return "The texts of this exchange are not kept: there was no room for them, or they were not captured."
}

func (x *answers) headline(cells int, st *styles) string {
	word, look := verdictWord(x.verdict), st.verdictLook(x.verdict)
	switch {
	case x.judged:
	case x.title == "":
		word = ""
	default:
		word, look = "not judged yet", st.Warn
	}
	n := min(width(word)+2, cells)
	return assemble(cells, nil, segment{text: word, cells: n, look: look}, segment{text: x.title, cells: cells - n, look: st.Title})
}

// status says how the answers are shown, and which part of them.
func (x *answers) status(cells int, st *styles, focused bool) string {
	mode := exchangeModeNames[x.shownMode()]
	where := ""
	if n := x.lines(); n > x.height {
		where = fmt.Sprintf("line %d of %d", x.top+1, n)
	}
	if x.left > 0 {
		where += fmt.Sprintf(", cell %d", x.left+1)
	}
	n, m := min(width(mode)+2, cells), width(where)
	look := st.Label
	if focused {
		look = st.Accent
	}
	return assemble(cells, nil,
		segment{text: mode, cells: n, look: look},
		segment{text: x.facts, cells: max(cells-n-m-1, 0), look: st.Label}, segment{cells: 1},
		segment{text: where, cells: m, look: st.Faint})
}
