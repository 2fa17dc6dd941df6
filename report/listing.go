package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"tcpsandbox/session"
)

// Listing is what a capture holds, before anyone plays it. Its JSON form is a
// promise as Result's is. Slices may be nil: they are written as [].
type Listing struct {
	Version     int             `json:"version"` // Version; WriteJSON sets it
	Tool        string          `json:"tool"`
	Capture     ListedCapture   `json:"capture"`
	Sessions    ListedSessions  `json:"sessions"`
	ClientBytes Deliverable     `json:"client_bytes"`
	ServerBytes ServerBytes     `json:"server_bytes"`
	Warnings    []string        `json:"warnings"`
	Defects     []string        `json:"defects"` // contradictions: bugs of tcpsandbox
	Detail      []ListedSession `json:"detail"`  // by ID
}

// ListedCapture counts packets.
type ListedCapture struct {
	Source      string `json:"source"` // as on the command line
	Packets     int64  `json:"packets"`
	Bytes       int64  `json:"bytes"`        // captured, headers included
	KernelDrops int64  `json:"kernel_drops"` // as the capture itself says
	Malformed   int64  `json:"malformed"`    // could not be decoded
	Filtered    int64  `json:"filtered"`     // left out by --filter
	Ignored     int64  `json:"ignored"`      // of no session: other ports and protocols
	Cut         int64  `json:"cut"`          // kept in part only: the snap length
	Unordered   int64  `json:"unordered_bytes"`
}

// ListedSessions counts sessions.
type ListedSessions struct {
	Seen     int64 `json:"seen"`
	Complete int64 `json:"complete"` // captured whole, from the SYN to the end
	Joined   int64 `json:"joined"`   // the beginning was not captured
}

// Deliverable is the ledger as far as the capture decides it: each captured
// client byte is in exactly one bin between Deliverable and Unsupported.
type Deliverable struct {
	Captured    int64 `json:"captured"`
	Deliverable int64 `json:"deliverable"` // what an application can get that takes everything
	Gap         int64 `json:"gap"`
	BeforeJoin  int64 `json:"before_join"`
	Unsupported int64 `json:"unsupported"`
	// NotCaptured stands beside the ledger: bytes that production acknowledged
	// and the capture lacks.
	NotCaptured int64 `json:"not_captured"`
}

// ServerBytes is what is there of production's answers.
type ServerBytes struct {
	Captured    int64 `json:"captured"`
	NotCaptured int64 `json:"not_captured"`
}

// ListedSession is one session.
type ListedSession struct {
	ID          uint64      `json:"id"`
	Client      string      `json:"client"` // address and port
	Server      string      `json:"server"`
	Proto       string      `json:"proto"` // "tcp", "udp"
	Via         string      `json:"via"`   // VLAN tags and tunnels around it, outermost first
	State       string      `json:"state"` // "closed", "reset", "open", "idle", "replaced", "unanswered", "refused"
	Joined      bool        `json:"joined"`
	Turns       int64       `json:"turns"` // runs of data in one direction
	ClientBytes Deliverable `json:"client_bytes"`
	ServerBytes ServerBytes `json:"server_bytes"`
	Start       time.Time   `json:"start"`
	Duration    Seconds     `json:"duration_s"`

	Lasted time.Duration `json:"-"` // Duration is rounded when it is written
}

// Outlook turns a ledger that nobody played into its written form: what it has
// as session.Delivered can be delivered. It returns an error if the ledger does
// not add up, or has bytes in bins that only a run can fill.
func Outlook(captured int64, l session.Ledger, notCaptured int64) (Deliverable, error) {
	d := Deliverable{
		Captured:    captured,
		Deliverable: l[session.Delivered],
		Gap:         l[session.InGap],
		BeforeJoin:  l[session.BeforeJoin],
		Unsupported: l[session.Unsupported],
		NotCaptured: notCaptured,
	}
	if err := l.Check(captured); err != nil {
		return d, err
	}
	if sum := d.Deliverable + d.Gap + d.BeforeJoin + d.Unsupported; sum != captured {
		return d, fmt.Errorf("%d of %d bytes are in a bin that only a run can fill", captured-sum, captured)
	}
	return d, nil
}

// Add lists a session and adds it to the sums. err is what Outlook said of its
// ledger.
func (l *Listing) Add(s ListedSession, whole bool, err error) {
	if err != nil {
		l.Defects = append(l.Defects, fmt.Sprintf("session %d: %v", s.ID, err))
	}
	l.Detail = append(l.Detail, s)
	l.Sessions.Seen++
	if whole {
		l.Sessions.Complete++
	}
	if s.Joined {
		l.Sessions.Joined++
	}
	sum, c := &l.ClientBytes, &s.ClientBytes
	sum.Captured += c.Captured
	sum.Deliverable += c.Deliverable
	sum.Gap += c.Gap
	sum.BeforeJoin += c.BeforeJoin
	sum.Unsupported += c.Unsupported
	sum.NotCaptured += c.NotCaptured
	l.ServerBytes.Captured += s.ServerBytes.Captured
	l.ServerBytes.NotCaptured += s.ServerBytes.NotCaptured
}

