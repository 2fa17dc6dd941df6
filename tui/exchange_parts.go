package tui

// What is scrolled in an exchange's panel, as parts one below the other:
//
//	listed          differences, place: production's value → the application's
//	requestParts    the request, as text
//	both            head and body, each a diffView; once if they are the same
//	hex             the answers' bytes
//	excused         where they differ and may
//
// Parts know how many lines they have, and draw those that are looked at.

import (
	"bytes"
	"fmt"
	"strings"

	"tcpsandbox/compare"
	"tcpsandbox/report"
)

// differencesShown is how many differences are listed at first.
const differencesShown = 3

// exchangePart is a number of lines.
type exchangePart struct {
	n int
	// draw returns n lines from a line of the part on, exactly so wide, with the
	// first cells of texts scrolled out.
	draw func(from, n, cells, left int, st *styles) []string
	// stop returns the next line, or with -1 the one before, at which a difference
	// begins, or -1, and how many cells of text are before it; nil: there is none.
	stop   func(at, by int) (line, column int)
	widest int // cells of its longest text
}

// diffLooks are the looks of differences.
func (st *styles) diffLooks() diffStyles {
	return diffStyles{
		Changed: st.Warn, Removed: st.Removed, Added: st.Added, Word: st.Word, Fold: st.Faint, Number: st.Faint,
	}
}

// messageLooks are the looks of a message.
func (st *styles) messageLooks() messageStyles {
	return messageStyles{Status: st.Title, Name: st.Label, Key: st.Accent, String: st.Good, Number: st.Warn, Literal: st.Warn}
}

// layOut makes the parts anew.
func (x *answers) layOut() {
	x.parts = []exchangePart{}
	e := x.what
	if e == nil {
		return
	}
	x.listed(e)
	if x.request {
		x.requestParts(e)
	}
	if x.mode == modeHex {
		x.hex(e)
	} else {
		x.both(e)
	}
	x.excused(e)
}

// text appends lines that are drawn by themselves.
func (x *answers) text(look func(st *styles) brush, lines ...string) {
	widest := 0
	for i, l := range lines {
		lines[i] = visible(l)
		widest = max(widest, width(lines[i]))
	}
	x.parts = append(x.parts, exchangePart{n: len(lines), widest: widest, draw: func(from, n, cells, left int, st *styles) []string {
		out := make([]string, 0, n)
		for _, l := range lines[from : from+n] {
			out = append(out, fit(cutLeft(l, left), cells))
		}
		return styled(look(st), out)
	}})
}

func faint(st *styles) brush { return st.Faint }
func warn(st *styles) brush  { return st.Warn }

// heading appends a line that says what follows; it is not scrolled sideways.
func (x *answers) heading(words string) {
	x.parts = append(x.parts, exchangePart{n: 1, draw: func(_, _, cells, _ int, st *styles) []string {
		words := "── " + visible(words) + " "
		n := min(width(words), cells)
		return []string{assemble(cells, nil, segment{text: words, cells: n, look: st.Label},
			segment{text: strings.Repeat("─", cells-n), cells: cells - n, look: st.Faint})}
	}})
}

// listed lists where the answers differ.
func (x *answers) listed(e *Explanation) {
	if len(e.Differences) == 0 {
		return
	}
	shown := e.Differences
	if !x.all {
		shown = shown[:min(len(shown), differencesShown)]
	}
	lines := []string{howMany(int64(len(e.Differences)), "difference") + ", production's → the application's"}
	for i := range shown {
		lines = append(lines, "  "+differenceWords(&shown[i]))
	}
	if more := len(e.Differences) - len(shown); more > 0 {
		lines = append(lines, fmt.Sprintf("  … %d more", more))
	}
	x.text(warn, lines...)
}

// differenceWords is a difference in a line.
func differenceWords(d *report.Difference) string {
	place := d.Path
	if place == "" {
		place = d.Place
	}
	value := func(s, side string) string {
		if d.Lacks == side {
			return "(none)"
		}
		return s
	}
	p, a := value(d.Production, "production"), value(d.Application, "application")
	if p == "" && a == "" && d.Lacks == "" {
		return fmt.Sprintf("%s: from byte %s on", place, grouped(d.Offset))
	}
	return place + ": " + p + " → " + a
}

// requestParts shows the request.
func (x *answers) requestParts(e *Explanation) {
	x.heading("request")
	if e.Request == nil {
		x.text(faint, "it is not kept")
		return
	}
	x.body(e.Request)
}

