package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

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
			Filtered: 2, Copies: 600, Shed: 1, Reconnects: 12, UDP: 2},
		Datagrams: Datagrams{Sent: 1200, Refused: 3, Dropped: 1},
		Release:   Release{Exact: 5000, Boundary: 20, Quiet: 3, Timeout: 1, Unawaited: 4},
		Lateness:  Percentiles{P50: Milliseconds(50 * time.Microsecond), P90: Milliseconds(300 * time.Microsecond), P99: Milliseconds(1500 * time.Microsecond), Count: 77},
		PeakHeld:  123456,
		Egress: []Egress{
			{Proto: "tcp", Dst: "10.0.0.5", Port: 5432, Packets: 12, Bytes: 720, Policy: "drop", Name: "db.example"},
			{Proto: "udp", Dst: "2001:db8::53", Port: 53, Packets: 1, Bytes: 60, Policy: "refuse"},
			{Proto: "icmp", Dst: "10.0.0.1", Packets: 1, Bytes: 84, Policy: "drop"},
		},
		App:      App{Command: "./testapp -v", ExitCode: -1, Signal: "SIGTERM", Listen: "0.0.0.0:8080"},
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
		Omitted: 3,
		Noise:   []findings.Noise{{Route: "GET /items/{id}", Place: compare.Place{Kind: compare.InHeader, Name: "etag"}, Baseline: 90, Application: 91, Answers: 1000}},
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
		App:         App{Command: "./testapp", Listen: "[::]:80"},
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

