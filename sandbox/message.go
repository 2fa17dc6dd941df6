package sandbox

import "encoding/json"

// The parent and the init process (see Main) talk over a stream socket, one
// JSON value after the other:
//
//	parent → init   launch, then any number of order
//	init → parent   any number of notice{Warning}, then either notice{Failed}
//	                or notice{Started}, later notice{Exited}
//
// The end of the stream is a message too: the parent is gone, kill everything.

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
