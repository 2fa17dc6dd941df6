package replay

import (
	"context"
	"sync"

	"tcpsandbox/session"
)

// Tee feeds the same sessions to several engines at the same moment. A session
// has one reader: that is the Tee, and each engine follows a record of its own
// under the same ID. The captured bytes are shared, and each engine counts its
// part of them as held.
//
//	t := replay.NewTee(replay.New(application), replay.New(old))
//	go t.Run(ctx)
//	t.Feed(batch)
//	t.Begin()
//	err := t.Drain(ctx)
//	… ctx ends, Run returns …
//	results := t.Finish()
//
// Who feeds must not outrun any of the engines, so what Active, Room and
// Pending tell is that of the slowest one. With one engine a Tee is that
// engine, and costs nothing.
type Tee struct {
	engines []*Engine

	mu    sync.Mutex // so that all engines meet the sessions in the same order, and choose the same addresses for their clients
	fans  map[*fan]struct{}
	batch [][]*session.Session // by engine; empty between two Feeds
}

// NewTee returns a Tee for engines that were fed nothing yet; there must be
// one at least. It starts nothing.
func NewTee(engines ...*Engine) *Tee {
	for _, e := range engines {
		e.sharers = int64(len(engines))
	}
	return &Tee{engines: engines, fans: map[*fan]struct{}{}, batch: make([][]*session.Session, len(engines))}
}

// Feed does what Engine.Feed does, for all engines.
func (t *Tee) Feed(batch []*session.Session) {
	if len(t.engines) == 1 {
		t.engines[0].Feed(batch)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range batch {
		f, met := s.Owner.(*fan)
		if !met {
			f = newFan(s, len(t.engines))
			t.fans[f] = struct{}{}
		}
		t.pass(f)
	}
	t.deliver()
}

// pass puts a session's copies into the batches.
func (t *Tee) pass(f *fan) {
	news, over := f.pass()
	for i, c := range news {
		t.batch[i] = append(t.batch[i], c)
	}
	if over {
		delete(t.fans, f)
	}
}

func (t *Tee) deliver() {
	for i, e := range t.engines {
		e.Feed(t.batch[i])
		clear(t.batch[i])
		t.batch[i] = t.batch[i][:0]
	}
}

// Begin lets the sessions of engines with Config.Hold be played, by all at
// once.
func (t *Tee) Begin() {
	for _, e := range t.engines {
		e.Begin()
	}
}

// Pause pauses all engines; see Engine.Pause.
func (t *Tee) Pause() {
	for _, e := range t.engines {
		e.Pause()
	}
}

// Resume resumes all engines; see Engine.Resume.
func (t *Tee) Resume() {
	for _, e := range t.engines {
		e.Resume()
	}
}

// Step lets all engines do the next thing of a session, and reports whether
// any of them had something to do; see Engine.Step.
func (t *Tee) Step(session uint64, copy int) (ok bool) {
	for _, e := range t.engines {
		ok = e.Step(session, copy) || ok
	}
	return ok
}

// Run runs all engines until ctx ends.
func (t *Tee) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, e := range t.engines {
		wg.Go(func() { e.Run(ctx) })
	}
	wg.Wait()
}

// Active returns the most sessions that any engine is still playing, and the
// most that have, or may have, something to do; see Engine.Active.
func (t *Tee) Active() (all, busy int) {
	for _, e := range t.engines {
		a, b := e.Active()
		all, busy = max(all, a), max(busy, b)
	}
	return all, busy
}

// Pending returns how many client bytes wait to be sent, where it is most.
func (t *Tee) Pending() (n int64) {
	for _, e := range t.engines {
		n = max(n, e.Progress().Pending)
	}
	return n
}

// Room reports whether all engines have taken all that they were fed, and how
// many bytes the one with the least room may hold beside what it does; see
// Engine.Room.
func (t *Tee) Room() (taken bool, room int64) {
	taken, room = t.engines[0].Room()
	for _, e := range t.engines[1:] {
		ok, n := e.Room()
		taken, room = taken && ok, min(room, n)
	}
	return taken, room
}

// Drain waits until all sessions of all engines have ended, or ctx is done; see
// Engine.Drain.
func (t *Tee) Drain(ctx context.Context) error {
	for _, e := range t.engines {
		if err := e.Drain(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Finish closes what is still open and returns the engines' results, in their
// order. Run must have returned.
func (t *Tee) Finish() []*Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	for f := range t.fans {
		t.pass(f)
	}
	t.deliver()
	results := make([]*Result, len(t.engines))
	for i, e := range t.engines {
		results[i] = e.Finish()
	}
	return results
}
