package terminal

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Tmux is a command in a window of a tmux server of its own. Its methods may be
// called by one goroutine; failures end the test.
type Tmux struct {
	t      testing.TB
	socket string
}

// StartTmux runs a command under tmux. It skips the test where there is no
// tmux, or fails it with TCPSANDBOX_NEED=all. The window stays when the command
// has ended, with its last screen. The test's end ends the server, which hangs
// the command up.
func StartTmux(t testing.TB, cols, rows int, command ...string) *Tmux {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		if os.Getenv("TCPSANDBOX_NEED") == "all" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	// A socket's path has 107 characters at most, and a test's folder may be longer.
	dir, err := os.MkdirTemp("", "tmux-test-")
	if err != nil {
		t.Fatal(err)
	}
	tm := &Tmux{t: t, socket: filepath.Join(dir, "socket")}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Cleanup(tm.close)
	args := []string{"new-session", "-d", "-x", strconv.Itoa(cols), "-y", strconv.Itoa(rows), "-s", "test", "--"}
	tm.run(append([]string{
		"set-option", "-g", "remain-on-exit", "on", ";",
		"set-option", "-g", "status", "off", ";",
		"set-option", "-s", "escape-time", "0", ";",
		"set-option", "-g", "default-terminal", "tmux-256color", ";",
	}, append(args, command...)...)...)
	return tm
}

// close ends the server and waits for that.
func (tm *Tmux) close() {
	pid, err := strconv.Atoi(strings.TrimSpace(tm.ask("display-message", "-p", "#{pid}")))
	if err != nil {
		return // it has not started
	}
	tm.ask("kill-server")
	for deadline := time.Now().Add(patience); unix.Kill(pid, 0) == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			tm.t.Errorf("tmux (process %d) does not end", pid)
			return
		}
	}
}

// command is a call of tmux for our server, without the user's configuration.
func (tm *Tmux) command(args []string) *exec.Cmd {
	c := exec.Command("tmux", append([]string{"-S", tm.socket, "-f", "/dev/null", "-u"}, args...)...)
	c.Env = Environment()
	return c
}

func (tm *Tmux) run(args ...string) {
	tm.t.Helper()
	if out, err := tm.command(args).CombinedOutput(); err != nil {
		tm.t.Fatalf("tmux %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// ask returns what tmux prints, or "" where it fails.
func (tm *Tmux) ask(args ...string) string {
	out, err := tm.command(args).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// Send types text as it stands.
func (tm *Tmux) Send(text string) {
	tm.t.Helper()
	tm.run("send-keys", "-t", "test", "-l", "--", text)
}

// Press types keys by tmux' names for them: Enter, Escape, Tab, BTab, Up, PPage,
// C-c.
func (tm *Tmux) Press(keys ...string) {
	tm.t.Helper()
	tm.run(append([]string{"send-keys", "-t", "test", "--"}, keys...)...)
}

// Resize changes the window's size.
func (tm *Tmux) Resize(cols, rows int) {
	tm.t.Helper()
	tm.run("resize-window", "-t", "test", "-x", strconv.Itoa(cols), "-y", strconv.Itoa(rows))
}

// Screen returns what is shown now, line by line, without trailing blanks.
func (tm *Tmux) Screen() string {
	return strings.TrimSuffix(tm.ask("capture-pane", "-p", "-t", "test"), "\n")
}

// History returns what is shown, after what was scrolled out of it.
func (tm *Tmux) History() string { return tm.ask("capture-pane", "-p", "-S", "-", "-t", "test") }

// Alternate reports whether the alternate screen is shown.
func (tm *Tmux) Alternate() bool {
	return strings.TrimSpace(tm.ask("display-message", "-p", "-t", "test", "#{alternate_on}")) == "1"
}

// Leftovers lists what differs from a fresh window, but for its text; empty
// when a program has given everything back. When the command has ended tmux
// hides the cursor itself.
func (tm *Tmux) Leftovers() (all []string) {
	flags := "alternate_on=0 mouse_any_flag=0 mouse_button_flag=0 mouse_standard_flag=0 mouse_all_flag=0 mouse_sgr_flag=0 keypad_cursor_flag=0 wrap_flag=1"
	if strings.TrimSpace(tm.ask("display-message", "-p", "-t", "test", "#{pane_dead}")) != "1" {
		flags += " cursor_flag=1"
	}
	for flag := range strings.FieldsSeq(flags) {
		name, fresh, _ := strings.Cut(flag, "=")
		if is := strings.TrimSpace(tm.ask("display-message", "-p", "-t", "test", "#{"+name+"}")); is != fresh {
			all = append(all, fmt.Sprintf("%s is %q", name, is))
		}
	}
	return all
}

// WaitFor waits until a text is on the screen, and returns the screen.
func (tm *Tmux) WaitFor(text string) string {
	tm.t.Helper()
	return tm.WaitUntil(fmt.Sprintf("%q is on the screen", text), func(screen string) bool {
		return strings.Contains(screen, text)
	})
}

// WaitUntil waits until a condition holds for the screen, which what describes,
// and returns the screen. Without it in time the test fails with the screen.
func (tm *Tmux) WaitUntil(what string, holds func(screen string) bool) string {
	tm.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		screen := tm.Screen()
		if holds(screen) {
			return screen
		}
		if time.Now().After(deadline) {
			tm.t.Fatalf("never: %s\n%s", what, screen)
		}
		time.Sleep(20 * time.Millisecond) // each look is a process
	}
}
