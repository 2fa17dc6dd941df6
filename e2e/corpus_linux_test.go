package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tcpsandbox/e2e/apps/connlog"
	"tcpsandbox/report"
)

// corpusLimit is how long the whole corpus may take. On two busy cores it took
// 20 s.
const corpusLimit = 3 * time.Minute

// TestCorpus plays captures that nobody here made into the oracle, an
// application that does what production's server did (see apps/oracle). Of each
// clean session captured from its SYN on, the client's bytes reach it whole,
// from the client's address, and each answer is production's. What is not
// clean ends with books that balance, and what is malformed with counts.
func TestCorpus(t *testing.T) {
	lookAtSources(t)
	dir := os.Getenv("TCPSANDBOX_CORPUS")
	if dir == "" {
		lack(t, "TCPSANDBOX_CORPUS does not name the folder of captures")
	}
	if os.Geteuid() != 0 {
		lack(t, "network namespaces need root")
	}
	files := readCorpus(t, dir)
	sessions := 0
	begun := time.Now()
	t.Run("files", func(t *testing.T) {
		for _, f := range files {
			for i := range f.sessions {
				if f.sessions[i].whole() {
					sessions++
				}
			}
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				r := playCapture(t, filepath.Join(dir, f.name), f)
				r.checkBooks(t)
				r.checkSessions(t, f)
				r.checkMalformed(t, f)
			})
		}
	})
	took := time.Since(begun)
	t.Logf("%d captures with %d clean sessions: %.1f s", len(files), sessions, took.Seconds())
	if sessions == 0 {
		t.Error("SESSIONS.tsv has no clean session")
	}
	if took > corpusLimit {
		t.Errorf("the corpus took %v, more than %v", took, corpusLimit)
	}
}

// corpusRun is what a run left.
type corpusRun struct {
	*process
	report  report.Result
	entries []connlog.Entry // what the oracle received, by connection
}

func playCapture(t *testing.T, path string, f *corpusFile) *corpusRun {
	dir, err := os.MkdirTemp(root, "corpus-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	w := &world{dir: dir, t: t, processes: make(map[string]*process), namespaces: make(map[string]*namespace)}
	t.Cleanup(func() {
		w.close()
		if t.Failed() {
			t.Logf("left for inspection: %s", dir)
			return
		}
		os.RemoveAll(dir)
	})
	if w.namespaces, w.wire, err = join(""); err != nil {
		t.Fatal(err)
	}
	args := []string{"tcpsandbox", "run", "--capture", path, "--pace", "asap", "--report", "box.json"}
	if !f.onlyWhole() {
		// Where part of a session is not known, an answer may never come.
		args = append(args, "--answer-timeout", "2s")
	}
	args = append(args, forbearing(args)...)
	p, err := w.start("box", "prod", dir, os.Getenv, append(args, "--", "oracle", "-capture", path, "-record", "app.log"))
	if err == nil {
		err = p.wait()
	}
	if err != nil {
		t.Fatal(err)
	}
	r := &corpusRun{process: p}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.lastWords())
		}
	})
	data, err := os.ReadFile(filepath.Join(dir, "box.json"))
	if err == nil {
		err = json.Unmarshal(data, &r.report)
	}
	if err != nil {
		t.Fatalf("%s ended with %s: %v", path, p.outcome(), err)
	}
	if r.entries, err = connlog.Read(filepath.Join(dir, "app.log")); err != nil {
		t.Fatal(err)
	}
	for i := range r.entries {
		// What the kernel does not take from a device is played by stand-ins.
		e := &r.entries[i]
		e.Client = strings.Replace(e.Client, "[fd74:6370:7363::2]", "[::1]", 1)
		e.Server = strings.Replace(e.Server, "[fd74:6370:7363::1]", "[::1]", 1)
	}
	return r
}

