package tui

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/teatest/v2"

	"tcpsandbox/e2e/terminal"
	"tcpsandbox/replay"
)

// Ways through a program that really runs: snapshots come, commands take their
// time on goroutines of their own, and a terminal shows what the renderer sends.
// All waits are for conditions.

// patience is how long a condition may take before a test gives up.
const patience = 20 * time.Second

// flow is a program under test, with a run behind it.
type flow struct {
	t        *testing.T
	tm       *teatest.TestModel
	src      *spy
	model    *watched
	terminal *terminal.Screen
	out      []byte // that it was fed
	end      context.CancelFunc
}

// watched is the model, which tells after each message what is on the screen.
type watched struct {
	*Model
	mu      sync.Mutex
	changed *sync.Cond
	text    string
	got     []string // kinds of messages
	routine string   // that Update and View run on
}

func (w *watched) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	w.mu.Lock()
	w.routine = goroutine()
	w.mu.Unlock()
	_, cmd := w.Model.Update(msg)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, fmt.Sprintf("%T", msg))
	w.text = strings.Join(w.draw(), "\n")
	w.changed.Broadcast()
	return w, cmd
}

// goroutine names the one that it is called on.
func goroutine() string {
	buf := make([]byte, 64)
	return string(bytes.Fields(buf[:runtime.Stack(buf, false)])[1])
}

// spy is a run that tells when it is called where it must not be, and that can be
// slow to tell a story.
type spy struct {
	*fakeSource
	t     *testing.T
	model *watched
	hush  bool // it knows nothing
	mu    sync.Mutex
	gates map[int]chan struct{} // by slot; a story waits until it is closed
	// restarted is what a restart waits for; nil: it does not.
	restarted chan struct{}
	calls     map[string]bool
}

func (s *spy) called(what string) {
	s.mu.Lock()
	s.calls[what] = true
	s.mu.Unlock()
	s.model.mu.Lock()
	defer s.model.mu.Unlock()
	if s.model.routine == goroutine() {
		s.t.Errorf("%s is called on the screen's own goroutine", what)
	}
}

func (s *spy) Poll() Snapshot {
	s.called("Poll")
	if s.hush {
		return Snapshot{}
	}
	return s.fakeSource.Poll()
}

func (s *spy) Story(slot int) *Story {
	s.called("Story")
	s.mu.Lock()
	gate := s.gates[slot]
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return s.fakeSource.Story(slot)
}

func (s *spy) Explain(slot, number int) *Explanation {
	s.called("Explain")
	return s.fakeSource.Explain(slot, number)
}
func (s *spy) Pause()                     { s.called("Pause"); s.fakeSource.Pause() }
func (s *spy) Resume()                    { s.called("Resume"); s.fakeSource.Resume() }
func (s *spy) Step(id uint64, c int) bool { s.called("Step"); return s.fakeSource.Step(id, c) }
func (s *spy) BreakOn(b replay.Break)     { s.called("BreakOn"); s.fakeSource.BreakOn(b) }
func (s *spy) Restart() error {
	s.called("Restart")
	if s.restarted != nil {
		<-s.restarted
	}
	return s.fakeSource.Restart()
}
func (s *spy) Faster() string                { s.called("Faster"); return s.fakeSource.Faster() }
func (s *spy) Slower() string                { s.called("Slower"); return s.fakeSource.Slower() }
func (s *spy) Quit(drain bool)               { s.called("Quit"); s.fakeSource.Quit(drain) }
func (s *spy) Save(slot int) (string, error) { s.called("Save"); return s.fakeSource.Save(slot) }
func (s *spy) Command(slot int) string       { s.called("Command"); return s.fakeSource.Command(slot) }

// begin runs a program on a terminal; change, if any, is what the run is to be.
func begin(t *testing.T, w, h int, change func(*spy)) *flow {
	t.Helper()
	src := &spy{fakeSource: shopRun(), t: t, gates: map[int]chan struct{}{}, calls: map[string]bool{}}
	if change != nil {
		change(src)
	}
	model := &watched{Model: newModel(Options{Source: src, Control: src, Keeper: src})}
	model.changed = sync.NewCond(&model.mu)
	model.st = styles{}
	src.model = model
	options := append(manners(), tea.WithColorProfile(colorprofile.NoTTY), tea.WithEnvironment([]string{"TERM=xterm-256color"}))
	tm := teatest.NewTestModel(t, model, teatest.WithInitialTermSize(w, h), teatest.WithProgramOptions(options...))
	ctx, end := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		poll(ctx, src, tm.Send, &counted{})
		tm.Quit()
	}()
	f := &flow{t, tm, src, model, terminal.NewScreen(w, h), nil, end}
	t.Cleanup(func() {
		end()
		<-over
		f.gone()
	})
	return f
}

