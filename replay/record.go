package replay

import (
	"cmp"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// Record is what became of one session.
type Record struct {
	ID             uint64
	Copy           int // which copy of the session it is, from 0
	Proto          session.Proto
	Client, Server string // as captured
	As             string // the client's address that the application saw; empty if Client
	State          string // "finished", "refused", "reset", "closed-early", "unanswered", "pending", "filtered", "shed", "skipped", …
	Joined         bool
	Connected      bool // a connection into the application was established
	Reset          bool // ended as production's client did, with RST
	Shed           bool // something of it was dropped over a limit
	ShedWhy        ShedWhy
	LeftOut        bool // nothing of it was to be played, and no copy was made: it was not chosen, or began outside of Share.New
	Gaps           int  // in the client's stream
	Reconnects     int  // connections that took the place of one that broke
	Requests       int  // requests or client turns compared
	Bytes          session.Ledger
	Captured       int64 // client bytes
	Missing        int64 // client bytes that production had and the capture had not
	// Of a UDP flow: the client's datagrams that the application's kernel took,
	// and those of them that it refused because nobody listened.
	Datagrams, DatagramsRefused int64

	Verdict compare.Verdict
	Answers Verdicts
	Extra   int64       // of those different: datagrams that production did not send
	First   *Difference // the first answer that differs
	// Close is how the ends of the connection compare.
	Close        compare.Verdict
	CloseFinding Finding // Finding and First of that
	// Findings counts what differs by Outcome.Finding, maxFindings of them; those
	// beyond differ whatever the noise.
	Findings []Finding

	told []int // those of Findings that have their First
}

// Finding is a number of answers that differ in the same.
type Finding struct {
	Finding int
	Verdict compare.Verdict
	Answers int64
	First   *Difference // that of one of them; nil: it was not asked for
}

const (
	// maxFindings bounds Record.Findings, to 20 KB. A connection from a proxy
	// carries requests of all routes, and each may have noise of its own.
	maxFindings = 512
	// maxFirsts is for how many of them the first difference is asked for.
	maxFirsts = 16
)

// found notes what an answer differs in.
func (r *Record) found(request string, out compare.Outcome) {
	var first *Difference
	if out.First != nil {
		first = &Difference{request, *out.First}
		r.First = cmp.Or(r.First, first)
	}
	if out.Finding == 0 {
		return
	}
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Finding == out.Finding {
			f.Answers++
			if f.First == nil && first != nil {
				f.First = first
				r.told = append(r.told, out.Finding)
			}
			return
		}
	}
	if len(r.Findings) < maxFindings {
		if first != nil {
			r.told = append(r.told, out.Finding)
		}
		r.Findings = append(r.Findings, Finding{out.Finding, out.Verdict, 1, first})
	}
}

// Verdicts counts answers by compare.Verdict.
type Verdicts [compare.Uncompared + 1]int64

// Difference is an answer that is not production's.
type Difference struct {
	Request string
	compare.Difference
}

// Latency is a distribution of times.
type Latency struct {
	P50, P90, P99 time.Duration
	Count         int64
}

// Result is the sum of an engine's work so far.
type Result struct {
	Seen, Complete, Joined     int            // sessions captured; those captured from SYN to end; those without beginning
	Replayed, Finished, Failed int            // connected; played to the end as captured; not
	FailedAs                   map[string]int // of those failed, by Record.State
	Skipped                    int            // never connected, though nothing failed
	Filtered                   int            // of those: left out on purpose
	UDP                        int            // of those seen: UDP flows
	Copies                     int            // of those seen: second and later copies of a session
	Shed                       int            // of those failed: shed over a limit, or in part
	ShedFor                    [shedWhys]int  // of those, by why it began
	Reconnects                 int
	PeakHeld                   int64 // most bytes that the players held at once; see Held
	Bytes                      session.Ledger
	Captured, Missing          int64
	Release                    [causes]int64
	Verdicts                   map[compare.Verdict]int64
	Extra                      int64 // of those different: datagrams that production did not send
	Datagrams                  int64 // of UDP flows; see Record
	DatagramsRefused           int64
	Lateness                   Latency  // of released chunks behind their captured time, where there is a pace
	Defects                    []string // sessions whose ledger does not add up: bugs of ours
}

