package replay

import (
	"strings"
	"testing"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

func TestRaw(t *testing.T) {
	ms := time.Millisecond
	redis := func() *tape {
		return record().client("PING\r\n").answer("+PONG\r\n").client("GET a\r\n").answer("$-1\r\n").client("QUIT\r\n").answer("+OK\r\n").
			clientFIN().serverFIN()
	}
	const asked = "PING\r\nGET a\r\nQUIT\r\n"
	greeted := func() *tape {
		return record().answer("220 mail\r\n").client("HELO x\r\n").answer("250 hello\r\n").client("QUIT\r\n").answer("221 bye\r\n").serverFIN().clientFIN()
	}
	stage(t, []scene{
		{
			name: "equal answers", tape: redis(),
			serve:    turns("PING\r\n", say("+PONG\r\n"), "GET a\r\n", reply{after: time.Second, pieces: []string{"$-1\r\n"}}, "QUIT\r\n", say("+OK\r\n")),
			received: []string{asked}, order: []string{"cscscsfe"},
			release: causeCount{Exact: 4}, verdicts: verdictCount{compare.Identical: 3}, took: time.Second,
		},
		{
			name: "longer answers", tape: redis(),
			serve:    turns("PING\r\n", say("+PONG and more\r\n"), "GET a\r\n", say("$3\r\nabc\r\n"), "QUIT\r\n", say("+OK\r\n")),
			received: []string{asked}, order: []string{"cscscsfe"},
			release: causeCount{Exact: 4}, verdicts: verdictCount{compare.Identical: 1, compare.Different: 2},
			first: `turn 1`,
		},
		{
			name: "shorter answers end by silence", tape: redis(),
			serve:    turns("PING\r\n", say("+PO\r\n"), "GET a\r\n", say("$-1\r\n"), "QUIT\r\n", say("+O\r\n")),
			received: []string{asked}, order: []string{"cscscsfe"},
			at:      []time.Duration{0, 0, 20 * ms, 20 * ms, 20 * ms, 20 * ms, 40 * ms, 40 * ms},
			release: causeCount{Exact: 2, Quiet: 2}, verdicts: verdictCount{compare.Identical: 1, compare.Different: 2},
		},
		{
			name:     "silence is measured by production's longest pause",
			tape:     record().client("LIST\r\n").answer("a").later(99 * ms).answer("b\r\n").client("QUIT\r\n").answer("bye").clientFIN().serverFIN(),
			serve:    turns("LIST\r\n", reply{pieces: []string{"a", "\n"}, pause: 250 * ms}, "QUIT\r\n", say("bye")),
			received: []string{"LIST\r\nQUIT\r\n"}, order: []string{"cscsfe"},
			at:      []time.Duration{0, 0, 550 * ms, 550 * ms, 550 * ms, 550 * ms},
			release: causeCount{Exact: 2, Quiet: 1}, verdicts: verdictCount{compare.Identical: 1, compare.Different: 1},
		},
		{
			name: "an answer that pauses in its middle is waited for", tape: redis(),
			serve:    turns("PING\r\n", reply{pieces: []string{"+PO", "NG\r\n"}, pause: 300 * ms}, "GET a\r\n", say("$-1\r\n"), "QUIT\r\n", say("+OK\r\n")),
			received: []string{asked}, order: []string{"cscscsfe"},
			release: causeCount{Exact: 4}, verdicts: verdictCount{compare.Identical: 3},
		},
		{
			name: "but not for ever", tape: redis(),
			serve:    turns("PING\r\n", say("+PO"), "GET a\r\n", say("$-1\r\n"), "QUIT\r\n", say("+OK\r\n")),
			received: []string{asked}, order: []string{"cscscsfe"},
			at:      []time.Duration{0, 0, 500 * ms, 500 * ms, 500 * ms, 500 * ms, 500 * ms, 500 * ms},
			release: causeCount{Exact: 3, Quiet: 1}, verdicts: verdictCount{compare.Identical: 2, compare.Different: 1},
		},
		{
			name:     "a pause longer than the time-out",
			tape:     record().client("LIST\r\n").answer("a").later(9 * time.Second).answer("b\r\n").client("QUIT\r\n").answer("bye").clientFIN().serverFIN(),
			serve:    turns("LIST\r\n", say("a"), "QUIT\r\n", say("bye")),
			received: []string{"LIST\r\nQUIT\r\n"}, order: []string{"cscsfe"},
			release: causeCount{Exact: 2, Quiet: 1}, took: 5 * time.Second,
		},
		{
			name:  "silent long before the next turn is due",
			tape:  record().client("LIST\r\n").answer("abc").later(time.Minute / 2).client("QUIT\r\n").answer("bye").clientFIN().serverFIN(),
			serve: turns("LIST\r\n", say("a"), "QUIT\r\n", say("bye")), config: func(c *Config) { c.Pace = NewPace(1) },
			received: []string{"LIST\r\nQUIT\r\n"}, order: []string{"cscsfe"},
			release: causeCount{Exact: 2, Quiet: 1},
		},
		{
			name: "no answer", tape: redis(), serve: turns("PING\r\n", say("+PONG\r\n"), "GET a\r\n", "QUIT\r\n", say("+OK\r\n")),
			received: []string{asked}, order: []string{"cscsfe"}, state: "unanswered",
			at:       []time.Duration{0, 0, 0, 5 * time.Second, 5 * time.Second, 5 * time.Second},
			release:  causeCount{Exact: 3, Timeout: 1},
			verdicts: verdictCount{compare.Identical: 2, compare.Missing: 1},
		},
		{
			name: "the server speaks first", tape: greeted(),
			serve:    turns(reply{after: 70 * ms, pieces: []string{"220 mail\r\n"}}, "HELO x\r\n", say("250 hello\r\n"), "QUIT\r\n", reply{pieces: []string{"221 bye\r\n"}, then: "close"}),
			received: []string{"HELO x\r\nQUIT\r\n"}, order: []string{"scscsef"},
			release: causeCount{Exact: 3}, verdicts: verdictCount{compare.Identical: 3},
		},
		{
			name: "the server speaks first, and longer", tape: greeted(),
			serve:    turns(reply{after: 70 * ms, pieces: []string{"220 test.mail.example\r\n"}}, "HELO x\r\n", reply{after: ms, pieces: []string{"250 hello\r\n"}}, "QUIT\r\n", reply{after: ms, pieces: []string{"221 bye\r\n"}, then: "close"}),
			received: []string{"HELO x\r\nQUIT\r\n"}, order: []string{"scscsef"},
			release: causeCount{Exact: 3}, verdicts: verdictCount{compare.Identical: 2, compare.Different: 1}, first: "greeting",
		},
		{
			name: "the server speaks first, and shorter", tape: greeted(),
			serve:    turns(say("220\r\n"), "HELO x\r\n", say("250 hello\r\n"), "QUIT\r\n", reply{pieces: []string{"221 bye\r\n"}, then: "close"}),
			received: []string{"HELO x\r\nQUIT\r\n"}, order: []string{"scscsef"},
			release: causeCount{Exact: 2, Quiet: 1}, verdicts: verdictCount{compare.Identical: 2, compare.Different: 1},
		},
		{
			name: "no greeting", tape: greeted(),
			serve:    turns("HELO x\r\n", say("250 hello\r\n"), "QUIT\r\n", reply{pieces: []string{"221 bye\r\n"}, then: "close"}),
			received: []string{"HELO x\r\nQUIT\r\n"}, order: []string{"cscsef"}, state: "unanswered",
			release: causeCount{Exact: 2, Timeout: 1}, verdicts: verdictCount{compare.Identical: 2, compare.Missing: 1},
		},
		{
			name:  "one turn in many chunks",
			tape:  record().client("a\n").client("b\n").client("c\n").answer("abc").client("d\n").saw(3).client("e\n").answer("de").clientFIN().serverFIN(),
			serve: turns("a\nb\nc\n", say("abc"), "d\ne\n", say("de")), wire: wire{perWrite: 1},
			received: []string{"a\nb\nc\nd\ne\n"}, order: []string{"cscsfe"},
			release: causeCount{Exact: 3}, verdicts: verdictCount{compare.Identical: 2},
		},
		{
			name:     "the server had sent more than the client had seen",
			tape:     record().client("sub\n").answer("ok\n").answer("event 1\n").client("more\n").saw(3).answer("ok\nevent 2\n").clientFIN().serverFIN(),
			serve:    turns("sub\n", say("ok\nevent 1\n"), "more\n", say("ok\nevent 2\n")),
			received: []string{"sub\nmore\n"}, order: []string{"cscsfe"},
			release: causeCount{Exact: 3}, verdicts: verdictCount{compare.Identical: 2},
		},
		{
			name:     "a first word that could be HTTP's",
			tape:     record().client("HELLO").answer("hi").client("BYE").answer("bye").clientFIN().serverFIN(),
			serve:    turns("HELLO", reply{after: 30 * ms, pieces: []string{"hi"}}, "BYE", reply{after: 30 * ms, pieces: []string{"bye"}}),
			received: []string{"HELLOBYE"}, order: []string{"cscsfe"},
			release: causeCount{Exact: 3}, verdicts: verdictCount{compare.Identical: 2},
		},
		{
			name: "the capture ends in an answer", end: session.CaptureEnd,
			tape:     record().client("PING\r\n").answer("+PONG\r\n").client("LIST\r\n").answer("a"),
			serve:    turns("PING\r\n", say("+PONG\r\n"), "LIST\r\n", say("abc")),
			received: []string{"PING\r\nLIST\r\n"}, order: []string{"cscse"},
			verdicts: verdictCount{compare.Identical: 1, compare.Uncompared: 1},
		},
		{
			name:     "a last turn without an answer",
			tape:     record().client("PING\r\n").answer("+PONG\r\n").client("QUIT\r\n").clientFIN().serverFIN(),
			serve:    turns("PING\r\n", say("+PONG\r\n"), "QUIT\r\n"),
			received: []string{"PING\r\nQUIT\r\n"}, order: []string{"cscfe"},
			verdicts: verdictCount{compare.Identical: 2},
		},
		{
			name:     "a last turn that only the application answers",
			tape:     record().client("PING\r\n").answer("+PONG\r\n").client("QUIT\r\n").clientFIN().serverFIN(),
			serve:    turns("PING\r\n", say("+PONG\r\n"), "QUIT\r\n", say("+OK\r\n")),
			received: []string{"PING\r\nQUIT\r\n"}, timing: true,
			verdicts: verdictCount{compare.Identical: 1, compare.Different: 1},
		},
		{
			name: "a last turn before the capture ends", end: session.CaptureEnd,
			tape:     record().client("PING\r\n").answer("+PONG\r\n").client("LIST\r\n"),
			serve:    turns("PING\r\n", say("+PONG\r\n"), "LIST\r\n"),
			received: []string{"PING\r\nLIST\r\n"}, order: []string{"csce"},
			verdicts: verdictCount{compare.Identical: 1, compare.Uncompared: 1},
		},
		{
			name: "one-sided, nothing is known of the answers", end: session.Closed,
			tape:     (&tape{}).add(session.Event{Kind: session.Open}).client("PING\r\n").client("QUIT\r\n").saw(7).clientFIN(),
			serve:    turns("PING\r\n", say("+PONG\r\n"), "QUIT\r\n", say("+OK\r\n")),
			received: []string{"PING\r\nQUIT\r\n"},
			verdicts: verdictCount{compare.Uncompared: 2},
		},
		{
			name: "the capture ends in an answer, which is the same so far", end: session.CaptureEnd,
			tape:     record().client("PING\r\n").answer("+PONG\r\n").client("LIST\r\n").answer("abc"),
			serve:    turns("PING\r\n", say("+PONG\r\n"), "LIST\r\n", say("abc")),
			received: []string{"PING\r\nLIST\r\n"}, order: []string{"cscse"},
			verdicts: verdictCount{compare.Identical: 2},
		},
		{
			name: "the capture ends in an answer, which is another", end: session.CaptureEnd,
			tape:     record().client("PING\r\n").answer("+PONG\r\n").client("LIST\r\n").answer("abc"),
			serve:    turns("PING\r\n", say("+PONG\r\n"), "LIST\r\n", say("axcdef")),
			received: []string{"PING\r\nLIST\r\n"},
			verdicts: verdictCount{compare.Identical: 1, compare.Different: 1},
		},
		{
			name: "the capture ends in an answer that never comes", end: session.CaptureEnd,
			tape:     record().client("PING\r\n").answer("+PONG\r\n").client("LIST\r\n").answer("abc"),
			serve:    turns("PING\r\n", say("+PONG\r\n"), "LIST\r\n"),
			received: []string{"PING\r\nLIST\r\n"}, took: 5 * time.Second, state: "unanswered",
			verdicts: verdictCount{compare.Identical: 1, compare.Missing: 1},
		},
		{
			name: "the client resets in the middle of an answer", end: session.Reset,
			tape:     record().client("LIST\r\n").answer("abc").clientRST(),
			serve:    turns("LIST\r\n", say("abcdef")),
			received: []string{"LIST\r\n"}, order: []string{"csr"},
			verdicts: verdictCount{compare.Uncompared: 1},
		},
		{
			name: "the client resets before all of an answer has come", end: session.Reset,
			tape:     record().client("LIST\r\n").answer("abc").answer("def").clientRST().saw(3),
			serve:    turns("LIST\r\n", say("abc")),
			received: []string{"LIST\r\n"}, order: []string{"csr"},
			verdicts: verdictCount{compare.Uncompared: 1},
		},
		{
			name: "the client has closed, and resets over what still comes", end: session.Reset,
			tape: record().client("EXIT\r\n").clientFIN().answer("too late").clientRST().saw(0),
			serve: func(p *peer) {
				for {
					if _, err := p.get(); err != nil {
						break
					}
				}
				time.Sleep(300 * ms) // of the bubble: the client has closed by then
				p.send("too late")
				p.gone()
			},
			received: []string{"EXIT\r\n"}, order: []string{"cfsr"}, took: 300 * ms,
			verdicts: verdictCount{compare.Identical: 1},
		},
		{
			name:     "the server had sent more than is kept, and than the client had seen",
			tape:     record().client("a\n").answer(strings.Repeat("A", 100_000)).client("b\n").saw(50_000).answer("B").client("c\n").answer("C").clientFIN().serverFIN(),
			serve:    turns("a\n", say(strings.Repeat("A", 100_000)), "b\n", say("B"), "c\n", say("C")),
			received: []string{"a\nb\nc\n"}, order: []string{"cscscsfe"},
			verdicts: verdictCount{compare.Identical: 1, compare.Uncompared: 2},
		},
		{
			name:     "answers larger than what is kept",
			tape:     record().client("a\n").answer(strings.Repeat("A", 100_000)).answer(strings.Repeat("B", 100_000)).client("b\n").answer("b").clientFIN().serverFIN(),
			serve:    turns("a\n", reply{pieces: []string{strings.Repeat("A", 100_000), strings.Repeat("B", 99_999), "C"}, pause: 3 * ms}, "b\n", say("b")),
			received: []string{"a\nb\n"}, order: []string{"cscsfe"},
			release: causeCount{Exact: 3}, verdicts: verdictCount{compare.Identical: 1, compare.Different: 1},
		},
	})
}
