package replay

import (
	"container/heap"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The heap against a plain list of the moments: a player is never due later
// than the earliest moment that was set for it since it was last taken out.
func TestTimerHeap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		origin := time.Unix(1_000_000, 0)
		var h timerHeap
		players := make([]*player, rapid.IntRange(1, 12).Draw(t, "players"))
		for i := range players {
			players[i] = &player{timer: -1}
		}
		set := map[*player]time.Time{}
		now := origin
		one := rapid.SampledFrom(players)
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				p := one.Draw(t, "player")
				at := now.Add(time.Duration(rapid.IntRange(-5, 50).Draw(t, "in")) * time.Millisecond)
				h.set(p, at)
				if old, ok := set[p]; !ok || at.Before(old) {
					set[p] = at
				}
			},
			"drop": func(t *rapid.T) {
				p := one.Draw(t, "player")
				h.drop(p)
				delete(set, p)
			},
			"pass": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "time")) * time.Millisecond)
				var last time.Time
				for p := h.due(now); p != nil; p = h.due(now) {
					at, ok := set[p]
					if !ok || at.After(now) || at.Before(last) {
						t.Fatalf("due at %v, set %v for %v, the one before %v", now, ok, at, last)
					}
					last = at
					delete(set, p)
				}
			},
			"": func(t *rapid.T) {
				if len(h) != len(set) {
					t.Fatalf("%d in the heap, %d set", len(h), len(set))
				}
				var earliest time.Time
				for i, p := range players {
					at, ok := set[p]
					if ok != (p.timer >= 0) || ok && (h[p.timer] != p || !p.at.Equal(at)) {
						t.Fatalf("player %d: index %d, at %v; set %v for %v", i, p.timer, p.at, ok, at)
					}
					if ok && (earliest.IsZero() || at.Before(earliest)) {
						earliest = at
					}
				}
				if next, ok := h.next(); ok != (len(set) > 0) || !next.Equal(earliest) {
					t.Fatalf("next %v, %v; want %v", next, ok, earliest)
				}
				if !slices.IsSortedFunc(drained(h), time.Time.Compare) {
					t.Fatal("not a heap")
				}
			},
		})
	})
}

// drained returns the moments of a copy, in the order in which they come out.
func drained(h timerHeap) (out []time.Time) {
	var twin timerHeap
	for _, p := range h {
		heap.Push(&twin, &player{at: p.at})
	}
	for twin.Len() > 0 {
		out = append(out, heap.Pop(&twin).(*player).at)
	}
	return out
}
