package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

//go:embed assets/page.html.tmpl
var pageTemplate string

//go:embed assets/page.css
var pageStyle string

//go:embed assets/page.js
var pageScript string

var pageOf = template.Must(template.New("page").Funcs(template.FuncMap{"number": number, "count": count}).Parse(pageTemplate))

// sessionsShown is how many sessions the page lists; the JSON has more.
const sessionsShown = 200

// WriteHTML writes the result as one page that needs nothing else, works
// offline and asks nobody: its Content-Security-Policy allows its own script
// only and no connection. What came from the network is text in it, never
// markup. The error is w's.
func (r *Result) WriteHTML(w io.Writer) error {
	p, err := newPage(r.written())
	if err != nil {
		return err
	}
	return pageOf.Execute(w, p)
}

// scriptHash is how a Content-Security-Policy names a script.
func scriptHash(script string) string {
	sum := sha256.Sum256([]byte(script))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// contentPolicy lets nothing be loaded, run or sent but what the page holds.
func contentPolicy(scripts string) string {
	return "default-src 'none'; style-src 'unsafe-inline'; script-src " + scripts + "; img-src data:; base-uri 'none'; form-action 'none'"
}

// page is what the template shows, in its order.
type page struct {
	Policy string
	Style  template.CSS
	Script template.JS

	Tool, Verdict, Badge string
	Tone                 string // a class of page.css: "good", "bad", "unsure"
	Facts                []fact
	Failed               []string
	Tiles                []tile

	Verdicts   []verdictCount
	Uncompared string

	Rows               []row
	Kinds              []kindCount
	DifferencesOmitted int64

	Keys, TimeKeys          []string
	LatencyPlots, TimePlots []figure
	LatencyRows             []latencyRow

	RouteColumns []string
	Routes       []routeRow

	AnyNoise bool
	Excused  []Excused
	Noise    []Noise

	Ledger []ledgerRow
	Lost   string
	Egress []egressRow
	// Contained says what became of the application's packets, and Proof what that proves.
	Contained, Proof string

	SessionColumns []column
	Sessions       []sessionRow
	SessionsMore   int64

	Warnings, Defects []string
}

type (
	fact struct{ Word, Value string }
	tile struct {
		Title, Value, More string
		Warn               bool
	}
	verdictCount struct {
		Word  string
		N     int64
		Share string // of all answers, in per cent
	}
	figure struct {
		Title string
		SVG   template.HTML // drawn's
	}
	ledgerRow struct {
		Word  string
		N     int64
		Share string
		Why   string
		Lost  bool
	}
	egressRow struct {
		Egress
		Where  string // address and port
		Called string
	}
)

func newPage(r *Result) (*page, error) {
	t := newText(r)
	p := &page{
		Policy:   contentPolicy(scriptHash(pageScript)),
		Style:    template.CSS(pageStyle),
		Script:   template.JS(pageScript),
		Tool:     printableString(r.Tool),
		Verdict:  t.verdict(),
		Failed:   r.Failed,
		Facts:    facts(r),
		Tiles:    tiles(r),
		Excused:  r.Excused,
		Noise:    r.Noise,
		AnyNoise: len(r.Excused)+len(r.Noise) > 0,
		Lost:     r.LossWords(),
		Warnings: r.Warnings,
		Defects:  r.Defects,

		DifferencesOmitted: r.DifferencesOmitted,
	}
	p.Tone, p.Badge = tone(r)
	all := r.Answers.Compared + r.Answers.Uncompared
	for _, v := range r.Answers.verdicts() {
		if v.N > 0 {
			v.Share = percent(v.N, all)
			p.Verdicts = append(p.Verdicts, v)
		}
	}
	var why []string
	for _, word := range slices.Sorted(maps.Keys(r.Answers.UncomparedWhy)) {
		why = append(why, word+" "+number(r.Answers.UncomparedWhy[word]))
	}
	p.Uncompared = strings.Join(why, ", ")
	p.Rows, p.Kinds = differenceRows(r.Differences)
	p.latencyTable(&r.Latency)
	p.routeTable(r.Routes)
	for _, b := range r.ClientBytes.bins() {
		if b.n == 0 && b.word != wordDelivered {
			continue
		}
		row := ledgerRow{Word: b.word, N: b.n, Why: b.why, Share: "beside", Lost: b.word != wordDelivered && b.word != "filtered"}
		if b.word != "not captured" {
			row.Share = percent(b.n, r.ClientBytes.Captured) + " %"
		}
		p.Ledger = append(p.Ledger, row)
	}
	for _, e := range r.Egress {
		e.Name = printableString(e.Name)
		p.Egress = append(p.Egress, egressRow{e, e.where(), e.called()})
	}
	p.Contained, p.Proof = r.ContainmentWords()
	p.sessionTable(r)
	return p, p.figures(r)
}

// tone is how the verdict is to be taken: its class, and a word for it.
func tone(r *Result) (class, badge string) {
	a := &r.Answers
	switch {
	case len(r.Defects) > 0:
		return "bad", "do not trust"
	case r.Ended == EndedNoListener, r.Ended == EndedAppExited, r.App.Died > 0:
		return "bad", "application failed"
	case a.Different+a.Missing > 0 && (len(r.Failed) > 0 || r.ExitCode != 0):
		return "bad", "differs"
	case len(r.Failed) > 0:
		return "bad", "failed"
	case a.Different+a.Missing > 0:
		return "unsure", "differs within limits"
	case a.Compared == 0:
		return "unsure", "nothing compared"
	case r.LossWords() != "":
		return "unsure", "incomplete"
	}
	return "good", "matches"
}

func facts(r *Result) []fact {
	all := []fact{
		{"captured", printableString(r.Capture.Source)},
		{"application", printableString(r.App.Command)},
	}
	if r.Baseline != nil {
		all = append(all, fact{"baseline", printableString(r.Baseline.Command)})
	}
	if !r.Started.IsZero() {
		all = append(all, fact{"started", r.Started.Format("2 January 2006, 15:04:05 MST")})
	}
	all = append(all, fact{"took", duration(time.Duration(r.Duration))}, fact{"ended", r.Ended})
	return slices.DeleteFunc(all, func(f fact) bool { return f.Value == "" })
}

func tiles(r *Result) []tile {
	a := &r.Answers
	differ := a.Different + a.Missing
	groups := count(int64(len(r.Differences)), "group")
	if r.DifferencesOmitted > 0 {
		groups = "in more than " + groups
	} else if differ > 0 {
		groups = percent(differ, a.Compared) + " %, in " + groups
	} else {
		groups = "none at all"
	}
	c := &r.ClientBytes
	all := []tile{
		{Title: "answers compared", Value: number(a.Compared), More: "of " + count(r.Sessions.Replayed, "session")},
		{Title: "answers that differ", Value: number(differ), More: groups, Warn: differ > 0},
		{Title: "client bytes delivered", Value: percent(c.Delivered, c.Captured) + " %", More: size(c.Captured) + " captured", Warn: c.lost() > 0},
	}
	if l := &r.Latency; l.Application.Count > 0 {
		more := "of the application"
		if l.slowdown() > 0 {
			more = fmt.Sprintf("%s× production's %s", threeDigits(l.slowdown()), duration(time.Duration(l.Production.P99)))
		}
		all = append(all, tile{Title: "99 % begin within", Value: duration(time.Duration(l.Application.P99)), More: more, Warn: l.slowdown() >= slowerBy})
	}
	if len(r.Egress) > 0 {
		var packets int64
		for i := range r.Egress {
			packets += r.Egress[i].Packets
		}
		all = append(all, tile{Title: "egress", Value: number(packets), More: "packets to " + count(int64(len(r.Egress)), "destination")})
	}
	return all
}

// verdicts lists the counts in the order of reports.
func (a *Answers) verdicts() []verdictCount {
	return []verdictCount{
		{Word: "identical", N: a.Identical}, {Word: "equivalent", N: a.Equivalent}, {Word: "different", N: a.Different},
		{Word: "missing", N: a.Missing}, {Word: "uncompared", N: a.Uncompared},
	}
}

func (a *Answers) of(word string) int64 {
	for _, v := range a.verdicts() {
		if v.Word == word {
			return v.N
		}
	}
	return 0
}

// figures draws the plots for which there are figures.
func (p *page) figures(r *Result) error {
	add := func(to *[]figure, title string, draw func() (template.HTML, error)) error {
		svg, err := draw()
		*to = append(*to, figure{title, svg})
		return err
	}
	l := &r.Latency
	seen := map[string]bool{}
	for _, x := range []struct {
		title string
		sides []latencySide
	}{{"First byte", l.firstByte()}, {"Whole answer", l.wholeAnswer()}} {
		curves := map[string][]CurvePoint{}
		for _, side := range x.sides {
			if len(side.p.Curve) > 0 {
				curves[side.name], seen[side.name] = side.p.Curve, true
			}
		}
		if len(curves) == 0 {
			continue
		}
		if err := add(&p.LatencyPlots, x.title+": share of answers that came within", func() (template.HTML, error) {
			return drawn(distributionPlot(curves), wide, "distribution of the times to the "+strings.ToLower(x.title))
		}); err != nil {
			return err
		}
	}
	for _, name := range []string{"production", "application", "baseline"} {
		if seen[name] {
			p.Keys = append(p.Keys, name)
		}
	}
	s := &r.Series
	if len(s.Points) < 2 || s.Step <= 0 {
		return nil
	}
	p.TimeKeys = []string{"production", "application"}
	if err := add(&p.TimePlots, "Requests", func() (template.HTML, error) { return drawn(s.ratePlot(), narrow, "requests per second, over time") }); err != nil {
		return err
	}
	if err := add(&p.TimePlots, "Mean time to the first byte", func() (template.HTML, error) {
		return drawn(s.meanPlot(), narrow, "mean time to the first byte, over time")
	}); err != nil {
		return err
	}
	return add(&p.TimePlots, "Verdicts, each on a scale of its own", func() (template.HTML, error) { return drawn(s.verdictPlot(), narrow, "verdicts over time") })
}
