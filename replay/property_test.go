package replay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// complaints collects what a bubble has to say, for rapid to hear outside.
type complaints []string

func (c *complaints) Errorf(format string, args ...any) {
	*c = append(*c, fmt.Sprintf(format, args...))
}

// bubble runs a scene with virtual time.
func bubble(t *testing.T, f func(*complaints)) (c complaints) {
	synctest.Test(t, func(*testing.T) { f(&c) })
	return c
}

func drawWire(t *rapid.T) wire {
	return wire{
		connect:  drawDelay(t, "connect"),
		perWrite: rapid.SampledFrom([]int{0, 0, 1, 7, 100}).Draw(t, "per write"),
		room:     rapid.SampledFrom([]int{0, 0, 64, 1000}).Draw(t, "room"),
		ackAfter: drawDelay(t, "ack after"),
	}
}

func drawDelay(t *rapid.T, label string) time.Duration {
	return rapid.SampledFrom([]time.Duration{0, 0, time.Millisecond, 30 * time.Millisecond, 900 * time.Millisecond}).Draw(t, label)
}

// drawMeddling has the engine paused up to three times.
func drawMeddling(t *rapid.T) (all []time.Duration) {
	for range rapid.IntRange(0, 3).Draw(t, "pauses") {
		all = append(all, drawDelay(t, "playing"), rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Second, time.Hour}).Draw(t, "paused"))
	}
	return all
}

// drawPieces cuts s into up to four.
func drawPieces(t *rapid.T, s, label string) (pieces []string) {
	for range rapid.IntRange(0, 3).Draw(t, label+" cuts") {
		n := rapid.IntRange(0, len(s)).Draw(t, label+" cut")
		if n > 0 {
			pieces = append(pieces, s[:n])
			s = s[n:]
		}
	}
	if s != "" {
		pieces = append(pieces, s)
	}
	return pieces
}

func drawFeeding(t *rapid.T, events int) feeding {
	f := feeding{name: "as drawn", pause: drawDelay(t, "feeding pause")}
	for left := events; left > 0; {
		n := rapid.IntRange(1, left).Draw(t, "batch")
		f.parts = append(f.parts, n)
		left -= n
	}
	return f
}

// Whatever the requests, the answers and the splits: a keep-alive session
// reaches the application byte for byte, no request before the answer that it
// followed in production is complete, and each answer is judged.
func TestKeepAliveProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := scene{tape: record(), watched: rapid.Bool().Draw(rt, "watched"), wire: drawWire(rt), meddle: drawMeddling(rt), verdicts: verdictCount{}, release: nil}
		var replies []reply
		var bounds []int // bytes of the client's that may be here before the answer is
		stream := ""
		count := rapid.IntRange(1, 6).Draw(rt, "requests")
		for i := range count {
			request := get(i)
			if rapid.Bool().Draw(rt, "upload") {
				request = post(i, strings.Repeat("u", rapid.IntRange(0, 2000).Draw(rt, "body")))
			}
			for _, piece := range drawPieces(rt, request, "request") {
				s.tape.client(piece)
			}
			stream += request
			bounds = append(bounds, len(stream))
			answer := drawAnswer(rt)
			if rapid.Bool().Draw(rt, "asynchronous") && i < count-1 {
				// Pipelined: the next request is of the same turn; its answer
				// comes in one with this one's.
				next := get(100 + i)
				s.tape.client(next)
				stream += next
				bounds[len(bounds)-1] = len(stream)
				bounds = append(bounds, len(stream))
				other := drawAnswer(rt)
				for _, piece := range drawPieces(rt, answer+other, "answers") {
					s.tape.answer(piece)
				}
				replies = append(replies, drawReply(rt, answer, s.verdicts), drawReply(rt, other, s.verdicts))
				continue
			}
			for _, piece := range drawPieces(rt, answer, "answer") {
				s.tape.answer(piece)
			}
			replies = append(replies, drawReply(rt, answer, s.verdicts))
		}
		s.tape.clientFIN().serverFIN()
		s.received = []string{stream}
		f := drawFeeding(rt, len(s.tape.events))
		var early string
		s.serve = func(p *peer) {
			r := bufio.NewReader(&reader{p: p})
			for i := 0; ; i++ {
				req, err := http.ReadRequest(r)
				if err == nil {
					_, err = io.Copy(io.Discard, req.Body)
				}
				if err != nil {
					if errors.Is(err, io.EOF) {
						p.end(true)
					}
					return
				}
				last := replies[i]
				n := len(last.pieces) - 1
				last.pieces = last.pieces[:n]
				last.give(p)
				time.Sleep(last.pause) // of the bubble: as give would before the last piece
				p.mu.Lock()
				if len(p.received) > bounds[i] {
					early = fmt.Sprintf("request %d: %d bytes are here before its answer, %d had been in production", i, len(p.received), bounds[i])
				}
				p.mu.Unlock()
				p.send(replies[i].pieces[n])
			}
		}
		c := bubble(t, func(c *complaints) {
			o := s.run(c, f)
			if s.invariants(c, o) {
				s.compare(c, o, f)
			}
			if o.result.Release[Timeout] > 0 || o.result.Release[Quiet] > 0 {
				c.Errorf("released by %v", o.result.Release)
			}
		})
		if early != "" {
			c.Errorf("%s", early)
		}
		if len(c) > 0 {
			rt.Fatalf("fed %v: %s", f, strings.Join(c, "\n"))
		}
	})
}

