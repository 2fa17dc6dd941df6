package tui

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
)

// someViews makes views of sessions as a run has them: most have ended well.
func someViews(from, to int, rng *rand.Rand) []replay.View {
	views := make([]replay.View, 0, to-from)
	for slot := from; slot < to; slot++ {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(slot >> 16), byte(slot >> 8), byte(slot)}), uint16(1024+slot%60000))
		v := replay.View{
			Slot: slot, ID: uint64(slot + 1), Client: client, As: client, Server: netip.MustParseAddrPort("203.0.113.10:80"),
			Start: epoch.Add(time.Duration(slot) * time.Millisecond), Production: replay.ProductionClosed,
			Application: replay.Ended, State: "finished", Behind: time.Duration(rng.IntN(5_000_000)),
			Requests: rng.IntN(20), Delivered: rng.Int64N(100_000), Answered: rng.Int64N(10_000_000), Verdict: compare.Verdict(rng.IntN(5)),
			FirstProduction: time.Duration(rng.IntN(5_000_000)), FirstApplication: time.Duration(rng.IntN(5_000_000)),
			// As the engine has them: a list and texts of its own for each session.
			Routes: []string{strings.Clone("GET /items"), fmt.Sprintf("GET /users/{id}/orders/page%d", rng.IntN(100))},
		}
		if slot%20 == 0 {
			v.Application, v.Held, v.State, v.Due = replay.Held, replay.ForAnswer, "", epoch.Add(time.Duration(slot)*time.Millisecond)
		}
		views = append(views, v)
	}
	return views
}

// naive sorts and filters as the definition says.
func naive(r *rows) (all, shown []int) {
	for slot := range r.slots {
		if r.has(slot) {
			all = append(all, slot)
		}
	}
	slices.SortFunc(all, func(a, b int) int {
		n := naiveCompare(r, r.column, a, b)
		if r.reverse {
			n = -n
		}
		return cmp.Or(n, cmp.Compare(a, b))
	})
	for _, slot := range all {
		if r.filter.match(r.at(slot), r.now) {
			shown = append(shown, slot)
		}
	}
	return all, shown
}

func naiveCompare(r *rows, column, a, b int) int {
	x, y := r.view(a), r.view(b)
	address := func(a, b netip.AddrPort) int {
		if !a.IsValid() || !b.IsValid() {
			return cmp.Compare(len(a.Addr().AsSlice()), len(b.Addr().AsSlice()))
		}
		p, q := a.Addr().As16(), b.Addr().As16()
		return cmp.Or(slices.Compare(p[:], q[:]), cmp.Compare(a.Port(), b.Port()))
	}
	behind := func(v replay.View) time.Duration {
		if v.Due.IsZero() || !r.now.After(v.Due) {
			return v.Behind
		}
		return max(v.Behind, r.now.Sub(v.Due))
	}
	bad := map[compare.Verdict]int{compare.Uncompared: -1, compare.Identical: 0, compare.Equivalent: 1, compare.Different: 2, compare.Missing: 3}
	switch columns[column].title {
	case "#":
		return cmp.Or(cmp.Compare(x.ID, y.ID), cmp.Compare(x.Copy, y.Copy))
	case "client":
		return address(x.Client, y.Client)
	case "server":
		return address(x.Server, y.Server)
	case "port":
		return cmp.Compare(x.Server.Port(), y.Server.Port())
	case "application":
		return cmp.Or(cmp.Compare(x.Application, y.Application), cmp.Compare(x.Held, y.Held), strings.Compare(x.State, y.State))
	case "production":
		return cmp.Compare(x.Production, y.Production)
	case "req":
		return cmp.Compare(x.Requests, y.Requests)
	case "verdict":
		return cmp.Compare(bad[x.Verdict], bad[y.Verdict])
	case "behind":
		return cmp.Compare(behind(x), behind(y))
	case "latency":
		return cmp.Compare(x.FirstApplication, y.FirstApplication)
	case "in prod":
		return cmp.Compare(x.FirstProduction, y.FirstProduction)
	case "up":
		return cmp.Compare(x.Delivered, y.Delivered)
	case "down":
		return cmp.Compare(x.Answered, y.Answered)
	case "proto":
		return cmp.Compare(x.Proto, y.Proto)
	case "as":
		return address(x.As, y.As)
	case "routes":
		return slices.Compare(x.Routes, y.Routes)
	}
	panic("a column that the test does not know: " + columns[column].title)
}