// until waits for something to be on the screen.
func (f *flow) until(what string, holds func(text string) bool) {
	f.t.Helper()
	m := f.model
	deadline := time.Now().Add(patience)
	stop := time.AfterFunc(patience, func() { m.mu.Lock(); m.changed.Broadcast(); m.mu.Unlock() })
	defer stop.Stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	for !holds(m.text) {
		if time.Now().After(deadline) {
			f.t.Fatalf("the screen never %s:\n%s", what, m.text)
		}
		m.changed.Wait()
	}
}

func (f *flow) sees(want string) {
	f.t.Helper()
	f.until("shows "+want, func(text string) bool { return strings.Contains(text, want) })
}

func (f *flow) lacks(want string) {
	f.t.Helper()
	f.until("stops to show "+want, func(text string) bool { return !strings.Contains(text, want) })
}

// does waits until the run was told something.
func (f *flow) does(want string) {
	f.t.Helper()
	f.until("does "+want, func(string) bool { return slices.Contains(f.src.done(), want) })
}

// took waits until so many messages of a kind were dealt with.
func (f *flow) took(kind string, n int) {
	f.t.Helper()
	f.until(fmt.Sprintf("takes %d of %s", n, kind), func(string) bool {
		count := 0
		for _, k := range f.model.got {
			if k == kind {
				count++
			}
		}
		return count >= n
	})
}

func (f *flow) press(names ...string) {
	for _, name := range names {
		f.tm.Send(keyNamed(name))
	}
}

// times counts how often the run was told something.
func (f *flow) times(what string) (n int) {
	for _, did := range f.src.done() {
		if did == what {
			n++
		}
	}
	return n
}

// shown waits until the terminal shows what the model draws.
func (f *flow) shown() {
	f.t.Helper()
	defer func() {
		if f.t.Failed() {
			f.t.Logf("on the terminal:\n%s\nof the model:\n%s", f.terminal, f.model.text)
		}
	}()
	teatest.WaitFor(f.t, &tee{f, f.tm.Output()}, func([]byte) bool {
		f.model.mu.Lock()
		defer f.model.mu.Unlock()
		return trimmed(f.terminal.String()) == trimmed(f.model.text)
	}, teatest.WithDuration(patience), teatest.WithCheckInterval(10*time.Millisecond))
	unknown := slices.DeleteFunc(slices.Clone(f.terminal.Unknown()), func(what string) bool { return what == "mode 2027" })
	if len(unknown) > 0 {
		f.t.Errorf("a terminal does not know %q", unknown)
	}
}

func trimmed(text string) string {
	all := strings.Split(text, "\n")
	for i := range all {
		all[i] = strings.TrimRight(all[i], " ")
	}
	return strings.TrimRight(strings.Join(all, "\n"), "\n")
}

// tee feeds the terminal with what is read.
type tee struct {
	f *flow
	r io.Reader
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.f.out = append(t.f.out, p[:n]...)
	// Without a terminal for its input the renderer expects line ends to be
	// mapped, as they are on one that is not raw.
	t.f.terminal.Write(bytes.ReplaceAll(p[:n], []byte("\n"), []byte("\r\n")))
	return n, err
}

// gone waits for the program's end, and looks at how it leaves the terminal.
func (f *flow) gone() {
	f.t.Helper()
	f.tm.WaitFinished(f.t, teatest.WithFinalTimeout(patience))
	if _, err := io.ReadAll(&tee{f, f.tm.Output()}); err != nil {
		f.t.Error(err)
	}
	if left := f.terminal.Leftovers(); len(left) > 0 {
		f.t.Errorf("the terminal is left with %q", left)
	}
}

func TestFlowDifference(t *testing.T) {
	f := begin(t, 100, 40, nil)
	f.sees("▸     1 198.51.100.7:40112")
	f.press("2")
	f.sees("differs in")
	f.press("enter")
	f.sees("$.total: 41.50 → 42.50")
	f.shown()
	f.press("esc", "o")
	f.sees("differs in 1 of 3 answers")
	f.sees("GET /items?id=7")
	f.press("enter")
	f.sees("first byte 900 µs │ 1.10 ms")
	f.press("d", "d")
	f.sees("hex")
	f.shown()
	f.press("esc", "esc")
	f.lacks("differs in 1 of 3")
	f.sees("▸     2 198.51.100.7:40113")
	f.shown()
}

