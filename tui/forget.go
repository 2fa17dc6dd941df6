package tui

import (
	"slices"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
)

// A run may last for weeks, and the table has a share of its memory only. Over
// it the oldest sessions go that have ended: first those that went as
// production's had.

// What things take, in bytes, as TestRowsWithinMemory finds it.
const (
	rowCost   = 512 // a session without its routes
	routeCost = 192 // a route without its text
	listCost  = 192 // a list of routes without them
)

// forgetShare is the part of the memory that is made free at a time. It takes a
// new order of all rows, some 20 ms with 100,000.
const forgetShare = 8

// memory is what the rows take, in bytes.
func (r *rows) memory() int64 { return int64(r.total)*rowCost + r.texts }

// over reports whether they take more than they may. Where nothing could be let
// go there is no use in looking again before there are many more.
func (r *rows) over() bool {
	return r.limit > 0 && r.memory() > max(r.limit, r.floor+r.limit/forgetShare)
}

// forget lets go of sessions until there is room. What goes on stays.
func (r *rows) forget() {
	before := r.total
	for _, notable := range []bool{false, true} {
		for from := 0; r.memory() > r.limit-r.limit/forgetShare && from < r.slots; {
			had := r.total
			if from = r.drop(from, max(r.total/forgetShare, 1), notable); r.total < had {
				r.relist()
			}
		}
	}
	if r.floor = r.memory(); r.total == before {
		return
	}
	r.gone += before - r.total
	r.held = slices.DeleteFunc(r.held, func(slot int32) bool {
		gone := r.at(int(slot)) == nil
		if gone {
			r.due[slot] = false
		}
		return gone
	})
	r.all = slices.Grow([]entry(nil), r.total) // what was before may be larger by far
	r.spare, r.shown = nil, nil
	r.sort(r.column, r.reverse)
}

// drop lets go of n sessions that have ended, the oldest first, and returns the
// slot from which on there may be more of the kind.
func (r *rows) drop(from, n int, notable bool) int {
	for slot := from; slot < r.slots; slot++ {
		if n == 0 {
			return slot
		}
		b := r.blocks[slot/blockRows]
		if b == nil {
			slot |= blockRows - 1
			continue
		}
		row := b[slot%blockRows]
		if row == nil || slot == r.pinned || row.view.State == "" || row.notable() != notable {
			continue
		}
		b[slot%blockRows], r.match[slot] = nil, false
		if *b == (block{}) {
			r.blocks[slot/blockRows] = nil
		}
		r.total--
		n--
	}
	return r.slots
}

// notable reports whether somebody will look for the session.
func (row *sessionRow) notable() bool {
	v := &row.view
	return v.Application == replay.Failed || v.Verdict == compare.Different || v.Verdict == compare.Missing
}

// relist forgets the routes that no session has any more.
func (r *rows) relist() {
	r.lists, r.listed, r.routes, r.texts = nil, nil, nil, 0
	var texts []string
	for _, b := range r.blocks {
		if b == nil {
			continue
		}
		for _, row := range b {
			if row == nil {
				continue
			}
			texts = texts[:0]
			for _, route := range row.routes.routes {
				texts = append(texts, route.text)
			}
			row.routes = r.list(texts)
		}
	}
}
