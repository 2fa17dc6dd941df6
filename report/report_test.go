package report

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tcpsandbox/compare"
	"tcpsandbox/findings"
	"tcpsandbox/session"
)

var update = flag.Bool("update", false, "write testdata/*.golden anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

func differing(production, application string) *compare.Difference {
	p, a := &compare.Answer{Complete: true}, &compare.Answer{Complete: true}
	p.Add([]byte(production))
	a.Add([]byte(application))
	r := compare.Answers(p, a, compare.Question{}, nil)
	return r.First()
}

// ms is a distribution of 1,000 answers by p50, p90 and p99 in milliseconds.
func ms(p50, p90, p99 float64) findings.Distribution {
	at := func(f float64) time.Duration { return time.Duration(f * float64(time.Millisecond)) }
	return findings.Distribution{Count: 1000, P50: at(p50), P90: at(p90), P99: at(p99), P999: at(2 * p99), Max: at(3 * p99)}
}

// eventful is a run in which everything happened.
func eventful() *Result {
	r := &Result{
		Tool:     "tcpsandbox 1.0.0",
		Started:  time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC),
		Duration: Seconds(61234 * time.Millisecond),
		Ended:    EndedDuration,
		ExitCode: 1,
		Sessions: Sessions{Seen: 1205, Complete: 1200, Joined: 5, Replayed: 1203, Finished: 1200, Failed: 3, Skipped: 2,
			Filtered: 2, Copies: 600, Shed: 1, Reconnects: 12, UDP: 2, Refused: 1, Reset: 1, ShedWatchdog: 1},
		Datagrams: Datagrams{Sent: 1200, Refused: 3, Dropped: 1},
		Release:   Release{Exact: 5000, Boundary: 20, Quiet: 3, Timeout: 1, Unawaited: 4},
		Lateness:  Percentiles{P50: Milliseconds(50 * time.Microsecond), P90: Milliseconds(300 * time.Microsecond), P99: Milliseconds(1500 * time.Microsecond), Count: 77},
		PeakHeld:  123456,
		CPU:       Seconds(4200 * time.Millisecond), CPULimit: 1,
		Watchdog: []Stop{
			{At: Seconds(20500 * time.Millisecond), For: Seconds(12 * time.Second), Why: "production sends 8.1% of its segments again (limit 5.0%)"},
			{At: Seconds(50 * time.Second), For: Seconds(11 * time.Second), Why: "the host waits for memory 12.5% of the time (limit 10.0%)"},
		},
		Egress: []Egress{
			{Proto: "tcp", Dst: "10.0.0.5", Port: 5432, Packets: 12, Bytes: 720, Policy: "drop", Name: "db.example"},
			{Proto: "tcp", Dst: "10.0.0.6", Port: 443, Packets: 9, Bytes: 2100, Policy: "allow", Name: "pay.example", PacketsBack: 8, BytesBack: 5300, Guess: "tls", Host: "api.pay.example"},
			{Proto: "udp", Dst: "2001:db8::53", Port: 53, Packets: 1, Bytes: 60, Policy: "refuse"},
			{Proto: "icmp", Dst: "10.0.0.1", Packets: 1, Bytes: 84, Policy: "drop"},
		},
		Containment: &Containment{Packets: 6054, Delivered: 6020, Late: 3, Swallowed: 13, Refused: 1, Allowed: 9, Housekeeping: 8, Dropped: 2,
			Interfaces: []string{"lo", "tun0"}},
		App:      Tested{App: App{Command: "./testapp -v", ExitCode: -1, Signal: "SIGTERM", Listen: "0.0.0.0:8080"}},
		Warnings: []string{"2 sessions came from an address that the application may not see"},
	}
	r.Capture.Add(Source{Source: "eth0:80", Packets: 123456, Bytes: 98765432, KernelDrops: 17, Malformed: 2})
	r.Capture.Add(Source{Source: "old.pcap:80", Packets: 1, Bytes: 66})
	var l session.Ledger
	l[session.Delivered], l[session.Pending], l[session.BeforeJoin], l[session.Filtered] = 1_000_000, 120, 3000, 500
	r.ClientBytes = Bytes(1_003_620, l, 1460)

	price := differing("HTTP/1.1 200 OK\r\n\r\n{\"price\":17}", "HTTP/1.1 200 OK\r\n\r\n{\"price\":18}")
	price.Place = compare.Place{Kind: compare.InBytes, Name: "29-"}
	greeting := differing("\x00\xff\\\x1b[31m€", "")
	greeting.Place = compare.Place{Kind: compare.InBytes, Name: "0-"}
	items := []compare.Difference{
		{Place: compare.Place{Kind: compare.InJSON, Name: "$.items[*].price"}, Path: "$.items[3].price", Production: []byte("12"), Application: []byte("12.5")},
		{Place: compare.Place{Kind: compare.InHeader, Name: "x-cache"}, Application: []byte("HIT")},
	}
	summary := &findings.Summary{
		Verdicts:   findings.Verdicts{compare.Identical: 4000, compare.Equivalent: 1000, compare.Different: 18, compare.Missing: 2, compare.Uncompared: 4},
		Extra:      1,
		Uncompared: [compare.Reasons]int64{compare.InGap: 1, compare.NotCaptured: 3},
		Excused: []findings.Excused{
			{Excuse: compare.Excuse{Place: compare.Place{Kind: compare.InHeader, Name: "date"}, Why: "default: header date"}, Answers: 1000},
			{Excuse: compare.Excuse{Place: compare.Place{Kind: compare.Spelling, Name: "header order"}}, Answers: 120},
		},
		Groups: []findings.Group{
			{Route: "GET /items/{id}", Answers: 15, Places: []compare.Place{items[0].Place, items[1].Place}, Example: findings.Example{Session: 12, Client: "192.0.2.1:40002", Request: "GET /items/5 HTTP/1.1",
				Differences: items,
				Production:  &findings.Body{Head: "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n", Text: "{\n  \"items\": [12]\n}"},
				Application: &findings.Body{Head: "HTTP/1.1 200 OK\r\nx-cache: HIT\r\n", Text: "{\n  \"items\": [12.5]\n}", Cut: true}}},
			{Route: "GET /cart", Answers: 2, Places: []compare.Place{price.Place}, Example: findings.Example{Session: 7, Client: "192.0.2.1:40001", Request: "GET /cart?id=1 HTTP/1.1", Differences: []compare.Difference{*price}}},
			{Route: "GET /slow", Answers: 2, Missing: true, Example: findings.Example{Session: 7, Client: "192.0.2.1:40001", Request: "GET /slow HTTP/1.1"}},
			{Route: "turn 3", Answers: 1, Places: []compare.Place{greeting.Place}, Example: findings.Example{Session: 11, Client: "192.0.2.1:40003", Request: "turn 3", Differences: []compare.Difference{*greeting}}},
		},
		Noise: []findings.Noise{{Route: "GET /items/{id}", Place: compare.Place{Kind: compare.InHeader, Name: "etag"}, Baseline: 90, Application: 91, Answers: 1000}},
		Series: findings.Series{Step: time.Second, Points: []findings.SeriesPoint{
			{Verdicts: findings.Verdicts{compare.Identical: 50}, Production: time.Millisecond, Application: 2 * time.Millisecond}, {}}},
	}
	summary.Latency.Production = findings.Latency{First: ms(0.42, 1.234, 15), Whole: ms(0.5, 1.5, 16)}
	summary.Latency.Production.First.Curve = []findings.CurvePoint{{At: 100 * time.Microsecond, Share: 0}, {At: time.Millisecond, Share: 0.8}, {At: 45 * time.Millisecond, Share: 1}}
	summary.Latency.Application = findings.Latency{First: ms(0.52, 2.234, 1500), Whole: ms(0.6, 2.5, 1600)}
	summary.Latency.Baseline = findings.Latency{First: ms(0.43, 1.3, 14), Whole: ms(0.51, 1.55, 17)}
	summary.Routes = []findings.Route{
		{Name: "GET /items/{id}", Verdicts: findings.Verdicts{compare.Identical: 985, compare.Different: 15}, Latency: summary.Latency},
		{Name: "GET /cart", Verdicts: findings.Verdicts{compare.Equivalent: 998, compare.Different: 2}},
	}
	summary.Baseline.Compared, summary.Baseline.Differed = 5000, 90
	r.Baseline = &Baseline{App: App{Command: "./oldapp", Listen: "0.0.0.0:8080"}}
	r.SetFindings(summary)
	r.Differences[0].Capture, r.Differences[0].Command = "failures/1.pcapng", "tcpsandbox run --capture failures/1.pcapng -- ./testapp -v"
	r.Failed = []string{"20 of 5,020 answers differ (0.40 %)"}
	r.AddDetail(Detail{ID: 1, Client: "192.0.2.1:40000", Server: "198.51.100.1:80", State: "finished", Requests: 4,
		ClientBytes: ClientBytes{Captured: 400, Delivered: 400}, Verdict: "identical"})
	r.AddDetail(Detail{ID: 7, Copy: 1, Proto: "udp", Client: "192.0.2.1:40001", As: "240.0.0.1:40001", Server: "198.51.100.1:80", State: "finished", Joined: true, Requests: 2,
		ClientBytes: ClientBytes{Captured: 200, Delivered: 150, BeforeJoin: 50}, Verdict: "different", FirstDifference: NewDifference("GET /cart?id=1 HTTP/1.1", price)})
	return r
}

