package tui

import (
	"fmt"
	"strings"

	"tcpsandbox/report"
)

// ledger is the tab of where each captured client byte ended, and of what else
// there is to count.
type ledger struct {
	cursor
	run *Run
}

func (l *ledger) set(run *Run) { l.run = run }

// bin is a line of the ledger.
type bin struct {
	name, what string
	n          int64
	lost       bool
}

func (l *ledger) bins() []bin {
	b := &l.run.Bytes
	return []bin{
		{"delivered", "the application's kernel has acknowledged them", b.Delivered, false},
		{"pending", "not sent, or not acknowledged, when the run ended", b.Pending, true},
		{"gap", "of a message that the capture lacks a part of", b.Gap, true},
		{"before-join", "before the first message of a session that was joined", b.BeforeJoin, false},
		{"filtered", "left out on purpose", b.Filtered, false},
		{"refused", "the application refused or reset the connection", b.Refused, true},
		{"closed-early", "the application had closed before they were sent", b.ClosedEarly, true},
		{"shed", "dropped over a limit, or while the replay was stopped", b.Shed, true},
		{"unsupported", "of a kind that cannot be replayed", b.Unsupported, true},
	}
}

func (l *ledger) view(w, h int, st styles) []string {
	var all []string
	add := func(style brush, text string) { all = append(all, style.paint(fit(text, w))) }
	r := l.run
	if r == nil {
		return filled(nil, w, h)
	}
	const bar = 20
	add(st.Header, "client bytes of sessions that have ended")
	total := max(1, r.Bytes.Captured)
	for _, b := range l.bins() {
		style := st.Label
		switch {
		case b.n == 0:
			style = st.Faint
		case b.lost:
			style = st.Bad
		case b.name == "delivered":
			style = st.Good
		}
		share := float64(b.n) / float64(total)
		blocks := int(share*bar + 0.5)
		if b.n > 0 {
			blocks = max(1, blocks)
		}
		text := fmt.Sprintf("  %-12s %16s %6.1f%% ", b.name, grouped(b.n), 100*share)
		if w >= 64 {
			text += strings.Repeat("█", blocks) + strings.Repeat("·", bar-blocks)
		}
		if w >= 110 {
			text += "  " + b.what
		}
		add(style, text)
	}
	add(st.Title, fmt.Sprintf("  %-12s %16s", "captured", grouped(r.Bytes.Captured)))
	if r.Bytes.NotCaptured > 0 {
		add(st.Bad, fmt.Sprintf("  %-12s %16s  production had them, and the capture had not", "not captured", grouped(r.Bytes.NotCaptured)))
	}
	if r.Ended == "" {
		add(st.Label, fmt.Sprintf("  and %s sessions are under way, with %s bytes waiting to be sent", grouped(r.Active), grouped(r.Pending)))
	}
	add(st.Label, "")
	add(st.Header, "sessions")
	s := &r.Sessions
	add(st.Label, fmt.Sprintf("  seen %s   finished %s   failed %s   filtered %s   joined %s   shed %s", grouped(s.Seen), grouped(s.Finished), grouped(s.Failed), grouped(s.Filtered), grouped(s.Joined), grouped(s.Shed)))
	if s.Failed > 0 {
		add(st.Bad, fmt.Sprintf("  failed: refused %s  reset %s  closed early %s  unanswered %s  pending %s", grouped(s.Refused), grouped(s.Reset), grouped(s.ClosedEarly), grouped(s.Unanswered), grouped(s.Pending)))
	}
	add(st.Label, "")
	add(st.Header, "what set the clients' turns free")
	f := &r.Released
	add(st.Label, fmt.Sprintf("  exact %s   boundary %s   quiet %s   timeout %s   unawaited %s", grouped(f.Exact), grouped(f.Boundary), grouped(f.Quiet), grouped(f.Timeout), grouped(f.Unawaited)))
	if p, a := &r.Latency.Production, &r.Latency.Application; a.Count > 0 {
		add(st.Label, "")
		add(st.Header, "time to an answer's first byte")
		for _, x := range []struct {
			who           string
			p50, p90, p99 float64
		}{
			{"production", ms(p.P50), ms(p.P90), ms(p.P99)},
			{"application", ms(a.P50), ms(a.P90), ms(a.P99)},
		} {
			add(st.Label, fmt.Sprintf("  %-12s p50 %9.3f ms   p90 %9.3f ms   p99 %9.3f ms", x.who, x.p50, x.p90, x.p99))
		}
	}
	if len(r.Warnings) > 0 {
		add(st.Label, "")
		add(st.Header, "warnings")
		for _, text := range r.Warnings {
			for i, line := range lines(beginning("! "+text, w*warningLines), max(1, w-2)) {
				if i == warningLines {
					add(st.Warn, "  "+more)
					break
				}
				add(st.Warn, "  "+line)
			}
		}
	}
	// What does not fit is scrolled to.
	l.n, l.height = len(all), h
	top := max(0, min(l.at, len(all)-h))
	l.at = top
	if rest := len(all) - top - h; rest > 0 && h > 1 {
		all[top+h-1] = st.Accent.paint(fit(fmt.Sprintf("… %d lines more: ↓", rest+1), w))
	}
	return filled(all[top:], w, h)
}

// move scrolls.
func (l *ledger) move(by int) { l.at = max(0, min(l.at+by, max(0, l.n-l.height))) }
func (l *ledger) page(by int) { l.move(by * max(1, l.height-1)) }
func (l *ledger) last()       { l.move(l.n) }

// warningLines is how many lines one warning may take.
const warningLines = 8

// grouped writes n with commas between the thousands.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func ms(d report.Milliseconds) float64 { return float64(d) / 1e6 }