func TestJSONReadsBack(t *testing.T) {
	r := eventful()
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back Result
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r.written(), &back, cmpopts.IgnoreUnexported(Result{}, Detail{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// fields is all of the JSON form, in order. A field of an object in a list is
// written once. The line of fields is a promise: add to it, change nothing.
const fields = `version tool started duration_s ended exit_code
capture{source packets bytes kernel_drops malformed sources[{source packets bytes kernel_drops malformed unordered_bytes}] unordered_bytes}
sessions{seen complete joined replayed finished failed skipped filtered copies shed reconnects lossy udp}
datagrams{sent refused dropped}
client_bytes{captured delivered pending gap before_join filtered refused closed_early shed unsupported not_captured}
release{exact boundary quiet timeout unawaited}
answers{compared identical equivalent different missing uncompared extra uncompared_why{gap not-captured}}
latency{production{p50_ms p90_ms p99_ms p999_ms max_ms count curve[{at_ms share}]} application{p50_ms p90_ms p99_ms p999_ms max_ms count} baseline{p50_ms p90_ms p99_ms p999_ms max_ms count} whole{production{p50_ms p90_ms p99_ms p999_ms max_ms count} application{p50_ms p90_ms p99_ms p999_ms max_ms count} baseline{p50_ms p90_ms p99_ms p999_ms max_ms count}}}
failed[]
lateness{p50_ms p90_ms p99_ms p999_ms max_ms count} peak_held_bytes peak_memory_bytes max_memory_bytes
egress[{proto dst port packets bytes policy name}]
app{command exit_code signal listen}
warnings[] defects[]
differences[{request places[] kinds[] count missing session client example{request offset production application place path lacks} differences[{request offset production application place path lacks}] production{head text cut} application{head text cut} capture command}]
differences_omitted
excused[{place why answers}]
noise[{route place baseline application answers}]
routes[{route answers{compared identical equivalent different missing uncompared extra} latency{production{p50_ms p90_ms p99_ms p999_ms max_ms count curve[{at_ms share}]} application{p50_ms p90_ms p99_ms p999_ms max_ms count} baseline{p50_ms p90_ms p99_ms p999_ms max_ms count} whole{production{p50_ms p90_ms p99_ms p999_ms max_ms count} application{p50_ms p90_ms p99_ms p999_ms max_ms count} baseline{p50_ms p90_ms p99_ms p999_ms max_ms count}}}}]
series{step_s points[{answers{compared identical equivalent different missing uncompared extra} production_ms application_ms}]}
baseline{command exit_code signal listen compared differed}
detail_omitted
detail[{id copy proto client as server state joined gaps requests client_bytes{captured delivered pending gap before_join filtered refused closed_early shed unsupported not_captured} verdict answers{compared identical equivalent different missing uncompared extra} first_difference{request offset production application place path}}]`

// listed is all of the JSON form of a Listing; as much of a promise.
const listed = `version tool
capture{source packets bytes kernel_drops malformed filtered ignored cut unordered_bytes}
sessions{seen complete joined}
client_bytes{captured deliverable gap before_join unsupported not_captured}
server_bytes{captured not_captured}
warnings[] defects[]
detail[{id client server proto via state joined turns client_bytes{captured deliverable gap before_join unsupported not_captured} server_bytes{captured not_captured} start duration_s}]`

func TestListingFields(t *testing.T) {
	l := &Listing{}
	l.Add(ListedSession{ID: 1}, true, nil)
	var b bytes.Buffer
	if err := l.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var shape strings.Builder
	writeShape(t, json.NewDecoder(&b), &shape)
	got := strings.Fields(strings.Trim(shape.String(), "{}"))
	if diff := cmp.Diff(strings.Fields(listed), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// promised is the part of it that the design page promises.
const promised = `version tool started duration_s
capture{source packets bytes kernel_drops malformed}
sessions{seen complete joined replayed finished failed skipped}
client_bytes{captured delivered pending gap before_join filtered refused closed_early shed unsupported}
release{exact boundary quiet timeout}
answers{compared identical equivalent different missing uncompared}
latency{production{p50_ms p90_ms p99_ms} application{p50_ms p90_ms p99_ms}}
egress[{proto dst port packets bytes policy name}]
app{command exit_code signal}
detail[{id client server state joined requests client_bytes{captured delivered pending gap before_join filtered refused closed_early shed unsupported} verdict first_difference}]`

func TestFields(t *testing.T) {
	r := eventful()
	r.Detail = r.Detail[1:] // the one with a first_difference
	r.Differences = r.Differences[:1]
	r.Differences[0].Differences = r.Differences[0].Differences[1:] // lacks something
	r.Differences[0].Example = &r.Differences[0].Differences[0]
	r.Latency.Production.Curve = r.Latency.Production.Curve[:1]
	r.Excused, r.Routes, r.Series.Points = r.Excused[:1], r.Routes[:1], r.Series.Points[:1]
	r.Routes[0].Latency.Production.Curve = r.Latency.Production.Curve
	r.Egress = r.Egress[:1]
	r.Capture.Sources = r.Capture.Sources[:1]
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(&b)
	var shape strings.Builder
	writeShape(t, d, &shape)
	got := strings.Fields(strings.Trim(shape.String(), "{}"))
	if diff := cmp.Diff(strings.Fields(fields), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	paths := fieldPaths(fields)
	for _, want := range fieldPaths(promised) {
		for len(paths) > 0 && paths[0] != want {
			paths = paths[1:]
		}
		if len(paths) == 0 {
			t.Fatalf("%s is promised and not there, or not in its place", want)
		}
	}
}

// writeShape writes the names of the fields of the next JSON value.
func writeShape(t *testing.T, d *json.Decoder, b *strings.Builder) {
	token, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return
	}
	b.WriteString(delim.String())
	for first := true; d.More(); first = false {
		if delim == '{' {
			name, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			if !first {
				b.WriteByte(' ')
			}
			fmt.Fprint(b, name)
		}
		writeShape(t, d, b)
	}
	end, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(b, end)
}

// fieldPaths turns a shape into "capture.sources.packets" and so on.
func fieldPaths(shape string) (paths []string) {
	var at []string
	name := ""
	flush := func() {
		if name != "" {
			paths = append(paths, strings.Join(append(at, name), "."))
		}
	}
	for _, c := range shape + " " {
		switch c {
		case '{':
			flush()
			at, name = append(at, name), ""
		case '}':
			flush()
			name = ""
			at = at[:len(at)-1]
		case ' ', '\n':
			flush()
			name = ""
		case '[', ']':
		default:
			name += string(c)
		}
	}
	return paths
}

func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		want string
		edit func(*Result)
	}{
		{"all answers match production's (1 compared)", func(r *Result) {}},
		{"all that was compared matches production's (1 answer), but not everything arrived", func(r *Result) { r.ClientBytes.Shed = 1 }},
		{"1 of 2 compared answers is not production's (1 different)", func(r *Result) { r.Answers.Count(compare.Different, 1) }},
		{"4 of 5 compared answers are not production's (1 different, 3 missing)", func(r *Result) { r.Answers.Count(compare.Different, 1); r.Answers.Count(compare.Missing, 3) }},
		{"no session was captured", func(r *Result) { r.Sessions = Sessions{}; r.Answers = Answers{} }},
		{"no answer could be compared with production's", func(r *Result) { r.Answers = Answers{Uncompared: 3} }},
		{"no answer could be compared with production's, and not everything arrived", func(r *Result) { r.Answers, r.ClientBytes.Shed = Answers{}, 1 }},
		{"the application never listened, nothing was replayed", func(r *Result) { r.Ended = EndedNoListener }},
		{"the application exited with code 3 in the middle of the run: 1 answer compared, all match production's", func(r *Result) { r.Ended, r.App.ExitCode = EndedAppExited, 3 }},
		{"the application was ended by SIGSEGV in the middle of the run: 1 of 2 compared answers is not production's (1 missing)", func(r *Result) {
			r.Ended, r.App.Signal = EndedAppExited, "SIGSEGV"
			r.Answers.Count(compare.Missing, 1)
		}},
	} {
		r := quiet()
		tt.edit(r)
		var b bytes.Buffer
		if err := r.Text(&b); err != nil {
			t.Fatal(err)
		}
		if got, _, _ := strings.Cut(b.String(), "\n"); got != tt.want {
			t.Errorf("%s\nwant %s", got, tt.want)
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
	if len(r.Detail) != DetailLimit {
		t.Errorf("%d listed", len(r.Detail))
	}
}

func TestDifferencesLimit(t *testing.T) {
	summary := &findings.Summary{Omitted: 5}
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
	if want := int64(groupsWritten*(2*groupsWritten+1) + 5); sum != want {
		t.Errorf("%d of %d are accounted for", sum, want)
	}
}

// However long what it shows is, a line stays within 100 columns.
func TestTextWidth(t *testing.T) {
	long := strings.Repeat("päth/", 100)
	place := compare.Place{Kind: compare.InJSON, Name: "$." + long}
	latency := findings.Sides{Production: findings.Latency{First: ms(1, 2, 3)}, Application: findings.Latency{First: ms(10, 20, 30)}}
	summary := &findings.Summary{Verdicts: findings.Verdicts{compare.Equivalent: 1, compare.Different: 1}}
	for range 20 {
		summary.Excused = append(summary.Excused, findings.Excused{Excuse: compare.Excuse{Place: place}, Answers: 1_000_000})
		summary.Noise = append(summary.Noise, findings.Noise{Route: "GET " + long, Place: place})
		summary.Routes = append(summary.Routes, findings.Route{Name: "GET " + long, Latency: latency})
		for _, d := range []compare.Difference{
			{Place: place, Production: []byte("1"), Application: []byte(long)},
			{Place: compare.Place{Kind: compare.InBytes, Name: "7-"}, Production: []byte(long), Application: []byte("1"), Offset: 7},
		} {
			summary.Groups = append(summary.Groups, findings.Group{Route: "GET " + long, Answers: 1_000_000, Places: []compare.Place{d.Place, place},
				Example: findings.Example{Client: "192.0.2.1:40000", Differences: []compare.Difference{d}}})
		}
	}
	r := quiet()
	r.SetFindings(summary)
	var b bytes.Buffer
	if err := r.Text(&b); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > textWidth {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if t.Failed() || strings.Count(b.String(), "\n") > 75 {
		t.Logf("%s", b.String())
		t.Fail()
	}
}

// Nothing of what the network says can steer a terminal, whatever field it is in.
func TestPrintable(t *testing.T) {
	const evil = "a\x1b[31m\u202e\r\nb\x00\xff"
	place := func(k compare.Kind) compare.Place { return compare.Place{Kind: k, Name: evil} }
	difference := compare.Difference{Place: place(compare.InJSON), Path: evil, Production: []byte(evil), Application: []byte(evil)}
	body := findings.Body{Head: evil, Text: evil}
	summary := &findings.Summary{
		Verdicts: findings.Verdicts{compare.Different: 1},
		Excused:  []findings.Excused{{Excuse: compare.Excuse{Place: place(compare.InHeader), Why: evil}, Answers: 1}},
		Groups: []findings.Group{{Route: evil, Answers: 1, Places: []compare.Place{place(compare.InJSON)}, Example: findings.Example{
			Client: evil, Request: evil, Differences: []compare.Difference{difference}, Production: &body, Application: &body}}},
		Noise:  []findings.Noise{{Route: evil, Place: place(compare.InCookie), Baseline: 1}},
		Routes: []findings.Route{{Name: evil}},
	}
	r := quiet()
	r.SetFindings(summary)
	r.AddDetail(Detail{ID: 1, State: "finished", FirstDifference: NewDifference(evil, &difference)})
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back any
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	var check func(at string, v any)
	check = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, inner := range v {
				check(at+"."+name, inner)
			}
		case []any:
			for _, inner := range v {
				check(at+"[]", inner)
			}
		case string:
			lines := strings.HasSuffix(at, ".head") || strings.HasSuffix(at, ".text")
			for _, c := range v {
				if !unicode.IsPrint(c) && !(lines && c == '\n') {
					t.Errorf("%s: %q", at, v)
					break
				}
			}
		}
	}
	check("", back)
	b.Reset()
	if err := r.Text(&b); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\u202e\x00\r") {
		t.Errorf("%q", b.String())
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
