package tui

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"
)

// still is a source in which nothing happens.
type still struct{}

func (still) Poll() Snapshot                { return Snapshot{} }
func (still) Story(int) *Story              { return nil }
func (still) Explain(int, int) *Explanation { return nil }

// The screen changes by itself ten times a second, less often where that costs
// the line more than it has, and once a second at the least.
func TestPollSparesTheLine(t *testing.T) {
	const seconds = 100
	for _, tt := range []struct {
		frame    int64 // bytes
		from, to int   // frames in that time
	}{
		{100, 10*seconds - 1, 10*seconds + 1},
		{8 << 10, 2 * seconds, 2*seconds + 3},
		{1 << 20, seconds, seconds + 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), seconds*time.Second)
			defer stop()
			line, frames := &counted{}, 0
			poll(ctx, still{}, func(tea.Msg) { frames++; line.sent.Add(tt.frame) }, line)
			if frames < tt.from || frames > tt.to {
				t.Errorf("%d frames of %d bytes in %d s, want %d to %d", frames, tt.frame, seconds, tt.from, tt.to)
			}
		})
	}
}
