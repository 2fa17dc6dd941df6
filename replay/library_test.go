package replay

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// checkLibrary tells whether it counts what it holds, of sessions that have all
// ended.
func checkLibrary(t errorer, l *library) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var size int64
	for _, s := range l.slots {
		own := int64(storyCost) + int64(len(s.final.Marks))*markCost
		text := 0
		for _, k := range s.played {
			own += playedCost + int64(k.text())
			text += k.text()
		}
		if own != s.size || text != s.text || text > storyText || len(s.played) > maxPlayed {
			t.Errorf("session %d: counted with %d, %d of it text; has %d and %d, %d exchanges", s.final.Slot, s.size, s.text, own, text, len(s.played))
		}
		size += own
	}
	if size != l.size || size != l.plain.size+l.notable.size || size > l.limit {
		t.Errorf("the library counts %d, %d plain and %d notable; it has %d, and may have %d", l.size, l.plain.size, l.notable.size, size, l.limit)
	}
}

// What a story is counted with is what it takes.
func TestCosts(t *testing.T) {
	if size := unsafe.Sizeof(watched{}) + unsafe.Sizeof(map[int]*story{}) + 24; size > storyCost {
		t.Errorf("a story takes %d bytes, and is counted with %d", size, storyCost)
	}
	if size := unsafe.Sizeof(kept{}) + 120 + 8; size > playedCost { // its label, and its place
		t.Errorf("an exchange takes %d bytes, and is counted with %d", size, playedCost)
	}
	if size := unsafe.Sizeof(Mark{}); size > markCost {
		t.Errorf("a mark takes %d bytes, and is counted with %d", size, markCost)
	}
	if size := unsafe.Sizeof(View{}); size > 400 {
		t.Errorf("a view takes %d bytes", size)
	}
	t.Logf("watched %d, kept %d, view %d", unsafe.Sizeof(watched{}), unsafe.Sizeof(kept{}), unsafe.Sizeof(View{}))
}

// The stories that are kept are those that tell something.
func TestPlainStoriesGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sessions, bad = 200, 3
		page := ok(strings.Repeat("p", 5000))
		n := &network{serve: func(p *peer) {
			if p.client == clientNumber(bad) {
				web(say(ok("no")))(p)
			} else {
				web(say(page))(p)
			}
		}}
		a := watch(t, Config{Dial: n.dial, Watch: &Watch{Memory: 50_000}})
		defer a.stop()
		for i := range sessions {
			s := oneSession(false)
			s.ID, s.Client = uint64(i+1), clientNumber(i)
			s.Append(record().client(get(0)).answer(page).clientFIN().serverFIN().events...)
			s.End(session.Closed)
			a.feed(s)
			if err := a.e.Drain(t.Context()); err != nil {
				t.Error(err)
			}
			checkLibrary(t, &a.e.watch.stories)
		}
		kept := 0
		for i := range sessions {
			if s, ok := a.e.Story(i); ok {
				kept++
				checkStory(t, s)
			}
		}
		_, oldest := a.e.Story(0)
		_, latest := a.e.Story(sessions - 1)
		_, differs := a.e.Story(bad)
		if kept < 4 || oldest || !latest || !differs {
			t.Errorf("%d are kept; the oldest: %v, the latest: %v, the one that differs: %v", kept, oldest, latest, differs)
		}
	})
}

// Whatever the sessions are, the library is never above its limit, and counts
// what it holds when they have ended.
func TestLibraryProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.SampledFrom([]int64{0, 1000, 5000, 30_000, 300_000, 3 << 20}).Draw(rt, "limit")
		sessions := rapid.IntRange(1, 12).Draw(rt, "sessions")
		tapes, answers := make([]*tape, sessions), map[netip.AddrPort][]reply{}
		ends := make([]bool, sessions)
		for i := range sessions {
			tapes[i] = record()
			for k := range rapid.IntRange(0, 40).Draw(rt, "requests") {
				request := get(k)
				if size := rapid.SampledFrom([]int{0, 0, 100, 30_000}).Draw(rt, "body"); size > 0 {
					request = post(k, strings.Repeat("u", size))
				}
				for _, piece := range drawPieces(rt, request, "request") {
					tapes[i].client(piece)
				}
				answer := ok(strings.Repeat("a", rapid.SampledFrom([]int{0, 10, 1000, 20_000, 90_000}).Draw(rt, "answer")))
				tapes[i].answer(answer)
				if rapid.IntRange(0, 5).Draw(rt, "differs") == 0 {
					answer = ok(strings.Repeat("d", rapid.SampledFrom([]int{5, 1001, 150_000}).Draw(rt, "other")))
				}
				answers[clientNumber(i)] = append(answers[clientNumber(i)], say(answer))
			}
			ends[i] = rapid.Bool().Draw(rt, "ends")
		}
		f := rapid.IntRange(1, 20).Draw(rt, "batch")
		c := bubble(t, func(c *complaints) {
			n := &network{serve: func(p *peer) { web(answers[p.client]...)(p) }}
			var e *Engine
			e = New(Config{Dial: n.dial, Shards: 2, Watch: &Watch{Memory: limit}, Judge: func(x *compare.Exchange) compare.Outcome {
				l := &e.watch.stories
				l.mu.Lock()
				if l.size > limit {
					c.Errorf("%d of %d", l.size, limit)
				}
				l.mu.Unlock()
				return compare.ByBytes(x)
			}})
			ctx, stop := context.WithCancel(context.Background())
			ran := make(chan struct{})
			go func() { e.Run(ctx); close(ran) }()
			{
				all := make([]*session.Session, sessions)
				for left := true; left; {
					left = false
					for i, tape := range tapes {
						if all[i] == nil {
							all[i] = oneSession(false)
							all[i].ID, all[i].Client = uint64(i+1), clientNumber(i)
						}
						k := min(f, len(tape.events))
						if k == 0 {
							continue
						}
						left = true
						all[i].Append(tape.events[:k]...)
						if tape.events = tape.events[k:]; len(tape.events) == 0 && ends[i] {
							all[i].End(session.CaptureEnd)
						}
					}
					e.Feed(all)
					synctest.Wait()
				}
				for slot := range sessions {
					if s, ok := e.Story(slot); ok {
						checkStory(c, s)
					}
				}
				for _, s := range all {
					s.End(session.CaptureEnd)
				}
				e.Feed(all)
				if err := e.Drain(ctx); err != nil {
					c.Errorf("%v", err)
				}
				stop()
				<-ran
			}
			e.Finish()
			checkLibrary(c, &e.watch.stories)
			for slot := range sessions {
				if s, ok := e.Story(slot); ok {
					checkStory(c, s)
				}
			}
			time.Sleep(time.Hour) // of the bubble: what the application still sleeps through
		})
		if len(c) > 0 {
			rt.Fatalf("%s", strings.Join(c[:min(len(c), 10)], "\n"))
		}
	})
}
