package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vishvananda/netns"

	"tcpsandbox/e2e/terminal"
)

// The screen of run, as a person has it: on a terminal, by its keys.

// TestScreen's parts run beside each other, each in a world of its own.
func TestScreen(t *testing.T) {
	lookAtSources(t)
	if os.Geteuid() != 0 {
		lack(t, "network namespaces need root")
	}
	for name, test := range map[string]func(*testing.T, *world){
		"demo": screenDemo, "tmux": screenTmux, // screen_demo_linux_test.go
		"ends": screenEnds, "application": screenApplication, "size": screenSize, "left": screenLeft, "private": screenPrivate, "plain": screenPlain, "input": screenInput, "foreign": screenForeign,
		"steady": screenSteady, "break": screenBreak, "restart": screenRestart, "speed": screenSpeed, // screen_steer_linux_test.go
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, bareWorld(t, "screen-"+name+"-"))
		})
	}
}

// shown is a tcpsandbox on a terminal.
type shown struct {
	*terminal.Terminal
	w     *world
	name  string
	guard []int // processes that guard the terminal, once run has opened its screen
}

// screen runs tcpsandbox in production's namespace, on a terminal of 120x40.
func (w *world) screen(name string, args ...string) *shown {
	return w.screenOf(name, 120, 40, nil, args...)
}

// screenOf is screen with a size, and with what edit changes in the command.
func (w *world) screenOf(name string, cols, rows int, edit func(*exec.Cmd), args ...string) *shown {
	w.t.Helper()
	cmd := exec.Command("tcpsandbox", args...)
	cmd.Dir, cmd.Env = w.dir, w.marked(name)
	if edit != nil {
		edit(cmd)
	}
	s := &shown{w: w, name: name}
	w.inProd(func() { s.Terminal = terminal.Start(w.t, cols, rows, cmd) })
	return s
}

// marked is the environment of a process of that name.
func (w *world) marked(name string) []string {
	// The marks come first: descendants looks for both together.
	return append([]string{markWorld + "=" + w.dir, markName + "=" + name}, terminal.Environment()...)
}

// inProd calls f on this goroutine, in production's namespace. f may end the
// test.
func (w *world) inProd(f func()) {
	w.t.Helper()
	runtime.LockOSThread()
	here, err := netns.Get()
	if err != nil {
		w.t.Fatal(err)
	}
	defer here.Close()
	if err := netns.Set(w.namespaces["prod"].fd); err != nil {
		w.t.Fatal(err)
	}
	defer func() {
		if err := netns.Set(here); err != nil { // the thread is lost, and ends with the goroutine
			w.t.Errorf("back to the namespace: %v", err)
			return
		}
		runtime.UnlockOSThread()
	}()
	f()
}

