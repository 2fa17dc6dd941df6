package terminal

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// patience is how long a condition may take before the test fails. It asserts
// nothing: two busy cores with the race detector are slow.
const patience = 30 * time.Second

// Terminal is a command on a pseudo-terminal, the controlling terminal of its
// own session. Its methods may be called by one goroutine; failures end the test.
type Terminal struct {
	t       testing.TB
	cmd     *exec.Cmd
	master  *os.File // the keyboard's and the screen's end
	slave   *os.File // the command's end; held so that the terminal outlives it
	before  unix.Termios
	started bool
	ended   chan struct{} // closed when the command was waited for
	reading sync.WaitGroup

	mu      sync.Mutex
	screen  *Screen
	output  []byte
	bursts  []time.Time
	changed chan struct{} // closed at the next output
}

// Start runs a command on a new terminal, which is its standard input, output
// and error, unless those are set, and its controlling terminal. Without an
// environment of its own it gets [Environment]. The test's end kills it if it still runs; what it has started is its
// own business.
func Start(t testing.TB, cols, rows int, cmd *exec.Cmd) *Terminal {
	t.Helper()
	master, slave, err := open()
	if err != nil {
		t.Fatalf("open a pseudo-terminal: %v", err)
	}
	term := &Terminal{
		t: t, cmd: cmd, master: master, slave: slave, ended: make(chan struct{}),
		screen: NewScreen(cols, rows), changed: make(chan struct{}),
	}
	t.Cleanup(term.close)
	term.screen.Reply = func(answer string) { master.WriteString(answer) }
	if err := pty.Setsize(slave, &pty.Winsize{Cols: uint16(cols), Rows: uint16(rows)}); err != nil {
		t.Fatalf("set the size of a pseudo-terminal: %v", err)
	}
	term.before = term.Termios()
	term.reading.Go(term.read)

	if cmd.Env == nil {
		cmd.Env = Environment()
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &unix.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	if cmd.Stderr == nil {
		cmd.Stderr, cmd.SysProcAttr.Setctty, cmd.SysProcAttr.Ctty = slave, true, 2
	}
	if cmd.Stdout == nil {
		cmd.Stdout, cmd.SysProcAttr.Setctty, cmd.SysProcAttr.Ctty = slave, true, 1
	}
	if cmd.Stdin == nil {
		cmd.Stdin, cmd.SysProcAttr.Setctty, cmd.SysProcAttr.Ctty = slave, true, 0
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	term.started = true
	go func() { cmd.Wait(); close(term.ended) }()
	return term
}

// open returns a pseudo-terminal whose master's reads end when it is closed:
// the file must be one that does not block, which pty's is not.
func open() (master, slave *os.File, err error) {
	blocking, slave, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	defer blocking.Close()
	fd, err := unix.FcntlInt(blocking.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		slave.Close()
		return nil, nil, err
	}
	return os.NewFile(uintptr(fd), "pseudo-terminal"), slave, nil
}

// Environment is this process's, but for what tells programs of its terminal,
// with TERM=xterm-256color; then come more variables, which override others.
func Environment(more ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains([]string{"TERM", "COLORTERM", "COLORFGBG", "TERM_PROGRAM", "TMUX", "STY", "CI", "NO_COLOR", "COLUMNS", "LINES"}, name)
	})
	return append(append(env, "TERM=xterm-256color"), more...)
}

// close ends the command, too.
func (term *Terminal) close() {
	if term.started {
		term.Kill()
	}
	term.slave.Close()
	term.master.Close() // ends the reading
	term.reading.Wait()
	if unknown := term.screen.Unknown(); len(unknown) > 0 {
		term.t.Errorf("the emulated terminal does not know %q, so its screen may be wrong", unknown)
	}
}

