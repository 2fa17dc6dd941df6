package replay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// Hundreds of sessions with real goroutines and the real clock: applications
// that answer when they like, and wake-ups that mean nothing from all sides.
func TestManySessions(t *testing.T) {
	defer goleak.VerifyNone(t)
	const sessions, requests = 300, 20
	n := &network{serve: func(p *peer) {
		var replies []reply
		for i := range requests {
			replies = append(replies, say(ok(fmt.Sprint(i))))
		}
		web(replies...)(p)
	}}
	var mu sync.Mutex
	states := map[string]int{}
	var captured int64
	e := New(Config{Dial: n.dial, Shards: 4, Ended: func(r *Record) {
		mu.Lock()
		defer mu.Unlock()
		states[r.State]++
		if err := r.Bytes.Check(r.Captured); err != nil {
			t.Error(err)
		}
	}})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { e.Run(ctx) })
	running.Go(func() { // nobody's news, and questions at any time
		for ctx.Err() == nil {
			n.mu.Lock()
			if len(n.peers) > 0 {
				p := n.peers[rand.IntN(len(n.peers))]
				n.mu.Unlock()
				p.wake()
			} else {
				n.mu.Unlock()
			}
			e.Progress()
			e.Active()
			e.Result()
			time.Sleep(50 * time.Microsecond) // leaves the processor to the engine; nothing depends on it
		}
	})

	all := make([]*session.Session, sessions)
	tapes := make([][]session.Event, sessions)
	for i := range all {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), 40000)
		all[i] = &session.Session{ID: uint64(i + 1), Client: client, Server: serverAddr, Start: time.Now()}
		r := record()
		for k := range requests {
			r.client(get(k)).answer(ok(fmt.Sprint(k)))
		}
		r.clientFIN().serverFIN()
		captured += int64(len(r.stream()))
		tapes[i] = r.events
	}
	for left := sessions; left > 0; {
		var batch []*session.Session
		for i, s := range all {
			switch rest := tapes[i]; {
			case s == nil || rand.IntN(3) > 0:
			case len(rest) == 0:
				s.End(session.Closed)
				batch = append(batch, s)
				all[i] = nil
				left--
			default:
				k := 1 + rand.IntN(min(7, len(rest)))
				s.Append(rest[:k]...)
				tapes[i] = rest[k:]
				batch = append(batch, s)
			}
		}
		e.Feed(batch)
	}
	drain, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := e.Drain(drain); err != nil {
		t.Errorf("drain: %v; %+v", err, e.Progress())
	}
	stop()
	running.Wait()
	res := e.Finish()
	if res.Seen != sessions || res.Finished != sessions || res.Complete != sessions || states["finished"] != sessions {
		t.Errorf("%d of %d finished, %d complete, states %v", res.Finished, res.Seen, res.Complete, states)
	}
	if res.Bytes[session.Delivered] != captured || len(res.Defects) > 0 {
		t.Errorf("delivered %d of %d, defects %q", res.Bytes[session.Delivered], captured, res.Defects)
	}
	if got := res.Verdicts[compare.Identical]; got != sessions*requests || len(res.Verdicts) != 1 {
		t.Errorf("verdicts %v", res.Verdicts)
	}
	if res.Release[Exact] != sessions*(requests+1) {
		t.Errorf("release %v", res.Release)
	}
	if p := e.Progress(); p != (Progress{Seen: sessions, Finished: sessions, Answers: sessions * requests}) {
		t.Errorf("progress %+v", p)
	}
}

// The engine may end before its sessions do; Finish then accounts for what it
// was never told of, too.
func TestFinishWithoutRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: web()}
		e := New(Config{Dial: n.dial})
		live := &session.Session{ID: 1, Client: clientAddr, Server: serverAddr, Start: time.Now()}
		live.Append(keepAlive().events...)
		e.Feed([]*session.Session{live})
		joined := &session.Session{ID: 2, Client: clientAddr, Server: serverAddr, Start: time.Now(), Joined: true}
		joined.Append(resume().client("body").clientGap(3).client("body").events...)
		e.Feed([]*session.Session{joined, live})
		// Who feeds from a file must see what is fed and not yet looked at.
		if all, busy := e.Active(); all != 2 || busy != 2 {
			t.Errorf("active %d, busy %d", all, busy)
		}
		res := e.Finish()
		want := session.Ledger{session.Pending: int64(len(keepAlive().stream())), session.BeforeJoin: 8}
		if res.Bytes != want || len(res.Defects) > 0 || res.Seen != 2 || res.Failed != 2 {
			t.Errorf("%+v", res)
		}
		if err := e.Drain(t.Context()); err != nil || len(n.peers) != 0 {
			t.Errorf("drain: %v, %d connections", err, len(n.peers))
		}
	})
}

// What is appended after Run has ended is accounted for as well.
func TestFinishTakesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: web(say(ok("one")))}
		e := New(Config{Dial: n.dial})
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { e.Run(ctx); close(ran) }()
		s := &session.Session{ID: 1, Client: clientAddr, Server: serverAddr, Start: time.Now()}
		s.Append(record().client(get(1)).answer(ok("one")).events...)
		e.Feed([]*session.Session{s})
		synctest.Wait()
		if _, busy := e.Active(); busy != 0 {
			t.Error("busy with an idle session")
		}
		drain, cancel := context.WithTimeout(ctx, time.Second)
		if err := e.Drain(drain); err == nil {
			t.Error("drained a live session")
		}
		cancel()
		stop()
		<-ran
		s.Append(session.Event{Kind: session.Data, Data: []byte(get(2)), Seen: uint64(len(ok("one")))})
		res := e.Finish()
		one := int64(len(get(1)))
		if want := (session.Ledger{session.Delivered: one, session.Pending: one}); res.Bytes != want || len(res.Defects) > 0 {
			t.Errorf("%v, defects %q", res.Bytes, res.Defects)
		}
		if !n.peers[0].aborted {
			t.Error("the connection was left open")
		}
	})
}

// Where production's answers are not captured, those of the application must
// not pile up.
func TestAnswersDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const requests = 3 * maxBehind
		n := &network{serve: func(p *peer) { serveBy(p, nil) }}
		e := New(Config{Dial: n.dial})
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { e.Run(ctx); close(ran) }()
		s := &session.Session{ID: 1, Client: clientAddr, Server: serverAddr, Start: time.Now()}
		s.Append(record().events...)
		seen := uint64(0)
		for range requests {
			s.Append(session.Event{Kind: session.Data, Data: []byte(get(1)), Seen: seen})
			seen += uint64(len(ok("")))
			e.Feed([]*session.Session{s})
			synctest.Wait()
		}
		if waiting := len(s.Owner.(*player).exchanges.queue); waiting > maxBehind+1 {
			t.Errorf("%d answers are kept", waiting)
		}
		s.End(session.CaptureEnd)
		e.Feed([]*session.Session{s})
		if err := e.Drain(ctx); err != nil {
			t.Error(err)
		}
		stop()
		<-ran
		if res := e.Finish(); res.Verdicts[compare.Uncompared] != requests || res.Bytes[session.Delivered] != requests*int64(len(get(1))) {
			t.Errorf("%v, %v", res.Verdicts, res.Bytes)
		}
	})
}
