package tui

// The screen as rectangles:
//
//	header    source, application, rates, verdicts
//	tabs
//	list      the tab's own panel          │ or beside it, on wide
//	────────────────────────────────────── │ terminals
//	detail    what is open of it, if there is room for both
//	status    a message, or the keys that do something now
//
// Where there is no room for two panels the detail takes the list's place.

// rect is a part of the screen, in cells from its upper left corner.
type rect struct{ X, Y, W, H int }

func (r rect) has(x, y int) bool { return x >= r.X && x < r.X+r.W && y >= r.Y && y < r.Y+r.H }

// The smallest terminal that shows more than that it is too small.
const (
	minWidth  = 40
	minHeight = 10
)

// What two panels need at least, to be shown at once.
const (
	besideWidth  = 150 // of the terminal, for a detail beside the list
	belowHeight  = 30  // of the terminal, for one below it
	listLines    = 8   // of the list then
	listShare    = 3   // it has a third of the lines
	besideShares = 5   // and two fifths of the columns
)

type layout struct {
	Header, Tabs, List, Detail, Status rect
	Rule                               rect // between list and detail; empty if there is one only
}

// arrange divides the screen; false: it is too small. open: there is a detail.
func arrange(width, height int, open bool) (l layout, ok bool) {
	if width < minWidth || height < minHeight {
		return l, false
	}
	header := 3
	if height < 16 {
		header = 1
	}
	l.Header = rect{0, 0, width, header}
	l.Tabs = rect{0, header, width, 1}
	l.Status = rect{0, height - 1, width, 1}
	body := rect{0, header + 1, width, height - header - 2}
	switch {
	case !open:
		l.List = body
	case width >= besideWidth:
		list := width * 2 / besideShares
		l.List = rect{0, body.Y, list, body.H}
		l.Rule = rect{list, body.Y, 1, body.H}
		l.Detail = rect{list + 1, body.Y, width - list - 1, body.H}
	case height >= belowHeight:
		list := max(listLines, body.H/listShare)
		l.List = rect{0, body.Y, width, list}
		l.Rule = rect{0, body.Y + list, width, 1}
		l.Detail = rect{0, body.Y + list + 1, width, body.H - list - 1}
	default:
		l.Detail = body
	}
	return l, true
}
