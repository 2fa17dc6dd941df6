package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// A full-screen program that dies leaves a terminal in which nobody sees what
// they type. The library that draws gives it back after a quit and after a
// panic in its own goroutines only. So a guard stands by: this program again,
// which waits at the other end of a socket.
//
//	tcpsandbox ──── crash text, the word, or the end ───▶ guard ──▶ terminal
//	       └─────── standard error ───────────────────────▶┘
//
// The end without the word is a death: of a panic anywhere, of SIGKILL, of lack
// of memory. The runtime prints a crash to the standard error, which would be
// the alternate screen and gone with it. So the standard error goes to the guard
// meanwhile, which prints it where it stays. It tells no crash from other
// lines, though, and may be a file; for that the runtime writes crashes to the
// socket as well, only without the first line of a fatal error.
//
// The guard takes 1.7 MB of memory, beside 15 MB of the program's own pages that
// it shares with us, and 9 ms of CPU for its start and end; between them it
// sleeps.
//
// After SIGKILL a shell learns of the death when the guard does. It may print its
// prompt first, on the alternate screen; then Enter shows the next one.
const (
	// guardName is its argv[0]. It takes the socket besides to be the guard.
	guardName = "tcpsandbox-terminal-guard"
	guardLine = 3 // the socket's file descriptor in the guard
	guardTTY  = 4 // the terminal's
	guardErr  = 5 // where it reads our standard error

	// guardWord, as all there is, says that the terminal was given back. No
	// crash begins like it.
	guardWord = "\x00given back\n"

	// guardPatience is how long giving back may take: a terminal that was
	// stopped takes nothing.
	guardPatience = 2 * time.Second

	// crashMax bounds the text that is shown. Ours is less than 4 KB
	// unless GOTRACEBACK asks for all goroutines.
	crashMax = 64 << 10
)

// terminalGuard is our end of the guard. The nil one guards nothing.
type terminalGuard struct {
	line   *os.File
	cmd    *exec.Cmd
	stderr int // what file descriptor 2 was; -1: it was left alone
	once   sync.Once
}

// guardTerminal makes sure that a terminal will be as it is now when this
// process has ended, whatever ends it, if raw mode and a full screen are
// entered meanwhile. There may be one guard at a time. The caller keeps tty.
// Until the guard's end what is written to a standard error that is a terminal
// is held back, and it does not look like a terminal.
func guardTerminal(tty *os.File) (*terminalGuard, error) {
	was, err := terminalSettings(tty)
	if err != nil {
		return nil, fmt.Errorf("guard the terminal: %w", err)
	}
	settings, err := json.Marshal(was)
	if err != nil {
		return nil, fmt.Errorf("guard the terminal: %w", err)
	}
	// Nobody else may have our end, or its closing would not show: it is not
	// inherited by what we execute.
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("guard the terminal: socketpair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "terminal guard"), os.NewFile(uintptr(ends[1]), "terminal guard")
	defer theirs.Close()
	errRead, errWrite, err := os.Pipe()
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("guard the terminal: %w", err)
	}
	defer errRead.Close()
	defer errWrite.Close()
	// With the smallest buffer the dying runtime, which writes a crash in many
	// small pieces, waits for the guard after a few of them. So the line
	// settings are restored before we are gone and a shell looks at them: after
	// an exit code bash takes what it finds for what was wanted.
	if err := unix.SetsockoptInt(ends[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 1); err != nil {
		ours.Close()
		return nil, fmt.Errorf("guard the terminal: SO_SNDBUF: %w", err)
	}
	g := &terminalGuard{line: ours, stderr: -1, cmd: &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{guardName, string(settings)},
		// The control groups' files that the runtime would keep open are
		// closed there, and one thread will do.
		Env: []string{"GOMAXPROCS=1", "GODEBUG=containermaxprocs=0,updatemaxprocs=0", "GORACE=atexit_sleep_ms=0"},
		// It holds no folder, none of the user's pipes, and no place in the
		// terminal's session: keys and the shell's job control are not for it.
		Dir:         "/",
		ExtraFiles:  []*os.File{theirs, tty, errRead},
		SysProcAttr: &unix.SysProcAttr{Setsid: true},
	}}
	if err := g.cmd.Start(); err != nil {
		ours.Close()
		return nil, fmt.Errorf("guard the terminal: %w", err)
	}
	if err := debug.SetCrashOutput(ours, debug.CrashOptions{}); err != nil {
		g.release()
		return nil, fmt.Errorf("guard the terminal: crash output: %w", err)
	}
	if err := g.takeStderr(errWrite); err != nil {
		g.release()
		return nil, fmt.Errorf("guard the terminal: standard error: %w", err)
	}
	return g, nil
}

