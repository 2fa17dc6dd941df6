package tui

import (
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
	"tcpsandbox/report"
)

// Source is what is shown: a run under way, or what is left of one. Its methods
// are not called from several goroutines at once, but for those that say so.
type Source interface {
	// Poll returns how things stand, and what is new since the last call.
	Poll() Snapshot
	// Story tells what happened in a session; nil: that is not kept. Any
	// goroutine may call it.
	Story(slot int) *Story
	// Explain shows the number-th exchange of a session; nil: its texts are not
	// kept. Any goroutine may call it.
	Explain(slot, number int) *Explanation
}

// Snapshot is a run at one moment. What it points to does not change any more.
type Snapshot struct {
	At       time.Time
	Sessions []replay.View // those that have changed
	Run      Run
	// Findings is what differs; nil: what it was before.
	Findings *Findings
	Egress   []report.Egress // nil: what it was before
	Log      []Line          // new ones, oldest first
}

// Run is how a run stands as a whole.
type Run struct {
	Source  string // "eth0:80", "shop.pcapng"
	Command string
	Pid     int // of the application; 0: none
	// State of the application: "starting", "listens on :80", "exited with 1".
	State    string
	Began    time.Time // when the first session could be played; zero: not yet
	Ended    string    // why the run is over, in a few words; "": it is not
	Verdict  string    // once it is over: the result in one line
	Failed   bool      // and that it is a failure
	Draining bool
	Paused   bool
	Stopped  string  // why the watchdog has stopped the replay; "": it has not
	Speed    float64 // times the captured one; 0: there is no pace that could be changed
	Breaks   replay.Break
	Hit      *Hit // the latest break that came; the same pointer as long as it is

	Sessions report.Sessions // those that have ended, but for Seen; Active have not
	Active   int64
	Answers  report.Answers
	Released report.Release
	Bytes    report.ClientBytes // of sessions that have ended
	Pending  int64              // client bytes that wait to be sent, of sessions that have not
	Uploaded int64              // bytes sent to the application and acknowledged, in all
	Answered int64              // bytes that the application sent
	Packets  int64              // captured
	Captured int64              // bytes of them
	Drops    int64              // packets that the kernel had no room for
	Held     int64              // bytes that the players hold
	Limit    int64              // of resident memory
	Memory   int64              // resident
	Warnings []string
	Latency  report.Latency
	// Contained is the proof that nothing of the application's left unseen, line by
	// line; nil before the run is over, and where it is not known.
	Contained []string
}

// Hit is a break that came.
type Hit struct {
	Session uint64
	Copy    int
	Why     string // "GET /cart: the answer differs"
}

// Findings is what differs.
type Findings struct {
	Groups []report.Group
	Noise  []report.Noise
	Routes []report.Route
}

// Line is one that the application, or tcpsandbox itself, has written.
type Line struct {
	At   time.Time
	From string // "app", "baseline", "tcpsandbox"
	Text string // foreign
}

// Story is what happened in a session.
type Story struct {
	replay.Story
	// Facts are the packet-level facts, as name and value, of production and of
	// the application.
	Facts [][3]string
}

// Explanation is an exchange to be read: secrets are hidden, and bodies decoded.
// Texts are foreign.
type Explanation struct {
	Request                 *report.Body
	Production, Application *report.Body // nil: there is none
	Raw                     [2][]byte    // the answers as they were sent, cut
	Verdict                 compare.Verdict
	Why                     string // of uncompared
	Differences             []report.Difference
	Excused                 []report.Excused
}

// Control is what keys can do to a run. Methods may block for as long as it
// takes, and are called outside the screen's goroutine.
type Control interface {
	Pause()
	Resume()
	// Step lets one chunk of a session go; false: it has none to play.
	Step(session uint64, copy int) bool
	BreakOn(replay.Break)
	// Restart ends the application and starts it again.
	Restart() error
	// Faster and Slower double and halve the speed; they return what is to be
	// said about it.
	Faster() string
	Slower() string
	// Quit ends the run; with drain what is under way is finished before.
	Quit(drain bool)
}

// Keeper writes sessions to files and tells how to play them again.
type Keeper interface {
	// Save writes a session's packets and returns the file's name.
	Save(slot int) (path string, err error)
	// Command replays a session; "": nothing can.
	Command(slot int) string
}
