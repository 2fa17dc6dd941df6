package tui

import "testing"

// Whatever the size, the parts cover the screen, each cell once.
func TestArrangeCovers(t *testing.T) {
	for _, open := range []bool{false, true} {
		for w := 1; w < 240; w++ {
			for h := 1; h < 80; h++ {
				l, ok := arrange(w, h, open)
				if want := w >= minWidth && h >= minHeight; ok != want {
					t.Fatalf("%dx%d: usable %v, want %v", w, h, ok, want)
				}
				if !ok {
					continue
				}
				cells := 0
				parts := []rect{l.Header, l.Tabs, l.List, l.Rule, l.Detail, l.Status}
				for i, r := range parts {
					if r.W < 0 || r.H < 0 || r.X < 0 || r.Y < 0 || r.X+r.W > w || r.Y+r.H > h {
						t.Fatalf("%dx%d open=%v: part %d is %v", w, h, open, i, r)
					}
					cells += r.W * r.H
					for j, o := range parts[:i] {
						if r.W*r.H > 0 && o.W*o.H > 0 && r.X < o.X+o.W && o.X < r.X+r.W && r.Y < o.Y+o.H && o.Y < r.Y+r.H {
							t.Fatalf("%dx%d open=%v: parts %d and %d overlap: %v, %v", w, h, open, j, i, o, r)
						}
					}
				}
				if cells != w*h {
					t.Fatalf("%dx%d open=%v: the parts have %d cells: %+v", w, h, open, cells, l)
				}
				if open && l.Detail.H < 5 || !open && l.List.H < 5 {
					t.Fatalf("%dx%d open=%v: no room for what matters: %+v", w, h, open, l)
				}
			}
		}
	}
}

func TestArrange(t *testing.T) {
	for _, c := range []struct {
		w, h int
		open bool
		want layout
	}{
		{80, 24, false, layout{Header: rect{0, 0, 80, 3}, Tabs: rect{0, 3, 80, 1}, List: rect{0, 4, 80, 19}, Status: rect{0, 23, 80, 1}}},
		{80, 24, true, layout{Header: rect{0, 0, 80, 3}, Tabs: rect{0, 3, 80, 1}, Detail: rect{0, 4, 80, 19}, Status: rect{0, 23, 80, 1}}},
		{120, 40, true, layout{
			Header: rect{0, 0, 120, 3}, Tabs: rect{0, 3, 120, 1}, List: rect{0, 4, 120, 11},
			Rule: rect{0, 15, 120, 1}, Detail: rect{0, 16, 120, 23}, Status: rect{0, 39, 120, 1},
		}},
		{200, 60, true, layout{
			Header: rect{0, 0, 200, 3}, Tabs: rect{0, 3, 200, 1}, List: rect{0, 4, 80, 55},
			Rule: rect{80, 4, 1, 55}, Detail: rect{81, 4, 119, 55}, Status: rect{0, 59, 200, 1},
		}},
		{40, 10, false, layout{Header: rect{0, 0, 40, 1}, Tabs: rect{0, 1, 40, 1}, List: rect{0, 2, 40, 7}, Status: rect{0, 9, 40, 1}}},
	} {
		if got, _ := arrange(c.w, c.h, c.open); got != c.want {
			t.Errorf("%dx%d open=%v:\n got %+v\nwant %+v", c.w, c.h, c.open, got, c.want)
		}
	}
}