// takeStderr lets file descriptor 2 be pipe where it is a terminal: it is the
// descriptor that the runtime writes to, whatever os.Stderr is.
func (g *terminalGuard) takeStderr(pipe *os.File) error {
	if _, err := unix.IoctlGetTermios(unix.Stderr, unix.TCGETS); err != nil {
		return nil
	}
	was, err := unix.FcntlInt(uintptr(unix.Stderr), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Dup3(int(pipe.Fd()), unix.Stderr, unix.O_CLOEXEC); err != nil {
		unix.Close(was)
		return err
	}
	g.stderr = was
	return nil
}

// giveStderr gives file descriptor 2 back.
func (g *terminalGuard) giveStderr() {
	if g.stderr >= 0 {
		unix.Dup3(g.stderr, unix.Stderr, 0)
		unix.Close(g.stderr)
	}
}

// release ends the guard, which shows what was held back of the standard error
// and does nothing else: the terminal was given back. It may be called more than once and by several goroutines; all return when the
// guard is gone.
func (g *terminalGuard) release() { g.end(guardWord) }

// restore has the guard give the terminal back now, and ends it. It is for an
// exit at once; what draws on the screen must have stopped, or it may draw
// again. After a release it does nothing.
func (g *terminalGuard) restore() { g.end("") }

func (g *terminalGuard) end(word string) {
	if g == nil {
		return
	}
	g.once.Do(func() {
		debug.SetCrashOutput(nil, debug.CrashOptions{}) // it has a copy of our end
		g.giveStderr()
		io.WriteString(g.line, word)
		g.line.Close()
		stuck := time.AfterFunc(2*guardPatience, func() { g.cmd.Process.Kill() })
		defer stuck.Stop()
		g.cmd.Wait()
	})
}

// guardMain must be called first in main. In the guard it never returns;
// otherwise it does nothing.
func guardMain() {
	var stat unix.Stat_t
	if len(os.Args) != 2 || os.Args[0] != guardName ||
		unix.Fstat(guardLine, &stat) != nil || stat.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return
	}
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE, unix.SIGTSTP, unix.SIGTTOU, unix.SIGTTIN)
	// What our parent's parent left open, such as a pipe, is not ours to hold.
	// Before Linux 5.9 it stays.
	unix.CloseRange(guardErr+1, ^uint(0), 0)
	debug.SetGCPercent(-1)
	// All that it needs is open. What it cannot give up it never uses.
	giveUpRights(errands{})
	var was unix.Termios
	if err := json.Unmarshal([]byte(os.Args[1]), &was); err != nil {
		syscall.Exit(exitUsage)
	}
	restoreSettings := func() { restoreSettings(guardTTY, &was) }
	crash, stderr := watch(guardLine, guardErr, restoreSettings)
	time.AfterFunc(guardPatience, func() { syscall.Exit(exitCannot) })
	if string(crash.text) == guardWord {
		io.WriteString(fdWriter(guardTTY), stderr.shown())
		syscall.Exit(exitOK)
	}
	restoreSettings()
	io.WriteString(fdWriter(guardTTY), leaveScreen+"\r\x1b[K"+lastWords(crash, stderr))
	syscall.Exit(exitOK)
}

// fdWriter writes to a file descriptor that no os.File owns.
type fdWriter int

func (w fdWriter) Write(data []byte) (n int, err error) {
	for n < len(data) {
		k, err := unix.Write(int(w), data[n:])
		if err != nil && err != unix.EINTR {
			return n, err
		}
		n += max(k, 0)
	}
	return n, nil
}

// excerpt is the beginning of a text that may be long.
type excerpt struct {
	text []byte // crashMax at most
	cut  int    // bytes that came after it
}

func (e *excerpt) add(data []byte) {
	keep := min(len(data), crashMax-len(e.text))
	e.text, e.cut = append(e.text, data[:keep]...), e.cut+len(data)-keep
}

