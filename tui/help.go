package tui

import (
	"fmt"
	"strings"
)

// helpScroll is the model while the help is shown: it scrolls.
type helpScroll Model

func (m *helpScroll) move(by int) { m.helpTop = max(0, m.helpTop+by) }
func (m *helpScroll) page(by int) { m.move(by * max(1, m.height-8)) }
func (m *helpScroll) home()       { m.helpTop = 0 }
func (m *helpScroll) last()       { m.helpTop = 1 << 20 } // as far as there is something

// legend says what the signs stand for.
const legend = "= identical   ≈ equivalent: differs where it may   ≠ different   ∅ missing   · uncompared"

// helpView lists all keys by group. Those that do nothing now are fainter.
func (m *Model) helpView(w, h int) []string {
	open := *m
	open.help = false // what can be done behind it
	var all []string
	for _, group := range helpGroups {
		var entries []string
		for i := range m.keys {
			a := &m.keys[i]
			if a.group != group || m.opt.Control == nil && (group == groupWorld || group == groupBreak) {
				continue
			}
			style := m.st.Label
			if a.on(&open) {
				style = m.st.Title
			}
			column := w
			if w >= 100 {
				column = w / 2
			}
			k := a.Help()
			entries = append(entries, "  "+m.st.Accent.paint(fit(k.Key, 10))+style.paint(fit(k.Desc, column-12)))
		}
		if len(entries) == 0 {
			continue
		}
		title := group
		if group == groupBreak {
			title = "Break on, behind b"
		}
		all = append(all, m.st.Header.paint(fit(title, w)))
		if w < 100 {
			all = append(all, entries...)
			continue
		}
		half := (len(entries) + 1) / 2
		for i := range half {
			right := strings.Repeat(" ", w-w/2)
			if i+half < len(entries) {
				right = entries[i+half] + strings.Repeat(" ", w-2*(w/2))
			}
			all = append(all, entries[i]+right)
		}
	}
	all = append(all, strings.Repeat(" ", w))
	for _, text := range []string{legend, filterHelp} {
		for _, line := range lines(text, w) {
			all = append(all, m.st.Label.paint(line))
		}
	}
	m.helpTop = max(0, min(m.helpTop, len(all)-h))
	if rest := len(all) - m.helpTop - h; rest > 0 {
		all = append(all[:m.helpTop+h-1:m.helpTop+h-1], m.st.Accent.paint(fit(fmt.Sprintf("… %d lines more: ↓", rest+1), w)))
	}
	return filled(all[m.helpTop:], w, h)
}
