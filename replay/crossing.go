package replay

import (
	"bytes"

	"tcpsandbox/compare"
)

// Where no framer tells, an answer ends where the client's next turn begins:
// production's at what its client had seen by then, the application's at the
// same count. But what a server says while the next turn is on its way to it
// crosses that turn:
//
//	production   client ──turn 2──▶ ◀──B──                ──▶  A answers turn 1, B turn 2
//	the replay   ◀──A──◀──B── both are here before turn 2 ──▶  is B part of the first answer?
//
// The application, which may be faster than production was, has then sent
// more than it was to be asked for. Either its answer is longer than
// production's, or it has sent early what production sent later; production's
// next bytes tell which. Captured live they may come after the question.

// crossing is bytes that the application sent before a turn and that are taken
// for part of that turn's answer, as long as nothing contradicts.
type crossing struct {
	turn  int // exchange that has them now; they came before it
	bytes []byte
}

// mayCross reports whether the last n bytes from the application may be the
// beginning of the answer to a turn that is yet to go out.
func (x *exchanges) mayCross(turn int, n int64) bool {
	before := x.at(turn - 1)
	if before == nil || !before.prodDone || before.spoiled {
		return false // what production sent in this place is not known
	}
	a := &before.application
	if n > a.Len || a.Len > compare.HeadLimit {
		return false
	}
	_, ok := x.follows(turn, a.Head[a.Len-n:])
	return ok
}

// follows compares bytes with what production said from an exchange on: how
// many are known to be the same, and whether the rest may be.
func (x *exchanges) follows(turn int, p []byte) (same int, ok bool) {
	for e := x.at(turn); e != nil && same < len(p); e = x.at(turn) {
		known := e.production.Head
		n := min(len(known), len(p)-same)
		if e.spoiled {
			return len(p), true // not all of it was captured
		}
		if !bytes.Equal(known[:n], p[same:same+n]) {
			return same, false
		}
		if same += n; !e.prodDone || e.production.Len > int64(len(known)) {
			break
		}
		turn++
	}
	return same, true
}

// resolve finds out where the bytes of a crossing belong, if that is known by
// now; last: it has to be said.
func (x *exchanges) resolve(last bool) {
	c := x.crossing
	if c == nil {
		return
	}
	same, ok := x.follows(c.turn, c.bytes)
	if ok && same < len(c.bytes) && !last {
		return
	}
	x.crossing = nil
	before := x.at(c.turn - 1)
	if !ok || same == 0 {
		x.giveBack(c, before)
	}
	before.application.Complete, before.appDone = true, true
	x.judge()
}

// giveBack makes the bytes of a crossing part of the answer before: it is
// longer than production's.
func (x *exchanges) giveBack(c *crossing, before *exchange) {
	x.add(&before.application, c.bytes)
	if x.player.conn != nil { // another connection counts anew
		x.player.shift += int64(len(c.bytes))
	}
	e := x.at(c.turn)
	if e == nil {
		return
	}
	a := &e.application
	if a.Len > compare.HeadLimit {
		e.spoiled = true
		return
	}
	rest, complete := bytes.Clone(a.Head[len(c.bytes):]), a.Complete
	x.player.hold(-int64(cap(a.Head)))
	a.Reset()
	x.add(a, rest)
	a.Complete = complete
}