// background starts a program as the scripts' start does.
func (w *world) background(name, ns string, args ...string) *process {
	w.t.Helper()
	p, err := w.start(name, ns, w.dir, os.Getenv, args)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// production starts a server on port 80 and waits for it.
func (w *world) production() {
	w.t.Helper()
	w.background("production", "prod", "testapp", "-listen", ":80")
	w.await("production listens", func() bool {
		found, err := w.namespaces["prod"].listens(80, false)
		if err != nil {
			w.t.Fatal(err)
		}
		return found
	})
}

func (w *world) await(what string, holds func() bool) {
	w.t.Helper()
	if err := await(what, holds); err != nil {
		w.t.Fatal(err)
	}
}

// load sends requests to production, and waits for the end.
func (w *world) load(args ...string) {
	w.t.Helper()
	name := fmt.Sprintf("load%d", len(w.order))
	if err := w.background(name, "client", append([]string{"load", "-to", "10.77.0.1:80"}, args...)...).expect("0"); err != nil {
		w.t.Fatal(err)
	}
}

// file reads one of the world's.
func (w *world) file(name string) string { return readText(filepath.Join(w.dir, name)) }

// conditions checks a report as the scripts' report does.
func (w *world) conditions(name string, conditions ...string) {
	w.t.Helper()
	if err := checkReport(filepath.Join(w.dir, name), name, conditions); err != nil {
		w.t.Error(err)
	}
}

// running waits until sessions are played.
func (s *shown) running() { s.w.t.Helper(); s.opened("▶ running") }

// finished waits until the run is over, and the screen is still there.
func (s *shown) finished() { s.w.t.Helper(); s.opened("the run is over") }

// opened waits for a text on the screen, and notes who guards the terminal.
func (s *shown) opened(text string) {
	s.w.t.Helper()
	s.WaitFor(text)
	if s.guard != nil {
		return
	}
	for _, pid := range s.w.descendants(s.name) {
		s.guard = append(s.guard, guards(pid)...)
	}
	if len(s.guard) != 1 || !s.Alternate() {
		s.w.t.Errorf("%s: the screen is not the alternate one, or has not one guard but %s", s.name, describe(s.guard))
	}
}

// over waits for the end, and checks its code and that nothing is left: the
// terminal is as it was, and no process runs. It returns what the normal screen
// shows, which has the texts.
func (s *shown) over(code int, texts ...string) string {
	s.w.t.Helper()
	state := s.Exit()
	s.gone()
	if got := state.ExitCode(); got != code {
		s.w.t.Errorf("%s: exit code %d, want %d (%v)\n%s", s.name, got, code, state, s.History())
	}
	for _, text := range texts {
		s.WaitUntil(fmt.Sprintf("%q is on the normal screen", text), func(string) bool { return strings.Contains(s.History(), text) })
	}
	return s.History()
}

// gone waits until nothing is left of a process that has ended.
func (s *shown) gone() {
	s.w.t.Helper()
	s.Untouched()
	if err := await(s.name+" has no descendants", func() bool { return len(s.w.descendants(s.name)) == 0 }); err != nil {
		s.w.t.Errorf("%v: %s", err, describe(s.w.descendants(s.name)))
	}
	s.w.await("the terminal's guard is gone", func() bool {
		return !slices.ContainsFunc(s.guard, isGuard)
	})
}

// guards returns the children of a process that guard its terminal. They have no
// mark in their environment.
func guards(parent int) []int {
	return slices.DeleteFunc(children(parent), func(pid int) bool { return !isGuard(pid) })
}

// children returns the processes that a process has started.
func children(parent int) (pids []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, f := range files {
		for child := range strings.FieldsSeq(readText(f)) {
			if pid, err := strconv.Atoi(child); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func isGuard(pid int) bool {
	return strings.HasPrefix(readText(fmt.Sprintf("/proc/%d/cmdline", pid)), "tcpsandbox-terminal-guard\x00")
}

// figure returns the number after a word on a screen, such as "packets 1.20k";
// -1: there is none.
func figure(screen, word string) float64 {
	found := regexp.MustCompile(regexp.QuoteMeta(word) + `\s*([0-9.]+)([kMG]?)`).FindStringSubmatch(screen)
	if found == nil {
		return -1
	}
	n, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		return -1
	}
	return n * map[string]float64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[found[2]]
}

// line returns the line of a screen that has a text; "": none.
func line(screen, text string) string {
	for l := range strings.SplitSeq(screen, "\n") {
		if strings.Contains(l, text) {
			return l
		}
	}
	return ""
}

// lastLine is where notes stand.
func lastLine(screen string) string {
	lines := strings.Split(screen, "\n")
	return lines[len(lines)-1]
}

// tableRows returns the rows of the session table by session: their words.
func tableRows(screen string) map[string][]string {
	rows := map[string][]string{}
	for l := range strings.SplitSeq(screen, "\n") {
		words := strings.Fields(strings.TrimPrefix(l, "▸"))
		if len(words) < 4 || !strings.Contains(words[1], ":") {
			continue
		}
		if _, err := strconv.Atoi(words[0]); err == nil {
			rows[words[0]] = words
		}
	}
	return rows
}

// saved returns the capture files in the world's directory.
func (w *world) saved() []string {
	all, err := fs.Glob(os.DirFS(w.dir), "*.pcapng")
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(all)
	return all
}
