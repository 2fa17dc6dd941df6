package replay

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tcpsandbox/session"
)

// A client that uploads a gigabyte to an application that does not keep up
// needs no more memory than the limit; its next request is played.
func TestUploadOverTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, chunk, size = 8 << 20, 64 << 10, 1 << 30
		body := make([]byte, chunk)
		n := &network{serve: each(
			func(p *peer) { p.get(); p.gone() }, // reads the beginning, and no more
			web(say(ok("after")))), wire:        wire{room: chunk}}
		var record Record
		e := New(Config{Dial: n.dial, MaxHeld: limit, Ended: func(r *Record) { record = *r }})
		running(t, e, func() {
			s := &session.Session{ID: 1, Client: clientAddr, Server: serverAddr, Start: time.Now()}
			feed := func(events ...session.Event) {
				s.Append(events...)
				e.Feed([]*session.Session{s})
				synctest.Wait()
			}
			head := fmt.Sprintf("POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n", size)
			feed(session.Event{Kind: session.Open}, session.Event{Kind: session.Data, Data: []byte(head)})
			for range size / chunk {
				feed(session.Event{Kind: session.Data, Data: body})
			}
			answer := ok("stored")
			feed(session.Event{Kind: session.Data, Side: session.Server, Data: []byte(answer)},
				session.Event{Kind: session.Data, Data: []byte(get(2)), Seen: uint64(len(answer))},
				session.Event{Kind: session.Data, Side: session.Server, Data: []byte(ok("after"))},
				session.Event{Kind: session.FIN, Seen: uint64(len(answer + ok("after")))})
			s.End(session.Closed)
			e.Feed([]*session.Session{s})
		})
		res := e.Finish()
		if _, peak := e.Held(); peak > limit+2*chunk || res.PeakHeld != peak {
			t.Errorf("%d bytes were held, the limit is %d", peak, limit)
		}
		if len(res.Defects) > 0 || record.State != "shed" || res.Shed != 1 || record.Reconnects != 1 {
			t.Errorf("%+v, defects %q", record, res.Defects)
		}
		if got := record.Bytes[session.Shed]; got < size-limit || got+record.Bytes[session.Delivered] != record.Captured {
			t.Errorf("%v", record.Bytes)
		}
		if len(n.peers) != 2 || string(n.peers[1].received) != get(2) {
			t.Errorf("%d connections", len(n.peers))
		}
	})
}

// Over the limit those go first that have had nothing to do for the longest
// time; they come back with their next request.
func TestIdleSessionsAreShed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, room = 40, 10
		net := &network{serve: func(p *peer) { serveBy(p, nil) }}
		states := map[string]int{}
		var reconnects int
		e := New(Config{Dial: net.dial, MaxHeld: n*playerCost + room*connCost, Ended: func(r *Record) { states[r.State]++; reconnects += r.Reconnects }})
		var all []*session.Session
		request := func(s *session.Session, i int) {
			s.Append(session.Event{Kind: session.Data, Data: []byte(get(i)), Seen: uint64(i * len(ok("")))},
				session.Event{Kind: session.Data, Side: session.Server, Data: []byte(ok(""))})
			e.Feed([]*session.Session{s})
			time.Sleep(time.Second) // of the bubble: answered, and idle since another time than the others
		}
		running(t, e, func() {
			for i := range n {
				s := &session.Session{ID: uint64(i + 1), Client: clientNumber(i), Server: serverAddr, Start: time.Now()}
				all = append(all, s)
				s.Append(session.Event{Kind: session.Open})
				request(s, 0)
				open := 0
				net.mu.Lock()
				peers := slices.Clone(net.peers)
				net.mu.Unlock()
				for _, p := range peers {
					p.mu.Lock()
					aborted := p.aborted
					p.mu.Unlock()
					if !aborted {
						open++
					} else if open > 0 {
						t.Errorf("of %d, one was shed that is younger than another", i+1)
					}
				}
				if held, _ := e.Held(); held > e.cfg.MaxHeld || i >= room && open < room/2 || i < room && open != i+1 {
					t.Errorf("%d connections are open after %d sessions; %d bytes are held, of %d", open, i+1, held, e.cfg.MaxHeld)
				}
			}
			for _, s := range all[:3] { // long gone
				request(s, 1)
			}
			for _, s := range all {
				s.End(session.Closed)
			}
			e.Feed(all)
		})
		res := e.Finish()
		sent := int64(n+3) * int64(len(get(0)))
		if res.Bytes[session.Delivered] != sent || len(res.Defects) > 0 || reconnects != 3 {
			t.Errorf("%v of %d, %d came back, defects %q", res.Bytes, sent, reconnects, res.Defects)
		}
		// Those that came back lost nothing, and are finished.
		if states["finished"]+states["shed"] != n || states["finished"] < room/2 || states["shed"] < n/2 || res.Shed != states["shed"] {
			t.Errorf("%v", states)
		}
	})
}

