package tui

import (
	"strings"
	"testing"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
	"tcpsandbox/report"
)

// on tells what is under the cursor.
func (d *detail) on() string {
	if d.at >= len(d.rows) {
		return "nothing"
	}
	return strings.TrimSpace(written(d.rows[d.at : d.at+1]))
}

// The cursor begins where a reader wants to look.
func TestDetailBegins(t *testing.T) {
	fine := failedStory()
	fine.State, fine.Marks, fine.Played = "finished", opened(), fine.Played[:1]
	live := heldStory()
	live.Played, live.Omitted = live.Played[:1], 0
	live.Played[0].Number = 0
	for name, tt := range map[string]struct {
		story *Story
		want  string
	}{
		"where it failed":                {failedStory(), "142 60 ← answer GET /cart?id=7 HTTP/1.1 !"},
		"at the answer that is awaited":  {heldStory(), "3150 – ← answer GET /cart HTTP/1.1"},
		"at the top of what went well":   {fine, "0 0 → client opens"},
		"at the end of what is going on": {live, "35 24 ← answer GET /login HTTP/1.1"},
		"nowhere":                        {nil, "nothing"},
	} {
		d := &detail{}
		d.set(tt.story, began)
		if got := d.on(); got != tt.want {
			t.Errorf("%s: it begins at %q, want %q", name, got, tt.want)
		}
	}
}

// While a session grows the cursor stays on its row, or at the end.
func TestDetailFollows(t *testing.T) {
	story := func(exchanges, lost int) *Story {
		s := &Story{}
		s.Slot, s.Production, s.Application = 1, replay.ProductionOpen, replay.Open
		s.Marks = opened()
		s.Omitted = lost
		for i := lost; i < exchanges; i++ {
			p := asked(i, "turn", at(time.Duration(100*i), time.Duration(100*i)), at(time.Duration(100*i+9), time.Duration(100*i+9)))
			s.Played = append(s.Played, p)
		}
		return s
	}
	d := &detail{}
	d.set(story(3, 0), began)
	d.set(story(9, 0), began)
	if number, _ := d.selectedExchange(); number != 8 {
		t.Errorf("it does not follow: exchange %d", number)
	}
	d.move(-3)
	number, _ := d.selectedExchange()
	row := d.on()
	d.set(story(20, 0), began)
	if got := d.on(); got != row {
		t.Errorf("it was on %q and is on %q", row, got)
	}
	// Of exchanges that are not kept any more it goes to the nearest.
	d.set(story(30, number+5), began)
	if got, ok := d.selectedExchange(); ok && got != number+5 {
		t.Errorf("it was on exchange %d and is on %d", number, got)
	}
	// A session without anything, and one with, again.
	d.set(&Story{}, began)
	d.set(story(3, 0), began)
	d.set(nil, began)
	d.move(1)
	d.last()
	if _, ok := d.selectedExchange(); ok {
		t.Error("an exchange of nothing is selected")
	}
}

func TestDetailMoves(t *testing.T) {
	d := &detail{}
	d.set(failedStory(), began)
	drawPanel(t, d, 80, 19)
	d.home()
	var bad []string
	for d.nextDifference(1) {
		bad = append(bad, d.on())
	}
	want := "142 60 ← answer GET /cart?id=7 HTTP/1.1 !, – 61 ← server resets (one side) !, 340 – ← answer POST /order HTTP/1.1 !"
	if got := strings.Join(bad, ", "); got != want {
		t.Errorf("differences are\n%s, want\n%s", got, want)
	}
	if !d.nextDifference(-1) || d.on() != bad[1] {
		t.Errorf("the one before is %q", d.on())
	}
	// A click chooses what is drawn there.
	lines := drawPanel(t, d, 80, 19)
	for y, line := range lines {
		if strings.Contains(line, "GET /login") {
			if !d.click(y) {
				t.Fatalf("line %d is no row", y)
			}
			if p := d.selected(); p == nil || p.Label != "GET /login HTTP/1.1" {
				t.Errorf("a click on %q chose %q", line, d.on())
			}
			break
		}
	}
	if d.click(0) || d.click(-1) || d.click(99) {
		t.Error("a click beside the timeline chose something")
	}
	// Without facts there are more rows.
	before := d.height
	d.toggleFacts()
	drawPanel(t, d, 80, 19)
	if d.height <= before {
		t.Errorf("%d rows with facts and %d without", before, d.height)
	}
	if p := d.played(2); p == nil || p.Label != "POST /order HTTP/1.1" || d.played(7) != nil {
		t.Errorf("exchange 2 is %v", p)
	}
}

// Whatever the size, half of what the head leaves is the timeline's.
func TestDetailGivesTheTimelineHalf(t *testing.T) {
	s := heldStory()
	for range 40 {
		s.Facts = append(s.Facts, [3]string{"fact", "1", "2"})
	}
	for i := range 100 {
		s.Played = append(s.Played, request(20+i, "GET / HTTP/1.1", 4000, -1, replay.Exact))
	}
	for height := 8; height < 60; height++ {
		for _, cells := range []int{40, 80, 200} {
			d := &detail{}
			d.set(s, began)
			drawPanel(t, d, cells, height)
			if head := len(head(s, began, cells, height, &styles{})); 2*(d.height+1) < height-head {
				t.Errorf("%dx%d: the timeline has %d lines of %d", cells, height, d.height, height-head)
			}
		}
	}
}

