package report

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/findings"
	"tcpsandbox/session"
)

// shop is what a run beside a web shop may come to: 200 requests a second for
// five minutes, a test application that forgets a rebate and tags the search
// wrongly, a baseline that shows what is noise, and egress. It is the same each
// time.
func shop() *Result {
	rnd := rand.New(rand.NewPCG(1, 2))
	r := &Result{
		Tool: "tcpsandbox 1.0.0", Started: time.Date(2026, 3, 2, 10, 15, 0, 0, time.UTC), Duration: Seconds(300 * time.Second),
		Ended: EndedDuration, ExitCode: 1,
		Sessions: Sessions{Seen: 9412, Complete: 9371, Joined: 41, Replayed: 9412, Finished: 9409, Failed: 3},
		Release:  Release{Exact: 59_612, Boundary: 431},
		App:      Tested{App: App{Command: "./shop-2.4.0 --listen :8080", Listen: "[::]:8080"}},
		Egress: []Egress{
			{Proto: "tcp", Dst: "10.0.4.17", Port: 5432, Packets: 1240, Bytes: 74_400, Policy: "refuse", Name: "db.shop.internal"},
			{Proto: "udp", Dst: "10.0.0.2", Port: 8125, Packets: 60_043, Bytes: 4_923_526, Policy: "refuse", Name: "statsd.shop.internal"},
			{Proto: "tcp", Dst: "203.0.113.40", Port: 443, Packets: 318, Bytes: 19_080, Policy: "refuse", Name: "api.payments.example"},
		},
		Failed: []string{"1,306 of 60,030 answers differ (2.18 %), --max-different allows 0.1%"},
	}
	r.Capture.Add(Source{Source: "eth0:443", Packets: 418_112, Bytes: 611_403_882})
	var l session.Ledger
	l[session.Delivered], l[session.BeforeJoin] = 31_842_110, 4_212
	r.ClientBytes = Bytes(31_846_322, l, 0)

	s := &findings.Summary{
		Verdicts: findings.Verdicts{compare.Identical: 17_204, compare.Equivalent: 41_520, compare.Different: 1_302, compare.Missing: 4, compare.Uncompared: 13},
		Excused: []findings.Excused{
			{Excuse: compare.Excuse{Place: compare.Place{Kind: compare.InHeader, Name: "date"}, Why: "default: header date"}, Answers: 41_520},
			{Excuse: compare.Excuse{Place: compare.Place{Kind: compare.InHeader, Name: "x-request-id"}, Why: "default: request ids"}, Answers: 38_411},
			{Excuse: compare.Excuse{Place: compare.Place{Kind: compare.Spelling, Name: "header order"}}, Answers: 12_003},
			{Excuse: compare.Excuse{Place: compare.Place{Kind: compare.InCookie, Name: "session"}, Why: "default: cookies"}, Answers: 9_412},
			{Excuse: compare.Excuse{Place: compare.Place{Kind: compare.InJSON, Name: "$.generated_at"}, Why: "rules.yaml:7"}, Answers: 2_350},
			{Excuse: compare.Excuse{Place: compare.Place{Kind: compare.Spelling, Name: "chunking"}}, Answers: 311},
		},
		Noise: []findings.Noise{
			{Route: "GET /products/{id}", Place: compare.Place{Kind: compare.InJSON, Name: "$.stock"}, Baseline: 2_120, Application: 2_098, Answers: 21_310},
			{Route: "GET /recommendations", Place: compare.Place{Kind: compare.InOrder, Name: "$.items"}, Baseline: 1_804, Application: 1_811, Answers: 5_920},
			{Route: "POST /checkout", Place: compare.Place{Kind: compare.InJSON, Name: "$.order.token"}, Baseline: 1_190, Application: 1_190, Answers: 1_190},
		},
	}
	s.Uncompared[compare.NotCaptured], s.Uncompared[compare.CaptureEnded] = 4, 9
	s.Groups = shopGroups()
	s.Baseline.Compared, s.Baseline.Differed = 60_030, 5_114
	r.Baseline = &Baseline{App: App{Command: "./shop-2.3.6 --listen :8080", Listen: "[::]:8080"}}

	s.Latency = findings.Sides{
		Production:  findings.Latency{First: measuredTimes(rnd, 4.1, 0.55), Whole: measuredTimes(rnd, 4.9, 0.6)},
		Application: findings.Latency{First: measuredTimes(rnd, 4.6, 0.75), Whole: measuredTimes(rnd, 5.4, 0.78)},
		Baseline:    findings.Latency{First: measuredTimes(rnd, 4.2, 0.57), Whole: measuredTimes(rnd, 5.0, 0.62)},
	}
	for i, x := range []struct {
		name                       string
		answers, different, missed int64
		production, application    float64
	}{
		{"GET /products/{id}", 21_310, 0, 0, 3.1, 3.3}, {"GET /search", 12_440, 94, 4, 8.2, 14.9}, {"GET /", 9_120, 0, 0, 2.2, 2.1},
		{"GET /recommendations", 5_920, 0, 0, 6.4, 6.9}, {"GET /cart/{id}", 4_811, 1_208, 0, 4.0, 4.2}, {"GET /categories/{id}", 3_114, 0, 0, 3.8, 3.7},
		{"POST /cart/{id}/items", 1_602, 0, 0, 5.2, 5.5}, {"POST /checkout", 1_190, 0, 0, 18.4, 19.0}, {"POST /login", 523, 0, 0, 41.0, 40.2},
	} {
		route := findings.Route{Name: x.name, Verdicts: findings.Verdicts{compare.Different: x.different, compare.Missing: x.missed}}
		route.Verdicts[compare.Equivalent] = (x.answers - x.different - x.missed) * int64(3+i%2) / 5
		route.Verdicts[compare.Identical] = x.answers - x.different - x.missed - route.Verdicts[compare.Equivalent]
		route.Latency.Production.First, route.Latency.Application.First = measuredTimes(rnd, x.production, 0.4), measuredTimes(rnd, x.application, 0.42)
		route.Latency.Production.Whole, route.Latency.Application.Whole = route.Latency.Production.First, route.Latency.Application.First
		for _, d := range []*findings.Distribution{&route.Latency.Production.First, &route.Latency.Application.First} {
			d.Curve, d.Count = nil, x.answers
		}
		s.Routes = append(s.Routes, route)
	}
	s.Series.Step = 2 * time.Second
	for i := range 150 {
		wave := 1 + 0.12*math.Sin(float64(i)/17) + 0.05*rnd.NormFloat64()
		n := 400 * wave
		p := findings.SeriesPoint{
			Verdicts:    findings.Verdicts{compare.Identical: int64(0.29 * n), compare.Equivalent: int64(0.69 * n), compare.Different: int64(0.02*n + 2*rnd.Float64())},
			Production:  time.Duration(4.9e6 * (1 + 0.08*rnd.NormFloat64())),
			Application: time.Duration(5.9e6 * (1 + 0.1*rnd.NormFloat64())),
		}
		if i > 88 && i < 97 { // a pause of the collector, as it were
			p.Application *= 3
			p.Verdicts[compare.Missing] = int64(i % 2)
		}
		if i > 146 {
			p.Verdicts[compare.Uncompared] = 4
		}
		s.Series.Points = append(s.Series.Points, p)
	}
	r.SetFindings(s)
	r.DifferencesOmitted = 0
	for i := range r.Differences[:3] {
		r.Differences[i].Capture = fmt.Sprintf("failures/%d.pcapng", i+1)
		r.Differences[i].Command = fmt.Sprintf("tcpsandbox run --capture failures/%d.pcapng -- ./shop-2.4.0 --listen :8080", i+1)
	}
	for i, g := range r.Differences[:2] {
		for j := range 3 {
			id := g.Session + uint64(17*j)
			r.AddDetail(Detail{ID: id, Client: fmt.Sprintf("198.51.100.%d:%d", 20+j+5*i, 41_000+id), Server: "203.0.113.9:443", State: "finished", Requests: 6 + int64(j),
				ClientBytes: ClientBytes{Captured: 3210, Delivered: 3210}, Verdict: "different", FirstDifference: g.Example})
		}
	}
	r.AddDetail(Detail{ID: 3311, Client: "198.51.100.77:50122", Server: "203.0.113.9:443", State: "unanswered", Requests: 3, ClientBytes: ClientBytes{Captured: 901, Delivered: 901}, Verdict: "missing"})
	r.AddDetail(Detail{ID: 12, Client: "198.51.100.4:50123", Server: "203.0.113.9:443", State: "finished", Joined: true, Requests: 3, ClientBytes: ClientBytes{Captured: 5113, Delivered: 901, BeforeJoin: 4212}, Verdict: "equivalent"})
	return r
}

