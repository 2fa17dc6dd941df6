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

	"tcpsandbox/replay"
)

// detail shows a session's story. The zero value shows that there is none.
type detail struct {
	cursor        // in the timeline
	story  *Story // nil: it is not kept, or not here yet
	waits  *Story // what is known before it is here
	now    time.Time
	rows   []moment
	folded bool // facts are not shown
	from   int  // line of the timeline's first row, as drawn last
}

// loading shows what a view tells, until the story is here.
func (d *detail) loading(v replay.View) {
	d.waits = &Story{Story: replay.Story{View: v}}
}

// set shows a story as of now; nil: it is not kept. Of the session that is shown
// already, the cursor stays on its row, or at the end if it was there; of another
// it begins where something went wrong, or where a live one has come to.
func (d *detail) set(story *Story, now time.Time) {
	same := story != nil && d.story != nil && story.Slot == d.story.Slot && len(d.rows) > 0
	var key momentKey
	if d.at < len(d.rows) {
		key = d.rows[d.at].key()
	}
	d.story, d.now, d.waits, d.rows = story, now, nil, nil
	if story != nil {
		d.rows = timeline(story)
	}
	d.of(len(d.rows))
	switch {
	case !same:
		d.begin()
	case !d.end:
		d.find(key)
	}
}

// begin puts the cursor on what a reader looks for first.
func (d *detail) begin() {
	d.at, d.top, d.end = 0, 0, false
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
		d.last()
	}
}

// find puts the cursor on a row, or if that is not kept any more on the nearest
// exchange's.
func (d *detail) find(key momentKey) {
	near, distance := min(d.at, max(len(d.rows)-1, 0)), -1
	for i := range d.rows {
		k := d.rows[i].key()
		if k == key {
			d.at = i
			return
		}
		if key.kind == momentMark || d.rows[i].kind == momentMark {
			continue
		}
		if away := max(k.number-key.number, key.number-k.number); distance < 0 || away < distance {
			near, distance = i, away
		}
	}
	d.at = near
}

// nextDifference moves the cursor to the next row where something went wrong, or
// with -1 the one before. It reports whether there is one.
func (d *detail) nextDifference(by int) bool {
	for i := d.at + by; i >= 0 && i < len(d.rows); i += by {
		if d.rows[i].notable() {
			d.at, d.end = i, false
			return true
		}
	}
	return false
}

// selectedExchange returns the number of the exchange under the cursor.
func (d *detail) selectedExchange() (number int, ok bool) {
	if p := d.selected(); p != nil {
		return p.Number, true
	}
	return 0, false
}

// selected returns the exchange under the cursor, or nil. It belongs to the story.
func (d *detail) selected() *replay.Played {
	if d.at >= len(d.rows) {
		return nil
	}
	return d.rows[d.at].played
}

// played returns an exchange of the story by its number, or nil.
func (d *detail) played(number int) *replay.Played {
	for i := range d.rows {
		if p := d.rows[i].played; p != nil && p.Number == number {
			return p
		}
	}
	return nil
}

// click puts the cursor on the row that was drawn in a line of the panel; false:
// there is none.
func (d *detail) click(line int) bool { return d.cursor.click(line - d.from) }

// toggleFacts shows the facts, or does not.
func (d *detail) toggleFacts() { d.folded = !d.folded }

// view draws the panel: exactly height lines of exactly width cells.
func (d *detail) view(width, height int, st styles, focused bool) []string {
	if width <= 0 || height <= 0 {
		return nil
	}
	switch {
	case d.story == nil && d.waits != nil:
		return filled(head(d.waits, d.now, width, height, &st), width, height)
	case d.story == nil:
		return notKept(width, height, &st, "Of this session no story is kept: there was no room for it, or it was not played here.")
	}
	out := head(d.story, d.now, width, height, &st)
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
		var whole *brush
		if i == d.at {
			whole = selection(&st, focused)
		}
		out = append(out, d.row(&d.rows[i], width, &st, whole))
	}
	if len(d.rows) == 0 && len(out) < height {
		out = append(out, assemble(width, nil, segment{text: "  nothing of it is kept", cells: width, look: st.Faint}))
	}
	return filled(out, width, height)
}

// scroll keeps the cursor on the screen, with a few rows around it.
func (d *detail) scroll() {
	around := min(3, (d.height-1)/2)
	d.top = min(d.top, d.at-around)
	d.top = max(d.top, d.at+around-d.height+1)
	d.top = max(0, min(d.top, len(d.rows)-d.height))
}
