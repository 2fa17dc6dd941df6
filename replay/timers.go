package replay

import (
	"container/heap"
	"time"
)

// timerHeap holds each player's next moment, at most one a player. Moments
// move later far more often than earlier (each answer pushes the time-out
// away), so a later moment only replaces the earlier one once that has come.
type timerHeap []*player

// set makes sure that p is stepped no later than at.
func (h *timerHeap) set(p *player, at time.Time) {
	switch {
	case p.timer < 0:
		p.at = at
		heap.Push(h, p)
	case at.Before(p.at):
		p.at = at
		heap.Fix(h, p.timer)
	}
}

// drop forgets p's moment.
func (h *timerHeap) drop(p *player) {
	if p.timer >= 0 {
		heap.Remove(h, p.timer)
	}
}

// due takes out a player whose moment has come, or returns nil.
func (h *timerHeap) due(now time.Time) *player {
	if len(*h) == 0 || (*h)[0].at.After(now) {
		return nil
	}
	return heap.Pop(h).(*player)
}

func (h *timerHeap) next() (time.Time, bool) {
	if len(*h) == 0 {
		return time.Time{}, false
	}
	return (*h)[0].at, true
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].timer, h[j].timer = i, j
}
func (h *timerHeap) Push(x any) {
	p := x.(*player)
	p.timer = len(*h)
	*h = append(*h, p)
}
func (h *timerHeap) Pop() any {
	old := *h
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	p.timer = -1
	return p
}
