package findings

import (
	"time"

	"tcpsandbox/compare"
)

// A Series begins with steps of firstStep. When there are maxPoints of them,
// each two become one.
const (
	firstStep = 250 * time.Millisecond
	maxPoints = 600
)

// series adds up a run over time.
type series struct {
	origin time.Time
	step   time.Duration
	points []point

	findings, maxFindings int // of all points; see bounds
}

type point struct {
	verdicts Verdicts
	// findings counts those of the answers that noise may yet excuse.
	findings map[int]int64
	// The times to first bytes: their sums and numbers.
	production, application       time.Duration
	productionCount, applications int64
}

func (s *series) add(at time.Time, x *compare.Exchange, v compare.Verdict, finding int) {
	if s.step == 0 {
		s.origin, s.step = at, firstStep
	}
	i := max(int(at.Sub(s.origin)/s.step), 0)
	for i >= maxPoints {
		s.halve()
		i /= 2
	}
	for i >= len(s.points) {
		s.points = append(s.points, point{})
	}
	p := &s.points[i]
	p.verdicts[v]++
	if finding != 0 {
		if p.findings == nil {
			p.findings = map[int]int64{}
		}
		before := len(p.findings)
		p.findings[finding]++
		s.findings += len(p.findings) - before
	}
	if t := x.ProductionTimes.First; t > 0 {
		p.production += t
		p.productionCount++
	}
	if t := x.ApplicationTimes.First; t > 0 {
		p.application += t
		p.applications++
	}
	for s.findings > s.maxFindings && len(s.points) > 1 {
		s.halve()
	}
}

// halve makes one step of each two.
func (s *series) halve() {
	n := 0
	for i := 0; i < len(s.points); i += 2 {
		p := s.points[i]
		if i+1 < len(s.points) {
			p.merge(&s.points[i+1])
		}
		s.points[n] = p
		n++
	}
	clear(s.points[n:])
	s.points, s.step = s.points[:n], 2*s.step
	s.findings = 0
	for i := range s.points {
		s.findings += len(s.points[i].findings)
	}
}

func (p *point) merge(from *point) {
	for v, n := range from.verdicts {
		p.verdicts[v] += n
	}
	if p.findings == nil {
		p.findings = from.findings
	} else {
		for f, n := range from.findings {
			p.findings[f] += n
		}
	}
	p.production += from.production
	p.application += from.application
	p.productionCount += from.productionCount
	p.applications += from.applications
}

// result is the series as it is shown. noise says of a finding that it is noise,
// and what verdict its answers had.
func (s *series) result(noise func(finding int) (compare.Verdict, bool)) Series {
	out := Series{Step: s.step}
	for i := range s.points {
		p := &s.points[i]
		shown := SeriesPoint{Verdicts: p.verdicts}
		for f, n := range p.findings {
			if v, ok := noise(f); ok {
				shown.Verdicts[v] -= n
				shown.Verdicts[compare.Equivalent] += n
			}
		}
		if p.productionCount > 0 {
			shown.Production = p.production / time.Duration(p.productionCount)
		}
		if p.applications > 0 {
			shown.Application = p.application / time.Duration(p.applications)
		}
		out.Points = append(out.Points, shown)
	}
	return out
}
