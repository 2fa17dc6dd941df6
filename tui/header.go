package tui

import (
	"fmt"
	"strings"
	"time"
)

// rates are the run's speeds over the last minute, a value a second.
type rates struct {
	at                       time.Time // of the latest value
	sessions, requests, data series    // per second; data in bytes, both ways
	seen, asked, bytes       int64     // at that time
}

// series is the values of the last minute, oldest first.
type series struct{ values []float64 }

// seconds of a series.
const rateSeconds = 60

func (s *series) add(v float64) {
	if len(s.values) == rateSeconds {
		s.values = append(s.values[:0], s.values[1:]...)
	}
	s.values = append(s.values, v)
}

// now is the latest value.
func (s *series) now() float64 {
	if len(s.values) == 0 {
		return 0
	}
	return s.values[len(s.values)-1]
}

// add takes in the counters; a second makes a value.
func (r *rates) add(at time.Time, run *Run) {
	seen, asked, moved := run.Sessions.Seen, run.Answers.Compared+run.Answers.Uncompared, run.Uploaded+run.Answered
	if r.at.IsZero() {
		r.at, r.seen, r.asked, r.bytes = at, seen, asked, moved
		return
	}
	d := at.Sub(r.at)
	if d < time.Second || run.Ended != "" && run.Active == 0 && seen == r.seen && asked == r.asked && moved == r.bytes {
		return
	}
	// Where snapshots are rare a value stands for several seconds.
	for range min(rateSeconds, int(d/time.Second)) {
		r.sessions.add(float64(seen-r.seen) / d.Seconds())
		r.requests.add(float64(asked-r.asked) / d.Seconds())
		r.data.add(float64(moved-r.bytes) / d.Seconds())
	}
	r.at, r.seen, r.asked, r.bytes = at, seen, asked, moved
}

// row is a line of styled words, of which as many are drawn as fit.
type row struct {
	b    strings.Builder
	left int // cells
}

// add draws text, which has no styles of its own, or as much of it as fits.
func (r *row) add(st brush, text string) {
	text = visible(beginning(text, r.left))
	n := width(text)
	if n > r.left {
		if r.left < 2 {
			return
		}
		text, n = fit(text, r.left), r.left
	}
	r.left -= n
	r.b.WriteString(st.paint(text))
}

// whole draws text if all of it fits.
func (r *row) whole(st brush, text string) bool {
	if width(text) > r.left {
		return false
	}
	r.add(st, text)
	return true
}

// end returns the line.
func (r *row) end() string {
	return r.b.String() + strings.Repeat(" ", r.left)
}

// ending returns the line with text at its right end.
func (r *row) ending(st brush, text string) string {
	text = visible(beginning(text, r.left))
	n := width(text)
	if text == "" || n >= r.left {
		return r.end()
	}
	return r.b.String() + strings.Repeat(" ", r.left-n) + st.paint(text)
}

// header draws what the run is, how fast it goes, and what it came to so far.
func (m *Model) header(r rect) []string {
	all := []string{m.headLine(r.W)}
	if r.H == 1 {
		return all
	}
	return append(all, m.rateLine(r.W), m.verdictLine(r.W))
}

// headLine: source, application, its state; how long it goes on.
func (m *Model) headLine(w int) string {
	run := &m.run
	state, st := "", m.st.Label
	switch {
	case run.Ended != "" && run.Command == "": // nothing was played
		state = run.Ended
	case run.Ended != "":
		state, st = "over: "+run.Ended, m.st.Good
		if run.Failed {
			st = m.st.Bad
		}
	case run.Draining:
		state, st = "draining", m.st.Warn
	case run.Stopped != "":
		state, st = "⏸ STOPPED: "+run.Stopped, m.st.Warn
	case run.Paused:
		state, st = "⏸ PAUSED", m.st.Warn
	case !run.Began.IsZero():
		state = "▶ running"
	}
	if run.Speed > 0 && run.Speed != 1 {
		state += fmt.Sprintf(" ×%g", run.Speed)
	}
	if breaks := breakWords(run.Breaks); breaks != "" && run.Ended == "" {
		state += " ◉ " + breaks
	}
	if !run.Began.IsZero() && run.Ended == "" {
		state += "  " + clock(m.now.Sub(run.Began))
	}
	state = visible(beginning(state, w))
	line := row{left: max(0, w-width(state)-1)}
	line.add(m.st.Title, "tcpsandbox ")
	line.add(m.st.Accent, run.Source)
	if run.Command != "" {
		line.add(m.st.Label, " → ")
		about := ""
		if run.Pid > 0 {
			about = fmt.Sprintf(" (pid %d", run.Pid)
			if run.State != "" {
				about += ", " + run.State
			}
			about += ")"
		} else if run.State != "" {
			about = " (" + run.State + ")"
		}
		about = visible(beginning(about, line.left))
		command := visible(beginning(run.Command, line.left))
		if room := line.left - width(about); width(command) > room && room >= 12 {
			command = fit(command, room)
		}
		line.add(m.st.Title, command)
		line.add(m.st.Label, about)
	}
	return line.end() + " " + st.paint(fit(state, min(w-1, width(state))))
}