func TestAnswersJump(t *testing.T) {
	failed := failedStory()
	far := jsonDiffers()
	far.Production.Text += strings.Repeat("equal\n", 100) + strings.Repeat("x", 300) + " a\n"
	far.Application.Text += strings.Repeat("equal\n", 100) + strings.Repeat("x", 300) + " b\n"
	for _, mode := range []exchangeMode{modeSides, modeUnified} {
		x := &answers{mode: mode}
		x.set(&failed.Played[1], far)
		drawPanel(t, x, 100, 12)
		marked := func() string {
			for _, l := range drawPanel(t, x, 100, 12) {
				if strings.HasPrefix(l, "▸") {
					return l
				}
			}
			return ""
		}
		for i, want := range []string{"Date:", "日本語", "total", " b"} {
			if !x.nextDifference(1) {
				t.Fatalf("%v: no difference %d", mode, i)
			}
			if got := marked(); !strings.Contains(got, want) && !(mode == modeUnified && strings.HasSuffix(strings.TrimRight(got, " "), " a")) {
				t.Errorf("%v: difference %d is at %q, want %q", mode, i, got, want)
			}
		}
		if x.left == 0 {
			t.Errorf("%v: what differs is right of the screen", mode)
		}
		if x.nextDifference(1) {
			t.Errorf("%v: there is one more", mode)
		}
		for i := range 3 {
			if !x.nextDifference(-1) {
				t.Errorf("%v: the way back ends after %d", mode, i)
			}
		}
		if got := marked(); !strings.Contains(got, "Date:") || x.nextDifference(-1) {
			t.Errorf("%v: the first one is %q", mode, got)
		}
		// The same texts, told anew, stay where they are; others begin at the top.
		x.last()
		at := x.top
		drawPanel(t, x, 100, 12)
		again := *far
		x.set(&failed.Played[1], &again)
		if drawPanel(t, x, 100, 12); x.top != at || at == 0 {
			t.Errorf("%v: at line %d, was %d", mode, x.top, at)
		}
		x.set(&failed.Played[2], missingAnswer())
		if drawPanel(t, x, 100, 12); x.top != 0 {
			t.Errorf("%v: another exchange begins at line %d", mode, x.top)
		}
	}
}

func TestAnswersSay(t *testing.T) {
	failed := failedStory()
	same := cart("1", "a")
	unjudged := request(4, "GET /slow HTTP/1.1", 1, 2, replay.Exact)
	for name, tt := range map[string]struct {
		played *replay.Played
		what   *Explanation
		want   []string
		not    string
	}{
		"the same": {&failed.Played[0], &Explanation{Verdict: compare.Identical, Production: same, Application: same}, []string{"= identical  GET /login", "both answers", `"total": 1`}, "the same on both"},
		"head the same": {&failed.Played[1], &Explanation{
			Verdict: compare.Different, Production: same, Application: cart("2", "a"),
		}, []string{"head: the same on both sides", `"total": 2`}, ""},
		"missing":                 {&failed.Played[2], missingAnswer(), []string{"∅ missing", "the application gave none"}, ""},
		"not here yet":            {&unjudged, &Explanation{Production: same}, []string{"not judged yet", "has not come yet"}, "identical"},
		"not known in production": {&failed.Played[1], &Explanation{Verdict: compare.Uncompared, Why: "not-captured", Application: same}, []string{"· uncompared", "not-captured", "production's is not known"}, ""},
		"cut":                     {&failed.Played[0], &Explanation{Production: &report.Body{Text: "a\n", Cut: true}, Application: &report.Body{Text: "a\n", Cut: true}}, []string{"… it goes on"}, ""},
		"nowhere":                 {&failed.Played[1], nil, []string{"not kept", "--max-memory", "--save-failures", "y copies"}, ""},
		"no request":              {nil, nil, []string{"No exchange is selected"}, "≠"},
		"beyond what is kept": {&failed.Played[1], &Explanation{
			Verdict: compare.Different, Production: same, Application: cart("2", "a"), Differences: []report.Difference{{Place: "bytes", Offset: 70000}},
		}, []string{"bytes: from byte 70,000 on"}, ""},
	} {
		x := &answers{}
		x.set(tt.played, tt.what)
		got := strings.Join(drawPanel(t, x, 100, 40), "\n")
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: it lacks %q:\n%s", name, want, got)
			}
		}
		if tt.not != "" && strings.Contains(got, tt.not) {
			t.Errorf("%s: it says %q:\n%s", name, tt.not, got)
		}
	}
	// Before the texts are here it does not say that they are not kept.
	x := &answers{}
	x.loading(&failed.Played[1])
	if got := strings.Join(drawPanel(t, x, 80, 19), "\n"); strings.Contains(got, "kept") || !strings.Contains(got, "GET /cart") {
		t.Errorf("while it waits it says:\n%s", got)
	}
}
