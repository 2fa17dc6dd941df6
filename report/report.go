// Package report is the result of a run as data, and its renderings: text and a
// page of HTML for people, JSON for programs, JUnit for CI systems.
//
// The pipeline fills a Result while it runs and after, then hands it to Text
// and WriteFile:
//
//	r := &report.Result{Tool: "tcpsandbox 1.0.0", Started: started}
//	r.Capture.Add(report.Source{Source: "eth0:80", Packets: n})
//	r.AddDetail(…)
//	r.SetFindings(summary)
//	err := report.WriteFile("run.html", r)
//
// The JSON form of Result is a promise: fields are added, never renamed,
// retyped or removed. A Result is not safe for concurrent use.
package report

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// Version is the version of the JSON form. It would change only if a promised
// field did.
const Version = 1

// Why a run ended: the values of Result.Ended.
const (
	EndedCapture     = "capture-end"        // the capture file or stream was read to its end
	EndedSignal      = "signal"             // the user asked for it
	EndedDuration    = "duration"           // --duration
	EndedMaxSessions = "max-sessions"       // --max-sessions
	EndedAppExited   = "app-exited"         // the application ended first
	EndedNoListener  = "app-never-listened" // within --listen-timeout
	EndedNoBaseline  = "baseline-never-listened"
)

// Result is the outcome of a run. Slices may be nil: they are written as [].
type Result struct {
	Version     int         `json:"version"` // Version; WriteJSON sets it
	Tool        string      `json:"tool"`    // name and release, "tcpsandbox 1.0.0"
	Started     time.Time   `json:"started"`
	Duration    Seconds     `json:"duration_s"`
	Ended       string      `json:"ended"`     // one of the constants above
	ExitCode    int         `json:"exit_code"` // of tcpsandbox itself
	Capture     Capture     `json:"capture"`
	Sessions    Sessions    `json:"sessions"`
	Datagrams   Datagrams   `json:"datagrams"`
	ClientBytes ClientBytes `json:"client_bytes"`
	Release     Release     `json:"release"`
	Answers     Answers     `json:"answers"`
	Closes      Closes      `json:"closes"`
	Latency     Latency     `json:"latency"`
	Failed      []string    `json:"failed"`            // why the exit code is 1, one line each
	Lateness    Percentiles `json:"lateness"`          // of chunks behind their time, where there is a pace
	PeakHeld    int64       `json:"peak_held_bytes"`   // captured and not yet played, at most
	PeakMemory  int64       `json:"peak_memory_bytes"` // of tcpsandbox itself, resident, at most; 0: not known
	MemoryLimit int64       `json:"max_memory_bytes"`  // what it was allowed
	CPU         Seconds     `json:"cpu_s"`             // processor time of tcpsandbox itself
	CPULimit    float64     `json:"max_cpu"`           // processors that it was allowed; 0: all
	Watchdog    []Stop      `json:"watchdog"`          // times for which the replay was stopped for production's sake
	Egress      []Egress    `json:"egress"`
	// Containment is null in a report of a version that did not know it.
	Containment *Containment `json:"containment"`
	App         Tested       `json:"app"`
	Warnings    []string     `json:"warnings"` // one line each
	// Defects are contradictions in the result itself, such as a ledger that
	// does not add up: bugs of tcpsandbox. See Check.
	Defects []string `json:"defects"`

	// Differences are the answers that differ or are missing, by route and
	// place; SetFindings fills them and what follows. Written are the
	// groupsWritten most frequent ones, and how many answers the others come to.
	Differences        []Group   `json:"differences"`
	DifferencesOmitted int64     `json:"differences_omitted"`
	Excused            []Excused `json:"excused"` // where answers differ and may
	Noise              []Noise   `json:"noise"`   // where the baseline's answers differ, too
	Routes             []Route   `json:"routes"`
	Series             Series    `json:"series"`
	Baseline           *Baseline `json:"baseline"` // null without --baseline

	// Detail is one entry a session; AddDetail fills it, DetailLimit entries
	// at most. Written first are those that differ, failed or lost something.
	DetailOmitted int64    `json:"detail_omitted"` // sessions that are not in Detail
	Detail        []Detail `json:"detail"`

	plain int      // all of Detail before this index are remarkable
	worst []Detail // the sessions that lost most, worst first
}

// Capture is the sum of all sources.
type Capture struct {
	Source      string   `json:"source"` // the sources' names, joined by ", "
	Packets     int64    `json:"packets"`
	Bytes       int64    `json:"bytes"`
	KernelDrops int64    `json:"kernel_drops"`
	Malformed   int64    `json:"malformed"`
	Sources     []Source `json:"sources"`
	Unordered   int64    `json:"unordered_bytes"`
	Blind       Seconds  `json:"blind_s"`
}

