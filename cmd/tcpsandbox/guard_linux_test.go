package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tcpsandbox/e2e/terminal"
)

// startGuarded runs the program with a full screen, and returns its guard's
// process id and the test's end of the pipe that the program has as its file 3.
func startGuarded(t *testing.T, cmd *exec.Cmd) (term *terminal.Terminal, guard int) {
	t.Helper()
	term = terminal.Start(t, 100, 40, cmd)
	words := strings.Fields(term.WaitFor(" up"))
	guard, err := strconv.Atoi(words[1])
	if err != nil {
		t.Fatalf("no guard: %q", words)
	}
	return term, guard
}

// gone reports whether a process has ended; whoever inherited it may reap it
// late.
func gone(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X")
}

func waitGone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !gone(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the guard (process %d) outlives what it guarded", pid)
		}
	}
}

// However a program with a full screen ends, the terminal is as it was.
func TestGuard(t *testing.T) {
	tests := []struct {
		name  string
		key   string
		kill  bool
		ended string
		shows []string // on the normal screen
		lacks []string
	}{
		{name: "quit", key: "q", ended: "exit status 0", shows: []string{"before the screen\nthe result"}, lacks: []string{"crashed"}},
		{name: "at once", key: "r", ended: "exit status 7", shows: []string{"before the screen\nended at once"}, lacks: []string{"crashed"}},
		{name: "exit", key: "o", ended: "exit status 8", shows: []string{"before the screen"}, lacks: []string{"crashed", "half"}},
		{name: "killed", kill: true, ended: "signal: killed", shows: []string{"before the screen"}, lacks: []string{"crashed"}},
		{
			name: "panic", key: "p", ended: "exit status 2", lacks: []string{"guard "},
			shows: []string{"before the screen\ntcpsandbox: crashed; this is a bug", "panic: quoting \ufffd[?1049h\ufffd]0;title\ufffd and \ufffd\n", "goroutine ", "playGuarded"},
		},
		{
			name: "fatal error", key: "d", ended: "exit status 2", lacks: []string{"guard "},
			shows: []string{"before the screen\ntcpsandbox: crashed; this is a bug", "fatal error: concurrent map"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			term, guard := startGuarded(t, guardedCommand())
			if !term.Alternate() {
				t.Fatal("the program shows no full screen")
			}
			if tt.kill {
				term.Signal(unix.SIGKILL)
			} else {
				term.Send(tt.key)
			}
			if got := term.Exit().String(); got != tt.ended {
				t.Errorf("it ended with %q, want %q", got, tt.ended)
			}
			term.Untouched()
			for _, want := range tt.shows {
				term.WaitUntil(fmt.Sprintf("%q is on the screen", want), func(string) bool { return strings.Contains(term.History(), want) })
			}
			waitGone(t, guard)
			for _, never := range tt.lacks {
				if got := term.History(); strings.Contains(got, never) {
					t.Errorf("%q is on the screen:\n%s", never, got)
				}
			}
		})
	}
}

// The first signal is told on the full screen, the second ends it and the process.
func TestSignalsGiveTerminalBack(t *testing.T) {
	term, guard := startGuarded(t, guardedCommand())
	term.Send("s")
	term.WaitFor("listens")
	term.Signal(unix.SIGTERM)
	term.WaitFor("<say: terminated: finishing")
	term.Signal(unix.SIGHUP)
	if got, want := term.Exit().ExitCode(), exitSignal+int(unix.SIGHUP); got != want {
		t.Errorf("exit code %d, want %d", got, want)
	}
	term.WaitFor("before the screen\ntcpsandbox: warning: missed\ntcpsandbox: ended by a second signal")
	term.Untouched()
	waitGone(t, guard)
}

// Lines that nobody expected do not disturb the screen, and come after it.
func TestGuardHoldsStderr(t *testing.T) {
	term, guard := startGuarded(t, guardedCommand())
	term.Send("l")
	if got := term.WaitFor("logged"); strings.Contains(got, "stray") {
		t.Errorf("the standard error is on the full screen:\n%s", got)
	}
	term.Send("q")
	term.WaitFor("before the screen\na stray line\ufffd[2J\nthe result")
	term.Untouched()
	waitGone(t, guard)
}

// A standard error that is a file has the whole crash, and the terminal, too.
func TestGuardStderrInFile(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "err"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := guardedCommand()
	cmd.Stderr = file
	term, guard := startGuarded(t, cmd)
	term.Send("p")
	term.Exit()
	term.WaitFor("panic: quoting \ufffd[?1049h")
	term.Untouched()
	waitGone(t, guard)
	if got, err := os.ReadFile(file.Name()); err != nil || !strings.Contains(string(got), "panic: "+hostileCrash) {
		t.Errorf("the file has %q, %v", got, err)
	}
}

