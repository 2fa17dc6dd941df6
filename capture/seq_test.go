package capture

import "testing"

func TestUnwrap(t *testing.T) {
	const g = 1 << 30
	for _, c := range []struct {
		base, seq  uint32
		near, want int64
	}{
		{0, 0, 0, 0},
		{100, 150, 0, 50},
		{100, 50, 0, -50},
		{1<<32 - 10, 5, 0, 15},
		{1<<32 - 10, 5, 15, 15},
		{1<<32 - 10, 1<<32 - 5, 15, 5},
		{7, 7, 4 * g, 4 * g},                   // the 4 GB wrap
		{7, 6, 4 * g, 4*g - 1},                 // just before it
		{7, 17, 4*g - 5, 4*g + 10},             // across it
		{1<<32 - 1, 100, 400 * g, 400*g + 101}, // the hundredth
		{0, 2*g - 1, 0, 2*g - 1},               // as far ahead as can be told
		{0, 2*g + 1, 0, -(2*g - 1)},            // nearer behind
	} {
		if got := unwrap(c.base, c.seq, c.near); got != c.want {
			t.Errorf("base %d, seq %d, near %d: %d, want %d", c.base, c.seq, c.near, got, c.want)
		}
	}
}