func (term *Terminal) read() {
	buf := make([]byte, 32<<10)
	var last time.Time
	for {
		n, err := term.master.Read(buf)
		term.mu.Lock()
		term.screen.Write(buf[:n])
		term.output = append(term.output, buf[:n]...)
		if now := time.Now(); n > 0 && (len(term.bursts) == 0 || now.Sub(last) > burstGap) {
			term.bursts = append(term.bursts, now)
		}
		last = time.Now()
		close(term.changed)
		term.changed = make(chan struct{})
		term.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Send types keys: text, or what a terminal sends for a key, such as Enter.
func (term *Terminal) Send(keys string) {
	term.t.Helper()
	if _, err := term.master.WriteString(keys); err != nil {
		term.t.Fatalf("type %q: %v", keys, err)
	}
}

// What a terminal sends for keys that have no character.
const (
	Enter     = "\r"
	Escape    = "\x1b"
	Tab       = "\t"
	BackTab   = "\x1b[Z"
	Backspace = "\x7f"
	Up        = "\x1b[A"
	Down      = "\x1b[B"
	Right     = "\x1b[C"
	Left      = "\x1b[D"
	Home      = "\x1b[H"
	End       = "\x1b[F"
	PageUp    = "\x1b[5~"
	PageDown  = "\x1b[6~"
	Interrupt = "\x03"
)

// Click presses and releases the left button at a column and a line, both from
// 0, as terminals report it in mode 1006.
func (term *Terminal) Click(x, y int) {
	term.t.Helper()
	term.Send(fmt.Sprintf("\x1b[<0;%d;%dM\x1b[<0;%[1]d;%[2]dm", x+1, y+1))
}

// WaitFor waits until a text is on the screen, and returns the screen.
func (term *Terminal) WaitFor(text string) string {
	term.t.Helper()
	return term.WaitUntil(fmt.Sprintf("%q is on the screen", text), func(screen string) bool {
		return strings.Contains(screen, text)
	})
}

// WaitUntil waits until a condition holds for the screen, which what describes,
// and returns the screen. It asks whenever there is output, and now and then: a
// condition may look at more than the screen, and call the other methods.
// Without it in time the test fails with the screen.
func (term *Terminal) WaitUntil(what string, holds func(screen string) bool) string {
	term.t.Helper()
	deadline := time.After(patience)
	for {
		term.mu.Lock()
		screen, changed := term.screen.String(), term.changed
		term.mu.Unlock()
		if holds(screen) {
			return screen
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			term.fail("never: " + what)
		}
	}
}

func (term *Terminal) fail(why string) {
	term.t.Helper()
	term.mu.Lock()
	defer term.mu.Unlock()
	state := "it still runs"
	select {
	case <-term.ended:
		state = "it ended: " + term.cmd.ProcessState.String()
	default:
	}
	term.t.Fatalf("%s\n%s (%s)\n%s", why, strings.Join(term.cmd.Args, " "), state, framed(term.screen))
}

// framed draws a screen with its borders, for messages.
func framed(s *Screen) string {
	var b strings.Builder
	border := "+" + strings.Repeat("-", s.cols) + "+\n"
	b.WriteString(border)
	for line := range strings.SplitSeq(s.String(), "\n") {
		fmt.Fprintf(&b, "|%s%s|\n", line, strings.Repeat(" ", max(0, s.cols-ansi.StringWidth(line))))
	}
	b.WriteString(border)
	return b.String()
}

// Screen returns what is shown now, line by line, without trailing blanks.
func (term *Terminal) Screen() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.screen.String()
}

// History returns the normal screen, after what was scrolled out of it.
func (term *Terminal) History() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.screen.History()
}

// Alternate reports whether the alternate screen is shown.
func (term *Terminal) Alternate() bool {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.screen.Mode(modeAlternate)
}

// Bytes is how much the command has written, escape sequences included.
func (term *Terminal) Bytes() int64 {
	term.mu.Lock()
	defer term.mu.Unlock()
	return int64(len(term.output))
}

// Output returns all that the command has written, as it was written.
func (term *Terminal) Output() []byte {
	term.mu.Lock()
	defer term.mu.Unlock()
	return slices.Clone(term.output)
}

// burstGap is how long nothing comes between two bursts. A frame comes in pieces
// of 4 KB at most, as much as the kernel holds, with 50 µs between them.
const burstGap = 5 * time.Millisecond

// Bursts counts how often the command has begun to write since a moment: of a
// full-screen program, its frames. On a busy machine two may look like one.
func (term *Terminal) Bursts(since time.Time) (n int) {
	term.mu.Lock()
	defer term.mu.Unlock()
	for _, at := range term.bursts {
		if !at.Before(since) {
			n++
		}
	}
	return n
}

// Resize changes the terminal's size, which the command learns by SIGWINCH.
func (term *Terminal) Resize(cols, rows int) {
	term.t.Helper()
	term.mu.Lock()
	term.screen.Resize(cols, rows)
	term.mu.Unlock()
	if err := pty.Setsize(term.slave, &pty.Winsize{Cols: uint16(cols), Rows: uint16(rows)}); err != nil {
		term.t.Fatalf("resize the terminal: %v", err)
	}
}

// Termios returns the terminal's line settings.
func (term *Terminal) Termios() unix.Termios {
	term.t.Helper()
	tio, err := unix.IoctlGetTermios(int(term.slave.Fd()), unix.TCGETS)
	if err != nil {
		term.t.Fatalf("ask a terminal's settings: %v", err)
	}
	return *tio
}

// Untouched waits until the terminal is as it was before the command started:
// its line settings, the normal screen, the cursor, the mouse, colours. It is
// also what to wait for when somebody else gives the terminal back.
func (term *Terminal) Untouched() {
	term.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		term.mu.Lock()
		left := term.screen.Leftovers()
		term.mu.Unlock()
		if now := term.Termios(); now != term.before {
			left = append(left, fmt.Sprintf("the line settings are %+v, and were %+v", now, term.before))
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			term.fail("the terminal is not as it was: " + strings.Join(left, "; "))
		}
		time.Sleep(5 * time.Millisecond) // nobody tells of line settings
	}
}

// Pid returns the command's process id.
func (term *Terminal) Pid() int { return term.cmd.Process.Pid }

// Signal sends the command a signal, not its process group.
func (term *Terminal) Signal(sig os.Signal) {
	term.t.Helper()
	if err := term.cmd.Process.Signal(sig); err != nil {
		term.t.Fatalf("%v: %v", sig, err)
	}
}

// Exit waits for the command's end and returns how it was. What it wrote last
// may yet have to be read: wait for that.
func (term *Terminal) Exit() *os.ProcessState {
	term.t.Helper()
	select {
	case <-term.ended:
	case <-time.After(patience):
		term.fail("it never ended")
	}
	return term.cmd.ProcessState
}

// Kill ends the command at once, if it still runs.
func (term *Terminal) Kill() {
	term.cmd.Process.Kill()
	<-term.ended
}
