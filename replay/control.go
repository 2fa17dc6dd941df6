package replay

import "time"

// Paused reports whether the run stands still.
func (e *Engine) Paused() bool { return false }

// Break says what pauses the run when it happens.
type Break struct {
	Difference bool          // an answer differs or is missing
	Reset      bool          // the application resets a connection
	EarlyClose bool          // it closes one before production did
	Latency    time.Duration // an answer's first byte comes later than this; 0: none
}

// Hit is a break that came.
type Hit struct {
	Session uint64
	Copy    int
	Why     string
	Request string
	At      time.Time
}