func shopGroups() []findings.Group {
	head := "HTTP/1.1 200 OK\r\nserver: shop\r\ndate: Mon, 02 Mar 2026 10:17:21 GMT\r\ncontent-type: application/json\r\nset-cookie: session=(masked)\r\n"
	cart := func(total float64, rebate any) *findings.Body {
		var items []any
		for i := range 9 {
			items = append(items, map[string]any{"sku": fmt.Sprintf("TS-%04d", 1000+37*i), "name": []string{"Teapot", "Cup", "Sieve"}[i%3], "quantity": 1 + i%2, "price": 12.5 + float64(i)})
		}
		text, _ := json.MarshalIndent(map[string]any{"cart": map[string]any{"id": 40231, "currency": "EUR", "items": items, "rebate": rebate, "total": total, "shipping": map[string]any{"method": "post", "days": 2}}}, "", "  ")
		return &findings.Body{Head: head, Text: string(text)}
	}
	place := func(k compare.Kind, name string) compare.Place { return compare.Place{Kind: k, Name: name} }
	total, rebate := place(compare.InJSON, "$.cart.total"), place(compare.InJSON, "$.cart.rebate")
	etag := place(compare.InHeader, "content-type")
	search := func(kind string) *findings.Body {
		return &findings.Body{Head: "HTTP/1.1 200 OK\r\nserver: shop\r\ncontent-type: " + kind + "\r\ncache-control: max-age=60\r\n", Text: "<!doctype html>\n<title>Search: teapot</title>\n<ul>\n  <li><a href=\"/products/1000\">Teapot</a></li>\n  <li><a href=\"/products/1111\">Teapot, blue</a></li>\n</ul>\n"}
	}
	return []findings.Group{
		{Route: "GET /cart/{id}", Places: []compare.Place{total, rebate}, Answers: 1208, Example: findings.Example{
			Session: 214, Client: "198.51.100.20:41214", Request: "GET /cart/40231 HTTP/1.1",
			Differences: []compare.Difference{
				{Place: total, Production: []byte("178.25"), Application: []byte("198")},
				{Place: rebate, Production: []byte("0.1"), Application: []byte("null")}},
			Production: cart(178.25, 0.1), Application: cart(198, nil)}},
		{Route: "GET /search", Places: []compare.Place{etag}, Answers: 94, Example: findings.Example{
			Session: 1107, Client: "198.51.100.25:42107", Request: "GET /search?q=teapot HTTP/1.1",
			Differences: []compare.Difference{{Place: etag, Production: []byte("text/html; charset=utf-8"), Application: []byte("text/html")}},
			Production:  search("text/html; charset=utf-8"), Application: search("text/html")}},
		{Route: "GET /search", Answers: 4, Missing: true, Example: findings.Example{
			Session: 3311, Client: "198.51.100.77:50122", Request: "GET /search?q=%25 HTTP/1.1", Production: search("text/html; charset=utf-8")}},
	}
}

