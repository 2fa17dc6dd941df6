package tui

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tcpsandbox/replay"
)

// rows are all sessions ever, in the order of a column, and those of them that a
// filter leaves over. The zero value has none, and is ordered by number.
//
//	apply ─▶ a row for each slot ─▶ all, in order ─▶ shown, those that match
//
// A snapshot moves only the rows that changed: they are taken out, sorted, and
// merged in again. Measured with 105,000 rows, as time of a processor:
//
//	BenchmarkApply   5,000 rows that changed  2.2 ms by number, 3.8 by latency, 4.3 by route,
//	                                          4.6 by behind, with a filter of that
//	BenchmarkSort    another column           4 ms, by route 8.5
//	BenchmarkFilter  another filter           2.5 to 7.5 ms
//	BenchmarkView    50 lines of 200 cells    0.5 ms
//
// How much a held session is behind grows by itself. Where the order or the
// filter asks for it, it is asked anew once a second, as of now.
type rows struct {
	blocks []*block // by slot
	slots  int      // all slots are less
	total  int      // sessions there are
	limit  int64    // of memory, in bytes; 0: none
	texts  int64    // bytes of it that routes take
	floor  int64    // what they took when some were let go last
	gone   int      // sessions that were let go for it; see forget
	pinned int      // a slot that is not

	column  int // of columns
	reverse bool
	filter  filter
	now     time.Time

	all, spare []entry // in order; the memory of what was before
	shown      []int32 // slots
	match      []bool  // by slot: passes the filter; what does not exist does not
	moved      []bool  // by slot: not where it was in all
	fresh      []entry // those, for a moment
	held       []int32 // slots whose Due is set, and some that were
	due        []bool  // by slot: is in held

	lists  []*routeList
	listed map[string]*routeList // by their texts
	routes map[string]*route
	words  map[string]string // of Record.State
	widest [len(columns)]int // cells of its texts so far, of a column that grows
}

// blockRows makes a block 4 KB, which is never copied as slices are when they
// grow.
const blockRows = 512

type block [blockRows]*sessionRow

// sessionRow is a session. 100,000 take 480 bytes each, with all that is in rows
// (TestRowMemory).
type sessionRow struct {
	view   replay.View // without Routes
	routes *routeList
	// text has the addresses, and is never empty: client, server, and as where that is not the
	// client, divided by spaces.
	text   string
	client uint8 // its length in text
	server uint8 // where it ends
}

// route is shared by all lists that have it, and a list by all sessions.
type (
	route     struct{ text, lower string }
	routeList struct {
		number uint32 // which of rows.lists
		routes []*route
	}
)

// at returns the row of a slot that is less than slots; nil: there is none.
func (r *rows) at(slot int) *sessionRow {
	if b := r.blocks[slot/blockRows]; b != nil {
		return b[slot%blockRows]
	}
	return nil
}

// has tells whether there is such a session.
func (r *rows) has(slot int) bool { return slot >= 0 && slot < r.slots && r.at(slot) != nil }

// view returns a session as it was last applied. Its Routes are the caller's.
func (r *rows) view(slot int) replay.View {
	row := r.at(slot)
	v := row.view
	for _, route := range row.routes.routes {
		v.Routes = append(v.Routes, route.text)
	}
	return v
}

// apply takes in what changed.
func (r *rows) apply(views []replay.View, now time.Time) {
	before := r.now
	if d := now.Sub(before); d >= time.Second || d < 0 || before.IsZero() {
		r.now = now
	}
	reshow := false
	if r.now != before && r.timed() {
		reshow = r.retime(before)
	}
	for i := range views {
		v := &views[i]
		if v.Slot < 0 || v.Slot >= math.MaxInt32 {
			continue
		}
		r.reach(v.Slot)
		row, slot := r.at(v.Slot), int32(v.Slot)
		switch {
		case row == nil:
			r.total++
			row = r.add(v.Slot)
			r.set(row, v)
			r.move(slot)
		case r.moved[slot]:
			r.set(row, v)
		default:
			old := r.entry(slot, r.now)
			r.set(row, v)
			if r.entry(slot, r.now) != old {
				r.move(slot)
			}
		}
		if m := r.filter.match(row, r.now); m != r.match[slot] {
			r.match[slot], reshow = m, true
		}
	}
	if len(r.fresh) > 0 {
		r.merge()
		reshow = true
	}
	if r.over() {
		r.forget()
		reshow = false
	}
	if reshow {
		r.show()
	}
}

// reach makes room for a slot.
func (r *rows) reach(slot int) {
	if slot < r.slots {
		return
	}
	for slot/blockRows >= len(r.blocks) {
		r.blocks = append(r.blocks, nil)
	}
	r.slots = slot + 1
	n := r.slots - len(r.match)
	r.match = append(r.match, make([]bool, n)...)
	r.moved = append(r.moved, make([]bool, n)...)
	r.due = append(r.due, make([]bool, n)...)
}

