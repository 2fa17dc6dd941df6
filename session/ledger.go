package session

import "fmt"

// Fate is where a captured client byte ended. Each has exactly one.
type Fate uint8

const (
	Delivered   Fate = iota // acknowledged by the application's kernel; of UDP: taken by it, and not refused
	Pending                 // not sent, or sent and not acknowledged, when the run ended
	InGap                   // captured, but part of a message that was broken by a gap
	BeforeJoin              // before the first place where a joined session could start
	Filtered                // left out on purpose: by a sample, a ramp, or for not being whole
	Refused                 // the application refused or reset the connection
	ClosedEarly             // the application closed before it was sent
	Shed                    // dropped over the limit on memory
	Unsupported             // of a kind that cannot be replayed

	fates
)

var fateNames = [fates]string{"delivered", "pending", "gap", "before-join", "filtered", "refused", "closed-early", "shed", "unsupported"}

// String returns the word that reports use.
func (f Fate) String() string { return fateNames[f] }

// Fates lists all fates, in the order of the report.
func Fates() []Fate {
	all := make([]Fate, fates)
	for i := range all {
		all[i] = Fate(i)
	}
	return all
}

// Ledger counts client bytes by fate. Its zero value is empty.
type Ledger [fates]int64

// Sum returns the bytes in all bins.
func (l *Ledger) Sum() (n int64) {
	for _, v := range l {
		n += v
	}
	return n
}

// Add adds another ledger's bins to this one's.
func (l *Ledger) Add(o *Ledger) {
	for i, v := range o {
		l[i] += v
	}
}

// Check returns an error unless the bins add up to the captured bytes, and
// none is less than empty.
func (l *Ledger) Check(captured int64) error {
	for f, v := range l {
		if v < 0 {
			return fmt.Errorf("ledger holds %d bytes %v", v, Fate(f))
		}
	}
	if sum := l.Sum(); sum != captured {
		return fmt.Errorf("ledger holds %d bytes, captured were %d", sum, captured)
	}
	return nil
}
