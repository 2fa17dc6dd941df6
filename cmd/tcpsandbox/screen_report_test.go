package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/compare"
	"tcpsandbox/replay"
	"tcpsandbox/report"
	"tcpsandbox/tui"
)

// written is a report of the report package's own tests.
const written = "../../report/testdata/eventful.json.golden"

func TestReportScreen(t *testing.T) {
	f, err := os.Open(written)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := report.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	s := newReportScreen(r)
	snap := s.Poll()
	if len(snap.Sessions) != len(r.Detail) || len(snap.Findings.Groups) != len(r.Differences) || len(snap.Egress) != len(r.Egress) || len(r.Detail) == 0 {
		t.Fatalf("%d sessions, %d groups, %d destinations", len(snap.Sessions), len(snap.Findings.Groups), len(snap.Egress))
	}
	run := snap.Run
	if run.Ended == "" || run.Verdict != r.VerdictLine() || !run.Failed || run.Bytes != r.ClientBytes || run.Answers.Different != r.Answers.Different ||
		run.Source != r.Capture.Source || run.Pid != 0 || run.Latency.Application.P50 != r.Latency.Application.P50 {
		t.Errorf("%+v", run)
	}
	differ := 0
	for _, v := range snap.Sessions {
		d := &r.Detail[v.Slot]
		if v.ID != d.ID || v.State != d.State || v.Client.String() != d.Client || v.Delivered != d.ClientBytes.Delivered || !v.Server.IsValid() ||
			(v.Application == replay.Ended) != (d.State == "finished" || d.State == "filtered" || d.State == "skipped") {
			t.Errorf("%+v of %+v", v, d)
		}
		if v.Answered != -1 || v.Served != -1 || v.Behind != -1 || v.Production != replay.ProductionUnknown || !v.Start.IsZero() || v.FirstApplication != 0 {
			t.Errorf("the report does not tell that: %+v", v)
		}
		story := s.Story(v.Slot)
		if story == nil || story.Bytes.Sum() != d.ClientBytes.Captured || len(story.Played)+story.Omitted < int(d.Requests) {
			t.Fatalf("%+v", story)
		}
		e := s.Explain(v.Slot, 0)
		if (d.FirstDifference == nil) != (e == nil) || e != nil && (len(e.Differences) == 0 || e.Verdict != compare.Different) {
			t.Errorf("%+v of %+v", e, d)
		}
		if e != nil {
			differ++
		}
	}
	if differ == 0 {
		t.Error("no session differs")
	}
	if again := s.Poll(); again.Sessions != nil || again.Findings != nil || again.Egress != nil || again.Run.Verdict != run.Verdict {
		t.Error("the second look gives all again")
	}
	if s.Story(len(r.Detail)) != nil || s.Explain(-1, 0) != nil || s.Command(99) != "" {
		t.Error("there is more than there was")
	}
	if _, err := s.Save(0); err == nil {
		t.Error("packets came from a report")
	}
}

// How a connection ended is no answer: a session of which nothing else differs
// has none that does.
func TestReportScreenEnds(t *testing.T) {
	r := &report.Result{Detail: []report.Detail{{
		ID: 1, Client: "10.0.0.1:1", Server: "10.0.0.2:80", State: "finished", Requests: 4, Verdict: "identical", Close: "different",
		Answers:         report.Answers{Compared: 4, Identical: 4},
		FirstDifference: &report.Difference{Request: compare.CloseRoute, Place: "close missing", Path: "close missing"},
	}}}
	s := newReportScreen(r)
	story := s.Story(0)
	if len(story.Played) != 0 || story.Omitted != 4 || story.Place != "close missing" || story.Verdict != compare.Different {
		t.Errorf("%+v", story)
	}
	if e := s.Explain(0, 0); e != nil {
		t.Errorf("an answer: %+v", e)
	}
}