// body shows one text.
func (x *answers) body(b *report.Body) {
	head, text := split(b.Head, ""), split(cutText(b), "")
	if n := len(head); n > 0 && len(text) > 0 && head[n-1] != "" {
		head = append(head, "")
	}
	isJSON := strings.HasPrefix(b.Text, "{") || strings.HasPrefix(b.Text, "[")
	lines := append(head, text...)
	widest := 0
	for i, l := range lines {
		lines[i] = visible(l)
		widest = max(widest, width(lines[i]))
	}
	x.parts = append(x.parts, exchangePart{n: len(lines), widest: widest, draw: func(from, n, cells, left int, st *styles) []string {
		out := make([]string, 0, n)
		for i, l := range lines[from : from+n] {
			var tokens []token
			if from+i < len(head) {
				tokens = headTokens(l)
			} else if isJSON {
				tokens = jsonTokens(l)
			}
			out = append(out, drawTokens(l, tokens, left, cells, st.messageLooks()))
		}
		return out
	}})
}

// cutText is a body's text, and that it was cut.
func cutText(b *report.Body) string {
	if !b.Cut {
		return b.Text
	}
	return strings.TrimSuffix(b.Text, "\n") + "\n… it goes on, and is not kept or not shown"
}

// both shows the answers as text.
func (x *answers) both(e *Explanation) {
	p, a := e.Production, e.Application
	switch {
	case p == nil && a == nil && e.Verdict == compare.Missing:
		x.heading("no answer came, and production's is not kept")
	case p == nil && a == nil:
		x.heading("the answers are not kept")
	case a == nil && !x.judged:
		x.heading("production's answer; the application's has not come yet")
		x.body(p)
	case a == nil && e.Verdict == compare.Missing:
		x.heading("production's answer; the application gave none")
		x.body(p)
	case a == nil:
		x.heading("production's answer; the application's is not kept")
		x.body(p)
	case p == nil:
		x.heading("the application's answer; production's is not known")
		x.body(a)
	case *p == *a:
		x.heading("both answers")
		x.body(p)
	default:
		if p.Head != "" || a.Head != "" {
			x.diff("head", p.Head, a.Head)
		}
		x.diff("body", cutText(p), cutText(a))
	}
}

// diff shows two texts against each other.
func (x *answers) diff(title, production, application string) {
	rows := diffRows(production, application)
	var v diffView
	if x.shownMode() == modeSides {
		v = sideBySide(rows, diffContext)
		title += ": production's │ the application's"
	} else {
		v = unified(rows, diffContext)
		title += ": < production's, > the application's"
	}
	if len(v.hunks) == 0 {
		title, _, _ = strings.Cut(title, ":")
		title += ": the same on both sides"
		v = unified(rows, -1)
	}
	x.heading(title)
	widest := 0
	for i := range rows {
		widest = max(widest, len(rows[i].left.text), len(rows[i].right.text)) // cells are fewer
	}
	x.parts = append(x.parts, exchangePart{
		n: len(v.lines), widest: widest,
		draw: func(from, n, cells, left int, st *styles) []string {
			return v.draw(from, n, cells, left, st.diffLooks())
		},
		stop: func(at, by int) (line, column int) {
			if by > 0 {
				line = v.next(at)
			} else {
				line = v.previous(at)
			}
			if line < 0 {
				return line, 0
			}
			return line, rows[v.lines[line].row].column()
		},
	})
}

// hex shows the answers' bytes.
func (x *answers) hex(e *Explanation) {
	p, a := e.Raw[0], e.Raw[1]
	var v hexView
	switch {
	case p == nil && a == nil:
		x.heading("the bytes are not kept")
		return
	case a == nil:
		x.heading("bytes of production's answer")
		v = hexOne(p, x.width)
	case p == nil:
		x.heading("bytes of the application's answer")
		v = hexOne(a, x.width)
	case bytes.Equal(p, a):
		x.heading("bytes of both answers")
		v = hexOne(p, x.width)
	default:
		x.heading("bytes: production's │ the application's")
		v = hexSides(p, a, x.width)
	}
	x.parts = append(x.parts, exchangePart{
		n: v.rows(),
		draw: func(from, n, _, _ int, st *styles) []string {
			return v.draw(from, n, st.diffLooks())
		},
		stop: func(at, by int) (line, column int) {
			if by > 0 {
				return v.next(max(at, -1)), 0
			}
			return v.previous(min(at, v.rows())), 0
		},
	})
}

// excused lists where the answers differ and may.
func (x *answers) excused(e *Explanation) {
	if len(e.Excused) == 0 {
		return
	}
	x.heading("differs, and may")
	var lines []string
	for _, c := range e.Excused {
		why := c.Why
		if why == "" {
			why = "only written otherwise"
		}
		lines = append(lines, c.Place+": "+why)
	}
	x.text(faint, lines...)
}
