package tui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"tcpsandbox/report"
)

// screen is a model under test, without a terminal.
type screen struct {
	*Model
	t   *testing.T
	src *fakeSource
}

func newScreen(t *testing.T, w, h int) *screen {
	src := shopRun()
	s := &screen{newModel(Options{Source: src, Control: src, Keeper: src}), t, src}
	s.st = styles{}
	s.send(tea.WindowSizeMsg{Width: w, Height: h})
	s.poll()
	return s
}

// send passes a message on, and what comes of it, until nothing does.
func (s *screen) send(msg tea.Msg) {
	s.t.Helper()
	_, cmd := s.Update(msg)
	s.follow(cmd)
}

func (s *screen) follow(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	done := make(chan tea.Msg, 1)
	go func() { done <- cmd() }()
	select {
	case msg := <-done:
		switch msg := msg.(type) {
		case tea.BatchMsg:
			for _, c := range msg {
				s.follow(c)
			}
		case storyMsg, explainedMsg, doneMsg:
			s.send(msg)
		case tea.QuitMsg:
			s.src.do("left", nil)
		}
	case <-time.After(time.Second): // a blinking cursor
	}
}

func (s *screen) poll() { s.send(snapshotMsg(s.src.Poll())) }

// press presses keys, by the names that Bubble Tea has for them.
func (s *screen) press(names ...string) {
	for _, name := range names {
		s.send(keyNamed(name))
	}
}

// keyNamed is the message of a key.
func keyNamed(name string) tea.KeyPressMsg {
	special := map[string]rune{
		"up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown,
		"home": tea.KeyHome, "end": tea.KeyEnd, "enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "backspace": tea.KeyBackspace, "space": tea.KeySpace,
	}
	mod := tea.KeyMod(0)
	rest := name
	for prefix, m := range map[string]tea.KeyMod{"ctrl+": tea.ModCtrl, "shift+": tea.ModShift, "alt+": tea.ModAlt} {
		if r, ok := strings.CutPrefix(rest, prefix); ok {
			rest, mod = r, mod|m
		}
	}
	if code, ok := special[rest]; ok {
		k := tea.Key{Code: code, Mod: mod}
		if rest == "space" {
			k.Text = " "
		}
		return tea.KeyPressMsg(k)
	}
	r := []rune(rest)[0]
	k := tea.Key{Code: r, Mod: mod}
	if mod == 0 {
		k.Text = rest
	}
	return tea.KeyPressMsg(k)
}

// text is the screen as it is drawn, and must have its size.
func (s *screen) text() string {
	s.t.Helper()
	all := s.draw()
	if len(all) != s.height {
		s.t.Fatalf("%d lines are drawn on a screen of %d:\n%s", len(all), s.height, strings.Join(all, "\n"))
	}
	for i, line := range all {
		if w := method.StringWidth(line); w != s.width {
			s.t.Fatalf("line %d is %d wide on a screen of %d: %q", i+1, w, s.width, line)
		}
		if strings.ContainsAny(line, "\x1b\x07\r\n\t") {
			s.t.Fatalf("line %d has control characters: %q", i+1, line)
		}
	}
	return strings.Join(all, "\n") + "\n"
}

func (s *screen) sees(want ...string) {
	s.t.Helper()
	text := s.text()
	for _, w := range want {
		if !strings.Contains(text, w) {
			s.t.Fatalf("the screen lacks %q:\n%s", w, text)
		}
	}
}

// The screens of the issue, each at its sizes.
func TestViews(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 60}, {40, 10}} {
		for _, c := range []struct {
			name string
			do   func(*screen)
		}{
			{"sessions", func(*screen) {}},
			{"session", func(s *screen) { s.press("down", "enter") }},
			{"failed", func(s *screen) { s.press("down", "down", "enter") }},
			{"answers", func(s *screen) { s.press("down", "enter", "]", "enter") }},
			{"differences", func(s *screen) { s.press("2") }},
			{"difference", func(s *screen) { s.press("2", "enter") }},
			{"egress", func(s *screen) { s.press("3") }},
			{"contained", func(s *screen) {
				s.src.run.Contained = []string{"9,204 packets from the application: 8,000 to its clients, 4 swallowed, 1,200 refused", "interfaces lo, tun0: nothing left"}
				s.press("3")
				s.poll()
			}},
			{"log", func(s *screen) { s.press("4") }},
			{"ledger", func(s *screen) { s.press("5") }},
			{"help", func(s *screen) { s.press("?") }},
			{"paused", func(s *screen) { s.press("p"); s.poll() }},
			{"breaks", func(s *screen) { s.press("b", "d"); s.poll(); s.press("b") }},
			{"filter", func(s *screen) { s.press("/", "c", "a", "r", "t") }},
			{"over", func(s *screen) {
				s.src.run.Ended, s.src.run.Failed, s.src.run.Verdict, s.src.run.Active = "the capture ended", true, "18 of 6,010 answers differ", 0
				s.poll()
			}},
		} {
			t.Run(fmt.Sprintf("%dx%d/%s", size[0], size[1], c.name), func(t *testing.T) {
				s := newScreen(t, size[0], size[1])
				c.do(s)
				golden(t, fmt.Sprintf("screen_%dx%d_%s", size[0], size[1], c.name), s.text())
			})
		}
	}
	for _, size := range [][2]int{{39, 24}, {80, 9}, {12, 3}, {1, 1}} {
		s := newScreen(t, size[0], size[1])
		golden(t, fmt.Sprintf("screen_%dx%d", size[0], size[1]), s.text())
	}
}