// watch reads both to the end of line, and what errs has until then. begun is
// called when a crash begins to come, before the crashed process can be gone.
func watch(line, errs int, begun func()) (crash, stderr excerpt) {
	buf := make([]byte, 4<<10)
	read := func(fd int, to *excerpt) (n int) {
		for {
			n, err := unix.Read(fd, buf)
			if err == unix.EINTR {
				continue
			}
			to.add(buf[:max(n, 0)])
			return n
		}
	}
	const ready = unix.POLLIN | unix.POLLHUP | unix.POLLERR
	from := []unix.PollFd{{Fd: int32(line), Events: unix.POLLIN}, {Fd: int32(errs), Events: unix.POLLIN}}
	for wait := -1; ; {
		n, err := unix.Poll(from, wait)
		switch {
		case err == unix.EINTR:
			continue
		case n <= 0: // an error, or the rest of errs was read
			return crash, stderr
		}
		if from[1].Revents&ready != 0 && read(errs, &stderr) <= 0 {
			from[1].Fd = -1
		}
		if from[0].Revents&ready == 0 {
			continue
		}
		first := len(crash.text) == 0
		if read(line, &crash) <= 0 {
			from[0].Fd, wait = -1, 0
		} else if first && crash.text[0] != guardWord[0] {
			begun()
		}
	}
}

// leaveScreen ends an escape sequence that was cut short, the reports of mouse,
// focus and pastes, colours, and the alternate screen, and shows the cursor.
// Leaving the alternate screen sets the cursor to where it was before.
const leaveScreen = "\x1b\\" + "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l" + "\x1b[?1004l" + "\x1b[?2004l" +
	"\x1b[0m" + "\x1b[?1049l" + "\x1b[?25h"

// terminalSettings returns a terminal's line settings.
func terminalSettings(tty *os.File) (was *unix.Termios, err error) {
	conn, err := tty.SyscallConn()
	if err != nil {
		return nil, err
	}
	if e := conn.Control(func(fd uintptr) { was, err = unix.IoctlGetTermios(int(fd), unix.TCGETS) }); e != nil {
		return nil, e
	}
	return was, err
}

// restoreSettings sets a terminal's line settings to what they were where the
// terminal is in raw mode. A shell that has taken it back meanwhile, with
// settings of its own, keeps them: a line editor leaves signals or the output's
// line ends on, raw mode neither. Keys that were typed for us, and reports of
// the mouse, are dropped: the shell would take them for a command.
func restoreSettings(tty int, was *unix.Termios) {
	now, err := unix.IoctlGetTermios(tty, unix.TCGETS)
	if err != nil || now.Lflag&unix.ISIG != 0 || now.Oflag&unix.OPOST != 0 {
		return
	}
	unix.IoctlSetTermios(tty, unix.TCSETS, was)
	unix.IoctlSetInt(tty, unix.TCFLSH, unix.TCIFLUSH)
}

// lastWords is what is shown of a process that died.
func lastWords(crash, stderr excerpt) string {
	crash.text = bytes.TrimSuffix(crash.text, []byte(guardWord))
	if len(crash.text) == 0 {
		return stderr.shown()
	}
	head := "tcpsandbox: crashed; this is a bug, please report it with the command line and this text:\n"
	for _, asked := range []string{"SIGQUIT: ", "SIGABRT: "} {
		if bytes.HasPrefix(crash.text, []byte(asked)) {
			head = "tcpsandbox: ended by a signal; this is what it did:\n"
		}
	}
	if len(stderr.text) > 0 { // all of the crash, after whatever else there was
		return head + stderr.shown()
	}
	return head + crash.shown()
}

// shown makes a text safe to be printed: it may quote what came from the
// network, and nothing in it shall act on the terminal.
func (e excerpt) shown() string {
	var b strings.Builder
	for _, r := range string(e.text) {
		if r != '\n' && r != '\t' && !unicode.IsGraphic(r) {
			r = utf8.RuneError
		}
		b.WriteRune(r)
	}
	if text := b.String(); text != "" && text[len(text)-1] != '\n' {
		b.WriteByte('\n')
	}
	if e.cut > 0 {
		fmt.Fprintf(&b, "[%s more]\n", count(e.cut, "byte"))
	}
	return b.String()
}
