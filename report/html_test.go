package report

import (
	"bytes"
	"html"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/plot"

	"tcpsandbox/compare"
	"tcpsandbox/findings"
)

func rendered(t *testing.T, r *Result) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The page holds all it needs: there is no address in it to load from, and its
// policy names the very script that is there.
func TestPageIsWhole(t *testing.T) {
	for name, r := range map[string]*Result{"shop": shop(), "eventful": eventful(), "quiet": quiet(), "empty": {}} {
		text := rendered(t, r)
		for _, forbidden := range []string{"src=", "url(", "@import", "<link", "<iframe", "<object", "<form"} {
			if strings.Contains(text, forbidden) {
				t.Errorf("%s: %s is in the page", name, forbidden)
			}
		}
		for _, m := range regexp.MustCompile(`https?://[^"\s]*`).FindAllString(text, -1) {
			if !strings.HasPrefix(m, "http://www.w3.org/") { // names of the SVG's elements
				t.Errorf("%s: %s is in the page", name, m)
			}
		}
		script := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindStringSubmatch(text)
		policy := regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(text)
		if script == nil || policy == nil || !strings.Contains(html.UnescapeString(policy[1]), "script-src "+scriptHash(script[1])+";") {
			t.Errorf("%s: policy %q does not name the script", name, policy)
		}
	}
}

// Bytes that only one side has, or of which only a digest is known, have words.
func TestPageBytes(t *testing.T) {
	at := compare.Place{Kind: compare.InBytes, Name: "5-"}
	for want, d := range map[string]compare.Difference{
		`<span class="old">abc</span> → <span class="new">(nothing)</span>`:                           {Place: at, Production: []byte("abc")},
		`<span class="old">from byte 65,536 on</span> → <span class="new">from byte 65,536 on</span>`: {Place: at, Offset: 65536, Beyond: true},
	} {
		r := quiet()
		r.SetFindings(&findings.Summary{Groups: []findings.Group{{Route: "turn 1", Answers: 1, Places: []compare.Place{at}, Example: findings.Example{Differences: []compare.Difference{d}}}}})
		if !strings.Contains(rendered(t, r), want) {
			t.Errorf("%s is not in the page", want)
		}
	}
}

// What a network says is text, wherever it stands.
func TestPageHostile(t *testing.T) {
	text := rendered(t, hostile())
	for _, forbidden := range []string{"<img", "<svg", "onerror=\"", "onload=alert(1)>"} {
		if strings.Contains(text, forbidden) {
			t.Errorf("%s is in the page", forbidden)
		}
	}
	if n := strings.Count(text, "<script"); n != 1 {
		t.Errorf("%d scripts", n)
	}
	if n := strings.Count(text, "&lt;/script&gt;"); n < 20 {
		t.Errorf("the hostile text is there %d times", n)
	}
}

// Every part of a rich result is in the page.
func TestPageShowsAll(t *testing.T) {
	text := html.UnescapeString(rendered(t, shop()))
	for _, want := range []string{
		"<h1>" + shopVerdict + "</h1>", "--max-different allows 0.1%", "GET /cart/{id}", "$.cart.total, $.cart.rebate", "178.25", "failures/1.pcapng -- ./shop-2.4.0",
		`<mark>178.25</mark>`, "57 equal lines", "POST /checkout", "default: header date", "order of $.items", "before-join", "statsd.shop.internal",
		"198.51.100.77:50122", "unanswered", "not-captured 4", "1.57× production's", "Whole answer: share", "Verdicts, each",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in the page", want)
		}
	}
	if n := strings.Count(text, "<svg"); n != 5 {
		t.Errorf("%d plots", n)
	}
	// Each colour of a plot is one of the page's.
	if m := regexp.MustCompile(`(fill|stroke):#\w+`).FindString(text); m != "" {
		t.Errorf("a plot has a colour of its own: %s", m)
	}
}

