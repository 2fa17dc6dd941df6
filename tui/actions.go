package tui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"tcpsandbox/replay"
)

// What the keys do to the run. All of it is done outside the screen's goroutine,
// as it may take its time; what came of it is told with a doneMsg, and how the
// run stands is seen in the next snapshot.

// pause stops the world, or lets it go on.
func (m *Model) pause() tea.Cmd {
	c, paused := m.opt.Control, m.run.Paused
	m.run.Paused = !paused // until the next snapshot says so: the next press is the other order
	return func() tea.Msg {
		if paused {
			c.Resume()
			return doneMsg{text: "going on"}
		}
		c.Pause()
		return doneMsg{text: "paused: p resumes, n lets one chunk go; the capture goes on"}
	}
}

// current is the session that is open or under the cursor.
func (m *Model) current() (replay.View, bool) {
	if m.depth != atList && !m.group && m.story != nil {
		return m.story.View, true
	}
	if m.tab != tabSessions {
		return replay.View{}, false
	}
	return m.sessions.selected()
}

func (m *Model) canStep() bool {
	return m.canControl() && m.run.Paused && m.tab == tabSessions && !m.menu
}

func (m *Model) step() tea.Cmd {
	v, ok := m.current()
	if !ok {
		return nil
	}
	c := m.opt.Control
	return func() tea.Msg {
		if !c.Step(v.ID, v.Copy) {
			return doneMsg{text: fmt.Sprintf("session %d has nothing to send", v.ID)}
		}
		return doneMsg{text: fmt.Sprintf("session %d: one chunk goes as soon as its cause is there", v.ID)}
	}
}

func (m *Model) breakOn(b replay.Break) tea.Cmd {
	m.run.Breaks = b // until the next snapshot says so
	m.menu = false
	c, words := m.opt.Control, breakWords(b)
	return func() tea.Msg {
		c.BreakOn(b)
		if words == "" {
			return doneMsg{text: "no break is set"}
		}
		return doneMsg{text: "the run pauses on the first " + words}
	}
}

func (m *Model) breakDifference() tea.Cmd {
	b := m.run.Breaks
	b.Difference = !b.Difference
	return m.breakOn(b)
}

func (m *Model) breakReset() tea.Cmd {
	b := m.run.Breaks
	b.Reset = !b.Reset
	return m.breakOn(b)
}

func (m *Model) breakClose() tea.Cmd {
	b := m.run.Breaks
	b.EarlyClose = !b.EarlyClose
	return m.breakOn(b)
}

func (m *Model) breakNothing() tea.Cmd { return m.breakOn(replay.Break{}) }

// breakWords says what is armed: "difference, answer over 100ms".
func breakWords(b replay.Break) string {
	var words []string
	if b.Difference {
		words = append(words, "difference")
	}
	if b.Reset {
		words = append(words, "reset")
	}
	if b.EarlyClose {
		words = append(words, "early close")
	}
	if b.Latency > 0 {
		words = append(words, "answer over "+b.Latency.String())
	}
	return strings.Join(words, ", ")
}

// breakLine is the menu of breaks.
func (m *Model) breakLine(w int) string {
	mark := func(on bool) string {
		if on {
			return "✓"
		}
		return " "
	}
	b := m.run.Breaks
	if w < 76 {
		return fmt.Sprintf("d%sdiffers r%sreset c%sclose l%sslow x none",
			mark(b.Difference), mark(b.Reset), mark(b.EarlyClose), mark(b.Latency > 0))
	}
	over := "…"
	if b.Latency > 0 {
		over = b.Latency.String()
	}
	return fmt.Sprintf("break on: d%sdifference  r%sreset  c%searly close  l%sover %s  x nothing  esc",
		mark(b.Difference), mark(b.Reset), mark(b.EarlyClose), mark(b.Latency > 0), over)
}

// restart restarts the application. While that is under way the key is no order
// for another one: held down it repeats thirty times a second.
func (m *Model) restart() tea.Cmd {
	if m.restarting {
		m.say("the application is being restarted already", false)
		return nil
	}
	m.restarting = true
	c := m.opt.Control
	m.say("restarting the application", false)
	m.note.till = m.note.till.Add(time.Minute)
	return func() tea.Msg {
		if err := c.Restart(); err != nil {
			return restartedMsg{text: "restart: " + err.Error(), bad: true}
		}
		return restartedMsg{text: "the application was restarted"}
	}
}

func (m *Model) faster() tea.Cmd {
	c := m.opt.Control
	return func() tea.Msg { return doneMsg{text: c.Faster()} }
}

func (m *Model) slower() tea.Cmd {
	c := m.opt.Control
	return func() tea.Msg { return doneMsg{text: c.Slower()} }
}

// quit ends the run, and then the screen. The second time it does not wait.
func (m *Model) quit() tea.Cmd {
	if m.opt.Control == nil || m.run.Ended != "" {
		return tea.Quit
	}
	if m.leaving {
		return m.quitNow()
	}
	m.leaving = true
	m.note = note{}
	c := m.opt.Control
	return func() tea.Msg { c.Quit(true); return doneMsg{} }
}

func (m *Model) quitNow() tea.Cmd {
	if m.opt.Control == nil || m.run.Ended != "" {
		return tea.Quit
	}
	m.leaving = true
	m.say("ending", false)
	c := m.opt.Control
	return func() tea.Msg { c.Quit(false); return doneMsg{} }
}

func (m *Model) canSave() bool {
	if m.opt.Keeper == nil || m.menu {
		return false
	}
	_, ok := m.current()
	return ok
}

func (m *Model) save() tea.Cmd {
	v, ok := m.current()
	if !ok {
		return nil
	}
	k := m.opt.Keeper
	return func() tea.Msg {
		path, err := k.Save(v.Slot)
		if err != nil {
			return doneMsg{text: err.Error(), bad: true}
		}
		return doneMsg{text: fmt.Sprintf("session %d was written to %s", v.ID, path)}
	}
}

// copyCommand puts the command into the clipboard, by the terminal (OSC 52),
// and on the last line, where it can be read in any case.
func (m *Model) copyCommand() tea.Cmd {
	v, ok := m.current()
	if !ok {
		return nil
	}
	k := m.opt.Keeper
	return func() tea.Msg {
		command := visible(k.Command(v.Slot)) // what is copied is what is shown
		if command == "" {
			return doneMsg{text: "nothing can replay this session alone yet: w writes it to a file first", bad: true}
		}
		return doneMsg{text: "copied: " + command, copy: command}
	}
}
