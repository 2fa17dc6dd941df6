package report

import (
	"tcpsandbox/compare"
	"tcpsandbox/findings"
)

// SetFindings fills in what the comparisons came to. r.Baseline keeps its App,
// whether that was set before or is after. Whatever came from the network is
// made printable.
func (r *Result) SetFindings(s *findings.Summary) {
	r.Answers = answersOf(&s.Verdicts)
	r.Answers.Extra = s.Extra
	for why, n := range s.Uncompared {
		if n == 0 {
			continue
		}
		if r.Answers.UncomparedWhy == nil {
			r.Answers.UncomparedWhy = map[string]int64{}
		}
		r.Answers.UncomparedWhy[reasonWord(compare.Reason(why))] = n
	}
	r.Latency = latencyOf(&s.Latency)

	c := &s.Closes
	r.Closes = Closes{
		Identical: c[compare.Identical], Equivalent: c[compare.Equivalent], Different: c[compare.Different], Uncompared: c[compare.Uncompared],
	}
	r.Closes.Compared = r.Closes.Identical + r.Closes.Equivalent + r.Closes.Different

	r.Differences, r.DifferencesOmitted = nil, 0
	for i := range s.Groups {
		r.Differences = append(r.Differences, newGroup(&s.Groups[i]))
	}
	r.Excused = nil
	for _, e := range s.Excused {
		r.Excused = append(r.Excused, NewExcused(e.Excuse, e.Answers))
	}
	r.Noise = nil
	for _, n := range s.Noise {
		r.Noise = append(r.Noise, Noise{printableString(n.Route), printableString(n.Place.String()), n.Baseline, n.Application, n.Answers})
	}
	r.Routes = nil
	for i := range s.Routes {
		f := &s.Routes[i]
		r.Routes = append(r.Routes, Route{printableString(f.Name), answersOf(&f.Verdicts), latencyOf(&f.Latency)})
	}
	r.Series = Series{Step: Seconds(s.Series.Step)}
	for i := range s.Series.Points {
		p := &s.Series.Points[i]
		r.Series.Points = append(r.Series.Points, SeriesPoint{answersOf(&p.Verdicts), Milliseconds(p.Production), Milliseconds(p.Application)})
	}
	if r.Baseline == nil && s.Baseline.Compared > 0 {
		r.Baseline = &Baseline{}
	}
	if r.Baseline != nil {
		r.Baseline.Compared, r.Baseline.Differed = s.Baseline.Compared, s.Baseline.Differed
	}
}

// NewExcused writes down a place where answers may differ.
func NewExcused(e compare.Excuse, answers int64) Excused {
	return Excused{printableString(e.Place.String()), printableString(e.Why), answers}
}

// reasonWord is the key of Answers.UncomparedWhy.
func reasonWord(why compare.Reason) string {
	if why == compare.Compared {
		return "unknown"
	}
	return why.String()
}

func answersOf(v *findings.Verdicts) (a Answers) {
	for verdict, n := range v {
		a.Count(compare.Verdict(verdict), n)
	}
	return a
}

func latencyOf(s *findings.Sides) Latency {
	l := Latency{
		Production:  percentilesOf(&s.Production.First),
		Application: percentilesOf(&s.Application.First),
		Whole: WholeLatency{
			Production:  percentilesOf(&s.Production.Whole),
			Application: percentilesOf(&s.Application.Whole),
		},
	}
	if s.Baseline.First.Count+s.Baseline.Whole.Count > 0 {
		first, whole := percentilesOf(&s.Baseline.First), percentilesOf(&s.Baseline.Whole)
		l.Baseline, l.Whole.Baseline = &first, &whole
	}
	return l
}

func percentilesOf(d *findings.Distribution) Percentiles {
	p := Percentiles{
		P50: Milliseconds(d.P50), P90: Milliseconds(d.P90), P99: Milliseconds(d.P99),
		P999: Milliseconds(d.P999), Max: Milliseconds(d.Max), Count: d.Count,
	}
	for _, c := range d.Curve {
		p.Curve = append(p.Curve, CurvePoint{Milliseconds(c.At), c.Share})
	}
	return p
}
