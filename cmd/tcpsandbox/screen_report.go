package main

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
	"tcpsandbox/report"
	"tcpsandbox/session"
	"tcpsandbox/tui"
)

// reportScreen is what the screen sees of a run of which the report is left. It
// implements tui.Source and tui.Keeper. Its methods may be called by any goroutine, but for Poll.
type reportScreen struct {
	r     *report.Result
	given bool // Poll has given all
}

func newReportScreen(r *report.Result) *reportScreen { return &reportScreen{r: r} }

// Poll implements tui.Source.
func (s *reportScreen) Poll() tui.Snapshot {
	r := s.r
	snap := tui.Snapshot{At: r.Started.Add(time.Duration(r.Duration))}
	snap.Run = tui.Run{Source: r.Capture.Source, Command: r.App.Command, Began: r.Started, Memory: r.PeakMemory}
	if r.Baseline != nil {
		snap.Run.Command += " and, as the baseline, " + r.Baseline.Command
	}
	setResult(&snap.Run, r)
	snap.Run.Uploaded = r.ClientBytes.Delivered
	if s.given {
		return snap
	}
	s.given = true
	snap.Findings = &tui.Findings{Groups: r.Differences, Noise: r.Noise, Routes: r.Routes}
	snap.Egress = r.Egress
	for slot := range r.Detail {
		snap.Sessions = append(snap.Sessions, s.view(slot))
	}
	if n := r.DetailOmitted; n > 0 {
		snap.Log = append(snap.Log, tui.Line{At: snap.At, From: "tcpsandbox", Text: "the report does not list " + count(n, "session")})
	}
	return snap
}

// view is what the report has of a session. What it does not tell is unknown.
func (s *reportScreen) view(slot int) replay.View {
	d := &s.r.Detail[slot]
	v := replay.View{
		Slot: slot, ID: d.ID, Copy: int(d.Copy), Proto: protoNamed(d.Proto), Joined: d.Joined,
		Production: replay.ProductionUnknown, Application: replay.Failed, State: d.State, Behind: -1,
		Requests: int(d.Requests), Delivered: d.ClientBytes.Delivered, Captured: d.ClientBytes.Captured, Answered: -1, Served: -1,
		Verdict: verdictNamed(d.Verdict), Answers: answersIn(&d.Answers),
	}
	switch d.State {
	case "finished", "filtered", "skipped":
		v.Application = replay.Ended
	}
	v.Client, _ = netip.ParseAddrPort(d.Client)
	v.Server, _ = netip.ParseAddrPort(d.Server)
	if v.As = v.Client; d.As != "" {
		v.As = asAddress(d.As, v.Client)
	}
	if d.Close == compare.Different.String() && v.Verdict != compare.Missing {
		v.Verdict = compare.Different
	}
	if f := d.FirstDifference; f != nil {
		v.Routes = []string{f.Request}
	}
	return v
}

// asAddress is the client's address as the application saw it, of which the
// report may have no port.
func asAddress(text string, client netip.AddrPort) netip.AddrPort {
	if end, err := netip.ParseAddrPort(text); err == nil {
		return end
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(addr, client.Port())
	}
	return client
}

// Story implements tui.Source. A report has the first answer of a session that
// differs, and no other.
func (s *reportScreen) Story(slot int) *tui.Story {
	if slot < 0 || slot >= len(s.r.Detail) {
		return nil
	}
	d := &s.r.Detail[slot]
	c := &d.ClientBytes
	told := &tui.Story{Story: replay.Story{
		View: s.view(slot), Omitted: int(d.Requests), Missing: c.NotCaptured,
		Bytes: session.Ledger{
			session.Delivered: c.Delivered, session.Pending: c.Pending, session.InGap: c.Gap, session.BeforeJoin: c.BeforeJoin,
			session.Filtered: c.Filtered, session.Refused: c.Refused, session.ClosedEarly: c.ClosedEarly, session.Shed: c.Shed,
			session.Unsupported: c.Unsupported,
		},
	}}
	if f := d.FirstDifference; f != nil && f.Request == compare.CloseRoute {
		told.Place = f.Path // how the connection ended, which is no answer
	} else if f != nil {
		never := [2]time.Duration{replay.Never, replay.Never}
		told.Omitted, told.Place = max(0, told.Omitted-1), f.Path
		told.Played = []replay.Played{{
			Label: f.Request, Asked: replay.Never, Sent: replay.Never, First: never, Whole: never,
			Judged: true, Verdict: compare.Different,
		}}
	}
	if d.Gaps > 0 {
		told.Facts = append(told.Facts, [3]string{"holes in the capture", strconv.FormatInt(d.Gaps, 10), ""})
	}
	if d.Close != "" {
		told.Facts = append(told.Facts, [3]string{"the connection's end", "", d.Close})
	}
	return told
}

// Explain implements tui.Source. Of the session that is a group's example there
// is all that the report has of the group.
func (s *reportScreen) Explain(slot, number int) *tui.Explanation {
	if slot < 0 || slot >= len(s.r.Detail) || number != 0 {
		return nil
	}
	d := &s.r.Detail[slot]
	if d.FirstDifference == nil || d.FirstDifference.Request == compare.CloseRoute {
		return nil
	}
	e := &tui.Explanation{Verdict: compare.Different, Differences: []report.Difference{*d.FirstDifference}}
	i := slices.IndexFunc(s.r.Differences, func(g report.Group) bool {
		return g.Session == d.ID && d.Copy == 0 && g.Example != nil && *g.Example == *d.FirstDifference
	})
	if i >= 0 {
		g := &s.r.Differences[i]
		e.Differences, e.Production, e.Application = g.Differences, g.Production, g.Application
	}
	return e
}

// Save implements tui.Keeper: it cannot.
func (s *reportScreen) Save(int) (string, error) {
	return "", errors.New("save: a report holds no packets; those are in the capture that was played")
}

// Command implements tui.Keeper: the report has one for each group's example.
func (s *reportScreen) Command(slot int) string {
	if slot < 0 || slot >= len(s.r.Detail) {
		return ""
	}
	for i := range s.r.Differences {
		if g := &s.r.Differences[i]; g.Session == s.r.Detail[slot].ID && g.Command != "" {
			return g.Command
		}
	}
	return ""
}
