package tui

// The panel of one session, from top to bottom:
//
//	failed: the application reset the connection after answering 2 of 3 requests
//	10.0.0.7:51234 → 192.0.2.1:80  tcp  session 12
//	bytes 234 captured: 156 delivered, 78 refused
//	facts                       production        application
//	round trip                  12 ms             0.3 ms
//	production  application     bytes
//	▸    0.012        0.011 →  312 B   GET /cart HTTP/1.1         exact
//
// detail_rows.go draws the lines.

import (
	"time"

	"charm.land/lipgloss/v2"

	"tcpsandbox/replay"
)

// detailPanel shows a session's story. The zero value shows that there is none.
type detailPanel struct {
	// copyKey is the key that copies the command which replays the session.
	copyKey string

	story  *Story
	now    time.Time
	rows   []moment
	cursor int
	top    int  // the first row on the screen
	folded bool // facts are not shown

	// As drawn last:
	height int // rows of the timeline
	from   int // line of its first row
}

// set shows a story as of now; nil: it is not kept. Of the session that is shown
// already, the cursor stays on its row, or at the end if it was there; of another
// it begins where something went wrong, or where a live one has come to.
func (d *detailPanel) set(story *Story, now time.Time) {
	d.now = now
	same := story != nil && d.story != nil && story.Slot == d.story.Slot
	atEnd := len(d.rows) > 0 && d.cursor == len(d.rows)-1
	var key momentKey
	if d.cursor < len(d.rows) {
		key = d.rows[d.cursor].key()
	}
	had := len(d.rows)
	d.story, d.rows = story, nil
	if story != nil {
		d.rows = timeline(story)
	}
	switch {
	case !same || had == 0:
		d.begin()
	case atEnd && story.State == "":
		d.cursor = len(d.rows) - 1
	default:
		d.find(key)
	}
}

// begin puts the cursor on what a reader looks for first.
func (d *detailPanel) begin() {
	d.cursor, d.top = 0, 0
	if d.story == nil {
		return
	}
	if p := awaited(d.story); p != nil && d.story.State == "" {
		d.find(momentKey{kind: momentAnswer, number: p.Number})
		return
	}
	switch {
	case len(d.rows) > 0 && d.rows[0].notable() || d.nextDifference(1):
	case d.story.State == "":
		d.end()
	}
}

// find puts the cursor on a row, or if that is not kept any more on the nearest
// exchange's.
func (d *detailPanel) find(key momentKey) {
	near, distance := min(d.cursor, max(len(d.rows)-1, 0)), -1
	for i := range d.rows {
		k := d.rows[i].key()
		if k == key {
			d.cursor = i
			return
		}
		if key.kind == momentMark || d.rows[i].kind == momentMark {
			continue
		}
		if away := max(k.number-key.number, key.number-k.number); distance < 0 || away < distance {
			near, distance = i, away
		}
	}
	d.cursor = near
}

// move moves the cursor.
func (d *detailPanel) move(by int) {
	d.cursor = max(0, min(d.cursor+by, len(d.rows)-1))
}

// page moves the cursor by screens.
func (d *detailPanel) page(by int) { d.move(by * max(d.height-1, 1)) }

func (d *detailPanel) home() { d.cursor = 0 }
func (d *detailPanel) end()  { d.move(len(d.rows)) }

// nextDifference moves the cursor to the next row where something went wrong, or
// with -1 the one before. It reports whether there is one.
func (d *detailPanel) nextDifference(by int) bool {
	for i := d.cursor + by; i >= 0 && i < len(d.rows); i += by {
		if d.rows[i].notable() {
			d.cursor = i
			return true
		}
	}
	return false
}

// selectedExchange returns the number of the exchange under the cursor.
func (d *detailPanel) selectedExchange() (number int, ok bool) {
	if p := d.selected(); p != nil {
		return p.Number, true
	}
	return 0, false
}

// selected returns the exchange under the cursor, or nil. It belongs to the story.
func (d *detailPanel) selected() *replay.Played {
	if d.cursor >= len(d.rows) {
		return nil
	}
	return d.rows[d.cursor].played
}

// click puts the cursor on the row that was drawn in a line of the panel; false:
// there is none.
func (d *detailPanel) click(line int) bool {
	row := line - d.from
	if row < 0 || row >= d.height || d.top+row >= len(d.rows) {
		return false
	}
	d.cursor = d.top + row
	return true
}

// toggleFacts shows the facts, or does not.
func (d *detailPanel) toggleFacts() { d.folded = !d.folded }

// view draws the panel: exactly height lines of exactly width cells.
func (d *detailPanel) view(width, height int, st styles, focused bool) []string {
	if width <= 0 || height <= 0 {
		return nil
	}
	if d.story == nil {
		d.height = 0
		return notKept(width, height, &st, "Of this session no story is kept: there was no room for it, or it was not played here.", d.copyKey)
	}
	out := d.head(width, height, &st)
	if !d.folded { // a third of what is left, or what the timeline and its header do not need
		rest := height - len(out)
		out = append(out, d.facts(width, max(rest/3, rest-1-len(d.rows)), &st)...)
	}
	if len(out) < height {
		out = append(out, clocks(width, d.story, &st))
	}
	d.from, d.height = len(out), max(height-len(out), 0)
	d.scroll()
	for i := d.top; i < len(d.rows) && len(out) < height; i++ {
		var whole *lipgloss.Style
		if i == d.cursor {
			whole = selection(&st, focused)
		}
		out = append(out, d.row(&d.rows[i], width, &st, whole))
	}
	if len(d.rows) == 0 && len(out) < height {
		out = append(out, assemble(width, nil, segment{text: "  nothing of it is kept", cells: width, look: st.Faint}))
	}
	for len(out) < height {
		out = append(out, blank(width))
	}
	return out[:height]
}

// scroll keeps the cursor on the screen, with a few rows around it.
func (d *detailPanel) scroll() {
	d.cursor = max(0, min(d.cursor, len(d.rows)-1))
	around := min(3, (d.height-1)/2)
	d.top = min(d.top, d.cursor-around)
	d.top = max(d.top, d.cursor+around-d.height+1)
	d.top = max(0, min(d.top, len(d.rows)-d.height))
}
