package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/capture/expr"
	"tcpsandbox/report"
	"tcpsandbox/session"
)

// playing returns a run of some captures with a store, as far as the sessions
// have come out of them, and how many those are.
func playing(t *testing.T, o *runOptions, packets ...[]capturetest.Packet) (*pipeline, []*session.Session) {
	t.Helper()
	o.command = []string{"./testapp", "--name", "it's"}
	o.tunnels, o.multiply = "auto", 1
	for i, s := range files(t, packets...) {
		if i < len(o.specs) { // only the ports are given
			o.specs[i].Source = s.Source
		} else {
			o.specs = append(o.specs, s)
		}
		o.captures = append(o.captures, o.specs[i].String())
	}
	if err := o.picked.complete(); err != nil {
		t.Fatal(err)
	}
	p := &pipeline{opt: o}
	if o.saveFailures != "" {
		p.store = o.newStore()
	}
	return p, sessionsOf(t, o, p)
}

// sessionsOf reads what a run would; p may be nil.
func sessionsOf(t *testing.T, o *runOptions, p *pipeline) (all []*session.Session) {
	t.Helper()
	next := uint64(0)
	for _, spec := range o.specs {
		cfg := o.assembler(spec, func() uint64 { next++; return next })
		cfg.IdleTimeout = time.Hour
		if p != nil && p.store != nil {
			cfg.Tap = p.store
		}
		src, err := o.picked.open(spec)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		asm := capture.NewAssembler(cfg)
		take := func(batch []*session.Session) {
			for _, s := range batch {
				if !slices.Contains(all, s) {
					all = append(all, s)
				}
				if p != nil {
					p.sawTags(s)
				}
			}
		}
		if err := src.Run(t.Context(), func(batch []capture.Packet) error { take(asm.Packets(batch)); return nil }); err != nil {
			t.Fatal(err)
		}
		take(asm.Flush())
	}
	return all
}

// again reads a command line as the shell and run do, and returns the sessions
// that it would play.
func again(t *testing.T, line string) (*runOptions, []*session.Session) {
	t.Helper()
	text, err := exec.Command("sh", "-c", "set -f; for w in "+line+"; do printf '%s\\0' \"$w\"; done").Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	words := strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
	if !slices.Equal(words[:2], []string{"tcpsandbox", "run"}) {
		t.Fatalf("it begins with %q", words[:2])
	}
	code := 0
	cmd := runCommand(&code)
	if err := cmd.Flags().Parse(words[2:]); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if !slices.Equal(cmd.Flags().Args(), []string{"./testapp", "--name", "it's"}) {
		t.Errorf("%s: the command became %q", line, cmd.Flags().Args())
	}
	o := &runOptions{}
	o.captures, _ = cmd.Flags().GetStringArray("capture")
	o.filterText, _ = cmd.Flags().GetString("filter")
	o.tunnels, _ = cmd.Flags().GetString("tunnels")
	for _, c := range o.captures {
		spec, err := capture.ParseSpec(c)
		if err != nil {
			t.Fatal(err)
		}
		o.specs = append(o.specs, spec)
	}
	if err := o.picked.complete(); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return o, sessionsOf(t, o, nil)
}

// both returns what the two sides of a session said.
func both(s *session.Session) (said [2]string) {
	events, _ := s.Take(nil)
	for _, e := range events {
		said[e.Side] += string(e.Data)
	}
	return said
}

// flow is a UDP exchange.
func flow(client string) (all []capturetest.Packet) {
	c, s := netip.MustParseAddrPort(client), netip.MustParseAddrPort("10.9.0.1:53")
	for i, f := range [][]byte{capturetest.UDPFrame(c, s, nil, []byte("what")), capturetest.UDPFrame(s, c, nil, []byte("this"))} {
		all = append(all, capturetest.Packet{Time: capturetest.Epoch.Add(time.Duration(i) * time.Millisecond), Data: f})
	}
	return all
}

