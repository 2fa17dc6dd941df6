package tui

// A session's story as rows to be read from top to bottom:
//
//	timeline    marks, requests and answers in the order of production's clock
//	placed      what only the application has, in between
//	key         names a row, for a cursor that stays on it while the story grows

import (
	"cmp"
	"slices"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
)

// momentKind is what a row of the timeline shows.
type momentKind uint8

const (
	momentMark    momentKind = iota // something that happened to the connection
	momentRequest                   // the client asked
	momentAnswer                    // the server answered, or should have
	momentOmitted                   // exchanges that are not kept
)

// Directions of a moment.
const (
	noWay    = ' '
	toServer = '→'
	toClient = '←'
)

// noSize stands for the size of what there is none of.
const noSize = -1

// moment is a row of the timeline.
type moment struct {
	kind momentKind
	way  rune
	// at is when, on production's side since the session's start and on the
	// application's since it was connected to; replay.Never: not, or not known.
	at [2]time.Duration
	// size is bytes; noSize: there is none. Of a hole, which only production
	// has, and of requests both are the same.
	size [2]int64

	mark    replay.What // of momentMark
	ordinal int         // how many such marks are before; of momentOmitted, number of the first exchange
	// oneSided: it happened on one side only, and can not come any more on the other.
	oneSided bool
	unplayed bool // nobody asks the application

	played  *replay.Played // of momentRequest and momentAnswer
	omitted int            // of momentOmitted: how many exchanges
}

// momentKey names a moment of a session for as long as it is kept.
type momentKey struct {
	kind   momentKind
	mark   replay.What
	number int // of the exchange, or of marks of this kind
}

func (m *moment) key() momentKey {
	k := momentKey{kind: m.kind, mark: m.mark, number: m.ordinal}
	if m.played != nil {
		k.number = m.played.Number
	}
	return k
}

// notable reports whether a reader who looks for what went wrong wants to see m.
func (m *moment) notable() bool {
	switch m.kind {
	case momentAnswer:
		return m.played.Judged && (m.played.Verdict == compare.Different || m.played.Verdict == compare.Missing)
	case momentMark:
		switch m.mark {
		case replay.Hole, replay.Reconnects, replay.Sheds:
			return true
		case replay.ServerAccepts, replay.ServerCloses, replay.ServerResets:
			return m.oneSided
		}
	}
	return false
}

// latency returns how long an answer's first byte took, on each side;
// replay.Never where that was not measured.
func (m *moment) latency() (took [2]time.Duration) {
	p := m.played
	for side, asked := range [2]time.Duration{p.Asked, p.Sent} {
		took[side] = replay.Never
		if first := p.First[side]; asked >= 0 && first >= asked {
			took[side] = first - asked
		}
	}
	return took
}

// timeline lays out a story. Rows are in the order of production's clock; what
// only the application has stands, by its own clock, behind what it has before,
// and in front of the first row that it has later. The two clocks tell nothing of each other: with --pace asap a
// minute of production's is a moment of the application's. The result refers to
// the story.
func timeline(s *Story) []moment {
	var all []moment
	seen := map[replay.What]int{}
	for i := range s.Marks {
		all = append(all, markMoment(s, &s.Marks[i], seen))
	}
	next := 0 // number of the exchange that would be next
	lost := s.Omitted
	for i := range s.Played {
		p := &s.Played[i]
		if gap := p.Number - next; gap > 0 {
			all = append(all, omittedMoment(next, gap))
			lost -= gap
		}
		next = p.Number + 1
		all = append(all, playedMoments(s, p)...)
	}
	if lost > 0 {
		all = append(all, omittedMoment(next, lost))
	}
	return placed(all)
}

// omittedMoment stands for n exchanges, from the number-th on.
func omittedMoment(number, n int) moment {
	return moment{
		kind: momentOmitted, way: noWay, ordinal: number, omitted: n,
		at: [2]time.Duration{replay.Never, replay.Never}, size: [2]int64{noSize, noSize},
	}
}

func markMoment(s *Story, m *replay.Mark, seen map[replay.What]int) moment {
	row := moment{kind: momentMark, way: noWay, at: m.At, size: [2]int64{noSize, noSize}, mark: m.What, ordinal: seen[m.What]}
	seen[m.What]++
	by := [2]bool{m.At[replay.OfProduction] >= 0, m.At[replay.OfApplication] >= 0}
	// What production's side lacks is known when its connection has ended, and
	// the other side's when the session was played.
	produced := s.Production == replay.ProductionClosed || s.Production == replay.ProductionReset
	played := s.State != "" && s.State != "filtered" && s.State != "skipped"
	oneSided := by[replay.OfApplication] && !by[replay.OfProduction] && produced ||
		by[replay.OfProduction] && !by[replay.OfApplication] && played
	switch m.What {
	case replay.ClientOpens, replay.ClientCloses:
		row.way = toServer
	case replay.ClientResets:
		row.way, row.oneSided = toServer, oneSided
	case replay.ServerResets:
		row.way, row.oneSided = toClient, oneSided
	case replay.ServerAccepts: // a joined session has none in production, nor one that goes on
		row.way, row.oneSided = toClient, oneSided && by[replay.OfProduction]
	case replay.ServerCloses: // a session that is played is not kept until the application closes, too
		row.way, row.oneSided = toClient, oneSided && by[replay.OfApplication]
	case replay.Hole:
		row.way, row.size = toServer, [2]int64{m.Bytes, noSize}
	}
	return row
}

