package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tcpsandbox/compare"
	"tcpsandbox/findings"
)

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
capture{source packets bytes kernel_drops malformed sources[{source packets bytes kernel_drops malformed unordered_bytes blind_s}] unordered_bytes blind_s}
sessions{seen complete joined replayed finished failed skipped filtered copies shed reconnects lossy udp refused reset closed_early unanswered pending shed_cpu shed_watchdog}
datagrams{sent refused dropped}
client_bytes{captured delivered pending gap before_join filtered refused closed_early shed unsupported not_captured}
release{exact boundary quiet timeout unawaited}
answers{compared identical equivalent different missing uncompared extra uncompared_why{gap not-captured}}
closes{compared identical equivalent different uncompared}
latency{production{p50_ms p90_ms p99_ms p999_ms max_ms count curve[{at_ms share}]} application{p50_ms p90_ms p99_ms p999_ms max_ms count} baseline{p50_ms p90_ms p99_ms p999_ms max_ms count} whole{production{p50_ms p90_ms p99_ms p999_ms max_ms count} application{p50_ms p90_ms p99_ms p999_ms max_ms count} baseline{p50_ms p90_ms p99_ms p999_ms max_ms count}}}
failed[]
lateness{p50_ms p90_ms p99_ms p999_ms max_ms count} peak_held_bytes peak_memory_bytes max_memory_bytes cpu_s max_cpu watchdog[{at_s for_s why}]
egress[{proto dst port packets bytes policy name packets_back bytes_back guess host loopback}]
containment{packets delivered late swallowed refused allowed answered housekeeping malformed dropped interfaces[]}
app{command exit_code signal listen died restarts deaths[{at_s exit_code signal listened_s}]}
warnings[] defects[]
differences[{request places[] kinds[] count missing session client example{request offset production application place path lacks} differences[{request offset production application place path lacks}] production{head text cut} application{head text cut} capture command}]
differences_omitted
excused[{place why answers}]
noise[{route place baseline application answers}]
routes[{route answers{compared identical equivalent different missing uncompared extra} latency{production{p50_ms p90_ms p99_ms p999_ms max_ms count curve[{at_ms share}]} application{p50_ms p90_ms p99_ms p999_ms max_ms count} baseline{p50_ms p90_ms p99_ms p999_ms max_ms count} whole{production{p50_ms p90_ms p99_ms p999_ms max_ms count} application{p50_ms p90_ms p99_ms p999_ms max_ms count} baseline{p50_ms p90_ms p99_ms p999_ms max_ms count}}}}]
series{step_s points[{answers{compared identical equivalent different missing uncompared extra} production_ms application_ms}]}
baseline{command exit_code signal listen compared differed}
detail_omitted
detail[{id copy proto client as server state joined gaps requests client_bytes{captured delivered pending gap before_join filtered refused closed_early shed unsupported not_captured} verdict answers{compared identical equivalent different missing uncompared extra} first_difference{request offset production application place path} close}]`

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
	r.Egress, r.Watchdog = r.Egress[:1], r.Watchdog[:1]
	r.Capture.Sources = r.Capture.Sources[:1]
	r.App.Died, r.App.Restarts, r.App.Deaths = 1, 1, []Death{{}}
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