// add makes a row, of which nothing is known yet.
func (r *rows) add(slot int) *sessionRow {
	b := &r.blocks[slot/blockRows]
	if *b == nil {
		*b = new(block)
	}
	row := new(sessionRow)
	(*b)[slot%blockRows] = row
	return row
}

// set writes down what a session looks like.
func (r *rows) set(row *sessionRow, v *replay.View) {
	same := row.text != "" && row.view.Client == v.Client && row.view.Server == v.Server && row.view.As == v.As
	row.view = *v
	row.view.Routes = nil
	row.view.State = r.word(v.State)
	if !same {
		text := addressText(v.Client)
		row.client = uint8(len(text))
		text += " " + addressText(v.Server)
		row.server = uint8(len(text))
		if v.As.IsValid() && v.As != v.Client {
			text += " " + addressText(v.As)
		}
		row.text = strings.ToLower(text)
		for i := range columns {
			if c := &columns[i]; c.grows {
				r.widest[i] = max(r.widest[i], len(c.cell(row, r.now)))
			}
		}
	}
	if row.routes == nil || !slices.EqualFunc(row.routes.routes, v.Routes, func(a *route, b string) bool { return a.text == b }) {
		row.routes = r.list(v.Routes)
	}
	if !v.Due.IsZero() && !r.due[v.Slot] {
		r.due[v.Slot] = true
		r.held = append(r.held, int32(v.Slot))
	}
}

func addressText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// list returns the one that all sessions with these routes share.
func (r *rows) list(texts []string) *routeList {
	var buf [256]byte
	joined := buf[:0]
	for _, text := range texts {
		joined = append(binary.AppendUvarint(joined, uint64(len(text))), text...)
	}
	known := r.listed[string(joined)]
	if known == nil {
		known = &routeList{number: uint32(len(r.lists))}
		for _, text := range texts {
			known.routes = append(known.routes, r.route(text))
		}
		if r.listed == nil {
			r.listed = map[string]*routeList{}
		}
		r.lists = append(r.lists, known)
		r.listed[string(joined)] = known
		r.texts += listCost + int64(len(joined)) + 8*int64(len(texts))
	}
	return known
}

// route returns the one that all lists share.
func (r *rows) route(text string) *route {
	known := r.routes[text]
	if known == nil {
		text = strings.Clone(text)
		known = &route{text, strings.ToLower(text)}
		if r.routes == nil {
			r.routes = map[string]*route{}
		}
		r.routes[text] = known
		r.texts += routeCost + 2*int64(len(text))
	}
	return known
}

// word returns the same text, always in the same memory.
func (r *rows) word(s string) string {
	if s == "" {
		return ""
	}
	known, ok := r.words[s]
	if !ok {
		known = strings.Clone(s)
		if r.words == nil {
			r.words = map[string]string{}
		}
		r.words[known] = known
	}
	return known
}

// timed tells whether time alone can change the order, or what is shown.
func (r *rows) timed() bool { return columns[r.column].timed || r.filter.timed }

// retime asks anew what depends on time; before is when it was last asked. It
// tells whether other rows match now.
func (r *rows) retime(before time.Time) (matches bool) {
	held := r.held[:0]
	for _, slot := range r.held {
		row := r.at(int(slot))
		if row.view.Due.IsZero() {
			r.due[slot] = false
			continue
		}
		held = append(held, slot)
		if r.entry(slot, before) != r.entry(slot, r.now) {
			r.move(slot)
		}
		if m := r.filter.match(row, r.now); m != r.match[slot] {
			r.match[slot], matches = m, true
		}
	}
	r.held = held
	return matches
}

// show lists the rows that match.
func (r *rows) show() {
	shown := slices.Grow(r.shown[:0], r.total)
	for _, e := range r.all {
		if r.match[e.slot] {
			shown = append(shown, e.slot)
		}
	}
	r.shown = shown
}

// pick shows the rows that match a filter only.
func (r *rows) pick(f filter) {
	r.filter = f
	for slot := range r.slots {
		if row := r.at(slot); row != nil {
			r.match[slot] = f.match(row, r.now)
		}
	}
	r.show()
}

// index returns how many of the rows shown stand before a slot, and whether it
// is shown itself.
func (r *rows) index(slot int) (before int, shown bool) {
	if !r.has(slot) {
		return 0, false
	}
	if r.match[slot] {
		return slices.Index(r.shown, int32(slot)), true
	}
	for _, e := range r.all {
		if int(e.slot) == slot {
			break
		}
		if r.match[e.slot] {
			before++
		}
	}
	return before, false
}

// find returns the slot of a session; -1: there is none.
func (r *rows) find(id uint64, copy int) int {
	for slot := range r.slots {
		if row := r.at(slot); row != nil && row.view.ID == id && row.view.Copy == copy {
			return slot
		}
	}
	return -1
}

// newest returns the slot of the latest session that is shown; -1: none is.
func (r *rows) newest() int {
	for slot := r.slots - 1; slot >= 0; slot-- {
		if r.match[slot] {
			return slot
		}
	}
	return -1
}
