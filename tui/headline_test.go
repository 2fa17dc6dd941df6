package tui

import (
	"testing"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
	"tcpsandbox/session"
)

func TestHeadline(t *testing.T) {
	now := began.Add(10 * time.Second)
	of := func(change ...func(*Story)) *Story {
		s := &Story{}
		s.View = replay.View{Client: client, Server: server, Production: replay.ProductionClosed, Captured: 234, Requests: 3}
		s.Began = began
		s.Bytes[session.Delivered] = 234
		s.Played = []replay.Played{{Label: "GET /a HTTP/1.1", HTTP: true, Judged: true}}
		for _, c := range change {
			c(s)
		}
		return s
	}
	state := func(state string) func(*Story) {
		return func(s *Story) { s.State, s.Application = state, replay.Failed }
	}
	verdicts := func(identical, different, missing int64) func(*Story) {
		return func(s *Story) {
			s.Answers[compare.Identical], s.Answers[compare.Different], s.Answers[compare.Missing] = identical, different, missing
			switch {
			case missing > 0:
				s.Verdict = compare.Missing
			case different > 0:
				s.Verdict = compare.Different
			}
		}
	}
	lost := func(f session.Fate, n int64) func(*Story) {
		return func(s *Story) { s.Bytes[session.Delivered] -= n; s.Bytes[f] = n }
	}
	held := func(a replay.ApplicationState, why replay.Holding) func(*Story) {
		return func(s *Story) {
			s.Application, s.Held = a, why
			s.Played = append(s.Played, replay.Played{
				Label: "GET /cart HTTP/1.1", HTTP: true, Sent: 6800 * milli, First: at(-1, -1), Whole: at(-1, -1),
			})
		}
	}
	set := func(f func(*Story)) func(*Story) { return f }

	for _, tt := range []struct {
		story *Story
		want  string
		mood  mood
	}{
		{of(state("finished"), verdicts(7, 0, 0)), "finished: all 7 answers are as production's", moodGood},
		{of(state("finished"), verdicts(1, 0, 0)), "finished: the answer is as production's", moodGood},
		{of(state("finished"), verdicts(4, 0, 0), set(func(s *Story) { s.Played[0].Cause, s.Played[0].Released = replay.Timeout, true })),
			"finished: all 4 answers are as production's; 1 was slower than --answer-timeout: the next request went out before it", moodGood},
		{of(state("finished")), "finished: no answer to compare", moodPlain},
		{of(state("finished"), verdicts(7, 0, 0), lost(session.InGap, 1)), "finished: all 7 answers are as production's, 1 byte could not be played", moodGood},
		{of(state("finished"), verdicts(6, 1, 0), set(func(s *Story) { s.Place = "$.total" })), "differs in 1 of 7 answers: $.total", moodWarn},
		{of(state("finished"), verdicts(6, 0, 1)), "1 of 7 answers missing", moodWarn},
		{of(state("finished"), verdicts(7, 0, 0), set(func(s *Story) { s.Verdict = compare.Different })), "differs in how the connection ended", moodWarn},
		{of(state("finished"), verdicts(7, 0, 0), set(func(s *Story) { s.Verdict, s.Place = compare.Different, "close missing" })), "differs in how the connection ended: the application kept it open", moodWarn},
		{of(state("finished"), verdicts(7, 0, 0), set(func(s *Story) { s.Marks = []replay.Mark{{What: replay.Reconnects}} })), "the application ended the connection early, and was connected to again", moodWarn},
		{of(state("finished"), verdicts(1, 0, 2), set(func(s *Story) {
			s.Marks = []replay.Mark{{What: replay.Reconnects}, {What: replay.Reconnects}}
		})), "2 of 3 answers missing, the application ended the connection early, and was connected to again, 2 times", moodWarn},
		{of(state("finished"), verdicts(1, 0, 0), set(func(s *Story) { s.Answers[compare.Uncompared] = 2 })), "finished: 1 of 3 answers compared, as production's", moodPlain},
		{of(state("finished"), set(func(s *Story) { s.Answers[compare.Uncompared] = 2 })), "finished: 2 answers not compared", moodPlain},
		{
			of(state("reset"), verdicts(2, 0, 0), lost(session.Refused, 78)),
			"failed: the application reset the connection after answering 2 of 3 requests, 78 bytes never arrived", moodBad,
		},
		{
			of(state("closed-early"), verdicts(1, 1, 0), lost(session.ClosedEarly, 1234)),
			"failed: the application closed the connection too early after answering 2 of 3 requests, 1,234 bytes never arrived; differs in 1 of 2 answers", moodBad,
		},
		{of(state("refused"), set(func(s *Story) { s.Failure = "connection refused" })), "failed: the application refused the connection (connection refused)", moodBad},
		{of(state("refused"), set(func(s *Story) { s.Proto = session.UDP })), "failed: nobody in the application takes datagrams on port 80", moodBad},
		{of(state("unanswered"), verdicts(2, 0, 1), set(func(s *Story) {
			s.Played[0].Verdict = compare.Missing
		})), "failed: the application left 1 of 3 requests, GET /a, unanswered", moodBad},
		{of(state("reset"), verdicts(2, 0, 0), set(func(s *Story) { s.Played[0].HTTP = false })), "failed: the application reset the connection after answering 2 of 3 turns", moodBad},
		{of(state("reset"), verdicts(2, 0, 0), set(func(s *Story) {
			s.Played[0].HTTP, s.Production = false, replay.ProductionUnknown
		})), "failed: the application reset the connection after answering 2 of 3 requests", moodBad},
		{of(state("pending"), verdicts(2, 0, 0)), "failed: the run ended before all was played after answering 2 of 3 requests", moodBad},
		{of(state("shed"), lost(session.Shed, 9)), "failed: dropped over a limit (--max-memory, --max-cpu, the watchdog's), 9 bytes never arrived", moodBad},
		{of(state("unsupported"), set(func(s *Story) { s.Failure = "UDP" })), "failed: it cannot be replayed (UDP)", moodBad},
		{of(state("new-word")), "failed: new-word", moodBad},
		{of(state("filtered")), "left out on purpose", moodPlain},
		{of(state("skipped"), set(func(s *Story) { s.Production = replay.ProductionOpening })), "not played: production's server never accepted the connection", moodPlain},
		{of(state("skipped"), lost(session.BeforeJoin, 9)), "not played: the capture began within it, and no message begins after that", moodPlain},
		{of(state("skipped"), set(func(s *Story) { s.Captured = 0 })), "not played: the client sent nothing that was captured", moodPlain},

		{of(held(replay.Held, replay.ForAnswer)), "held: waits for the application's answer to GET /cart for 3.20 s", moodWarn},
		{of(held(replay.Held, replay.ForAnswer), set(func(s *Story) { s.Played[1].First[1] = 7000 * milli })), "held: waits for the rest of the application's answer to GET /cart for 3.20 s", moodWarn},
		{of(held(replay.Held, replay.ForAnswer), verdicts(1, 1, 0)), "held: waits for the application's answer to GET /cart for 3.20 s; differs in 1 of 2 answers", moodWarn},
		{of(held(replay.Held, replay.ForTime), set(func(s *Story) { s.Due = now.Add(1200 * milli) })), "held: the next chunk is due in 1.20 s", moodPlain},
		{of(held(replay.Held, replay.ForPause)), "held: the run is paused", moodPlain},
		{of(held(replay.Held, replay.ForClose)), "held: waits for the application to close, as production's server did", moodWarn},
		{of(held(replay.Held, replay.ForRoom)), "held: the application does not read what it was sent", moodWarn},
		{of(held(replay.Waiting, replay.ForStart)), "waiting: for the application, which does not listen yet", moodPlain},
		{of(held(replay.Waiting, replay.ForAccept)), "waiting: production's server has not accepted the connection", moodPlain},
		{of(held(replay.Waiting, replay.ForMessage)), "waiting: the capture began within it, and no message has begun since", moodPlain},
		{of(held(replay.Waiting, replay.ForPort)), "waiting: for the end of the client's earlier connection, from the same port", moodPlain},
		{of(held(replay.Open, replay.NotHeld)), "open: all that was captured is played; awaits the answer to GET /cart for 3.20 s", moodPlain},
		{of(set(func(s *Story) { s.Application = replay.Open })), "open: all that was captured is played", moodPlain},
		{of(set(func(s *Story) { s.Application = replay.Closing })), "closing: the client has closed, the application has not yet", moodPlain},
		{of(set(func(s *Story) {
			s.Application, s.Marks = replay.Connecting, []replay.Mark{{What: replay.ClientOpens, At: at(0, 9000)}}
		})), "connecting: the application has not accepted for 1.00 s", moodPlain},
		{of(state("skipped"), set(func(s *Story) { s.Application = replay.Unplayed })), "captured: 3 requests, 234 bytes from the client and 0 bytes from the server", moodPlain},
		{of(set(func(s *Story) { s.Application = replay.Unplayed })), "captured: 3 requests, 234 bytes from the client and 0 bytes from the server", moodPlain},
	} {
		if got, m := headline(tt.story, now); got != tt.want || m != tt.mood {
			t.Errorf("%s %v: %q (%d), want %q (%d)", tt.story.State, tt.story.Application, got, m, tt.want, tt.mood)
		}
	}
}
