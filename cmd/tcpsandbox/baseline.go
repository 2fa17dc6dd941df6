package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
	"tcpsandbox/report"
	"tcpsandbox/session"
)

// baseline is the old version of the application, which --baseline runs beside
// the new one. It gets the same sessions at the same moment; where its answers
// differ from production's, so may the application's.
type baseline struct {
	stand
	lives   atomic.Bool // from when it listens until it is known to have ended
	listens func() bool // whether it listens still; the stand's, but for tests
	waiting sync.Mutex
	waited  time.Time // when its end was waited for
}

// shell returns what runs a command by the shell. SIGTERM goes to the shell as
// well as to what it started; it must wait for that (dash would not), since what
// its end leaves behind is killed. A trap is not inherited.
func shell(command string) []string { return []string{"/bin/sh", "-c", "trap : TERM; " + command} }

// start is the stand's, with errors that say which one it is.
func (b *baseline) start(ctx context.Context) error {
	if err := b.stand.start(ctx); err != nil {
		return &baselineError{err}
	}
	b.lives.Store(true)
	return nil
}

// baselineError is a baseline that did not come to listen.
type baselineError struct{ err error }

func (e *baselineError) Error() string { return "baseline: " + e.err.Error() }
func (e *baselineError) Unwrap() error { return e.err }

// whileItLives returns a Judge that passes on to next what the old version
// answered as long as it lived. What a dead one leaves unanswered is no noise.
// The end of a process is known some milliseconds after its connections broke,
// but its listening sockets go with them: where an answer lacks its end the kernel
// is asked for those, which takes 0.1 ms.
func (b *baseline) whileItLives(next compare.Judge) compare.Judge {
	return func(x *compare.Exchange) compare.Outcome {
		if !b.lives.Load() || unanswered(x) && b.ends() {
			return compare.Outcome{Verdict: compare.Uncompared}
		}
		return next(x)
	}
}

// ends reports whether it listens no more. The kernel closes what a process has
// open in no certain order, and on a busy machine it may be stopped in between, so
// now and then it is worth waiting for.
func (b *baseline) ends() bool {
	const often, long, look = 2 * time.Second, 20 * time.Millisecond, time.Millisecond // 1 % of the engine's time at most
	if !b.listens() {
		return true
	}
	b.waiting.Lock()
	defer b.waiting.Unlock()
	if time.Since(b.waited) < often {
		return false
	}
	for range long / look {
		time.Sleep(look)
		if !b.listens() {
			return true
		}
	}
	b.waited = time.Now()
	return false
}

// unanswered reports whether the answer did not come, or not to its end.
func unanswered(x *compare.Exchange) bool {
	return x.Why == compare.Compared && (x.Application == nil || !x.Application.Complete)
}

// watch warns when the old version ends, until stop is called; by then the
// warning was given, if there is one. The run goes on without it.
func (b *baseline) watch() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-b.exited():
		case <-quit:
			select {
			case <-b.exited():
			default:
				return
			}
		}
		b.lives.Store(false)
		b.warn(fmt.Sprintf("%s died during the replay: %s; only what it answered before tells what is noise", b.name, b.app.Load().Status()))
	}()
	return func() {
		close(quit)
		<-done
	}
}

// result is what the report has of it. It warns where less was played to it than
// was captured: noise may then be taken for a difference.
func (b *baseline) result() *report.Baseline {
	r := &report.Baseline{App: b.fared()}
	if lost := lostOnTheWay(b.played); lost > 0 && b.lives.Load() {
		b.warn(fmt.Sprintf("%s did not get %s of %s captured client bytes: what noise is in the answers to them is not known",
			b.name, number(lost), number(b.played.Captured)))
	}
	if n := b.net.Stats().Overrun; n > 0 {
		b.warn(fmt.Sprintf("%s of %s's datagrams came faster than they could be read: what noise is in them is not known", number(n), b.name))
	}
	if b.played.Bytes[session.Refused] > 0 {
		b.warnLoopback()
	}
	return r
}

// lostOnTheWay returns how many client bytes could have been delivered and were
// not.
func lostOnTheWay(r *replay.Result) int64 {
	l := &r.Bytes
	return l[session.Pending] + l[session.Refused] + l[session.ClosedEarly] + l[session.Shed]
}