// worst orders verdicts: a session's is that of its worst answer.
var worst = map[compare.Verdict]int{
	compare.Uncompared: 0, compare.Identical: 1, compare.Equivalent: 2, compare.Missing: 3, compare.Different: 4,
}

func (r *Record) judged(e *exchange, res compare.Outcome) {
	if e.extra {
		r.Extra++
	}
	if r.Requests == 0 || worst[res.Verdict] > worst[r.Verdict] {
		r.Verdict = res.Verdict
	}
	r.Requests++
	r.Answers[res.Verdict]++
	r.found(e.label, res)
}

// tally sums up a shard's work. The counters that a progress line shows are
// atomic, the rest is behind mu: it changes once per answer or session.
type tally struct {
	pending  atomic.Int64 // client bytes captured and neither sent nor dropped
	finished atomic.Int64
	failed   atomic.Int64
	answers  atomic.Int64
	differs  atomic.Int64

	mu     sync.Mutex
	result Result
	// in microseconds, to 3 digits, up to 10 minutes
	lateness *hdrhistogram.Histogram
}

func (t *tally) init() {
	t.result.Verdicts = map[compare.Verdict]int64{}
	t.result.FailedAs = map[string]int{}
	t.lateness = hdrhistogram.New(1, int64(10*time.Minute/time.Microsecond), 3)
}

func (t *tally) released(c Cause) {
	t.mu.Lock()
	t.result.Release[c]++
	t.mu.Unlock()
}

func (t *tally) late(d time.Duration) {
	t.mu.Lock()
	t.lateness.RecordValue(int64(d / time.Microsecond))
	t.mu.Unlock()
}

