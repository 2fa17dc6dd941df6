package report

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// row is a group of differences in the page.
type row struct {
	ID       string // in the page
	Kinds    string // of places, with spaces between them
	Text     string // what the filter looks at, in lower case
	Request  string
	Place    string
	Tags     []string
	Count    int64
	Values   *values // of the first difference
	Asked    string  // the example's request
	Session  uint64
	Client   string
	Capture  string
	Command  string
	All      []placeValues
	Parts    []part
	hasKinds []string
}

type (
	values      struct{ Production, Application string }
	placeValues struct {
		Place string
		values
	}
	kindCount struct {
		Word string
		N    int // rows
	}
)

// kindMissing is the kind of groups of answers that did not come.
const kindMissing = "missing"

// differenceRows are the rows of the table of differences, and the kinds to
// filter them by, most frequent first.
func differenceRows(groups []Group) (rows []row, kinds []kindCount) {
	counts := map[string]int{}
	for i := range groups {
		g := &groups[i]
		x := row{
			ID: fmt.Sprintf("difference-%d", i+1), Request: g.Request, Place: strings.Join(g.Places, ", "), Count: g.Count,
			Session: g.Session, Client: g.Client, Capture: printableString(g.Capture), Command: printableString(g.Command),
			Parts: sides(g.Production, g.Application),
		}
		x.hasKinds = slices.Compact(slices.Sorted(slices.Values(g.Kinds)))
		if g.Missing > 0 {
			x.hasKinds = append(x.hasKinds, kindMissing)
			if x.Place == "" {
				x.Place = "no answer"
			}
		}
		x.Tags = x.hasKinds
		x.Kinds = strings.Join(x.hasKinds, " ")
		words := []string{x.Request, x.Place, x.Client}
		for j := range g.Differences {
			d := &g.Differences[j]
			x.All = append(x.All, placeValues{d.Path, d.shown(1 << 10)})
			words = append(words, d.Request, d.Path, d.Production, d.Application)
		}
		if d := g.Example; d != nil {
			v := d.shown(80)
			x.Values, x.Asked = &v, d.Request
		}
		x.Text = strings.ToLower(strings.Join(words, " "))
		for _, kind := range x.hasKinds {
			counts[kind]++
		}
		rows = append(rows, x)
	}
	for word, n := range counts {
		kinds = append(kinds, kindCount{word, n})
	}
	slices.SortFunc(kinds, func(a, b kindCount) int {
		if a.N != b.N {
			return b.N - a.N
		}
		return strings.Compare(a.Word, b.Word)
	})
	return rows, kinds
}

// shown is what the page shows of both sides, each cut to so many characters.
func (d *Difference) shown(limit int) values {
	p, a := d.values()
	if p == "" && a == "" {
		p = "from byte " + number(d.Offset) + " on"
		a = p
	}
	return values{cut(cmp.Or(p, "(nothing)"), limit), cut(cmp.Or(a, "(nothing)"), limit)}
}

type latencyRow struct {
	What, Side string
	Count      int64
	Cells      []string
}

// latencySide is one who answered.
type latencySide struct {
	name string
	p    *Percentiles
}

func (l *Latency) firstByte() []latencySide {
	return measured([]latencySide{{"production", &l.Production}, {"application", &l.Application}, {"baseline", l.Baseline}})
}

func (l *Latency) wholeAnswer() []latencySide {
	w := &l.Whole
	return measured([]latencySide{{"production", &w.Production}, {"application", &w.Application}, {"baseline", w.Baseline}})
}

func measured(sides []latencySide) []latencySide {
	return slices.DeleteFunc(sides, func(s latencySide) bool { return s.p == nil || s.p.Count == 0 })
}

func (p *page) latencyTable(l *Latency) {
	add := func(what string, sides []latencySide) {
		for _, side := range sides {
			x := latencyRow{What: what, Side: side.name, Count: side.p.Count, Cells: side.p.cells()}
			for _, d := range []Milliseconds{side.p.P999, side.p.Max} {
				x.Cells = append(x.Cells, duration(time.Duration(d)))
			}
			p.LatencyRows = append(p.LatencyRows, x)
			what = ""
		}
	}
	add("first byte", l.firstByte())
	add("whole answer", l.wholeAnswer())
}

type (
	routeRow struct {
		Name  string
		Cells []routeCell
	}
	routeCell struct {
		Text, Value string // Value is the number to sort by
		Warn        bool
	}
	column struct {
		Word   string
		Number bool
	}
)

func (p *page) routeTable(routes []Route) {
	p.RouteColumns = []string{"answers", "differ", "uncompared", "production p50", "p99", "application p50", "p99", "slow-down"}
	for i := range routes {
		x := &routes[i]
		a, l := &x.Answers, &x.Latency
		differ := a.Different + a.Missing
		row := routeRow{Name: x.Route, Cells: []routeCell{
			countCell(a.Compared + a.Uncompared), countCell(differ), countCell(a.Uncompared),
			timeCell(&l.Production, l.Production.P50), timeCell(&l.Production, l.Production.P99),
			timeCell(&l.Application, l.Application.P50), timeCell(&l.Application, l.Application.P99),
			{Text: "–", Value: "0"},
		}}
		row.Cells[1].Warn = differ > 0
		if s := l.slowdown(); s > 0 {
			row.Cells[7] = routeCell{threeDigits(s) + "×", strconv.FormatFloat(s, 'g', -1, 64), s >= slowerBy}
		}
		p.Routes = append(p.Routes, row)
	}
}

func countCell(n int64) routeCell {
	return routeCell{Text: number(n), Value: strconv.FormatInt(n, 10)}
}

func timeCell(p *Percentiles, d Milliseconds) routeCell {
	if p.Count == 0 {
		return routeCell{Text: "–", Value: "0"}
	}
	return routeCell{Text: duration(time.Duration(d)), Value: strconv.FormatInt(int64(d), 10)}
}

type sessionRow struct {
	ID                             uint64
	Copy                           int64
	Client, Server, State, Verdict string
	Requests, Lost                 int64
	First                          string
}

// sessionTable lists sessions to look at, as the JSON does first.
func (p *page) sessionTable(r *Result) {
	p.SessionColumns = []column{{"session", true}, {"client", false}, {"server", false}, {"state", false}, {"verdict", false},
		{"requests", true}, {"bytes lost", true}, {"first difference", false}}
	for i := range r.Detail {
		d := &r.Detail[i]
		if !d.remarkable() {
			continue
		}
		if len(p.Sessions) == sessionsShown {
			p.SessionsMore++
			continue
		}
		x := sessionRow{ID: d.ID, Copy: d.Copy, Client: d.Client, Server: d.Server, State: d.State, Verdict: d.Verdict,
			Requests: d.Requests, Lost: d.ClientBytes.lost()}
		if f := d.FirstDifference; f != nil {
			x.First = cut(f.Request, 80) + ": " + f.Path
		}
		p.Sessions = append(p.Sessions, x)
	}
}

// where is the destination's address, and its port if it has one.
func (e *Egress) where() string {
	if e.Port == 0 {
		return e.Dst
	}
	return net.JoinHostPort(e.Dst, strconv.Itoa(int(e.Port)))
}

// called is what is known of a destination besides its address: its name, and
// what was spoken to it.
func (e *Egress) called() string {
	words := e.Name
	if e.Host != "" && e.Host != e.Name {
		words = strings.TrimSpace(words + " " + e.Guess + " to " + e.Host)
	} else if e.Guess != "" {
		words = strings.TrimSpace(words + " " + e.Guess)
	}
	return words
}
