package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tcpsandbox/compare"
)

// How much the text shows; files have all of it.
const (
	differencesShown = 10
	slowerShown      = 3
	noiseShown       = 3
	// textWidth is the longest line in columns, where nothing must stay whole.
	textWidth = 100
	// valueWidth is the longest value of a line that holds two.
	valueWidth = 36
)

// closes tells how the connections' ends compare, if any is not production's.
func (t *text) closes() {
	if c := &t.Closes; c.Equivalent+c.Different > 0 {
		t.row("ends", "%s compared%s", count(c.Compared, "connection"), nonZero(
			bin{word: "identical", n: c.Identical}, bin{word: "equivalent", n: c.Equivalent}, bin{word: "different", n: c.Different}))
	}
}

// answers counts them by verdict, and says what the equivalent were allowed and
// why others were not compared.
func (t *text) answers() {
	a := &t.Answers
	t.row("answers", "%s compared%s", number(a.Compared), nonZero(
		bin{word: "identical", n: a.Identical}, bin{word: "equivalent", n: a.Equivalent}, bin{word: "different", n: a.Different},
		bin{word: "missing", n: a.Missing}, bin{word: "uncompared", n: a.Uncompared}))
	var words []string
	for _, e := range t.Excused {
		words = append(words, cut(e.Place, valueWidth)+" "+number(e.Answers))
	}
	t.list("allowed: ", words)
	words = nil
	for _, why := range slices.Sorted(maps.Keys(a.UncomparedWhy)) {
		words = append(words, why+" "+number(a.UncomparedWhy[why]))
	}
	t.list("uncompared "+number(a.Uncompared)+": ", words)
	if a.Extra > 0 {
		t.row("", "%s of the different are datagrams that production did not send", number(a.Extra))
	}
}

// list writes a row of words, as many as fit in it.
func (t *text) list(title string, words []string) {
	if len(words) == 0 {
		return
	}
	const indent, more = 13, len(", and 1,000 more")
	line := title + words[0]
	for i, word := range words[1:] {
		if indent+width(line)+2+width(word)+more > textWidth {
			line += fmt.Sprintf(", and %d more", len(words)-1-i)
			break
		}
		line += ", " + word
	}
	t.row("", "%s", line)
}

// latency is a table of who answered how fast.
func (t *text) latency() {
	l := &t.Latency
	sides := []struct {
		name         string
		first, whole *Percentiles
	}{
		{"production", &l.Production, &l.Whole.Production},
		{"application", &l.Application, &l.Whole.Application},
		{"baseline", l.Baseline, l.Whole.Baseline},
		{"behind pace", &t.Lateness, nil},
	}
	measured := func(p *Percentiles) bool { return p != nil && p.Count > 0 }
	head := []string{"", "p50", "p90", "p99"}
	rows := [][]string{head}
	for _, side := range sides {
		if !measured(side.first) && !measured(side.whole) {
			continue
		}
		row := append([]string{side.name}, side.first.cells()...)
		if measured(side.whole) {
			row = append(append(row, "  "), side.whole.cells()...)
			rows[0] = append(slices.Clone(head), "  ", "p50", "p90", "p99")
		}
		rows = append(rows, row)
	}
	if len(rows) == 1 {
		return
	}
	lines := columns(rows)
	at, whole := strings.Index(lines[0], "p50"), strings.LastIndex(lines[0], "p50")
	if whole > at {
		lines = slices.Insert(lines, 0, fmt.Sprintf("%*s%-*s%s", at, "", whole-at, "first byte", "whole answer"))
	}
	for i, line := range lines {
		t.row([]string{"latency", ""}[min(i, 1)], "%s", line)
	}
}

// cells are p50, p90 and p99, in words.
func (p *Percentiles) cells() []string {
	if p == nil || p.Count == 0 {
		return []string{"-", "-", "-"}
	}
	return []string{duration(time.Duration(p.P50)), duration(time.Duration(p.P90)), duration(time.Duration(p.P99))}
}

// A route is called slower if its p99 to the first byte is slowerBy times
// production's, of slowerAnswers on each side: of 100 answers the p99 is the
// second longest, and of fewer it says nothing.
const (
	slowerBy      = 1.2
	slowerAnswers = 100
)

// slowdown is how many times production's p99 to the first byte the
// application's is; 0 if too few were measured to say.
func (l *Latency) slowdown() float64 {
	p, a := &l.Production, &l.Application
	if min(p.Count, a.Count) < slowerAnswers || p.P99 <= 0 {
		return 0
	}
	return float64(a.P99) / float64(p.P99)
}

// slowerRoutes are the routes that are clearly slower, the worst first.
func (r *Result) slowerRoutes() []Route {
	routes := slices.DeleteFunc(slices.Clone(r.Routes), func(x Route) bool { return x.Latency.slowdown() < slowerBy })
	slices.SortStableFunc(routes, func(a, b Route) int { return cmp.Compare(b.Latency.slowdown(), a.Latency.slowdown()) })
	return routes
}

