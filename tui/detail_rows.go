package tui

// The lines of a session's panel: head (headline, who, ledger), facts, and the
// timeline's header (clocks) and rows.

import (
	"fmt"
	"strings"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
	"tcpsandbox/session"
)

// selection is the look of the row under the cursor, which is marked by a sign,
// too.
func selection(st *styles, focused bool) *brush {
	if focused {
		return &st.Selected
	}
	return &st.Title
}

func (st *styles) of(m mood) brush {
	return [...]brush{moodPlain: st.Title, moodGood: st.Good, moodWarn: st.Warn, moodBad: st.Bad}[m]
}

// verdictLook is a verdict's colour.
func (st *styles) verdictLook(v compare.Verdict) brush {
	switch v {
	case compare.Different:
		return st.Warn
	case compare.Missing:
		return st.Bad
	case compare.Uncompared:
		return st.Faint
	}
	return st.Good
}

// verdictWord is a verdict with its sign.
func verdictWord(v compare.Verdict) string {
	return signs[v] + " " + v.String()
}

// notKept fills a panel with why there is nothing to show, and what helps.
func notKept(cells, height int, st *styles, why string) []string {
	out := styled(st.Title, phrases(why, cells, 3))
	for _, help := range []string{
		"--max-memory with more lets more be kept.",
		"--save-failures DIR writes the packets of what fails to files.",
		"y copies the command that plays it again.",
	} {
		out = append(out, styled(st.Faint, phrases("· "+help, cells, 3))...)
	}
	return filled(out, cells, height)
}

// head says what happened, to whom, the error, and where bytes were lost: half of
// the height at most.
func head(s *Story, now time.Time, cells, height int, st *styles) (out []string) {
	said, m := headline(s, now)
	out = styled(st.of(m), phrases(said, cells, max(1, min(3, (height+1)/4))))
	if height < 5 {
		return out
	}
	out = append(out, assemble(cells, nil, segment{text: whoWords(s), cells: cells}))
	if s.Failure != "" && height >= 10 && !strings.Contains(said, s.Failure) {
		out = append(out, assemble(cells, nil, segment{"error ", 6, st.Label, false}, segment{s.Failure, cells - 6, brush{}, false}))
	}
	if words := ledgerWords(s); words != "" && height >= 10 {
		out = append(out, assemble(cells, nil, segment{"bytes ", 6, st.Label, false}, segment{words, cells - 6, st.Warn, false}))
	}
	return out
}

// whoWords names a session by what tells it from others.
func whoWords(s *Story) string {
	words := []string{s.Client.String() + " → " + s.Server.String()}
	if s.Proto == session.UDP {
		words = append(words, "UDP")
	}
	id := fmt.Sprintf("session %d", s.ID)
	if s.Copy > 0 {
		id += fmt.Sprintf(" copy %d", s.Copy)
	}
	words = append(words, id)
	if s.As.IsValid() && s.As != s.Client {
		words = append(words, "as "+s.As.String())
	}
	if s.Joined {
		words = append(words, "joined: its beginning was not captured")
	}
	if s.Production != replay.ProductionUnknown {
		words = append(words, "production "+s.Production.String())
	}
	if !s.Start.IsZero() {
		words = append(words, "began "+s.Start.Format("15:04:05.000"))
	}
	return strings.Join(words, "  ")
}

// ledgerWords lists where the client's bytes ended, if not all were delivered.
func ledgerWords(s *Story) string {
	lost := s.Bytes.Sum() - s.Bytes[session.Delivered]
	if lost <= 0 && s.Missing == 0 {
		return ""
	}
	var bins []string
	for _, f := range session.Fates() {
		if n := s.Bytes[f]; n > 0 {
			bins = append(bins, grouped(n)+" "+f.String())
		}
	}
	if s.Missing > 0 {
		bins = append(bins, grouped(s.Missing)+" not captured")
	}
	return grouped(s.Captured) + " captured: " + strings.Join(bins, ", ")
}

