package tui

import (
	"strings"
	"testing"
	"time"

	"tcpsandbox/replay"
)

// Of a capture that nobody plays nothing is said of an application.
func TestUnplayedTold(t *testing.T) {
	for _, unplayed := range []bool{false, true} {
		p := &replay.Played{Label: "GET / HTTP/1.1", HTTP: true, Asked: 1, Sent: replay.Never, First: [2]time.Duration{2, replay.Never}, Whole: [2]time.Duration{3, replay.Never}, RequestLen: 18, AnswerLen: [2]int64{40, 0}}
		s := &Story{Story: replay.Story{View: replay.View{State: "skipped", Application: replay.Ended}}}
		if unplayed {
			s.Application = replay.Unplayed
		}
		said := ""
		for _, row := range playedMoments(s, p) {
			told := row.answerTold
			if row.kind == momentRequest {
				told = row.requestTold
			}
			for _, part := range told(60, &styles{}) {
				said += part.text + " "
			}
		}
		if got := strings.Contains(said, "not sent") || strings.Contains(said, "to be asked"); got == unplayed {
			t.Errorf("unplayed %v: %q", unplayed, said)
		}
	}
}

// Of a capture that nobody plays the bytes are those that were captured.
func TestUnplayedBytes(t *testing.T) {
	r := &sessionRow{view: replay.View{Application: replay.Unplayed, Captured: 356, Served: 416, Delivered: -1, Answered: -1}}
	var now time.Time
	for c, want := range map[int]string{upColumn: "356", downColumn: "416"} {
		if got := columns[c].cell(r, now); got != want {
			t.Errorf("%s: %q, want %q", columns[c].title, got, want)
		}
	}
	if columns[upColumn].key(r, now) == columns[downColumn].key(r, now) {
		t.Error("the order does not tell 356 from 416")
	}
	r.view.Application, r.view.Delivered, r.view.Answered = replay.Open, 7, 8
	if up, down := columns[upColumn].cell(r, now), columns[downColumn].cell(r, now); up != "7" || down != "8" {
		t.Errorf("played: %s up, %s down", up, down)
	}
}

// What is left of a run, or was never played, is filtered as a run is.
func TestUnplayedFilter(t *testing.T) {
	views := shopRun().sessions[:2]
	views[0].Application = replay.Unplayed // of a capture
	views[1].Production = replay.ProductionUnknown
	var s sessions
	s.apply(views, epoch)
	for text, want := range map[string]string{
		"cart": "1", "nothing": "", "-nothing": "01", "state:closed": "0", "state:ended": "1", "-state:waiting": "01", "closed": "0", "finished": "01",
	} {
		if got := matching(t, &s, text); got != want {
			t.Errorf("%q shows %q, want %q", text, got, want)
		}
	}
}