func TestFlowTable(t *testing.T) {
	f := begin(t, 100, 24, nil)
	f.sees("▸     1")
	f.press("/", "c", "a", "r", "t")
	f.sees("1 of 40 match cart")
	f.press("enter")
	f.lacks("/ cart▏")
	f.press("esc")
	f.lacks("match")
	f.press("s")
	f.sees("client▲")
	f.press("r")
	f.sees("client▼")
	f.press("f")
	added := shopRun().sessions[0]
	added.Slot, added.ID = 41, 42
	f.src.do("add", func() { f.src.sessions = append(f.src.sessions, added) })
	f.sees("▸    42")
	f.shown()
}

func TestFlowSteering(t *testing.T) {
	f := begin(t, 100, 24, nil)
	f.sees("▶ running")
	f.press("p")
	f.sees("⏸ PAUSED")
	f.press("down", "down", "down", "n")
	f.sees("session 4: one chunk goes")
	f.press("p")
	f.sees("going on")
	f.press("b")
	f.sees("break on: d difference")
	f.press("d")
	f.sees("the run pauses on the first difference")
	f.press("b", "l")
	f.sees("break when an answer takes longer than 100ms▏")
	f.press("x")
	f.sees("a time, such as 100ms")
	f.press("enter") // is refused
	f.press("backspace", "backspace", "backspace", "backspace", "backspace", "backspace")
	f.tm.Send(tea.PasteMsg{Content: "2s\n\x1b]52;c;AAAA\x07"})
	f.sees("a time, such as")
	f.press("esc")
	f.lacks("takes longer")
	f.press("b", "l", "enter")
	f.does("break difference, answer over 100ms")
	f.press("w")
	f.sees("session-2.pcapng")
	f.press("R")
	f.does("restart")
	f.sees("the application was restarted")
	f.press("+") // what is said to one key may else come after what is said to the next
	f.sees("twice as fast")
	f.press("-")
	f.sees("half as fast")
	f.press("y")
	f.sees("copied: tcpsandbox run")
	f.shown()
	if want := ansi.SetSystemClipboard(f.src.fakeSource.Command(0)); !bytes.Contains(f.out, []byte(want)) {
		t.Errorf("the terminal is not told to copy: lacks %q", want)
	}
	f.press("q")
	f.does("quit true")
	f.gone()
	for _, what := range []string{"Poll", "Pause", "Resume", "Step", "BreakOn", "Save", "Restart", "Faster", "Slower", "Command", "Quit"} {
		if !f.src.calls[what] {
			t.Errorf("%s was not called", what)
		}
	}
}

func TestFlowQuit(t *testing.T) {
	t.Run("with drain", func(t *testing.T) {
		f := begin(t, 80, 24, nil)
		f.sees("▸     1")
		f.press("ctrl+c")
		f.gone()
		if got := f.src.done(); !slices.Equal(got, []string{"quit true"}) {
			t.Errorf("ctrl+c does %q", got)
		}
	})
	t.Run("at once", func(t *testing.T) {
		f := begin(t, 80, 24, nil)
		f.sees("▸     1")
		f.press("Q")
		f.gone()
		if got := f.src.done(); !slices.Equal(got, []string{"quit false"}) {
			t.Errorf("Q does %q", got)
		}
	})
	t.Run("context ended", func(t *testing.T) {
		f := begin(t, 80, 24, nil)
		f.sees("▸     1")
		f.end()
		f.gone()
	})
	t.Run("context ended while a story is awaited", func(t *testing.T) {
		never := make(chan struct{})
		defer close(never)
		f := begin(t, 80, 24, func(s *spy) { s.gates[1] = never })
		f.sees("▸     1")
		f.press("down", "enter")
		f.sees("session 2")
		f.end()
		f.gone()
	})
}

// While a story is awaited the screen answers; a story that comes too late is not
// shown in another's place.
func TestFlowSlowStory(t *testing.T) {
	second, third := make(chan struct{}), make(chan struct{})
	f := begin(t, 100, 40, func(s *spy) { s.gates[1], s.gates[2] = second, third })
	f.sees("▸     1")
	f.press("down", "enter")
	f.sees("session 2")
	f.press("?")
	f.sees("Break on, behind b")
	f.press("?", "enter")
	f.sees("what happened in this session is on its way")
	f.press("J")
	f.sees("session 3")
	close(second)
	f.took("tui.storyMsg", 1)
	f.model.mu.Lock()
	if text := f.model.text; strings.Contains(text, "differs in 1 of 3 answers") || !strings.Contains(text, "session 3") {
		t.Errorf("a story that came late is shown in another's place:\n%s", text)
	}
	f.model.mu.Unlock()
	close(third)
	f.sees("reset the connection after answering 0 of 1 request")
	f.press("esc")
	f.lacks("reset the connection after")
	f.shown()
}

