package tui

import (
	"strings"
	"time"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
)

// promptLimit is how many characters a text may have; more are dropped. A key costs
// time in proportion to them: 0.6 ms up to a thousand, 21 ms at 40,000, and 600 ms
// with a megabyte that was pasted by mistake.
const promptLimit = 1000

// prompt asks for a line of text on the last line.
type prompt struct {
	input  textinput.Model
	label  string
	before string                           // the text that esc brings back
	each   func(*Model, string)             // is told of each change; may be nil
	done   func(*Model, string) tea.Cmd     // is told of the text that was entered
	check  func(*Model, string) (err error) // says what is wrong with it; may be nil
	wrong  string
}

// ask begins to ask.
func (m *Model) ask(label, text string, p prompt) tea.Cmd {
	p.label, p.before = label, text
	p.input = textinput.New()
	p.input.Prompt = ""
	p.input.CharLimit = promptLimit
	p.input.KeyMap.Paste.SetEnabled(false) // it would run whatever is called xclip
	p.input.SetValue(text)
	p.input.CursorEnd()
	p.input.Focus() // what blinks a cursor that is not drawn is not needed
	m.prompt = &p
	return nil
}

func (m *Model) promptKey(msg tea.KeyPressMsg) tea.Cmd {
	p := m.prompt
	switch msg.String() {
	case "esc":
		m.prompt = nil
		if p.each != nil {
			p.each(m, p.before)
		}
		return nil
	case "enter":
		text := strings.TrimSpace(p.input.Value())
		if p.check != nil {
			if err := p.check(m, text); err != nil {
				p.wrong = err.Error()
				return nil
			}
		}
		m.prompt = nil
		if p.done != nil {
			return p.done(m, text)
		}
		return nil
	}
	p.input, _ = p.input.Update(msg)
	m.prompted()
	return nil
}

func (p *prompt) paste(msg tea.PasteMsg) { p.input, _ = p.input.Update(msg) }

// prompted tells of the text as it is now.
func (m *Model) prompted() {
	p := m.prompt
	p.wrong = ""
	if p.check != nil {
		if err := p.check(m, strings.TrimSpace(p.input.Value())); err != nil {
			p.wrong = err.Error()
		}
	}
	if p.each != nil {
		p.each(m, p.input.Value())
	}
}

func (p *prompt) view(w int, st styles) string {
	line := row{left: w}
	line.add(st.Accent, p.label+" ")
	room := max(8, line.left-width(visible(p.wrong))-3)
	p.input.SetWidth(max(4, room-1))
	text := visible(p.input.Value())
	at := min(p.input.Position(), len([]rune(p.input.Value())))
	before := visible(string([]rune(p.input.Value())[:at]))
	if over := width(before) - room + 2; over > 0 {
		text, before = cutLeft(text, over), cutLeft(before, over)
	}
	line.add(st.Title, before)
	// The cursor is a bar: it is seen without colours, too.
	line.add(st.Accent, "▏")
	line.add(st.Title, strings.TrimPrefix(text, before))
	if p.wrong != "" {
		return line.ending(st.Bad, p.wrong)
	}
	return line.end()
}

// askFilter asks for what the table is to show; it does while one types.
func (m *Model) askFilter() tea.Cmd {
	return m.ask("/", m.sessions.filterText(), prompt{
		each:  func(m *Model, text string) { m.sessions.filter(text) },
		check: func(m *Model, text string) error { return m.sessions.filter(text) },
	})
}

// breakLatency asks for how long an answer may take.
func (m *Model) breakLatency() tea.Cmd {
	m.menu = false
	text := "100ms"
	if d := m.run.Breaks.Latency; d > 0 {
		text = d.String()
	}
	return m.ask("break when an answer takes longer than", text, prompt{
		check: func(_ *Model, text string) error {
			_, err := latency(text)
			return err
		},
		done: func(m *Model, text string) tea.Cmd {
			b := m.run.Breaks
			b.Latency, _ = latency(text)
			return m.breakOn(b)
		},
	})
}

// latencyError is a text that is no time.
type latencyError struct{}

func (latencyError) Error() string { return "a time, such as 100ms" }

func latency(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, latencyError{}
	}
	return d, nil
}
