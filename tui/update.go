package tui

import (
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// What comes from outside.
type (
	snapshotMsg Snapshot
	// widthsMsg is how the terminal's mode 2027 stands.
	widthsMsg ansi.ModeSetting
	storyMsg  struct {
		slot  int
		story *Story
	}
	explainedMsg struct {
		slot, number int
		what         *Explanation
	}
	// doneMsg is what became of something that a key had begun.
	doneMsg struct {
		text string
		bad  bool
		copy string // for the clipboard
	}
	// restartedMsg tells that too, of a restart.
	restartedMsg doneMsg
)

// Update takes in one message.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.BackgroundColorMsg:
		m.st = newStyles(msg.IsDark())
	case widthsMsg:
		if msg == widthsMsg(ansi.ModeSet) {
			m.counts = true
			return m, tea.Raw(ansi.ResetModeUnicodeCore)
		}
	case snapshotMsg:
		return m, m.take((*Snapshot)(&msg))
	case storyMsg:
		m.fetching = false
		if msg.slot == m.slot && m.depth != atList && !m.group {
			m.story = msg.story
			m.detail.set(msg.story, m.now)
		}
	case explainedMsg:
		if msg.slot == m.slot && msg.number == m.number && m.depth == atAnswers {
			m.answers.set(m.detail.played(msg.number), msg.what)
		}
	case restartedMsg:
		m.restarting = false
		m.say(msg.text, msg.bad)
	case doneMsg:
		if msg.text != "" {
			m.say(msg.text, msg.bad)
		}
		if msg.copy != "" {
			return m, tea.SetClipboard(msg.copy)
		}
	case tea.KeyPressMsg:
		return m, m.press(msg)
	case tea.PasteMsg:
		if m.prompt != nil {
			m.prompt.paste(msg)
			m.prompted()
		}
	case tea.MouseClickMsg:
		if msg.Button == tea.MouseLeft {
			return m, m.click(msg.X, msg.Y)
		}
	case tea.MouseWheelMsg:
		switch msg.Button {
		case tea.MouseWheelUp:
			m.wheel(msg.X, msg.Y, -3)
		case tea.MouseWheelDown:
			m.wheel(msg.X, msg.Y, 3)
		}
	}
	return m, nil
}

// press deals with a key.
func (m *Model) press(msg tea.KeyPressMsg) tea.Cmd {
	if m.prompt != nil && msg.String() != "ctrl+c" {
		return m.promptKey(msg)
	}
	cmd, done := m.pressed(msg.String())
	if !done && !m.menu {
		m.say(fmt.Sprintf("%s does nothing here; ? for help", visible(msg.String())), false)
	}
	return cmd
}

// take brings the screen up to date.
func (m *Model) take(s *Snapshot) tea.Cmd {
	m.now = s.At
	m.run = s.Run
	m.rates.add(s.At, &m.run)
	m.sessions.apply(s.Sessions, m.now)
	if s.Findings != nil {
		m.findings = *s.Findings
		m.differences.set(s.Findings.Groups)
	}
	if s.Egress != nil {
		m.egress.set(s.Egress)
	}
	m.egress.proof = s.Run.Contained
	m.log.add(s.Log)
	m.ledger.set(&m.run)
	if h := m.run.Hit; h != nil && h != m.hit {
		m.hit = h
		return m.stopped(h)
	}
	if m.leaving && m.run.Ended != "" {
		return tea.Quit
	}
	if m.depth != atList && !m.group {
		return m.fetch()
	}
	return nil
}

// stopped shows where a break has come.
func (m *Model) stopped(h *Hit) tea.Cmd {
	m.say("paused: "+h.Why+"; p resumes", false)
	m.note.till = m.note.till.Add(time.Hour) // until something else is to be said
	m.tab, m.help = tabSessions, false
	if !m.sessions.choose(h.Session, h.Copy) {
		return nil
	}
	return m.openSession()
}

// fetch asks for the story of the session that is open, if it can have changed.
func (m *Model) fetch() tea.Cmd {
	if m.fetching || m.story != nil && m.story.State != "" && m.story.Slot == m.slot {
		return nil
	}
	m.fetching = true
	src, slot := m.opt.Source, m.slot
	return func() tea.Msg { return storyMsg{slot, src.Story(slot)} }
}

// canOpen reports whether enter leads further.
func (m *Model) canOpen() bool {
	switch {
	case m.menu || m.help:
		return false
	case m.depth == atSession:
		return true
	case m.depth == atList:
		return m.tab == tabSessions || m.tab == tabDifferences
	}
	return false
}

func (m *Model) open() tea.Cmd {
	switch {
	case m.depth == atSession:
		return m.openExchange()
	case m.tab == tabDifferences:
		if g, ok := m.differences.selected(); ok {
			m.depth, m.group = atAnswers, true
			m.answers.setGroup(g)
		}
		return nil
	}
	return m.openSession()
}

