package report

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	vgtext "gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// plotSize is a plot's, in points; the page scales it to the room there is.
type plotSize struct{ width, height vg.Length }

var (
	wide   = plotSize{420, 230} // two in a row of the page
	narrow = plotSize{300, 190} // three
)

// Every colour in a plot stands for one of page.css, which has them twice, for
// light and dark paper: in the SVG each is replaced by the name there. They are
// told apart by their last digits only.
var (
	inkColor         = color.RGBA{0, 0, 1, 255}
	gridColor        = color.RGBA{0, 0, 2, 255}
	productionColor  = color.RGBA{0, 0, 3, 255}
	applicationColor = color.RGBA{0, 0, 4, 255}
	baselineColor    = color.RGBA{0, 0, 5, 255}
	verdictColors    = map[string]color.RGBA{
		"identical": {0, 0, 6, 255}, "equivalent": {0, 0, 7, 255}, "different": {0, 0, 8, 255},
		"missing": {0, 0, 9, 255}, "uncompared": {0, 0, 10, 255},
	}

	styleNames = strings.NewReplacer(
		"#000001", "currentColor", "#000002", "var(--grid)",
		"#000003", "var(--production)", "#000004", "var(--application)", "#000005", "var(--baseline)",
		"#000006", "var(--identical)", "#000007", "var(--equivalent)", "#000008", "var(--different)",
		"#000009", "var(--missing)", "#00000A", "var(--uncompared)",
	)
)

// sideStyles draw who answered; page.css has the same for the legends.
var sideStyles = map[string]draw.LineStyle{
	"production":  {Color: productionColor, Width: 1.8, Dashes: []vg.Length{6, 3}},
	"application": {Color: applicationColor, Width: 1.8},
	"baseline":    {Color: baselineColor, Width: 1.8, Dashes: []vg.Length{2, 2}},
}

// newPlot has axes and a grid, and no data yet.
func newPlot(x, y plot.Ticker) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	small := vgtext.Style{Color: inkColor, Font: plot.DefaultFont, Handler: plot.DefaultTextHandler}
	small.Font.Size = 11
	for axis, ticks := range map[*plot.Axis]plot.Ticker{&p.X: x, &p.Y: y} {
		axis.LineStyle = draw.LineStyle{Color: gridColor, Width: 1}
		axis.Tick.LineStyle = draw.LineStyle{Color: gridColor, Width: 1}
		axis.Tick.Length = 4
		axis.Padding = 0
		axis.Tick.Marker = ticks
		small.XAlign, small.YAlign = axis.Tick.Label.XAlign, axis.Tick.Label.YAlign
		axis.Tick.Label = small
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = gridColor, gridColor
	grid.Vertical.Width, grid.Horizontal.Width = 0.7, 0.7
	p.Add(grid)
	return p
}

// drawn returns the plot as an SVG element for the page. What it says to those
// who do not see it is words, which must be ours: nothing in a plot comes from
// the network.
func drawn(p *plot.Plot, size plotSize, words string) (template.HTML, error) {
	canvas := &labelled{Canvas: vgsvg.New(size.width, size.height)}
	p.Draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", fmt.Errorf("draw %s: %w", words, err)
	}
	_, svg, _ := strings.Cut(b.String(), "<svg")
	parts := strings.Split(styleNames.Replace(svg), "<text ")
	var out strings.Builder
	fmt.Fprintf(&out, `<svg role="img" aria-label="%s"%s`, template.HTMLEscapeString(words), parts[0])
	for i, part := range parts[1:] {
		fmt.Fprintf(&out, `<text textLength="%.1f" lengthAdjust="spacingAndGlyphs" %s`, canvas.widths[i].Points(), part)
	}
	return template.HTML(out.String()), nil
}

// labelled keeps how wide each text was when room was made for it: the reader's
// machine may lack that font, and its own be wider.
type labelled struct {
	*vgsvg.Canvas
	widths []vg.Length
}