// facts draws the facts in at most so many lines; two side by side where there is
// the width for it.
func (d *detail) facts(cells, height int, st *styles) (out []string) {
	facts := d.story.Facts
	if len(facts) == 0 || height < 3 {
		return nil
	}
	columns := max(1, min(cells/58, 2, len(facts)))
	each := (cells - 2*(columns-1)) / columns
	lines := min((len(facts)+columns-1)/columns, height-1)
	name := min(24, each*2/5)
	value := (each - name) / 2
	row := func(segments []segment, f [3]string, looks [3]brush, column int) []segment {
		if column > 0 {
			segments = append(segments, segment{cells: 2})
		}
		for i, n := range [3]int{name, value, each - name - value} {
			segments = append(segments, segment{text: f[i], cells: n - 1, look: looks[i]}, segment{cells: 1})
		}
		return segments
	}
	var header []segment
	for c := range columns {
		header = row(header, [3]string{"fact", "production", "application"}, [3]brush{st.Header, st.Header, st.Header}, c)
	}
	out = append(out, assemble(cells, nil, header...))
	for l := range lines {
		var segments []segment
		for c := range columns {
			i := c*lines + l
			if i >= len(facts) {
				continue
			}
			f := facts[i]
			if left := len(facts) - i; c == columns-1 && l == lines-1 && left > 1 {
				f = [3]string{fmt.Sprintf("… %d more", left)}
			}
			segments = row(segments, f, [3]brush{st.Label}, c)
		}
		out = append(out, assemble(cells, nil, segments...))
	}
	return out
}

// timelineColumns is how wide what is; 0: it is left out.
type timelineColumns struct{ clock, size, rest int }

const (
	timelineMarker = 2 // the cursor's sign
	timelineWay    = 2 // the arrow
	verdictCells   = 13
	latencyCells   = 18
	causeCells     = 10
)

func timelineLayout(cells int) (c timelineColumns) {
	switch {
	case cells >= 110:
		c.clock, c.size = 14, 18
	case cells >= 72:
		c.clock, c.size = 11, 18
	default:
		c.clock = 8
	}
	c.rest = max(cells-timelineMarker-2*c.clock-timelineWay-1-c.size, 0)
	return c
}

// clocks is the timeline's header.
func clocks(cells int, s *Story, st *styles) string {
	c := timelineLayout(cells)
	production, application, size := "production", "application", "bytes"
	if c.clock <= len(application) {
		application = "app."
	}
	if c.clock <= len(production) {
		production = "prod."
	}
	what := "what"
	if c.rest >= 70 {
		what = "verdict       first byte after    of"
	}
	return assemble(cells, nil,
		segment{cells: timelineMarker}, segment{production, c.clock, st.Header, true}, segment{application, c.clock, st.Header, true},
		segment{cells: timelineWay + 1}, segment{size, c.size, st.Header, false}, segment{what, c.rest, st.Header, false})
}

// row draws a row of the timeline.
func (d *detail) row(m *moment, cells int, st *styles, whole *brush) string {
	c := timelineLayout(cells)
	marker := "  "
	if whole != nil {
		marker = "▸ "
	}
	segments := []segment{
		{text: marker, cells: timelineMarker, look: st.Accent},
		{sinceStart(m.at[replay.OfProduction], c.clock), c.clock, st.Label, true},
		{sinceStart(m.at[replay.OfApplication], c.clock), c.clock, st.Label, true},
		{text: " " + string(m.way), cells: timelineWay, look: st.Faint}, {cells: 1},
		{text: m.sizeWords(), cells: c.size, look: st.Label},
	}
	return assemble(cells, whole, append(segments, m.told(c.rest, st)...)...)
}

// sinceStart writes a time since the beginning in seconds, with as many digits as
// there is room for.
func sinceStart(d time.Duration, cells int) string {
	if d < 0 {
		return "–"
	}
	for digits := 6; digits > 0; digits -= 3 {
		if s := fmt.Sprintf("%.*f", digits, d.Seconds()); len(s) < cells-3*(digits/6) {
			return s
		}
	}
	return shortTime(d)
}

