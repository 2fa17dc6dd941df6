package replay

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// How sessions and connections end.
func TestClose(t *testing.T) {
	ms := time.Millisecond
	refused := fmt.Errorf("connect: %w", ErrRefused)
	inUse := func(times int) func(int) error {
		return func(n int) error {
			if n < times {
				return fmt.Errorf("dial: %w", ErrInUse)
			}
			return nil
		}
	}
	asked := int64(len(get(1)))
	stage(t, []scene{
		{
			name: "half-close, and data that comes back after it",
			tape: record().client("sort\nb\na\n").clientFIN().answer("a\nb\n").serverFIN(),
			serve: func(p *peer) {
				for {
					if _, err := p.get(); err != nil {
						break
					}
				}
				time.Sleep(400 * ms) // of the bubble: it sorts
				p.send("a\n")
				time.Sleep(400 * ms)
				p.send("b\n")
				p.end(true)
			},
			received: []string{"sort\nb\na\n"}, order: []string{"cfse"}, took: 800 * ms,
			release: causeCount{Exact: 1}, verdicts: verdictCount{compare.Identical: 1},
		},
		{
			name: "FIN waits for the answer", tape: record().client(get(1)).answer(ok("one")).clientFIN().serverFIN(),
			serve:    web(reply{after: 3 * time.Second, pieces: []string{ok("one")}}),
			received: []string{get(1)}, order: []string{"csfe"}, took: 3 * time.Second,
		},
		{
			name: "FIN before the answer", tape: record().client(get(1)).clientFIN().answer(ok("one")).serverFIN(),
			serve:    web(reply{after: 1300 * ms, pieces: []string{ok("one")}}),
			received: []string{get(1)}, order: []string{"cfse"}, took: 1300 * ms, verdicts: verdictCount{compare.Identical: 1},
		},
		{
			name:     "FIN in the middle of the answer",
			tape:     record().client(get(1)).answer(ok("one")).client(get(2)).answer(ok("two and a half")[:40]).clientFIN().answer(ok("two and a half")[40:]).serverFIN(),
			serve:    web(say(ok("one, longer than production's, much longer than production's")), reply{after: 50 * ms, pieces: []string{ok("two and a half")[:40], ok("two and a half")[40:]}, pause: 50 * ms}),
			received: []string{get(1) + get(2)}, order: []string{"cscsfse"},
			release: causeCount{Exact: 2, Boundary: 1}, verdicts: verdictCount{compare.Different: 1, compare.Identical: 1},
			timing: true, // slowly, the whole answer is here before FIN
		},
		{
			name: "nothing but the handshake", tape: record().clientFIN().serverFIN(), serve: web(),
			received: []string{""}, order: []string{"fe"}, bytes: fateBytes{},
		},
		{
			name:     "the application's close is waited for",
			tape:     record().client("quit\n").answer("bye\n").serverFIN().clientFIN(),
			serve:    turns("quit\n", reply{pieces: []string{"bye\n"}}, reply{after: 2 * time.Second, then: "close"}),
			received: []string{"quit\n"}, order: []string{"csef"}, took: 2 * time.Second,
			release: causeCount{Exact: 2},
		},
		{
			name:     "the application's close is not waited for for ever",
			tape:     record().client("quit\n").answer("bye\n").serverFIN().clientFIN(),
			serve:    turns("quit\n", say("bye\n"), reply{then: "hang"}),
			received: []string{"quit\n"}, order: []string{"csf"}, took: 10 * time.Second, // until FIN, and after it
			release: causeCount{Exact: 1, Timeout: 1},
		},
		{
			name:     "FIN without knowledge of the server's does not wait for it",
			tape:     record().client("quit\n").answer("bye\n").serverFIN().clientFIN().unaware(),
			serve:    turns("quit\n", say("bye\n")),
			received: []string{"quit\n"}, order: []string{"csfe"}, release: causeCount{Exact: 2},
		},
		{
			name: "RST waits until what was sent has arrived", end: session.Reset,
			tape:  record().client(get(1)).answer(ok("one")).client(get(2)).clientRST(),
			serve: web(say(ok("one")), reply{then: "hang"}), wire: wire{ackAfter: 300500 * time.Microsecond},
			received: []string{get(1) + get(2)}, order: []string{"cscr"}, took: 301 * ms,
			verdicts: verdictCount{compare.Identical: 1, compare.Uncompared: 1},
		},
		{
			name: "RST does not wait for ever", end: session.Reset,
			tape:  record().client(get(1)).clientRST(),
			serve: web(reply{then: "hang"}), wire: wire{noAcks: true},
			received: []string{get(1)}, order: []string{"cr"}, took: time.Second, state: "pending",
			bytes: fateBytes{session.Pending: asked},
		},
		{
			name: "RST after the answer", end: session.Reset,
			tape:     record().client(get(1)).answer(ok("one")).clientRST(),
			serve:    web(reply{after: 700 * ms, pieces: []string{ok("one")}}),
			received: []string{get(1)}, order: []string{"csr"}, took: 700 * ms, verdicts: verdictCount{compare.Identical: 1},
		},
		{
			name: "RST that knows of a FIN which never comes", end: session.Reset,
			tape:  record().client(get(1)).answer(ok("one")).serverFIN().clientRST(),
			serve: web(say(ok("one")), reply{}), wire: wire{ackAfter: 5500500 * time.Microsecond},
			received: []string{get(1)}, order: []string{"csr"}, took: 5501 * ms,
			release: causeCount{Exact: 1, Timeout: 1},
		},
		{
			name: "the server's RST", end: session.Reset,
			tape:     record().client(get(1)).answer(ok("one")).serverRST(),
			serve:    web(say(ok("one")), reply{}),
			received: []string{get(1)}, took: 5 * time.Second, verdicts: verdictCount{compare.Identical: 1},
		},
		{
			name: "the server's RST, and the application's", end: session.Reset,
			tape:     record().client("quit\n").answer("bye\n").serverRST(),
			serve:    turns("quit\n", reply{pieces: []string{"bye\n"}}, reply{after: 90 * ms, then: "reset"}),
			received: []string{"quit\n"}, verdicts: verdictCount{compare.Identical: 1}, took: 90 * ms,
		},
		{
			name: "refused", tape: keepAlive(), wire: wire{connect: 5 * ms, fails: refused},
			received: []string{""}, state: "refused", bytes: fateBytes{session.Refused: 3 * asked}, verdicts: verdictCount{compare.Missing: 3},
		},
		{
			name: "Dial fails", tape: keepAlive(), dialed: func(int) error { return refused },
			state: "refused", bytes: fateBytes{session.Refused: 3 * asked},
		},
		{
			name: "unsupported", tape: keepAlive(), dialed: func(int) error { return fmt.Errorf("dial: %w", ErrUnsupported) },
			state: "unsupported", bytes: fateBytes{session.Unsupported: 3 * asked}, dials: 1,
		},
		{
			name: "the address is in use for a while", tape: keepAlive(), dialed: inUse(10),
			serve: web(say(ok("one")), say(ok("two")), say(ok("three"))), wire: wire{connect: 8 * ms},
			received: []string{get(1) + get(2) + get(3)}, dials: 11, took: 28 * ms,
		},
		{
			name: "the application is down for a while", tape: keepAlive(), dialed: func(n int) error {
				if n < 10 {
					return fmt.Errorf("dial: %w", ErrDown)
				}
				return nil
			},
			serve: web(say(ok("one")), say(ok("two")), say(ok("three"))), wire: wire{connect: 8 * ms},
			received: []string{get(1) + get(2) + get(3)}, dials: 11, took: 28 * ms,
		},
		{
			name: "the address stays in use", tape: keepAlive(), dialed: inUse(1 << 30),
			state: "refused", bytes: fateBytes{session.Refused: 3 * asked}, took: 10 * time.Second,
		},
		{
			name: "nobody answers the SYN", tape: record().client(get(1)).clientFIN(), wire: wire{never: true},
			received: []string{""}, state: "pending", bytes: fateBytes{session.Pending: asked}, cut: time.Second,
		},
		{
			name: "the application resets in the middle", tape: keepAlive(), config: stopEarly,
			serve:    web(say(ok("one")), reply{after: 10 * ms, then: "reset"}),
			received: []string{get(1) + get(2)}, state: "reset",
			bytes:    fateBytes{session.Delivered: 2 * asked, session.Refused: asked},
			verdicts: verdictCount{compare.Identical: 1, compare.Missing: 2},
		},
		{
			name: "the application resets in the middle of an answer", tape: keepAlive(), config: stopEarly,
			serve:    web(say(ok("one")), reply{after: 10 * ms, pieces: []string{ok("two")[:20], ""}, pause: ms, then: "reset"}),
			received: []string{get(1) + get(2)}, state: "reset",
			bytes:    fateBytes{session.Delivered: 2 * asked, session.Refused: asked},
			verdicts: verdictCount{compare.Identical: 1, compare.Different: 1, compare.Missing: 1},
		},
		{
			name: "the application closes early", tape: keepAlive(), config: stopEarly,
			serve:    web(say(ok("one")), reply{pieces: []string{ok("two")}, then: "close"}),
			received: []string{get(1) + get(2)}, state: "closed-early",
			bytes:    fateBytes{session.Delivered: 2 * asked, session.ClosedEarly: asked},
			verdicts: verdictCount{compare.Identical: 2, compare.Missing: 1},
		},
		{
			name: "the application closes early in an upload",
			tape: func() *tape {
				r := record()
				body := post(1, strings.Repeat("u", 400))
				for i := range 4 {
					r.client(body[i*len(body)/4 : (i+1)*len(body)/4])
				}
				return r.answer(ok("stored")).clientFIN().serverFIN()
			}(),
			serve: func(p *peer) {
				p.filled() // to read it would make room
				p.act("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", "close")
			},
			wire:     wire{room: 150},
			received: []string{post(1, strings.Repeat("u", 400))[:150]}, state: "closed-early",
			bytes:    fateBytes{session.Delivered: 150, session.ClosedEarly: int64(len(post(1, strings.Repeat("u", 400)))) - 150},
			verdicts: verdictCount{compare.Different: 1}, timing: true,
		},
		{
			name: "production's server had half-closed before",
			tape: record().client("get\n").answer("all\n").serverFIN().client("thanks\n").client("really\n").clientFIN(),
			serve: func(p *peer) {
				p.get()
				p.act("all\n", "shut")
				for {
					if _, err := p.get(); err != nil {
						return
					}
				}
			},
			received: []string{"get\nthanks\nreally\n"}, order: []string{"csecf"},
		},
		{
			name: "the capture ends before the answer", end: session.CaptureEnd,
			tape:     record().client(get(1)).answer(ok("one")).client(get(2)),
			serve:    web(say(ok("one")), reply{after: time.Second, pieces: []string{ok("two")}}),
			received: []string{get(1) + get(2)}, verdicts: verdictCount{compare.Identical: 1, compare.Uncompared: 1}, took: time.Second,
		},
		{
			name: "the capture ends in an upload", end: session.CaptureEnd,
			tape:     record().client(get(1)).answer(ok("one")).client(post(2, "12345")[:40]),
			serve:    web(say(ok("one"))),
			received: []string{get(1) + post(2, "12345")[:40]}, verdicts: verdictCount{compare.Identical: 1, compare.Uncompared: 1}, took: 0,
		},
		{
			name: "idle", end: session.Idle,
			tape:     record().client(get(1)).answer(ok("one")),
			serve:    web(say(ok("one"))),
			received: []string{get(1)}, verdicts: verdictCount{compare.Identical: 1},
		},
		{
			name: "cut short while an answer is waited for", tape: keepAlive(),
			serve:    web(say(ok("one")), reply{then: "hang"}),
			received: []string{get(1) + get(2)}, state: "pending", cut: time.Second,
			bytes:    fateBytes{session.Delivered: 2 * asked, session.Pending: asked},
			verdicts: verdictCount{compare.Identical: 1, compare.Uncompared: 2}, timing: true, // it had four seconds more
		},
		{
			name: "cut short while the second of two answers is waited for", tape: keepAlive(),
			serve: web(reply{then: "hang"}), received: []string{get(1) + get(2)}, state: "pending", cut: 7 * time.Second,
			bytes:    fateBytes{session.Delivered: 2 * asked, session.Pending: asked},
			verdicts: verdictCount{compare.Missing: 1, compare.Uncompared: 2}, timing: true,
		},
		{
			name: "cut short when an answer was waited for long enough", tape: record().client(get(1)).answer(ok("one")),
			serve: web(reply{then: "hang"}), wire: wire{noAcks: true}, received: []string{get(1)}, state: "pending", cut: 5500 * ms,
			bytes: fateBytes{session.Pending: asked}, verdicts: verdictCount{compare.Missing: 1}, end: session.CaptureEnd, timing: true,
		},
		{
			name: "cut short in the middle of an answer without a framer", tape: record().client("list\n").answer("a\nb\n").client("quit\n").answer("bye\n"),
			serve: turns("list\n", say("a\n"), reply{then: "hang"}), received: []string{"list\n"}, state: "pending", cut: 300 * ms,
			bytes:    fateBytes{session.Delivered: 5, session.Pending: 5},
			verdicts: verdictCount{compare.Uncompared: 2}, timing: true,
		},
		{
			name: "cut short while a chunk is half sent", tape: record().client(post(1, strings.Repeat("u", 1000))).answer(ok("stored")),
			serve: func(p *peer) { p.gone() }, wire: wire{room: 600},
			received: []string{post(1, strings.Repeat("u", 1000))[:600]}, state: "pending", cut: time.Second,
			bytes: fateBytes{session.Delivered: 600, session.Pending: int64(len(post(1, strings.Repeat("u", 1000)))) - 600},
		},
		{
			name: "an application that reads nothing", tape: record().client(post(1, strings.Repeat("u", 1000))).answer(ok("stored")).clientFIN(),
			serve: func(p *peer) { p.gone() }, wire: wire{room: 600},
			received: []string{post(1, strings.Repeat("u", 1000))[:600]}, state: "pending", took: 10 * time.Second,
			bytes: fateBytes{session.Delivered: 600, session.Pending: int64(len(post(1, strings.Repeat("u", 1000)))) - 600},
		},
		{
			name: "cut short after a refusal", tape: keepAlive(), wire: wire{fails: errors.New("no route")}, cut: time.Second,
			received: []string{""}, state: "refused", bytes: fateBytes{session.Refused: 3 * asked},
		},
		{
			name: "a kernel that has forgotten the connection", tape: record().client("quit\n").answer("bye\n").serverFIN().clientFIN(),
			serve: turns("quit\n", reply{pieces: []string{"bye\n"}, then: "close"}), wire: wire{forgets: true},
			received: []string{"quit\n"}, order: []string{"csef"},
		},
		{
			name: "Write fails", tape: keepAlive(), config: stopEarly, serve: web(say(ok("one")), say(ok("two")), say(ok("three"))), wire: wire{failsAt: int(asked) + 10},
			received: []string{get(1) + get(2)[:10]}, state: "reset", bytes: fateBytes{session.Delivered: asked + 10, session.Refused: 2*asked - 10},
			verdicts: verdictCount{compare.Identical: 1, compare.Missing: 2},
		},
		{
			name: "nobody answers the SYN, and nothing is to be sent", tape: record(), wire: wire{never: true}, end: session.Idle,
			received: []string{""}, state: "refused", bytes: fateBytes{}, took: 5 * time.Second,
		},
		{
			name: "acknowledgements that lag", tape: keepAlive(), wire: wire{ackAfter: 451 * ms},
			serve:    web(say(ok("one")), say(ok("two")), say(ok("three"))),
			received: []string{get(1) + get(2) + get(3)}, took: 452 * ms,
		},
		{
			name: "acknowledgements that never come", tape: keepAlive(), wire: wire{noAcks: true},
			serve: web(say(ok("one")), say(ok("two")), say(ok("three"))), state: "pending",
			received: []string{get(1) + get(2) + get(3)}, took: 5 * time.Second, bytes: fateBytes{session.Pending: 3 * asked},
		},
	})
}
