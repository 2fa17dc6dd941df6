package main

import (
	"testing"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
	"tcpsandbox/session"
)

// What a baseline leaves unanswered when it is dead, or about to be, is not
// judged.
func TestBaselineIsJudgedWhileItLives(t *testing.T) {
	whole, part := &compare.Answer{Complete: true}, &compare.Answer{}
	for _, tt := range []struct {
		name           string
		x              compare.Exchange
		lives, listens bool
		judged         bool
	}{
		{"it answers", compare.Exchange{Application: whole}, true, true, true},
		{"it does not", compare.Exchange{}, true, true, true},
		{"it breaks off", compare.Exchange{Application: part}, true, true, true},
		{"it answered before it died", compare.Exchange{Application: whole}, true, false, true},
		{"it broke off when it died", compare.Exchange{Application: part}, true, false, false},
		{"it did not answer when it died", compare.Exchange{}, true, false, false},
		{"it is known to be dead", compare.Exchange{}, false, false, false},
		{"nothing is to be judged", compare.Exchange{Why: compare.InGap}, true, false, true},
	} {
		b := baseline{listens: func() bool { return tt.listens }}
		b.lives.Store(tt.lives)
		judged := false
		judge := b.whileItLives(func(*compare.Exchange) compare.Outcome {
			judged = true
			return compare.Outcome{Verdict: compare.Missing}
		})
		if got := judge(&tt.x); judged != tt.judged || judged != (got.Verdict == compare.Missing) {
			t.Errorf("%s: judged is %v, the verdict %v", tt.name, judged, got.Verdict)
		}
	}
}

// A connection may break a moment before the listening socket does. To wait for
// that is bounded: a baseline that leaves much unanswered would hold all up.
func TestBaselineIsWaitedFor(t *testing.T) {
	asked := 0
	b := baseline{listens: func() bool { asked++; return asked < 5 }}
	if !b.ends() {
		t.Error("its end was not noticed")
	}
	asked = -1000
	for range 3 {
		if b.ends() {
			t.Error("it has not ended")
		}
	}
	if asked > -1000+30 {
		t.Errorf("the kernel was asked %d times", asked+1000)
	}
}

// What could not have been delivered to anyone is no loss of the baseline's.
func TestLostOnTheWay(t *testing.T) {
	for fate, lost := range map[session.Fate]bool{
		session.Delivered: false, session.InGap: false, session.BeforeJoin: false, session.Filtered: false, session.Unsupported: false,
		session.Pending: true, session.Refused: true, session.ClosedEarly: true, session.Shed: true,
	} {
		var r replay.Result
		r.Bytes[fate] = 7
		if got := lostOnTheWay(&r); (got == 7) != lost {
			t.Errorf("%v: %d bytes", fate, got)
		}
	}
}