// WriteJSON writes the listing as one indented JSON object and a line end. The
// error is w's.
func (l *Listing) WriteJSON(w io.Writer) error {
	out := *l
	out.Version = Version
	out.Warnings, out.Defects, out.Detail = orEmpty(l.Warnings), orEmpty(l.Defects), orEmpty(l.Detail)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(&out)
}

// lacking lists the bins of what cannot be delivered.
func (d *Deliverable) lacking() []bin {
	c := ClientBytes{Gap: d.Gap, BeforeJoin: d.BeforeJoin, Unsupported: d.Unsupported}
	return c.lostBins()
}

// Text writes the listing for people: a line a session, then the sums. The
// ledger has columns only if not all bytes can be delivered. The error is w's.
func (l *Listing) Text(w io.Writer) error {
	var b bytes.Buffer
	bins := l.ClientBytes.lacking()
	head := []string{"ID", "CLIENT", "SERVER", "STATE", "TURNS", "TO SERVER", "TO CLIENT", "DURATION", "MISSING"}
	ledger := []string{}
	if len(bins) > 0 {
		ledger = append(ledger, "DELIVERABLE")
	}
	for _, bin := range bins {
		ledger = append(ledger, strings.ToUpper(bin.word))
	}
	const before = 6 // the ledger follows TO SERVER
	rows := [][]string{splice(head, before, ledger)}
	for i := range l.Detail {
		s := &l.Detail[i]
		c := &s.ClientBytes
		ledger := []string{}
		if len(bins) > 0 {
			ledger = append(ledger, number(c.Deliverable))
		}
		for _, bin := range bins {
			ledger = append(ledger, number(c.of(bin.word)))
		}
		rows = append(rows, splice([]string{fmt.Sprint(s.ID), s.Client, s.Server, s.state(), number(s.Turns), number(c.Captured),
			number(s.ServerBytes.Captured), s.Lasted.Round(time.Microsecond).String(), s.missing()}, before, ledger))
	}
	for _, line := range columns(rows) {
		fmt.Fprintln(&b, line)
	}
	c := &l.Capture
	fmt.Fprintf(&b, "\n%s, %s%s\n", count(l.Sessions.Seen, "session"), count(c.Packets, "packet"), nonZero(
		bin{word: "dropped by the kernel", n: c.KernelDrops}, bin{word: "malformed", n: c.Malformed},
		bin{word: "left out by the filter", n: c.Filtered}, bin{word: "of no session", n: c.Ignored},
		bin{word: "cut by the snap length", n: c.Cut}))
	fmt.Fprintf(&b, "%s of them whole; %s captured", number(l.Sessions.Complete), count(l.ClientBytes.Captured, "client byte"))
	if len(bins) == 0 && l.ClientBytes.Captured > 0 {
		b.WriteString(", all of them deliverable")
	}
	b.WriteString(nonZero(bin{word: "more not captured", n: l.ClientBytes.NotCaptured}))
	b.WriteString(nonZero(bin{word: "more that could not be put in order", n: c.Unordered}))
	b.WriteByte('\n')
	if len(bins) > 0 {
		sums := [][]string{{"  deliverable", number(l.ClientBytes.Deliverable), "run can play them"}}
		for _, bin := range bins {
			sums = append(sums, []string{"  " + bin.word, number(bin.n), bin.why})
		}
		for _, line := range columns(sums) {
			fmt.Fprintln(&b, line)
		}
	}
	if len(l.Defects) > 0 {
		b.WriteString("\ndefects of tcpsandbox\n")
		for _, d := range l.Defects {
			fmt.Fprintf(&b, "  %s\n", d)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// splice returns row with more put in before column i.
func splice(row []string, i int, more []string) []string {
	return append(append(append([]string{}, row[:i]...), more...), row[i:]...)
}

func (d *Deliverable) of(word string) int64 {
	for _, b := range d.lacking() {
		if b.word == word {
			return b.n
		}
	}
	return 0
}

// state says how a session went, in one word or a few.
func (s *ListedSession) state() string {
	text := s.State
	if s.Proto != "tcp" {
		text = s.Proto
	}
	if s.Joined {
		text += ", joined"
	}
	if s.Via != "" {
		text += ", " + s.Via
	}
	return text
}

// missing says what the capture lacks.
func (s *ListedSession) missing() string {
	var words []string
	if s.Joined {
		words = append(words, "beginning")
	}
	if n := s.ClientBytes.NotCaptured; n > 0 {
		words = append(words, count(n, "byte")+" of the client")
	}
	if n := s.ServerBytes.NotCaptured; n > 0 {
		words = append(words, count(n, "byte")+" of the server")
	}
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, ", ")
}
