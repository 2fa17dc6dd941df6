package tui

// cursor is a place in a list of which a part is on the screen. The panels of
// rows have one each.
type cursor struct {
	at, top int  // the row that is chosen, and the first one on the screen
	n       int  // rows
	height  int  // of them on the screen, when they were drawn last
	end     bool // it stays on the last row
}

// of tells how many rows there are now.
func (c *cursor) of(n int) {
	c.n = n
	if c.end {
		c.at = n - 1
	}
	c.at = max(0, min(c.at, n-1))
}

func (c *cursor) move(by int) {
	c.at = max(0, min(c.at+by, c.n-1))
	c.end = c.end && by >= 0 || by > 0 && c.at == c.n-1 && c.n > 0
}

func (c *cursor) page(by int) { c.move(by * max(1, c.height-1)) }
func (c *cursor) home()       { c.at, c.end = 0, false }
func (c *cursor) last()       { c.move(c.n) }

// click chooses the row-th row on the screen; false: there is none.
func (c *cursor) click(row int) bool {
	if row < 0 || row >= c.height || c.top+row >= c.n {
		return false
	}
	c.at = c.top + row
	c.end = false
	return true
}

// window returns which rows to draw on so many lines: from up to, not
// including, to.
func (c *cursor) window(height int) (from, to int) {
	c.height = max(0, height)
	c.top = max(0, min(c.top, c.n-c.height))
	if c.at < c.top {
		c.top = c.at
	} else if c.height > 0 && c.at >= c.top+c.height {
		c.top = c.at - c.height + 1
	}
	return c.top, min(c.n, c.top+c.height)
}
