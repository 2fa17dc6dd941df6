package tui

import (
	"strings"
)

// appLog is the tab of what the application wrote, the latest lines of it.
type appLog struct {
	cursor
	lines   []Line // as a ring: the oldest one is at first
	first   int
	size    int // bytes
	dropped int64
}

// Bounds of what is kept.
const (
	logLinesKept = 20_000
	logBytesKept = 4 << 20
	logLineLimit = 16 << 10 // of a line
)

func (a *appLog) init() { a.end = true }

// add takes in new lines.
func (a *appLog) add(new []Line) {
	for _, l := range new {
		l.Text = logText(l.Text[:min(len(l.Text), logLineLimit)])
		a.lines = append(a.lines, l)
		a.size += len(l.Text)
	}
	gone := 0
	for len(a.lines)-a.first > logLinesKept || a.size > logBytesKept && len(a.lines)-a.first > 1 {
		a.size -= len(a.lines[a.first].Text)
		a.lines[a.first] = Line{}
		a.first++
		gone++
	}
	if a.first > len(a.lines)/2 {
		a.lines = append(a.lines[:0:0], a.lines[a.first:]...)
		a.first = 0
	}
	a.dropped += int64(gone)
	if !a.end { // the same line stays under the cursor
		a.at, a.top = max(0, a.at-gone), max(0, a.top-gone)
	}
	a.of(len(a.lines) - a.first)
}

func (a *appLog) view(w, h int, st styles, focused bool) []string {
	all := make([]string, 0, h)
	from, to := a.window(h)
	for i := from; i < to; i++ {
		l := &a.lines[a.first+i]
		mark := " "
		if i == a.at && !a.end {
			mark = "▸"
		}
		who := ""
		if l.From != "app" {
			who = l.From + ": "
		}
		at := "             "
		if !l.At.IsZero() {
			at = l.At.Format("15:04:05.000 ")
		}
		if w < 60 {
			at = ""
		}
		text := fit(mark+at+who+l.Text, w)
		switch {
		case i == a.at && !a.end && focused:
			text = st.Selected.paint(text)
		case l.From == "tcpsandbox":
			text = st.Accent.paint(text)
		}
		all = append(all, text)
	}
	if a.n == 0 && h > 2 {
		all = append(all, strings.Repeat(" ", w), fit("  The application has written nothing yet.", w))
	}
	return filled(all, w, h)
}
