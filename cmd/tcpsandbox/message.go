package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/sys/unix"
)

// hinter is an error that the user can mend; Hint returns the line to paste or
// what to do, or "".
type hinter interface {
	error
	Hint() string
}

// hintOf returns an error's hint, "" if it has none.
func hintOf(err error) string {
	var h hinter
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// hinted gives an error advice that fits better than its own.
type hinted struct {
	error
	hint string
}

func (e hinted) Hint() string  { return e.hint }
func (e hinted) Unwrap() error { return e.error }

// console is the only printer to people. Results go to the standard output,
// everything else to the standard error. It is safe for concurrent use.
type console struct {
	mu       sync.Mutex
	err      io.Writer
	terminal bool
	dumb     bool // a terminal that can erase nothing
	quiet    bool
	line     bool   // a progress line stands on the terminal
	room     []byte // for an application's line

	screen holder // may own the terminal
}

func newConsole(quiet bool) *console {
	_, err := unix.IoctlGetTermios(int(os.Stderr.Fd()), unix.TCGETS)
	return &console{err: os.Stderr, terminal: err == nil, dumb: os.Getenv("TERM") == "dumb", quiet: quiet}
}

// say tells what is going on.
func (c *console) say(format string, args ...any) {
	if !c.quiet {
		c.print(kindSay, "tcpsandbox: ", fmt.Sprintf(format, args...))
	}
}

// warn tells what the user should know even with --quiet.
func (c *console) warn(format string, args ...any) {
	c.print(kindWarning, "tcpsandbox: warning: ", fmt.Sprintf(format, args...))
}

// fail tells an error and how to mend it.
func (c *console) fail(err error) {
	text := err.Error()
	if hint := hintOf(err); hint != "" {
		const prefix = "\n  hint: " // what follows stays below what it begins with: a caret points up
		text += prefix + strings.ReplaceAll(hint, "\n", "\n"+strings.Repeat(" ", len(prefix)-1))
	}
	c.print(kindError, "tcpsandbox: ", text)
}

// app passes on a line that an application wrote; who says which. Where it is only
// to be written it costs no memory: an application may write a gigabyte at once.
func (c *console) app(who string, line []byte) {
	if !c.pass(who, line) {
		c.print(who, who+": ", string(line))
	}
}

// pass writes an application's line as it is, unless somebody looks at it.
func (c *console) pass(who string, line []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.terminal || c.screen.sink != nil {
		return false
	}
	c.room = append(append(append(append(c.room[:0], who...), ": "...), line...), '\n')
	c.err.Write(c.room)
	return true
}

// print writes a message of some kind, with what stands before it on a terminal.
func (c *console) print(kind, prefix, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.screen.takes(kind, prefix, text) && c.terminal {
		return
	}
	c.clear()
	c.write(prefix + text)
}

// write writes a line, or several. It may quote an application or what came from
// the network, and nothing in it shall act on a terminal.
func (c *console) write(text string) {
	if c.terminal {
		text = harmless(text)
	}
	fmt.Fprintln(c.err, text)
}

// harmless leaves the escape sequences out of a text, and replaces other
// characters that cannot be seen, but for the ends of lines and tabs.
func harmless(text string) string {
	unseen := func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsGraphic(r) }
	if utf8.ValidString(text) && !strings.ContainsFunc(text, unseen) {
		return text
	}
	all := strings.Split(text, "\n") // a sequence that does not end, ends with the line
	for i, line := range all {
		all[i] = strings.Map(func(r rune) rune {
			if unseen(r) {
				return utf8.RuneError
			}
			return r
		}, strings.TrimRight(ansi.Strip(line), "\r"))
	}
	return strings.Join(all, "\n")
}

// progress shows one line that replaces the one before; without a terminal it
// is a line of its own.
func (c *console) progress(text string) {
	if c.quiet {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.terminal {
		fmt.Fprintln(c.err, "tcpsandbox: "+text)
		return
	}
	if c.screen.sink != nil { // it shows progress itself
		return
	}
	if c.dumb {
		c.write("tcpsandbox: " + text)
		return
	}
	if size, err := unix.IoctlGetWinsize(int(os.Stderr.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 1 {
		text = text[:min(len(text), int(size.Col)-1)]
	}
	fmt.Fprintf(c.err, "\r\x1b[K%s", text)
	c.line = true
}

// done takes the progress line away.
func (c *console) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
}

func (c *console) clear() {
	if c.line {
		io.WriteString(c.err, "\r\x1b[K")
		c.line = false
	}
}

// count writes "1 session", "1,234 sessions".
func count[T int | int64 | uint64](n T, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return number(n) + " " + noun
}

// number writes n with separators between the thousands.
func number[T int | int64 | uint64](n T) string {
	s := fmt.Sprint(n)
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// every calls f now and then until stop is called, which waits for it.
func every(d time.Duration, f func()) (stop func()) {
	ticks := time.NewTicker(d)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ticks.C:
				f()
			case <-quit:
				return
			}
		}
	}()
	return func() {
		ticks.Stop()
		close(quit)
		<-done
	}
}