func drawAnswer(t *rapid.T) string {
	body := strings.Repeat("x", rapid.IntRange(0, 1500).Draw(t, "answer"))
	if rapid.Bool().Draw(t, "chunked") && body != "" {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	}
	return ok(body)
}

// drawReply makes the application answer as production did, or not.
func drawReply(t *rapid.T, production string, verdicts verdictCount) reply {
	answer, verdict := production, compare.Identical
	if rapid.Bool().Draw(t, "differs") {
		answer = drawAnswer(t)
		if answer != production {
			verdict = compare.Different
		}
	}
	verdicts[verdict]++
	return reply{after: drawDelay(t, "delay"), pieces: drawPieces(t, answer, "reply"), pause: drawDelay(t, "pause")}
}

// A protocol nobody knows, to which the application answers as production did:
// each turn is released exactly, whatever the pauses and the splits.
func TestRawProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := scene{tape: record(), watched: rapid.Bool().Draw(rt, "watched"), wire: drawWire(rt), release: causeCount{}}
		var script []any
		stream := ""
		turnsMade := int64(0)
		if rapid.Bool().Draw(rt, "greeting") {
			s.tape.answer("hello\n")
			script = append(script, reply{after: drawDelay(rt, "delay"), pieces: []string{"hello\n"}})
			turnsMade++
		}
		for i := range rapid.IntRange(1, 6).Draw(rt, "turns") {
			line := fmt.Sprintf("%d%s\n", i, strings.Repeat("q", rapid.IntRange(0, 50).Draw(rt, "line")))
			stream += line
			for _, piece := range drawPieces(rt, line, "line") {
				s.tape.client(piece)
			}
			answer := strings.Repeat("a", rapid.IntRange(1, 3000).Draw(rt, "answer"))
			for _, piece := range drawPieces(rt, answer, "answer") {
				s.tape.answer(piece)
			}
			script = append(script, line, reply{after: drawDelay(rt, "delay"), pieces: drawPieces(rt, answer, "reply"),
				pause: time.Duration(rapid.IntRange(0, 19).Draw(rt, "pause")) * time.Millisecond}) // shorter than what ends an answer
			s.release[Exact]++
			turnsMade++
		}
		s.release[Exact]++ // FIN
		s.tape.clientFIN().serverFIN()
		s.received, s.verdicts = []string{stream}, verdictCount{compare.Identical: turnsMade}
		s.serve = turns(script...)
		f := drawFeeding(rt, len(s.tape.events))
		c := bubble(t, func(c *complaints) {
			o := s.run(c, f)
			if s.invariants(c, o) {
				s.compare(c, o, f)
			}
		})
		if len(c) > 0 {
			rt.Fatalf("fed %v: %s", f, strings.Join(c, "\n"))
		}
	})
}

// drawControls adds to a configuration what a user may ask for.
func drawControls(t *rapid.T, more func(*Config)) func(*Config) {
	early, noWait := rapid.Bool().Draw(t, "stop early"), rapid.IntRange(0, 4).Draw(t, "wait") == 0
	limit := rapid.SampledFrom([]int64{0, 0, 0, 1, playerCost + connCost + 1000, playerCost + connCost + 3000}).Draw(t, "memory")
	ramp := rapid.SampledFrom([]time.Duration{0, 0, 0, 0, 10 * time.Millisecond, time.Second}).Draw(t, "ramp")
	return func(c *Config) {
		if more != nil {
			more(c)
		}
		c.StopEarly, c.NoWait, c.MaxHeld, c.Ramp = early, noWait, limit, ramp
	}
}

