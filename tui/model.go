package tui

import (
	"cmp"
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
)

// Options says what is shown, and where.
type Options struct {
	Source  Source
	Control Control // nil: there is nothing to control
	Keeper  Keeper  // nil: nothing can be kept
	// Memory bounds, in bytes, what the table of sessions takes; 0: nothing does.
	Memory int64
	// Input and Output are the terminal; nil: the standard ones.
	Input  io.Reader
	Output *os.File
}

// tab is what the list shows.
type tab int

const (
	tabSessions tab = iota
	tabDifferences
	tabEgress
	tabLog
	tabLedger

	tabs
)

var tabNames = [tabs]string{"sessions", "differences", "egress", "application log", "ledger"}

// depth is how far one has gone into a thing.
//
//	list ──enter──▶ session ──enter──▶ its answers       (sessions)
//	     ──enter──▶ an example's answers                 (differences)
type depth int

const (
	atList depth = iota
	atSession
	atAnswers
)

// Model is the whole screen. Only Bubble Tea's goroutine touches it.
type Model struct {
	opt    Options
	keys   []action
	st     styles
	width  int
	height int
	now    time.Time // of the latest snapshot

	run      Run
	findings Findings
	rates    rates

	tab         tab
	depth       depth
	group       bool // the answers are those of a group of differences
	sessions    sessions
	differences differences
	egress      egress
	log         appLog
	ledger      ledger

	slot     int // of the session that is open
	story    *Story
	detail   detail
	number   int // of the exchange that is open
	answers  answers
	fetching bool // a story is on its way

	menu       bool    // of breaks
	prompt     *prompt // nil: no text is asked for
	help       bool
	helpTop    int
	note       note
	hit        *Hit // the latest that was told of
	leaving    bool // the screen goes as soon as the run has ended
	restarting bool // an order to restart the application has not been answered
	counts     bool // the terminal had counted letters, not characters (method)
}

// note is what the last line says for a while.
type note struct {
	text string
	bad  bool
	till time.Time
}

// noteTime is how long a note stands.
const noteTime = 6 * time.Second

// newModel returns a screen that has seen nothing yet.
func newModel(opt Options) *Model {
	m := &Model{opt: opt, keys: newKeys(), st: newStyles(true), slot: -1}
	m.log.init()
	m.sessions.rows.limit = opt.Memory
	return m
}

// Init asks the terminal for its background.
func (m *Model) Init() tea.Cmd { return tea.RequestBackgroundColor }

// panel is what the keys that move go to.
type panel interface {
	move(by int)
	page(by int)
	home()
	last()
}

// focus returns the panel that is moved in.
func (m *Model) focus() panel {
	switch {
	case m.help:
		return (*helpScroll)(m)
	case m.depth == atAnswers:
		return &m.answers
	case m.depth == atSession:
		return &m.detail
	}
	switch m.tab {
	case tabDifferences:
		return &m.differences
	case tabEgress:
		return &m.egress
	case tabLog:
		return &m.log
	case tabLedger:
		return &m.ledger
	}
	return &m.sessions
}

// say puts a note on the last line.
func (m *Model) say(text string, bad bool) {
	m.note = note{text, bad, cmp.Or(m.now, time.Now()).Add(noteTime)}
}
