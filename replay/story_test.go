package replay

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// checkStory tells what cannot be of a story, at any time.
func checkStory(t errorer, s *Story) {
	if s.Requests != len(s.Played)+s.Omitted {
		t.Errorf("session %d: %d requests, %d played, %d omitted", s.Slot, s.Requests, len(s.Played), s.Omitted)
	}
	last := -1
	for i := range s.Played {
		p := &s.Played[i]
		if p.Number <= last || p.Number >= s.Requests {
			t.Errorf("session %d: exchange %d of %d follows %d", s.Slot, p.Number, s.Requests, last)
		}
		last = p.Number
		if int64(len(p.Request)) > p.RequestLen || p.Label == "" {
			t.Errorf("session %d: request %q of %d bytes, %q", s.Slot, p.Request, p.RequestLen, p.Label)
		}
		if !strings.HasPrefix(strings.TrimLeft(string(p.Request), "\r\n"), p.Label) && p.HTTP && len(p.Label) < len(p.Request) {
			t.Errorf("session %d: the request of %q is %q", s.Slot, p.Label, p.Request)
		}
		for side, a := range p.Answers {
			if a != nil && (a.Len != p.AnswerLen[side] || int64(len(a.Head)) > a.Len) {
				t.Errorf("session %d: answer of %d bytes, %d kept, want %d", s.Slot, a.Len, len(a.Head), p.AnswerLen[side])
			}
		}
		if p.Judged && p.Answers[0] != nil && p.Answers[0] == p.Answers[1] && (p.Verdict != compare.Identical || p.AnswerLen[0] != p.AnswerLen[1]) {
			t.Errorf("session %d: answers %v share their bytes, lengths %v", s.Slot, p.Verdict, p.AnswerLen)
		}
	}
	if sum := s.Bytes.Sum(); sum != s.Captured {
		t.Errorf("session %d: %v of %d bytes", s.Slot, s.Bytes, s.Captured)
	}
	if len(s.Marks) > maxMarks {
		t.Errorf("session %d: %d marks", s.Slot, len(s.Marks))
	}
}

func TestStoryTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{wire: wire{connect: 10 * ms}, serve: web(reply{after: 20 * ms, pieces: []string{ok("one")[:9], ok("one")[9:]}, pause: 5 * ms})}
		a := watch(t, Config{Dial: n.dial})
		defer a.stop()
		one := oneSession(false)
		one.Append(record().client(get(0)).answer(ok("one")[:9]).answer(ok("one")[9:]).clientFIN().serverFIN().events...)
		one.End(session.Closed)
		began := time.Now()
		a.feed(one)
		time.Sleep(25 * ms) // of the bubble
		if got := a.story(0).Marks; len(got) != 4 || got[3] != (Mark{What: ServerCloses, At: [2]time.Duration{6 * ms, Never}}) {
			t.Errorf("marks %+v", got)
		}
		time.Sleep(time.Second) // of the bubble
		s := a.story(0)
		want := []Mark{{What: ClientOpens}, {What: ServerAccepts, At: [2]time.Duration{ms, 10 * ms}},
			{What: ClientCloses, At: [2]time.Duration{5 * ms, 35 * ms}}, {What: ServerCloses, At: [2]time.Duration{6 * ms, 35 * ms}}}
		if diff := cmp.Diff(want, s.Marks); diff != "" {
			t.Errorf("marks (-want +got):\n%s", diff)
		}
		p := s.Played[0]
		if !s.Began.Equal(began) || p.Asked != 2*ms || p.Sent != 10*ms || p.First != [2]time.Duration{3 * ms, 30 * ms} || p.Whole != [2]time.Duration{4 * ms, 35 * ms} {
			t.Errorf("began %v, exchange %+v", s.Began.Sub(began), p)
		}
		if !p.Released || p.Cause != Exact || p.Answers[0] != p.Answers[1] || string(p.Answers[0].Head) != ok("one") {
			t.Errorf("exchange %+v", p)
		}
		checkStory(t, s)
	})
}

