package replay

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// visit is a session of one request.
func visit() *tape {
	return record().client(get(1)).answer(ok("one")).clientFIN().serverFIN()
}

// Of the sessions that begin the share is played; the others are shed whole and
// say why. What was sampled away is not counted as shed.
func TestLimitNew(t *testing.T) {
	for _, c := range []struct {
		name      string
		share     Share
		sample    float64
		multiply  int
		from, to  int // played of 1000
		filtering bool
	}{
		{name: "all", share: Share{New: 1, Running: 1}, from: 1000, to: 1000},
		{name: "half", share: Share{New: 0.5, Running: 1, Why: ShedCPU}, from: 430, to: 570},
		{name: "none", share: Share{New: 0, Running: 1, Why: ShedWatchdog}},
		{name: "half of half", share: Share{New: 0.5, Running: 1, Why: ShedCPU}, sample: 0.5, from: 190, to: 310, filtering: true},
		{name: "with copies", share: Share{New: 0.5, Running: 1, Why: ShedCPU}, multiply: 2, from: 430, to: 570},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 1000
				crowd := crowd{serve: web(say(ok("one"))), config: Config{Choice: Choice{Sample: c.sample}, Multiply: c.multiply}, limit: &c.share}
				for i := range n {
					crowd.add(clientNumber(i), 0, visit())
				}
				res, records, net := crowd.run(t)
				played, size := res.Finished/max(c.multiply, 1), int64(len(get(1)))
				if played < c.from || played > c.to || len(net.peers) != res.Finished {
					t.Errorf("%d were played over %d connections", played, len(net.peers))
				}
				if res.Shed+res.Filtered+played != n || res.Shed != res.ShedFor[c.share.Why] || (res.Filtered > 0) != c.filtering {
					t.Errorf("%+v", res)
				}
				for _, r := range records {
					if r.State == "shed" && (r.Connected || r.Bytes[session.Shed] != size || r.ShedWhy != c.share.Why) {
						t.Errorf("%+v", r)
					}
				}
			})
		})
	}
}

// Both engines of a Tee play the same ones, whenever the share changes.
func TestLimitTee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var played [2][]uint64
		var engines []*Engine
		for i := range played {
			net := &network{serve: web(say(ok("one")))}
			engines = append(engines, New(Config{Dial: net.dial, Ended: func(r *Record) {
				if r.State == "finished" {
					played[i] = append(played[i], r.ID)
				}
			}}))
		}
		tee := NewTee(engines...)
		running(t, engines[0], func() {
			running(t, engines[1], func() {
				for i := range 200 {
					tee.Limit(Share{New: float64(i%10) / 10, Running: 1, Why: ShedCPU})
					s := &session.Session{ID: uint64(i + 1), Client: clientNumber(i), Server: serverAddr, Start: time.Now()}
					s.Append(visit().events...)
					s.End(session.Closed)
					tee.Feed([]*session.Session{s})
				}
			})
		})
		slices.Sort(played[0])
		slices.Sort(played[1])
		if !slices.Equal(played[0], played[1]) || len(played[0]) < 50 || len(played[0]) > 130 {
			t.Errorf("%v\n%v", played[0], played[1])
		}
	})
}

// A session that is under way drops out with the share, and comes back with its
// next message when that has grown again.
func TestLimitRunning(t *testing.T) {
	for _, proto := range []session.Proto{session.TCP, session.UDP} {
		t.Run(proto.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := &network{serve: func(p *peer) { serveBy(p, nil) }}
				udp := &endpoint{serve: func(string) reply { return say(ok("")) }}
				var rec Record
				e := New(Config{Dial: net.dial, DialUDP: udp.dial, Ended: func(r *Record) { rec = *r }})
				s := &session.Session{ID: 1, Proto: proto, Client: clientAddr, Server: serverAddr, Start: time.Now()}
				seen := uint64(0)
				ask := func(i int) {
					s.Append(session.Event{Kind: session.Data, Data: []byte(get(i)), Seen: seen},
						session.Event{Kind: session.Data, Side: session.Server, Data: []byte(ok(""))})
					seen += uint64(len(ok("")))
					e.Feed([]*session.Session{s})
					time.Sleep(time.Second) // of the bubble
				}
				running(t, e, func() {
					if proto == session.TCP {
						s.Append(session.Event{Kind: session.Open}, session.Event{Kind: session.Open, Side: session.Server})
					}
					ask(0)
					ask(1)
					e.Limit(Share{New: 0, Running: 0, Why: ShedCPU})
					time.Sleep(time.Second)
					ask(2)
					ask(3)
					if proto == session.TCP && !net.peers[0].aborted {
						t.Error("its connection is still open")
					}
					e.Limit(Share{New: 1, Running: 1})
					ask(4)
					ask(5)
					s.End(session.Closed)
					e.Feed([]*session.Session{s})
				})
				res := e.Finish()
				each := int64(len(get(0)))
				if rec.Bytes[session.Shed] != 2*each || rec.Bytes[session.Delivered] != 4*each || rec.Captured != 6*each {
					t.Errorf("%v of %d", rec.Bytes, rec.Captured)
				}
				if rec.State != "shed" || res.ShedFor[ShedCPU] != 1 || len(res.Defects) > 0 || res.Verdicts[compare.Different] > 0 {
					t.Errorf("%+v, %+v", rec, res)
				}
				if proto == session.TCP && (len(net.peers) != 2 || string(net.peers[1].received) != get(4)+get(5) || res.Verdicts[compare.Identical] != 4) {
					t.Errorf("%d connections, verdicts %v", len(net.peers), res.Verdicts)
				}
			})
		})
	}
}

// Whatever is limited, and whenever: each byte has one fate, and what the
// application gets are whole messages.
func TestLimitAnytime(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			c := crowd{live: true, serve: web(slices.Repeat([]reply{say(ok(""))}, 31)...)}
			for i := range 40 {
				tape := record()
				if i%5 == 0 {
					tape = resume()
				}
				for n := range 1 + r.IntN(30) {
					request := post(n, fmt.Sprintf("%0*d", 1+r.IntN(200), n))
					cut := r.IntN(len(request))
					if cut > 0 {
						tape.client(request[:cut]).later(time.Duration(r.IntN(50)) * time.Millisecond)
					}
					tape.client(request[cut:]).saw(int(tape.server)).answer(ok("")).later(time.Duration(r.IntN(300)) * time.Millisecond)
				}
				s := c.add(clientNumber(i), time.Duration(r.IntN(3000))*time.Millisecond, tape.clientFIN().serverFIN())
				s.Joined = i%5 == 0
			}
			c.during = func(e *Engine) {
				for range 30 {
					time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
					e.Limit(Share{New: r.Float64() * 1.2, Running: r.Float64() * 1.2, Why: ShedCPU})
				}
				e.Limit(Share{New: 1, Running: 1})
			}
			res, _, net := c.run(t)
			if res.Shed == 0 || res.Finished == 0 || res.Verdicts[compare.Different]+res.Verdicts[compare.Missing] > 0 {
				t.Errorf("seed %d: %+v", seed, res)
			}
			for i, p := range net.peers {
				if got := string(p.received); got[:min(len(got), 5)] != "POST "[:min(len(got), 5)] {
					t.Errorf("seed %d: connection %d begins with %q", seed, i, got[:min(len(got), 30)])
				}
			}
		})
	}
}
