package main

import (
	"slices"
	"strings"
	"sync"
	"time"

	"tcpsandbox/capture"
	"tcpsandbox/compare"
	"tcpsandbox/findings"
	"tcpsandbox/replay"
	"tcpsandbox/report"
	"tcpsandbox/tui"
)

// runScreen is what the screen sees of a run, and of what is left of it. It
// implements tui.Source and tui.Keeper. Secrets are hidden in all that it gives.
//
// Poll belongs to one goroutine; all else may be called by any.
type runScreen struct {
	p        *pipeline
	log      *screenLog
	steering *steering // nil: nobody steers

	// Poll's own.
	run      tui.Run
	egress   []report.Egress
	counted  findings.Counts // when findings were last asked for
	asked    bool
	next     time.Time // when they may be asked for again
	slow     time.Time // and what changes slowly
	noisy    map[sessionCopy]replay.View
	uploaded int64 // of all sessions
	answered int64
	endShown bool

	mu    sync.Mutex
	slots map[int]screenSlot
	ends  [2][]int // slots of sessions that have ended, the oldest first; second: notable ones
	saved map[int]savedSession
	over  *report.Result // nil: the run has not ended
}

// screenSlot is what is known of the session of a slot.
type screenSlot struct {
	id                  uint64
	client              string
	tags                int // VLAN tags; of a file's only
	delivered, answered int64
}

// slotShare is how much of the table's memory there is for each slot of a session
// that has ended, in bytes. A quarter of it is the slot's own, so that as many are
// remembered as the rest has room for.
const slotShare = 640

// sessionCopy names a session, or a copy of it.
type sessionCopy struct {
	id   uint64
	copy int
}

// savedSession is a capture that Save has written.
type savedSession struct {
	path string
	kept capture.Kept
}

// newRunScreen returns what shows a run that is open. runOptions.screen must have been
// set before the pipeline was opened.
func newRunScreen(p *pipeline) *runScreen {
	s := &runScreen{p: p, log: new(screenLog), slots: map[int]screenSlot{}, saved: map[int]savedSession{}, noisy: map[sessionCopy]replay.View{}}
	s.run = tui.Run{Source: strings.Join(p.opt.captures, ", "), Command: p.app.line, Limit: p.opt.memory}
	if p.old != nil {
		s.run.Command = p.lines()
	}
	return s
}

// storiesLimit is how much of the heap the sessions' stories may take, in bytes.
func (o *runOptions) storiesLimit() int64 {
	if !o.screen {
		return 0
	}
	return min(64<<20, o.playLimit()/8)
}

// tableLimit is how much of the heap the screen's table of sessions may take, in
// bytes, with what is remembered here of each. With more of them it would lag: 128
// MB are 200,000 sessions.
func (o *runOptions) tableLimit() int64 {
	if !o.screen {
		return 0
	}
	return min(128<<20, o.playLimit()/8)
}

// watch says how the application's sessions are watched; nil: nobody does.
func (o *runOptions) watch() *replay.Watch {
	if !o.screen {
		return nil
	}
	now := !slices.ContainsFunc(o.specs, func(s capture.Spec) bool { return !s.IsLive() || s.Source == "-" })
	return &replay.Watch{Memory: o.storiesLimit(), Clock: now, Label: o.secrets.Request}
}

// ended tells that the run is over, and what it came to. The result is not
// changed any more.
func (s *runScreen) ended(r *report.Result) {
	s.mu.Lock()
	s.over = r
	s.mu.Unlock()
}

// Poll implements tui.Source.
func (s *runScreen) Poll() tui.Snapshot {
	s.mu.Lock()
	over := s.over
	s.mu.Unlock()
	now := time.Now()
	snap := tui.Snapshot{At: now, Sessions: s.p.app.engine.Changes(nil), Log: s.log.take(s.p.opt.secrets)}
	s.note(snap.Sessions)
	switch {
	case over == nil:
		s.progress()
		snap.Findings = s.findings(now)
		snap.Egress = s.slowly(now)
	case !s.endShown:
		s.endShown = true
		s.progress()
		snap.Findings, snap.Egress = s.result(over), over.Egress
		snap.Sessions = append(snap.Sessions, s.settled(over)...)
	}
	snap.Run = s.run
	return snap
}

// note remembers which session a slot is, and sums up what they moved.
func (s *runScreen) note(views []replay.View) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range views {
		v := &views[i]
		at := s.slots[v.Slot]
		if at.id == 0 {
			at.id, at.client = v.ID, v.Client.String()
		}
		s.uploaded += v.Delivered - at.delivered
		s.answered += v.Answered - at.answered
		at.delivered, at.answered = v.Delivered, v.Answered
		s.slots[v.Slot] = at
		if v.State != "" {
			s.endedSlot(v)
		}
		if s.p.old != nil && v.State != "" && (v.Verdict == compare.Different || v.Verdict == compare.Missing) && len(s.noisy) < report.DetailLimit {
			s.noisy[sessionCopy{v.ID, v.Copy}] = *v
		}
	}
}