// UDP flows have times, too, and each of several answers to a datagram its own.
func TestStoryOfDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &endpoint{serve: asked(map[string]reply{"a": {after: 5 * ms, pieces: []string{"1", "2"}, pause: 5 * ms}, "b": in(3*ms, "X")})}
		a := watch(t, Config{DialUDP: at.dial})
		defer a.stop()
		one := oneSession(false)
		one.Proto = session.UDP
		one.Append(resume().client("a").answer("1").answer("2").client("b").answer("B").client("c").answer("C").events...)
		one.End(session.Idle)
		a.feed(one)
		time.Sleep(time.Minute) // of the bubble
		s := a.story(0)
		checkStory(t, s)
		type row struct {
			Request           string
			Asked, Sent       time.Duration
			First             [2]time.Duration
			Released          bool
			Cause             Cause
			Production, Other string
			Verdict           compare.Verdict
		}
		var got []row
		for _, p := range s.Played {
			r := row{string(p.Request), p.Asked, p.Sent, p.First, p.Released, p.Cause, "", "", p.Verdict}
			if p.Answers[0] != nil {
				r.Production = string(p.Answers[0].Head)
			}
			if p.Answers[1] != nil {
				r.Other = string(p.Answers[1].Head)
			}
			got = append(got, r)
		}
		want := []row{
			{"a", 0, 0, [2]time.Duration{ms, 5 * ms}, true, Exact, "1", "1", compare.Identical},
			{"", Never, Never, [2]time.Duration{2 * ms, Never}, false, 0, "2", "2", compare.Identical},
			{"b", 3 * ms, 10 * ms, [2]time.Duration{4 * ms, 13 * ms}, true, Exact, "B", "X", compare.Different},
			{"c", 5 * ms, Never, [2]time.Duration{6 * ms, Never}, true, Exact, "C", "", compare.Missing},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// Why a datagram was sent is known also where production's answer is captured
// later than the application's.
func TestStoryOfLiveDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &endpoint{serve: asked(map[string]reply{"a": in(0, "A")})}
		a := watch(t, Config{DialUDP: at.dial})
		defer a.stop()
		one := oneSession(false)
		one.Proto = session.UDP
		for _, e := range resume().client("a").answer("A").events {
			a.feed(one, e)
			time.Sleep(ms) // of the bubble
		}
		if p := a.story(0).Played; len(p) != 1 || !p[0].Released || p[0].Cause != Exact || p[0].Verdict != compare.Identical || string(p[0].Request) != "a" {
			t.Errorf("%+v", p)
		}
	})
}

// Requests are kept as they were sent, however they came.
func TestStoryRequests(t *testing.T) {
	long := post(1, strings.Repeat("u", 40_000))
	for _, s := range []struct {
		name   string
		pieces []string
		want   []string // requests; each is labelled by its first line
		raw    bool
	}{
		{name: "one", pieces: []string{get(0)}, want: []string{get(0)}},
		{name: "in pieces", pieces: []string{get(0)[:10], get(0)[10:15], get(0)[15:]}, want: []string{get(0)}},
		{name: "sniffed", pieces: []string{"G", "ET /0 H", get(0)[8:]}, want: []string{get(0)}},
		{name: "pipelined", pieces: []string{get(0) + post(1, "body") + get(2)}, want: []string{get(0), post(1, "body"), get(2)}},
		{name: "pipelined in pieces", pieces: []string{get(0)[:2], get(0)[2:] + post(1, "body")[:9], post(1, "body")[9:] + get(2)}, want: []string{get(0), post(1, "body"), get(2)}},
		{name: "long", pieces: []string{long[:3], long[3:9000], long[9000:30_000], long[30_000:]}, want: []string{long}},
		{name: "raw", pieces: []string{"HELLO\n", "there\n"}, want: []string{"HELLO\nthere\n"}, raw: true},
		{name: "raw after all", pieces: []string{"GE", "NTLY\n", "now\n"}, want: []string{"GENTLY\nnow\n"}, raw: true},
	} {
		t.Run(s.name, func(t *testing.T) {
			for _, live := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					n := &network{serve: hangs}
					a := watch(t, Config{Dial: n.dial, NoWait: true})
					defer a.stop()
					tape, one := record(), oneSession(false)
					for _, p := range s.pieces {
						tape.client(p)
					}
					check := func(when string) {
						t.Helper()
						st := a.story(0)
						checkStory(t, st)
						if len(st.Played) != len(s.want) {
							t.Fatalf("%s: %d requests, want %d", when, len(st.Played), len(s.want))
						}
						for i, p := range st.Played {
							want := s.want[i]
							first, _, _ := strings.Cut(want, "\r\n")
							if s.raw {
								first = "turn 1"
							}
							if p.Label == "" || !strings.HasPrefix(first, p.Label) || // it may have come in pieces
								p.RequestLen != int64(len(want)) || string(p.Request) != want[:min(len(want), plainText)] {
								t.Errorf("%s: request %d is %q, %d bytes: %.60q; want %d of %.60q", when, i, p.Label, p.RequestLen, p.Request, len(want), want)
							}
							if p.Judged != (when == "ended") || p.Released != (i == 0) {
								t.Errorf("%s: request %d: judged %v, released %v", when, i, p.Judged, p.Released)
							}
						}
					}
					if live {
						for _, e := range tape.events {
							a.feed(one, e)
							synctest.Wait()
						}
					} else {
						a.feed(one, tape.events...)
					}
					check("under way")
					one.End(session.CaptureEnd)
					a.feed(one)
					if err := a.e.Drain(t.Context()); err != nil {
						t.Error(err)
					}
					check("ended")
					checkLibrary(t, &a.e.watch.stories)
				})
			}
		})
	}
}