// drawView draws a session with few values of each kind, so that there are ties.
func drawView(t *rapid.T, slot int, now time.Time) replay.View {
	addresses := []netip.AddrPort{
		{}, netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort("9.255.0.1:80"), netip.MustParseAddrPort("10.0.0.1:443"),
		netip.MustParseAddrPort("[2001:db8::1:2:3:4]:65535"), netip.MustParseAddrPort("[::1]:80"), netip.MustParseAddrPort("255.255.255.255:65535"),
	}
	routes := []string{"GET /", "GET /検索", "GET /a/long/path/with/the/same/beginning/1", "GET /a/long/path/with/the/same/beginning/2", "\x1b[2J\xff", ""}
	small := rapid.Int64Range(0, 3)
	v := replay.View{
		Slot: slot, ID: uint64(slot / 2), Copy: slot % 2, Client: rapid.SampledFrom(addresses).Draw(t, "client"), As: rapid.SampledFrom(addresses).Draw(t, "as"),
		Server:     rapid.SampledFrom(addresses).Draw(t, "server"),
		Production: replay.ProductionState(rapid.IntRange(0, int(replay.ProductionCaptured)).Draw(t, "production")),
		Behind:     time.Duration(rapid.Int64Range(-1, 2).Draw(t, "behind")) * time.Second, Requests: int(small.Draw(t, "requests")),
		Delivered: small.Draw(t, "up"), Answered: small.Draw(t, "down") << 40,
		Verdict:          compare.Verdict(rapid.IntRange(0, int(compare.Uncompared)).Draw(t, "verdict")),
		FirstApplication: time.Duration(small.Draw(t, "latency")) * time.Millisecond, FirstProduction: time.Duration(small.Draw(t, "in production")) * time.Hour,
	}
	if rapid.Bool().Draw(t, "ended") {
		v.Application = rapid.SampledFrom([]replay.ApplicationState{replay.Ended, replay.Failed}).Draw(t, "application")
		v.State = rapid.SampledFrom([]string{"finished", "refused", "reset", "closed-early", "closed-late"}).Draw(t, "state")
	} else {
		v.Application = replay.ApplicationState(rapid.IntRange(0, int(replay.Closing)).Draw(t, "application"))
		if v.Application == replay.Held {
			v.Held = replay.Holding(rapid.IntRange(1, int(replay.ForAccept)).Draw(t, "held"))
			v.Due = now.Add(time.Duration(rapid.IntRange(-3, 3).Draw(t, "due")) * time.Second)
		}
	}
	v.Routes = rapid.SliceOfN(rapid.SampledFrom(routes), 0, 3).Draw(t, "routes")
	return v
}

var someFilters = []string{"", "held", "-held", "behind>1s", "-behind<2s get", "verdict:di", "client:10.0.0.0/8", "server:2001", "nothing-has-this", "requests>1 up<3"}

// Whatever comes in whatever order, the rows are those that sorting and
// filtering all of them gives, the cursor stays on its session, and the view has
// its size.
func TestRowsAreThoseOfANaiveSort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s sessions
		now := epoch
		seen := map[int]replay.View{}
		for step := range rapid.IntRange(1, 15).Draw(t, "steps") {
			before, had := s.selected()
			follow, moved := s.follow, false
			switch what := rapid.IntRange(0, 9).Draw(t, "what"); what {
			default:
				var views []replay.View
				for range rapid.IntRange(0, 30).Draw(t, "views") {
					v := drawView(t, rapid.IntRange(0, 40).Draw(t, "slot"), now)
					views = append(views, v)
					seen[v.Slot] = v
				}
				now = now.Add(time.Duration(rapid.IntRange(0, 1500).Draw(t, "ms")) * time.Millisecond)
				s.apply(views, now)
			case 4:
				s.sortBy(rapid.IntRange(-20, 20).Draw(t, "column"))
			case 5:
				s.reverse()
			case 6:
				if err := s.filter(rapid.SampledFrom(someFilters).Draw(t, "filter")); err != nil {
					t.Fatal(err)
				}
			case 7:
				s.move(rapid.IntRange(-50, 50).Draw(t, "by"))
				moved = true
			case 8:
				s.wheel(rapid.IntRange(-9, 9).Draw(t, "wheel"))
				s.click(rapid.IntRange(-3, 30).Draw(t, "click"))
				moved = true
			case 9:
				s.toggleFollow()
				moved = true
			}
			checkRows(t, &s.rows, seen)
			v, has := s.selected()
			if has != (len(s.rows.shown) > 0) || has && s.rows.shown[s.cursor] != int32(v.Slot) {
				t.Fatalf("step %d: the cursor is on row %d, its session %d, of %v", step, s.cursor, v.Slot, s.rows.shown)
			}
			if had && !moved && !follow {
				if at, still := s.rows.index(before.Slot); still && v.Slot != before.Slot {
					t.Fatalf("step %d: the cursor went from %d to %d", step, before.Slot, v.Slot)
				} else if !still && has && int(s.rows.shown[min(at, len(s.rows.shown)-1)]) != v.Slot {
					t.Fatalf("step %d: the cursor went from %d to %d and not to the nearest", step, before.Slot, v.Slot)
				}
			}
			if has && s.follow && v.Slot != s.rows.newest() {
				t.Fatalf("step %d: it follows session %d, not %d", step, v.Slot, s.rows.newest())
			}
			w, h := rapid.IntRange(-1, 220).Draw(t, "width"), rapid.IntRange(-1, 20).Draw(t, "height")
			checkView(t, &s, w, h, now)
		}
	})
}

