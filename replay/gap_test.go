package replay

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// Sessions that lack their beginning or something in the middle.
func TestGap(t *testing.T) {
	ms := time.Millisecond
	one := int64(len(get(1)))
	upload := post(2, strings.Repeat("u", 50))
	half := int64(len(upload) / 2)
	stage(t, []scene{
		{
			name: "joined at a request", joined: true,
			tape:  resume().client(get(1)).answer(ok("one")).client(get(2)).answer(ok("two")).clientFIN().serverFIN(),
			serve: web(say(ok("one")), say(ok("two"))), received: []string{get(1) + get(2)}, order: []string{"cscsfe"},
			release: causeCount{Exact: 3}, verdicts: verdictCount{compare.Identical: 2},
		},
		{
			name: "joined in an upload", joined: true,
			tape: resume().client("rest of the body").client("and the last of it").answer(ok("stored")).client(get(1)).answer(ok("one")).
				client(get(2)).answer(ok("two")).clientFIN().serverFIN(),
			serve: web(say(ok("one")), say(ok("two"))), received: []string{get(1) + get(2)}, order: []string{"cscsfe"},
			bytes:   fateBytes{session.BeforeJoin: 34, session.Delivered: 2 * one},
			release: causeCount{Exact: 3}, verdicts: verdictCount{compare.Identical: 2},
		},
		{
			name: "joined within a segment", joined: true,
			tape:  resume().client("end of body" + get(1)).answer(ok("one")).clientFIN().serverFIN(),
			serve: web(say(ok("one"))), received: []string{get(1)}, bytes: fateBytes{session.BeforeJoin: 11, session.Delivered: one},
			verdicts: verdictCount{compare.Identical: 1},
		},
		{
			name: "joined in an answer", joined: true,
			tape:  resume().answer("rest of an answer").client(get(1)).answer(ok("one")).client(get(2)).answer(ok("two")).clientFIN().serverFIN(),
			serve: web(say(ok("1")), say(ok("two"))), received: []string{get(1) + get(2)}, order: []string{"cscsfe"},
			release: causeCount{Exact: 1, Boundary: 2}, verdicts: verdictCount{compare.Identical: 1, compare.Different: 1},
		},
		{
			name: "joined in an answer that is still on its way when the next request is", joined: true,
			tape:  resume().answer("rest of").client(get(1)).answer(" an answer").answer(ok("one")).client(get(2)).answer(ok("two")).clientFIN().serverFIN(),
			serve: web(say(ok("one")), say(ok("two"))), received: []string{get(1) + get(2)}, order: []string{"cscsfe"},
			verdicts: verdictCount{compare.Uncompared: 2},
		},
		{
			name: "joined, of no known protocol", joined: true,
			tape:  resume().client("half a turn\n").client("and more\n").answer("fine\n").client("next\n").answer("yes\n").client("last\n").answer("bye\n").clientFIN().serverFIN(),
			serve: turns("next\n", say("yes\n"), "last\n", say("bye\n")), received: []string{"next\nlast\n"}, order: []string{"cscsfe"},
			bytes:   fateBytes{session.BeforeJoin: 21, session.Delivered: 10},
			release: causeCount{Exact: 3}, verdicts: verdictCount{compare.Identical: 2},
		},
		{
			name: "joined, and nothing to start at", joined: true,
			tape: resume().client("body").client("more body").clientFIN().answer(ok("stored")).serverFIN(), serve: web(),
			state: "skipped", bytes: fateBytes{session.BeforeJoin: 13},
		},
		{
			name: "a gap in the second request",
			tape: record().client(get(1)).answer(ok("one")).client(upload[:half]).clientGap(20).client("rest of body").answer(ok("stored")).
				client(get(3)).answer(ok("three")).client(get(4)).answer(ok("four")).clientFIN().serverFIN(),
			serve:    func(p *peer) { serveBy(p, map[string]string{"/1": "one", "/3": "three", "/4": "four"}) },
			received: []string{get(1), get(3) + get(4)}, order: []string{"csr", "cscsfe"},
			bytes:    fateBytes{session.Delivered: 3 * one, session.InGap: half + 12},
			verdicts: verdictCount{compare.Identical: 3, compare.Uncompared: 1}, timing: true,
		},
		{
			name: "a gap right behind a request, whose answer is slow",
			tape: record().client(get(1)).answer(ok("one")).client(get(2)).clientGap(20).answer(ok("two") + ok("lost")).
				client(get(3)).answer(ok("three")).clientFIN().serverFIN(),
			serve: func(p *peer) {
				time.Sleep(100 * ms) // of the bubble: the slow answer
				serveBy(p, map[string]string{"/1": "one", "/2": "two", "/3": "three"})
			},
			received: []string{get(1) + get(2), get(3)}, order: []string{"cscsr", "csfe"},
			verdicts: verdictCount{compare.Identical: 2, compare.Uncompared: 1},
		},
		{
			name:     "a request and a half in a segment before the gap",
			tape:     record().client(get(1) + upload[:half]).clientGap(20).answer(ok("one")).answer(ok("lost")).client("rest" + get(3)).answer(ok("three")).clientFIN().serverFIN(),
			serve:    func(p *peer) { serveBy(p, map[string]string{"/1": "one", "/3": "three"}) },
			received: []string{get(1), get(3)}, order: []string{"csr", "csfe"},
			bytes: fateBytes{session.Delivered: 2 * one, session.InGap: half + 4}, timing: true,
		},
		{
			name:   "a gap in what was sent already",
			tape:   record().client(upload[:half]).later(time.Second).clientGap(20).client("rest").answer(ok("lost")).client(get(3)).answer(ok("three")).clientFIN().serverFIN(),
			serve:  func(p *peer) { serveBy(p, map[string]string{"/3": "three"}) },
			config: func(c *Config) { c.Pace = NewPace(1) },
			// Fed at once, the broken part is known to be broken and not sent.
			received: []string{"", get(3)}, order: []string{"r", "csfe"},
			bytes: fateBytes{session.Delivered: one, session.InGap: half + 4}, timing: true,
		},
		{
			name:     "two gaps",
			tape:     record().client(get(1)).answer(ok("one")).clientGap(50).client(get(2)).answer(ok("two")).clientGap(50).answer(ok("lost")).client("lost").client(get(3)).answer(ok("three")).clientFIN().serverFIN(),
			serve:    func(p *peer) { serveBy(p, map[string]string{"/1": "one", "/2": "two", "/3": "three"}) },
			received: []string{get(1), get(2), get(3)}, order: []string{"csr", "csr", "csfe"},
			bytes:    fateBytes{session.Delivered: 3 * one, session.InGap: 4},
			verdicts: verdictCount{compare.Identical: 3}, dials: 3,
		},
		{
			name: "a gap in a joined session", joined: true,
			tape: resume().client("body").answer(ok("stored")).client(get(1)).answer(ok("one")).clientGap(50).answer(ok("lost")).client(get(2)).answer(ok("two")).
				client(get(3)).answer(ok("three")).clientFIN().serverFIN(),
			serve:    func(p *peer) { serveBy(p, map[string]string{"/1": "one", "/2": "two", "/3": "three"}) },
			received: []string{get(1), get(2) + get(3)}, order: []string{"csr", "cscsfe"},
			bytes:    fateBytes{session.BeforeJoin: 4, session.Delivered: 3 * one},
			verdicts: verdictCount{compare.Identical: 3},
		},
		{
			name:     "a gap and no request after it",
			tape:     record().client(get(1)).answer(ok("one")).client(get(2)).clientGap(10).client("x").answer(ok("two")).clientFIN().serverFIN(),
			serve:    func(p *peer) { serveBy(p, map[string]string{"/1": "one", "/2": "two"}) },
			received: []string{get(1) + get(2)}, order: []string{"cscsfe"},
			bytes: fateBytes{session.Delivered: 2 * one, session.InGap: 1}, verdicts: verdictCount{compare.Identical: 1, compare.Uncompared: 1},
		},
		{
			name: "a gap at the end, and RST", end: session.Reset,
			tape:  record().client(get(1)).answer(ok("one")).clientGap(10).clientRST(),
			serve: web(say(ok("one"))), received: []string{get(1)}, order: []string{"csr"},
		},
		{
			name:  "a gap before anything else",
			tape:  record().clientGap(10).client("x").client(get(1)).saw(0).answer(ok("one")).clientFIN().serverFIN(),
			serve: web(say(ok("one"))), received: []string{"", get(1)}, order: []string{"r", "csfe"},
			bytes: fateBytes{session.Delivered: one, session.InGap: 1}, verdicts: verdictCount{compare.Identical: 1},
		},
		{
			name:  "a gap in a turn of no known protocol",
			tape:  record().client("a\n").answer("A\n").client("b1\n").clientGap(10).saw(2).client("b3\n").saw(2).answer("B\n").client("c\n").answer("C\n").clientFIN().serverFIN(),
			serve: lines(map[string]string{"a\n": "A\n", "c\n": "C\n"}), received: []string{"a\n", "c\n"}, order: []string{"csr", "csfe"},
			bytes: fateBytes{session.Delivered: 4, session.InGap: 6}, verdicts: verdictCount{compare.Uncompared: 1, compare.Identical: 2}, timing: true,
		},
		{
			name:  "a whole turn of no known protocol missing",
			tape:  record().client("a\n").answer("A\n").client("b\n").answer("B\n").clientGap(10).between(true, true).answer("X\n").client("c\n").answer("C\n").clientFIN().serverFIN(),
			serve: lines(map[string]string{"a\n": "A\n", "b\n": "B\n", "c\n": "C\n"}), received: []string{"a\nb\n", "c\n"}, order: []string{"cscsr", "csfe"},
			bytes: fateBytes{session.Delivered: 6},
		},
		{
			name: "of no known protocol, a turn that was answered before the gap is whole",
			tape: record().answer("hi\n").client("b1").client("b2\n").answer("B\n").clientGap(10).saw(3).between(true, false).client("tail\n").answer("X\n").
				client("c\n").answer("C\n").clientFIN().serverFIN(),
			serve: func(p *peer) {
				time.Sleep(50 * ms) // of the bubble: a late greeting
				p.send("hi\n")
				lines(map[string]string{"b1b2\n": "B\n", "c\n": "C\n"})(p)
			}, received: []string{"b1b2\n", "c\n"},
			bytes: fateBytes{session.Delivered: 7, session.InGap: 5}, order: []string{"scsr", "scsfe"},
			verdicts: verdictCount{compare.Identical: 2, compare.Uncompared: 1}, timing: true, // not the second greeting
		},
		{
			name:  "of no known protocol, the turn behind the gap is whole where the server answered the one that is missing",
			tape:  record().client("a\n").answer("A\n").clientGap(10).saw(0).between(true, true).answer("X\n").client("c\n").answer("C\n").clientFIN().serverFIN(),
			serve: lines(map[string]string{"a\n": "A\n", "c\n": "C\n"}), received: []string{"a\n", "c\n"},
		},
		{
			name: "of no known protocol, nothing tells whether the turn behind the gap is whole",
			tape: record().client("a\n").answer("A\n").clientGap(10).saw(0).between(true, false).serverGap(2).client("c\n").answer("C\n").
				client("d\n").answer("D\n").clientFIN().serverFIN(),
			serve: lines(map[string]string{"a\n": "A\n", "d\n": "D\n"}), received: []string{"a\n", "d\n"},
			bytes: fateBytes{session.Delivered: 4, session.InGap: 2},
		},
		{
			name: "of no known protocol, a gap in two pieces",
			tape: record().client("a\n").answer("A\n").client("b\n").answer("B\n").clientGap(9).saw(2).between(true, false).clientGap(1).saw(2).between(false, true).answer("X\n").
				client("c\n").answer("C\n").clientFIN().serverFIN(),
			serve: lines(map[string]string{"a\n": "A\n", "b\n": "B\n", "c\n": "C\n"}), received: []string{"a\nb\n", "c\n"},
			bytes: fateBytes{session.Delivered: 6},
		},
		{
			name: "of no known protocol, nothing is left of the first connection but the greeting",
			tape: record().answer("hi\n").client("a\n").clientGap(10).saw(3).between(false, true).serverGap(2).answer("X\n").client("c\n").answer("C\n").clientFIN().serverFIN(),
			wire: wire{connect: 50 * ms}, serve: func(p *peer) { p.send("hi\n"); lines(map[string]string{"c\n": "C\n"})(p) },
			received: []string{"", "c\n"}, order: []string{"sr", "scsfe"}, bytes: fateBytes{session.Delivered: 2, session.InGap: 2},
			verdicts: verdictCount{compare.Identical: 2, compare.Uncompared: 1}, timing: true,
		},
		{
			name: "joined, of no known protocol, a greeting is taken for the answer", joined: true,
			tape:     resume().client("x\n").answer("X\n").client("c\n").answer("C\n").clientGap(10).saw(4).between(true, true).answer("Y\n").client("d\n").answer("D\n").clientFIN().serverFIN(),
			serve:    func(p *peer) { p.send("hi\n"); lines(map[string]string{"c\n": "C\n", "d\n": "D\n"}, 10*ms)(p) },
			received: []string{"c\n", "d\n"}, order: []string{"scsr", "scsfe"}, bytes: fateBytes{session.BeforeJoin: 2, session.Delivered: 4}, timing: true,
		},
		{
			name: "of no known protocol, the first turn is missing, behind a greeting",
			tape: record().answer("hi\n").clientGap(10).saw(0).between(true, true).answer("X\n").client("c\n").answer("C\n").clientFIN().serverFIN(),
			// A late greeting, by the bubble's clock.
			serve:    func(p *peer) { time.Sleep(50 * ms); p.send("hi\n"); lines(map[string]string{"c\n": "C\n"})(p) },
			received: []string{"", "c\n"}, verdicts: verdictCount{compare.Identical: 1, compare.Uncompared: 1}, timing: true,
		},
		{
			// A capture holds the client's bytes back until it is sure of the gap.
			name: "of no known protocol, two gaps that are found late: the answers come before what they answer",
			tape: record().answer("hi\n").client("a\n").answer("A\n").answer("X\n").answer("C\n").clientGap(10).saw(5).between(true, true).client("c\n").saw(7).
				client("d\n").saw(9).answer("D\n").client("e\n").answer("E\n").clientGap(10).saw(11).between(true, true).answer("Y\n").
				client("f\n").answer("F\n").clientFIN().serverFIN(),
			serve: func(p *peer) {
				p.send("hi\n")
				lines(map[string]string{"a\n": "A\n", "c\n": "C\n", "d\n": "D\n", "e\n": "E\n", "f\n": "F\n"}, 50*ms)(p)
			},
			received: []string{"a\n", "c\nd\ne\n", "f\n"}, order: []string{"scsr", "scscscsr", "scsfe"}, dials: 3,
			verdicts: verdictCount{compare.Identical: 2, compare.Uncompared: 4}, timing: true,
		},
		{
			name: "the application closes early, then a gap", config: stopEarly,
			tape: record().client(get(1)).answer(ok("one")).client(get(2)).answer(ok("two")).clientGap(10).answer(ok("lost")).client(get(3)).answer(ok("three")).clientFIN().serverFIN(),
			serve: func(p *peer) {
				p.get()
				p.act(ok("one"), "close")
			},
			received: []string{get(1), get(3)}, order: []string{"cser", "csef"}, state: "closed-early",
			bytes: fateBytes{session.Delivered: 2 * one, session.ClosedEarly: one},
		},
		{
			name: "a gap in a body of production's",
			tape: record().client(get(1)).answer(ok("one")).client(get(2)).answer(ok("a long body, really")[:45]).serverGap(5).answer(ok("a long body, really")[50:]).
				client(get(3)).answer(ok("three")).clientFIN().serverFIN(),
			serve:    web(say(ok("one")), say(ok("a long body, really")), say(ok("three"))),
			received: []string{get(1) + get(2) + get(3)}, order: []string{"cscscsfe"},
			release: causeCount{Exact: 4}, verdicts: verdictCount{compare.Identical: 2, compare.Uncompared: 1},
		},
		{
			name: "a gap at the end of a body of production's",
			tape: record().client(get(1)).answer(ok("a long body, really")[:45]).serverGap(int64(len(ok("a long body, really")) - 45)).
				client(get(2)).answer(ok("two")).clientFIN().serverFIN(),
			serve:    web(say(ok("a long body, really")), say(ok("two"))),
			received: []string{get(1) + get(2)}, order: []string{"cscsfe"},
			release: causeCount{Exact: 3}, verdicts: verdictCount{compare.Identical: 1, compare.Uncompared: 1},
		},
		{
			name: "a gap over the end of an answer of production's",
			tape: record().client(get(1)).answer(ok("one")[:40]).serverGap(int64(len(ok("one")) - 40 + 10)).answer(ok("two")[10:]).saw(0).
				client(get(3)).answer(ok("three")).clientFIN().serverFIN(),
			serve: web(say(ok("one")), say(ok("three"))), received: []string{get(1) + get(3)},
			verdicts: verdictCount{compare.Uncompared: 2},
		},
		{
			name:  "a gap in a head of production's",
			tape:  record().client(get(1)).answer(ok("one")[:20]).serverGap(5).answer(ok("one")[25:]).client(get(2)).answer(ok("two")).clientFIN().serverFIN(),
			serve: web(say(ok("one")), say(ok("two"))), received: []string{get(1) + get(2)}, order: []string{"cscsfe"},
			verdicts: verdictCount{compare.Uncompared: 2},
		},
		{
			name:  "a gap in production's, of no known protocol",
			tape:  record().client("a\n").answer("A").serverGap(1).answer("\n").client("b\n").answer("B\n").client("c\n").answer("C\n").clientFIN().serverFIN(),
			serve: turns("a\n", say("AA\n"), "b\n", say("B\n"), "c\n", say("C\n")), received: []string{"a\nb\nc\n"}, order: []string{"cscscsfe"},
			release: causeCount{Exact: 4}, verdicts: verdictCount{compare.Identical: 2, compare.Uncompared: 1},
		},
		{
			name:  "a gap in the greeting",
			tape:  record().serverGap(6).client("a\n").answer("A\n").clientFIN().serverFIN(),
			serve: turns(say("hello\n"), "a\n", say("A\n")), received: []string{"a\n"}, order: []string{"scsfe"},
			release: causeCount{Exact: 2}, verdicts: verdictCount{compare.Identical: 1, compare.Uncompared: 1},
		},
		{
			name: "a gap over the end of a body of production's",
			tape: record().client(get(1)).answer(ok("a long body, really")[:45]).serverGap(int64(len(ok("a long body, really")) - 45 + 20)).answer(ok("two")[20:]).
				client(get(2)).answer(ok("two")).clientFIN().serverFIN(),
			serve: web(say(ok("a long body, really")), say(ok("two"))), received: []string{get(1) + get(2)},
			verdicts: verdictCount{compare.Uncompared: 2},
		},
		{
			name:  "all of production's answers are missing, of no known protocol",
			tape:  record().client("a\n").serverGap(2).client("b\n").serverGap(2).clientFIN().serverFIN(),
			serve: turns("a\n", say("A\n"), "b\n", say("B\n")), received: []string{"a\nb\n"}, order: []string{"cscsfe"},
			release: causeCount{Exact: 3}, verdicts: verdictCount{compare.Uncompared: 2},
		},
	})
}