// Before anything is known there is a screen, too.
func TestNothingYet(t *testing.T) {
	src := &fakeSource{at: epoch, run: Run{Source: "eth0:80", Command: "./shop", State: "starting"}}
	s := &screen{newModel(Options{Source: src, Control: src}), t, src}
	s.st = styles{}
	if got := s.draw(); len(got) != 0 {
		t.Errorf("without a size %d lines are drawn", len(got))
	}
	s.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	s.text()
	s.poll()
	for tab := range tabs {
		s.press(fmt.Sprint(int(tab) + 1))
		golden(t, "nothing_"+strings.ReplaceAll(tabNames[tab], " ", "_"), s.text())
		s.press("enter", "esc")
		s.text()
	}
}

// Each key that the help and the last line show does something, and whatever can
// be done has a key, which is not another's at the same time.
func TestKeys(t *testing.T) {
	keys := newKeys()
	for i := range keys {
		a := &keys[i]
		if a.on == nil || a.do == nil || len(a.Keys()) == 0 || a.Help().Key == "" || a.Help().Desc == "" {
			t.Errorf("action %d (%s %s) is not whole", i, a.Help().Key, a.Help().Desc)
		}
	}
	// Wherever one can be, all actions that are possible are reached by each of
	// their keys.
	acted := map[int]bool{}
	for name, there := range places() {
		reached := newScreen(t, 100, 40)
		there(reached)
		for i := range reached.keys {
			a := &reached.keys[i]
			if !a.on(reached.Model) {
				continue
			}
			for _, k := range a.Keys() {
				s := newScreen(t, 100, 40)
				there(s)
				found := -1
				for j := range s.keys {
					b := &s.keys[j]
					do := b.do
					s.keys[j].do = func(m *Model) tea.Cmd {
						if found < 0 {
							found = j
						}
						return do(m)
					}
				}
				before, did := s.text()+fmt.Sprint(s.focus()), len(s.src.done())
				s.press(k)
				s.poll()
				if found != i {
					t.Errorf("%s: %s should %s, and action %d does (%v)", name, k, a.Help().Desc, found, found)
					continue
				}
				if s.text()+fmt.Sprint(s.focus()) != before || len(s.src.done()) > did {
					acted[i] = true
				}
			}
		}
	}
	for i := range keys {
		if !acted[i] {
			t.Errorf("%s (%s) does nothing anywhere", keys[i].Help().Key, keys[i].Help().Desc)
		}
	}
}

// places are where one can be on the screen, and how one gets there.
func places() map[string]func(*screen) {
	paused := func(s *screen) { s.press("p"); s.poll() }
	return map[string]func(*screen){
		"sessions":    func(s *screen) { s.press("down", "down") },
		"filtered":    func(s *screen) { s.press("/", "1", "enter", "down") },
		"paused":      func(s *screen) { paused(s); s.press("down") },
		"session":     func(s *screen) { s.press("down", "enter", "down") },
		"stepping":    func(s *screen) { paused(s); s.press("down", "enter", "down") },
		"answers":     func(s *screen) { s.press("down", "enter", "]", "enter") },
		"differences": func(s *screen) { s.press("2") },
		"lower down":  func(s *screen) { s.press("2", "down") },
		"difference":  func(s *screen) { s.press("2", "enter") },
		"egress":      func(s *screen) { s.press("3") },
		"log":         func(s *screen) { s.press("4", "up") },
		"ledger":      func(s *screen) { s.press("5") },
		"help":        func(s *screen) { s.press("?") },
		"breaks":      func(s *screen) { s.press("b") },
		"breaks set":  func(s *screen) { s.press("b", "d"); s.poll(); s.press("b") },
		"over":        func(s *screen) { s.src.run.Ended = "the capture ended"; s.poll() },
	}
}

// The last line always says how to get help, and out, or back.
func TestHints(t *testing.T) {
	for name, there := range places() {
		for _, size := range [][2]int{{40, 10}, {80, 24}} {
			s := newScreen(t, size[0], size[1])
			there(s)
			s.note, s.menu, s.prompt = note{}, false, nil
			lines := strings.Split(strings.TrimSuffix(s.text(), "\n"), "\n")
			last := lines[len(lines)-1]
			if !strings.Contains(last, "? help") || !strings.Contains(last, "q quit") && !strings.Contains(last, "esc back") {
				t.Errorf("%s at %v: the last line is %q", name, size, last)
			}
			if want := "p resume"; s.run.Paused && size[0] == 80 && !strings.Contains(last, want) {
				t.Errorf("%s at %v: the last line lacks %q: %q", name, size, want, last)
			}
		}
	}
}