func checkRows(t *rapid.T, r *rows, seen map[int]replay.View) {
	all, shown := naive(r)
	if len(all) != r.total || r.total != len(seen) || len(r.all) != len(all) || len(r.shown) != len(shown) {
		t.Fatalf("%d sessions, %d in order, %d shown; want %d, %d", r.total, len(r.all), len(r.shown), len(seen), len(shown))
	}
	for i, slot := range all {
		if int(r.all[i].slot) != slot {
			t.Fatalf("by %s, reverse %v: row %d is %d, want %d", columns[r.column].title, r.reverse, i, r.all[i].slot, slot)
		}
		got, want := r.view(slot), seen[slot]
		if got.State != want.State || got.Client != want.Client || got.Due != want.Due || got.Requests != want.Requests || !slices.Equal(got.Routes, want.Routes) {
			t.Fatalf("session %d is %+v, want %+v", slot, got, want)
		}
	}
	for i, slot := range shown {
		if int(r.shown[i]) != slot {
			t.Fatalf("row %d shown is %d, want %d", i, r.shown[i], slot)
		}
	}
}

// Memory of sessions that have ended, with all that rows needs for them.
func TestRowMemory(t *testing.T) {
	const sessions = 100_000
	used := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := used()
	var r rows
	for from := 0; from < sessions; from += 1000 {
		rng := rand.New(rand.NewPCG(1, uint64(from)))
		r.apply(someViews(from, from+1000, rng), epoch)
	}
	each := (used() - before) / sessions
	t.Logf("%d bytes each", each)
	if each > 1024 {
		t.Errorf("a session takes %d bytes, want 1,024 at most", each)
	}
	runtime.KeepAlive(&r)
}

// bigRows has 105,000 sessions, of which every twentieth is held.
func bigRows(b *testing.B, column int) *sessions {
	b.Helper()
	var s sessions
	s.apply(someViews(0, 105_000, rand.New(rand.NewPCG(1, 2))), epoch)
	s.rows.sort(column, true)
	s.settle()
	return &s
}

// loop runs f, and tells what time of a processor it took: others may use it, too.
func loop(b *testing.B, f func(i int)) {
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	b.ReportAllocs()
	runtime.GC()
	b.ResetTimer()
	before := used()
	for i := range b.N {
		f(i)
	}
	b.ReportMetric(float64(used()-before)/1e6/float64(b.N), "cpu-ms/op")
}

// Snapshots of 5,000 sessions that changed, among 105,000, as fast as
// ten a second: by behind all that are held are asked anew every tenth time.
func BenchmarkApply(b *testing.B) {
	for _, c := range []struct {
		name   string
		column int
		filter string
	}{
		{"number", numberColumn, ""}, {"latency", latencyColumn, ""}, {"routes", routesColumn, ""}, {"behind", behindColumn, "behind>1ms get"},
	} {
		b.Run(c.name, func(b *testing.B) {
			rng := rand.New(rand.NewPCG(3, 4))
			var snapshots [8][]replay.View
			for i := range snapshots {
				all := someViews(0, 105_000, rng)
				for range 5000 {
					snapshots[i] = append(snapshots[i], all[rng.IntN(len(all))])
				}
			}
			s := bigRows(b, c.column)
			if err := s.filter(c.filter); err != nil {
				b.Fatal(err)
			}
			now := epoch
			loop(b, func(i int) {
				now = now.Add(100 * time.Millisecond)
				s.apply(snapshots[i%len(snapshots)], now)
			})
		})
	}
}

func BenchmarkSort(b *testing.B) {
	for _, column := range []int{numberColumn, clientColumn, latencyColumn, routesColumn} {
		b.Run(columns[column].title, func(b *testing.B) {
			s := bigRows(b, numberColumn)
			loop(b, func(i int) {
				s.rows.sort([2]int{column, requestsColumn}[i%2], i%4 < 2)
				s.settle()
			})
		})
	}
}

func BenchmarkFilter(b *testing.B) {
	for _, text := range []string{"page42", "-10.0. /users different", "state:held behind>1ms"} {
		b.Run(strings.ReplaceAll(text, " ", "_"), func(b *testing.B) {
			s := bigRows(b, latencyColumn)
			loop(b, func(int) {
				if err := s.filter(text); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

func BenchmarkView(b *testing.B) {
	s := bigRows(b, latencyColumn)
	st := newStyles(true)
	loop(b, func(int) { s.view(200, 50, st, true, epoch) })
}

// Each number that the table shows has its place in the order.
func TestColumnsOrderWhatTheyShow(t *testing.T) {
	row := func(n int) *sessionRow {
		d := time.Duration(n) * time.Millisecond
		return &sessionRow{view: replay.View{
			ID: uint64(n), Application: replay.Open, Requests: n, Delivered: int64(n), Answered: int64(n), Behind: d,
			FirstProduction: d, FirstApplication: d,
		}}
	}
	for _, c := range []int{numberColumn, requestsColumn, behindColumn, latencyColumn, inProductionColumn, upColumn, downColumn} {
		few, many := columns[c].key(row(5), epoch), columns[c].key(row(700), epoch)
		if few.hi > many.hi || few.hi == many.hi && few.lo >= many.lo {
			t.Errorf("%s: %v is not before %v", columns[c].title, few, many)
		}
	}
}