// Source is what one --capture gave.
type Source struct {
	Source      string `json:"source"`       // as on the command line, "eth0:80"
	Packets     int64  `json:"packets"`      // handed over by the source
	Bytes       int64  `json:"bytes"`        // captured, headers included
	KernelDrops int64  `json:"kernel_drops"` // packets that the kernel had no room for
	Malformed   int64  `json:"malformed"`    // packets that could not be decoded
	// Unordered counts payload that is in no session, because what came before
	// it was never seen, or there was no room to wait for that.
	Unordered int64 `json:"unordered_bytes"`
	// Blind is for how long an interface was down or gone: nobody knows what it
	// would have given.
	Blind Seconds `json:"blind_s"`
}

// Add adds a source and its numbers to the sum.
func (c *Capture) Add(s Source) {
	if len(c.Sources) > 0 {
		c.Source += ", "
	}
	c.Source += s.Source
	c.Packets += s.Packets
	c.Bytes += s.Bytes
	c.KernelDrops += s.KernelDrops
	c.Malformed += s.Malformed
	c.Unordered += s.Unordered
	c.Blind += s.Blind
	c.Sources = append(c.Sources, s)
}

// Sessions counts sessions.
type Sessions struct {
	Seen     int64 `json:"seen"`
	Complete int64 `json:"complete"` // captured whole, from the SYN to the end
	Joined   int64 `json:"joined"`   // the beginning was not captured
	Replayed int64 `json:"replayed"` // a connection to the application was made
	Finished int64 `json:"finished"` // of those: played to their end
	Failed   int64 `json:"failed"`   // refused, reset, closed early, unanswered, or not played to the end
	Skipped  int64 `json:"skipped"`  // not replayed

	Filtered   int64 `json:"filtered"`   // of those skipped: left out on purpose
	Copies     int64 `json:"copies"`     // of those seen: made by --multiply
	Shed       int64 `json:"shed"`       // of those failed: dropped over a limit, or in part
	Reconnects int64 `json:"reconnects"` // connections made anew after the application had ended one early
	Lossy      int64 `json:"lossy"`      // client bytes were lost: not delivered, and not filtered; AddDetail counts them
	UDP        int64 `json:"udp"`        // of those seen: UDP flows

	// Of those failed, beside Shed; Detail.State says the same of each.
	Refused     int64 `json:"refused"`      // the application took no connection
	Reset       int64 `json:"reset"`        // it reset the connection
	ClosedEarly int64 `json:"closed_early"` // it closed before all was sent
	Unanswered  int64 `json:"unanswered"`   // it left the last that it was asked unanswered
	Pending     int64 `json:"pending"`      // not played to the end when the run ended

	// Of those shed, by what it began with; the others were over --max-memory.
	ShedCPU      int64 `json:"shed_cpu"`      // more than --max-cpu was needed
	ShedWatchdog int64 `json:"shed_watchdog"` // they began while the watchdog had stopped the replay
}

// Stop is a time for which the watchdog had stopped the replay.
type Stop struct {
	At  Seconds `json:"at_s"` // since the run began
	For Seconds `json:"for_s"`
	Why string  `json:"why"`
}

// Datagrams counts the clients' datagrams of UDP flows.
type Datagrams struct {
	Sent    int64 `json:"sent"`    // the application's kernel took them
	Refused int64 `json:"refused"` // of those: it said that nobody listens on the port
	// Dropped are those for which a socket of the application's had no room, as
	// far as its kernel counts: what it sends to itself is among them. Their
	// bytes are counted as delivered.
	Dropped int64 `json:"dropped"`
}

// ClientBytes is the ledger: each captured client byte is in exactly one bin
// between Delivered and Unsupported.
type ClientBytes struct {
	Captured    int64 `json:"captured"`
	Delivered   int64 `json:"delivered"`
	Pending     int64 `json:"pending"`
	Gap         int64 `json:"gap"`
	BeforeJoin  int64 `json:"before_join"`
	Filtered    int64 `json:"filtered"`
	Refused     int64 `json:"refused"`
	ClosedEarly int64 `json:"closed_early"`
	Shed        int64 `json:"shed"`
	Unsupported int64 `json:"unsupported"`
	// NotCaptured stands beside the ledger: bytes that production acknowledged
	// and the capture never saw.
	NotCaptured int64 `json:"not_captured"`
}

