package replay

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// instant answers each Write at once with the same bytes.
type instant struct {
	wake   func()
	answer []byte
	owed   int
	acked  atomic.Uint64
	fin    bool
}

func (c *instant) Established() (bool, error) { return true, nil }
func (c *instant) Write(p []byte) (int, error) {
	c.acked.Add(uint64(len(p)))
	c.owed++
	c.wake()
	return len(p), nil
}

func (c *instant) Read(fn func([]byte)) (int, error) {
	if c.owed > 0 {
		c.owed--
		fn(c.answer)
		return len(c.answer), nil
	}
	if c.fin {
		return 0, io.EOF
	}
	return 0, nil
}
func (c *instant) Acked() uint64     { return c.acked.Load() }
func (c *instant) CloseWrite() error { c.fin = true; c.wake(); return nil }
func (c *instant) Flush()            {}
func (c *instant) Abort()            {}
func (c *instant) Gone() bool        { return true }
func (c *instant) Close()            {}

// BenchmarkKeepAlive plays keep-alive sessions of small requests into an
// application that answers at once: what is left is the engine's own cost.
func BenchmarkKeepAlive(b *testing.B) {
	for _, sessions := range []int{1, 200} {
		b.Run(fmt.Sprintf("%d sessions", sessions), func(b *testing.B) { benchmarkKeepAlive(b, sessions, nil) })
	}
}

// BenchmarkWatchedKeepAlive is the same with somebody who looks 30 times a second.
func BenchmarkWatchedKeepAlive(b *testing.B) {
	for _, sessions := range []int{1, 200} {
		b.Run(fmt.Sprintf("%d sessions", sessions), func(b *testing.B) { benchmarkKeepAlive(b, sessions, &Watch{Memory: 32 << 20}) })
	}
}

func benchmarkKeepAlive(b *testing.B, sessions int, watch *Watch) {
	request, answer := []byte(get(1)), []byte(ok(fmt.Sprintf("%512d", 1)))
	e := New(Config{Watch: watch, Dial: func(client, server netip.AddrPort, wake func()) (Conn, error) {
		wake()
		return &instant{wake: wake, answer: answer}, nil
	}})
	ctx, stop := context.WithCancel(b.Context())
	ran := make(chan struct{})
	go func() { e.Run(ctx); close(ran) }()
	go lookOn(ctx, e)
	all := make([]*session.Session, sessions)
	for i := range all {
		all[i] = &session.Session{ID: uint64(i), Client: netip.AddrPortFrom(clientAddr.Addr(), uint16(i)), Server: serverAddr, Start: time.Now()}
		all[i].Append(session.Event{Kind: session.Open})
	}
	b.ReportAllocs()
	b.ResetTimer()
	// Each round, as a live capture would: the request, then its answer.
	for i, round := 0, uint64(0); i < b.N; round++ {
		for _, s := range all {
			s.Append(session.Event{Kind: session.Data, Data: request, Seen: round * uint64(len(answer))},
				session.Event{Kind: session.Data, Side: session.Server, Data: answer})
		}
		e.Feed(all)
		i += sessions
		for e.Progress().Answers < int64(round+1)*int64(sessions) {
			runtime.Gosched()
		}
	}
	b.StopTimer()
	for _, s := range all {
		s.End(session.CaptureEnd)
	}
	e.Feed(all)
	if err := e.Drain(ctx); err != nil {
		b.Fatal(err)
	}
	stop()
	<-ran
	if res := e.Finish(); res.Verdicts[compare.Identical] < int64(b.N) || len(res.Verdicts) != 1 {
		b.Fatalf("%d requests, verdicts %v", b.N, res.Verdicts)
	}
}

// BenchmarkSession plays whole short sessions: connect, request, answer, close.
func BenchmarkSession(b *testing.B) { benchmarkSession(b, nil) }

// BenchmarkWatchedSession is the same with somebody who looks 30 times a second.
func BenchmarkWatchedSession(b *testing.B) { benchmarkSession(b, &Watch{Memory: 32 << 20}) }

func benchmarkSession(b *testing.B, watch *Watch) {
	request, answer := []byte(get(1)), []byte(ok(fmt.Sprintf("%512d", 1)))
	e := New(Config{Watch: watch, Dial: func(client, server netip.AddrPort, wake func()) (Conn, error) {
		wake()
		return &instant{wake: wake, answer: answer}, nil
	}})
	ctx, stop := context.WithCancel(b.Context())
	ran := make(chan struct{})
	go func() { e.Run(ctx); close(ran) }()
	go lookOn(ctx, e)
	b.ReportAllocs()
	for i := 0; i < b.N; {
		batch := make([]*session.Session, 100)
		for k := range batch {
			s := &session.Session{ID: uint64(i), Client: clientAddr, Server: serverAddr, Start: time.Now()}
			s.Append(session.Event{Kind: session.Open}, session.Event{Kind: session.Data, Data: request},
				session.Event{Kind: session.Data, Side: session.Server, Data: answer},
				session.Event{Kind: session.FIN, Seen: uint64(len(answer))}, session.Event{Kind: session.FIN, Side: session.Server})
			s.End(session.Closed)
			batch[k] = s
			i++
		}
		e.Feed(batch)
		if err := e.Drain(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	stop()
	<-ran
	if res := e.Finish(); res.Finished < b.N || len(res.Defects) > 0 {
		b.Fatalf("%d of %d finished", res.Finished, b.N)
	}
}

// lookOn asks for what changed as a screen would.
func lookOn(ctx context.Context, e *Engine) {
	var views []View
	tick := time.NewTicker(time.Second / 30)
	defer tick.Stop()
	for e.watch != nil {
		select {
		case <-tick.C:
			views = e.Changes(views[:0])
		case <-ctx.Done():
			return
		}
	}
}
