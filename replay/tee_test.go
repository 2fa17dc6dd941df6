package replay

import (
	"context"
	"fmt"
	"maps"
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

// pair is a Tee with two engines, and what became of the sessions in each.
type pair struct {
	tee     *Tee
	engines [2]*Engine
	nets    [2]*network
	records [2]map[uint64]Record // by ID, of sessions that are no copies
	mu      sync.Mutex
}

func newPair(config Config, serve, old func(*peer)) *pair {
	p := &pair{nets: [2]*network{{serve: serve}, {serve: old}}}
	for i := range p.engines {
		p.records[i] = map[uint64]Record{}
		config.Dial, config.Ended = p.nets[i].dial, func(r *Record) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if r.Copy == 0 {
				p.records[i][r.ID] = *r
			}
		}
		p.engines[i] = New(config)
	}
	p.tee = NewTee(p.engines[:]...)
	return p
}

// running runs the engines while they are fed, and until their sessions have
// ended.
func (p *pair) running(t *testing.T, feed func()) []*Result {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() { p.tee.Run(ctx); close(ran) }()
	feed()
	if err := p.tee.Drain(ctx); err != nil {
		t.Error(err)
	}
	stop()
	<-ran
	return p.finish(t)
}

func (p *pair) finish(t *testing.T) []*Result {
	t.Helper()
	results := p.tee.Finish()
	for i, res := range results {
		if now, _ := p.engines[i].Held(); now != 0 || len(res.Defects) > 0 || len(p.engines[i].fans) > 0 {
			t.Errorf("engine %d: %d bytes are held, defects %q, %d fans", i, now, res.Defects, len(p.engines[i].fans))
		}
	}
	if len(p.tee.fans) > 0 {
		t.Errorf("%d fans are left", len(p.tee.fans))
	}
	return results
}

// clients returns what the application of an engine got, by client.
func (p *pair) clients(i int) map[netip.AddrPort]string {
	all := map[netip.AddrPort]string{}
	for _, peer := range p.nets[i].peers {
		all[peer.client] += string(peer.received)
	}
	return all
}

// Both engines get all of each session under the same ID, from the same client
// addresses, one of them as slowly as it answers.
func TestTee(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config Config
		live   bool
		played int // of 20 sessions, copies included
	}{
		{name: "at once", played: 20},
		{name: "live", live: true, played: 20},
		{name: "copies", config: Config{Multiply: 3}, live: true, played: 60},
		{name: "copies from a range", config: Config{Multiply: 2, Clients: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}}, played: 40},
		{name: "several shards", config: Config{Shards: 3}, live: true, played: 20},
		{name: "a part", config: Config{Choice: Choice{Sample: 0.5}}, live: true, played: -1},
	} {
		synctest.Test(t, func(t *testing.T) {
			const sessions, slow = 20, 300 * time.Millisecond
			say := func(after time.Duration) func(*peer) {
				reply := func(s string) reply { return reply{after: after, pieces: []string{ok(s)}} }
				return web(reply("one"), reply("two"), reply("three"))
			}
			c := crowd{live: tt.live}
			for i := range sessions {
				c.add(clientNumber(i), time.Duration(i)*3*time.Millisecond, keepAlive())
			}
			p := newPair(tt.config, say(0), say(slow))
			results := p.running(t, func() {
				if !tt.live {
					for i, s := range c.sessions {
						s.Append(c.tapes[i].events...)
						s.End(session.Closed)
					}
					p.tee.Feed(c.sessions)
				} else {
					c.happen(p.tee)
				}
				// The fast one is done, and the slow one is what is waited for.
				time.Sleep(slow)
				synctest.Wait()
				fast, _ := p.engines[0].Active()
				if all, busy := p.tee.Active(); fast != 0 || all == 0 || busy == 0 {
					t.Errorf("%s: %d sessions are played by the fast engine, %d (%d at work) by any", tt.name, fast, all, busy)
				}
			})
			stream := string(keepAlive().stream())
			for i, res := range results {
				played := res.Seen - res.Filtered
				if tt.played >= 0 && played != tt.played || played == 0 || res.Finished != played || res.Bytes[session.Delivered] != int64(played*len(stream)) {
					t.Errorf("%s, engine %d: %+v", tt.name, i, res)
				}
				if got := res.Verdicts[compare.Identical]; got != int64(3*played) {
					t.Errorf("%s, engine %d: %v", tt.name, i, res.Verdicts)
				}
				for client, got := range p.clients(i) {
					if got != stream {
						t.Errorf("%s, engine %d: %s sent %q", tt.name, i, client, got)
					}
				}
				for _, s := range c.sessions {
					if r, found := p.records[i][s.ID]; !found || r.Client != s.Client.String() {
						t.Errorf("%s, engine %d: session %d of %s has the record %+v", tt.name, i, s.ID, s.Client, r)
					}
				}
			}
			if !maps.Equal(p.clients(0), p.clients(1)) {
				t.Errorf("%s: the engines played other clients", tt.name)
			}
		})
	}
}