// sizeWords is the size on both sides, once if it is the same.
func (m *moment) sizeWords() string {
	switch p, a := m.size[0], m.size[1]; {
	case m.kind == momentMark && p >= 0:
		return shortBytes(p)
	case p < 0 && a < 0:
		return ""
	case p == a:
		return shortBytes(p)
	default:
		return shortBytes(p) + " │ " + shortBytes(a)
	}
}

// told says what happened, in so many cells.
func (m *moment) told(cells int, st *styles) []segment {
	switch m.kind {
	case momentOmitted:
		text := fmt.Sprintf("… %s not kept …", howMany(int64(m.omitted), "exchange"))
		return []segment{{text: text, cells: cells, look: st.Faint}}
	case momentMark:
		look := st.Faint
		if m.notable() {
			look = st.Bad
		}
		return []segment{{text: m.markWords(), cells: cells, look: look}}
	case momentRequest:
		return m.requestTold(cells, st)
	}
	return m.answerTold(cells, st)
}

// markWords names a mark, and who alone did it.
func (m *moment) markWords() string {
	switch m.mark {
	case replay.Hole:
		return "bytes of the client were not captured"
	case replay.Reconnects:
		return "goes on over a new connection"
	case replay.Sheds:
		return "dropped over the limit on memory"
	}
	name := m.mark.String()
	if !m.oneSided {
		return name
	}
	does, isServer := strings.CutPrefix(name, "server ")
	switch {
	case !isServer:
		return "only production's " + name
	case m.at[replay.OfProduction] < 0:
		return "only the application " + does
	}
	return "only production's server " + does
}

func (m *moment) requestTold(cells int, st *styles) []segment {
	p := m.played
	var state string
	look := st.Faint
	switch {
	case p.Released:
		state = p.Cause.String()
		if p.Cause == replay.Timeout {
			look = st.Warn
		}
	case p.Sent < 0 && !m.unplayed:
		state = "not sent"
	}
	n := min(causeCells, cells/2)
	if state == "" || cells < 2*causeCells {
		n = 0
	}
	name := asking(p)
	if strings.HasPrefix(name, "answer ") { // of UDP
		name = "datagram, for " + name
	}
	return []segment{{text: name, cells: cells - n}, {text: state, cells: n, look: look, right: true}}
}

func (m *moment) answerTold(cells int, st *styles) []segment {
	p := m.played
	verdict, look := "awaited", st.Warn
	switch {
	case p.Judged:
		verdict, look = verdictWord(p.Verdict), st.verdictLook(p.Verdict)
	case p.First[replay.OfApplication] >= 0:
		verdict, look = "under way", st.Faint
	case m.unplayed:
		verdict = ""
	case p.Sent < 0:
		verdict, look = "to be asked", st.Faint
	}
	segments := []segment{{text: verdict, cells: verdictCells, look: look}, {cells: 1}}
	took := m.latency()
	latency := shortTime(took[0]) + " │ " + shortTime(took[1])
	if took == [2]time.Duration{replay.Never, replay.Never} {
		latency = ""
	}
	why := ""
	switch {
	case p.Judged && p.Verdict == compare.Uncompared:
		why = p.Why.String()
	case p.Extra:
		why = "production sent none"
	}
	switch rest := cells - verdictCells - 1; {
	case rest < latencyCells:
		return append(segments, segment{text: why, cells: rest, look: st.Faint})
	case cells >= 70:
		return append(segments, segment{text: latency, cells: latencyCells, look: st.Label}, segment{cells: 2},
			segment{text: strings.TrimSpace(why + "  " + asking(p)), cells: rest - latencyCells - 2, look: st.Faint})
	case why != "":
		return append(segments, segment{text: why, cells: rest, look: st.Faint})
	default:
		return append(segments, segment{text: latency, cells: rest, look: st.Label})
	}
}
