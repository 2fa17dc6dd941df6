package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tcpsandbox/capture"
	"tcpsandbox/compare"
	"tcpsandbox/replay"
	"tcpsandbox/report"
	"tcpsandbox/sandbox"
	"tcpsandbox/session"
)

// assemble puts the result together when everything has stopped.
func (p *pipeline) assemble(begun time.Time, ended string) *report.Result {
	played := p.app.played

	p.mu.Lock()
	defer p.mu.Unlock()
	r := &p.result
	r.Tool = "tcpsandbox " + version()
	r.Started = begun
	r.Duration = report.Seconds(time.Since(begun))
	r.Ended = ended
	for _, f := range p.sources {
		r.Capture.Add(p.captured(f))
	}
	r.Sessions = countSessions(played, r.Sessions.Lossy)
	r.Datagrams = report.Datagrams{Sent: played.Datagrams, Refused: played.DatagramsRefused}
	if n := p.app.net.Stats().Overrun; n > 0 {
		p.warn(fmt.Sprintf("%s of the application's datagrams came faster than they could be read, and are counted as missing", number(n)))
	}
	if r.Datagrams.Sent > 0 {
		var err error
		if r.Datagrams.Dropped, err = p.app.box.DroppedDatagrams(); err != nil {
			p.warn(err.Error())
		}
	}
	r.ClientBytes = report.Bytes(played.Captured, played.Bytes, played.Missing)
	r.Release = countReleases(played)
	if p.old != nil {
		r.Baseline = p.old.result()
		r.PeakHeld += p.old.played.PeakHeld
	}
	p.summary = p.found.Summary()
	r.SetFindings(p.summary)
	r.SettleDetail(p.summary.IsNoise)
	r.Lateness = percentiles(played.Lateness)
	r.PeakHeld += played.PeakHeld
	r.PeakMemory, r.MemoryLimit = peakMemory(), p.opt.memory
	r.CPU, r.CPULimit = report.Seconds(usedCPU()), p.opt.maxCPU
	if p.opt.standBack && p.stays == nil {
		if text := starved(waited()); text != "" {
			p.warn(text)
		}
	}
	r.Watchdog = p.guards.result(begun)
	r.Egress = p.app.egress()
	r.Containment, p.escapes, p.lost = p.app.containment()
	r.App.App = p.app.fared()
	p.deaths.fates(&r.App)
	if r.ClientBytes.Refused > 0 {
		p.app.warnLoopback()
	}
	p.app.warnStandIns()
	return r
}

// countSessions writes down how the sessions went. lossy are those that lost
// something, which are counted as they come.
func countSessions(played *replay.Result, lossy int64) report.Sessions {
	return report.Sessions{
		Seen: int64(played.Seen), Complete: int64(played.Complete), Joined: int64(played.Joined),
		Replayed: int64(played.Replayed), Finished: int64(played.Finished),
		Failed: int64(played.Failed), Skipped: int64(played.Skipped),
		Filtered: int64(played.Filtered), Copies: int64(played.Copies), Shed: int64(played.Shed),
		ShedCPU: int64(played.ShedFor[replay.ShedCPU]), ShedWatchdog: int64(played.ShedFor[replay.ShedWatchdog]),
		Reconnects: int64(played.Reconnects), UDP: int64(played.UDP),
		Lossy:   lossy,
		Refused: int64(played.FailedAs["refused"]), Reset: int64(played.FailedAs["reset"]), ClosedEarly: int64(played.FailedAs["closed-early"]),
		Unanswered: int64(played.FailedAs["unanswered"]), Pending: int64(played.FailedAs["pending"]),
	}
}

// countReleases writes down what set the clients' turns free.
func countReleases(played *replay.Result) report.Release {
	return report.Release{
		Exact: played.Release[replay.Exact], Boundary: played.Release[replay.Boundary],
		Quiet: played.Release[replay.Quiet], Timeout: played.Release[replay.Timeout],
		Unawaited: played.Release[replay.Unawaited],
	}
}

