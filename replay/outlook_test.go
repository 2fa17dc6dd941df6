package replay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tcpsandbox/session"
)

// taker is an application that takes everything, says nothing, and closes
// when the client does.
func taker(p *peer) {
	for {
		if _, err := p.get(); err != nil {
			p.end(true)
			return
		}
	}
}

// outlook returns what an Outlook says of a tape that it is given in parts.
func outlook(tape *tape, joined bool, end session.Cause, parts []int) (l session.Ledger, told int) {
	o := NewOutlook(func(_ *session.Session, got session.Ledger) { l = got; told++ })
	s := &session.Session{ID: 1, Client: clientAddr, Server: serverAddr, Joined: joined}
	events := append([]session.Event(nil), tape.events...)
	for _, n := range parts {
		s.Append(events[:n]...)
		events = events[n:]
		o.Feed([]*session.Session{s})
	}
	s.Append(events...)
	s.End(end)
	o.Feed([]*session.Session{s})
	o.Feed([]*session.Session{s}) // it may be named once more
	return l, told
}

func TestOutlook(t *testing.T) {
	half := post(1, strings.Repeat("b", 100))
	for _, tt := range []struct {
		name   string
		tape   *tape
		joined bool
		want   fateBytes
	}{
		{"whole", record().client(get(1)).answer(ok("a")).clientFIN(), false, fateBytes{session.Delivered: int64(len(get(1)))}},
		{"nothing", record(), false, fateBytes{}},
		{"an upload cut short by the end", record().client(half[:60]), false, fateBytes{session.Delivered: 60}},
		{"an upload broken by a gap", record().client(get(7)).answer(ok("")).client(half[:60]).clientGap(10).client(half[70:] + get(2)), false,
			fateBytes{session.Delivered: int64(len(get(7)) + len(get(2))), session.InGap: int64(len(half) - 10)}},
		{"joined in the middle of an upload", resume().client(half[60:] + get(2)), true,
			fateBytes{session.BeforeJoin: int64(len(half) - 60), session.Delivered: int64(len(get(2)))}},
		{"joined, and nothing to start at", resume().client("abc").client("def"), true, fateBytes{session.BeforeJoin: 6}},
		{"raw, a turn broken by a gap", record().client("one\n").answer("1").client("tw").clientGap(1).client("\n").answer("2").client("three\n"), false,
			fateBytes{session.Delivered: int64(len("one\nthree\n")), session.InGap: 3}},
		{"only a gap", record().clientGap(100), false, fateBytes{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for split := range len(tt.tape.events) + 1 {
				l, told := outlook(tt.tape, tt.joined, session.Closed, []int{split})
				want := session.Ledger{}
				for f, n := range tt.want {
					want[f] = n
				}
				if l != want || told != 1 {
					t.Errorf("split at %d: %v, want %v; told %d times", split, l, want, told)
				}
			}
		})
	}
}

// What the outlook says comes true: an engine that is given the same session
// at once, and an application that takes everything, end with the same ledger.
// However the outlook is given the session, it says the same.
func TestOutlookComesTrue(t *testing.T) {
	client := rapid.SampledFrom([]string{get(1), get(2), post(3, "abcdefgh"), post(4, "123")[:45], "123", "word", "HELLO", "*1\r\n$4\r\nPING\r\n", "\r\n",
		"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "HEAD / HTTP/1.1\r\n\r\n", get(5) + get(6)[:7], get(6)[7:]})
	server := rapid.SampledFrom([]string{ok(""), ok("one"), ok("three")[:12], ok("three")[12:], interim, "+OK\r\n", "banner\n", "x"})
	rapid.Check(t, func(rt *rapid.T) {
		s := scene{tape: record(), serve: taker, config: func(c *Config) { c.NoWait, c.AnswerTimeout = true, time.Second }}
		if s.joined = rapid.Bool().Draw(rt, "joined"); s.joined {
			s.tape = resume()
		}
		s.end = rapid.SampledFrom([]session.Cause{session.Closed, session.Idle, session.CaptureEnd}).Draw(rt, "end")
		seen := 0
		for range rapid.IntRange(0, 14).Draw(rt, "events") {
			seen = rapid.IntRange(seen, int(s.tape.server)).Draw(rt, "seen")
			if rapid.Bool().Draw(rt, "all") {
				seen = int(s.tape.server)
			}
			switch kind := rapid.IntRange(0, 17).Draw(rt, "kind"); {
			case kind < 8:
				s.tape.client(client.Draw(rt, "data")).saw(seen)
			case kind < 14:
				s.tape.answer(server.Draw(rt, "answer"))
			case kind < 17:
				s.tape.clientGap(int64(rapid.IntRange(1, 99).Draw(rt, "gap"))).saw(seen)
			case kind == 17:
				s.tape.serverGap(int64(rapid.SampledFrom([]int{1, 5, 100_000}).Draw(rt, "gap")))
			}
		}
		if rapid.Bool().Draw(rt, "close") {
			s.tape.clientFIN()
		}
		all := feeding{parts: []int{len(s.tape.events)}}
		parts := drawFeeding(rt, len(s.tape.events)).parts
		c := bubble(t, func(c *complaints) {
			o := s.run(c, all)
			if !s.invariants(c, o) {
				return
			}
			for _, p := range [][]int{all.parts, parts} {
				if l, told := outlook(s.tape, s.joined, s.end, p); l != o.records[0].Bytes || told != 1 {
					c.Errorf("given %v: %v, the engine made %v of it", p, l, o.records[0].Bytes)
				}
			}
		})
		if len(c) > 0 {
			rt.Fatalf("%s\n%v\njoined %v, ended %v", strings.Join(c, "\n"), s.tape, s.joined, s.end)
		}
	})
}

// A message that never ends takes no memory to wait for.
func TestOutlookOfALongUpload(t *testing.T) {
	const piece, pieces = 1000, 20_000
	var got session.Ledger
	o := NewOutlook(func(_ *session.Session, l session.Ledger) { got = l })
	s := &session.Session{ID: 1, Client: clientAddr, Server: serverAddr}
	head := fmt.Sprintf("POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n", piece*pieces*2)
	feed := func(data string) {
		s.Append(session.Event{Kind: session.Data, Data: []byte(data)})
		o.Feed([]*session.Session{s})
	}
	feed(head)
	body := strings.Repeat("u", piece)
	for range pieces {
		feed(body)
	}
	if v := s.Owner.(*view); len(v.steps) > 2+piece*pieces/len(lengths)*2 {
		t.Errorf("%d steps are kept", len(v.steps))
	}
	s.Append(session.Event{Kind: session.Gap, Missing: 1})
	s.End(session.Closed)
	o.Feed([]*session.Session{s})
	if want := int64(len(head) + piece*pieces); got[session.InGap] != want || got.Sum() != want {
		t.Errorf("%v, want all %d in a gap", got, want)
	}
}
