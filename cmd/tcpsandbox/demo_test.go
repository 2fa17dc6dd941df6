package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"tcpsandbox/report"
)

func TestShop(t *testing.T) {
	var billed bytes.Buffer
	production := httptest.NewServer((&shop{billing: &billed}).handler())
	defer production.Close()
	application := httptest.NewServer((&shop{bug: true}).handler())
	defer application.Close()
	for _, test := range []struct {
		request string
		body    string
		status  int
		differs bool
	}{
		{"GET /", "", 200, false},
		{"GET /product/7", "", 200, false},
		{"GET /product/seven", "", 404, false},
		{"GET /cart?user=0", "", 200, false}, // 5 × 25.00: no discount
		{"GET /cart?user=9", "", 200, true},  // 14 × 27.00
		{"GET /cart", "", 400, false},
		{"POST /order", "a table", 200, false},
		{"POST /order", strings.Repeat("x", 1<<20+1), 413, false},
		{"DELETE /order", "", 405, false},
	} {
		t.Run(test.request, func(t *testing.T) {
			a := ask(t, production.URL, test.request, test.body, test.status)
			again := ask(t, production.URL, test.request, test.body, test.status)
			b := ask(t, application.URL, test.request, test.body, test.status)
			if a != again {
				t.Errorf("production answered %q, then %q", a, again)
			}
			if (a != b) != test.differs {
				t.Errorf("production answered %q, the application %q", a, b)
			}
			if len(a) != len(b) {
				t.Errorf("the bug changes the length: %q, %q", a, b)
			}
		})
	}
	if got, want := billed.String(), strings.Repeat("order of 7 bytes", 2); got != want {
		t.Errorf("billed: %q, want %q", got, want)
	}
}

func ask(t *testing.T, url, request, body string, status int) string {
	t.Helper()
	method, path, _ := strings.Cut(request, " ")
	req, err := http.NewRequest(method, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != status {
		t.Errorf("status %s, want %d", res.Status, status)
	}
	if date := res.Header.Get("Date"); date != "" {
		t.Errorf("the answer has a Date, %s", date)
	}
	return string(answer)
}

// TestCartTotals holds the demo to its word that with and without the bug a
// total has five digits.
func TestCartTotals(t *testing.T) {
	good, bad := &shop{}, &shop{bug: true}
	wrong := 0
	for user := range uint64(100) {
		_, a := good.cart(user)
		_, b := bad.cart(user)
		if min(a, b) < 10000 || max(a, b) > 99999 {
			t.Errorf("user %d: totals %d and %d", user, a, b)
		}
		if a != b {
			wrong++
		}
	}
	if wrong == 0 || wrong == 100 {
		t.Errorf("the bug spoils %d of 100 carts, want some", wrong)
	}
}

func TestClients(t *testing.T) {
	server := httptest.NewServer((&shop{}).handler())
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	open := &firstLine{out: &out, seen: make(chan struct{})}
	go func() {
		<-open.seen
		cancel()
	}()
	traffic := demoTraffic{to: strings.TrimPrefix(server.URL, "http://"), from: []string{"127.0.0.1", "127.0.0.2"}, rate: 300}
	if err := traffic.send(ctx, open); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "8 connections are open") || !strings.Contains(out.String(), "clients: production answered ") {
		t.Errorf("the clients wrote %q", out.String())
	}
}

func TestClientsReportFailures(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 1 { // all but waitServer's
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer server.Close()
	server.Config.SetKeepAlivesEnabled(false)
	ctx, cancel := context.WithCancel(t.Context())
	open := &firstLine{out: io.Discard, seen: make(chan struct{})}
	go func() {
		<-open.seen
		cancel()
	}()
	traffic := demoTraffic{to: strings.TrimPrefix(server.URL, "http://"), rate: 3}
	err := traffic.send(ctx, open)
	if err == nil || !strings.Contains(err.Error(), "418") {
		t.Errorf("error %v, want one that names status 418", err)
	}
}

func TestJudgeDemo(t *testing.T) {
	found := []report.Group{{Request: demoBugRequest, Count: 3}}
	for name, test := range map[string]struct {
		r    report.Result
		want string // in the error; "": none
	}{
		"found": {report.Result{
			Differences: found, Answers: report.Answers{Identical: 9, Different: 3},
			ClientBytes: report.ClientBytes{Captured: 100, Delivered: 100},
		}, ""},
		"not found":    {report.Result{Answers: report.Answers{Identical: 12}}, "was not found"},
		"another, too": {report.Result{Differences: append(found, report.Group{Request: "GET /", Count: 1}), Answers: report.Answers{Different: 4}}, "explains 3"},
		"missing": {report.Result{
			Differences: []report.Group{{Request: demoBugRequest, Count: 3, Missing: 1}}, Answers: report.Answers{Different: 2, Missing: 1},
		}, "explains 2"},
		"lost bytes": {report.Result{
			Differences: found, Answers: report.Answers{Different: 3},
			ClientBytes: report.ClientBytes{Captured: 100, Delivered: 90, Pending: 10},
		}, "not everything was delivered: 10 client bytes"},
		"lost packets": {report.Result{
			Differences: found, Answers: report.Answers{Different: 3}, Capture: report.Capture{KernelDrops: 1},
		}, "not everything was delivered"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := judgeDemo(&out, &test.r)
			if test.want == "" {
				if err != nil || !strings.Contains(out.String(), demoBug) {
					t.Errorf("error %v, text %q", err, out.String())
				}
			} else if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}
