package tui

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
)

// endedViews has sessions that have ended as production's had.
func endedViews(from, to int, unique bool) []replay.View {
	views := someViews(from, to, rand.New(rand.NewPCG(1, uint64(from))))
	for i := range views {
		v := &views[i]
		v.State, v.Application, v.Verdict, v.Due = "finished", replay.Ended, compare.Identical, time.Time{}
		if unique {
			v.Routes = nil
			for n := range 8 {
				v.Routes = append(v.Routes, fmt.Sprintf("GET /%d/%d/%s", v.Slot, n, strings.Repeat("x", 90)))
			}
		}
	}
	return views
}

func TestRowsWithinMemory(t *testing.T) {
	used := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for _, unique := range []bool{false, true} {
		t.Run(fmt.Sprintf("unique routes %v", unique), func(t *testing.T) {
			const limit = 8 << 20
			before := used()
			s := sessions{rows: rows{limit: limit}}
			most := int64(0)
			total := 60_000
			if unique {
				total = 12_000
			}
			for from := 0; from < total; from += 1000 {
				s.apply(endedViews(from, from+1000, unique), epoch)
				most = max(most, used()-before)
			}
			t.Logf("%d bytes at most, %d rows, %d gone", most, s.rows.total, s.rows.gone)
			if most > limit*5/4 {
				t.Errorf("%d bytes, want %d at most", most, limit)
			}
			if s.rows.gone == 0 || s.rows.total+s.rows.gone != total || s.rows.memory() < limit/2 {
				t.Errorf("%d rows of %d bytes, %d gone", s.rows.total, s.rows.memory(), s.rows.gone)
			}
			runtime.KeepAlive(&s)
		})
	}
}

// Whatever goes: what goes on stays, what differs stays longer, and so does the
// session under the cursor; the order is right, and the table says so.
func TestOldSessionsGoFirst(t *testing.T) {
	for column := range columns {
		s := sessions{rows: rows{limit: 500 * (rowCost + 100)}}
		first := endedViews(0, 100, false)
		first[3].Verdict = compare.Different
		first[4].State, first[4].Application = "reset", replay.Failed
		first[5].State, first[5].Application = "", replay.Open
		first[6].State, first[6].Application, first[6].Held, first[6].Due = "", replay.Held, replay.ForAnswer, epoch
		s.apply(first, epoch)
		s.choose(first[7].ID, first[7].Copy)
		s.rows.sort(column, false)
		s.settle()
		for from := 100; from < 5000; from += 100 {
			now := epoch.Add(time.Duration(from) * 20 * time.Millisecond)
			s.apply(endedViews(from, from+100, false), now)
		}
		for slot := range 10 {
			if want := slot >= 3 && slot <= 7; s.rows.has(slot) != want {
				t.Errorf("by %s: session %d listed: %v, want %v", columns[column].title, slot, !want, want)
			}
		}
		if v, _ := s.selected(); v.Slot != 7 {
			t.Errorf("by %s: the cursor is on %d", columns[column].title, v.Slot)
		}
		if !s.rows.has(4999) || len(s.rows.shown) != s.rows.total || len(s.rows.all) != s.rows.total {
			t.Errorf("by %s: %d rows, %d shown", columns[column].title, s.rows.total, len(s.rows.shown))
		}
		if !slices.IsSortedFunc(s.rows.all, s.rows.compare) {
			t.Errorf("by %s: not in order", columns[column].title)
		}
		if got := s.footer(); !strings.Contains(got, fmt.Sprintf("%d that ended are not listed any more", s.rows.gone)) {
			t.Errorf("the table says %q", got)
		}
		if err := s.filter("verdict=different"); err == nil && s.rows.has(0) {
			t.Error("gone, but found")
		}
	}
	var live sessions
	live.rows.limit = 1
	views := endedViews(0, 50, false)
	for i := range views {
		views[i].State, views[i].Application = "", replay.Open
	}
	live.apply(views, epoch)
	if live.rows.total != 50 || live.rows.gone != 0 {
		t.Errorf("%d sessions go on, of 50; %d gone", live.rows.total, live.rows.gone)
	}
}