// A program that crashes is not gone before the guard has noticed (TestWatch has
// what it does then): bash takes what it finds after an exit code for what was
// wanted. The guard is stopped here while the program dies.
func TestGuardBeforeExit(t *testing.T) {
	term, guard := startGuarded(t, guardedCommand())
	if err := unix.Kill(guard, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	term.Send("p")
	term.WaitUntil("the program waits", func(string) bool { return blockedInSend(term.Pid()) })
	if err := unix.Kill(guard, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	term.Exit()
	term.Untouched()
	waitGone(t, guard)
}

// blockedInSend reports whether a thread of a process waits for room in a
// socket.
func blockedInSend(pid int) bool {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/wchan", pid))
	for _, path := range tasks {
		if at, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(at), "sock_alloc_send") {
			return true
		}
	}
	return false
}

// What the program has started does not hold the guard back, and the guard holds
// no file of whoever started the program.
func TestGuardInherits(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	term, guard := startGuarded(t, guardedCommand(w))
	w.Close()
	term.Send("c")
	term.WaitFor("closed")
	if n, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read from the pipe that the program closed: %d bytes, %v", n, err)
	}
	term.Send("q")
	term.WaitFor("the result")
	term.Untouched()
	waitGone(t, guard)

	held, let, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer let.Close() // and the child ends
	term, guard = startGuarded(t, guardedCommand(held))
	held.Close()
	term.Send("x")
	term.WaitFor("child runs")
	term.Signal(unix.SIGKILL)
	term.Exit()
	term.Untouched()
	waitGone(t, guard)
}

// The terminal's signals, and others, do not end the guard.
func TestGuardSignals(t *testing.T) {
	term, guard := startGuarded(t, guardedCommand())
	// It has to be the guard already, and not be on its way there.
	term.WaitUntil("the guard ignores signals", func(string) bool { return ignores(guard, unix.SIGTTOU) })
	for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGTTOU} {
		if err := unix.Kill(guard, sig); err != nil {
			t.Fatal(err)
		}
	}
	term.Signal(unix.SIGKILL)
	term.Exit()
	term.Untouched()
	waitGone(t, guard)
}

// The prompt of a shell with job control, which sets the terminal up itself,
// works after a program that died. What the shell says of a kill may be on the
// alternate screen and gone with it.
func TestGuardUnderShell(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		if os.Getenv("TCPSANDBOX_NEED") == "all" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	for _, tt := range []struct {
		name string
		die  func(term *terminal.Terminal, pid int)
		says string
	}{
		{"panic", func(term *terminal.Terminal, _ int) { term.Send("p") }, "panic: quoting"},
		{"killed", func(_ *terminal.Terminal, pid int) { unix.Kill(pid, unix.SIGKILL) }, "before"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sh := exec.Command("bash", "--norc", "--noprofile", "-i")
			sh.Env = append(os.Environ(), "PS1=ready> ", "PS2=", "HISTFILE=", "TERM=xterm-256color", "GORACE=atexit_sleep_ms=0")
			term := terminal.Start(t, 100, 50, sh)
			term.WaitFor("ready>")
			term.Send(fmt.Sprintf("%s=1 /proc/%d/exe"+terminal.Enter, guardedVar, os.Getpid()))
			words := strings.Fields(term.WaitFor(" up"))
			guard, err := strconv.Atoi(words[1])
			if err != nil {
				t.Fatalf("no guard: %q", words)
			}
			tt.die(term, parentOf(t, guard))
			waitGone(t, guard)
			term.WaitUntil("the shell is back", func(string) bool { return strings.Contains(term.History(), tt.says) && !term.Alternate() })
			term.Send(terminal.Enter + "stty -a; echo end of $((1+1)) settings" + terminal.Enter)
			got := term.WaitFor("end of 2 settings")
			for _, want := range []string{"icanon", "isig", "opost", "echo", "icrnl"} {
				if !slices.Contains(strings.Fields(got), want) {
					t.Errorf("the shell's commands do not have %s:\n%s", want, got)
				}
			}
			term.Send("exit" + terminal.Enter)
			term.Exit()
		})
	}
}

// parentOf returns a process's parent.
func parentOf(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(status), "PPid:\t")
	line, _, _ = strings.Cut(line, "\n")
	parent, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return parent
}