// egress writes down where the application tried to go, most packets first.
func (s *stand) egress() (all []report.Egress) {
	if s.net == nil {
		return nil
	}
	for _, e := range s.net.Egress() {
		dst := "elsewhere"
		if e.Dst.IsValid() {
			dst = e.Dst.String()
		}
		all = append(all, report.Egress{
			Proto: e.Proto, Dst: dst, Port: e.Port, Packets: int64(e.Packets), Bytes: int64(e.Bytes),
			PacketsBack: int64(e.PacketsBack), BytesBack: int64(e.BytesBack),
			Policy: e.Policy, Name: e.Name, Guess: e.Guess, Host: e.Host, Loopback: e.Loopback,
		})
	}
	return all
}

// defects returns what the engines noticed of books that do not balance, and what
// is wrong with the sandboxes.
func (p *pipeline) defects() (all []string) {
	all = append(all, p.app.played.Defects...)
	all = append(all, p.escapes...)
	if p.old != nil {
		found := p.old.played.Defects
		c, escapes, lost := p.old.containment()
		p.lost = errors.Join(p.lost, lost)
		found = append(append(found, escapes...), c.Check(p.old.egress())...)
		for _, d := range found {
			all = append(all, "baseline: "+d)
		}
	}
	return all
}

// containment writes down what became of the application's packets, and what in
// its sandbox could have let some past us; nothing unless tcpsandbox has a defect.
// lost is why there is no sandbox any more to look at.
// It is called once the network has stopped, and before the sandbox goes.
func (s *stand) containment() (c *report.Containment, defects []string, lost error) {
	found, err := s.box.Enclosed()
	if err != nil && errors.As(err, new(*sandbox.LostError)) {
		lost = err
	} else if err != nil {
		defects = []string{err.Error()}
	}
	f := s.net.Stats().Fates
	return &report.Containment{
		Packets: int64(f.Packets), Delivered: int64(f.Delivered), Late: int64(f.Late),
		Swallowed: int64(f.Swallowed), Refused: int64(f.Refused), Allowed: int64(f.Allowed), Answered: int64(f.Answered),
		Housekeeping: int64(f.Housekeeping), Malformed: int64(f.Malformed),
		Dropped: int64(found.Dropped), Interfaces: found.Interfaces,
	}, defects, lost
}

// captured sums up one source, and warns of what it could not give.
func (p *pipeline) captured(f *feed) report.Source {
	src, asm := f.stats()
	warn := func(format string, args ...any) { p.warn(f.spec + ": " + fmt.Sprintf(format, args...)) }
	if src.Truncated != "" {
		warn("the capture is cut off: %s", src.Truncated)
	}
	if src.Blind > 0 {
		warn("%s", blindWords(src.Blind))
	}
	if asm.Unsupported > 0 {
		warn("%s packets of link type %d, which is not supported", number(asm.Unsupported), asm.LastLink)
	}
	if n := asm.Orphaned + asm.Shed; n > 0 {
		warn("%s bytes could not be put in order (what comes before them is missing, or there was no room) and are not in the sessions", number(n))
	}
	if asm.Stale > 0 {
		warn("%s", staleWords(asm))
	}
	if asm.Refused > 0 {
		warn("%s connections were not followed: too many at once", number(asm.Refused))
	}
	if src.Packets > 0 && asm.Segments == 0 && !f.live() && p.result.Ended == report.EndedCapture {
		warn("no packet of it (%s) belongs to a %s", number(src.Packets), p.opt.wantedOf(f.spec))
	}
	if n := asm.Ignored; asm.Segments > 0 && !f.live() && n*2 > src.Packets {
		warn("%s of its %s belong to no %s", number(n), count(src.Packets, "packet"), p.opt.wantedOf(f.spec))
	}
	return report.Source{
		Source: f.spec, Packets: int64(src.Packets), Bytes: int64(src.Bytes), KernelDrops: int64(src.KernelDrops),
		Malformed: int64(src.Malformed + asm.Malformed + asm.Unsupported),
		Unordered: int64(asm.Orphaned + asm.Shed), Blind: report.Seconds(src.Blind),
	}
}