// What was captured before Begin is played by both from then on. Meanwhile
// each counts its part of it as held.
func TestTeeHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, limit = 1 << 20, 8 << 20
		p := newPair(Config{Hold: true, MaxHeld: limit}, web(say(ok("stored"))), web(say(ok("stored"))))
		results := p.running(t, func() {
			s := &session.Session{ID: 7, Client: clientAddr, Server: serverAddr, Start: time.Now()}
			head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
			s.Append(record().client(head).client(string(make([]byte, size))).events...)
			p.tee.Feed([]*session.Session{s})
			if taken, _ := p.tee.Room(); taken {
				t.Error("the session is taken before anyone could")
			}
			synctest.Wait()
			a, _ := p.engines[0].Held()
			b, _ := p.engines[1].Held()
			if sum := a + b; a != b || sum < size || sum > size+64<<10 {
				t.Errorf("%d and %d bytes are held of %d", a, b, size)
			}
			if taken, room := p.tee.Room(); !taken || room != limit-a {
				t.Errorf("taken is %v, there is room for %d bytes, want %d", taken, room, limit-a)
			}
			if pending := p.tee.Pending(); pending != int64(size+len(head)) {
				t.Errorf("%d bytes are pending", pending)
			}
			if len(p.nets[0].peers)+len(p.nets[1].peers) > 0 {
				t.Error("played before Begin")
			}
			p.tee.Begin()
			s.Append(record().answer(ok("stored")).clientFIN().events[2:]...)
			s.End(session.Closed)
			p.tee.Feed([]*session.Session{s})
		})
		for i, res := range results {
			if res.Finished != 1 || res.Verdicts[compare.Identical] != 1 {
				t.Errorf("engine %d: %+v", i, res)
			}
		}
	})
}

// What one engine sheds, the other plays.
func TestTeeSheds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, size, n = 8 << 20, 1 << 20, 40
		deaf := func(p *peer) { p.get(); p.gone() }
		p := newPair(Config{MaxHeld: limit}, web(say(ok("stored"))), deaf)
		p.nets[1].wire.noAcks = true
		results := p.running(t, func() {
			var all []*session.Session
			head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
			for i := range n {
				s := &session.Session{ID: uint64(i + 1), Client: clientNumber(i), Server: serverAddr, Start: time.Now()}
				s.Append(record().client(head).client(string(make([]byte, size))).answer(ok("stored")).clientFIN().serverFIN().events...)
				p.tee.Feed([]*session.Session{s})
				synctest.Wait()
				if _, room := p.tee.Room(); room < 0 {
					t.Errorf("over the limit by %d bytes", -room)
				}
				all = append(all, s)
			}
			for _, s := range all {
				s.End(session.Closed)
			}
			p.tee.Feed(all)
		})
		if res := results[0]; res.Finished != n || res.Shed != 0 {
			t.Errorf("the healthy one: %+v", res)
		}
		if res := results[1]; res.Shed < n/2 || res.Captured != results[0].Captured {
			t.Errorf("the deaf one: %+v", res)
		}
	})
}

