package tui

import (
	"fmt"
	"strings"

	"tcpsandbox/report"
)

// differences is the tab of what differs: a row for answers to requests of one
// route that differ in the same places, most frequent first.
type differences struct {
	cursor
	groups []report.Group
}

// set takes in the groups there are now. The cursor stays on its group.
func (d *differences) set(groups []report.Group) {
	var on report.Group
	had := d.at < len(d.groups)
	if had {
		on = d.groups[d.at]
	}
	d.groups = groups
	d.of(len(groups))
	if !had {
		return
	}
	for i := range groups {
		g := &groups[i]
		if g.Request == on.Request && g.Session == on.Session && strings.Join(g.Places, "\n") == strings.Join(on.Places, "\n") {
			d.at = i
			return
		}
	}
}

func (d *differences) selected() (*report.Group, bool) {
	if d.at >= len(d.groups) {
		return nil, false
	}
	return &d.groups[d.at], true
}

func (d *differences) view(w, h int, st styles, focused bool, run *Run, noise int) []string {
	all := make([]string, 0, h)
	const count, session = 8, 9
	route := max(14, (w-count-session-4)*2/5)
	place := w - 2 - count - route - session - 2
	narrow := place < 14
	if narrow {
		place += session + 1
	}
	head := fmt.Sprintf("  %7s %s %s", "answers", fit("route", route), fit("differs in", place))
	if !narrow {
		head += fmt.Sprintf(" %8s", "session")
	}
	all = append(all, st.Header.paint(fit(head, w)))
	d.of(len(d.groups))
	from, to := d.window(h - 1)
	for i := from; i < to; i++ {
		g := &d.groups[i]
		sign, places := signs[2], strings.Join(g.Places, ", ")
		if g.Missing > 0 {
			sign, places = signs[3], "no answer"
		}
		mark := " "
		if i == d.at {
			mark = "▸"
		}
		line := mark + fit(sign+" "+fmt.Sprintf("%6s", tight(g.Count)), count) + " " + fit(g.Request, route) + " " + fit(places, place)
		if !narrow {
			line += fmt.Sprintf(" %8d", g.Session)
		}
		line = fit(line, w)
		switch {
		case i == d.at && focused:
			line = st.Selected.paint(line)
		case g.Missing > 0:
			line = st.Bad.paint(line)
		}
		all = append(all, line)
	}
	if len(d.groups) == 0 && h > 2 {
		text := "No answer differs from production's so far."
		switch a := &run.Answers; {
		case a.Compared == 0 && run.Ended != "":
			text = "No answer was compared."
		case a.Compared == 0:
			text = "No answer has been compared yet."
		case a.Different+a.Missing > 0:
			text = "What differs is being looked at."
		case run.Ended != "":
			text = "No answer differs from production's."
		}
		all = append(all, strings.Repeat(" ", w), fit("  "+text, w))
		if noise > 0 && len(all) < h {
			all = append(all, fit(fmt.Sprintf("  The baseline differs in %d places as well: that is taken for noise.", noise), w))
		}
	}
	return filled(all, w, h)
}

// filled adds empty lines, or cuts, so that there are h.
func filled(all []string, w, h int) []string {
	for len(all) < h {
		all = append(all, strings.Repeat(" ", w))
	}
	return all[:h]
}