// What is captured before Begin counts as well, and waits.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 50
		for _, limit := range []int64{0, n*playerCost + 20<<10} {
			net := &network{serve: web(say(ok("one")), say(ok("two")), say(ok("three")))}
			e := New(Config{Dial: net.dial, Hold: true, MaxHeld: limit})
			running(t, e, func() {
				for i := range n {
					s := &session.Session{ID: uint64(i + 1), Client: clientNumber(i), Server: serverAddr, Start: time.Now()}
					s.Append(keepAlive().events...)
					s.End(session.Closed)
					e.Feed([]*session.Session{s})
					synctest.Wait()
				}
				if held, _ := e.Held(); len(net.peers) > 0 || limit > 0 && held > limit || limit == 0 && held < n*playerCost {
					t.Errorf("%d connections before Begin, %d bytes held", len(net.peers), held)
				}
				e.Begin()
			})
			res := e.Finish()
			each := int64(len(keepAlive().stream()))
			switch {
			case limit == 0 && (res.Finished != n || res.Bytes[session.Delivered] != n*each),
				limit > 0 && (res.Shed == 0 || res.Shed+res.Finished != n || res.Bytes[session.Shed] != int64(res.Shed)*each),
				len(res.Defects) > 0:
				t.Errorf("limit %d: %+v", limit, res)
			}
		}
	})
}

// running runs an engine while it is fed, and until its sessions have ended.
func running(t *testing.T, e *Engine, feed func()) {
	t.Helper()
	ran := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	go func() { e.Run(ctx); close(ran) }()
	feed()
	if err := e.Drain(ctx); err != nil {
		t.Error(err)
	}
	stop()
	<-ran
}

// What was sent and has not arrived is in the stack's buffers: it counts, and
// is shed, although no player has it any more.
func TestSentBytesCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, size, n = 8 << 20, 1 << 20, 40
		net := &network{serve: func(p *peer) { p.get(); p.gone() }, wire: wire{noAcks: true}}
		e := New(Config{Dial: net.dial, MaxHeld: limit})
		running(t, e, func() {
			var all []*session.Session
			body := make([]byte, size)
			head := fmt.Sprintf("POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n", 2*size)
			for i := range n {
				s := &session.Session{ID: uint64(i + 1), Client: clientNumber(i), Server: serverAddr, Start: time.Now()}
				s.Append(session.Event{Kind: session.Open}, session.Event{Kind: session.Data, Data: []byte(head)}, session.Event{Kind: session.Data, Data: body})
				e.Feed([]*session.Session{s})
				synctest.Wait()
				all = append(all, s)
				if held, _ := e.Held(); i == 3 && held < 4*size || held > limit {
					t.Errorf("%d bytes are held after %d uploads, the limit is %d", held, i+1, limit)
				}
			}
			for _, s := range all {
				s.End(session.Reset)
			}
			e.Feed(all)
		})
		if res := e.Finish(); res.Shed < n/2 || len(res.Defects) > 0 {
			t.Errorf("%d of %d were shed, defects %q", res.Shed, n, res.Defects)
		}
		if held, _ := e.Held(); held != 0 {
			t.Errorf("%d bytes are held when all have ended", held)
		}
	})
}
