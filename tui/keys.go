package tui

import (
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// action is what a key does. The keys that are matched, the hints in the last
// line and the help are made of the same table, so they cannot differ.
type action struct {
	key.Binding
	group string            // in the help; empty: not listed
	hint  string            // in the last line; empty: it is not named there
	first bool              // it is named there before others get room
	on    func(*Model) bool // whether it can be done now
	do    func(*Model) tea.Cmd
}

// The groups of the help, in its order.
const (
	groupMove    = "Move"
	groupShow    = "Show"
	groupTable   = "Session table"
	groupSession = "Session"
	groupWorld   = "Run"
	groupBreak   = "Break on"
	groupLeave   = "Leave"
)

var helpGroups = []string{groupMove, groupShow, groupTable, groupSession, groupWorld, groupBreak, groupLeave}

// bind makes an action. keys are as Bubble Tea names them; shown is what the
// help says instead.
func bind(group, keys, shown, what string, on func(*Model) bool, do func(*Model) tea.Cmd) action {
	return action{
		Binding: key.NewBinding(key.WithKeys(strings.Fields(keys)...), key.WithHelp(shown, what)),
		group:   group, on: on, do: do,
	}
}

// hinted makes an action that is named in the last line, too, in a word or two.
func hinted(hint string, a action) action {
	a.hint = hint
	return a
}

// needed makes one without which nobody finds in or out.
func needed(hint string, a action) action {
	a.hint, a.first = hint, true
	return a
}

// When actions are possible.
func always(*Model) bool         { return true }
func (m *Model) canQuit() bool   { return !m.help && !m.menu }
func (m *Model) inSession() bool { return m.depth == atSession }
func (m *Model) inAnswers() bool { return m.depth == atAnswers }
func (m *Model) inTable() bool   { return m.tab == tabSessions && m.depth == atList }
func (m *Model) canControl() bool {
	return m.opt.Control != nil && m.run.Ended == "" && !m.leaving
}

// one does something to the screen alone.
func one(f func(*Model)) func(*Model) tea.Cmd {
	return func(m *Model) tea.Cmd { f(m); return nil }
}

// newKeys returns all actions. Of two that have the same key the first one that
// can be done is.
func newKeys() []action {
	not := func(f func(*Model) bool) func(*Model) bool { return func(m *Model) bool { return !f(m) } }
	both := func(f, g func(*Model) bool) func(*Model) bool { return func(m *Model) bool { return f(m) && g(m) } }
	control := (*Model).canControl
	paused := func(m *Model) bool { return m.run.Paused }
	// What the break menu takes for itself.
	menu := func(m *Model) bool { return m.menu }
	help := func(m *Model) bool { return m.help }
	keys := []action{
		bind(groupBreak, "d", "d", "the first answer that differs or is missing", menu, (*Model).breakDifference),
		bind(groupBreak, "r", "r", "the first reset by the application", menu, (*Model).breakReset),
		bind(groupBreak, "c", "c", "the first early close by the application", menu, (*Model).breakClose),
		bind(groupBreak, "l", "l", "the first answer that takes longer than …", menu, (*Model).breakLatency),
		bind(groupBreak, "x", "x", "nothing", menu, (*Model).breakNothing),
		bind(groupBreak, "esc b enter", "esc", "close the menu", menu, one(func(m *Model) { m.menu = false })),

		bind(groupMove, "up k", "↑ k", "one up", not(menu), one(func(m *Model) { m.focus().move(-1) })),
		bind(groupMove, "down j", "↓ j", "one down", not(menu), one(func(m *Model) { m.focus().move(1) })),
		bind(groupMove, "pgup ctrl+b", "PgUp", "a page up", not(menu), one(func(m *Model) { m.focus().page(-1) })),
		bind(groupMove, "pgdown ctrl+f space", "PgDn", "a page down", not(menu), one(func(m *Model) { m.focus().page(1) })),
		bind(groupMove, "home g", "Home g", "to the first", not(menu), one(func(m *Model) { m.focus().home() })),
		bind(groupMove, "end G", "End G", "to the last", not(menu), one(func(m *Model) { m.focus().last() })),
		bind(groupMove, "left h", "← h", "sideways", (*Model).inAnswers, one(func(m *Model) { m.answers.sideways(-8) })),
		bind(groupMove, "right l", "→ l", "sideways", (*Model).inAnswers, one(func(m *Model) { m.answers.sideways(8) })),
		needed("open", bind(groupMove, "enter", "enter", "open", (*Model).canOpen, (*Model).open)),
		bind("", "q", "q", "leave the help", func(m *Model) bool { return m.help }, one(func(m *Model) { m.help = false })),
		needed("back", bind(groupMove, "esc backspace alt+esc", "esc", "back", (*Model).canBack, (*Model).back)),
		bind(groupMove, "J shift+down", "J", "next session", (*Model).inSession, func(m *Model) tea.Cmd { return m.otherSession(1) }),
		bind(groupMove, "K shift+up", "K", "previous session", (*Model).inSession, func(m *Model) tea.Cmd { return m.otherSession(-1) }),
		hinted("next difference", bind(groupMove, "]", "]", "next difference", (*Model).canJump, one(func(m *Model) { m.jump(1) }))),
		bind(groupMove, "[", "[", "previous difference", (*Model).canJump, one(func(m *Model) { m.jump(-1) })),

		hinted("next tab", bind(groupShow, "tab", "tab", "next tab", not(menu), func(m *Model) tea.Cmd { return m.show((m.tab + 1) % tabs) })),
		bind(groupShow, "shift+tab", "shift+tab", "previous tab", not(menu), func(m *Model) tea.Cmd { return m.show((m.tab + tabs - 1) % tabs) }),
		bind(groupShow, "d", "d", "answers side by side, unified, or hex", (*Model).inAnswers, one(func(m *Model) { m.answers.nextMode() })),
		bind(groupShow, "i", "i", "the request", (*Model).canRequest, one(func(m *Model) { m.answers.toggleRequest() })),
		bind(groupShow, "a", "a", "all differences, or the first ones", (*Model).inAnswers, one(func(m *Model) { m.answers.toggleDifferences() })),
		bind(groupShow, "v", "v", "packet-level facts", (*Model).inSession, one(func(m *Model) { m.detail.toggleFacts() })),
		bind(groupShow, "o", "o", "the example's session", (*Model).canExample, (*Model).openExample),
		needed("help", bind(groupShow, "?", "?", "help", not(menu), one(func(m *Model) { m.help = !m.help }))),

		hinted("filter", bind(groupTable, "/", "/", "filter", both(both((*Model).inTable, not(menu)), not(help)), (*Model).askFilter)),
		bind(groupTable, "s", "s", "sort by the next column", (*Model).inTable, one(func(m *Model) { m.sessions.sortBy(1) })),
		bind(groupTable, "S", "S", "sort by the previous column", (*Model).inTable, one(func(m *Model) { m.sessions.sortBy(-1) })),
		bind(groupTable, "r", "r", "reverse the order", both((*Model).inTable, not(menu)), one(func(m *Model) { m.sessions.reverse() })),
		bind(groupTable, "f", "f", "follow the newest session", (*Model).inTable, one(func(m *Model) { m.sessions.toggleFollow() })),

		bind(groupSession, "w", "w", "write its packets to a pcapng", (*Model).canSave, (*Model).save),
		bind(groupSession, "y", "y", "copy the command that replays it", (*Model).canSave, (*Model).copyCommand),

		hinted("pause", bind(groupWorld, "p", "p", "pause", both(control, not(paused)), (*Model).pause)),
		needed("resume", bind(groupWorld, "p", "p", "resume", both(control, paused), (*Model).pause)),
		hinted("step", bind(groupWorld, "n", "n", "let one chunk of this session go, while paused", (*Model).canStep, (*Model).step)),
		bind(groupWorld, "b", "b", "break on …", both(control, not(menu)), one(func(m *Model) { m.menu = true })),
		bind(groupWorld, "R", "R", "restart the application", control, (*Model).restart),
		bind(groupWorld, "+ =", "+", "twice as fast", control, (*Model).faster),
		bind(groupWorld, "-", "-", "half as fast", control, (*Model).slower),

		needed("quit", bind(groupLeave, "q", "q", "quit, and show the result", (*Model).canQuit, (*Model).quit)),
		bind(groupLeave, "ctrl+c", "ctrl+c", "the same, wherever one is", always, (*Model).quit),
		bind(groupLeave, "Q", "Q", "quit at once, without draining", always, (*Model).quitNow),
	}
	for i := range tabs {
		digit := string(rune('1' + i))
		a := bind(groupShow, digit, digit, tabNames[i], not(menu), func(m *Model) tea.Cmd { return m.show(i) })
		keys = append(keys, a)
	}
	return keys
}

// pressed does what a key does; false: nothing now.
func (m *Model) pressed(name string) (tea.Cmd, bool) {
	for i := range m.keys {
		a := &m.keys[i]
		if !a.on(m) {
			continue
		}
		for _, k := range a.Keys() {
			if k == name {
				return a.do(m), true
			}
		}
	}
	return nil, false
}