// TestSavedFailuresReplay saves sessions and plays each by the command that is
// told for it.
func TestSavedFailuresReplay(t *testing.T) {
	joined := func() []capturetest.Packet { // the server's port is the higher one
		c := capturetest.New("10.0.0.9:4000", "10.9.0.1:8080")
		return c.Handshake().Client("hello").Server("you").Client("again").Close().Packets[4:]
	}
	tagged := func(tags ...uint16) []capturetest.Packet {
		c := capturetest.New("10.0.0.8:4000", "10.9.0.1:80")
		c.VLAN = tags
		return c.Handshake().Client("hello").Server("you").Close().Packets
	}
	tunnelled := func() []capturetest.Packet {
		c := capturetest.New("10.0.0.7:4000", "10.9.0.1:80")
		c.Wrap = [2]capturetest.Wrap{capturetest.VXLAN(7), capturetest.VXLAN(7)}
		return c.Handshake().Client("hello").Server("you").Close().Packets
	}
	for _, c := range []struct {
		name    string
		opt     runOptions
		packets [][]capturetest.Packet
		filter  string
	}{
		{name: "one of many", packets: [][]capturetest.Packet{visits("10.0.0.1", 20, 0, time.Millisecond)}},
		{name: "with ports", opt: runOptions{specs: []capture.Spec{{Ports: []uint16{80, 81}}}}, packets: [][]capturetest.Packet{visits("10.0.0.1", 5, 0, time.Millisecond)}},
		{name: "two files", packets: [][]capturetest.Packet{visits("10.0.0.1", 3, 0, time.Millisecond), visits("10.0.0.2", 3, 0, time.Millisecond)}},
		{name: "filtered", packets: [][]capturetest.Packet{visits("10.0.0.1", 5, 0, time.Millisecond)}, filter: "port 2001 or port 2002"},
		{name: "IPv6", packets: [][]capturetest.Packet{capturetest.New("[2001:db8::1]:4000", "[2001:db8::2]:80").Handshake().Client("hello").Close().Packets}},
		{name: "joined", opt: runOptions{specs: []capture.Spec{{Ports: []uint16{8080}}}}, packets: [][]capturetest.Packet{joined()}},
		{name: "VLAN", packets: [][]capturetest.Packet{tagged(5), visits("10.0.0.1", 2, 0, time.Millisecond)}},
		{name: "VLAN, filtered", packets: [][]capturetest.Packet{tagged(5)}, filter: "vlan 5"},
		{name: "VLAN in VLAN", packets: [][]capturetest.Packet{tagged(5, 6)}},
		{name: "VXLAN", packets: [][]capturetest.Packet{tunnelled()}},
		{name: "UDP", opt: runOptions{specs: []capture.Spec{{UDP: []uint16{53}}}}, packets: [][]capturetest.Packet{append(flow("10.0.0.1:4000"), flow("10.0.0.2:4000")...)}},
	} {
		for _, save := range []bool{true, false} {
			o := c.opt
			o.specs = slices.Clone(o.specs)
			o.filterText, o.memory = c.filter, 1<<30
			if save {
				o.saveFailures = filepath.Join(t.TempDir(), "what differs")
				if err := checkFailures(o.saveFailures); err != nil {
					t.Fatal(err)
				}
			}
			p, all := playing(t, &o, c.packets...)
			var groups []report.Group
			for _, s := range all {
				groups = append(groups, report.Group{Request: "GET /{id}", Places: []string{"status"}, Session: s.ID, Client: s.Client.String()})
			}
			if err := p.saveFailures(groups); err != nil || len(groups) == 0 {
				t.Fatalf("%s: %d groups, %v", c.name, len(groups), err)
			}
			for i, g := range groups {
				want := ""
				if save {
					want = filepath.Join(o.saveFailures, fmt.Sprintf("%d.pcapng", i+1))
					if info, err := os.Stat(want); err != nil || info.Mode().Perm() != 0o600 {
						t.Errorf("%s: %v, %v", c.name, info, err)
					}
				}
				if g.Capture != want {
					t.Errorf("%s: it is in %q, want %q", c.name, g.Capture, want)
				}
				_, played := again(t, g.Command)
				if len(played) != 1 {
					t.Errorf("%s, saved %v: %s\nplays %d sessions", c.name, save, g.Command, len(played))
					continue
				}
				got, s := played[0], all[i]
				if got.Client != s.Client || got.Server != s.Server || got.Proto != s.Proto || got.Joined != s.Joined || both(got) != both(s) {
					t.Errorf("%s, saved %v: %s\nplays %v → %v, want %v → %v", c.name, save, g.Command, got.Client, got.Server, s.Client, s.Server)
				}
			}
		}
	}
}

// TestFailuresWithoutAFile: what was captured live, or came by a pipe, is gone
// if it was not saved.
func TestFailuresWithoutAFile(t *testing.T) {
	for _, source := range []string{"lo", "-", "/dev/null"} {
		p := &pipeline{opt: &runOptions{captures: []string{source}, specs: []capture.Spec{{Source: source}}, command: []string{"true"}}}
		groups := []report.Group{{Session: 1, Client: "10.0.0.1:4000"}}
		if err := p.saveFailures(groups); err != nil || groups[0].Command != "" || groups[0].Capture != "" {
			t.Errorf("%s: %+v, %v", source, groups[0], err)
		}
	}
}