// endedSlot notes that a session has ended. Beyond what the table has room for
// what is known of the oldest goes, as there: what went as production's first.
func (s *runScreen) endedSlot(v *replay.View) {
	kind := 0
	if v.Application == replay.Failed || v.Verdict == compare.Different || v.Verdict == compare.Missing {
		kind = 1
	}
	s.ends[kind] = append(s.ends[kind], v.Slot)
	if int64(len(s.ends[0])+len(s.ends[1])) <= s.p.opt.tableLimit()/slotShare {
		return
	}
	oldest := &s.ends[0]
	if len(*oldest) == 0 {
		oldest = &s.ends[1]
	}
	delete(s.slots, (*oldest)[0])
	*oldest = (*oldest)[1:]
}

// progress brings the counters up to date.
func (s *runScreen) progress() {
	p, run := s.p, &s.run
	played := p.app.engine.Counts()
	p.mu.Lock()
	lossy := p.result.Sessions.Lossy
	p.mu.Unlock()
	g := p.app.engine.Progress()
	run.Sessions, run.Released = countSessions(played, lossy), countReleases(played)
	run.Bytes = report.Bytes(played.Captured, played.Bytes, played.Missing)
	run.Active, run.Pending = g.Active, g.Pending
	run.Uploaded, run.Answered = s.uploaded, s.answered
	run.Held, _ = p.app.engine.Held()
	run.Pid, run.State = p.app.state()
	if at := p.beganAt.Load(); at != 0 && run.Began.IsZero() {
		run.Began = time.Unix(0, at)
	}
	run.Draining = p.drains.Load()
	if s.steering != nil {
		s.steering.stands(run)
	}
	run.Warnings = p.warned()
	run.Packets, run.Captured, run.Drops = 0, 0, 0
	for _, f := range p.sources {
		packets, _ := f.stats()
		run.Packets += int64(packets.Packets)
		run.Captured += int64(packets.Bytes)
		run.Drops += int64(packets.KernelDrops)
	}
	if p.old == nil { // else the noise is to be taken off
		c := p.found.Counts()
		var r report.Result
		r.SetFindings(&findings.Summary{Verdicts: c.Verdicts, Extra: c.Extra, Uncompared: c.Uncompared})
		run.Answers = r.Answers
	}
}

// findings returns what differs, if that is news: once a second at most, and
// not more often than takes a twentieth of a core.
func (s *runScreen) findings(now time.Time) *tui.Findings {
	c := s.p.found.Counts()
	if now.Before(s.next) || s.asked && c == s.counted && s.p.old == nil {
		return nil
	}
	var r report.Result
	r.SetFindings(s.p.found.Summary())
	s.counted, s.asked = c, true
	s.run.Latency, s.run.Answers = r.Latency, r.Answers
	s.next = now.Add(max(time.Second, 20*time.Since(now)))
	return &tui.Findings{Groups: r.Differences, Noise: r.Noise, Routes: r.Routes}
}

// slowly asks the kernel and the network once a second. It returns where the
// application tried to go, if that is news.
func (s *runScreen) slowly(now time.Time) []report.Egress {
	if now.Before(s.slow) {
		return nil
	}
	s.slow = now.Add(time.Second)
	s.run.Memory = residentMemory()
	egress := s.p.app.egress()
	if slices.Equal(egress, s.egress) {
		return nil
	}
	s.egress = egress
	return egress
}

// result takes over what the run came to.
func (s *runScreen) result(r *report.Result) *tui.Findings {
	setResult(&s.run, r)
	s.run.Pid, s.run.Draining, s.run.Paused, s.run.Stopped = 0, false, false, ""
	return &tui.Findings{Groups: r.Differences, Noise: r.Noise, Routes: r.Routes}
}

// settled returns the sessions of which less differs than it seemed, now that it
// is known what is noise.
func (s *runScreen) settled(r *report.Result) (views []replay.View) {
	for i := range r.Detail {
		d := &r.Detail[i]
		v, ok := s.noisy[sessionCopy{d.ID, int(d.Copy)}]
		if !ok || d.Verdict == v.Verdict.String() {
			continue
		}
		v.Verdict, v.Answers = verdictNamed(d.Verdict), answersIn(&d.Answers)
		views = append(views, v)
	}
	clear(s.noisy)
	return views
}

// slot returns what is known of a slot.
func (s *runScreen) slot(n int) (screenSlot, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.slots[n]
	return at, ok
}

// Story implements tui.Source. The exchanges come without their texts, which
// Explain has.
func (s *runScreen) Story(slot int) *tui.Story {
	told, ok := s.p.app.engine.Story(slot)
	if !ok {
		return nil
	}
	return newStory(told, s.p.opt.secrets)
}

// Explain implements tui.Source.
func (s *runScreen) Explain(slot, number int) *tui.Explanation {
	told, ok := s.p.app.engine.Story(slot)
	if !ok {
		return nil
	}
	return explain(told, number, s.p.found, s.p.opt.secrets)
}
