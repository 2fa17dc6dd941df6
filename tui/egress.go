package tui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tcpsandbox/report"
)

// egress is the tab of who the application tried to reach on its own, how often,
// and what was done about it.
type egress struct {
	cursor
	rows  []report.Egress
	proof []string // stands at the end, where there is room
}

// set takes in all there is, most packets first. The cursor stays on its row.
func (e *egress) set(rows []report.Egress) {
	var on report.Egress
	if e.at < len(e.rows) {
		on = e.rows[e.at]
	}
	e.rows = slices.Clone(rows)
	slices.SortStableFunc(e.rows, func(a, b report.Egress) int {
		return cmp.Or(cmp.Compare(b.Packets, a.Packets), strings.Compare(a.Dst, b.Dst), cmp.Compare(a.Port, b.Port), strings.Compare(a.Proto, b.Proto))
	})
	e.of(len(e.rows))
	for i := range e.rows {
		if r := &e.rows[i]; r.Proto == on.Proto && r.Dst == on.Dst && r.Port == on.Port && r.Name == on.Name {
			e.at = i
			return
		}
	}
}

// done says what became of the packets.
var done = map[string]string{"drop": "dropped", "refuse": "refused", "allow": "let through", "answer": "answered"}

func (e *egress) view(w, h int, st styles, focused bool) []string {
	if last := len(e.proof); last > 0 && h >= last+4 {
		all := e.table(w, h-last, st, focused)
		for _, line := range e.proof {
			all = append(all, fit("  "+line, w))
		}
		return all
	}
	return e.table(w, h, st, focused)
}

// table is the view without what stands at its end.
func (e *egress) table(w, h int, st styles, focused bool) []string {
	all := make([]string, 0, h)
	name := max(0, w-2-6-40-8-9-10-5)
	line := func(mark, proto, dst, packets, bytes, policy, called string) string {
		room, sizes := w-36, fmt.Sprintf("%8s %9s ", packets, bytes)
		if w < 60 {
			room, sizes = w-28, fmt.Sprintf("%8s ", packets)
		}
		text := mark + " " + fit(proto, 6) + fit(dst, min(40, max(10, room))) + " " + sizes + fit(policy, 10)
		if name > 0 {
			text += " " + fit(called, name)
		}
		return fit(text, w)
	}
	all = append(all, st.Header.paint(line(" ", "proto", "destination", "packets", "bytes", "what", "name asked for")))
	e.of(len(e.rows))
	from, to := e.window(h - 1)
	for i := from; i < to; i++ {
		r := &e.rows[i]
		mark := " "
		if i == e.at {
			mark = "▸"
		}
		dst := r.Dst
		if r.Port != 0 {
			dst += fmt.Sprintf(" port %d", r.Port)
		}
		if r.Name != "" && name == 0 {
			dst = r.Name + " " + dst
		}
		text := line(mark, r.Proto, dst, tight(r.Packets), tightBytes(r.Bytes), cmp.Or(done[r.Policy], r.Policy), r.Name)
		if i == e.at && focused {
			text = st.Selected.paint(text)
		}
		all = append(all, text)
	}
	if len(e.rows) == 0 && h > 2 {
		all = append(all, strings.Repeat(" ", w), fit("  The application has not tried to reach anybody.", w))
	}
	return filled(all, w, h)
}