// TestTrimmedFailureReplays: of a session of which only the end was kept, what
// is played begins with a message.
func TestTrimmedFailureReplays(t *testing.T) {
	c := capturetest.New("10.0.0.1:4000", "10.9.0.1:80").Handshake()
	const request = 200
	for i := range 100 {
		head := fmt.Sprintf("GET /%03d HTTP/1.1\r\nHost: shop\r\nX: ", i)
		c.Client(head + strings.Repeat("x", request-len(head)-4) + "\r\n\r\n")
		c.Server("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + strings.Repeat("y", 5000)).ClientACK()
	}
	for cut := range 8 { // wherever the cut falls
		store := capture.NewStore(capture.StoreConfig{MaxSession: 100_000 + int64(cut)*700})
		asm := capture.NewAssembler(capture.AssemblerConfig{Tap: store})
		var s *session.Session
		for _, p := range c.Packets {
			for _, s = range asm.Packets([]capture.Packet{{Data: p.Data, Time: p.Time.UnixNano(), OrigLen: len(p.Data), Link: capture.LinkEthernet}}) {
				s.Take(nil)
			}
		}
		asm.Flush()
		var file bytes.Buffer
		w := capture.NewWriter(&file, "test")
		if err := errors.Join(store.Write(s.ID, w), w.Flush()); err != nil {
			t.Fatal(err)
		}
		src, err := capture.OpenStream(&file, "-")
		if err != nil {
			t.Fatal(err)
		}
		var l report.Listing
		if err := list(&l, src, capture.Spec{}, false); err != nil || len(l.Detail) != 1 {
			t.Fatalf("%d sessions, %v", len(l.Detail), err)
		}
		d := l.Detail[0]
		if !d.Joined || d.ClientBytes.Deliverable < 10*request || d.ClientBytes.Deliverable%request != 0 || d.ClientBytes.Captured-d.ClientBytes.Deliverable >= 2*request {
			t.Errorf("cut %d: %+v", cut, d.ClientBytes)
		}
	}
}

func TestCheckFailures(t *testing.T) {
	dir := t.TempDir()
	made := filepath.Join(dir, "a", "b")
	if err := checkFailures(made); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(made); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	other := filepath.Join(made, "notes.txt")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkFailures(made); err != nil {
		t.Errorf("beside another file: %v", err)
	}
	var h hinter
	if err := os.WriteFile(filepath.Join(made, "7.pcapng"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkFailures(made); !errors.As(err, &h) || !strings.Contains(err.Error(), "7.pcapng") {
		t.Errorf("with a capture in it: %v", err)
	}
	if err := checkFailures(other); err == nil {
		t.Error("a file was taken for a directory")
	}
	entries, _ := os.ReadDir(made)
	if len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}

// TestWriteNew: whole or not at all, and never over another file.
func TestWriteNew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "1.pcapng")
	if err := writeNew(path, func(w io.Writer) error { io.WriteString(w, "half"); return io.ErrShortWrite }); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
	for i, text := range []string{"mine", "another's"} {
		err := writeNew(path, func(w io.Writer) error { _, err := io.WriteString(w, text); return err })
		if (err == nil) != (i == 0) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if got, _ := os.ReadFile(path); string(got) != "mine" {
		t.Errorf("it became %q", got)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

// TestReplayFlags: each flag of run is one that a replay of one session needs,
// or one that it does not.
func TestReplayFlags(t *testing.T) {
	not := strings.Fields(`capture filter follow speed skip-idle repeat sample ramp multiply only-complete max-memory duration max-sessions
		drain app-log report save-failures fail-on max-cpu max-retransmissions max-pressure cpuprofile vitals no-tui quiet learn max-different max-slowdown restart`)
	code := 0
	flags := runCommand(&code).Flags()
	flags.VisitAll(func(f *pflag.Flag) {
		if slices.Contains(not, f.Name) == slices.Contains(replayFlags, f.Name) {
			t.Errorf("--%s: does what an application answers, or how that is compared, depend on it?", f.Name)
		}
	})
	if err := flags.Parse([]string{
		"--report", "run.json", "--env", "A=b c", "--env", "B=1,2", "--keep-caps", "setuid,setgid", "--app-port", "8080",
		"--answer-timeout", "90s", "--wait", "none", "--multiply", "3", "--", "./testapp",
	}); err != nil {
		t.Fatal(err)
	}
	want := `--app-port 8080 --wait none --answer-timeout 1m30s --keep-caps setuid --keep-caps setgid --env 'A=b c' --env B=1,2`
	if got := commandLine(givenFlags(flags, replayFlags)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestExampleFilters: what is written into command lines is in the language.
func TestExampleFilters(t *testing.T) {
	spec := files(t, visits("10.0.0.1", 1, 0, 0))[0]
	o := &runOptions{specs: []capture.Spec{spec}, captures: []string{spec.Source}, command: []string{"true"}}
	for tags, want := range []string{
		"host 10.0.0.1 and port 2000",
		"(host 10.0.0.1 and port 2000) or (vlan and host 10.0.0.1 and port 2000)",
		"(host 10.0.0.1 and port 2000) or (vlan and host 10.0.0.1 and port 2000) or (vlan and host 10.0.0.1 and port 2000)",
	} {
		got := o.replayFiltered("10.0.0.1:2000", tags)
		if _, err := expr.Parse(want); err != nil || got != "tcpsandbox run --capture "+spec.Source+" --filter '"+want+"' -- true" {
			t.Errorf("%d tags: got %s, %v", tags, got, err)
		}
	}
}
