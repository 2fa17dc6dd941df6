package replay

import (
	"encoding/binary"
	"net/netip"
	"time"

	"tcpsandbox/session"
)

// Choice says which of the captured sessions are played. What is left out is
// counted all the same: its bytes are session.Filtered. The zero value leaves
// nothing out.
type Choice struct {
	// Sample is the share of sessions that are played, up to 1; 0 means all. A
	// session's luck depends on nothing but its client's address and port: the
	// same ones are chosen in each run, and what a smaller share chooses a
	// larger one chooses as well.
	Sample float64
	// Ramp raises that share from none to Sample over so long, from the start
	// of the first session on, at the speed of the replay. A session whose turn
	// comes while it lasts comes in at its next message.
	Ramp time.Duration
	// Only leaves out the sessions for which it is false; nil: none. It must be
	// quick, and is called once for each session, one at a time.
	Only func(*session.Session) bool
}

// choose decides on a session: out, or out until when, as when tells the
// time (zero: it is played from its beginning).
func (e *Engine) choose(s *session.Session) (out bool, until time.Time) {
	begins := e.cfg.when(s.Start)
	if e.origin.IsZero() {
		e.origin = begins
	}
	c := &e.cfg.Choice
	if c.Only != nil && !c.Only(s) {
		return true, until
	}
	share := c.Sample
	if share <= 0 {
		share = 1
	}
	luck := luck(s.Client)
	if luck >= share {
		return true, until
	}
	if c.Ramp <= 0 {
		return false, until
	}
	// Sessions come in by luck, those with the smallest number first.
	if turn := e.origin.Add(time.Duration(luck / share * float64(c.Ramp))); turn.After(begins) {
		until = turn
	}
	return false, until
}

// when returns the time at which something captured at t is to be played.
func (c *Config) when(t time.Time) time.Time {
	if c.Pace == nil {
		return t // live traffic is its own clock, and elsewhere there is none
	}
	return c.Pace.Due(t)
}

// luck returns a number from 0 to less than 1 that a client's address and port
// always come to.
func luck(client netip.AddrPort) float64 {
	b := client.Addr().As16()
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range binary.BigEndian.AppendUint16(b[:], client.Port()) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	// FNV leaves the high bits of neighbours alike: mix them (MurmurHash3's
	// last step).
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return float64(h>>11) / (1 << 53)
}
