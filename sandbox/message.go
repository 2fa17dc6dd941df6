package sandbox

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os/exec"
	"syscall"
	"time"
)

// The parent, the keeper and the init process (see Main) talk over stream
// sockets, one JSON value after the other.
//
//	parent → keeper   request, the first of them Network
//	keeper → parent   reply to each, files with it
//	keeper → init     launch
//	parent → init     any number of order
//	init → parent     any number of notice{Warning}, then either notice{Failed}
//	                  or notice{Started}, later notice{Exited}
//
// The end of a stream is a message too: the parent is gone, end everything.
//
// The keeper may do what the parent must not: the parent reads what strangers
// sent to production. So a request says what is wanted, never how, and the keeper
// checks it as if a user had typed it.

// request is what the parent asks of the keeper; one field is set.
type request struct {
	Network  *Config     `json:",omitempty"` // make it; the TUN file and a diag socket come back
	Server   *netip.Addr `json:",omitempty"` // make it an address of the namespace
	Divert   *Port       `json:",omitempty"` // send answers from it through the TUN device
	Listen   *Listener   `json:",omitempty"` // the socket comes back
	Dropped  bool        `json:",omitempty"` // count the datagrams that were
	Enclosed bool        `json:",omitempty"` // say what the namespace consists of
	Start    *appRequest `json:",omitempty"` // an application; see reply
	Kill     int         `json:",omitempty"` // an init process that hangs
	Fared    int         `json:",omitempty"` // how did the application of that init process, which has ended, fare?

	End   bool   `json:",omitempty"` // there is no reply; without it the parent was killed
	Stand string `json:",omitempty"` // all of the run: standAside or standBack
}

const (
	standAside = "aside"
	standBack  = "back"
)

// appRequest is AppConfig on its way to the keeper.
type appRequest struct {
	Command, KeepCaps, Hide, Show, Env []text
	User, Dir                          text
	NoFilter, OnlyNamed                bool
	Limits                             Limits
	Environ                            []text // this process' environment, below Env
	Uncontained                        bool   // as if the host had no process namespaces
}

// reply answers a request.
type reply struct {
	Failed   *fault   `json:",omitempty"`
	Warnings []string `json:",omitempty"`

	// To Network.
	Offload, IPv6 bool `json:",omitempty"`
	// To Dropped.
	Dropped int64 `json:",omitempty"`
	// To Enclosed.
	Enclosure Enclosure
	// To Start. Files that come with it: the parent's end of init's control
	// socket, the read ends of the application's standard output and standard
	// error, and of a pipe that ends when init was waited for.
	Init      int       `json:",omitempty"` // process id
	Contained bool      `json:",omitempty"`
	Path      text      `json:",omitempty"`
	User      *identity `json:",omitempty"`
	// To Fared; nil: it had no limits, or was told already.
	Fared *outcome `json:",omitempty"`
}

// outcome is how an application fared with its limits.
type outcome struct {
	OverMemory bool          // the limit of memory ended it, or processes of it
	Refused    int64         // forks and threads
	Throttled  time.Duration // that it could have run and was not let
	Lost       []string      // limits that somebody took away meanwhile
}

// fault is an error on its way.
type fault struct {
	Kind    string // "setup" for *SetupError, "start" for *StartError, "limit" for *limitError
	Op, Fix text   // of those; Op is StartError's Command
	Text    text   // of the error, or of the one inside
	Errno   int    // what it is, too; 0: nothing known
	NoFile  bool   // it is exec.ErrNotFound, too
}

// faultOf takes an error apart; nil of nil.
func faultOf(err error) *fault {
	if err == nil {
		return nil
	}
	f := &fault{NoFile: errors.Is(err, exec.ErrNotFound)}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		f.Errno = int(errno)
	}
	var setup *SetupError
	var start *StartError
	var limit *limitError
	switch {
	case errors.As(err, &setup):
		f.Kind, f.Op, f.Fix, err = "setup", text(setup.Op), text(setup.Fix), setup.Err
	case errors.As(err, &start):
		f.Kind, f.Op, f.Fix, err = "start", text(start.Command), text(start.Fix), start.Err
	case errors.As(err, &limit):
		f.Kind, f.Fix = "limit", text(limit.fix)
	}
	f.Text = text(err.Error())
	return f
}

// error puts it together again.
func (f *fault) error() error {
	if f == nil {
		return nil
	}
	err := error(&distantError{text: string(f.Text)})
	switch {
	case f.NoFile:
		err = &distantError{string(f.Text), exec.ErrNotFound}
	case f.Errno != 0:
		err = &distantError{string(f.Text), syscall.Errno(f.Errno)}
	}
	switch f.Kind {
	case "setup":
		return &SetupError{Op: string(f.Op), Err: err, Fix: string(f.Fix)}
	case "start":
		return &StartError{Command: string(f.Op), Err: err, Fix: string(f.Fix)}
	case "limit":
		return &limitError{string(f.Text), string(f.Fix)}
	}
	return err
}

// distantError reads as it did in the keeper.
type distantError struct {
	text string
	is   error // may be nil
}

func (e *distantError) Error() string { return e.text }
func (e *distantError) Unwrap() error { return e.is }

// launch is what init shall run.
type launch struct {
	Path text   // resolved
	Args []text // with Args[0] as the user wrote it
	Env  []text
	Dir  text
	// User is nil where the application runs as whoever init is.
	User     *identity
	KeepCaps []uint
	Filter   bool   // of system calls
	Hide     []text // paths, resolved
	// Contained: init is the first process of a process namespace.
	Contained bool
	// Limited: there may come to be no room for another thread of init's.
	Limited bool
}

// identity is a user in numbers.
type identity struct {
	UID, GID uint32
	Groups   []uint32
}

// order asks for a signal to the application's process group. SIGKILL goes to
// all its processes.
type order struct {
	Signal int
}

// notice is what init tells; one field is set.
type notice struct {
	Warning string
	Failed  *failure
	Started int // process id of the application as init sees it
	Exited  *ExitStatus
}

// failure is a step of the start that did not work.
type failure struct {
	Step  string // "start" is the application's own exec
	Fix   string // may be empty
	Errno int
}

// text is a string of any bytes, as arguments and file names are. A string of
// JSON's own would come out mended where it is not UTF-8.
type text string

func (t text) MarshalJSON() ([]byte, error) { return json.Marshal([]byte(t)) }

func (t *text) UnmarshalJSON(b []byte) error {
	var raw []byte
	err := json.Unmarshal(b, &raw)
	*t = text(raw)
	return err
}

// texts converts between strings and texts.
func texts[To, From ~string](from []From) []To {
	to := make([]To, len(from))
	for i, s := range from {
		to[i] = To(s)
	}
	return to
}