// rateLine: sessions, requests and bytes a second, now and in the last minute;
// the result, once there is one.
func (m *Model) rateLine(w int) string {
	bars := 6
	if w >= 110 {
		bars = 16
	}
	if w >= 170 {
		bars = 30
	}
	line := row{left: w}
	if run := &m.run; run.Verdict != "" {
		sign, st := "✓ ", m.st.Good
		if run.Failed {
			sign, st = "✗ ", m.st.Bad
		}
		line.add(st, sign+run.Verdict+"  ")
		line.whole(m.st.Label, fmt.Sprintf("sessions %s  ", tight(run.Sessions.Seen)))
		line.whole(m.st.Label, fmt.Sprintf("packets %s  ", tight(run.Packets)))
		return line.end()
	}
	if m.opt.Control == nil { // there is nothing under way
		line.whole(m.st.Label, fmt.Sprintf("sessions %s  ", tight(m.run.Sessions.Seen)))
		line.whole(m.st.Label, fmt.Sprintf("packets %s  ", tight(m.run.Packets)))
		line.whole(m.st.Label, fmt.Sprintf("captured %s  ", tightBytes(m.run.Captured)))
		return line.end()
	}
	for _, x := range []struct {
		name string
		now  string
		of   *series
	}{
		{"sessions/s", narrowRate(m.rates.sessions.now()), &m.rates.sessions},
		{"requests/s", narrowRate(m.rates.requests.now()), &m.rates.requests},
		{"MB/s", fmt.Sprintf("%.1f", m.rates.data.now()/1e6), &m.rates.data},
	} {
		text := x.name + " " + x.now + " "
		if line.left < width(text)+bars {
			break
		}
		line.add(m.st.Label, x.name+" ")
		line.add(m.st.Title, x.now+" ")
		line.add(m.st.Good, spark(x.of.values, bars))
		line.add(m.st.Label, "  ")
	}
	line.whole(m.st.Label, fmt.Sprintf("open %s  ", tight(m.run.Active)))
	line.whole(m.st.Label, fmt.Sprintf("packets %s  ", tight(m.run.Packets)))
	if m.run.Memory > 0 {
		line.whole(m.st.Label, fmt.Sprintf("memory %s of %s", tightBytes(m.run.Memory), tightBytes(m.run.Limit)))
	}
	return line.end()
}

// verdictLine: answers by verdict, what failed, what was lost.
func (m *Model) verdictLine(w int) string {
	run := &m.run
	line := row{left: w}
	a := &run.Answers
	line.add(m.st.Label, "answers ")
	for _, x := range []struct {
		text string
		n    int64
		st   brush
	}{
		{"= %s identical", a.Identical, m.st.Good},
		{"≈ %s equivalent", a.Equivalent, m.st.Good},
		{"≠ %s different", a.Different, m.st.Warn},
		{"∅ %s missing", a.Missing, m.st.Bad},
		{"· %s uncompared", a.Uncompared, m.st.Label},
	} {
		text := fmt.Sprintf(x.text, tight(x.n))
		if w < 110 {
			text, _, _ = strings.Cut(text[strings.IndexByte(text, ' ')+1:], " ")
			text = strings.SplitN(x.text, " ", 2)[0] + text
		}
		st := x.st
		if x.n == 0 {
			st = m.st.Faint
		}
		line.whole(st, text+"  ")
	}
	failed := m.st.Faint
	if run.Sessions.Failed > 0 {
		failed = m.st.Bad
	}
	line.whole(failed, fmt.Sprintf("failed %s  ", tight(run.Sessions.Failed)))
	drops := m.st.Faint
	if run.Drops > 0 {
		drops = m.st.Bad
	}
	line.whole(drops, fmt.Sprintf("drops %s  ", tight(run.Drops)))
	if n := len(run.Warnings); n > 0 {
		words := "warnings"
		if n == 1 {
			words = "warning"
		}
		line.whole(m.st.Warn, fmt.Sprintf("! %d %s", n, words))
	}
	return line.end()
}

// tight and the others write a figure without padding.
func tight(n int64) string                { return strings.TrimSpace(shortCount(n)) }
func tightBytes(n int64) string           { return strings.TrimSpace(shortBytes(n)) }
func narrowRate(perSecond float64) string { return tight(int64(perSecond + 0.5)) }
