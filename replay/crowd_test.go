package replay

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"tcpsandbox/session"
)

// crowd is several sessions, fed at once or as they were captured, with
// virtual time.
type crowd struct {
	sessions []*session.Session
	tapes    []*tape
	config   Config
	serve    func(*peer)
	wire     wire
	// live: events are fed when they happen, counted from the first session's
	// start.
	live bool
	// limit is set before anything is fed; during runs beside.
	limit  *Share
	during func(*Engine)
	end    session.Cause // Closed unless said
}

// add adds a session that begins so long after the first.
func (c *crowd) add(client netip.AddrPort, begins time.Duration, t *tape) *session.Session {
	s := &session.Session{ID: uint64(len(c.sessions) + 1), Client: client, Server: serverAddr, Start: time.Now().Add(begins)}
	c.sessions = append(c.sessions, s)
	c.tapes = append(c.tapes, t)
	return s
}

// run plays the crowd to its end, in a bubble or with the real clock.
func (c *crowd) run(t *testing.T) (*Result, []Record, *network) {
	t.Helper()
	n := &network{serve: c.serve, wire: c.wire}
	var records []Record
	var mu sync.Mutex
	c.config.Dial, c.config.Ended = n.dial, func(r *Record) {
		mu.Lock()
		records = append(records, *r)
		mu.Unlock()
	}
	e := New(c.config)
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() { e.Run(ctx); close(ran) }()
	if c.limit != nil {
		e.Limit(*c.limit)
	}
	if c.during != nil {
		go c.during(e)
	}
	if c.live {
		c.happen(e)
	} else {
		for i, s := range c.sessions {
			s.Append(c.tapes[i].events...)
			s.End(max(c.end, session.Closed))
		}
		e.Feed(c.sessions)
	}
	if err := e.Drain(ctx); err != nil {
		t.Error(err)
	}
	stop()
	<-ran
	res := e.Finish()
	var captured int64
	for i, r := range records {
		captured += r.Captured
		if err := r.Bytes.Check(r.Captured); err != nil {
			t.Errorf("record %d: %v", i, err)
		}
	}
	if len(res.Defects) > 0 || len(records) != res.Seen || res.Captured != captured || res.Finished+res.Failed+res.Skipped != res.Seen {
		t.Errorf("%d records, result %+v", len(records), res)
	}
	if now, _ := e.Held(); now != 0 {
		t.Errorf("%d bytes are held when all have ended", now)
	}
	if len(e.fans) > 0 {
		t.Errorf("%d fans are left", len(e.fans))
	}
	return res, records, n
}

// happen feeds each event at its time, to an engine or to a Tee.
func (c *crowd) happen(e interface{ Feed([]*session.Session) }) {
	began := time.Now()
	for {
		var next time.Duration = -1
		var batch []*session.Session
		for i, s := range c.sessions {
			tape := c.tapes[i]
			if tape == nil {
				continue
			}
			fed := len(batch)
			for len(tape.events) > 0 {
				at := s.Start.Add(tape.events[0].At).Sub(began)
				if at > time.Since(began) {
					if next < 0 || at < next {
						next = at
					}
					break
				}
				s.Append(tape.events[0])
				tape.events = tape.events[1:]
				if len(batch) == fed {
					batch = append(batch, s)
				}
			}
			if len(tape.events) == 0 {
				s.End(max(c.end, session.Closed))
				c.tapes[i] = nil
			}
		}
		e.Feed(batch)
		if next < 0 {
			return
		}
		time.Sleep(next - time.Since(began)) // the bubble's clock: until the next event was captured
	}
}

// clientNumber returns one of many different clients.
func clientNumber(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), uint16(40000+i%7))
}