func (t *text) slower() {
	routes := t.slowerRoutes()
	var rows [][]string
	for _, x := range routes[:min(len(routes), slowerShown)] {
		l := &x.Latency
		rows = append(rows, []string{cut(x.Route, valueWidth), "p99 " + duration(time.Duration(l.Production.P99)) + " → " + duration(time.Duration(l.Application.P99)),
			threeDigits(l.slowdown()) + "×"})
	}
	if more := len(routes) - len(rows); more > 0 {
		rows = append(rows, []string{fmt.Sprintf("and %d more", more)})
	}
	for i, line := range columns(rows) {
		t.row([]string{"slower", ""}[min(i, 1)], "%s", line)
	}
}

// noise says in what the baseline differs from production.
func (t *text) noise() {
	if len(t.Noise) == 0 {
		return
	}
	var words []string
	for _, n := range t.Noise[:min(len(t.Noise), noiseShown)] {
		words = append(words, cut(n.Place, valueWidth*2/3)+" of "+cut(n.Route, valueWidth*2/3))
	}
	line := strings.Join(words, ", ")
	for len(words) > 1 && width(line) > textWidth-40 {
		words = words[:len(words)-1]
		line = strings.Join(words, ", ")
	}
	if more := len(t.Noise) - len(words); more > 0 {
		line += fmt.Sprintf(", and %d more", more)
	}
	t.row("noise", "%s: %s", count(int64(len(t.Noise)), "place"), line)
}

// failed says why the exit code is 1.
func (t *text) failed() {
	for i, why := range t.Failed {
		t.row([]string{"failed", ""}[min(i, 1)], "%s", why)
	}
}

// differences shows the most frequent groups, each with an example.
func (t *text) differences() {
	if len(t.Differences) == 0 {
		return
	}
	t.b.WriteString("\ndifferences\n")
	omitted := t.DifferencesOmitted
	for i := range t.Differences {
		if i >= differencesShown {
			omitted += t.Differences[i].Count
			continue
		}
		t.group(&t.Differences[i])
	}
	if omitted > 0 {
		fmt.Fprintf(t.b, "  and %s that differ otherwise\n", count(omitted, "answer"))
	}
}

func (t *text) group(g *Group) {
	what := strings.Join(g.Places, ", ")
	switch {
	case g.Missing == g.Count:
		what = "missing"
	case g.Missing > 0:
		what = number(g.Missing) + " missing, " + what
	}
	noun := "answer"
	if g.Request == compare.CloseRoute {
		noun = "end"
	}
	line := fmt.Sprintf("  %s  %s  ", cut(g.Request, textWidth/2), count(g.Count, noun))
	fmt.Fprintf(t.b, "%s%s\n", line, cut(what, textWidth-width(line)))
	if g.Example != nil {
		for _, line := range g.Example.lines() {
			fmt.Fprintf(t.b, "    %s\n", line)
		}
	}
	switch {
	case g.Command != "":
		fmt.Fprintf(t.b, "    %s\n", g.Command)
	case g.Client != "":
		fmt.Fprintf(t.b, "    such as in session %d, %s\n", g.Session, g.Client)
	default:
		fmt.Fprintf(t.b, "    such as in session %d\n", g.Session)
	}
}

// lines shows both values, in one line if that is short enough.
func (d *Difference) lines() []string {
	production, application := d.values()
	bytes := d.Lacks == "" && strings.HasPrefix(d.Place, "bytes")
	if bytes {
		if production == "" && application == "" {
			return []string{"at or after byte " + number(d.Offset)}
		}
		production, application = `"`+production+`"`, `"`+application+`"`
	}
	if !bytes && width(production) <= valueWidth && width(application) <= valueWidth {
		return []string{production + " → " + application}
	}
	const label = len("    production   ")
	return []string{
		"production   " + cut(production, textWidth-label),
		"application  " + cut(application, textWidth-label),
	}
}

// values are what stands on each side, in words where nothing does.
func (d *Difference) values() (production, application string) {
	production, application = d.Production, d.Application
	if d.Lacks == "" && strings.HasPrefix(d.Place, "bytes") {
		return production, application
	}
	switch d.Lacks {
	case "production":
		production = "(nothing)"
	case "application":
		application = "(nothing)"
	}
	if production == "" {
		production = "(empty)"
	}
	if application == "" {
		application = "(empty)"
	}
	return production, application
}

// width is how many columns a text takes, if none of its characters is wide.
func width(s string) int { return utf8.RuneCountInString(s) }

// cut shortens a text to so many columns, of which the last then is "…".
func cut(s string, columns int) string {
	if width(s) <= columns {
		return s
	}
	return string([]rune(s)[:max(columns-1, 0)]) + "…"
}
