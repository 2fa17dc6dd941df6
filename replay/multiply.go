package replay

import "tcpsandbox/session"

// fan passes a captured session on to several players. It is the session's one
// reader and gives each player a record of its own to follow, whose events
// share the captured bytes. Only Feed and Finish use it, under the engine's
// lock.
type fan struct {
	s       *session.Session
	copies  []*session.Session
	players []*player
	buf     []session.Event
}

// newFan returns a fan of n copies, whose players are the caller's to set.
func newFan(s *session.Session, n int) *fan {
	f := &fan{s: s, copies: make([]*session.Session, n), players: make([]*player, n)}
	for i := range f.copies {
		f.copies[i] = &session.Session{ID: s.ID, Proto: s.Proto, Via: s.Via, Client: s.Client, Server: s.Server, Start: s.Start, Joined: s.Joined}
	}
	return f
}

// pass hands on what was captured since the last time.
func (f *fan) pass(e *Engine) {
	events, cause := f.s.Take(f.buf)
	for i, c := range f.copies {
		if f.players == nil {
			break // ended already
		}
		if len(events) > 0 {
			c.Append(events...)
		}
		c.End(cause)
		f.players[i].shard.push(f.players[i])
	}
	if f.buf = events; cap(events) > keepRoom {
		f.buf = nil
	}
	if cause != session.Live {
		f.copies, f.players = nil, nil
		delete(e.fans, f)
	}
}
