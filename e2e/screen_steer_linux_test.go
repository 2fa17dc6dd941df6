package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tcpsandbox/e2e/terminal"
)

// screenSteady measures what a large screen sends over the line, by itself and
// while keys are held down.
func screenSteady(t *testing.T, w *world) {
	w.production()
	s := w.screenOf("steady", 200, 60, nil, "run", "--capture", "eth0:80", "--", "testapp", "-listen", ":80")
	s.running()
	w.load("-connections", "5", "-requests", "5", "-rate", "50", "http") // whatever is drawn for the first time
	s.WaitFor("answers = 25 identical")
	began, before := time.Now(), s.Bytes()
	w.load("-connections", "5", "-requests", "50", "-rate", "50", "http")
	s.WaitFor("answers = 275 identical")
	took := time.Since(began).Seconds()
	if got := float64(s.Bytes()-before) / took; got > 20<<10 {
		t.Errorf("%.0f bytes a second in %.1f s, want 20 KB at most", got, took)
	} else {
		t.Logf("%.0f bytes and %.1f frames a second", got, float64(s.Bursts(began))/took)
	}
	if got := float64(s.Bursts(began)) / took; got > 30 {
		t.Errorf("%.1f frames a second, want 30 at most", got)
	}

	// Each key changes the screen, and comes faster than frames may.
	w.load("-connections", "60", "-requests", "1", "short")
	s.WaitFor("answers = 335 identical")
	began = time.Now()
	keys := time.NewTicker(5 * time.Millisecond)
	defer keys.Stop()
	held := 400
	if raceDetector { // a key took 75 ms then, with the machine shared by others
		held = 40
	}
	for n := range held {
		<-keys.C
		s.Send([]string{terminal.Down, terminal.Up}[n/25%2])
	}
	took = time.Since(began).Seconds()
	if got := s.Bursts(began); float64(got) > 30*1.05*took+1 { // one frame more than times between them
		t.Errorf("%d frames in %.2f s of held keys, want 30 a second at most", got, took)
	} else {
		t.Logf("%.1f frames a second of held keys", float64(got)/took)
	}
	s.Send("q")
	s.over(0)
}

// screenBreak stops at the first difference.
func screenBreak(t *testing.T, w *world) {
	w.production()
	s := w.screen("break", "run", "--capture", "eth0:80", "--", "testapp", "-listen", ":80", "-plant", "/item/0-3")
	s.running()
	s.Send("bd")
	s.WaitFor("◉ difference")
	w.load("-requests", "10", "-first-part", "10", "http")
	s.WaitFor("PAUSED")
	s.WaitFor("paused: session 1, GET /item/0-3")
	s.WaitFor("differs in 1 of 4 answers")
	if screen := s.Screen(); !strings.Contains(line(screen, "▸"), "10.77.0.2:") || figure(screen, "≠ ") < 1 {
		t.Error("the session is not in front")
	}
	s.Send("p")
	s.running()
	s.WaitFor("differs in 1 of 10 answers")
	s.Send("q")
	s.over(1, "(100 %)", "GET /item/0-3")
}

// screenRestart restarts the application between two requests of a session.
func screenRestart(t *testing.T, w *world) {
	w.production()
	s := w.screen("restart", "run", "--capture", "eth0:80", "--report", "restart.json", "--", "testapp", "-listen", ":80")
	s.running()
	load := w.background("load", "client", "load", "-to", "10.77.0.1:80", "-connections", "2", "-requests", "6",
		"-first-part", "3", "-ready", "ready", "-resume", "resume", "http")
	s.WaitFor("answers = 6 identical")
	pid := regexp.MustCompile(`\(pid (\d+), listens on`)
	before := pid.FindString(s.Screen())
	s.Send("R")
	s.WaitFor("the application was restarted")
	s.WaitUntil("there is another pid", func(screen string) bool {
		now := pid.FindString(screen)
		return before != "" && now != "" && now != before
	})
	if err := os.WriteFile(filepath.Join(w.dir, "resume"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := load.expect("0"); err != nil {
		t.Fatal(err)
	}
	s.WaitFor("answers = 12 identical")
	s.Send("q")
	s.over(0, "(100 %)")
	w.conditions("restart.json", "answers.identical == 12", "answers.compared == 12", "sessions.failed == 0", "exit_code == 0", `app.signal == ""`)
}

// screenSpeed plays a file faster and slower, and ends it at once.
func screenSpeed(t *testing.T, w *world) {
	w.capture("slow.pcap", 1, time.Hour)
	s := w.screen("speed", "run", "--capture", "slow.pcap:80", "--report", "speed.json", "--", "testapp", "-listen", ":80")
	s.running()
	for _, step := range []struct{ key, speed string }{{"+", "×2"}, {"+", "×4"}, {"-", "×2"}, {"-", "running "}, {"-", "×0.5"}} {
		s.Send(step.key)
		s.WaitUntil(fmt.Sprintf("%s makes it %s", step.key, step.speed), func(screen string) bool {
			return strings.Contains(line(screen, "tcpsandbox "), step.speed+" ")
		})
	}
	s.WaitFor("0.5 times the captured speed")
	s.Send("Q")
	s.over(0)
	w.conditions("speed.json", `ended == "signal"`, "exit_code == 0")
}