// Bytes turns a ledger into its written form. notCaptured is
// session.Totals.Missing of the client.
func Bytes(captured int64, l session.Ledger, notCaptured int64) ClientBytes {
	return ClientBytes{
		Captured:    captured,
		Delivered:   l[session.Delivered],
		Pending:     l[session.Pending],
		Gap:         l[session.InGap],
		BeforeJoin:  l[session.BeforeJoin],
		Filtered:    l[session.Filtered],
		Refused:     l[session.Refused],
		ClosedEarly: l[session.ClosedEarly],
		Shed:        l[session.Shed],
		Unsupported: l[session.Unsupported],
		NotCaptured: notCaptured,
	}
}

// Release counts the client's turns, and its closing, by what set them free.
type Release struct {
	Exact    int64 `json:"exact"`
	Boundary int64 `json:"boundary"`
	Quiet    int64 `json:"quiet"`
	Timeout  int64 `json:"timeout"`

	Unawaited int64 `json:"unawaited"` // with --wait none
}

// Answers counts answers by verdict.
type Answers struct {
	Compared   int64 `json:"compared"` // all but the uncompared
	Identical  int64 `json:"identical"`
	Equivalent int64 `json:"equivalent"`
	Different  int64 `json:"different"`
	Missing    int64 `json:"missing"`
	Uncompared int64 `json:"uncompared"`
	Extra      int64 `json:"extra"` // of those different: datagrams that production did not send

	// UncomparedWhy counts the uncompared by reason: "not-captured", "gap",
	// "capture-ended", "unpaired", "not-played", "run-ended", "over-bound", "unknown". Only in
	// the sum.
	UncomparedWhy map[string]int64 `json:"uncompared_why,omitempty"`
}

// Count adds n answers of one verdict.
func (a *Answers) Count(v compare.Verdict, n int64) {
	switch v {
	case compare.Identical:
		a.Identical += n
	case compare.Equivalent:
		a.Equivalent += n
	case compare.Different:
		a.Different += n
	case compare.Missing:
		a.Missing += n
	case compare.Uncompared:
		a.Uncompared += n
		return
	}
	a.Compared += n
}

// Closes counts how connections ended, by verdict.
type Closes struct {
	Compared   int64 `json:"compared"`
	Identical  int64 `json:"identical"`
	Equivalent int64 `json:"equivalent"` // otherwise, and allowed to
	Different  int64 `json:"different"`
	Uncompared int64 `json:"uncompared"` // one side's end was not seen, or the client aborted
}

// Latency is the time from a request's last byte to the first byte of its
// answer and, in Whole, to its last, of each who answered. Where nothing was
// measured it is nought.
type Latency struct {
	Production  Percentiles  `json:"production"`
	Application Percentiles  `json:"application"`
	Baseline    *Percentiles `json:"baseline,omitempty"`
	Whole       WholeLatency `json:"whole"`
}

// WholeLatency is the time to the last byte.
type WholeLatency struct {
	Production  Percentiles  `json:"production"`
	Application Percentiles  `json:"application"`
	Baseline    *Percentiles `json:"baseline,omitempty"`
}

// Percentiles of a distribution.
type Percentiles struct {
	P50   Milliseconds `json:"p50_ms"`
	P90   Milliseconds `json:"p90_ms"`
	P99   Milliseconds `json:"p99_ms"`
	P999  Milliseconds `json:"p999_ms"`
	Max   Milliseconds `json:"max_ms"`
	Count int64        `json:"count"`
	// Curve is the cumulative distribution, 200 points at most, shortest first;
	// only of the run as a whole.
	Curve []CurvePoint `json:"curve,omitempty"`
}

// CurvePoint says that a share of all, from 0 to 1, took At or less.
type CurvePoint struct {
	At    Milliseconds `json:"at_ms"`
	Share float64      `json:"share"`
}

// Excused is a place where answers differed and were allowed to.
type Excused struct {
	Place   string `json:"place"` // "header date", "$.items[*].id", "header order"
	Why     string `json:"why"`   // the rule; "" where it is only written otherwise
	Answers int64  `json:"answers"`
}

// Noise is a place where the baseline's answers differ from production's.
type Noise struct {
	Route       string `json:"route"`
	Place       string `json:"place"`
	Baseline    int64  `json:"baseline"`    // answers that differ there
	Application int64  `json:"application"` // of the application's
	Answers     int64  `json:"answers"`     // of the baseline's that were compared
}

// Route is what requests of one kind came to.
type Route struct {
	Route   string  `json:"route"` // "GET /users/{id}", "turn 3"
	Answers Answers `json:"answers"`
	Latency Latency `json:"latency"`
}

// Series is the run over time.
type Series struct {
	Step   Seconds       `json:"step_s"`
	Points []SeriesPoint `json:"points"` // 600 at most
}

// SeriesPoint is one step: the answers to what the application was asked in
// it, and the mean times to their first bytes.
type SeriesPoint struct {
	Answers     Answers      `json:"answers"`
	Production  Milliseconds `json:"production_ms"`
	Application Milliseconds `json:"application_ms"`
}