// What keys do to the run.
func TestControls(t *testing.T) {
	s := newScreen(t, 100, 30)
	s.press("p")
	s.poll()
	s.sees("PAUSED")
	for range 3 { // to the session that has something to send
		s.press("down")
	}
	s.press("n")
	s.sees("session 4: one chunk goes")
	s.press("up", "n")
	s.sees("session 3 has nothing to send")
	s.press("p")
	s.press("b", "d")
	s.poll()
	s.press("b", "c")
	s.poll()
	s.sees("◉ difference, early close")
	s.press("b", "x")
	s.press("b", "l")
	s.press("backspace", "backspace", "backspace", "backspace", "backspace", "enter")
	s.sees("a time, such as 100ms")
	s.press("2", "s", "enter")
	s.press("R", "+", "-", "w", "y")
	s.sees("copied: tcpsandbox run --capture session-2.pcapng")
	s.press("q")
	s.poll()
	want := "pause, step 4/0, step 3/0, resume, break difference, break difference, early close, break , break answer over 2s, restart, faster, slower, save 2, quit true, left"
	if got := strings.Join(s.src.done(), ", "); got != want {
		t.Errorf("the keys did\n%s, want\n%s", got, want)
	}
}

// q waits for the run's end; a second time it does not.
func TestQuit(t *testing.T) {
	for _, c := range []struct{ keys, want string }{
		{"q", "quit true, left"}, {"Q", "quit false, left"}, {"ctrl+c", "quit true, left"}, {"q q", "quit true, quit false, left"}, {"q Q", "quit true, quit false, left"},
	} {
		s := newScreen(t, 80, 24)
		s.press(strings.Fields(c.keys)...)
		s.poll()
		if got := strings.Join(s.src.done(), ", "); got != c.want {
			t.Errorf("%s: %s, want %s", c.keys, got, c.want)
		}
	}
	// Without anything to control, or after the run, it leaves.
	s := newScreen(t, 80, 24)
	s.src.run.Ended = "the capture ended"
	s.poll()
	s.press("q")
	if got := s.src.done(); len(got) != 1 || got[0] != "left" {
		t.Errorf("after the run q does %v", got)
	}
}

// A break shows the session that it came in.
func TestBreakShowsItsSession(t *testing.T) {
	s := newScreen(t, 120, 40)
	s.press("3")
	s.src.run.Paused = true
	s.src.run.Hit = &Hit{Session: 3, Why: "the application reset the connection"}
	s.poll()
	s.sees("paused: the application reset the connection", "192.0.2.200:51000", "reset the connection after answering 0 of 1 request")
	s.press("esc", "down")
	s.poll() // the same hit is told of once
	if s.depth != atList {
		t.Error("a break is told of twice")
	}
}

// The mouse: tabs, rows, the wheel.
func TestMouse(t *testing.T) {
	s := newScreen(t, 80, 24)
	click := func(x, y int) { s.send(tea.MouseClickMsg(tea.Mouse{X: x, Y: y, Button: tea.MouseLeft})) }
	line := strings.Split(s.text(), "\n")[3]
	at := strings.Index(line, "differences")
	if at < 0 {
		t.Fatalf("no such tab: %q", line)
	}
	click(at, 3)
	if s.tab != tabDifferences {
		t.Errorf("a click on the second tab opens %d", s.tab)
	}
	s.text()
	click(5, 6)
	if s.differences.at != 1 {
		t.Errorf("a click chose group %d", s.differences.at)
	}
	click(5, 6)
	if s.depth != atAnswers {
		t.Error("a second click does not open")
	}
	s.press("1")
	before := s.chosen()
	s.send(tea.MouseWheelMsg(tea.Mouse{X: 5, Y: 10, Button: tea.MouseWheelDown}))
	if s.chosen() == before {
		t.Error("the wheel does nothing")
	}
}

// However the screen is resized, what is drawn has its size.
func TestResize(t *testing.T) {
	for name, there := range places() {
		s := newScreen(t, 100, 40)
		there(s)
		for w := 1; w < 170; w += 13 {
			for h := 1; h < 70; h += 7 {
				s.send(tea.WindowSizeMsg{Width: w, Height: h})
				if len(s.text()) == 0 {
					t.Fatalf("%s: nothing is drawn on %dx%d", name, w, h)
				}
			}
		}
	}
}

// What is left of a run, or a capture that was never played, has no rates.
func TestNothingUnderWay(t *testing.T) {
	src := shopRun()
	src.run = Run{Source: "shop.pcapng", Ended: "a capture: nothing was played", Sessions: report.Sessions{Seen: 5}, Packets: 1200, Captured: 98_000}
	src.sessions = src.sessions[:1]
	src.sessions[0].Delivered, src.sessions[0].Answered = -1, -1
	s := &screen{newModel(Options{Source: src, Keeper: src}), t, src}
	s.st = styles{}
	s.send(tea.WindowSizeMsg{Width: 120, Height: 24})
	s.poll()
	golden(t, "screen_capture", s.text())
	s.press("p", "+", "R")
	if did := src.done(); len(did) > 0 {
		t.Errorf("the keys did %v", did)
	}
}