func TestTone(t *testing.T) {
	for _, tt := range []struct {
		class, badge string
		edit         func(*Result)
	}{
		{"good", "matches", func(*Result) {}},
		{"bad", "differs", func(r *Result) { r.Answers.Different, r.ExitCode = 1, 1 }},
		{"unsure", "differs within limits", func(r *Result) { r.Answers.Different = 1 }},
		{"bad", "failed", func(r *Result) { r.Failed = []string{"too slow"} }},
		{"unsure", "nothing compared", func(r *Result) { r.Answers = Answers{} }},
		{"unsure", "incomplete", func(r *Result) { r.ClientBytes.Shed = 1 }},
		{"bad", "application failed", func(r *Result) { r.Ended = EndedNoListener }},
		{"bad", "do not trust", func(r *Result) { r.Defects = []string{"x"} }},
	} {
		r := quiet()
		tt.edit(r)
		if class, badge := tone(r); class != tt.class || badge != tt.badge {
			t.Errorf("%s, %s; want %s, %s", class, badge, tt.class, tt.badge)
		}
	}
}

// Figures at their limits are drawn, too.
func TestOddPlots(t *testing.T) {
	day := Milliseconds(24 * time.Hour)
	for name, curve := range map[string][]CurvePoint{
		"one": {{Milliseconds(time.Millisecond), 1}}, "nought": {{0, 0.5}, {0, 1}}, "wide": {{0, 0}, {day, 1}}, "same": {{day, 0.1}, {day, 1}},
	} {
		if _, err := drawn(distributionPlot(map[string][]CurvePoint{"production": curve}), wide, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, s := range map[string]Series{
		"none":  {Step: Seconds(time.Second), Points: make([]SeriesPoint, 3)},
		"short": {Step: 1, Points: []SeriesPoint{{Answers: Answers{Compared: 1, Identical: 1}}, {}}},
		"long":  {Step: Seconds(24 * time.Hour), Points: make([]SeriesPoint, 600)},
		"large": {Step: Seconds(time.Second), Points: []SeriesPoint{{Answers: Answers{Compared: math.MaxInt64, Missing: math.MaxInt64}, Application: day}, {Production: 1}}},
	} {
		for _, p := range []*plot.Plot{s.ratePlot(), s.meanPlot(), s.verdictPlot()} {
			svg, err := drawn(p, narrow, name)
			if err != nil || strings.Contains(string(svg), "NaN") || strings.Contains(string(svg), "Inf") || len(svg) > 200_000 {
				t.Errorf("%s: %v, %d bytes", name, err, len(svg))
			}
		}
	}
}

func TestTicks(t *testing.T) {
	labels := func(ticks []plot.Tick) string {
		var words []string
		for _, t := range ticks {
			if t.Label != "" {
				words = append(words, t.Label)
			}
		}
		return strings.Join(words, ", ")
	}
	for _, tt := range [][2]string{
		{labels(timeTicks(0.0008, 0.012)), "1 ms, 2 ms, 5 ms, 10 ms"},
		{labels(timeTicks(0.000001, 3)), "1 µs, 10 µs, 100 µs, 1 ms, 10 ms, 100 ms, 1 s"},
		{labels(timeTicks(0.0021, 0.0044)), "3 ms, 4 ms"},
		{labels(clockTicks(0, 300)), "0, 1 min, 2 min, 3 min, 4 min, 5 min"},
		{labels(clockTicks(0, 8)), "0, 2 s, 4 s, 6 s, 8 s"},
		{labels(clockTicks(0, 0.9)), "0, 0.2 s, 0.4 s, 0.6 s, 0.8 s"},
		{labels(clockTicks(0, 86400)), "0, 4 h, 8 h, 12 h, 16 h, 20 h, 24 h"},
		{labels(evenTicks(rateLabel).Ticks(0, 260)), "0/s, 50/s, 100/s, 150/s, 200/s, 250/s"},
		{labels(evenTicks(rateLabel).Ticks(0, 1.1)), "0/s, 0.2/s, 0.4/s, 0.6/s, 0.8/s, 1/s"},
		{labels(evenTicks(shortTime).Ticks(0, 0.0216)), "0 µs, 5 ms, 10 ms, 15 ms, 20 ms"},
	} {
		if tt[0] != tt[1] {
			t.Errorf("%s, want %s", tt[0], tt[1])
		}
	}
}
