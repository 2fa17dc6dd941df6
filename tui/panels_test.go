package tui

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
	"tcpsandbox/report"
	"tcpsandbox/session"
)

// Stories and explanations as they come, for the panels of a session and of an
// exchange.

var (
	began  = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	client = netip.MustParseAddrPort("10.0.0.7:51234")
	server = netip.MustParseAddrPort("192.0.2.1:80")
)

var someFacts = [][3]string{
	{"round trip", "12.1 ms", "0.31 ms"},
	{"retransmitted segments", "2", "0"},
	{"window", "64.2 kB", "502 B"},
	{"window was zero", "0 times", "3 times"},
	{"segments in", "41", "38"},
	{"segments out", "39", "36"},
	{"reset by", "–", "application, after 61 ms"},
}

func opened(more ...replay.Mark) []replay.Mark {
	return append([]replay.Mark{{What: replay.ClientOpens, At: at(0, 0)}, {What: replay.ServerAccepts, At: at(12, 1)}}, more...)
}

func request(number int, label string, asked, sent time.Duration, cause replay.Cause) replay.Played {
	return replay.Played{
		Number: number, Label: label, HTTP: true, Asked: asked * milli, Sent: sent * milli, Released: true, Cause: cause,
		First: at(-1, -1), Whole: at(-1, -1), RequestLen: 78,
	}
}

func answered(p replay.Played, production, application time.Duration, sizes [2]int64, v compare.Verdict) replay.Played {
	p.First = at(production, application)
	p.Whole = p.First
	p.AnswerLen, p.Judged, p.Verdict = sizes, true, v
	if application < 0 {
		p.AnswerLen[1] = 0
	}
	return p
}

// failedStory is of a session that the application reset.
func failedStory() *Story {
	s := &Story{Facts: someFacts}
	s.View = replay.View{
		Slot: 3, ID: 12, Client: client, As: client, Server: server, Start: began, Production: replay.ProductionClosed,
		Application: replay.Failed, State: "reset", Requests: 3, Captured: 234, Delivered: 156, Verdict: compare.Missing,
	}
	s.Answers[compare.Identical], s.Answers[compare.Different], s.Answers[compare.Missing] = 1, 1, 1
	s.Bytes[session.Delivered], s.Bytes[session.Refused] = 156, 78
	s.Began, s.Failure, s.Place = began, "connection reset by peer", "$.items[3].price"
	s.Marks = opened(
		replay.Mark{What: replay.ServerResets, At: at(-1, 61)},
		replay.Mark{What: replay.ClientCloses, At: at(350, -1)}, replay.Mark{What: replay.ServerCloses, At: at(351, -1)},
	)
	s.Played = []replay.Played{
		answered(request(0, "GET /login HTTP/1.1", 13, 2, replay.Exact), 35, 24, [2]int64{312, 312}, compare.Identical),
		answered(request(1, "GET /cart?id=7 HTTP/1.1", 120, 25, replay.Exact), 142, 63-3, [2]int64{1210, 1231}, compare.Different),
		answered(request(2, "POST /order HTTP/1.1", 300, 60, replay.Boundary), 340, -1, [2]int64{512, 0}, compare.Missing),
	}
	return s
}

// heldStory is of a session that waits for an answer.
func heldStory() *Story {
	s := failedStory()
	s.Application, s.State, s.Held, s.Failure, s.Place = replay.Held, "", replay.ForAnswer, "", ""
	s.Production, s.Verdict, s.Requests = replay.ProductionOpen, compare.Identical, 20
	s.Answers = replay.Verdicts{compare.Identical: 17}
	s.Bytes = session.Ledger{}
	s.Marks = opened()
	s.Omitted = 16
	s.Played = []replay.Played{
		answered(request(0, "GET /login HTTP/1.1", 13, 2, replay.Exact), 35, 24, [2]int64{312, 312}, compare.Identical),
		request(17, "GET /cart HTTP/1.1", 3120, 3125, replay.Exact),
		request(18, "GET /cart/items HTTP/1.1", 3320, -1, replay.Exact),
		request(19, "GET /cart/total HTTP/1.1", 3420, -1, replay.Exact),
	}
	for i := 2; i < 4; i++ {
		p := &s.Played[i]
		p.Sent, p.Released, p.Cause = never, false, 0
		p.First[0], p.AnswerLen[0] = p.Asked+22*milli, 1200
	}
	s.Played[1].First[0], s.Played[1].AnswerLen[0] = 3150*milli, 2048
	return s
}