// Events in any order and applications that do anything: the engine ends, its
// books balance, and nothing is sent twice.
func TestChaosProperty(t *testing.T) {
	client := rapid.SampledFrom([]string{get(1), get(2), post(3, "abcdefgh"), post(4, "123")[:45], "123", "word", "HELLO", "*1\r\n$4\r\nPING\r\n", "\r\n",
		"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "HEAD / HTTP/1.1\r\n\r\n", get(5) + get(6)[:7], get(6)[7:]})
	server := rapid.SampledFrom([]string{ok(""), ok("one"), ok("two and more"), ok("three")[:12], ok("three")[12:], interim, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\nuntil the close", "+OK\r\n", "banner\n", "x"})
	then := rapid.SampledFrom([]string{"", "", "", "", "close", "shut", "reset", "hang"})
	rapid.Check(t, func(rt *rapid.T) {
		s := scene{tape: record(), watched: rapid.Bool().Draw(rt, "watched"), wire: drawWire(rt), meddle: drawMeddling(rt)}
		if s.joined = rapid.Bool().Draw(rt, "joined"); s.joined {
			s.tape = resume()
		}
		s.end = rapid.SampledFrom([]session.Cause{session.Closed, session.Reset, session.Idle, session.CaptureEnd}).Draw(rt, "end")
		seen := 0
		for range rapid.IntRange(0, 14).Draw(rt, "events") {
			seen = rapid.IntRange(seen, int(s.tape.server)).Draw(rt, "seen")
			if rapid.Bool().Draw(rt, "all") {
				seen = int(s.tape.server)
			}
			switch kind := rapid.IntRange(0, 19).Draw(rt, "kind"); {
			case kind < 8:
				s.tape.client(client.Draw(rt, "data")).saw(seen)
			case kind < 15:
				s.tape.answer(server.Draw(rt, "answer"))
			case kind == 15:
				s.tape.clientGap(int64(rapid.IntRange(1, 99).Draw(rt, "gap"))).saw(seen)
			case kind == 16:
				s.tape.serverGap(int64(rapid.SampledFrom([]int{1, 2, 5, 40, 100_000}).Draw(rt, "gap")))
			case kind == 17:
				s.tape.serverFIN()
			case kind == 18:
				s.tape.later(drawDelay(rt, "later"))
			case kind == 19:
				s.tape.serverRST()
			}
		}
		switch rapid.IntRange(0, 3).Draw(rt, "close") {
		case 0:
			s.tape.clientFIN()
		case 1:
			s.tape.clientRST()
		}
		switch rapid.IntRange(0, 9).Draw(rt, "network") {
		case 0:
			s.wire.fails = ErrRefused
		case 1:
			s.dialed = func(n int) error { return []error{ErrInUse, nil, ErrRefused, ErrInUse, nil}[n%5] }
		case 2:
			s.wire.noAcks = true
		}
		if rapid.Bool().Draw(rt, "paced") {
			s.config = func(c *Config) { c.Pace = NewPace(1) }
		}
		s.config = drawControls(rt, s.config)
		if rapid.IntRange(0, 4).Draw(rt, "cut") == 0 {
			s.cut = 1 + drawDelay(rt, "cut short")
		}
		replies := make([]reply, rapid.IntRange(0, 6).Draw(rt, "replies"))
		for i := range replies {
			replies[i] = reply{after: drawDelay(rt, "delay"), pieces: drawPieces(rt, server.Draw(rt, "reply"), "reply"), pause: drawDelay(rt, "pause"), then: then.Draw(rt, "then")}
		}
		s.serve = func(p *peer) {
			for _, r := range replies {
				if !r.give(p) {
					return
				}
				if _, err := p.get(); err != nil {
					p.end(true)
					return
				}
			}
			for {
				if _, err := p.get(); err != nil {
					p.end(true)
					return
				}
			}
		}
		f := drawFeeding(rt, len(s.tape.events))
		if len(f.parts) == 0 {
			f.parts = []int{0}
		}
		if c := bubble(t, func(c *complaints) { s.invariants(c, s.run(c, f)) }); len(c) > 0 {
			rt.Fatalf("%s\nfed %v: %v\njoined %v, ended %v, cut after %v, paced %v, %+v, meddling %v, replies %+v",
				strings.Join(c, "\n"), f.parts, s.tape, s.joined, s.end, s.cut, s.config != nil, s.wire, s.meddle, replies)
		}
	})
}