// measuredTimes is a log-normal distribution of 60,030 answers.
func measuredTimes(rnd *rand.Rand, median, spread float64) findings.Distribution {
	all := make([]float64, 4000)
	for i := range all {
		all[i] = median * math.Exp(spread*rnd.NormFloat64())
		if i%160 == 0 {
			all[i] *= 4
		}
	}
	slices.Sort(all)
	at := func(q float64) time.Duration {
		return time.Duration(all[min(int(q*float64(len(all))), len(all)-1)] * float64(time.Millisecond))
	}
	d := findings.Distribution{Count: 60_030, P50: at(0.5), P90: at(0.9), P99: at(0.99), P999: at(0.999), Max: at(1)}
	for i := range 200 {
		share := float64(i+1) / 200
		d.Curve = append(d.Curve, findings.CurvePoint{At: at(share), Share: share})
	}
	return d
}

// hostile is a run with whatever a network may say to break out of a page.
func hostile() *Result {
	const evil = `</script><img src=x onerror="document.title='broken'">'"><svg onload=alert(1)>` + "`${alert(1)}"
	place := compare.Place{Kind: compare.InJSON, Name: "$." + evil}
	body := &findings.Body{Head: evil, Text: strings.Repeat(evil+"\n", 3)}
	other := &findings.Body{Head: evil + "2", Text: "]]>" + evil}
	s := &findings.Summary{
		Verdicts: findings.Verdicts{compare.Different: 2, compare.Equivalent: 1},
		Excused:  []findings.Excused{{Excuse: compare.Excuse{Place: place, Why: evil}, Answers: 1}},
		Groups: []findings.Group{{Route: "GET /" + evil, Places: []compare.Place{place}, Answers: 2, Example: findings.Example{
			Session: 1, Client: evil, Request: "GET /" + evil, Production: body, Application: other,
			Differences: []compare.Difference{{Place: place, Path: evil, Production: []byte(evil), Application: []byte(evil + "2")}}}}},
		Noise:  []findings.Noise{{Route: evil, Place: place}},
		Routes: []findings.Route{{Name: "GET /" + evil, Verdicts: findings.Verdicts{compare.Different: 2}}},
	}
	r := quiet()
	r.Tool, r.App.Command = evil, evil
	r.Warnings, r.Defects, r.Failed = []string{evil}, []string{evil}, []string{evil}
	r.Egress = []Egress{{Proto: "udp", Dst: "10.0.0.1", Name: evil}}
	r.SetFindings(s)
	r.Differences[0].Capture, r.Differences[0].Command = evil, evil
	r.AddDetail(Detail{ID: 1, Client: evil, Server: evil, State: "refused", FirstDifference: r.Differences[0].Example})
	return r
}
