package findings

import (
	"strings"
	"time"

	"tcpsandbox/compare"
)

// clock is when the two answers to a request were made: after the request had come,
// and before the answer's last byte went.
type clock struct {
	known                             bool
	productionFrom, productionUntil   time.Time
	applicationFrom, applicationUntil time.Time
}

// coarse is how far time(2) and CLOCK_REALTIME_COARSE may be behind: a tick of the
// kernel's, of at most 10 ms (clock_gettime(2), CONFIG_HZ).
const coarse = 10 * time.Millisecond

func clockOf(x *compare.Exchange) (c clock) {
	if x.ProductionAt.IsZero() || x.At.IsZero() || x.ProductionTimes.First == 0 || x.ApplicationTimes.First == 0 {
		return c
	}
	within := func(at time.Time, t compare.Times) (from, until time.Time) {
		return at.Add(-coarse), at.Add(max(t.First, t.Whole))
	}
	c.known = true
	c.productionFrom, c.productionUntil = within(x.ProductionAt, x.ProductionTimes)
	c.applicationFrom, c.applicationUntil = within(x.At, x.ApplicationTimes)
	return c
}

// tells reports whether, in a spot, both sides have times that differ by no more
// and no less than the clock went on between the two answers: a second that ended
// between them is in the one and not yet in the other. For a time that stands
// still, or is a second off in each answer, that does not hold.
//
// A version that answers later than the other finds more seconds ended. So with
// few answers the application may differ from production where the old version
// happens not to.
func (c clock) tells(res *compare.Result, p spot) bool {
	if !c.known {
		return false
	}
	for i := range res.Differences {
		if d := &res.Differences[i]; spotOf(d) == p && !c.told(string(d.Production), string(d.Application)) {
			return false
		}
	}
	return true
}

// told reports whether the two values are times of one offset from the clock, of a
// multiple of the unit in which they are written: an hour from now, in seconds.
func (c clock) told(production, application string) bool {
	x, unit, ok := moment(strings.Trim(production, `"`))
	if !ok {
		return false
	}
	y, other, ok := moment(strings.Trim(application, `"`))
	if !ok {
		return false
	}
	unit = max(unit, other)
	least := c.applicationFrom.Truncate(unit).Sub(c.productionUntil.Truncate(unit))
	most := c.applicationUntil.Truncate(unit).Sub(c.productionFrom.Truncate(unit))
	by := y.Truncate(unit).Sub(x.Truncate(unit))
	return least <= by && by <= most
}
