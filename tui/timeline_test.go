package tui

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
)

const (
	never = replay.Never
	milli = time.Millisecond
)

// at is a time on both sides, in milliseconds; -1: never.
func at(production, application time.Duration) [2]time.Duration {
	out := [2]time.Duration{production * milli, application * milli}
	for i := range out {
		if out[i] < 0 {
			out[i] = never
		}
	}
	return out
}

// asked is an exchange that was asked and answered on both sides.
func asked(number int, label string, request, answer [2]time.Duration) replay.Played {
	return replay.Played{
		Number: number, Label: label, Asked: request[0], Sent: request[1], First: answer, Whole: answer,
		RequestLen: 40, AnswerLen: [2]int64{100, 100}, Judged: true, Verdict: compare.Identical,
	}
}

// written is a timeline as text: production's time, the application's, and what.
func written(rows []moment) string {
	clock := func(d time.Duration) string {
		if d < 0 {
			return "–"
		}
		return fmt.Sprint(d.Milliseconds())
	}
	var b strings.Builder
	for i := range rows {
		m := &rows[i]
		var what string
		switch m.kind {
		case momentMark:
			what = m.mark.String()
		case momentRequest:
			what = "ask " + m.played.Label
		case momentAnswer:
			what = "answer " + m.played.Label
		case momentOmitted:
			what = fmt.Sprintf("%d omitted", m.omitted)
		}
		if m.oneSided {
			what += " (one side)"
		}
		if m.notable() {
			what += " !"
		}
		fmt.Fprintf(&b, "%s %s %c %s\n", clock(m.at[0]), clock(m.at[1]), m.way, what)
	}
	return b.String()
}

