package sandbox

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SetupError is something that this host refuses: the namespace, the TUN
// device, privileges.
type SetupError struct {
	Op  string // what was tried, and on what
	Err error
	Fix string // a line to paste; may be empty
}

func (e *SetupError) Error() string { return e.Op + ": " + e.Err.Error() }
func (e *SetupError) Unwrap() error { return e.Err }

// Hint returns the line to paste, or "" where there is none.
func (e *SetupError) Hint() string { return e.Fix }

// LostError is a sandbox whose keeper was taken away, and with it the application.
// What was sent until then is no longer to be proven.
type LostError struct {
	PID int // the keeper's
	Why string
}

func (e *LostError) Error() string {
	return fmt.Sprintf("the sandbox's keeper, process %d, %s", e.PID, e.Why)
}

func (e *LostError) Hint() string {
	return "journalctl -k | grep -i oom    # whether it was the kernel; then run it again"
}

// StartError is an application that could not be started at all.
type StartError struct {
	Command string
	Err     error
	Fix     string // may be empty
}

func (e *StartError) Error() string { return "start " + e.Command + ": " + e.Err.Error() }
func (e *StartError) Unwrap() error { return e.Err }

// Hint returns what to do about it, or "".
func (e *StartError) Hint() string { return e.Fix }

// ExitedError is an application that ended before it listened.
type ExitedError struct {
	Command string
	Status  ExitStatus
	Lines   []string // the last that it wrote
}

func (e *ExitedError) Error() string {
	return fmt.Sprintf("wait for %s to listen: it ended first: %s%s", e.Command, e.Status, lastOutput(e.Lines))
}

// Hint tells a program that goes to the background to stay.
func (e *ExitedError) Hint() string { return e.Status.Hint() }

// Hint tells what to do about such an end, or nothing.
func (s ExitStatus) Hint() string {
	if s.LeftBehind {
		return "it went to the background: start it in the foreground (nginx: -g 'daemon off;', many others: -f or --foreground)"
	}
	if s.Signal == "SIGSYS" {
		return "the filter of system calls ended it: a 32-bit program needs --no-seccomp"
	}
	if s.OverMemory > 0 {
		return "it needs more memory, or leaks it: --memory with more than " + mebibytes(s.OverMemory)
	}
	return ""
}

// NotListeningError is an application that runs and does not listen where it
// should.
type NotListeningError struct {
	Command   string
	Wanted    []Port
	Listening []Listener // where it does listen
	Waited    time.Duration
	Lines     []string // the last that it wrote
}

func (e *NotListeningError) Error() string {
	where := "it listens on none"
	if found := e.Ports(); len(found) > 0 {
		where = "it listens on " + ports(found)
	}
	return fmt.Sprintf("wait for %s to listen on %s: not after %v, %s%s", e.Command, ports(e.Wanted), e.Waited, where, lastOutput(e.Lines))
}

// Ports returns the ports on which it does listen, in order, each once: of TCP,
// UDP or both, as they were wanted.
func (e *NotListeningError) Ports() []Port {
	var all []Port
	for _, l := range e.Listening {
		if l.UDP && e.wants(true) || !l.UDP && e.wants(false) {
			all = append(all, l.Port())
		}
	}
	slices.SortFunc(all, func(a, b Port) int {
		if a.UDP != b.UDP {
			return strings.Compare(b.String(), a.String())
		}
		return cmp.Compare(a.Number, b.Number)
	})
	return slices.Compact(all)
}

// wants reports whether any of the wanted ports is UDP's, or TCP's.
func (e *NotListeningError) wants(udp bool) bool {
	return len(e.Wanted) == 0 && !udp || slices.ContainsFunc(e.Wanted, func(p Port) bool { return p.UDP == udp })
}

// Hint names the flag that points sessions to where it listens.
func (e *NotListeningError) Hint() string {
	if found := e.Ports(); len(found) > 0 {
		return fmt.Sprintf("it listens on %s: --app-port %d", ports(found), found[0].Number)
	}
	kind := "TCP port"
	switch {
	case e.wants(true) && e.wants(false):
		kind = "port"
	case e.wants(true):
		kind = "UDP port"
	}
	return "it opened no " + kind + ": give it more time with --listen-timeout, or check its own log"
}

// Timeout makes this a time-out to those who ask with net.Error's method.
func (e *NotListeningError) Timeout() bool { return true }

// String returns "exit code 1" or "SIGSEGV".
func (s ExitStatus) String() string {
	if s.OverMemory > 0 {
		return "killed at its limit of " + mebibytes(s.OverMemory) + " of memory"
	}
	if s.Signal != "" {
		return s.Signal
	}
	return "exit code " + strconv.Itoa(s.Code)
}

// mebibytes returns "512M", as a flag takes it.
func mebibytes(n int64) string { return strconv.FormatInt(n>>20, 10) + "M" }

func ports(all []Port) string {
	if len(all) == 0 {
		return "any port"
	}
	var words []string
	for _, p := range all {
		words = append(words, p.String())
	}
	return "port " + strings.Join(words, ", ")
}

func lastOutput(lines []string) string {
	if len(lines) == 0 {
		return "; it wrote nothing"
	}
	return "; its last output:\n\t" + strings.Join(lines, "\n\t")
}

// limitError is why some limits cannot be set, and what to do about it.
type limitError struct {
	why, fix string
}

func (e *limitError) Error() string { return e.why }

// Hint returns the line to paste, or "" where there is none.
func (e *limitError) Hint() string { return e.fix }