// What differs is kept whole, also in a session that is full of what does not.
func TestStoryKeepsDifferences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const plain = 300
		page := ok(strings.Repeat("p", 10_000))
		bad := [2]string{ok(strings.Repeat("b", 200_000)), ok(strings.Repeat("c", 200_000))}
		tape := record()
		var replies []reply
		for i := range plain {
			tape.client(get(i)).answer(page)
			replies = append(replies, say(page))
		}
		tape.client(get(plain)).answer(bad[0])
		replies = append(replies, say(bad[1]))
		for i := range plain {
			tape.client(get(i)).answer(page)
			replies = append(replies, say(page))
		}
		n := &network{serve: web(replies...)}
		a := watch(t, Config{Dial: n.dial, Watch: &Watch{Memory: 4 << 20}})
		defer a.stop()
		one := oneSession(false)
		one.Append(tape.events...)
		one.End(session.Idle)
		a.feed(one)
		if err := a.e.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		s := a.story(0)
		checkStory(t, s)
		checkLibrary(t, &a.e.watch.stories)
		found := false
		for i, p := range s.Played {
			if i < firstKept && p.Number != i {
				t.Errorf("exchange %d is number %d", i, p.Number)
			}
			if p.Number == plain {
				found = true
				for side, a := range p.Answers {
					if a == nil || string(a.Head) != bad[side] {
						t.Errorf("the answer that differs is not kept whole: %v", a != nil)
					}
				}
				x := p.Exchange(&s.View)
				if got := compare.ByBytes(&x); got.Verdict != compare.Different {
					t.Errorf("judged again: %v", got.Verdict)
				}
			} else if p.Answers[0] == nil || p.Answers[0] != p.Answers[1] || string(p.Answers[0].Head) != page {
				t.Errorf("exchange %d has not its answers", p.Number)
			}
		}
		if !found || s.Played[len(s.Played)-1].Number != 2*plain {
			t.Errorf("%d exchanges, the one that differs among them: %v", len(s.Played), found)
		}
	})
}

// Answers that are the same only as far as production's was captured are two.
func TestStoryOfParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: turns("ask\n", say("abcdef"))}
		a := watch(t, Config{Dial: n.dial})
		defer a.stop()
		one := oneSession(false)
		one.Append(record().client("ask\n").answer("abc").events...)
		one.End(session.CaptureEnd)
		a.feed(one)
		if err := a.e.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		p := a.story(0).Played[0]
		if !p.Part || p.Answers[0] == p.Answers[1] || string(p.Answers[0].Head) != "abc" || string(p.Answers[1].Head) != "abcdef" {
			t.Errorf("%+v", p)
		}
	})
}