func TestTimeline(t *testing.T) {
	opened := []replay.Mark{
		{What: replay.ClientOpens, At: at(0, 0)},
		{What: replay.ServerAccepts, At: at(1, 2)},
	}
	marks := func(more ...replay.Mark) []replay.Mark { return append(opened[:2:2], more...) }
	different := asked(1, "b", at(20, 21), at(30, 33))
	different.Verdict = compare.Different
	missing := asked(0, "a", at(5, 6), at(9, -1))
	missing.Verdict, missing.AnswerLen[1], missing.Whole[1] = compare.Missing, 0, never

	tests := []struct {
		name  string
		story replay.Story
		want  string
	}{
		{"empty", replay.Story{}, ""},
		{"whole session", replay.Story{
			View:   replay.View{State: "finished", Production: replay.ProductionClosed},
			Marks:  marks(replay.Mark{What: replay.ServerCloses, At: at(40, 45)}, replay.Mark{What: replay.ClientCloses, At: at(40, 44)}),
			Played: []replay.Played{asked(0, "a", at(5, 6), at(9, 8)), different},
		}, `
			0 0 → client opens
			1 2 ← server accepts
			5 6 → ask a
			9 8 ← answer a
			20 21 → ask b
			30 33 ← answer b !
			40 45 ← server closes
			40 44 → client closes
		`},
		{"same moment: opened before asked before closed", replay.Story{
			Marks: []replay.Mark{
				{What: replay.ClientCloses, At: at(0, -1)}, {What: replay.ClientOpens, At: at(0, -1)}, {What: replay.ServerAccepts, At: at(0, -1)},
			},
			Played: []replay.Played{asked(0, "a", at(0, -1), at(0, -1))},
		}, `
			0 – → client opens
			0 – ← server accepts
			0 – → ask a
			0 – ← answer a
			0 – → client closes
		`},
		{"the application resets", replay.Story{
			View: replay.View{State: "reset", Production: replay.ProductionClosed},
			Marks: marks(
				replay.Mark{What: replay.ClientCloses, At: at(50, -1)}, replay.Mark{What: replay.ServerCloses, At: at(51, -1)},
				replay.Mark{What: replay.ServerResets, At: at(-1, 7)},
			),
			Played: []replay.Played{missing},
		}, `
			0 0 → client opens
			1 2 ← server accepts
			5 6 → ask a
			– 7 ← server resets (one side) !
			9 – ← answer a !
			50 – → client closes
			51 – ← server closes
		`},
		{"the application closes first, and production is live", replay.Story{
			View:  replay.View{Production: replay.ProductionOpen},
			Marks: marks(replay.Mark{What: replay.ServerCloses, At: at(-1, 3)}),
		}, `
			0 0 → client opens
			1 2 ← server accepts
			– 3 ← server closes
		`},
		{"refused", replay.Story{
			View:  replay.View{State: "refused", Production: replay.ProductionClosed},
			Marks: []replay.Mark{{What: replay.ClientOpens, At: at(0, 0)}, {What: replay.ServerAccepts, At: at(1, -1)}},
		}, `
			0 0 → client opens
			1 – ← server accepts (one side) !
		`},
		{"left out", replay.Story{
			View:  replay.View{State: "filtered", Production: replay.ProductionReset},
			Marks: []replay.Mark{{What: replay.ServerAccepts, At: at(1, -1)}, {What: replay.ServerResets, At: at(2, -1)}},
		}, `
			1 – ← server accepts
			2 – ← server resets
		`},
		{"asap: a minute of production's is a moment of the application's", replay.Story{
			View:  replay.View{State: "closed-early", Production: replay.ProductionClosed},
			Marks: marks(replay.Mark{What: replay.ServerCloses, At: at(-1, 5)}, replay.Mark{What: replay.ClientCloses, At: at(60_000, 6)}),
			Played: []replay.Played{
				asked(0, "a", at(100, 2), at(110, 3)), asked(1, "b", at(30_000, 3), at(30_100, 4)), asked(2, "c", at(59_000, -1), at(59_100, -1)),
			},
		}, `
			0 0 → client opens
			1 2 ← server accepts
			100 2 → ask a
			110 3 ← answer a
			30000 3 → ask b
			30100 4 ← answer b
			– 5 ← server closes (one side) !
			59000 – → ask c
			59100 – ← answer c
			60000 6 → client closes
		`},
		{"joined: no beginning, and an answer before", replay.Story{
			View:   replay.View{Joined: true, Production: replay.ProductionOpen},
			Marks:  []replay.Mark{{What: replay.ClientOpens, At: at(-1, 0)}, {What: replay.ServerAccepts, At: at(-1, 1)}},
			Played: []replay.Played{asked(0, "a", at(500, 2), at(510, 9))},
		}, `
			– 0 → client opens
			– 1 ← server accepts
			500 2 → ask a
			510 9 ← answer a
		`},
		{"reconnect", replay.Story{
			View: replay.View{State: "finished", Production: replay.ProductionClosed},
			Marks: marks(
				replay.Mark{What: replay.ServerCloses, At: at(30, 12)}, replay.Mark{What: replay.Reconnects, At: at(-1, 20)},
				replay.Mark{What: replay.ClientOpens, At: at(-1, 20)}, replay.Mark{What: replay.ServerAccepts, At: at(-1, 21)},
			),
			Played: []replay.Played{asked(0, "a", at(5, 6), at(9, 10)), asked(1, "b", at(20, 22), at(25, 24))},
		}, `
			0 0 → client opens
			1 2 ← server accepts
			5 6 → ask a
			9 10 ← answer a
			– 20   reconnected !
			– 20 → client opens
			– 21 ← server accepts
			20 22 → ask b
			25 24 ← answer b
			30 12 ← server closes
		`},
		{"hole and shed", replay.Story{
			Marks: marks(replay.Mark{What: replay.Hole, At: at(12, -1), Bytes: 78}, replay.Mark{What: replay.Sheds, At: at(-1, 30)}),
		}, `
			0 0 → client opens
			1 2 ← server accepts
			– 30   shed !
			12 – → not captured !
		`},
		{"UDP: an answer that production did not give, and one that nobody asked for", replay.Story{
			Played: []replay.Played{
				asked(0, "answer 1", at(0, 1), at(4, 3)),
				{Number: 1, Label: "answer 2", Asked: never, Sent: never, First: at(5, -1), AnswerLen: [2]int64{9, 9}, Judged: true},
				{
					Number: 2, Label: "answer 3", Asked: never, Sent: 1 * milli, First: at(-1, 7), AnswerLen: [2]int64{0, 9},
					Judged: true, Verdict: compare.Different, Extra: true,
				},
			},
		}, `
			0 1 → ask answer 1
			4 3 ← answer answer 1
			– 7 ← answer answer 3 !
			5 – ← answer answer 2
		`},
		{"exchanges that are not kept", replay.Story{
			Omitted: 14,
			Played: []replay.Played{
				asked(2, "c", at(5, 6), at(9, 8)), asked(3, "d", at(20, 26), at(29, 28)), asked(14, "o", at(70, 76), at(79, 78)),
			},
		}, `
			– –   2 omitted
			5 6 → ask c
			9 8 ← answer c
			20 26 → ask d
			29 28 ← answer d
			– –   10 omitted
			70 76 → ask o
			79 78 ← answer o
			– –   2 omitted
		`},
		{"live: one awaited, one to come", replay.Story{
			Played: []replay.Played{
				{Number: 0, Label: "a", Asked: 5 * milli, Sent: 6 * milli, First: at(-1, -1), RequestLen: 9},
				{Number: 1, Label: "b", Asked: 50 * milli, Sent: never, First: at(-1, -1), RequestLen: 9},
			},
		}, `
			5 6 → ask a
			– – ← answer a
			50 – → ask b
		`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := strings.ReplaceAll(strings.TrimSpace(tt.want), "\t", "") + "\n"
			if got := written(timeline(&Story{Story: tt.story})); got != want && got+"\n" != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

// Whatever a story holds, its timeline has each row once, with what production
// has in production's order, and an exchange's request before its answer where
// production's clock does not say otherwise.
func TestTimelineHoldsAll(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		some := func() time.Duration { return time.Duration(r.IntN(40)-8) * milli / 2 }
		clock := func() time.Duration {
			if d := some(); d >= 0 {
				return d
			}
			return never
		}
		s := &Story{Story: replay.Story{Omitted: r.IntN(9)}}
		s.State = []string{"", "finished", "reset"}[r.IntN(3)]
		for range r.IntN(12) {
			s.Marks = append(s.Marks, replay.Mark{What: replay.What(r.IntN(int(replay.Sheds) + 1)), At: [2]time.Duration{clock(), clock()}})
		}
		for number := 0; len(s.Played) < 12; number += 1 + r.IntN(2)*r.IntN(3) {
			s.Played = append(s.Played, replay.Played{
				Number: number, Asked: clock(), Sent: clock(), First: [2]time.Duration{clock(), clock()},
				RequestLen: r.Int64N(3), AnswerLen: [2]int64{r.Int64N(2), r.Int64N(2)}, Judged: r.IntN(2) == 0,
			})
		}
		rows := timeline(s)
		seen := map[momentKey]bool{}
		latest := never
		requests := map[int]int{}
		for i := range rows {
			m := &rows[i]
			if seen[m.key()] {
				t.Fatalf("seed %d: twice the same row: %+v\n%s", seed, m, written(rows))
			}
			seen[m.key()] = true
			if p := m.at[0]; p >= 0 {
				if p < latest {
					t.Fatalf("seed %d: not in production's order:\n%s", seed, written(rows))
				}
				latest = p
			}
			switch m.kind {
			case momentRequest:
				requests[m.played.Number] = i
			case momentAnswer:
				if _, is := requests[m.played.Number]; !is && m.at == [2]time.Duration{never, never} && m.played.RequestLen > 0 {
					t.Fatalf("seed %d: an answer without a time is before its request:\n%s", seed, written(rows))
				}
			}
		}
		for i := range s.Played {
			p := &s.Played[i]
			if (p.RequestLen > 0 || p.Asked >= 0 || p.Sent >= 0) && !seen[momentKey{kind: momentRequest, number: p.Number}] {
				t.Fatalf("seed %d: request %d is lacking", seed, p.Number)
			}
			if (p.Judged || p.First != [2]time.Duration{never, never}) && !seen[momentKey{kind: momentAnswer, number: p.Number}] {
				t.Fatalf("seed %d: answer %d is lacking", seed, p.Number)
			}
		}
		if marks := len(s.Marks); marks > 0 {
			n := 0
			for k := range seen {
				if k.kind == momentMark {
					n++
				}
			}
			if n != marks {
				t.Fatalf("seed %d: %d marks of %d", seed, n, marks)
			}
		}
	}
}
