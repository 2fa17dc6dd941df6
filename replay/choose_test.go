package replay

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// The shares that are chosen are those asked for, also where clients are
// neighbours, and a larger one holds all of a smaller one.
func TestLuck(t *testing.T) {
	const n = 20000
	for name, client := range map[string]func(i int) netip.AddrPort{
		"ports of one client":  func(i int) netip.AddrPort { return netip.AddrPortFrom(clientAddr.Addr(), uint16(1024+i)) },
		"neighbours":           func(i int) netip.AddrPort { return netip.AddrPortFrom(plus(copies4.Addr(), uint64(i)), 40000) },
		"neighbours with IPv6": func(i int) netip.AddrPort { return netip.AddrPortFrom(plus(copies6.Addr(), uint64(i)), 40000) },
	} {
		for _, share := range []float64{0.001, 0.01, 0.1, 0.5, 0.9} {
			chosen := 0
			for i := range n {
				if luck(client(i)) < share {
					chosen++
				}
			}
			// Five standard deviations.
			if want := share * n; math.Abs(float64(chosen)-want) > 5*math.Sqrt(want*(1-share)) {
				t.Errorf("%s: %d of %d were chosen, want about %.0f", name, chosen, n, want)
			}
		}
	}
	if a := luck(clientAddr); a != luck(netip.MustParseAddrPort("[::ffff:198.51.100.7]:40001")) || a < 0 || a >= 1 {
		t.Errorf("%v: not the same number each time", a)
	}
}

func TestSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 500
		each := int64(len(keepAlive().stream()))
		chosen := map[float64]map[uint64]bool{}
		for _, share := range []float64{0, 0.1, 0.3, 1} {
			c := crowd{serve: web(say(ok("one")), say(ok("two")), say(ok("three"))), config: Config{Choice: Choice{Sample: share}}}
			for i := range n {
				c.add(clientNumber(i), 0, keepAlive())
			}
			res, records, net := c.run(t)
			chosen[share] = map[uint64]bool{}
			for _, r := range records {
				switch r.State {
				case "finished":
					chosen[share][r.ID] = true
				case "filtered":
					if r.Bytes[session.Filtered] != each || r.Captured != each || r.Connected {
						t.Errorf("%+v", r)
					}
				default:
					t.Errorf("%s", r.State)
				}
			}
			played := len(chosen[share])
			if res.Seen != n || res.Filtered != n-played || res.Skipped != n-played || len(net.peers) != played {
				t.Errorf("share %v: %d played, %d connections, result %+v", share, played, len(net.peers), res)
			}
			if res.Bytes[session.Filtered] != int64(n-played)*each || res.Bytes[session.Delivered] != int64(played)*each {
				t.Errorf("share %v: %v", share, res.Bytes)
			}
		}
		if a := len(chosen[0.1]); a < n/20 || a > n/5 || len(chosen[0]) != n || len(chosen[1]) != n {
			t.Errorf("%d of %d for 10 %%, %d for all", a, n, len(chosen[1]))
		}
		for id := range chosen[0.1] {
			if !chosen[0.3][id] {
				t.Errorf("session %d is one of the 10 %%, and not of the 30 %%", id)
			}
		}
	})
}

// Sessions are not met in the order in which they began: two processors of
// production's host stamp their packets. Without a ramp that leaves nobody out.
func TestBeganBeforeTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := crowd{serve: web(say(ok("one")), say(ok("two")), say(ok("three")))}
		c.add(clientNumber(0), time.Second, keepAlive())
		c.add(clientNumber(1), 0, keepAlive())
		if res, records, _ := c.run(t); res.Finished != 2 || res.Bytes[session.Filtered] > 0 {
			t.Errorf("%+v, %+v", res, records)
		}
	})
}

func TestOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := crowd{serve: web(say(ok("one")), say(ok("two")), say(ok("three")))}
		c.config.Only = func(s *session.Session) bool { return s.ID != 2 }
		for i := range 3 {
			c.add(clientNumber(i), 0, keepAlive())
		}
		if res, _, net := c.run(t); res.Finished != 2 || res.Filtered != 1 || len(net.peers) != 2 {
			t.Errorf("%+v", res)
		}
	})
}

// While a ramp lasts, as many short sessions are played as its height says.
func TestRamp(t *testing.T) {
	for _, paced := range []bool{false, true} {
		t.Run(fmt.Sprintf("paced %v", paced), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n, every = 4000, 10 * time.Millisecond // over 40 s
				c := crowd{live: true, serve: web(say(ok("one"))), config: Config{Choice: Choice{Ramp: 20 * time.Second}}}
				if paced {
					c.live, c.config.Pace = false, NewPace(2)
					c.config.Ramp = 10 * time.Second
					c.config.Pace.Start(time.Now(), time.Now())
				}
				for i := range n {
					c.add(clientNumber(i), time.Duration(i)*every, record().client(get(1)).answer(ok("one")).clientFIN().serverFIN())
				}
				res, records, _ := c.run(t)
				var played [4]int // in each 10 s
				for _, r := range records {
					if r.State == "finished" {
						played[(r.ID-1)*4/n]++
					}
				}
				for i, want := range []int{n / 16, 3 * n / 16, n / 4, n / 4} {
					if got := played[i]; got < want*8/10 || got > want*12/10 {
						t.Errorf("%d were played in quarter %d, want about %d", got, i, want)
					}
				}
				if res.Filtered+res.Finished != n {
					t.Errorf("%+v", res)
				}
			})
		})
	}
}

// A session that is older than its turn comes in at a message; what it said
// before was left out.
func TestRampComesIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := crowd{live: true, config: Config{Choice: Choice{Ramp: 100 * time.Second}}}
		client := clientNumber(0)
		for i := 0; luck(client) < 0.3 || luck(client) > 0.7; i++ {
			client = clientNumber(i)
		}
		turn := time.Duration(luck(client) * float64(c.config.Ramp))
		c.serve = func(p *peer) { serveBy(p, nil) }
		long, before := record(), int64(0)
		for i := range 200 { // one request each second
			if at := long.now + time.Millisecond; at < turn {
				before += int64(len(get(i)))
			}
			long.later(time.Second - 2*time.Millisecond).client(get(i)).answer(ok(""))
		}
		all := int64(len(long.stream()))
		c.add(client, 0, long.clientFIN().serverFIN())
		res, records, net := c.run(t)
		filtered := records[0].Bytes[session.Filtered]
		if diff := filtered - before; diff < -100 || diff > 100 || records[0].Bytes[session.Delivered] != all-filtered || records[0].State != "finished" {
			t.Errorf("turn at %v: want about %d left out of %d: %+v", turn, before, all, records[0])
		}
		if len(net.peers) != 1 || res.Verdicts[compare.Identical] < 50 || res.Verdicts[compare.Different] > 0 {
			t.Errorf("%d connections, verdicts %v", len(net.peers), res.Verdicts)
		}
	})
}

// A session that began before the one that came first, as packets of several
// queues may, is older than a ramp that nobody asked for.
func TestNoRamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := crowd{serve: turns("hello", say("world"), "more", say("yes"))}
		for i, begins := range []time.Duration{0, -time.Millisecond} {
			c.add(clientNumber(i), begins, record().client("hello").answer("world").client("more").answer("yes").clientFIN().serverFIN())
		}
		if res, _, _ := c.run(t); res.Finished != 2 || res.Bytes[session.Filtered] > 0 || res.Bytes[session.Delivered] != 18 {
			t.Errorf("%+v", res)
		}
	})
}