func (c *labelled) FillString(f font.Face, at vg.Point, s string) {
	c.widths = append(c.widths, f.Width(s))
	c.Canvas.FillString(f, at, s)
}

// shortest is where a logarithmic axis of time begins: clocks of captures count
// in microseconds.
const shortest = time.Microsecond

// distributionPlot is the share of answers that took a time or less.
func distributionPlot(curves map[string][]CurvePoint) *plot.Plot {
	p := newPlot(plot.TickerFunc(timeTicks), plot.TickerFunc(shareTicks))
	p.X.Scale = plot.LogScale{}
	p.Y.Min, p.Y.Max = 0, 1
	low, high := math.Inf(1), math.Inf(-1)
	for _, side := range []string{"production", "baseline", "application"} {
		var at plotter.XYs
		for _, c := range curves[side] {
			x := max(time.Duration(c.At), shortest).Seconds()
			at = append(at, plotter.XY{X: x, Y: c.Share})
			low, high = min(low, x), max(high, x)
		}
		if len(at) == 0 {
			continue
		}
		p.Add(&plotter.Line{XYs: at, LineStyle: sideStyles[side]})
	}
	if low >= high { // all took the same time
		low, high = high/2, high*2
	}
	p.X.Min, p.X.Max = low, high
	return p
}

