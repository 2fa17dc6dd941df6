package replay

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// flowScript is a UDP flow as captured, and what the application does about
// each of the client's datagrams.
type flowScript struct {
	tape     *tape
	sent     []string
	replies  map[string]reply
	watched  bool
	faithful bool          // the application answers as production did, within time
	answers  int           // of production's that are to be judged
	whole    int           // of those, captured whole
	end      session.Cause // of the record
}

func drawFlow(t *rapid.T) *flowScript {
	s := &flowScript{tape: resume(), replies: map[string]reply{}, faithful: rapid.Bool().Draw(t, "faithful"), watched: rapid.Bool().Draw(t, "watched"), end: session.Idle}
	asked := ""
	heard := true // the latest of the client's was captured whole
	for i := range rapid.IntRange(1, 12).Draw(t, "events") {
		switch rapid.SampledFrom([]string{"ask", "ask", "answer", "answer", "answer", "cut", "cut answer"}).Draw(t, "event") {
		case "ask":
			asked, heard = fmt.Sprintf("question %d", i), true
			s.tape.client(asked)
			s.sent = append(s.sent, asked)
			s.replies[asked] = reply{after: time.Millisecond}
		case "cut":
			s.tape.clientGap(9)
			heard = false
		case "answer", "cut answer":
			text := fmt.Sprintf("answer %d", i)
			whole := i%7 != 0
			if whole {
				s.tape.answer(text)
			} else {
				s.tape.serverGap(int64(len(text)))
			}
			if asked == "" || !heard {
				continue
			}
			s.answers++
			if whole {
				s.whole++
			}
			r := s.replies[asked]
			if s.faithful || rapid.Bool().Draw(t, "answered") {
				r.pieces = append(r.pieces, text)
			}
			s.replies[asked] = r
		}
	}
	if !s.faithful {
		for p, r := range s.replies {
			r.after = rapid.SampledFrom([]time.Duration{0, 30 * ms, 4 * time.Second, 20 * time.Second}).Draw(t, "after "+p)
			r.pause = rapid.SampledFrom([]time.Duration{0, 100 * ms}).Draw(t, "pause "+p)
			if rapid.IntRange(0, 4).Draw(t, "more "+p) == 0 {
				r.pieces = append(r.pieces, "more")
			}
			s.replies[p] = r
		}
		s.end = rapid.SampledFrom([]session.Cause{session.Idle, session.CaptureEnd}).Draw(t, "end")
	}
	return s
}

// Whatever was captured and whatever the application does: each datagram goes
// out once and in order, each answer of production's is judged once, and where
// the application answers as production did all are the same.
func TestDatagramFlowProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawFlow(rt)
		f := drawFeeding(rt, len(s.tape.events))
		limit := rapid.SampledFrom([]int64{0, 0, 0, playerCost + 600}).Draw(rt, "memory")
		if s.faithful {
			limit, f = 0, feeding{parts: []int{len(s.tape.events)}}
		}
		for _, complaint := range bubble(t, func(c *complaints) { s.play(c, f, limit) }) {
			rt.Errorf("%s", complaint)
		}
	})
}

func (s *flowScript) play(t errorer, f feeding, limit int64) {
	at := &endpoint{serve: asked(s.replies)}
	var records []Record
	cfg := Config{DialUDP: at.dial, MaxHeld: limit, Ended: func(r *Record) { records = append(records, *r) }}
	if s.watched {
		cfg.Watch = &Watch{Memory: 100 << 10}
	}
	e := New(cfg)
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { e.Run(ctx); close(ran) }()
	one := &session.Session{ID: 1, Proto: session.UDP, Client: clientAddr, Server: serverAddr, Start: time.Now()}
	f.feed(e, one, s.tape.events, s.end)
	if err := e.Drain(ctx); err != nil {
		t.Errorf("drain: %v", err)
	}
	stop()
	<-ran
	res := e.Finish()
	time.Sleep(time.Hour) // of the bubble: answers that the application still owes
	if s.watched {
		if st, ok := e.Story(0); !ok || st.Requests != records[0].Requests || st.State != records[0].State {
			t.Errorf("story %+v", st)
		} else {
			checkStory(t, st)
		}
		checkLibrary(t, &e.watch.stories)
	}
	if len(records) != 1 || len(res.Defects) > 0 {
		t.Errorf("%d records, defects %q", len(records), res.Defects)
		return
	}
	if held, _ := e.Held(); held != 0 {
		t.Errorf("%d bytes held after the end", held)
	}
	var received []string
	for _, socket := range at.sockets {
		received = append(received, socket.received...)
		if !socket.closed {
			t.Errorf("a socket was left open")
		}
	}
	var judged int64
	for _, n := range res.Verdicts {
		judged += n
	}
	switch {
	case limit > 0:
		return // what was shed is anyone's guess
	case !slices.Equal(received, s.sent):
		t.Errorf("received %q, want %q", received, s.sent)
	case judged-res.Extra < int64(s.answers) || res.Verdicts[compare.Missing] > int64(s.whole):
		t.Errorf("%d answers to judge, %d whole, verdicts %v, %d extra", s.answers, s.whole, res.Verdicts, res.Extra)
	case s.faithful && (res.Verdicts[compare.Identical] != int64(s.whole) || judged != int64(s.answers) || res.Release[Timeout]+res.Release[Quiet] > 0):
		t.Errorf("%d answers, %d whole, verdicts %v, release %v", s.answers, s.whole, res.Verdicts, res.Release)
	}
}
