package tui

// What a session has come to, in one sentence:
//
//	headline    what happened and why, and how bad that is
//	ended       of a session that is over; live of one that is not
//	differs     what is wrong with its answers

import (
	"fmt"
	"strings"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
	"tcpsandbox/session"
)

// mood is how bad news is.
type mood uint8

const (
	moodPlain mood = iota
	moodGood
	moodWarn
	moodBad
)

// headline says in one sentence what happened in a session, and why, as of now.
// It holds foreign text.
func headline(s *Story, now time.Time) (string, mood) {
	said, m := live(s, now)
	if s.State != "" && s.Application != replay.Unplayed {
		said, m = ended(s)
	}
	if wrong := differs(s); wrong != "" && s.State == "finished" {
		said, m = wrong, moodWarn
	} else if wrong != "" {
		said, m = said+"; "+wrong, max(m, moodWarn)
	}
	if s.State == "finished" {
		said += lostWords(s, "could not be played")
	}
	return said, m
}

// ended is of a session that is over, but for what differs.
func ended(s *Story) (string, mood) {
	because := ""
	if s.Failure != "" {
		because = " (" + s.Failure + ")"
	}
	never := lostWords(s, "never arrived")
	switch s.State {
	case "finished":
		n, not := comparedAnswers(s), s.Answers[compare.Uncompared]
		switch {
		case n == 0 && not > 0:
			return fmt.Sprintf("finished: %s not compared", howMany(not, "answer")), moodPlain
		case n == 0:
			return "finished: no answer to compare", moodPlain
		case not > 0:
			return fmt.Sprintf("finished: %d of %d answers compared, as production's", n, n+not), moodPlain
		case n == 1:
			return "finished: the answer is as production's" + late(s), moodGood
		default:
			return fmt.Sprintf("finished: all %d answers are as production's", n) + late(s), moodGood
		}
	case "filtered":
		return "left out on purpose", moodPlain
	case "skipped":
		return "not played: " + whyNotPlayed(s), moodPlain
	case "refused":
		if s.Proto == session.UDP {
			return "failed: nobody in the application takes datagrams on port " + fmt.Sprint(s.Server.Port()) + never, moodBad
		}
		return "failed: the application refused the connection" + because + never, moodBad
	case "reset":
		return "failed: the application reset the connection" + afterAnswers(s) + never, moodBad
	case "closed-early":
		return "failed: the application closed the connection too early" + afterAnswers(s) + never, moodBad
	case "unanswered":
		return "failed: the application left " + unanswered(s) + " unanswered" + never, moodBad
	case "pending":
		return "failed: the run ended before all was played" + afterAnswers(s) + never, moodBad
	case "shed":
		return "failed: dropped over a limit (--max-memory, --max-cpu, the watchdog's)" + never, moodBad
	case "unsupported":
		return "failed: it cannot be replayed" + because + never, moodBad
	}
	return "failed: " + s.State + because + never, moodBad
}

