package replay

import "tcpsandbox/session"

// fan passes a captured session on to several readers. It is the session's one
// reader and gives each of them a record of its own to follow, whose events
// share the captured bytes. An engine has one for the copies of a session, see
// multiply.go, and a Tee one for its engines; under their lock.
type fan struct {
	s      *session.Session
	copies []*session.Session // nil when all was passed on
	buf    []session.Event
}

// newFan becomes the reader of s and makes n copies of it.
func newFan(s *session.Session, n int) *fan {
	f := &fan{s: s, copies: make([]*session.Session, n)}
	for i := range f.copies {
		f.copies[i] = &session.Session{ID: s.ID, Proto: s.Proto, Via: s.Via, Client: s.Client, Server: s.Server, Start: s.Start, Joined: s.Joined}
	}
	s.Owner = f
	return f
}

// pass hands on what was captured since the last time. It returns the copies
// that have news, and whether the record has ended: there will be no more.
func (f *fan) pass() (news []*session.Session, over bool) {
	events, cause := f.s.Take(f.buf)
	news = f.copies
	for _, c := range news {
		if len(events) > 0 {
			c.Append(events...)
		}
		c.End(cause)
	}
	if f.buf = events; cap(events) > keepRoom {
		f.buf = nil
	}
	if cause != session.Live {
		f.copies = nil
	}
	return news, cause != session.Live
}