// serveBy answers each request by its path, on whatever connection.
func serveBy(p *peer, bodies map[string]string) {
	var have string
	for {
		b, err := p.get()
		if err != nil {
			p.end(true)
			return
		}
		have += string(b)
		for {
			head, rest, found := strings.Cut(have, "\r\n\r\n")
			if !found || strings.HasPrefix(head, "POST") {
				break
			}
			p.send(ok(bodies[strings.Fields(head)[1]]))
			have = rest
		}
	}
}

// lines answers each line, on whatever connection, after a pause if one is given.
func lines(answers map[string]string, pause ...time.Duration) func(*peer) {
	return func(p *peer) {
		var have string
		for {
			b, err := p.get()
			if err != nil {
				p.end(true)
				return
			}
			have += string(b)
			for {
				line, rest, found := strings.Cut(have, "\n")
				if !found {
					break
				}
				for _, d := range pause {
					time.Sleep(d) // of the bubble: what the application needs for an answer
				}
				p.send(answers[line+"\n"])
				have = rest
			}
		}
	}
}

// Production's answer to a request of which a part is not captured may be here
// before that is known, and what there is of the request sent already. The
// application was not asked the whole of it: no answer of its is missing.
func TestGapFoundBehindTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		upload := post(2, strings.Repeat("u", 50))
		s := scene{
			tape: record().client(get(1)).answer(ok("one")).client(upload[:len(upload)/2]).answer(ok("lost")).clientGap(20).client("rest").
				client(get(3)).answer(ok("three")).clientFIN().serverFIN(),
			serve: func(p *peer) { serveBy(p, map[string]string{"/1": "one", "/3": "three"}) },
		}
		n := len(s.tape.events)
		o := s.run(t, feeding{parts: []int{6, n - 6}, pause: 50 * time.Millisecond})
		want := verdictCount{compare.Identical: 2, compare.Uncompared: 1}
		if diff := cmp.Diff(map[compare.Verdict]int64(want), o.result.Verdicts); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
		if len(o.net.peers) != 2 || !strings.HasPrefix(string(o.net.peers[0].received), get(1)+upload[:10]) {
			t.Errorf("the upload's beginning was not sent: the test shows nothing")
		}
	})
}