// What browse is told, and which screen it opens.
func TestBrowse(t *testing.T) {
	t.Cleanup(func() { onTerminal = onGuardedTerminal })
	had := terminals
	t.Cleanup(func() { terminals = had })
	golden, err := os.ReadFile(written)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for name, text := range map[string][]byte{
		"run.json": golden, "spaced.txt": append([]byte("\n "), golden...), "part.json": golden[:len(golden)/2],
		"later.json": bytes.Replace(golden, []byte(`"version": 1`), []byte(`"version": 7`), 1),
		"shop.pcap":  capturetest.Pcap(clean()), "cut.pcap": capturetest.Pcap(clean())[:200], "text.pcap": []byte("hello"),
	} {
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		args     string
		terminal bool
		code     int
		said     string // what the error says, or the name of the screen
	}{
		{"--tui run.json", true, 0, "*main.reportScreen"},
		{"--tui spaced.txt", true, 0, "*main.reportScreen"},
		{"--tui shop.pcap", true, 0, "*main.fileScreen"},
		{"--tui shop.pcap:80", true, 0, "*main.fileScreen"},
		{"--tui part.json", true, exitCannot, "breaks off"},
		{"--tui later.json", true, exitCannot, "version is 7"},
		{"--tui text.pcap", true, exitCannot, "text.pcap"},
		{"--tui none.pcap", true, exitCannot, "none.pcap"},
		{"--tui shop.pcap", false, exitUsage, "needs a terminal"},
		{"--tui --json shop.pcap", true, exitUsage, "contradict"},
		{"--tui -", true, exitUsage, "standard input"},
	} {
		opened := ""
		terminals = func() bool { return tt.terminal }
		onTerminal = func(_ context.Context, opt tui.Options) error {
			switch opt.Source.(type) {
			case *reportScreen:
				opened = "*main.reportScreen"
			case *fileScreen:
				opened = "*main.fileScreen"
				for opt.Source.Poll().Run.Ended == "" { // until it is read
				}
			}
			if opt.Keeper == nil || opt.Control != nil {
				t.Errorf("%s: %+v", tt.args, opt)
			}
			return nil
		}
		cmd := showCommand()
		cmd.SetArgs(strings.Fields(tt.args))
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		err := cmd.Execute()
		code := 0
		var usage usageError
		var coded exitError
		switch {
		case errors.As(err, &coded):
			code = coded.code
		case errors.As(err, &usage):
			code = exitUsage
		case err != nil:
			code = -1
		}
		said := opened
		if err != nil {
			said = err.Error()
			var h hinter
			if code == exitUsage && (!errors.As(err, &h) || h.Hint() == "") {
				t.Errorf("%s: no hint", tt.args)
			}
		}
		if code != tt.code || !strings.Contains(said, tt.said) {
			t.Errorf("show %s: %d, %q, want %d, %q", tt.args, code, said, tt.code, tt.said)
		}
	}
}

// No capture's first byte is that of a report.
func TestIsReport(t *testing.T) {
	folder := t.TempDir()
	for name, tt := range map[string]struct {
		text string
		want bool
	}{
		"object": {"{}", true}, "spaced": {" \n\t{", true}, "list": {"[]", false}, "empty": {"", false}, "spaces": {"  ", false},
		"pcap": {string(capturetest.Pcap(nil)), false}, "pcapng": {"\x0a\x0d\x0d\x0a", false}, "gzip": {"\x1f\x8b", false},
	} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(tt.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if isReport(path) != tt.want {
			t.Errorf("%s: %v", name, !tt.want)
		}
	}
	if isReport(filepath.Join(folder, "none")) {
		t.Error("what is not there is a report")
	}
}

// BenchmarkFileScreen is one way through a file, which a story takes, too.
func BenchmarkFileScreen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "many.pcap")
	data := capturetest.Pcap(capturetest.HTTP(capturetest.Load{Sessions: 2000, Requests: 10}))
	if err := os.WriteFile(path, data, 0o644); err != nil {
		b.Fatal(err)
	}
	s, err := newFileScreen(path, capture.Spec{Source: path}, &picked{tunnels: "auto"})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.read(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		s.told = nil
		if s.Story(1999) == nil {
			b.Fatal("no story")
		}
	}
}
