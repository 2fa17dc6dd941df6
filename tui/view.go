package tui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"tcpsandbox/compare"
)

// View draws the screen.
func (m *Model) View() tea.View {
	v := tea.NewView(strings.Join(m.draw(), "\n"))
	v.AltScreen = true
	v.MouseMode = tea.MouseModeCellMotion
	v.WindowTitle = strings.TrimRight(fit("tcpsandbox "+m.run.Source, titleWidth), " ")
	return v
}

// titleWidth is what a window's title can be of use with.
const titleWidth = 80

// draw returns the screen's lines, each as wide as it is.
func (m *Model) draw() []string {
	if m.width <= 0 || m.height <= 0 {
		return nil // its size is not known yet
	}
	l, ok := arrange(m.width, m.height, m.depth != atList)
	if !ok {
		return m.tooSmall()
	}
	screen := append(m.header(l.Header), m.tabLine(l.Tabs.W))
	switch {
	case m.help:
		body := m.height - l.Header.H - 2
		screen = append(screen, m.helpView(m.width, body)...)
	case l.Rule.W == 1: // beside each other
		list, detail := m.listView(l.List.W, l.List.H), m.detailView(l.Detail.W, l.Detail.H)
		bar := m.st.Faint.paint("│")
		for i := range list {
			screen = append(screen, list[i]+bar+detail[i])
		}
	default:
		if l.List.H > 0 {
			screen = append(screen, m.listView(l.List.W, l.List.H)...)
		}
		if l.Rule.H == 1 {
			screen = append(screen, m.st.Faint.paint(strings.Repeat("─", l.Rule.W)))
		}
		if l.Detail.H > 0 {
			screen = append(screen, m.detailView(l.Detail.W, l.Detail.H)...)
		}
	}
	return append(screen, m.status(l.Status.W))
}

func (m *Model) tooSmall() []string {
	text := fmt.Sprintf("%dx%d is too small: tcpsandbox needs %dx%d", m.width, m.height, minWidth, minHeight)
	all := lines(text, m.width)
	for len(all) < m.height {
		all = append(all, strings.Repeat(" ", m.width))
	}
	return all[:m.height]
}

// listView draws the tab's own panel.
func (m *Model) listView(w, h int) []string {
	focused := m.depth == atList
	switch m.tab {
	case tabDifferences:
		return m.differences.view(w, h, m.st, focused, &m.run, len(m.findings.Noise))
	case tabEgress:
		return m.egress.view(w, h, m.st, focused)
	case tabLog:
		return m.log.view(w, h, m.st, focused)
	case tabLedger:
		return m.ledger.view(w, h, m.st)
	}
	return m.sessions.view(w, h, m.st, focused, m.now)
}

// detailView draws what is open.
func (m *Model) detailView(w, h int) []string {
	if m.depth == atAnswers {
		return m.answers.view(w, h, m.st, true)
	}
	return m.detail.view(w, h, m.st, true)
}

// tabLine names the tabs; the one that is shown is in brackets.
func (m *Model) tabLine(w int) string {
	var b strings.Builder
	used := 0
	for t := range tabs {
		name := m.tabName(t, w)
		if used+len([]rune(name)) > w {
			break
		}
		used += width(name)
		switch {
		case t == m.tab:
			b.WriteString(m.st.Accent.paint(name))
		default:
			b.WriteString(m.st.Label.paint(name))
		}
	}
	b.WriteString(strings.Repeat(" ", max(0, w-used)))
	return b.String()
}

// tabName is a tab's name with its number, and how much is in it. Where there is
// little room only the tab that is shown has a name.
func (m *Model) tabName(t tab, w int) string {
	name, short := tabNames[t], w < 70
	if t == tabLog && w < 90 {
		name = "log"
	}
	n := int64(0)
	switch t {
	case tabSessions:
		n = m.run.Sessions.Seen
	case tabDifferences:
		n = int64(len(m.findings.Groups))
	case tabEgress:
		n = int64(len(m.egress.rows))
	}
	text := fmt.Sprintf("%d %s", t+1, name)
	if short && t != m.tab {
		text = fmt.Sprint(int(t + 1))
	}
	if n > 0 && !short {
		text += " " + strings.TrimSpace(shortCount(n))
	}
	if t == m.tab {
		return "[" + text + "]"
	}
	return " " + text + " "
}

// tabAt returns the tab whose name is drawn at x.
func tabAt(m *Model, x, w int) (tab, bool) {
	at := 0
	for t := range tabs {
		at += width(m.tabName(t, w))
		if x < at {
			return t, at <= w
		}
	}
	return 0, false
}

// status is the last line: what is asked for, a note, or the keys.
func (m *Model) status(w int) string {
	switch {
	case m.prompt != nil:
		return m.prompt.view(w, m.st)
	case m.menu:
		return m.st.Accent.paint(fit(m.breakLine(w), w))
	case m.note.text != "" && m.now.Before(m.note.till):
		if m.note.bad {
			return m.st.Bad.paint(fit(m.note.text, w))
		}
		return m.st.Accent.paint(fit(m.note.text, w))
	case m.leaving && m.run.Ended == "":
		return m.st.Warn.paint(fit(fmt.Sprintf("finishing: %s sessions are open; Q ends at once", strings.TrimSpace(shortCount(m.run.Active))), w))
	}
	var b strings.Builder
	used := 0
	if m.run.Ended != "" && m.opt.Control != nil {
		text := "the run is over; "
		if w < 60 {
			text = "over; "
		}
		b.WriteString(m.st.Accent.paint(text))
		used = len(text)
	}
	named := make([]bool, len(m.keys))
	for _, first := range []bool{true, false} {
		for i := range m.keys {
			a := &m.keys[i]
			if a.hint == "" || a.first != first || !a.on(m) {
				continue
			}
			if need := width(a.Help().Key) + 1 + width(a.hint) + 2; used+need <= w {
				named[i] = true
				used += need
			}
		}
	}
	for i := range m.keys {
		if a := &m.keys[i]; named[i] {
			b.WriteString(m.st.Accent.paint(a.Help().Key) + " " + m.st.Label.paint(a.hint) + "  ")
		}
	}
	b.WriteString(strings.Repeat(" ", w-used))
	return b.String()
}

// signs of verdicts, which say the same as their colour.
var signs = [...]string{compare.Identical: "=", compare.Equivalent: "≈", compare.Different: "≠", compare.Missing: "∅", compare.Uncompared: "·"}

// clock writes how long something has gone on: "4.2s", "3:07", "1:02:45".
func clock(d time.Duration) string {
	switch {
	case d < 0:
		return "–"
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}