// timeTicks are powers of ten of a second, and where there are few of them what
// lies between.
func timeTicks(low, high float64) (ticks []plot.Tick) {
	decades := math.Log10(high / low)
	for exponent := math.Floor(math.Log10(low)); exponent <= math.Ceil(math.Log10(high)); exponent++ {
		for m := 1.0; m < 10; m++ {
			at := m * math.Pow(10, exponent)
			if at < low*0.999 || at > high*1.001 {
				continue
			}
			t := plot.Tick{Value: at}
			if m == 1 || decades < 3 && (m == 2 || m == 5) || decades < 0.5 {
				t.Label = shortTime(at)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}

// shortTime writes a number of seconds without needless digits.
func shortTime(s float64) string {
	unit := "s"
	switch {
	case s < 0.9995e-3:
		s, unit = s*1e6, "µs"
	case s < 0.9995:
		s, unit = s*1e3, "ms"
	case s >= 119.5:
		s, unit = s/60, "min"
	}
	return strconv.FormatFloat(s, 'g', 4, 64) + " " + unit
}

func shareTicks(_, _ float64) []plot.Tick {
	ticks := make([]plot.Tick, 0, 5)
	for _, percent := range []int{0, 25, 50, 75, 100} {
		ticks = append(ticks, plot.Tick{Value: float64(percent) / 100, Label: fmt.Sprintf("%d %%", percent)})
	}
	return ticks
}

// evenTicks are some five multiples of 1, 2 or 5 times a power of ten.
func evenTicks(label func(float64) string) plot.Ticker {
	return plot.TickerFunc(func(low, high float64) (ticks []plot.Tick) {
		step := math.Pow(10, math.Floor(math.Log10((high-low)/4)))
		for _, m := range []float64{5, 2} {
			if (high-low)/(m*step) >= 3.5 {
				step *= m
				break
			}
		}
		for n := math.Ceil(low / step); n*step <= high*1.0001; n++ {
			ticks = append(ticks, plot.Tick{Value: n * step, Label: label(n * step)})
		}
		return ticks
	})
}

// clockTicks are even ones of a run's time.
func clockTicks(low, high float64) (ticks []plot.Tick) {
	step := high / 6
	for _, nice := range []float64{0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400} {
		if nice >= step {
			step = nice
			break
		}
	}
	for at := 0.0; at <= high*1.0001; at += step {
		label := strconv.FormatFloat(math.Round(at*10)/10, 'f', -1, 64) + " s"
		switch {
		case at == 0:
			label = "0"
		case step >= 3600:
			label = strconv.FormatFloat(at/3600, 'f', -1, 64) + " h"
		case step >= 60:
			label = strconv.FormatFloat(at/60, 'f', -1, 64) + " min"
		}
		ticks = append(ticks, plot.Tick{Value: at, Label: label})
	}
	return ticks
}

func rateLabel(f float64) string {
	if f < 10 && f != math.Trunc(f) {
		return strconv.FormatFloat(f, 'f', 1, 64) + "/s"
	}
	return number(int64(f)) + "/s"
}

// steps draws a quantity of each step of the series as a flat line over it;
// where there is none, no line is drawn.
func (s *Series) steps(p *plot.Plot, style draw.LineStyle, of func(*SeriesPoint) (float64, bool)) {
	step := time.Duration(s.Step).Seconds()
	style.Width = 1.4
	var at plotter.XYs
	flush := func() {
		if len(at) > 0 {
			p.Add(&plotter.Line{XYs: at, LineStyle: style})
		}
		at = nil
	}
	for i := range s.Points {
		y, ok := of(&s.Points[i])
		if !ok {
			flush()
			continue
		}
		at = append(at, plotter.XY{X: float64(i) * step, Y: y}, plotter.XY{X: float64(i+1) * step, Y: y})
		p.Y.Max = max(p.Y.Max, 1.08*y)
	}
	flush()
}

func (s *Series) plot(y plot.Ticker) *plot.Plot {
	p := newPlot(plot.TickerFunc(clockTicks), y)
	p.X.Min, p.X.Max = 0, max(time.Duration(s.Step).Seconds()*float64(len(s.Points)), 1e-3)
	p.Y.Min, p.Y.Max = 0, 1e-9
	return p
}

// ratePlot is how many requests were answered, or should have been.
func (s *Series) ratePlot() *plot.Plot {
	p := s.plot(evenTicks(rateLabel))
	step := time.Duration(s.Step).Seconds()
	s.steps(p, draw.LineStyle{Color: inkColor}, func(x *SeriesPoint) (float64, bool) {
		return float64(x.Answers.Compared+x.Answers.Uncompared) / step, true
	})
	return p
}

// meanPlot is how the times to the first byte were on average.
func (s *Series) meanPlot() *plot.Plot {
	p := s.plot(evenTicks(func(f float64) string {
		if f == 0 {
			return "0"
		}
		return shortTime(f)
	}))
	s.steps(p, sideStyles["production"], func(x *SeriesPoint) (float64, bool) {
		return time.Duration(x.Production).Seconds(), x.Production > 0
	})
	s.steps(p, sideStyles["application"], func(x *SeriesPoint) (float64, bool) {
		return time.Duration(x.Application).Seconds(), x.Application > 0
	})
	return p
}

// verdictPlot has a band for each verdict that occurred, as high as the verdict
// was frequent. Each has a scale of its own: of 10,000 answers 3 that differ
// are seen.
func (s *Series) verdictPlot() *plot.Plot {
	p := s.plot(nil)
	var ticks plot.ConstantTicks
	step := time.Duration(s.Step).Seconds()
	var bands int
	for _, v := range slices.Backward((&Answers{}).verdicts()) {
		of := func(i int) float64 { return float64(s.Points[i].Answers.of(v.Word)) }
		most := 0.0
		for i := range s.Points {
			most = max(most, of(i))
		}
		if most == 0 {
			continue
		}
		base := float64(bands)
		outline := plotter.XYs{{X: 0, Y: base}}
		for i := range s.Points {
			y := base + 0.8*of(i)/most
			outline = append(outline, plotter.XY{X: float64(i) * step, Y: y}, plotter.XY{X: float64(i+1) * step, Y: y})
		}
		outline = append(outline, plotter.XY{X: p.X.Max, Y: base})
		p.Add(&plotter.Polygon{XYs: []plotter.XYs{outline}, Color: verdictColors[v.Word]})
		ticks = append(ticks, plot.Tick{Value: base, Label: v.Word + ", ≤ " + rateLabel(math.Ceil(most/step))})
		bands++
	}
	p.Y.Min, p.Y.Max = 0, float64(max(bands, 1))
	p.Y.Tick.Marker = ticks
	p.Y.Tick.Label.YAlign = vgtext.YBottom
	return p
}
