package replay

import (
	"strings"
	"testing"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

func stopEarly(c *Config) { c.StopEarly = true }

// Sessions that go on over another connection when the application ends one.
func TestGoOn(t *testing.T) {
	const ms = time.Millisecond
	asked := int64(len(get(1)))
	three := []string{get(1) + get(2), get(3)}
	rest := web(say(ok("three")))
	closing := func(last string) func(*peer) {
		return web(say(ok("one")), reply{pieces: []string{last}, then: "close"})
	}
	stage(t, []scene{
		{
			name: "it closes after an answer", tape: keepAlive(), serve: each(closing(ok("two")), rest),
			received: three, order: []string{"cscser", "csfe"}, release: causeCount{Exact: 3, Boundary: 1},
			verdicts: verdictCount{compare.Identical: 3},
		},
		{
			name: "it says that it closes, with an answer until the close", tape: keepAlive(),
			serve:    each(closing("HTTP/1.0 200 OK\r\n\r\ntwo"), rest),
			received: three, verdicts: verdictCount{compare.Identical: 2, compare.Different: 1},
		},
		{
			name: "it closes after each answer", tape: keepAlive(),
			serve: each(web(reply{pieces: []string{ok("one")}, then: "close"}), web(reply{pieces: []string{ok("two")}, then: "close"}),
				web(reply{pieces: []string{ok("three")}, then: "close"})),
			received: []string{get(1), get(2), get(3)}, verdicts: verdictCount{compare.Identical: 3},
		},
		{
			name: "it closes while the client thinks", tape: record().client(get(1)).answer(ok("one")).later(time.Minute).client(get(2)).answer(ok("two")).clientFIN().serverFIN(),
			config:   func(c *Config) { c.Pace = NewPace(1) },
			serve:    each(web(reply{pieces: []string{ok("one")}, then: "close"}), web(say(ok("two")))),
			received: []string{get(1), get(2)}, took: time.Minute + 6*ms, verdicts: verdictCount{compare.Identical: 2},
		},
		{
			name: "it closes at once, always", tape: keepAlive(), serve: func(p *peer) { p.end(true) }, state: "closed-early",
			received: []string{""}, bytes: fateBytes{session.ClosedEarly: 3 * asked}, verdicts: verdictCount{compare.Missing: 3},
			timing: true, // slowly, its kernel resets what came after the close
		},
		{
			name: "it resets instead of answering", tape: keepAlive(),
			serve:    each(web(say(ok("one")), reply{after: 10 * ms, then: "reset"}), rest),
			received: three, verdicts: verdictCount{compare.Identical: 2, compare.Missing: 1}, state: "unanswered",
		},
		{
			name: "it resets in the middle of an answer", tape: keepAlive(),
			serve:    each(web(say(ok("one")), reply{after: 10 * ms, pieces: []string{ok("two")[:20], ""}, pause: ms, then: "reset"}), rest),
			received: three, verdicts: verdictCount{compare.Identical: 2, compare.Different: 1},
		},
		{
			name: "it refuses the connection that follows", tape: keepAlive(), serve: closing(ok("two")),
			dialed:   func(n int) error { return []error{nil, ErrRefused}[min(n, 1)] },
			received: three[:1], state: "reset", bytes: fateBytes{session.Delivered: 2 * asked, session.Refused: asked},
			verdicts: verdictCount{compare.Identical: 2, compare.Missing: 1},
		},
		{
			name: "it turns an upload down", wire: wire{room: 150},
			tape: func() *tape {
				r := record().client(get(1)).answer(ok("one"))
				body := post(2, strings.Repeat("u", 400))
				for i := range 4 {
					r.client(body[i*len(body)/4 : (i+1)*len(body)/4])
				}
				return r.answer(ok("stored")).client(get(3)).answer(ok("three")).clientFIN().serverFIN()
			}(),
			serve: each(func(p *peer) {
				p.get()
				p.send(ok("one"))
				p.filled() // to read it would make room
				p.act("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", "close")
			}, rest),
			received: []string{get(1) + post(2, strings.Repeat("u", 400))[:150], get(3)}, state: "closed-early",
			bytes:    fateBytes{session.Delivered: 2*asked + 150, session.ClosedEarly: int64(len(post(2, strings.Repeat("u", 400)))) - 150},
			verdicts: verdictCount{compare.Identical: 2, compare.Different: 1}, timing: true,
		},
		{
			name:     "pipelined requests that it no longer answers",
			tape:     record().client(get(1) + get(2)).answer(ok("one") + ok("two")).client(get(3)).answer(ok("three")).clientFIN().serverFIN(),
			serve:    each(func(p *peer) { p.get(); p.act(ok("one"), "close") }, rest),
			received: three, verdicts: verdictCount{compare.Identical: 2, compare.Missing: 1}, state: "unanswered",
		},
		{
			name: "HEAD, whose answer has no body", // the new connection's framer must know the method
			tape: record().client(get(1)).answer(ok("one")).client("HEAD / HTTP/1.1\r\n\r\n").answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").
				client(get(3)).answer(ok("three")).clientFIN().serverFIN(),
			serve: each(web(reply{pieces: []string{ok("one")}, then: "close"}),
				web(say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), say(ok("three")))),
			received: []string{get(1), "HEAD / HTTP/1.1\r\n\r\n" + get(3)}, verdicts: verdictCount{compare.Identical: 3}, took: 0,
		},
		{
			name:  "an unknown protocol ends there",
			tape:  record().client("one\n").answer("1\n").client("two\n").answer("2\n").clientFIN().serverFIN(),
			serve: turns("one\n", reply{pieces: []string{"1\n"}, then: "close"}), state: "closed-early",
			received: []string{"one\n"}, bytes: fateBytes{session.Delivered: 4, session.ClosedEarly: 4},
			verdicts: verdictCount{compare.Identical: 1, compare.Missing: 1},
		},
		{
			name: "and a gap after that", // as in TestGap, where it stops
			tape: record().client(get(1)).answer(ok("one")).client(get(2)).answer(ok("two")).clientGap(10).answer(ok("lost")).client(get(3)).answer(ok("three")).clientFIN().serverFIN(),
			serve: func(p *peer) {
				p.get()
				p.act(ok("one"), "close")
			},
			received: []string{get(1), get(2), get(3)}, order: []string{"cser", "cser", "csef"}, timing: true,
		},
	})
}