// udpStory is of a flow with an answer that is missing and one too many.
func udpStory() *Story {
	s := &Story{}
	s.View = replay.View{
		Slot: 5, ID: 40, Proto: session.UDP, Client: client, As: netip.MustParseAddrPort("[fd00::7]:51234"), Server: netip.MustParseAddrPort("192.0.2.1:53"),
		Copy: 2, Start: began, Production: replay.ProductionIdle, Application: replay.Failed, State: "unanswered", Requests: 3, Captured: 90,
		Delivered: 90, Verdict: compare.Missing,
	}
	s.Answers[compare.Identical], s.Answers[compare.Missing], s.Answers[compare.Different] = 1, 1, 1
	s.Bytes[session.Delivered] = 90
	s.Began = began
	turn := func(n int, p replay.Played) replay.Played {
		p.HTTP, p.Label, p.RequestLen, p.Released = false, fmt.Sprintf("answer %d", n+1), 30, false
		return p
	}
	s.Played = []replay.Played{
		turn(0, answered(request(0, "", 0, 0, 0), 20, 4, [2]int64{120, 120}, compare.Identical)),
		turn(1, answered(request(1, "", 1000, 1001, 0), 1020, -1, [2]int64{120, 0}, compare.Missing)),
		turn(2, answered(request(2, "", -1, -1, 0), -1, 6010, [2]int64{0, 44}, compare.Different)),
	}
	s.Played[2].Extra, s.Played[2].Asked, s.Played[2].Sent = true, never, never
	return s
}

const jsonHead = "HTTP/1.1 200 OK\nContent-Type: application/json\nDate: Sun, 22 Nov 2026 10:00:00 GMT\n"

func cart(total, third string) *report.Body {
	var b strings.Builder
	b.WriteString("{\n  \"currency\": \"EUR\",\n  \"items\": [\n")
	for i := range 12 {
		name := fmt.Sprintf("article %d", i)
		if i == 3 {
			name = third
		}
		fmt.Fprintf(&b, "    {\"name\": %q, \"price\": %d}", name, 3*i)
		if i < 11 {
			b.WriteString(",")
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "  ],\n  \"total\": %s,\n  \"vat\": null\n}\n", total)
	return &report.Body{Head: jsonHead, Text: b.String()}
}

// jsonDiffers is an answer that differs in two places.
func jsonDiffers() *Explanation {
	e := &Explanation{
		Request:    &report.Body{Head: "GET /cart?id=7 HTTP/1.1\nHost: shop.example\nCookie: (hidden)\n"},
		Production: cart("198", "日本語の本"), Application: cart("198.00", "日本語"),
		Verdict: compare.Different,
		Differences: []report.Difference{
			{Request: "GET /cart?id=7 HTTP/1.1", Place: "$.items[*].name", Path: "$.items[3].name", Production: `"日本語の本"`, Application: `"日本語"`},
			{Request: "GET /cart?id=7 HTTP/1.1", Place: "$.total", Path: "$.total", Production: "198", Application: "198.00"},
			{Request: "GET /cart?id=7 HTTP/1.1", Place: "header server", Path: "header server", Production: "shop/1", Lacks: "application"},
		},
		Excused: []report.Excused{{Place: "header date", Why: "default rule: a date"}, {Place: "header order"}},
	}
	e.Application.Head = strings.Replace(e.Application.Head, "10:00:00", "10:00:07", 1)
	return e
}

// binaryDiffers is an answer of bytes.
func binaryDiffers() *Explanation {
	p := make([]byte, 600)
	for i := range p {
		p[i] = byte(i * 7)
	}
	copy(p, "\x16\x03\x03\x00\x7aGIF89a")
	a := append([]byte(nil), p...)
	a[40], a[41], a[500] = 0xff, 0x1b, 0
	a = append(a, 1, 2, 3)
	return &Explanation{
		Verdict: compare.Different, Raw: [2][]byte{p, a},
		Production: &report.Body{Text: "00000000  16 03 03\n"}, Application: &report.Body{Text: "00000000  16 03 04\n"},
		Differences: []report.Difference{{Place: "bytes 40-41", Path: "bytes 40-41", Offset: 40, Production: `\x1f`, Application: `\xff\x1b`}},
	}
}

// missingAnswer is one that did not come.
func missingAnswer() *Explanation {
	return &Explanation{Request: &report.Body{Head: "POST /order HTTP/1.1\n", Text: "{\"id\": 7}"}, Production: cart("198", "a book"), Verdict: compare.Missing}
}

// panelSizes are those of the goldens.
var panelSizes = [][2]int{{80, 19}, {120, 25}, {200, 50}, {40, 8}}

// drawn is what the tests need of a panel.
type drawn interface {
	view(width, height int, st styles, focused bool) []string
}

// drawPanel draws with plain styles, and checks the size.
func drawPanel(t *testing.T, p drawn, cells, height int) []string {
	t.Helper()
	out := p.view(cells, height, styles{}, true)
	if len(out) != height {
		t.Fatalf("%d lines, want %d", len(out), height)
	}
	for i, line := range out {
		if n := method.StringWidth(line); n != cells {
			t.Fatalf("line %d of %dx%d is %d cells wide: %q", i, cells, height, n, line)
		}
	}
	return out
}

// inBox shows where lines end.
func inBox(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("│" + l + "│\n")
	}
	return b.String()
}

