package replay

import (
	"strings"
	"testing"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// keepAlive is a session of three requests, each sent when the answer to the
// one before was here.
func keepAlive() *tape {
	return record().client(get(1)).answer(ok("one")).client(get(2)).answer(ok("two")).client(get(3)).answer(ok("three")).
		clientFIN().serverFIN()
}

func TestHTTP(t *testing.T) {
	three := get(1) + get(2) + get(3)
	ms := time.Millisecond
	stage(t, []scene{
		{
			name: "equal answers", tape: keepAlive(), serve: web(say(ok("one")), say(ok("two")), say(ok("three"))),
			received: []string{three}, order: []string{"cscscsfe"},
			release: causeCount{Exact: 4}, verdicts: verdictCount{compare.Identical: 3},
		},
		{
			name: "slower answers", tape: keepAlive(),
			serve:    web(reply{after: 300 * ms, pieces: []string{ok("one")}}, reply{after: 2 * time.Second, pieces: []string{ok("two")}}, say(ok("three"))),
			received: []string{three}, order: []string{"cscscsfe"},
			at:      []time.Duration{0, 300 * ms, 300 * ms, 2300 * ms, 2300 * ms, 2300 * ms, 2300 * ms, 2300 * ms},
			release: causeCount{Exact: 4}, verdicts: verdictCount{compare.Identical: 3}, took: 2300 * ms,
		},
		{
			name: "answers in pieces", tape: keepAlive(),
			serve:    web(reply{pieces: []string{"HTTP/1.1 200 OK\r\nConte", "nt-Length: 3\r\n\r\n", "on", "e"}, pause: 500 * ms}, say(ok("two")), say(ok("three"))),
			received: []string{three}, order: []string{"cscscsfe"},
			release: causeCount{Exact: 4}, verdicts: verdictCount{compare.Identical: 3}, took: 1500 * ms,
		},
		{
			name: "longer answers", tape: keepAlive(),
			serve:    web(reply{pieces: []string{ok("one and more"), ""}}, reply{pieces: []string{ok("two")[:10], ok("two")[10:]}, pause: 100 * ms}, say(ok("three"))),
			received: []string{three}, order: []string{"cscscsfe"},
			release:  causeCount{Exact: 1, Boundary: 3},
			verdicts: verdictCount{compare.Identical: 2, compare.Different: 1}, first: `line 2 word 5: "3" → "12"`,
		},
		{
			name: "a longer answer in pieces releases nothing in its middle", tape: keepAlive(),
			serve: web(reply{pieces: []string{ok(strings.Repeat("x", 1000))[:900], ok(strings.Repeat("x", 1000))[900:]}, pause: time.Second},
				say(ok("two")), say(ok("three"))),
			received: []string{three}, order: []string{"cscscsfe"},
			at:      []time.Duration{0, 0, 1000 * ms, 1000 * ms, 1000 * ms, 1000 * ms, 1000 * ms, 1000 * ms},
			release: causeCount{Exact: 1, Boundary: 3}, verdicts: verdictCount{compare.Identical: 2, compare.Different: 1},
		},
		{
			name: "shorter answers", tape: keepAlive(), serve: web(say(ok("")), say(ok("2")), say(ok("three"))),
			received: []string{three}, order: []string{"cscscsfe"},
			release: causeCount{Exact: 1, Boundary: 3}, verdicts: verdictCount{compare.Identical: 1, compare.Different: 2}, took: 0,
		},
		{
			name: "pipelined requests go out together", end: session.Closed,
			tape:     record().client(get(1)).client(get(2)).client(get(3)).answer(ok("one") + ok("two")).answer(ok("three")).clientFIN().serverFIN(),
			serve:    web(reply{after: 50 * ms, pieces: []string{ok("one")}}, say(ok("two")), say(ok("three"))),
			received: []string{three},
			release:  causeCount{Exact: 2}, verdicts: verdictCount{compare.Identical: 3},
		},
		{
			name: "pipelined in one segment, the next one after half the answers",
			tape: record().client(get(1) + get(2)).answer(ok("one") + ok("two")).client(get(3)).saw(len(ok("one"))).
				answer(ok("three")).clientFIN().serverFIN(),
			serve:    web(say(ok("one")), reply{after: 50 * ms, pieces: []string{ok("two")}}, say(ok("three"))),
			received: []string{three},
			verdicts: verdictCount{compare.Identical: 3},
		},
		{
			name: "a request begun in the segment of the one before",
			tape: record().client(get(1) + get(2)[:9]).answer(ok("one")).client(get(2)[9:]).answer(ok("two")).
				clientFIN().serverFIN(),
			serve:    web(reply{after: 10 * ms, pieces: []string{ok("1")}}, say(ok("two"))),
			received: []string{get(1) + get(2)}, order: []string{"cscsfe"},
			release: causeCount{Exact: 1, Boundary: 2}, verdicts: verdictCount{compare.Identical: 1, compare.Different: 1},
		},
		{
			name: "100-continue",
			tape: record().client(get(1)).answer(ok("one")).
				client("POST / HTTP/1.1\r\nExpect: 100-continue\r\nHost: a\r\nContent-Length: 6\r\n\r\n").answer(interim).
				client("abcdef").answer(ok("two")).client(get(3)).answer(ok("three")).clientFIN().serverFIN(),
			serve:    web(say(ok("one")), say(ok("two")), say(ok("three"))),
			received: []string{get(1) + "POST / HTTP/1.1\r\nExpect: 100-continue\r\nHost: a\r\nContent-Length: 6\r\n\r\nabcdef" + get(3)},
			order:    []string{"cscscscsfe"},
			release:  causeCount{Exact: 5}, verdicts: verdictCount{compare.Identical: 3},
		},
		{
			name: "an upload in many chunks is not serialised", end: session.Closed,
			tape: func() *tape {
				r := record()
				for _, c := range strings.SplitAfter(post(1, strings.Repeat("chunk ", 100)), " ") {
					r.client(c)
				}
				return r.answer(ok("stored")).clientFIN().serverFIN()
			}(),
			serve: web(say(ok("stored"))), wire: wire{perWrite: 5},
			received: []string{post(1, strings.Repeat("chunk ", 100))}, order: []string{"csfe"},
			release: causeCount{Exact: 2}, verdicts: verdictCount{compare.Identical: 1},
		},
		{
			name: "an upload larger than the buffers",
			tape: record().client(post(1, strings.Repeat("u", 10000))).answer(ok("stored")).client(get(2)).answer(ok("two")).clientFIN().serverFIN(),
			serve: func(p *peer) {
				time.Sleep(200 * ms) // of the bubble: the buffers are full by then
				web(say(ok("stored")), say(ok("two")))(p)
			},
			wire:     wire{room: 700, ackAfter: 7 * ms},
			received: []string{post(1, strings.Repeat("u", 10000)) + get(2)}, order: []string{"cscsfe"},
			verdicts: verdictCount{compare.Identical: 2},
		},
		{
			name:     "an answer that never comes",
			tape:     keepAlive(),
			serve:    web(say(ok("one")), reply{}, reply{}),
			received: []string{three}, order: []string{"cscfe"}, state: "unanswered",
			release: causeCount{Exact: 2, Timeout: 2}, verdicts: verdictCount{compare.Identical: 1, compare.Missing: 2},
			at: []time.Duration{0, 0, 0, 10 * time.Second, 10 * time.Second},
		},
		{
			name: "an answer that comes too late is still the first one's",
			tape: record().client(get(1)).answer(ok("one")).client(get(2)).answer(ok("two")).clientFIN().serverFIN(),
			serve: func(p *peer) {
				web(reply{after: 6 * time.Second, pieces: []string{ok("one")}}, say(ok("two")))(p)
			},
			received: []string{get(1) + get(2)}, order: []string{"csfe"},
			release: causeCount{Exact: 2, Timeout: 1}, verdicts: verdictCount{compare.Identical: 2},
		},
		{
			name:     "an answer that lasts until the close",
			tape:     record().client("GET / HTTP/1.0\r\n\r\n").answer("HTTP/1.0 200 OK\r\n\r\nall of it").serverFIN().clientFIN(),
			serve:    web(reply{pieces: []string{"HTTP/1.0 200 OK\r\n\r\nall", " of it"}, pause: 40 * ms, then: "close"}),
			received: []string{"GET / HTTP/1.0\r\n\r\n"}, order: []string{"csef"},
			release: causeCount{Exact: 2}, verdicts: verdictCount{compare.Identical: 1},
		},
		{
			name:     "no answers captured",
			tape:     record().client(get(1)).client(get(2)).saw(22).client(get(3)).saw(44).clientFIN().saw(66),
			serve:    web(say(ok("one")), say(ok("two")), say(ok("three"))),
			received: []string{three}, order: []string{"cscscsfe"},
			verdicts: verdictCount{compare.Uncompared: 3},
		},
		{
			name: "out of sync in a pipelined request",
			tape: record().client(get(1)).client("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n").saw(0).answer(ok("one") + ok("bad")).client("more").saw(0).
				client("and more").saw(0).clientFIN().serverFIN(),
			serve:    turns(get(1), say(ok("one")), "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", say(ok("bad"))),
			received: []string{get(1) + "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\nmoreand more"},
		},
		{
			name:  "production's answer is no HTTP",
			tape:  record().client(get(1)).answer("what?\n").client(get(2)).answer(ok("two")).clientFIN().serverFIN(),
			serve: web(say(ok("one")), say(ok("two"))), received: []string{get(1) + get(2)}, order: []string{"cscsfe"},
			verdicts: verdictCount{compare.Uncompared: 2},
		},
		{
			name: "the application's answer is no HTTP", tape: keepAlive(), serve: web(say("what?\n"), say(ok("two")), say(ok("three"))),
			received: []string{three}, order: []string{"cscscsfe"}, release: causeCount{Exact: 3, Quiet: 1},
			verdicts: verdictCount{compare.Identical: 2, compare.Different: 1},
		},
		{
			name:     "an answer nobody asked for",
			tape:     record().client(get(1)).answer(ok("one")).answer("HTTP/1.1 408 Too Slow\r\nContent-Length: 0\r\n\r\n").serverFIN().clientFIN(),
			serve:    web(reply{pieces: []string{ok("one"), "HTTP/1.1 408 Too Slow\r\nContent-Length: 0\r\n\r\n"}, pause: 50 * ms, then: "close"}),
			received: []string{get(1)}, order: []string{"csef"}, verdicts: verdictCount{compare.Identical: 1},
		},
		{
			name:     "requests out of sync",
			tape:     record().client("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n").answer(ok("bad")).client("more").saw(0).client("and more").saw(0).clientFIN().serverFIN(),
			serve:    turns("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", say(ok("bad"))),
			received: []string{"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\nmoreand more"},
		},
		{
			name: "upgrade",
			tape: record().client("GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n").answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n").
				answer("pushed").client("ping").answer("pong").client("bye").answer("end").clientFIN().serverFIN(),
			serve: turns("GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), reply{after: 3 * ms, pieces: []string{"pushed"}},
				"ping", say("pong"), "bye", say("end")),
			received: []string{"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\npingbye"}, order: []string{"cscscsfe"},
			verdicts: verdictCount{compare.Identical: 4}, release: causeCount{Exact: 4},
		},
		{
			name:     "the first line in three segments",
			tape:     record().client("G").client("ET / HT").client("TP/1.1\r\nHost: a\r\n\r\n").answer(ok("one")).client(get(2)).answer(ok("two")).clientFIN().serverFIN(),
			serve:    web(say(ok("one")), say(ok("2"))),
			received: []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + get(2)}, order: []string{"cscsfe"},
			release: causeCount{Exact: 2, Boundary: 1}, verdicts: verdictCount{compare.Identical: 1, compare.Different: 1},
		},
		{
			name: "a slow upload outlasts the answer's time-out",
			tape: record().client("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n").later(4 * time.Second).client("abc").later(4 * time.Second).client("def").
				later(time.Second).answer(ok("stored")).client(get(2)).answer(ok("two")).clientFIN().serverFIN(),
			serve:    web(reply{after: 4 * time.Second, pieces: []string{ok("stored")}}, say(ok("two"))),
			config:   func(c *Config) { c.Pace = NewPace(1) },
			received: []string{post(1, "abcdef") + get(2)}, order: []string{"cscsfe"},
			release: causeCount{Exact: 3}, verdicts: verdictCount{compare.Identical: 2},
		},
	})
}