func TestStoryMarks(t *testing.T) {
	whats := func(s *Story) (out []string) {
		for _, m := range s.Marks {
			who := ""
			if m.At[OfProduction] != Never {
				who += "p"
			}
			if m.At[OfApplication] != Never {
				who += "a"
			}
			out = append(out, strings.TrimSpace(who+" "+m.What.String()))
		}
		return out
	}
	one := ok("one")
	for _, s := range []struct {
		name   string
		tape   *tape
		joined bool
		serve  func(*peer)
		wire   wire
		want   []string
		hole   int64
	}{
		{name: "a gap", tape: record().client(get(0)).answer(one).clientGap(9).client(get(1)).answer(one).clientFIN().serverFIN(),
			serve: web(say(one)), hole: 9,
			want: []string{"pa client opens", "pa server accepts", "p not captured", "pa client closes", "pa server closes", "a client opens", "a server accepts"}},
		{name: "it closes early, twice", tape: record().client(get(0)).answer(one).client(get(1)).answer(one).client(get(2)).answer(one).clientFIN().serverFIN(),
			serve: each(web(reply{pieces: []string{one}, then: "close"}), web(reply{pieces: []string{one}, then: "close"}), web(say(one))),
			want: []string{"pa client opens", "pa server accepts", "pa client closes", "a server closes", "a reconnected", "a client opens", "a server accepts", "a server closes",
				"a reconnected", "a client opens", "a server accepts", "pa server closes"}},
		{name: "SYN twice", tape: resume().add(session.Event{Kind: session.Open}).add(session.Event{Kind: session.Open}).add(session.Event{Kind: session.Open, Side: session.Server}).client(get(0)).answer(one).clientRST(),
			serve: web(say(one)), want: []string{"pa client opens", "pa server accepts", "pa client resets"}},
		{name: "joined", tape: resume().client(get(0)).answer(one), joined: true, serve: web(say(one)), want: []string{"a client opens", "a server accepts"}},
		{name: "refused", tape: record().client(get(0)).answer(one), wire: wire{fails: ErrRefused}, want: []string{"pa client opens", "p server accepts"}},
		{name: "reset by a write", tape: record().client(get(0)).answer(one), wire: wire{failsAt: 5}, serve: hangs, want: []string{"pa client opens", "pa server accepts", "a server resets"}},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{serve: s.serve, wire: s.wire}
				a := watch(t, Config{Dial: n.dial})
				defer a.stop()
				one := oneSession(s.joined)
				one.Append(s.tape.events...)
				one.End(session.Closed)
				a.feed(one)
				if err := a.e.Drain(t.Context()); err != nil {
					t.Error(err)
				}
				st := a.story(0)
				checkStory(t, st)
				if got := whats(st); !sameMarks(got, s.want) {
					t.Errorf("marks %q\nwant %q", got, s.want)
				}
				for _, m := range st.Marks {
					if m.What == Hole && m.Bytes != s.hole || m.What != Hole && m.Bytes != 0 {
						t.Errorf("%+v", m)
					}
				}
			})
		})
	}
}

func sameMarks(got, want []string) bool { return cmp.Diff(want, got) == "" }

// Of several connections that the application closed the last one's end is
// production's, whichever side is seen first.
func TestEndsPair(t *testing.T) {
	alone := Mark{What: ServerCloses, At: [2]time.Duration{Never, 1}}
	pair := Mark{What: ServerCloses, At: [2]time.Duration{5, 2}}
	for _, order := range []string{"paa", "apa", "aap"} {
		s, at := &story{}, time.Duration(0)
		for _, side := range order {
			if side == 'p' {
				s.mark(ServerCloses, OfProduction, 5)
				continue
			}
			at++
			s.mark(ServerCloses, OfApplication, at)
		}
		if diff := cmp.Diff([]Mark{alone, pair}, s.marks); diff != "" {
			t.Errorf("%s (-want +got):\n%s", order, diff)
		}
	}
}

// What a story tells does not change while the session goes on, although room
// is used again.
func TestStoryIsACopy(t *testing.T) {
	t.Run("of the queue", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { storyStays(t, true) }) })
	t.Run("of what is over", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { storyStays(t, false) }) })
}

