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

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tcpsandbox/compare"
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
	return compare.Answers(p, a, compare.Rules{}).Difference
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
		Latency: Latency{
			Production:  Percentiles{Milliseconds(420 * time.Microsecond), Milliseconds(1234 * time.Microsecond), Milliseconds(15 * time.Millisecond)},
			Application: Percentiles{Milliseconds(520 * time.Microsecond), Milliseconds(2234 * time.Microsecond), Milliseconds(1500 * time.Millisecond)},
		},
		Lateness: Percentiles{Milliseconds(50 * time.Microsecond), Milliseconds(300 * time.Microsecond), Milliseconds(1500 * time.Microsecond)},
		PeakHeld: 123456,
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
	r.Answers.Count(compare.Identical, 5000)
	r.Answers.Count(compare.Different, 3)
	r.Answers.Count(compare.Missing, 2)
	r.Answers.Count(compare.Uncompared, 4)
	r.Answers.Extra = 1

	price := differing("HTTP/1.1 200 OK\r\n\r\n{\"price\":17}", "HTTP/1.1 200 OK\r\n\r\n{\"price\":18}")
	r.AddDifference(7, "GET /slow HTTP/1.1", nil)
	r.AddDifference(7, "GET /cart?id=1 HTTP/1.1", price)
	r.AddDifference(9, "GET /cart?id=2 HTTP/1.1", price)
	r.AddDifference(9, "GET /cart HTTP/1.1", nil)
	r.AddDifference(11, "turn 3", differing("\x00\xff\\\x1b[31m€", ""))
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
	if d := cmp.Diff(r.written(), &back, cmpopts.IgnoreUnexported(Result{})); d != "" {
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
answers{compared identical equivalent different missing uncompared extra}
latency{production{p50_ms p90_ms p99_ms} application{p50_ms p90_ms p99_ms}}
lateness{p50_ms p90_ms p99_ms} peak_held_bytes peak_memory_bytes max_memory_bytes
egress[{proto dst port packets bytes policy name}]
app{command exit_code signal listen}
warnings[] defects[]
differences[{request count missing session example{request offset production application}}]
differences_omitted detail_omitted
detail[{id copy proto client as server state joined gaps requests client_bytes{captured delivered pending gap before_join filtered refused closed_early shed unsupported not_captured} verdict answers{compared identical equivalent different missing uncompared extra} first_difference{request offset production application}}]`

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
	r.Differences = r.Differences[1:2]
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
	r := &Result{}
	for i := range 2 * groupLimit {
		r.AddDifference(1, fmt.Sprintf("GET /%d HTTP/1.1", i), nil)
	}
	r.AddDifference(1, "GET /500 HTTP/1.1", nil)
	w := r.written()
	if len(r.Differences) != groupLimit || len(w.Differences) != groupsWritten || w.Differences[0].Request != "GET /500" {
		t.Errorf("%d counted, %d written, first %+v", len(r.Differences), len(w.Differences), w.Differences[0])
	}
	sum := w.DifferencesOmitted
	for _, g := range w.Differences {
		sum += g.Count
	}
	if sum != 2*groupLimit+1 {
		t.Errorf("%d of %d are accounted for", sum, 2*groupLimit+1)
	}
}

func TestRequestGroup(t *testing.T) {
	for request, want := range map[string]string{
		"GET /a?b=c HTTP/1.1":    "GET /a",
		"GET /a HTTP/1.0":        "GET /a",
		"OPTIONS * HTTP/1.1":     "OPTIONS *",
		"GET /a b?c d HTTP/1.1":  "GET /a b",
		"GET /\x1b[31m HTTP/1.1": `GET /\x1b[31m`,
		"turn 3":                 "turn 3",
		"what? is this":          "what? is this",
		"":                       "",
	} {
		if got := RequestGroup(request); got != want {
			t.Errorf("RequestGroup(%q) = %q, want %q", request, got, want)
		}
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
