package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tcpsandbox/e2e/terminal"
)

// screenDemo goes through the demo by the keyboard alone.
func screenDemo(t *testing.T, w *world) {
	if raceDetector {
		t.Skip("with the race detector the demo's minute is over before all keys were pressed; it is run without, too")
	}
	s := w.screen("demo", "demo", "--duration", "60s")
	s.running()

	// The difference: both values.
	s.Send("2")
	s.WaitFor("$.total")
	s.Send(terminal.Enter)
	values := regexp.MustCompile(`\$\.total: (\d+) → (\d+)`)
	got := values.FindStringSubmatch(s.WaitUntil("both values are shown", values.MatchString))
	for _, value := range got[1:] {
		s.WaitFor(`"total": ` + value)
	}
	if production, application := atoi(t, got[1]), atoi(t, got[2]); application-application/10 != production {
		t.Errorf("the planted bug turns %d into %d, not into %d", application-application/10, production, application)
	}

	// The session that it comes from, and back to the table.
	s.Send("o")
	s.WaitUntil("the session is open", func(screen string) bool { return compared(screen) > 0 })
	s.Send(terminal.Escape)
	s.WaitUntil("the table has the whole screen", func(screen string) bool { return compared(screen) < 0 })

	// Nothing goes on while it is paused, but the capture.
	s.Send("p")
	s.WaitFor("PAUSED")
	s.Send("/pause up<1" + terminal.Enter)
	s.WaitUntil("sessions wait to be opened", func(screen string) bool {
		return len(sent(screen)) > 1 && unsent(screen) == len(sent(screen))
	})
	s.Send("/\x15pause up>0" + terminal.Enter) // Ctrl-U empties the line
	s.WaitUntil("only held sessions are shown", func(screen string) bool {
		return strings.Contains(screen, "match pause up>0") && len(tableRows(screen)) > 1
	})
	s.Send(terminal.Home + terminal.Enter)
	s.WaitUntil("the session is open", func(screen string) bool { return compared(screen) > 0 })
	before := s.still()
	stepped := strings.Fields(strings.TrimPrefix(line(before, "▸"), "▸"))[0]
	count := compared(before)
	s.Send("n")
	s.WaitUntil("another answer has come", func(screen string) bool { return compared(screen) > count })
	after := s.still()
	if compared(after) != count+1 {
		t.Errorf("a step has led from %d answers to\n%s", count, after)
	}
	for session, was := range sent(before) {
		if is := sent(after)[session]; (is == was) != (session != stepped) {
			t.Errorf("session %s was stepped, and session %s has sent %s, before %s", stepped, session, is, was)
		}
	}

	// Its packets, in a file.
	s.Send("w")
	file := fmt.Sprintf("session-%s.pcapng", stepped)
	s.WaitFor(fmt.Sprintf("session %s was written to %s", stepped, file))
	if got := w.saved(); !slices.Equal(got, []string{file}) {
		t.Errorf("written: %q", got)
	}
	if err := w.background("show", "prod", "tcpsandbox", "show", file).expect("0"); err != nil {
		t.Fatal(err)
	}
	client := tableRows(after)[stepped][1]
	if text := w.file("show.out"); !strings.Contains(text, "1 session") || !strings.Contains(text, client) {
		t.Errorf("show says:\n%s", text)
	}

	s.Send("?")
	s.WaitFor("let one chunk of this session go")
	s.Send("q")
	s.WaitUntil("the help is gone", func(screen string) bool { return !strings.Contains(screen, "let one chunk of this session go") })
	s.Send("p")
	s.running()
	s.WaitUntil("the stepped session goes on", func(screen string) bool { return compared(screen) > count+2 })

	s.Send("q")
	s.over(0, "(100 %)", "GET /cart", "that is the bug that was")
}

// screenTmux is the same in short, and tmux judges what is on the screen.
func screenTmux(t *testing.T, w *world) {
	var tm *terminal.Tmux
	// From a shell, which tells the exit code: tmux 3.3a now and then does not
	// hear of the end of a pane's own process.
	w.inProd(func() {
		tm = terminal.StartTmux(t, 100, 30, "sh", "-c", `cd "$0" && "$@"; echo "its exit code is $?"; exec cat`, w.dir,
			"env", markWorld+"="+w.dir, markName+"=tmux", "tcpsandbox", "demo", "--duration", "60s")
	})
	tm.WaitFor("▶ running")
	if !tm.Alternate() {
		t.Error("the screen is not the alternate one")
	}
	tm.Send("2")
	tm.WaitFor("$.total")
	tm.Press("Enter")
	tm.WaitFor("$.total: ")
	tm.Send("o")
	tm.WaitUntil("the session is open", func(screen string) bool { return compared(screen) > 0 })
	tm.Press("Escape")
	tm.WaitUntil("the table has the whole screen", func(screen string) bool { return compared(screen) < 0 })
	tm.Send("p")
	tm.WaitFor("PAUSED")
	tm.Send("n")
	tm.WaitUntil("the step is told of", func(screen string) bool {
		return regexp.MustCompile(`session \d+(: one chunk goes| has nothing to send)`).MatchString(lastLine(screen))
	})
	tm.Send("w")
	tm.WaitFor(".pcapng")
	tm.Resize(40, 9)
	tm.WaitFor("too small")
	tm.Resize(80, 24)
	tm.WaitFor("PAUSED")
	tm.Send("p")
	tm.WaitFor("▶ running")
	tm.Send("q")
	tm.WaitFor("its exit code is 0")
	if text := tm.History(); !strings.Contains(text, "that is the bug that was") || !strings.Contains(text, "GET /cart") {
		t.Errorf("the normal screen has\n%s", text)
	}
	if left := tm.Leftovers(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	w.await("nothing runs any more", func() bool { return len(w.descendants("tmux")) == 0 })
}

// still waits until a thousand packets are captured in which no answer comes and
// no session that is shown sends anything. What was under way when a pause came
// may come before.
func (s *shown) still() string {
	s.w.t.Helper()
	state := func(screen string) string {
		return line(screen, "answers ") + fmt.Sprint(sent(screen))
	}
	before := ""
	return s.WaitUntil("only packets are counted", func(screen string) bool {
		if state(screen) != state(before) {
			before = screen
			return false
		}
		return figure(screen, "packets ") >= figure(before, "packets ")+1000
	})
}

// sent returns what the table's sessions have sent and got, in bytes as shown.
func sent(screen string) map[string]string {
	all := map[string]string{}
	for session, words := range tableRows(screen) {
		all[session] = strings.Join(words[len(words)-2:], " up, down ")
	}
	return all
}

// unsent counts those of them that have sent nothing.
func unsent(screen string) (n int) {
	for _, bytes := range sent(screen) {
		if strings.HasPrefix(bytes, "0 ") {
			n++
		}
	}
	return n
}

// compared returns how many answers the open session has; -1: none is open of
// which any differ.
func compared(screen string) int {
	found := regexp.MustCompile(`differs in [0-9,]+ of ([0-9,]+) answers?: \$\.total`).FindStringSubmatch(screen)
	if found == nil {
		return -1
	}
	n, err := strconv.Atoi(strings.ReplaceAll(found[1], ",", ""))
	if err != nil {
		return -1
	}
	return n
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