// checkBooks: the run ended as the report says, each captured client byte has
// one fate, and what was delivered is what the oracle received.
func (r *corpusRun) checkBooks(t *testing.T) {
	res := &r.report
	want := "0"
	if res.Answers.Different+res.Answers.Missing > 0 {
		want = "1"
	}
	if got := r.outcome(); got != want || res.Ended != report.EndedCapture {
		t.Errorf("ended with %s (%s), not with %s at the capture's end", got, res.Ended, want)
	}
	if res.DetailOmitted > 0 || int64(len(res.Detail)) != res.Sessions.Seen {
		t.Errorf("%d sessions, %d of them in the detail", res.Sessions.Seen, len(res.Detail))
	}
	var sum report.ClientBytes
	var answers report.Answers
	delivered, received := map[string]int64{}, map[string]int64{}
	for i := range res.Detail {
		d := &res.Detail[i]
		b := &d.ClientBytes
		if fates(b) != b.Captured {
			t.Errorf("session %d, %s: the bins hold %d bytes, captured were %d: %+v", d.ID, d.Client, fates(b), b.Captured, *b)
		}
		for k, v := range ledgerOf(b) {
			*ledgerOf(&sum)[k] += *v
		}
		answers.Compared += d.Answers.Compared
		answers.Identical += d.Answers.Identical
		answers.Equivalent += d.Answers.Equivalent
		answers.Different += d.Answers.Different
		answers.Missing += d.Answers.Missing
		answers.Uncompared += d.Answers.Uncompared
		delivered[d.Client+" to "+d.Server] += b.Delivered
	}
	if sum != res.ClientBytes || fates(&sum) != sum.Captured {
		t.Errorf("the sessions' bins come to %+v, the report's are %+v", sum, res.ClientBytes)
	}
	why := int64(0)
	for _, n := range res.Answers.UncomparedWhy {
		why += n
	}
	answers.UncomparedWhy = res.Answers.UncomparedWhy // the sessions do not tell
	if !reflect.DeepEqual(answers, res.Answers) || why != res.Answers.Uncompared {
		t.Errorf("the sessions' answers come to %+v, the report's are %+v", answers, res.Answers)
	}
	for _, e := range r.entries {
		received[e.Client+" to "+e.Server] += e.Bytes
	}
	for who, n := range received {
		if n != delivered[who] {
			t.Errorf("%s: delivered are %d bytes, the oracle has %d", who, delivered[who], n)
		}
	}
	for who, n := range delivered {
		if n != received[who] && n > 0 {
			t.Errorf("%s: delivered are %d bytes, the oracle has %d", who, n, received[who])
		}
	}
}

// ledgerOf lists the columns of a ledger.
func ledgerOf(b *report.ClientBytes) []*int64 {
	return append(binsOf(b), &b.Captured, &b.NotCaptured)
}

func binsOf(b *report.ClientBytes) []*int64 {
	return []*int64{&b.Delivered, &b.Pending, &b.Gap, &b.BeforeJoin, &b.Filtered, &b.Refused, &b.ClosedEarly, &b.Shed, &b.Unsupported}
}

func fates(b *report.ClientBytes) (n int64) {
	for _, v := range binsOf(b) {
		n += *v
	}
	return n
}

// checkSessions looks at each session that has to be replayed whole.
func (r *corpusRun) checkSessions(t *testing.T, f *corpusFile) {
	for i := range f.sessions {
		s := &f.sessions[i]
		key := f.name + " " + s.n
		for range corpusTwins[key].times {
			twin := *s
			twin.digest = corpusTwins[key].digest
			if wrong := r.judge(&twin); wrong != "" {
				t.Errorf("%v: %s", s, wrong)
			}
		}
		if !s.whole() {
			continue
		}
		wrong := r.judge(s)
		if want, known := corpusExceptions[key]; known {
			if wrong != want.outcome {
				t.Errorf("%v: %q, but it is on the list of exceptions with %q (%s)", s, wrong, want.outcome, want.why)
			}
		} else if wrong != "" {
			t.Errorf("%v: %s", s, wrong)
		}
	}
}

