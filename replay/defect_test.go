package replay

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"tcpsandbox/session"
)

// tamperer is a connection that puts a bin of its player's ledger off.
type tamperer struct {
	Conn
	tamper func()
}

func (c *tamperer) Write(p []byte) (int, error) {
	c.tamper()
	c.tamper = func() {}
	return c.Conn.Write(p)
}

// A ledger that is off is a defect, and named as one: in each session, also
// where two sessions make up for each other, and in the sum.
func TestDefectsAreFound(t *testing.T) {
	for _, tt := range []struct {
		name     string
		first    session.Ledger // what goes wrong in the first session
		second   session.Ledger
		sessions []string // named as defects
		sum      bool
	}{
		{name: "all is well"},
		{name: "a byte too many", first: session.Ledger{session.Delivered: 1}, sessions: []string{"session 1 "}, sum: true},
		{name: "a byte too few", second: session.Ledger{session.Delivered: -1}, sessions: []string{"session 2 "}, sum: true},
		{name: "each off, and the sum right", first: session.Ledger{session.Shed: 5}, second: session.Ledger{session.Delivered: -5},
			sessions: []string{"session 1 ", "session 2 "}},
		{name: "less than nothing in a bin, and the sum right", first: session.Ledger{session.Shed: -5, session.Delivered: 5},
			sessions: []string{"session 1 "}, sum: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{serve: web(say(ok("")))}
				sessions := []*session.Session{
					{ID: 1, Client: clientAddr, Server: serverAddr},
					{ID: 2, Client: clientAddr, Server: serverAddr},
				}
				wrong := []*session.Ledger{&tt.first, &tt.second}
				dials := 0
				e := New(Config{})
				e.cfg.Dial = func(client, server netip.AddrPort, wake func()) (Conn, error) {
					conn, err := n.dial(client, server, wake)
					i := dials
					dials++
					return &tamperer{conn, func() { sessions[i].Owner.(*player).ledger.Add(wrong[i]) }}, err
				}
				ctx, stop := context.WithCancel(context.Background())
				ran := make(chan struct{})
				go func() { e.Run(ctx); close(ran) }()
				for _, s := range sessions {
					s.Append(record().client(get(1)).answer(ok("")).clientFIN().serverFIN().events...)
					s.End(session.Closed)
				}
				e.Feed(sessions)
				if err := e.Drain(ctx); err != nil {
					t.Error(err)
				}
				stop()
				<-ran
				res := e.Finish()
				want := len(tt.sessions)
				if tt.sum {
					want++
				}
				if len(res.Defects) != want {
					t.Errorf("defects %q, want %d", res.Defects, want)
				}
				for _, s := range tt.sessions {
					if !strings.Contains(strings.Join(res.Defects, "\n"), s) {
						t.Errorf("defects %q do not name %s", res.Defects, s)
					}
				}
			})
		})
	}
}
