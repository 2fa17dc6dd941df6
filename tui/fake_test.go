package tui

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
	"tcpsandbox/report"
)

// epoch is when the runs of the tests began.
var epoch = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// shopRun is a run for the tests: a shop whose new version has a wrong total, breaks
// one connection and is slow to answer another.
func shopRun() *fakeSource {
	f := &fakeSource{at: epoch.Add(12345 * time.Millisecond), stories: map[int]*Story{}, explained: map[[2]int]*Explanation{}}
	f.run = Run{
		Source: "eth0:80", Command: "./shop-1.1 --port 80", Pid: 4242, State: "listens on :80", Began: epoch,
		Sessions: report.Sessions{Seen: 1204, Complete: 1180, Joined: 2, Replayed: 1204, Finished: 1190, Failed: 9, Reset: 7, Refused: 2, Filtered: 3, UDP: 1},
		Active:   5,
		Answers:  report.Answers{Compared: 6010, Identical: 5800, Equivalent: 190, Different: 18, Missing: 2, Uncompared: 4},
		Released: report.Release{Exact: 5000, Boundary: 900, Quiet: 90, Timeout: 2},
		Bytes:    report.ClientBytes{Captured: 480_000, Delivered: 478_400, Refused: 1_000, Gap: 600, NotCaptured: 77},
		Pending:  1234, Uploaded: 478_400, Answered: 9_200_000, Packets: 24_000, Captured: 12_000_000,
		Memory: 61 << 20, Limit: 12 << 30,
		Warnings: []string{"eth0:80: 3 fragmented IP packets lacked a fragment, and what they held is in no session"},
		Latency: report.Latency{
			Production:  report.Percentiles{P50: report.Milliseconds(900 * time.Microsecond), P90: report.Milliseconds(2 * time.Millisecond), P99: report.Milliseconds(9 * time.Millisecond), Count: 6010},
			Application: report.Percentiles{P50: report.Milliseconds(1100 * time.Microsecond), P90: report.Milliseconds(3 * time.Millisecond), P99: report.Milliseconds(41 * time.Millisecond), Count: 6008},
		},
	}
	client := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	server := netip.MustParseAddrPort("203.0.113.10:80")
	view := func(slot int, from, route string) replay.View {
		return replay.View{
			Slot: slot, ID: uint64(slot + 1), Client: client(from), As: client(from), Server: server, Start: epoch.Add(time.Duration(slot) * 100 * time.Millisecond),
			Production: replay.ProductionClosed, Application: replay.Ended, State: "finished", Behind: 200 * time.Microsecond,
			Requests: 1, Delivered: 78, Captured: 78, Served: 512, Answered: 512,
			Verdict: compare.Identical, Answers: replay.Verdicts{compare.Identical: 1},
			FirstProduction: 900 * time.Microsecond, FirstApplication: 1100 * time.Microsecond, Routes: []string{route},
		}
	}
	plain := view(0, "198.51.100.7:40112", "GET /")
	wrong := view(1, "198.51.100.7:40113", "GET /cart")
	wrong.Requests, wrong.Verdict, wrong.Answers = 3, compare.Different, replay.Verdicts{compare.Identical: 2, compare.Different: 1}
	reset := view(2, "192.0.2.200:51000", "POST /orders")
	reset.Application, reset.State, reset.Verdict = replay.Failed, "reset", compare.Missing
	reset.Delivered, reset.Answered, reset.Answers = 70, 0, replay.Verdicts{compare.Missing: 1}
	held := view(3, "[2001:db8::1]:443", "GET /slow")
	held.Production, held.Application, held.State = replay.ProductionOpen, replay.Held, ""
	held.Held, held.Due, held.Verdict = replay.ForAnswer, f.at.Add(-3200*time.Millisecond), compare.Uncompared
	held.Answers, held.Requests = replay.Verdicts{}, 2
	wide := view(4, "192.0.2.9:1024", "GET /検索/\x1b[31mrot")
	wide.Verdict, wide.Answers = compare.Equivalent, replay.Verdicts{compare.Equivalent: 1}
	f.sessions = []replay.View{plain, wrong, reset, held, wide}
	for i := 5; i < 40; i++ {
		f.sessions = append(f.sessions, view(i, fmt.Sprintf("198.51.100.%d:%d", i, 40000+i), "GET /items"))
	}

	difference := report.Difference{Request: "GET /cart HTTP/1.1", Place: "$.total", Path: "$.total", Production: "41.50", Application: "42.50"}
	body := func(total string) *report.Body {
		return &report.Body{
			Head: "HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: 61",
			Text: "{\n  \"items\": [\n    \"tea\",\n    \"cup\"\n  ],\n  \"currency\": \"EUR\",\n  \"total\": " + total + "\n}",
		}
	}
	f.findings = &Findings{
		Groups: []report.Group{
			{
				Request: "GET /cart", Places: []string{"$.total"}, Kinds: []string{"json"}, Count: 18, Session: 2, Client: "198.51.100.7:40113",
				Example: &difference, Differences: []report.Difference{difference}, Production: body("41.50"), Application: body("42.50"),
			},
			{Request: "POST /orders", Count: 2, Missing: 2, Session: 3, Client: "192.0.2.200:51000", Production: body("7")},
		},
		Noise: []report.Noise{{Route: "GET /", Place: "$.id", Baseline: 3, Application: 3, Answers: 10}},
	}
	f.egress = []report.Egress{
		{Proto: "udp", Dst: "203.0.113.53", Port: 53, Packets: 4, Bytes: 280, Policy: "drop", Name: "billing.example"},
		{Proto: "tcp", Dst: "203.0.113.99", Port: 514, Packets: 1200, Bytes: 72_000, Policy: "refuse"},
	}
	f.log = []Line{
		{At: epoch.Add(100 * time.Millisecond), From: "app", Text: "listening on :80"},
		{At: epoch.Add(2 * time.Second), From: "app", Text: "\x1b[31merror\x1b[0m: \x1b]0;owned\x07order lost"},
		{At: epoch.Add(3 * time.Second), From: "tcpsandbox", Text: "warning: 3 fragmented IP packets lacked a fragment"},
	}

	never := replay.Never
	at := func(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }
	both := func(what replay.What, production, application float64) replay.Mark {
		m := replay.Mark{What: what, At: [2]time.Duration{at(production), at(application)}}
		for i := range m.At {
			if m.At[i] < 0 {
				m.At[i] = never
			}
		}
		return m
	}
	played := func(n int, label string, asked float64, verdict compare.Verdict) replay.Played {
		return replay.Played{
			Number: n, Label: label, HTTP: true, Asked: at(asked), Sent: at(asked + 0.2), First: [2]time.Duration{at(asked + 0.9), at(asked + 1.3)},
			Whole: [2]time.Duration{at(asked + 1), at(asked + 1.4)}, Cause: replay.Exact, Released: true, RequestLen: 78, Request: []byte("GET /cart HTTP/1.1\r\nHost: shop\r\n\r\n"),
			AnswerLen: [2]int64{512, 512}, Judged: true, Verdict: verdict,
		}
	}
	story := replay.Story{View: wrong, Began: epoch, Marks: []replay.Mark{both(replay.ClientOpens, 0, 0), both(replay.ServerAccepts, 0.1, 0.3), both(replay.ClientCloses, 30, 31), both(replay.ServerCloses, 30.2, 31.5)}}
	story.Played = []replay.Played{
		played(0, "GET / HTTP/1.1", 1, compare.Identical), played(1, "GET /cart HTTP/1.1", 10, compare.Different), played(2, "GET /items?id=7 HTTP/1.1", 20, compare.Identical),
	}
	story.Bytes[0] = 78
	f.stories[1] = &Story{Story: story, Facts: [][3]string{{"round trip", "0.9 ms", "0.1 ms"}, {"retransmitted", "1", "0"}}}
	broken := replay.Story{View: reset, Began: epoch, Failure: "write: connection reset by the application", Marks: []replay.Mark{both(replay.ClientOpens, 0, 0), both(replay.ServerAccepts, 0.1, 0.3), both(replay.ServerResets, -1, 4)}}
	lost := played(0, "POST /orders HTTP/1.1", 1, compare.Missing)
	lost.First[1], lost.Whole[1], lost.AnswerLen[1] = never, never, 0
	broken.Played = []replay.Played{lost}
	broken.Bytes[0], broken.Bytes[5] = 70, 8
	f.stories[2] = &Story{Story: broken}
	f.explained[[2]int{1, 1}] = &Explanation{
		Request: &report.Body{Head: "GET /cart HTTP/1.1\nHost: shop"}, Production: body("41.50"), Application: body("42.50"),
		Verdict: compare.Different, Differences: []report.Difference{difference},
		Raw: [2][]byte{[]byte("HTTP/1.1 200 OK\r\n\r\n41.50"), []byte("HTTP/1.1 200 OK\r\n\r\n42.50")},
	}
	return f
}

