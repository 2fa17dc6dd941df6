package replay

import (
	"testing"
	"time"

	"tcpsandbox/session"
)

// How the ends of the connections compare, whatever the answers.
func TestClosing(t *testing.T) {
	asked := func() *tape { return record().client("quit\n").answer("bye\n") }
	bye := say("bye\n")
	closing := func(then string) func(*peer) {
		return turns("quit\n", reply{pieces: []string{"bye\n"}}, reply{after: 20 * time.Millisecond, then: then})
	}
	waits := turns("quit\n", bye) // for the client's close
	one := []string{"quit\n"}
	stage(t, []scene{
		{name: "both first", tape: asked().serverFIN().clientFIN(), serve: closing("close"), received: one, ends: "identical"},
		{name: "both after the client", tape: asked().clientFIN().serverFIN(), serve: waits, received: one, ends: "identical"},
		{name: "only when the client had", tape: asked().serverFIN().clientFIN(), serve: waits, received: one, ends: "close late"},
		{name: "never", tape: asked().serverFIN().clientFIN(), serve: turns("quit\n", bye, reply{then: "hang"}), received: one, ends: "close missing"},
		{name: "not even when the client had", tape: asked().clientFIN().serverFIN(), serve: turns("quit\n", bye, reply{then: "hang"}), received: one, ends: "close missing"},
		{name: "before the client", tape: asked().later(2 * time.Second).clientFIN().serverFIN(), serve: closing("close"), received: one, ends: "close early",
			config: paced},
		{name: "at the same moment", tape: asked().serverFIN().clientFIN().unaware(), serve: waits, received: one, ends: "identical"},
		{name: "reset by both", end: session.Reset, tape: asked().serverRST(), serve: closing("reset"), received: one, ends: "identical"},
		{name: "reset by production only", end: session.Reset, tape: asked().serverRST(), serve: closing("close"), received: one, ends: "close not reset"},
		{name: "reset by the application only", tape: asked().later(time.Second).clientFIN().serverFIN(), serve: closing("reset"), received: one, ends: "close reset",
			config: paced, state: "reset"},
		{name: "the client's reset", end: session.Reset, tape: asked().clientRST(), serve: waits, received: one, ends: "uncompared"},
		{name: "the end was not captured", end: session.CaptureEnd, tape: asked(), serve: waits, received: one, ends: "identical"},
		{name: "an earlier connection", tape: keepAlive(), end: session.CaptureEnd,
			serve: web(reply{pieces: []string{ok("one")}, then: "close"}), ends: "close early", received: []string{get(1), get(2), get(3)}, timing: true},
	})
}

// paced plays a session no sooner than it was captured.
func paced(cfg *Config) { cfg.Pace = NewPace(1) }
