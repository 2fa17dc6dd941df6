package replay

import (
	"context"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"tcpsandbox/session"
)

// While half of what may be held is left of connections, no other one is made: what
// would be played on it is shed. It goes on when they are gone.
func TestCrowded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &network{serve: web(), wire: wire{stays: true}}
		e := New(Config{Dial: net.dial, AnswerTimeout: time.Second, MaxHeld: 10 * connCost})
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { e.Run(ctx); close(ran) }()
		id := uint64(0)
		play := func() {
			id++
			client := netip.AddrPortFrom(clientAddr.Addr(), uint16(20000+id))
			s := &session.Session{ID: id, Client: client, Server: serverAddr, Start: time.Now()}
			s.Append(session.Event{Kind: session.Open}, session.Event{Kind: session.Data, Data: []byte(get(1))}, session.Event{Kind: session.Data, Side: session.Server, Data: []byte(ok(""))},
				session.Event{Kind: session.FIN, Seen: uint64(len(ok("")))}, session.Event{Kind: session.FIN, Side: session.Server})
			s.End(session.Closed)
			e.Feed([]*session.Session{s})
			time.Sleep(time.Minute) // of the bubble: it is over
			synctest.Wait()
		}
		for range 20 {
			play()
		}
		if n := len(net.peers); n != 6 { // the sixth makes more than half
			t.Errorf("%d connections were made", n)
		}
		if shed := e.Counts().ShedFor[ShedMemory]; shed != 14 {
			t.Errorf("%d sessions were shed", shed)
		}
		for _, p := range net.peers {
			p.goes()
		}
		if now, _ := e.Held(); now != 0 {
			t.Errorf("%d bytes are held", now)
		}
		play()
		if n := len(net.peers); n != 7 {
			t.Errorf("%d connections were made afterwards", n)
		}
		stop()
		<-ran
		e.Finish()
	})
}

// A connection that stays when its player is done, since its SYN is not answered,
// keeps neither the session nor the captured bytes.
func TestAbandonedConnectionsKeepNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &network{serve: web(), wire: wire{never: true}}
		e := New(Config{Dial: net.dial, AnswerTimeout: time.Second})
		var kept weak.Pointer[session.Session]
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { e.Run(ctx); close(ran) }()
		func() {
			s := &session.Session{ID: 1, Client: clientAddr, Server: serverAddr, Start: time.Now()}
			kept = weak.Make(s)
			s.Append(session.Event{Kind: session.Open}, session.Event{Kind: session.Data, Data: []byte(get(1))},
				session.Event{Kind: session.Data, Side: session.Server, Data: []byte(ok(""))},
				session.Event{Kind: session.FIN, Seen: uint64(len(ok("")))})
			s.End(session.Closed)
			e.Feed([]*session.Session{s})
			synctest.Wait()
		}()
		stop()
		<-ran
		e.Finish() // it gives up
		if len(net.peers) != 1 {
			t.Fatalf("%d connections", len(net.peers))
		}
		runtime.GC()
		if kept.Value() != nil {
			t.Error("the session is still there")
		}
		if now, _ := e.Held(); now != connCost {
			t.Errorf("%d bytes are held for what is left of the connection, want %d", now, connCost)
		}
		net.peers[0].goes()
		net.peers[0].wake()
		if now, _ := e.Held(); now != 0 {
			t.Errorf("%d bytes are held for what is gone", now)
		}
	})
}