// A run that is cut short has the same sessions in both books, with what was
// appended after the last Feed.
func TestTeeCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(Config{Multiply: 2}, web(), web())
		s := &session.Session{ID: 1, Client: clientAddr, Server: serverAddr, Start: time.Now()}
		s.Append(record().client(get(1)).events...)
		p.tee.Feed([]*session.Session{s})
		if all, busy := p.tee.Active(); all != 2 || busy != 2 {
			t.Errorf("active %d, busy %d", all, busy)
		}
		s.Append(session.Event{Kind: session.Data, Data: []byte(get(2))})
		results := p.tee.Finish()
		for i, res := range results {
			if want := int64(2 * len(get(1)+get(2))); res.Captured != want || res.Bytes[session.Pending] != want || res.Seen != 2 || len(res.Defects) > 0 {
				t.Errorf("engine %d: %+v", i, res)
			}
		}
	})
}

// A record that ends is let go, also when it is told of again.
func TestTeeForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(Config{}, web(say(ok("one"))), web(say(ok("one"))))
		results := p.running(t, func() {
			s := &session.Session{ID: 1, Client: clientAddr, Server: serverAddr, Start: time.Now()}
			s.Append(record().client(get(1)).answer(ok("one")).clientFIN().serverFIN().events...)
			s.End(session.Closed)
			p.tee.Feed([]*session.Session{s, s})
			p.tee.Feed([]*session.Session{s})
			if len(p.tee.fans) > 0 {
				t.Errorf("%d fans", len(p.tee.fans))
			}
		})
		if results[0].Finished != 1 || results[1].Finished != 1 {
			t.Errorf("%+v, %+v", results[0], results[1])
		}
	})
}

// With one engine there is no record in between.
func TestTeeOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: web(say(ok("one")))}
		tee := NewTee(New(Config{Dial: n.dial}))
		s := &session.Session{ID: 1, Client: clientAddr, Server: serverAddr, Start: time.Now()}
		s.Append(record().client(get(1)).events...)
		tee.Feed([]*session.Session{s})
		if _, direct := s.Owner.(*player); !direct {
			t.Errorf("the session's reader is a %T", s.Owner)
		}
		if res := tee.Finish(); len(res) != 1 || res[0].Captured != int64(len(get(1))) {
			t.Errorf("%+v", res)
		}
	})
}

// Real goroutines and the real clock: capture feeds by several goroutines
// while the engines play and are asked how far they are.
func TestTeeFedByMany(t *testing.T) {
	defer goleak.VerifyNone(t)
	const feeders, sessions, requests = 4, 60, 10
	serve := func(p *peer) { serveBy(p, nil) }
	p := newPair(Config{Shards: 2, Multiply: 2}, serve, serve)
	results := p.running(t, func() {
		var feeding sync.WaitGroup
		for f := range feeders {
			feeding.Go(func() {
				for i := range sessions {
					n := f*sessions + i
					client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)}), 40000)
					s := &session.Session{ID: uint64(n + 1), Client: client, Server: serverAddr, Start: time.Now()}
					r := record()
					for k := range requests {
						r.client(get(k)).answer(ok(""))
					}
					for rest := r.clientFIN().serverFIN().events; len(rest) > 0; {
						k := 1 + rand.IntN(min(7, len(rest)))
						s.Append(rest[:k]...)
						rest = rest[k:]
						p.tee.Feed([]*session.Session{s})
						p.tee.Room()
						p.tee.Pending()
					}
					s.End(session.Closed)
					p.tee.Feed([]*session.Session{s})
				}
			})
		}
		feeding.Wait()
	})
	for i, res := range results {
		if want := 2 * feeders * sessions; res.Seen != want || res.Finished != want || res.Verdicts[compare.Identical] != int64(want*requests) {
			t.Errorf("engine %d: %+v", i, res)
		}
	}
	if !maps.Equal(p.clients(0), p.clients(1)) {
		t.Error("the engines played other clients")
	}
}
