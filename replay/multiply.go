package replay

import (
	"time"

	"tcpsandbox/session"
)

// multiply makes a player for each copy of a session.
func (e *Engine) multiply(s *session.Session, until time.Time) {
	f := newFan(s, e.cfg.Multiply)
	for i, own := range f.copies {
		e.enlist(own, i, until)
	}
	e.fans[f] = struct{}{}
	e.pass(f)
}

// pass hands the players of the copies what was captured since the last time.
func (e *Engine) pass(f *fan) {
	news, over := f.pass()
	for _, c := range news {
		p := c.Owner.(*player)
		p.shard.push(p)
	}
	if over {
		delete(e.fans, f)
	}
}