// What production did about a connection, in every order.
func TestProductionCloses(t *testing.T) {
	asked := get(1)
	answered := func() *tape { return record().client(asked).answer(ok("one")) }
	web := web(say(ok("one")))
	stage(t, []scene{
		{name: "the client first", tape: answered().clientFIN().serverFIN(), serve: web, received: []string{asked}, order: []string{"csfe"}},
		{
			name: "the server first", tape: answered().serverFIN().clientFIN(), received: []string{asked}, order: []string{"csef"},
			serve: turns(asked, reply{pieces: []string{ok("one")}, then: "close"}),
		},
		{name: "both at once", tape: answered().serverFIN().clientFIN().unaware(), serve: web, received: []string{asked}, order: []string{"csfe"}},
		{name: "the server resets instead of answering", tape: record().client(asked).serverRST(), end: session.Reset, serve: web, received: []string{asked},
			took: 5 * time.Second, verdicts: verdictCount{compare.Uncompared: 1}, // for the application's close
			timing: true},
		{name: "the client resets with data in flight", tape: answered().client(get(2)).clientRST(), end: session.Reset, serve: web,
			received: []string{asked + get(2)}, order: []string{"cscr"}},
		{name: "it refused the connection", tape: resume().add(session.Event{Kind: session.Open}).serverRST(), end: session.Reset, serve: web,
			state: "skipped", bytes: fateBytes{}},
		{name: "it did not answer the SYN", tape: resume().add(session.Event{Kind: session.Open}), end: session.Idle, serve: web,
			state: "skipped", bytes: fateBytes{}},
		{name: "nobody says anything", tape: record(), end: session.Idle, serve: web, received: []string{""}, bytes: fateBytes{}},
	})
}

// Nothing waits for the application.
func TestNoWait(t *testing.T) {
	const ms = time.Millisecond
	noWait := func(c *Config) { c.NoWait = true }
	three := get(1) + get(2) + get(3)
	stage(t, []scene{
		{
			name: "slow answers", tape: keepAlive(), config: noWait,
			serve:    web(reply{after: 300 * ms, pieces: []string{ok("one")}}, reply{after: 300 * ms, pieces: []string{ok("two")}}, say(ok("three"))),
			received: []string{three}, order: []string{"cfse"}, took: 600 * ms,
			release: causeCount{Exact: 1, Unawaited: 3}, verdicts: verdictCount{compare.Identical: 3}, timing: true,
		},
		{
			name: "no answers at all", tape: keepAlive(), config: noWait, serve: web(reply{then: "hang"}),
			received: []string{three}, order: []string{"cf"}, took: 5 * time.Second, state: "unanswered",
			verdicts: verdictCount{compare.Missing: 3}, timing: true,
		},
		{
			name:   "at its pace",
			tape:   record().client(get(1)).answer(ok("one")).later(time.Second).client(get(2)).answer(ok("two")).clientFIN().serverFIN(),
			config: func(c *Config) { c.NoWait, c.Pace = true, NewPace(1) }, serve: web(reply{after: 4 * time.Second, pieces: []string{ok("one")}}, say(ok("two"))),
			received: []string{get(1) + get(2)}, at: []time.Duration{2 * ms, 1006 * ms, 4002 * ms, 4002 * ms}, order: []string{"cfse"},
			verdicts: verdictCount{compare.Identical: 2}, timing: true,
		},
		{
			name:   "turns of an unknown protocol cannot be told apart",
			tape:   record().client("one\n").answer("1\n").client("two\n").answer("2\n").clientFIN().serverFIN(),
			config: noWait, serve: turns("one\n", reply{after: ms, pieces: []string{"1\n"}}, "two\n", say("2\n")),
			received: []string{"one\ntwo\n"}, verdicts: verdictCount{compare.Uncompared: 2}, timing: true,
		},
	})
}

// What the application did not read on a connection that it then reset says
// nothing of the next one: the session waits for its next request's time.
func TestBlockedConnectionIsForgotten(t *testing.T) {
	first := post(1, string(make([]byte, 5000)))
	stage(t, []scene{{
		name: "a minute later", tape: record().client(get(0)).answer(ok("zero")).client(first[:2000]).client(first[2000:]).answer(ok("one")).later(time.Minute).client(get(2)).answer(ok("two")).clientFIN().serverFIN(),
		config: func(c *Config) { c.Pace = NewPace(1) }, timing: true,
		wire: wire{room: 1000},
		serve: each(func(p *peer) {
			p.get()
			p.send(ok("zero"))
			time.Sleep(time.Second) // of the bubble
			p.act("", "reset")
		}, web(say(ok("two")))),
		received: []string{get(0) + first[:1000], get(2)}, state: "reset",
		bytes: fateBytes{session.Delivered: int64(len(get(0)+get(2))) + 1000, session.Refused: int64(len(first)) - 1000},
	}})
}