// openSession opens the session under the cursor.
func (m *Model) openSession() tea.Cmd {
	v, ok := m.sessions.selected()
	if !ok {
		return nil
	}
	if m.slot != v.Slot || m.depth == atList {
		m.slot, m.story = v.Slot, nil
		m.detail = detail{now: m.now, folded: m.detail.folded}
		m.detail.loading(v)
	}
	m.depth, m.group = atSession, false
	m.fetching = false
	return m.fetch()
}

// openExchange opens the answers under the cursor.
func (m *Model) openExchange() tea.Cmd {
	number, ok := m.detail.selectedExchange()
	if m.story == nil && m.fetching {
		m.say("what happened in this session is on its way", false)
		return nil
	}
	if !ok {
		m.say("that is no request and no answer", false)
		return nil
	}
	m.depth, m.group, m.number = atAnswers, false, number
	m.answers = answers{mode: m.answers.mode, all: m.answers.all}
	m.answers.loading(m.detail.played(number))
	return m.explain()
}

func (m *Model) explain() tea.Cmd {
	src, slot, number := m.opt.Source, m.slot, m.number
	return func() tea.Msg { return explainedMsg{slot, number, src.Explain(slot, number)} }
}

// otherSession opens the next session of the table, or the one before.
func (m *Model) otherSession(by int) tea.Cmd {
	m.sessions.move(by)
	return m.openSession()
}

func (m *Model) canBack() bool {
	return !m.menu && (m.help || m.depth != atList || m.tab == tabSessions && m.sessions.filterText() != "")
}

func (m *Model) back() tea.Cmd {
	switch {
	case m.help:
		m.help = false
	case m.depth == atAnswers && !m.group:
		m.depth = atSession
		return m.fetch()
	case m.depth != atList:
		m.depth, m.story, m.group = atList, nil, false
	default:
		m.sessions.filter("")
	}
	return nil
}

// show opens a tab.
func (m *Model) show(t tab) tea.Cmd {
	m.tab, m.depth, m.story, m.group, m.help = t, atList, nil, false, false
	return nil
}

func (m *Model) canJump() bool { return !m.menu && (m.inAnswers() || m.inSession()) }

func (m *Model) jump(by int) {
	found := false
	if m.inAnswers() {
		found = m.answers.nextDifference(by)
	} else {
		found = m.detail.nextDifference(by)
	}
	if !found {
		m.say("no other difference", false)
	}
}

func (m *Model) canRequest() bool { return m.inAnswers() && !m.group }

// canExample reports whether there is a group whose example's session is in the
// table.
func (m *Model) canExample() bool {
	return m.tab == tabDifferences && !m.menu && m.differences.n > 0
}

func (m *Model) openExample() tea.Cmd {
	g, ok := m.differences.selected()
	if !ok {
		return nil
	}
	if !m.sessions.choose(g.Session, 0) {
		m.say(fmt.Sprintf("session %d is not in the table", g.Session), true)
		return nil
	}
	m.tab, m.depth, m.group = tabSessions, atList, false
	return m.openSession()
}

// click deals with the mouse.
func (m *Model) click(x, y int) tea.Cmd {
	l, ok := arrange(m.width, m.height, m.depth != atList)
	if !ok || m.help || m.prompt != nil || m.menu {
		m.help, m.menu = false, false
		return nil
	}
	switch {
	case l.Tabs.has(x, y):
		if t, ok := tabAt(m, x-l.Tabs.X, l.Tabs.W); ok {
			return m.show(t)
		}
	case l.List.has(x, y):
		row := y - l.List.Y
		if m.depth != atList && m.tab == tabSessions && m.sessions.click(row) {
			return m.openSession()
		}
		before := m.chosen()
		if m.clickList(row) && m.chosen() == before && m.canOpen() && m.depth == atList {
			return m.open() // the second click opens
		}
	case l.Detail.has(x, y) && m.depth == atSession:
		before, _ := m.detail.selectedExchange()
		if m.detail.click(y - l.Detail.Y) {
			if now, ok := m.detail.selectedExchange(); ok && now == before {
				return m.openExchange()
			}
		}
	}
	return nil
}

// chosen tells which row of the list is under the cursor.
func (m *Model) chosen() int {
	switch m.tab {
	case tabSessions:
		if v, ok := m.sessions.selected(); ok {
			return v.Slot
		}
	case tabDifferences:
		return m.differences.at
	}
	return -1
}

func (m *Model) clickList(row int) bool {
	switch m.tab {
	case tabSessions:
		return m.sessions.click(row)
	case tabDifferences:
		return m.differences.click(row - 1)
	case tabEgress:
		return m.egress.click(row - 1)
	case tabLog:
		return m.log.click(row)
	}
	return false
}

// wheel scrolls what is under the mouse.
func (m *Model) wheel(x, y, by int) {
	l, ok := arrange(m.width, m.height, m.depth != atList)
	switch {
	case !ok:
	case m.help:
		(*helpScroll)(m).move(by)
	case l.Detail.has(x, y):
		m.focus().move(by)
	case l.List.has(x, y) && m.tab == tabSessions:
		m.sessions.wheel(by)
	case l.List.has(x, y):
		at := m.depth
		m.depth = atList
		m.focus().move(by)
		m.depth = at
	}
}