// fakeSource is a run that stands as it was made, and does what it is told.
type fakeSource struct {
	mu        sync.Mutex
	at        time.Time
	run       Run
	sessions  []replay.View
	findings  *Findings
	egress    []report.Egress
	log       []Line
	stories   map[int]*Story
	explained map[[2]int]*Explanation
	did       []string // by keys
}

func (f *fakeSource) Poll() Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := Snapshot{At: f.at, Sessions: f.sessions, Run: f.run, Findings: f.findings, Egress: f.egress, Log: f.log}
	f.sessions, f.findings, f.egress, f.log = nil, nil, nil, nil
	f.at = f.at.Add(100 * time.Millisecond)
	return s
}

func (f *fakeSource) Story(slot int) *Story                 { return f.stories[slot] }
func (f *fakeSource) Explain(slot, number int) *Explanation { return f.explained[[2]int{slot, number}] }

func (f *fakeSource) do(what string, change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.did = append(f.did, what)
	if change != nil {
		change()
	}
}

func (f *fakeSource) done() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.did...)
}

func (f *fakeSource) Pause()  { f.do("pause", func() { f.run.Paused = true }) }
func (f *fakeSource) Resume() { f.do("resume", func() { f.run.Paused = false }) }
func (f *fakeSource) Step(id uint64, copy int) bool {
	f.do(fmt.Sprintf("step %d/%d", id, copy), nil)
	return id == 4
}
func (f *fakeSource) BreakOn(b replay.Break) {
	f.do("break "+breakWords(b), func() { f.run.Breaks = b })
}
func (f *fakeSource) Restart() error { f.do("restart", nil); return nil }
func (f *fakeSource) Faster() string { f.do("faster", nil); return "twice as fast: ×2" }
func (f *fakeSource) Slower() string { f.do("slower", nil); return "half as fast: ×0.5" }
func (f *fakeSource) Quit(drain bool) {
	f.do(fmt.Sprintf("quit %v", drain), func() { f.run.Ended, f.run.Active = "interrupted", 0 })
}
func (f *fakeSource) Save(slot int) (string, error) {
	f.do(fmt.Sprintf("save %d", slot), nil)
	return "session-2.pcapng", nil
}
func (f *fakeSource) Command(slot int) string {
	return "tcpsandbox run --capture session-2.pcapng -- ./shop-1.1"
}