// blindWords tells of an interface that was not there all the time.
func blindWords(d time.Duration) string {
	return fmt.Sprintf("the interface was down or gone for %v in all: what it carried meanwhile is missing", d.Round(time.Millisecond))
}

// staleWords tells of datagrams that could not be put together. tcpdump's
// "port 80" leaves such behind: only a first fragment has ports.
func staleWords(asm capture.AssemblerStats) string {
	return count(asm.Stale, "fragmented IP packet") + " lacked a fragment, and what they held is in no session"
}

// wantedOf says what a source was to give: "TCP session of port 80, 53/udp".
func (o *runOptions) wantedOf(capture string) string {
	i := slices.Index(o.captures, capture)
	spec := o.specs[i]
	var words []string
	for _, port := range append(sandbox.TCP(spec.Ports...), sandbox.UDP(spec.UDP...)...) {
		words = append(words, port.String())
	}
	switch {
	case len(words) == 0:
		return "TCP session"
	case len(spec.UDP) == 0:
		return "TCP session of port " + strings.Join(words, ", ")
	}
	return "session of port " + strings.Join(words, ", ")
}

func percentiles(l replay.Latency) report.Percentiles {
	return report.Percentiles{P50: report.Milliseconds(l.P50), P90: report.Milliseconds(l.P90), P99: report.Milliseconds(l.P99), Count: l.Count}
}

// detail is a session's entry in the report.
func (p *runOptions) detail(r *replay.Record) report.Detail {
	d := report.Detail{
		ID: r.ID, Copy: int64(r.Copy), Client: r.Client, As: cmp.Or(r.As, seenAs(r.Client)), Server: r.Server, State: r.State, Joined: r.Joined,
		Gaps: int64(r.Gaps), Requests: int64(r.Requests), ClientBytes: report.Bytes(r.Captured, r.Bytes, r.Missing),
		Verdict: r.Verdict.String(),
	}
	if r.Proto == session.UDP {
		d.Proto = r.Proto.String()
	}
	d.Answers.Extra = r.Extra
	for verdict, n := range r.Answers {
		d.Answers.Count(compare.Verdict(verdict), n)
	}
	written := func(f *replay.Difference) *report.Difference {
		switch {
		case f == nil:
			return nil
		case f == r.First && d.FirstDifference != nil:
			return d.FirstDifference
		}
		return report.NewDifference(p.secrets.Request(f.Request), &f.Difference)
	}
	d.FirstDifference = written(r.First)
	for _, f := range r.Findings {
		d.AddFinding(f.Finding, f.Verdict, f.Answers, written(f.First))
	}
	d.Close = r.Close.String()
	d.AddClose(r.CloseFinding.Finding, written(r.CloseFinding.First))
	return d
}

// showProgress keeps a line on the terminal up to date, or without one writes
// a line now and then.
func (p *pipeline) showProgress() (stop func()) {
	interval := 10 * time.Second
	if p.con.terminal && !p.con.dumb {
		interval = 250 * time.Millisecond
	}
	stopTicks := every(interval, func() { p.con.progress(p.progressLine()) })
	return func() {
		stopTicks()
		p.con.done()
	}
}

func (p *pipeline) progressLine() string {
	g := p.app.engine.Progress()
	line := fmt.Sprintf("%s sessions (%s open), %s answers", number(g.Seen), number(g.Active), number(g.Answers))
	if n := p.found.Differing(); n > 0 {
		line += fmt.Sprintf(", %s differ", number(n))
	}
	if g.Failed > 0 {
		line += fmt.Sprintf(", %s sessions failed", number(g.Failed))
	}
	var drops uint64
	for _, f := range p.sources {
		packets, _ := f.stats()
		drops += packets.KernelDrops
	}
	if drops > 0 {
		line += fmt.Sprintf(", %s packets dropped by the kernel", number(drops))
	}
	return line
}