func TestPanelGoldens(t *testing.T) {
	detailOf := func(s *Story, do func(*detail)) func() drawn {
		return func() drawn {
			d := &detail{}
			d.set(s, began.Add(6300*milli))
			if do != nil {
				d.view(80, 19, styles{}, true)
				do(d)
			}
			return d
		}
	}
	exchange := func(p *replay.Played, e *Explanation, do func(*answers)) func() drawn {
		return func() drawn {
			x := &answers{}
			x.set(p, e)
			if do != nil {
				x.view(80, 19, styles{}, true)
				do(x)
			}
			return x
		}
	}
	failed := failedStory()
	group := report.Group{
		Request: "GET /cart", Places: []string{"$.total"}, Count: 1234, Missing: 12, Session: 12, Client: client.String(),
		Differences: jsonDiffers().Differences, Production: jsonDiffers().Production, Application: jsonDiffers().Application,
	}
	for name, make := range map[string]func() drawn{
		"detail-failed":   detailOf(failed, func(d *detail) { d.nextDifference(1) }),
		"detail-folded":   detailOf(failed, func(d *detail) { d.toggleFacts() }),
		"detail-held":     detailOf(heldStory(), nil),
		"detail-udp":      detailOf(udpStory(), func(d *detail) { d.last() }),
		"detail-nothing":  detailOf(nil, nil),
		"exchange-json":   exchange(&failed.Played[1], jsonDiffers(), nil),
		"exchange-next":   exchange(&failed.Played[1], jsonDiffers(), func(x *answers) { x.nextDifference(1); x.nextDifference(1) }),
		"exchange-single": exchange(&failed.Played[1], jsonDiffers(), func(x *answers) { x.nextMode(); x.toggleRequest(); x.toggleDifferences() }),
		"exchange-hex": exchange(&failed.Played[1], binaryDiffers(), func(x *answers) {
			x.nextMode()
			x.nextMode()
			x.view(80, 19, styles{}, true)
			x.nextDifference(1)
		}),
		"exchange-missing": exchange(&failed.Played[2], missingAnswer(), nil),
		"exchange-nothing": exchange(&failed.Played[1], nil, nil),
		"exchange-group": func() drawn {
			x := &answers{}
			x.setGroup(&group)
			return x
		},
	} {
		for _, size := range panelSizes {
			golden(t, fmt.Sprintf("panels/%s-%dx%d", name, size[0], size[1]), inBox(drawPanel(t, make(), size[0], size[1])))
		}
	}
}