// quiet is a run in which all went well.
func quiet() *Result {
	r := &Result{
		Tool: "tcpsandbox 1.0.0", Started: time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC), Duration: Seconds(2500 * time.Millisecond),
		Ended:       EndedCapture,
		Sessions:    Sessions{Seen: 1, Complete: 1, Replayed: 1, Finished: 1},
		ClientBytes: ClientBytes{Captured: 100, Delivered: 100},
		Release:     Release{Exact: 1},
		App:         Tested{App: App{Command: "./testapp", Listen: "[::]:80"}},
	}
	r.Capture.Add(Source{Source: "one.pcap", Packets: 10, Bytes: 1000})
	r.Answers.Count(compare.Identical, 1)
	return r
}

func TestGolden(t *testing.T) {
	for name, r := range map[string]*Result{"eventful": eventful(), "quiet": quiet(), "empty": {}} {
		var b bytes.Buffer
		if err := r.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", b.Bytes())
		b.Reset()
		if err := r.Text(&b); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", b.Bytes())
		for line := range strings.Lines(b.String()) {
			if strings.HasSuffix(line, " \n") {
				t.Errorf("%s: spaces at the end of %q", name, line)
			}
		}
	}
}

func TestLoss(t *testing.T) {
	r := quiet()
	r.ClientBytes.Filtered = 1000
	r.Capture.Malformed = 3
	if r.Lost() != 0 || r.LossWords() != "" {
		t.Errorf("%d lost: %s", r.Lost(), r.LossWords())
	}
	r.ClientBytes.Gap, r.ClientBytes.NotCaptured = 1, 1234
	r.Capture.KernelDrops = 1
	const want = "1,235 client bytes (1 gap, 1,234 not captured), 1 packet dropped by the kernel"
	if r.Lost() != 1235 || r.LossWords() != want {
		t.Errorf("%d lost: %s", r.Lost(), r.LossWords())
	}
	var b bytes.Buffer
	if err := r.Text(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(b.String(), "\nlost: "+want+"\n") {
		t.Errorf("the last line does not say it:\n%s", b.String())
	}
}

// Every fate of the ledger has a bin, and the bins keep the sum.
func TestBytes(t *testing.T) {
	for _, f := range session.Fates() {
		var l session.Ledger
		l[f] = 5
		c := Bytes(5, l, 0)
		var words []string
		for _, b := range c.bins() {
			if b.n == 5 {
				words = append(words, b.word)
			}
		}
		if wrong := c.check(); wrong != "" || len(words) != 1 || words[0] != f.String() {
			t.Errorf("%v is in the bins %q: %s", f, words, wrong)
		}
		if kept := f == session.Delivered || f == session.Filtered; kept != (c.lost() == 0) {
			t.Errorf("%v: %d lost", f, c.lost())
		}
	}
}

func TestDetailLimit(t *testing.T) {
	r := &Result{}
	for id := range uint64(DetailLimit + 100) {
		r.AddDetail(Detail{ID: id, State: "finished", Verdict: "identical"})
	}
	r.AddDetail(Detail{ID: 1_000_000, State: "refused"})
	r.AddDetail(Detail{ID: 1_000_001, State: "finished", Verdict: "different"})
	r.AddDetail(Detail{ID: 1_000_002, State: "finished", Verdict: "identical"})
	w := r.written()
	if len(w.Detail) != DetailLimit || w.DetailOmitted != 103 {
		t.Errorf("%d listed, %d omitted", len(w.Detail), w.DetailOmitted)
	}
	if w.Detail[0].ID != 1_000_000 || w.Detail[1].ID != 1_000_001 || w.Detail[2].ID != 2 {
		t.Errorf("first are %d, %d, %d", w.Detail[0].ID, w.Detail[1].ID, w.Detail[2].ID)
	}
	for id := range uint64(2 * DetailLimit) {
		r.AddDetail(Detail{ID: id, State: "refused"})
	}
	if len(r.Detail) != DetailLimit || !r.Full() {
		t.Errorf("%d listed, full %v", len(r.Detail), r.Full())
	}
}

func TestDifferencesLimit(t *testing.T) {
	summary := &findings.Summary{}
	for i := range 2 * groupsWritten {
		summary.Groups = append(summary.Groups, findings.Group{Route: fmt.Sprintf("GET /%d", i), Answers: int64(1 + i)})
	}
	r := &Result{}
	r.SetFindings(summary)
	w := r.written()
	if len(r.Differences) != 2*groupsWritten || len(w.Differences) != groupsWritten || w.Differences[0].Request != fmt.Sprintf("GET /%d", 2*groupsWritten-1) {
		t.Errorf("%d kept, %d written, first %+v", len(r.Differences), len(w.Differences), w.Differences[0])
	}
	sum := w.DifferencesOmitted
	for _, g := range w.Differences {
		sum += g.Count
	}
	if want := int64(groupsWritten * (2*groupsWritten + 1)); sum != want {
		t.Errorf("%d of %d are accounted for", sum, want)
	}
}

func TestWords(t *testing.T) {
	for _, tt := range [][2]string{
		{number(0), "0"}, {number(999), "999"}, {number(1000), "1,000"}, {number(-1234567), "-1,234,567"},
		{size(1), "1 byte"}, {size(999), "999 bytes"}, {size(1000), "1.00 kB"}, {size(12345), "12.3 kB"}, {size(999_600), "1.00 MB"}, {size(1 << 40), "1.10 TB"},
		{duration(0), "0 µs"}, {duration(999 * time.Microsecond), "999 µs"}, {duration(1234 * time.Microsecond), "1.23 ms"}, {duration(61 * time.Second), "61.0 s"}, {duration(3 * time.Hour), "3h0m0s"},
		{percent(0, 3), "0"}, {percent(3, 3), "100"}, {percent(1, 3), "33.33"}, {percent(1_000_000_000-1, 1_000_000_000), "99.99"}, {percent(1, 1_000_000_000), "0.01"},
		{string(appendFixed(1234567*time.Nanosecond, time.Millisecond)), "1.235"},
	} {
		if tt[0] != tt[1] {
			t.Errorf("%q, want %q", tt[0], tt[1])
		}
	}
}