// judge returns what is wrong with a session that was to be replayed whole, or
// "". It takes what it looked at out of the report and the record, so that
// several sessions between the same addresses find one each.
func (r *corpusRun) judge(s *corpusSession) string {
	client, server := s.client.String(), s.server.String()
	i := slices.IndexFunc(r.report.Detail, func(d report.Detail) bool {
		return d.Client == client && d.Server == server && d.ClientBytes.Captured == s.bytes[0]
	})
	if i < 0 {
		return "not in the report"
	}
	d := r.report.Detail[i]
	r.report.Detail = slices.Delete(r.report.Detail, i, i+1)
	j := slices.IndexFunc(r.entries, func(e connlog.Entry) bool {
		return e.Client == client && e.Server == server && e.Bytes == s.bytes[0] && strings.HasPrefix(e.SHA256, s.digest)
	})
	if !s.accepted() {
		// The application is spared what production never took.
		if d.State != "skipped" || j >= 0 {
			return "replayed, though production never accepted it: " + d.State
		}
		return ""
	}
	var wrong []string
	if j < 0 {
		had := "no connection"
		if k := slices.IndexFunc(r.entries, func(e connlog.Entry) bool { return e.Client == client && e.Server == server }); k >= 0 {
			had = fmt.Sprintf("%d bytes (%.16s)", r.entries[k].Bytes, r.entries[k].SHA256)
		}
		wrong = append(wrong, fmt.Sprintf("the oracle has not received its %d bytes (%s), but %s", s.bytes[0], s.digest, had))
	} else {
		r.entries = slices.Delete(r.entries, j, j+1)
	}
	if d.State != "finished" {
		wrong = append(wrong, "its state is "+d.State)
	}
	a := d.Answers
	switch {
	case s.oneSided() && a.Compared > 0:
		wrong = append(wrong, fmt.Sprintf("%d answers compared, though production's were not captured", a.Compared))
	case s.oneSided():
	case a.Identical != d.Requests:
		wrong = append(wrong, fmt.Sprintf("of %d answers %d are identical, %d equivalent, %d different, %d missing, %d uncompared",
			d.Requests, a.Identical, a.Equivalent, a.Different, a.Missing, a.Uncompared))
	case s.bytes[1] > 0 && a.Identical == 0:
		wrong = append(wrong, "no answer was compared")
	}
	return strings.Join(wrong, "; ")
}

// corpusExceptions are the sessions, by file and number, that do not end as
// the others. What they end with is asserted: one that comes right fails the
// test, and is to be taken off the list.
var corpusExceptions = map[string]struct{ outcome, why string }{
	"malformed/suricata-verify__bug-76.pcap 8": {
		"not in the report",
		"it is one packet, a SYN whose TCP header is longer than the packet: no kernel would take it, and it is counted as malformed",
	},
	"tls/ndpi__tls_with_huge_ch.pcapng 0": {
		"of 69 answers 68 are identical, 0 equivalent, 0 different, 0 missing, 1 uncompared",
		"the capture ends after the client's last turn: what production answered is not in it",
	},
	"formats/pcapplusplus__raw_ip.pcap 1": {
		"of 4 answers 3 are identical, 0 equivalent, 0 different, 0 missing, 1 uncompared",
		"the capture ends in the last answer's body: the rest of it is not known",
	},
}

// corpusTwins are rows that SESSIONS.tsv calls ambiguous because the same
// connection is in several tunnels: here each is a session of its own. All carry
// the request of http1/zeek__get.pcap.
var corpusTwins = map[string]struct {
	times  int
	digest string
}{
	"encap/zeek__vlan-collisions.pcap 0":            {3, "2bb0935aa9b1c1b3"},
	"encap/zeek__vxlan-overlapping-http-get.pcap 0": {3, "2bb0935aa9b1c1b3"},
}

// checkMalformed: what is wrong with a capture is counted.
func (r *corpusRun) checkMalformed(t *testing.T, f *corpusFile) {
	c := &r.report.Capture
	if n := f.packets(t); c.Packets != n {
		t.Errorf("%d packets, MANIFEST.tsv has %d", c.Packets, n)
	}
	if !strings.HasPrefix(f.name, "malformed/") {
		return
	}
	for note, counted := range map[string]bool{
		"bad-ihl":                      c.Malformed > 0,
		"short-tcp":                    c.Malformed > 0,
		"corrupted":                    c.Malformed > 0,
		"payload bytes cut":            r.report.ClientBytes.NotCaptured > 0,
		"left beyond an unfilled gap=": r.report.ClientBytes.NotCaptured+c.Unordered > 0,
		"file ends mid-packet":         strings.Contains(strings.Join(r.report.Warnings, "\n"), "cut off"),
		"valid file, zero packets":     r.report.Sessions.Seen == 0,
	} {
		if strings.Contains(f.notes, note) && !counted {
			t.Errorf("MANIFEST.tsv says %q, the report has %+v, %+v, %q", note, *c, r.report.ClientBytes, r.report.Warnings)
		}
	}
}