func (t *tally) judged(e *exchange, res compare.Outcome) {
	t.answers.Add(1)
	if res.Verdict == compare.Different || res.Verdict == compare.Missing {
		t.differs.Add(1)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.result.Verdicts[res.Verdict]++
	if e.extra {
		t.result.Extra++
	}
}

// finish ends a session whose record is played, or that cannot go on.
func (p *player) finish() {
	p.exchanges.conclude()
	p.closings.clientEnds(time.Now())
	p.judgeClose()
	acked := p.delivered
	if p.conn != nil {
		acked += p.conn.Acked()
	}
	state := "finished"
	switch {
	case p.fail.err != nil:
		state = p.failure(p.fail)
	case p.failed.err != nil:
		state = p.failure(p.failed)
	case p.out:
		state = p.outFate().String()
	case !p.record.Connected && !p.until.IsZero():
		state = "filtered"
	case !p.record.Connected:
		state = "skipped"
	case p.ledger[session.Pending] > 0 || p.conn != nil && p.conn.Acked() < p.written:
		state = "pending"
	case p.record.Requests > 0 && p.record.Verdict == compare.Missing:
		state = "unanswered"
	}
	p.end(state, acked)
}

// failure is the state of a session whose connection failed. A reset at the
// very end is none where production's server did the same.
func (p *player) failure(f failure) string {
	switch {
	case f.fate != session.Refused || !p.record.Connected:
		return f.fate.String()
	case p.serverRST && p.conn != nil && p.conn.Acked() == p.written && p.ledger.Sum() == 0:
		return "finished"
	}
	return "reset"
}

// cutShort ends a session because the run is over.
func (p *player) cutShort() {
	now := time.Now()
	p.exchanges.over = now
	if p.udp != nil {
		p.udp.cutShort(now)
		return
	}
	p.exchanges.conclude()
	acked := p.delivered
	if p.conn != nil {
		acked += p.conn.Acked()
	}
	state, fate := "pending", session.Pending
	if p.fail.err != nil {
		state, fate = p.failure(p.fail), p.fail.fate
	}
	if p.out {
		state = p.outFate().String()
	}
	for ; p.head < len(p.steps); p.pop() {
		p.drop(&p.steps[p.head], fate)
	}
	p.dropNext(fate)
	p.end(state, acked)
}

// end closes the books on a session: what was acknowledged is delivered, what
// was sent and was not has the failure's fate, or is pending. It does not make
// the bins fit what was captured: that is for Ledger.Check to see.
func (p *player) end(state string, acked uint64) {
	unacked := session.Pending
	if p.fail.err != nil {
		unacked = p.fail.fate
	}
	totals, _ := p.s.Totals()
	p.ledger[session.Delivered] += int64(acked)
	p.ledger[unacked] += int64(p.delivered + p.written - acked)
	p.askLink()
	if p.conn != nil {
		if p.fail.err != nil || p.ledger[session.Pending] > 0 {
			p.conn.Abort()
		} else {
			p.conn.Close()
		}
		p.bell.part(p.conn)
		p.conn = nil
	}
	p.shard.timers.drop(p)
	p.ended = true
	p.setBusy(false)
	delete(p.shard.live, p)
	p.held, p.onWay = 0, 0
	p.settleHeld()

	r := p.record
	r.ID, r.Copy, r.Proto, r.Client, r.Server = p.s.ID, p.copy, p.s.Proto, p.s.Client.String(), p.s.Server.String()
	if p.addr != p.s.Client && p.addr.IsValid() {
		r.As = p.addr.String()
	}
	r.State, r.Joined = state, p.s.Joined
	r.Bytes, r.Captured, r.Missing = p.ledger, totals.Bytes[session.Client], totals.Missing[session.Client]
	if r.Requests == 0 {
		r.Verdict = compare.Uncompared
	}
	p.shard.tally.record(r, totals)
	p.tellEnd(time.Now())
	if done := p.shard.cfg.Ended; done != nil {
		done(r)
	}
	p.shard.engine.ended()
}

// Whole reports whether a session that has ended was captured whole: from its
// beginning to its end, which a UDP flow has not, and without a hole in what
// the client sent.
func Whole(s *session.Session, t session.Totals) bool { return whole(s.Proto, s.Joined, &t) }

func whole(proto session.Proto, joined bool, t *session.Totals) bool {
	closed := t.RST[0] || t.RST[1] || t.FIN[0] && t.FIN[1] || proto == session.UDP
	return !joined && closed && t.Missing[session.Client] == 0
}

// maxDefects is how many defective sessions a shard names.
const maxDefects = 10

func (t *tally) record(r *Record, totals session.Totals) {
	t.mu.Lock()
	defer t.mu.Unlock()
	res := &t.result
	res.Seen++
	if whole(r.Proto, r.Joined, &totals) {
		res.Complete++
	}
	if r.Joined {
		res.Joined++
	}
	if r.Connected {
		res.Replayed++
	}
	if r.Copy > 0 {
		res.Copies++
	}
	if r.Proto == session.UDP {
		res.UDP++
	}
	res.Datagrams += r.Datagrams
	res.DatagramsRefused += r.DatagramsRefused
	res.Reconnects += r.Reconnects
	switch r.State {
	case "finished":
		res.Finished++
		t.finished.Add(1)
	case "filtered":
		res.Filtered++
		res.Skipped++
	case "skipped":
		res.Skipped++
	case "shed":
		res.Shed++
		res.ShedFor[r.ShedWhy]++
		fallthrough
	default:
		res.Failed++
		res.FailedAs[r.State]++
		t.failed.Add(1)
	}
	res.Bytes.Add(&r.Bytes)
	res.Captured += r.Captured
	res.Missing += r.Missing
	if err := r.Bytes.Check(r.Captured); err != nil {
		switch len(res.Defects) {
		default:
			res.Defects = append(res.Defects, fmt.Sprintf("session %d (%s): %v", r.ID, r.Client, err))
		case maxDefects:
			res.Defects = append(res.Defects, "and so in more sessions")
		case maxDefects + 1:
		}
	}
}