func storyStays(t *testing.T, early bool) {
	n := &network{serve: func(p *peer) { serveBy(p, nil) }}
	a := watch(t, Config{Dial: n.dial})
	defer a.stop()
	one, tape := oneSession(false), record()
	answer := ok("")
	type told struct{ request, answer []byte }
	was := map[string]told{}
	a.feed(one, tape.events...)
	for i := range 3 * maxPlayed {
		request := fmt.Sprintf("GET /%09d HTTP/1.1\r\nHost: a\r\n\r\n", i)
		seen := uint64(i * len(answer))
		a.feed(one, session.Event{Kind: session.Data, Data: []byte(request), Seen: seen})
		if i == 100 && early { // in the queue: production has not answered
			played := a.story(0).Played
			was[request] = told{request: played[len(played)-1].Request}
		}
		a.feed(one, session.Event{Kind: session.Data, Side: session.Server, Data: []byte(answer)})
		synctest.Wait()
		if i == 100 && !early {
			played := a.story(0).Played
			last := played[len(played)-1]
			was[request] = told{last.Request, last.Answers[0].Head}
		}
	}
	for want, s := range was {
		if string(s.request) != want || s.answer != nil && string(s.answer) != answer {
			t.Errorf("%q became %q, %q", want, s.request, s.answer)
		}
	}
}

// However many marks there are, the first and the latest stay.
func TestMarksAreBounded(t *testing.T) {
	s := &story{}
	s.mark(ClientOpens, OfProduction, 0)
	for i := range 10 * maxMarks {
		s.mark(Hole, OfProduction, time.Duration(i)).Bytes = int64(i)
		s.mark(Reconnects, OfApplication, time.Duration(i))
	}
	s.mark(ServerCloses, OfProduction, 9)
	s.mark(ServerCloses, OfApplication, 9)
	if len(s.marks) != maxMarks || s.marks[0].What != ClientOpens || s.marks[maxMarks-1] != (Mark{What: ServerCloses, At: [2]time.Duration{9, 9}}) {
		t.Errorf("%d marks: %+v", len(s.marks), s.marks)
	}
	for _, m := range s.marks {
		if m.What == Hole && m.Bytes != int64(m.At[OfProduction]) {
			t.Errorf("%+v", m)
		}
	}
}

// A connection that never ends takes no more memory and time with each request.
func TestStoryOfManyRequests(t *testing.T) {
	const n = 100_000
	answer := []byte(ok(strings.Repeat("x", 500)))
	e := New(Config{Watch: &Watch{Memory: 8 << 20}, Dial: func(client, server netip.AddrPort, wake func()) (Conn, error) {
		wake()
		return &instant{wake: wake, answer: answer}, nil
	}})
	request := []byte(get(1))
	one := oneSession(false)
	running(t, e, func() {
		one.Append(session.Event{Kind: session.Open})
		for i := range n {
			one.Append(session.Event{Kind: session.Data, Data: request, Seen: uint64(i * len(answer))},
				session.Event{Kind: session.Data, Side: session.Server, Data: answer})
			if i%1000 == 999 {
				e.Feed([]*session.Session{one})
			}
		}
		one.End(session.Idle)
		e.Feed([]*session.Session{one})
	})
	s, _ := e.Story(0)
	if s == nil || s.Requests != n || len(s.Played) > maxPlayed || len(s.Played) < maxPlayed/2 || s.Played[0].Number != 0 || s.Played[len(s.Played)-1].Number != n-1 {
		t.Fatalf("%+v", s)
	}
	checkStory(t, s)
	checkLibrary(t, &e.watch.stories)
}

func TestStoryOfManyDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 100_000
		at := &endpoint{serve: func(p string) reply { return in(0, p) }}
		a := watch(t, Config{DialUDP: at.dial})
		defer a.stop()
		one := oneSession(false)
		one.Proto = session.UDP
		for i := range n {
			text := []byte("datagram " + fmt.Sprint(i))
			one.Append(session.Event{Kind: session.Data, Data: text}, session.Event{Kind: session.Data, Side: session.Server, Data: text})
			if i%1000 == 999 {
				a.feed(one)
				time.Sleep(time.Second) // of the bubble: more a moment would be a burst
			}
		}
		one.End(session.Idle)
		a.feed(one)
		if err := a.e.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		s := a.story(0)
		checkStory(t, s)
		checkLibrary(t, &a.e.watch.stories)
		if s.Answers[compare.Identical] != n || len(s.Played) != maxPlayed || s.Played[maxPlayed-1].Number != n-1 {
			t.Errorf("%v, %d kept", s.Answers, len(s.Played))
		}
	})
}
