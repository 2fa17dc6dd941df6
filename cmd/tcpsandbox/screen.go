package main

import (
	"slices"

	"tcpsandbox/compare"
	"tcpsandbox/findings"
	"tcpsandbox/replay"
	"tcpsandbox/report"
	"tcpsandbox/session"
	"tcpsandbox/tui"
)

// What the screen is fed with, wherever it comes from: a run (screen_run.go), a
// capture file (screen_file.go) or a report (screen_report.go).

// newStory makes a story of the engine's fit to be shown: without secrets, and
// without the texts of the exchanges. It is the caller's own from now on.
func newStory(told *replay.Story, secrets *compare.Secrets) *tui.Story {
	s := &tui.Story{Story: *told}
	s.Played = slices.Clone(told.Played)
	for i := range s.Played {
		p := &s.Played[i]
		p.Label = secrets.Request(p.Label)
		p.Request, p.Answers = nil, [2]*compare.Answer{}
	}
	s.Failure = secrets.Body("", told.Failure)
	s.Facts = facts(&told.Packets, told.Link)
	return s
}

// explain explains an exchange of a story; nil: nothing of it is kept.
func explain(told *replay.Story, number int, found *findings.Run, secrets *compare.Secrets) *tui.Explanation {
	i := slices.IndexFunc(told.Played, func(p replay.Played) bool { return p.Number == number })
	if i < 0 {
		return nil
	}
	p := &told.Played[i]
	if len(p.Request) == 0 && p.Answers[replay.OfProduction] == nil && p.Answers[replay.OfApplication] == nil {
		return nil
	}
	x := p.Exchange(&told.View)
	e := found.Explain(&x, p.Request, int64(len(p.Request)) == p.RequestLen)
	shown := &tui.Explanation{
		Request: report.NewBody(e.Request), Production: report.NewBody(e.Production), Application: report.NewBody(e.Application),
		Raw: e.Raw, Verdict: compare.Uncompared,
	}
	if !p.Judged {
		return shown
	}
	// Where only beginnings are kept the verdict on the whole is another matter.
	shown.Verdict = p.Verdict
	if p.Verdict == compare.Uncompared {
		shown.Why = cmpReason(p.Why, e.Why)
	}
	if p.Verdict == compare.Different || p.Verdict == compare.Missing {
		request := secrets.Request(p.Label)
		for j := range e.Differences {
			shown.Differences = append(shown.Differences, *report.NewDifference(request, &e.Differences[j]))
		}
	}
	for _, excuse := range e.Excused {
		shown.Excused = append(shown.Excused, report.NewExcused(excuse, 1))
	}
	return shown
}

// cmpReason is why answers were not compared: known before, or found out.
func cmpReason(before, found compare.Reason) string {
	if before != compare.Compared {
		return before.String()
	}
	return found.String()
}

// setResult shows a run as it ended.
func setResult(run *tui.Run, r *report.Result) {
	run.Ended, run.Verdict, run.Failed = endedWords(r), r.VerdictLine(), r.ExitCode != 0
	run.State = appEnded(&r.App.App)
	run.Sessions, run.Answers, run.Released, run.Bytes = r.Sessions, r.Answers, r.Release, r.ClientBytes
	run.Active, run.Pending = 0, 0
	run.Packets, run.Captured, run.Drops = r.Capture.Packets, r.Capture.Bytes, r.Capture.KernelDrops
	if packets, proof := r.ContainmentWords(); packets != "" {
		run.Contained = []string{packets, proof}
	}
	run.Latency, run.Warnings, run.Limit = r.Latency, slices.Concat(r.Warnings, r.Defects), r.MemoryLimit
}

// endedWords says why a run is over.
func endedWords(r *report.Result) string {
	switch r.Ended {
	case report.EndedCapture:
		return "the capture was played to its end"
	case report.EndedSignal:
		return "ended by hand"
	case report.EndedDuration:
		return "the time was up"
	case report.EndedMaxSessions:
		return "there were enough sessions"
	case report.EndedAppExited:
		return "the application ended"
	case report.EndedNoListener:
		return "the application never listened"
	case report.EndedNoBaseline:
		return "the baseline never listened"
	case "":
		return "ended"
	}
	return r.Ended
}

// appEnded says how the application ended.
func appEnded(a *report.App) string {
	switch {
	case a.Signal != "":
		return "ended by " + a.Signal
	case a.ExitCode < 0:
		return "did not start"
	case a.Command == "":
		return ""
	}
	return "exited with " + number(a.ExitCode)
}

// verdictNamed is the verdict of a name that reports use.
func verdictNamed(name string) compare.Verdict {
	for v := compare.Identical; v < compare.Uncompared; v++ {
		if v.String() == name {
			return v
		}
	}
	return compare.Uncompared
}

// answersIn counts a session's answers by verdict.
func answersIn(a *report.Answers) replay.Verdicts {
	return replay.Verdicts{
		compare.Identical: a.Identical, compare.Equivalent: a.Equivalent, compare.Different: a.Different,
		compare.Missing: a.Missing, compare.Uncompared: a.Uncompared,
	}
}

// protoNamed is the protocol of a name that reports use.
func protoNamed(name string) session.Proto {
	if name == session.UDP.String() {
		return session.UDP
	}
	return session.TCP
}