// A run of which nothing is known can be walked through all the same.
func TestFlowNothing(t *testing.T) {
	for name, change := range map[string]func(*spy){
		"no snapshot": func(s *spy) { s.hush = true },
		"no texts":    func(s *spy) { s.stories, s.explained = nil, nil },
		"no sessions": func(s *spy) {
			*s.fakeSource = fakeSource{at: epoch}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := begin(t, 80, 24, change)
			f.took("tui.snapshotMsg", 2)
			n := 0
			for _, where := range [][]string{nil, {"enter"}, {"enter", "enter"}, {"/", "x", "enter"}, {"2", "enter"}, {"3"}, {"4"}, {"5"}, {"?"}} {
				keys := append(slices.Clone(where), "up", "down", "pgup", "end", "home", "]", "[", "d", "i", "a", "v", "w", "y", "o", "s", "r", "f", "n", "p", "esc", "esc", "1", "esc")
				n += len(keys)
				f.press(keys...)
			}
			f.took("tea.KeyPressMsg", n)
			f.sees("tcpsandbox")
			f.shown()
		})
	}
}

func TestFlowResize(t *testing.T) {
	f := begin(t, 80, 24, nil)
	f.sees("▸     1")
	for i := range 300 {
		f.tm.Send(tea.WindowSizeMsg{Width: 1 + i*37%230, Height: 1 + i*23%90})
		if i%10 == 0 {
			f.press([]string{"enter", "2", "enter", "?", "5", "1"}[i/10%6])
		}
	}
	f.tm.Send(tea.WindowSizeMsg{Width: 80, Height: 24})
	f.took("tea.WindowSizeMsg", 301)
	f.press("?", "1", "down")
	f.sees("client ")
	f.shown()
}

func TestFlowMouse(t *testing.T) {
	f := begin(t, 100, 24, nil)
	f.sees("▸     1")
	click := func(x, y int) { f.tm.Send(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft}) }
	click(20, 6)
	f.sees("▸     2")
	click(20, 6)
	f.sees("differs in 1 of 3 answers")
	click(2, 3)
	f.sees("▸     2")
	f.tm.Send(tea.MouseWheelMsg{X: 20, Y: 10, Button: tea.MouseWheelDown})
	f.lacks("▸     1")
	click(25, 3)
	f.sees("differs in")
	f.shown()
}

// A terminal that counts letters is asked to count characters, as the renderer is
// held to do.
func TestFlowWidths(t *testing.T) {
	text := "हिन्दी ക്ഷ กำ ﾊﾞ 👩🏽\u200d🚀 日本"
	f := begin(t, 100, 24, func(s *spy) { s.log = []Line{{From: "app", Text: text}} })
	f.sees("▸     1")
	f.tm.Send(tea.ModeReportMsg{Mode: ansi.ModeUnicodeCore, Value: ansi.ModeSet})
	f.press("4")
	f.sees("हिन्दी")
	f.shown()
	if bytes.Contains(f.out, []byte(ansi.SetModeUnicodeCore)) || !bytes.Contains(f.out, []byte(ansi.ResetModeUnicodeCore)) {
		t.Error("the terminal counts letters")
	}
}

// A key that is held down restarts the application once.
func TestRestartHeldDown(t *testing.T) {
	listens := make(chan struct{})
	f := begin(t, 120, 24, func(s *spy) { s.restarted = listens })
	f.press("R")
	f.sees("restarting the application")
	f.press("R", "R", "R")
	f.sees("is being restarted already")
	listens <- struct{}{}
	f.sees("the application was restarted")
	f.press("R")
	f.sees("restarting the application")
	close(listens) // whoever else waits
	f.sees("the application was restarted")
	if n := f.times("restart"); n != 2 {
		t.Errorf("the application was restarted %d times", n)
	}
	f.press("Q")
	f.gone()
}

// What is pasted by mistake makes no key slow.
func TestPromptLimit(t *testing.T) {
	src := shopRun()
	s := &screen{newModel(Options{Source: src, Control: src, Keeper: src}), t, src}
	s.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	s.poll()
	s.press("/")
	s.send(tea.PasteMsg{Content: strings.Repeat("GET /cart ", 100_000)})
	s.press("x")
	if n := len(s.prompt.input.Value()); n != promptLimit {
		t.Errorf("%d characters were taken", n)
	}
}