// Baseline is how the old version fared.
type Baseline struct {
	App
	Compared int64 `json:"compared"` // of its answers
	Differed int64 `json:"differed"` // of those, from production's
}

// Egress is what the application tried to send to one destination.
type Egress struct {
	Proto   string `json:"proto"` // "tcp", "udp", "icmp" …
	Dst     string `json:"dst"`   // IP address
	Port    uint16 `json:"port"`  // 0 where the protocol has none
	Packets int64  `json:"packets"`
	Bytes   int64  `json:"bytes"`
	Policy  string `json:"policy"` // what was done: "drop", "refuse", "allow", "answer"
	Name    string `json:"name"`   // host name, where one was asked for; else ""

	PacketsBack int64  `json:"packets_back"` // from the destination, where it was let through to
	BytesBack   int64  `json:"bytes_back"`
	Guess       string `json:"guess"` // what the first bytes let through look like: "tls", "http" …; "" not known
	Host        string `json:"host"`  // whom they name: TLS SNI, HTTP Host
	// Loopback: it went by a listener on the application's own loopback, of --map or
	// --allow-dns, and not by the TUN device.
	Loopback bool `json:"loopback"`
}

// App is how the application fared.
type App struct {
	Command  string `json:"command"`
	ExitCode int    `json:"exit_code"` // -1 if a signal ended it, or it never started
	Signal   string `json:"signal"`    // "SIGTERM" …; "" if it exited by itself
	Listen   string `json:"listen"`    // address and port; "" if it never listened
}

// Tested is the application, which may have been started again.
type Tested struct {
	App
	// Died is how often it ended while it was needed, and Restarts how often it
	// was started again for that.
	Died     int64   `json:"died,omitempty"`
	Restarts int64   `json:"restarts,omitempty"`
	Deaths   []Death `json:"deaths,omitempty"` // the first ones
}

// Death is an end of the application that nobody asked for.
type Death struct {
	At       Seconds `json:"at_s"` // since the replay began
	ExitCode int     `json:"exit_code"`
	Signal   string  `json:"signal"`
	Listened Seconds `json:"listened_s"` // how long it had; 0 if it never did
}

// Detail is one session.
type Detail struct {
	ID          uint64      `json:"id"`
	Copy        int64       `json:"copy"`            // which of those made by --multiply, from 0
	Proto       string      `json:"proto,omitempty"` // "udp" for a UDP flow
	Client      string      `json:"client"`          // address and port, as captured
	As          string      `json:"as"`              // what the application saw instead; "" if the same
	Server      string      `json:"server"`
	State       string      `json:"state"` // "finished", "skipped", or what went wrong: "refused", "reset", "closed-early", "unanswered", "pending" …
	Joined      bool        `json:"joined"`
	Gaps        int64       `json:"gaps"`     // holes that the capture left in the client's stream
	Requests    int64       `json:"requests"` // or turns, where there is no framer
	ClientBytes ClientBytes `json:"client_bytes"`
	// Verdict is the worst of the session's answers.
	Verdict         string      `json:"verdict"`
	Answers         Answers     `json:"answers"`
	FirstDifference *Difference `json:"first_difference"` // null if none
	Close           string      `json:"close"`            // how the connection's end compares, as Verdict

	findings []finding // those of different answers that Settle may excuse
}

// Seconds is a duration that is written as a number of seconds.
type Seconds time.Duration

// MarshalJSON writes milliseconds precisely, and nothing finer.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return appendFixed(time.Duration(s), time.Second), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Seconds) UnmarshalJSON(p []byte) error {
	return readFixed((*time.Duration)(s), p, time.Second)
}

// Milliseconds is a duration that is written as a number of milliseconds.
type Milliseconds time.Duration

// MarshalJSON writes microseconds precisely, and nothing finer.
func (m Milliseconds) MarshalJSON() ([]byte, error) {
	return appendFixed(time.Duration(m), time.Millisecond), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *Milliseconds) UnmarshalJSON(p []byte) error {
	return readFixed((*time.Duration)(m), p, time.Millisecond)
}

func appendFixed(d, unit time.Duration) []byte {
	n := float64(d.Round(unit/1000)) / float64(unit)
	return strconv.AppendFloat(nil, n, 'f', -1, 64)
}

func readFixed(d *time.Duration, p []byte, unit time.Duration) error {
	var n float64
	if err := json.Unmarshal(p, &n); err != nil {
		return fmt.Errorf("read a duration: %w", err)
	}
	*d = time.Duration(n * float64(unit)).Round(unit / 1000)
	return nil
}