// ignores reports whether a process ignores a signal.
func ignores(pid int, sig unix.Signal) bool {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, mask, _ := strings.Cut(string(status), "SigIgn:\t")
	mask, _, _ = strings.Cut(mask, "\n")
	bits, _ := strconv.ParseUint(mask, 16, 64)
	return bits>>(sig-1)&1 == 1
}

// A shell that has its terminal back with settings of its own keeps them.
func TestGuardLeavesShellAlone(t *testing.T) {
	term, guard := startGuarded(t, guardedCommand())
	tty, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/0", term.Pid()), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	editing := term.Termios()
	editing.Lflag |= unix.ISIG
	editing.Oflag |= unix.OPOST
	if err := unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, &editing); err != nil {
		t.Fatal(err)
	}
	term.Signal(unix.SIGKILL)
	waitGone(t, guard)
	if term.Termios() != editing {
		t.Error("the guard has changed settings that another program has made")
	}
	term.WaitUntil("the normal screen is shown", func(string) bool { return !term.Alternate() })
}

func TestLastWords(t *testing.T) {
	text := func(s string) excerpt { return excerpt{text: []byte(s)} }
	const bug = "tcpsandbox: crashed; this is a bug, please report it with the command line and this text:\n"
	for _, tt := range []struct {
		name          string
		crash, stderr excerpt
		want          string
	}{
		{"none", text(""), text(""), ""},
		{"killed, with a line", text(""), text("late\n"), "late\n"},
		{"the standard error is a file", text("panic: x\n\ngoroutine 1 [running]:\n\tmain.go:1\n"), text(""), bug + "panic: x\n\ngoroutine 1 [running]:\n\tmain.go:1\n"},
		{"both", text("\ngoroutine 1"), text("fatal error: y\n\ngoroutine 1"), bug + "fatal error: y\n\ngoroutine 1\n"},
		{"no line end", text("panic: x"), text(""), bug + "panic: x\n"},
		{"sequences", text("panic: \x1b[2J\x9b\x07\x7f\r\u009b\u202e\u200b\xff\n"), text(""), bug + "panic: \ufffd[2J\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\n"},
		{"cut", excerpt{[]byte("panic: x\n"), 1234}, text(""), bug + "panic: x\n[1,234 bytes more]\n"},
		{"crossed with a release", text("panic: x\n" + guardWord), text(""), bug + "panic: x\n"},
		{"asked for", text("SIGQUIT: quit\nPC=0x0\n"), text(""), "tcpsandbox: ended by a signal; this is what it did:\nSIGQUIT: quit\nPC=0x0\n"},
	} {
		if got := lastWords(tt.crash, tt.stderr); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestWatch(t *testing.T) {
	long := strings.Repeat("x", crashMax+10)
	for _, tt := range []struct {
		name         string
		line, stderr string
		begun        int
	}{
		{"nothing", "", "", 0},
		{"the word", guardWord, "", 0},
		{"half a word", guardWord[:3], "", 0},
		{"a crash", "panic: x", "", 1},
		{"both", "panic: x", "more: panic: x", 1},
		{"only lines", "", "some\nlines\n", 0},
		{"long ones", long, long, 1},
	} {
		var ends [2][2]*os.File
		for i := range ends {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			ends[i] = [2]*os.File{r, w}
		}
		noticed := make(chan struct{})
		go func() { // the end of the standard error is not waited for, only what is there
			ends[1][1].WriteString(tt.stderr)
			ends[0][1].WriteString(tt.line)
			if tt.begun > 0 { // the end comes only when the crash was noticed
				select {
				case <-noticed:
				case <-time.After(30 * time.Second):
					t.Errorf("%s: the crash was not noticed before the end", tt.name)
				}
			}
			ends[0][1].Close()
		}()
		begun := 0
		crash, stderr := watch(int(ends[0][0].Fd()), int(ends[1][0].Fd()), func() { begun++; close(noticed) })
		for _, e := range ends {
			e[0].Close()
			e[1].Close()
		}
		for i, got := range []excerpt{crash, stderr} {
			all := []string{tt.line, tt.stderr}[i]
			if string(got.text) != all[:min(len(all), crashMax)] || got.cut != max(0, len(all)-crashMax) {
				t.Errorf("%s: %d: %d bytes and %d cut, want of %d", tt.name, i, len(got.text), got.cut, len(all))
			}
		}
		if begun != tt.begun {
			t.Errorf("%s: the crash began %d times, want %d", tt.name, begun, tt.begun)
		}
	}
}