// playedMoments returns the rows of an exchange: its request, if there was one,
// and its answer, if there is or should be one.
func playedMoments(s *Story, p *replay.Played) (rows []moment) {
	asked := p.RequestLen > 0 || p.Asked >= 0 || p.Sent >= 0
	if p.Extra { // what the application was asked belongs to another answer
		asked = false
	}
	if asked {
		rows = append(rows, moment{
			kind: momentRequest, way: toServer, played: p,
			at: [2]time.Duration{p.Asked, p.Sent}, size: [2]int64{p.RequestLen, p.RequestLen}, unplayed: s.Application == replay.Unplayed,
		})
	}
	answer := moment{kind: momentAnswer, way: toClient, played: p, at: p.First, size: p.AnswerLen, unplayed: s.Application == replay.Unplayed}
	for side := range answer.size {
		if p.First[side] < 0 && p.AnswerLen[side] == 0 {
			answer.size[side] = noSize
		}
	}
	awaited := p.Sent >= 0 && s.State == ""
	if p.Judged || awaited || answer.size[0] >= 0 || answer.size[1] >= 0 {
		rows = append(rows, answer)
	}
	return rows
}

// placed puts moments in order. They come as marks in the order in which they
// were first seen, then exchanges in order.
func placed(all []moment) []moment {
	rows := make([]moment, 0, len(all))
	var timed, untimed []int // those with the application's time only, and those with none
	for i, m := range all {
		switch {
		case m.at[replay.OfProduction] >= 0:
			rows = append(rows, m)
		case m.at[replay.OfApplication] >= 0:
			timed = append(timed, i)
		default:
			untimed = append(untimed, i)
		}
	}
	slices.SortStableFunc(rows, func(a, b moment) int {
		return cmp.Or(cmp.Compare(a.at[replay.OfProduction], b.at[replay.OfProduction]), cmp.Compare(a.rank(), b.rank()))
	})
	slices.SortStableFunc(timed, func(i, j int) int {
		return cmp.Compare(all[i].at[replay.OfApplication], all[j].at[replay.OfApplication])
	})
	rows = merged(rows, all, timed)
	for _, i := range untimed {
		rows = slices.Insert(rows, follows(rows, all, i), all[i])
	}
	return rows
}

// rank orders what happened at the same moment.
func (m *moment) rank() int {
	switch {
	case m.kind == momentMark && m.mark <= replay.ServerAccepts:
		return 0
	case m.kind == momentMark && m.mark < replay.Hole:
		return 2
	}
	return 1
}

// merged puts each of those moments, which are in the order of the application's
// clock, in front of the first row that the application has later, behind the
// last one that it has before.
func merged(rows, all []moment, timed []int) []moment {
	requests := map[int]int{} // exchange to its row
	for i := range rows {
		if rows[i].kind == momentRequest {
			requests[rows[i].played.Number] = i
		}
	}
	out := make([]moment, 0, len(all))
	at, place, done := 0, 0, 0 // rows looked at, in front of the moment at hand, in out
	for _, i := range timed {
		m := &all[i]
		for ; at < len(rows); at++ {
			row := rows[at].at[replay.OfApplication]
			if row > m.at[replay.OfApplication] {
				break
			}
			if row >= 0 {
				place = max(place, at+1)
			}
		}
		if m.kind == momentAnswer {
			if request, is := requests[m.played.Number]; is {
				place = max(place, request+1)
			}
		}
		out = append(append(out, rows[done:place]...), *m)
		done = place
	}
	return append(out, rows[done:]...)
}

// follows returns where in rows the i-th of all stands, which has no time: behind
// the one before it in its exchange, or of the exchange before; the first one
// behind what opened the connection.
func follows(rows, all []moment, i int) int {
	if i > 0 && all[i-1].kind != momentMark {
		before := all[i-1].key()
		for at := range rows {
			if rows[at].key() == before {
				return at + 1
			}
		}
	}
	at := 0
	for at < len(rows) && rows[at].kind == momentMark && rows[at].mark <= replay.ServerAccepts {
		at++
	}
	return at
}