// late tells of answers that were not waited for any more when they came.
func late(s *Story) string {
	n := 0
	for i := range s.Played {
		if p := &s.Played[i]; p.Released && p.Cause == replay.Timeout {
			n++
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return "; 1 was slower than --answer-timeout: the next request went out before it"
	}
	return fmt.Sprintf("; %d were slower than --answer-timeout: the next requests went out before them", n)
}

func whyNotPlayed(s *Story) string {
	switch {
	case s.Production == replay.ProductionOpening:
		return "production's server never accepted the connection"
	case s.Bytes[session.BeforeJoin] > 0:
		return "the capture began within it, and no message begins after that"
	case s.Captured == 0:
		return "the client sent nothing that was captured"
	}
	return "nothing in it could be"
}

// live is of a session under way, but for what differs.
func live(s *Story, now time.Time) (string, mood) {
	switch s.Application {
	case replay.Connecting:
		since := ""
		for _, m := range s.Marks {
			if m.What == replay.ClientOpens && m.At[replay.OfApplication] >= 0 {
				since = sinceWords(now, s.Began.Add(m.At[replay.OfApplication]))
			}
		}
		return "connecting: the application has not accepted" + since, moodPlain
	case replay.Failed:
		because := ""
		if s.Failure != "" {
			because = ": " + s.Failure
		}
		return "failing: the connection to the application is lost" + because, moodBad
	case replay.Unplayed:
		return fmt.Sprintf("captured: %s, %s from the client and %s from the server", howMany(int64(s.Requests), noun(s)),
			howMany(s.Captured, "byte"), howMany(s.Served, "byte")), moodPlain
	case replay.Closing:
		return "closing: the client has closed, the application has not yet", moodPlain
	case replay.Held, replay.Waiting:
		word := "held: "
		if s.Application == replay.Waiting {
			word = "waiting: "
		}
		why, m := holding(s, now)
		return word + why, m
	}
	if p := awaited(s); p != nil {
		return "open: all that was captured is played; awaits the answer to " + asking(p) + sinceWords(now, s.Began.Add(p.Sent)), moodPlain
	}
	return "open: all that was captured is played", moodPlain
}

// holding says why a session does not go on.
func holding(s *Story, now time.Time) (string, mood) {
	switch s.Held {
	case replay.ForStart:
		return "for the application, which does not listen yet", moodPlain
	case replay.ForPause:
		return "the run is paused", moodPlain
	case replay.ForTime:
		if d := s.Due.Sub(now); !now.IsZero() && d > 0 {
			return "the next chunk is due in " + shortTime(d), moodPlain
		}
		return "the next chunk is not due yet", moodPlain
	case replay.ForAnswer:
		p := awaited(s)
		if p == nil {
			return "waits for the application to answer", moodWarn
		}
		part := "waits for the application's answer to "
		if p.First[replay.OfApplication] >= 0 {
			part = "waits for the rest of the application's answer to "
		}
		return part + asking(p) + sinceWords(now, s.Began.Add(p.Sent)), moodWarn
	case replay.ForClose:
		return "waits for the application to close, as production's server did", moodWarn
	case replay.ForRoom:
		return "the application does not read what it was sent", moodWarn
	case replay.ForPort:
		return "for the end of the client's earlier connection, from the same port", moodPlain
	case replay.ForMessage:
		return "the capture began within it, and no message has begun since", moodPlain
	case replay.ForAccept:
		return "production's server has not accepted the connection", moodPlain
	}
	return "nothing to be played yet", moodPlain
}

// awaited returns the oldest exchange that the application was asked and has not
// answered to the end; nil: there is none.
func awaited(s *Story) *replay.Played {
	for i := range s.Played {
		if p := &s.Played[i]; !p.Judged && p.Sent >= 0 && p.Whole[replay.OfApplication] < 0 {
			return p
		}
	}
	return nil
}

// asking names a request in a sentence.
func asking(p *replay.Played) string {
	name := p.Label
	if p.HTTP {
		name, _, _ = strings.Cut(name, " HTTP/")
	}
	return name
}

// differs says what is wrong with the answers, or how the connection ended; "":
// nothing is, or the state says it.
func differs(s *Story) string {
	n := comparedAnswers(s)
	different, missing := s.Answers[compare.Different], s.Answers[compare.Missing]
	var words []string
	if different > 0 {
		said := fmt.Sprintf("differs in %d of %s", different, howMany(n, "answer"))
		if s.Place != "" {
			said += ": " + s.Place
		}
		words = append(words, said)
	}
	switch {
	case missing == 0 || s.State == "unanswered":
	case different > 0:
		words = append(words, fmt.Sprintf("%d missing", missing))
	default:
		words = append(words, fmt.Sprintf("%d of %s missing", missing, howMany(n, "answer")))
	}
	if different+missing == 0 && s.Verdict == compare.Different {
		words = append(words, endedOtherwise(s.Place))
	}
	if n := reconnected(s); n > 0 {
		words = append(words, "the application ended the connection early, and was connected to again")
		if n > 1 {
			words[len(words)-1] += fmt.Sprintf(", %d times", n)
		}
	}
	return strings.Join(words, ", ")
}

// endedOtherwise says how the application ended the connection, if that is all
// that differs; place is one of compare.Close.
func endedOtherwise(place string) string {
	said := "differs in how the connection ended"
	switch place {
	case "close early":
		said += ": the application closed before the client"
	case "close late":
		said += ": the application closed only when the client had"
	case "close missing":
		said += ": the application kept it open"
	case "close reset":
		said += ": the application reset it"
	case "close not reset":
		said += ": production reset it, the application did not"
	}
	return said
}

// reconnected is how often the session went on over a new connection.
func reconnected(s *Story) (n int) {
	for i := range s.Marks {
		if s.Marks[i].What == replay.Reconnects {
			n++
		}
	}
	return n
}

// comparedAnswers is how many answers have a verdict.
func comparedAnswers(s *Story) (n int64) {
	for v, count := range s.Answers {
		if compare.Verdict(v) != compare.Uncompared {
			n += count
		}
	}
	return n
}

// afterAnswers says how far a session came.
func afterAnswers(s *Story) string {
	answered := s.Answers[compare.Identical] + s.Answers[compare.Equivalent] + s.Answers[compare.Different]
	if s.Requests == 0 {
		return ""
	}
	return fmt.Sprintf(" after answering %d of %s", answered, howMany(int64(max(s.Requests, int(answered))), noun(s)))
}

// unanswered says what was not answered.
func unanswered(s *Story) string {
	n := s.Answers[compare.Missing]
	said := fmt.Sprintf("%d of %s", n, howMany(max(comparedAnswers(s), n), noun(s)))
	for i := range s.Played {
		if p := &s.Played[i]; n == 1 && p.Judged && p.Verdict == compare.Missing {
			return said + ", " + asking(p) + ","
		}
	}
	return said
}

// noun is what a session's client sends.
func noun(s *Story) string {
	switch {
	case s.Proto == session.UDP:
		return "datagram"
	case len(s.Played) > 0 && !s.Played[0].HTTP && s.Production != replay.ProductionUnknown:
		return "turn" // of a report nobody knows
	}
	return "request"
}

// lostWords says how many client bytes did not reach the application, and how
// many are not even known.
func lostWords(s *Story, what string) (words string) {
	if n := s.Bytes.Sum() - s.Bytes[session.Delivered] - s.Bytes[session.Filtered]; n > 0 && s.State != "" {
		words = ", " + howMany(n, "byte") + " " + what
	}
	if s.Missing > 0 {
		words += ", " + howMany(s.Missing, "byte") + " not captured"
	}
	return words
}

// sinceWords is empty where it is not known.
func sinceWords(now, then time.Time) string {
	if d := now.Sub(then); !now.IsZero() && !then.IsZero() && d > 0 {
		return " for " + shortTime(d)
	}
	return ""
}

// howMany writes a number with its noun, which takes an s unless it is one.
func howMany(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return grouped(n) + " " + noun + "s"
}
