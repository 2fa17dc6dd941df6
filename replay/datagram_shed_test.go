package replay

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// A flow that was shed with a question open goes on, but the answer to that
// question is not taken for one to the next.
func TestDatagramFlowGoesOnAfterShed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		big := strings.Repeat("A", 10<<10)
		at := &endpoint{serve: asked(map[string]reply{"a": in(50*ms, big), "b": in(100*ms, "B"), "c": in(ms, "C")})}
		e := New(Config{DialUDP: at.dial, MaxHeld: 8 << 10})
		ctx, stop := context.WithCancel(context.Background())
		ran := make(chan struct{})
		go func() { e.Run(ctx); close(ran) }()
		s := &session.Session{ID: 1, Proto: session.UDP, Client: clientAddr, Server: serverAddr, Start: time.Now()}
		s.Append(resume().client("a").answer(big).events...)
		e.Feed([]*session.Session{s})
		time.Sleep(10 * ms) // of the bubble: "a" is asked, and its answer is 40 ms away
		s.Append(resume().client("b").answer("B").client("c").answer("C").events...)
		s.End(session.Idle)
		e.Feed([]*session.Session{s})
		if err := e.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		stop()
		<-ran
		res := e.Finish()
		if got, want := at.sockets[0].received, []string{"a", "b", "c"}; !slices.Equal(got, want) {
			t.Errorf("received %q", got)
		}
		if v := res.Verdicts; v[compare.Different]+v[compare.Missing]+v[compare.Identical] > 0 || v[compare.Uncompared] == 0 {
			t.Errorf("verdicts %v", v)
		}
	})
}
