package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/compare"
	"tcpsandbox/findings"
	"tcpsandbox/replay"
	"tcpsandbox/report"
	"tcpsandbox/tui"
)

// answering is a connection into an application that answers each write with
// what reply says.
type answering struct {
	reply func(asked string) string
	wake  func()

	mu       sync.Mutex
	out      []byte
	acked    uint64
	finished bool
}

func (c *answering) Established() (bool, error) { return true, nil }

func (c *answering) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acked += uint64(len(p))
	c.out = append(c.out, c.reply(string(p))...)
	go c.wake()
	return len(p), nil
}

func (c *answering) Read(fn func(p []byte)) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.out)
	if n > 0 {
		fn(c.out)
		c.out = nil
	}
	if n == 0 && c.finished {
		return 0, fmt.Errorf("read: %w", io.EOF)
	}
	return n, nil
}

func (c *answering) Acked() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.acked
}

func (c *answering) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finished = true
	go c.wake()
	return nil
}

func (c *answering) Facts() replay.LinkFacts {
	return replay.LinkFacts{SegmentsIn: c.Acked(), Window: -1}
}

func (c *answering) Flush() {}
func (c *answering) Abort() {}

func (c *answering) Gone() bool { return true }
func (c *answering) Close()     {}

// screened is a run of some captures on a screen, into an application that
// exists in memory only.
type screened struct {
	*runScreen
	t     *testing.T
	views map[int]replay.View
	last  tui.Run
	all   []tui.Snapshot
}

func newScreened(t *testing.T, o *runOptions, reply func(asked string) string, packets ...[]capturetest.Packet) *screened {
	t.Helper()
	t.Chdir(t.TempDir())
	o.screen, o.quiet, o.memory, o.multiply, o.tunnels, o.idleTimeout, o.paceFlag = true, true, 256<<20, 1, "auto", time.Hour, "asap"
	if o.command == nil {
		o.command = []string{"./testapp"}
	}
	o.rules = compare.Default()
	if o.secrets == nil {
		o.secrets = compare.NewSecrets()
	}
	for _, spec := range files(t, packets...) {
		o.specs = append(o.specs, spec)
		o.captures = append(o.captures, spec.String())
	}
	if err := o.picked.complete(); err != nil {
		t.Fatal(err)
	}
	p := newPipeline(o, &console{err: new(bytes.Buffer), quiet: true})
	p.store = o.newStore()
	next := uint64(0)
	for i, spec := range o.specs {
		f, err := newFeed(o.captures[i], func() (capture.Source, *capture.Assembler, error) {
			src, err := o.picked.open(spec)
			cfg := o.assembler(spec, func() uint64 { next++; return next })
			cfg.Tap = p.store
			return src, capture.NewAssembler(cfg), err
		})
		if err != nil {
			t.Fatal(err)
		}
		p.sources = append(p.sources, f)
	}
	p.app.engine = replay.New(replay.Config{
		Judge: p.app.judge, Ended: p.app.ended, Watch: o.watch(), AnswerTimeout: 200 * time.Millisecond,
		Dial: func(_, _ netip.AddrPort, wake func()) (replay.Conn, error) {
			go wake()
			return &answering{reply: reply, wake: wake}, nil
		},
	})
	p.players = replay.NewTee(p.app.engine)
	shown := newRunScreen(p)
	p.con.hold(shown.log.message, nil)
	return &screened{runScreen: shown, t: t, views: map[int]replay.View{}}
}

// play plays all, and looks at it meanwhile from two goroutines.
func (s *screened) play() {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	var playing, looking sync.WaitGroup
	playing.Go(func() { s.p.players.Run(ctx) })
	over := make(chan struct{})
	looking.Go(func() {
		for slot := 0; ; slot = (slot + 1) % 8 {
			select {
			case <-over:
				return
			default:
			}
			s.Story(slot)
			s.Explain(slot, 0)
			s.Command(slot)
		}
	})
	looking.Go(func() {
		for {
			s.poll()
			select {
			case <-over:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	for _, f := range s.p.sources {
		if err := f.src.Run(ctx, func(batch []capture.Packet) error { s.p.packets(f, batch); return nil }); err != nil {
			s.t.Error(err)
		}
		s.p.flush(f)
	}
	late, cancel := context.WithTimeout(ctx, 20*time.Second)
	if err := s.p.players.Drain(late); err != nil {
		s.t.Error(err)
	}
	cancel()
	close(over)
	looking.Wait()
	stop()
	playing.Wait()
	for i, played := range s.p.players.Finish() {
		s.p.stands[i].played = played
	}
	s.poll()
}

func (s *screened) poll() {
	snap := s.Poll()
	for _, v := range snap.Sessions {
		s.views[v.Slot] = v
	}
	s.last = snap.Run
	s.all = append(s.all, snap)
}

// end makes a result of the run.
func (s *screened) end() *report.Result {
	r := &report.Result{Ended: report.EndedCapture, ExitCode: 1, Sessions: countSessions(s.p.app.played, 0)}
	r.ClientBytes = report.Bytes(s.p.app.played.Captured, s.p.app.played.Bytes, s.p.app.played.Missing)
	summary := s.p.found.Summary()
	r.SetFindings(summary)
	r.Detail = s.p.result.Detail
	r.SettleDetail(summary.IsNoise)
	s.ended(r)
	s.poll()
	return r
}

// shown is all that the screen was given, as text.
func (s *screened) shown() string {
	var b strings.Builder
	add := func(v any) {
		text, err := json.Marshal(v)
		if err != nil {
			s.t.Fatal(err)
		}
		b.Write(text)
	}
	for _, snap := range s.all {
		add(snap)
	}
	for slot := range s.views {
		story := s.Story(slot)
		add(story)
		if story == nil {
			continue
		}
		for _, p := range story.Played {
			if len(p.Request) > 0 || p.Answers[0] != nil || p.Answers[1] != nil {
				s.t.Errorf("a story has texts: %q", p.Request)
			}
			e := s.Explain(slot, p.Number)
			add(e)
			if e != nil {
				b.Write(e.Raw[0])
				b.Write(e.Raw[1])
			}
		}
		b.WriteString(s.Command(slot))
	}
	return b.String()
}

// merged are the packets of several connections, in the order of their times.
func merged(all [][]capturetest.Packet) (one []capturetest.Packet) {
	for _, packets := range all {
		one = append(one, packets...)
	}
	slices.SortStableFunc(one, func(a, b capturetest.Packet) int { return a.Time.Compare(b.Time) })
	return one
}

func okay(kind, body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", kind, len(body), body)
}

func exchanged(client, request, answer string) *capturetest.Conn {
	return capturetest.New(client, "10.9.0.1:80").Handshake().Client(request).Server(answer)
}

// A run as the screen sees it, to its end and beyond.
func TestRunScreen(t *testing.T) {
	same, other := okay("application/json", `{"total": 12}`), okay("application/json", `{"total": 13}`)
	var packets [][]capturetest.Packet
	for i := range 4 {
		packets = append(packets, exchanged(fmt.Sprintf("10.0.0.%d:4000", i+1), fmt.Sprintf("GET /cart/%d?n=1 HTTP/1.1\r\nHost: shop\r\n\r\n", i), same).Close().Packets)
	}
	s := newScreened(t, &runOptions{}, func(asked string) string {
		if strings.Contains(asked, "/cart/2") {
			return other
		}
		return same
	}, merged(packets))
	s.p.con.app("app", []byte("it listens\x1b[2J"))
	s.p.warn("be careful")
	s.play()

	if len(s.views) != 4 {
		t.Fatalf("%d views", len(s.views))
	}
	differing := -1
	for slot, v := range s.views {
		if v.State != "finished" || v.Requests != 1 || v.Answered == 0 || v.Production != replay.ProductionClosed {
			t.Errorf("%+v", v)
		}
		if v.Verdict == compare.Different {
			differing = slot
			if v.Client != netip.MustParseAddrPort("10.0.0.3:4000") || len(v.Routes) != 1 || v.Routes[0] != "GET /cart/2" {
				t.Errorf("%+v", v)
			}
		}
	}
	run := s.last
	if run.Sessions.Seen != 4 || run.Sessions.Finished != 4 || run.Active != 0 || run.Bytes.Captured != run.Uploaded || run.Uploaded == 0 ||
		run.Answered != int64(4*len(same)) || run.Packets == 0 || run.Answers.Different != 1 || run.Answers.Compared != 4 || run.Ended != "" {
		t.Errorf("%+v", run)
	}
	if len(run.Warnings) != 1 || run.Warnings[0] != "be careful" {
		t.Errorf("warnings: %q", run.Warnings)
	}
	var lines []tui.Line
	var found *tui.Findings
	for _, snap := range s.all {
		lines = append(lines, snap.Log...)
		if snap.Findings != nil {
			found = snap.Findings
		}
	}
	if len(lines) != 2 || lines[0].From != "app" || lines[0].Text != "it listens\x1b[2J" || lines[1].From != "tcpsandbox" || lines[1].Text != "warning: be careful" {
		t.Errorf("log: %q", lines)
	}
	if found == nil {
		t.Error("no findings while it ran")
	}

	story := s.Story(differing)
	if story == nil || len(story.Played) != 1 || story.Played[0].Verdict != compare.Different || len(story.Facts) == 0 || story.Began.IsZero() {
		t.Fatalf("%+v", story)
	}
	if !slices.ContainsFunc(story.Facts, func(f [3]string) bool { return f[0] == "segments, server" && f[1] != "" && f[2] != "" }) {
		t.Errorf("what the packets tell: %q", story.Facts)
	}
	e := s.Explain(differing, 0)
	if e == nil || e.Verdict != compare.Different || len(e.Differences) != 1 || e.Differences[0].Place != "$.total" ||
		e.Request == nil || !strings.HasPrefix(e.Request.Head, "GET /cart/2?n=1 HTTP/1.1") || string(e.Raw[1]) != other {
		t.Errorf("%+v", e)
	}
	if s.Story(99) != nil || s.Explain(differing, 7) != nil || s.Story(-1) != nil {
		t.Error("there is more than there was")
	}

	r := s.end()
	run = s.last
	if run.Ended == "" || !run.Failed || run.Verdict != r.VerdictLine() || run.Answers.Different != 1 {
		t.Errorf("%+v", run)
	}
	if f := s.all[len(s.all)-1].Findings; f == nil || len(f.Groups) != 1 || f.Groups[0].Count != 1 {
		t.Errorf("%+v", f)
	}
	if s.Story(differing) == nil || s.Explain(differing, 0) == nil {
		t.Error("what was told is forgotten with the end")
	}
}

// A session that is over can be written to a file, again and again, and played
// from there.
func TestRunScreenKeeps(t *testing.T) {
	answer := okay("text/plain", "hello")
	first := exchanged("10.0.0.1:4000", "GET / HTTP/1.1\r\n\r\n", answer).Close().Packets
	second := exchanged("10.0.0.2:4000", "GET /b HTTP/1.1\r\n\r\n", answer).Close().Packets
	s := newScreened(t, &runOptions{command: []string{"./testapp", "--name", "it's"}}, func(string) string { return answer }, merged([][]capturetest.Packet{first, second}))
	s.play()
	slot := -1
	for n, v := range s.views {
		if v.Client.Addr() == netip.MustParseAddr("10.0.0.2") {
			slot = n
		}
	}
	o, sessions := again(t, s.Command(slot))
	if len(sessions) != 1 || o.filterText == "" {
		t.Errorf("%s plays %d sessions", s.Command(slot), len(sessions))
	}
	for _, want := range []string{"session-2.pcapng", "session-2-2.pcapng", "session-2-3.pcapng"} {
		path, err := s.Save(slot)
		if err != nil || path != want {
			t.Fatalf("%s, %v, want %s", path, err, want)
		}
		line := s.Command(slot)
		if !strings.Contains(line, want) {
			t.Errorf("%s does not play %s", line, want)
		}
		_, sessions := again(t, line)
		if len(sessions) != 1 || both(sessions[0]) != [2]string{"GET /b HTTP/1.1\r\n\r\n", answer} {
			t.Errorf("%s has %d sessions", want, len(sessions))
		}
	}
	if _, err := s.Save(99); err == nil {
		t.Error("a session that is not there was saved")
	}
	if err := os.Chmod(".", 0o500); err == nil && os.Getuid() != 0 {
		if _, err := s.Save(slot); err == nil {
			t.Error("it was written to where nothing can be")
		}
	}
	s.p.store.Drop(2)
	if path, err := s.Save(slot); err == nil || !strings.Contains(err.Error(), "not kept") {
		t.Errorf("%s, %v", path, err)
	}
	if left, _ := filepath.Glob("*partial*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// A capture of an interface is replayed from what was saved, or not at all.
func TestRunScreenCommandOfLive(t *testing.T) {
	answer := okay("text/plain", "hello")
	s := newScreened(t, &runOptions{}, func(string) string { return answer }, exchanged("10.0.0.1:4000", "GET / HTTP/1.1\r\n\r\n", answer).Close().Packets)
	s.play()
	s.p.opt.specs, s.p.opt.captures = []capture.Spec{{Source: "eth0", Ports: []uint16{80}}}, []string{"eth0:80"}
	if line := s.Command(0); line != "" {
		t.Errorf("%s", line)
	}
	if _, err := s.Save(0); err != nil {
		t.Fatal(err)
	}
	if line := s.Command(0); !strings.Contains(line, "--capture session-1.pcapng:80") {
		t.Errorf("%s", line)
	}
}

// Wherever a secret stands, the screen is not given it.
func TestScreenHidesSecrets(t *testing.T) {
	const secret = "s3cr3tvalue"
	form := "user=me&token=" + secret
	for _, tt := range []struct{ name, request, answer string }{
		{"a parameter", "GET /a?token=" + secret + " HTTP/1.1\r\n\r\n", okay("text/plain", "x")},
		{"a parameter in the path", "GET /a;token=" + secret + "/b HTTP/1.1\r\n\r\n", okay("text/plain", "x")},
		{"an encoded name", "GET /a?t%6Fken=" + secret + " HTTP/1.1\r\n\r\n", okay("text/plain", "x")},
		{"who asks", "GET http://me:" + secret + "@shop/a HTTP/1.1\r\n\r\n", okay("text/plain", "x")},
		{"a cookie", "GET /a HTTP/1.1\r\nCookie: sid=" + secret + "\r\n\r\n", okay("text/plain", "x")},
		{"a header", "GET /a HTTP/1.1\r\nAuthorization: Bearer " + secret + "\r\n\r\n", okay("text/plain", "x")},
		{"a form", fmt.Sprintf("POST /a HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(form), form), okay("text/plain", "x")},
		{"an answer's cookie", "GET /a HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nSet-Cookie: sid=" + secret + "\r\nContent-Length: 0\r\n\r\n"},
		{"an answer's JSON", "GET /a HTTP/1.1\r\n\r\n", okay("application/json", `{"a": {"token": "`+secret+`"}}`)},
		{"an answer's text", "GET /a HTTP/1.1\r\n\r\n", okay("text/plain", "your token: "+secret+"\nis new")},
		{"an answer's bytes", "GET /a HTTP/1.1\r\n\r\n", okay("image/png", "\x00\x01token="+secret+"\x00")},
		{"an answer's chunks", "GET /a HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ntoken=s3c\r\n8\r\nr3tvalue\r\n0\r\n\r\n"},
		{"no HTTP", "login token=" + secret + "\n", "token=" + secret + " it is\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, other := range []string{tt.answer, strings.Replace(tt.answer, "200 OK", "500 Oh", 1), strings.NewReplacer("x", "y", "is", "was").Replace(tt.answer), ""} {
				o := &runOptions{command: []string{"./testapp", "--token", secret}, replayGiven: []string{"--env", "TOKEN=" + secret}}
				o.secrets = compare.NewSecrets("token")
				s := newScreened(t, o, func(string) string { return other }, exchanged("10.0.0.1:4000", tt.request, tt.answer).Close().Packets)
				s.p.con.app("app", []byte(`level=info token="`+secret+`"`))
				s.p.con.fail(fmt.Errorf("it said: token=%s", secret))
				s.play()
				s.end()
				shown := s.shown()
				for _, part := range []string{secret, "r3tvalue", "s3cr3t"} {
					if i := strings.Index(shown, part); i >= 0 {
						t.Errorf("answered %.30q: …%s…", other, shown[max(0, i-200):i+40])
						break
					}
				}
				if !strings.Contains(shown, `"Slot":0`) || len(s.views) != 1 {
					t.Errorf("nothing was shown: %s", shown)
				}
			}
		})
	}
}

// What the baseline differs in, too, is taken off the sessions in the end.
func TestRunScreenSettles(t *testing.T) {
	packets := exchanged("10.0.0.1:4000", "GET /a HTTP/1.1\r\n\r\n", okay("text/plain", "the number is 17")).Close().Packets
	s := newScreened(t, &runOptions{}, func(string) string { return okay("text/plain", "the number is 18") }, packets)
	s.p.old = &baseline{stand: stand{line: "./old"}}
	s.play()
	if v := s.views[0]; v.Verdict != compare.Different {
		t.Fatalf("%+v", v)
	}
	whole := func(text string) *compare.Answer {
		a := &compare.Answer{HTTP: true}
		a.Add([]byte(okay("text/plain", text)))
		a.Complete = true
		return a
	}
	s.p.found.Baseline(&compare.Exchange{Request: "GET /a HTTP/1.1", HTTP: true, Production: whole("the number is 17"), Application: whole("the number is 19")})
	s.end()
	if v := s.views[0]; v.Verdict != compare.Equivalent || v.Answers[compare.Equivalent] != 1 || v.Answers[compare.Different] != 0 {
		t.Errorf("%+v", v)
	}
	if s.last.Answers.Equivalent != 1 {
		t.Errorf("%+v", s.last.Answers)
	}
}

// However much is written, the screen gets what it can show, and is told of the
// rest.
func TestScreenLogIsBounded(t *testing.T) {
	l := new(screenLog)
	l.add("app", "one\ntwo")
	if got := l.take(nil); len(got) != 2 || got[1].Text != "two" {
		t.Errorf("%+v", got)
	}
	for i := range maxLogLines + 10 {
		l.add("app", fmt.Sprint(i))
	}
	got := l.take(nil)
	if len(got) != maxLogLines+1 || got[0].Text != "10 lines came too fast to be shown here" || got[1].Text != "10" {
		t.Errorf("%d lines, %+v", len(got), got[:2])
	}
	for range 100 {
		l.add("app", strings.Repeat("x", 2*maxLogLine))
	}
	size := 0
	for _, line := range l.take(nil) {
		size += len(line.Text)
	}
	if size > maxLogBytes+100 {
		t.Errorf("%d bytes", size)
	}
	if got := l.take(nil); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// BenchmarkScreenLog is what hiding secrets in a line of the log takes.
func BenchmarkScreenLog(b *testing.B) {
	secrets := compare.NewSecrets("token", "password", "session")
	line := strings.Repeat("time=2026-01-01 level=info msg=served ", 3)[:100]
	l := new(screenLog)
	for b.Loop() {
		l.add("app", line)
		l.take(secrets)
	}
}

// BenchmarkPoll is what the screen asks for ten times a second.
func BenchmarkPoll(b *testing.B) {
	p := &pipeline{opt: &runOptions{verdictFlags: verdictFlags{secrets: compare.NewSecrets()}}, con: &console{err: new(bytes.Buffer)}, found: findings.New(findings.Config{})}
	p.app = &stand{engine: replay.New(replay.Config{Watch: &replay.Watch{}})}
	s := newRunScreen(p)
	b.ReportAllocs()
	for b.Loop() {
		s.Poll()
	}
}

// A run may last for weeks.
func TestScreenForgetsSlots(t *testing.T) {
	o := &runOptions{screen: true}
	o.memory = o.minMemory() + 64<<20
	s := newRunScreen(&pipeline{opt: o, app: &stand{}})
	most := int(o.tableLimit() / slotShare)
	view := func(slot int, state string, verdict compare.Verdict) []replay.View {
		return []replay.View{{Slot: slot, ID: uint64(slot + 1), State: state, Verdict: verdict, Delivered: 10, Answered: 20}}
	}
	s.note(view(0, "", compare.Identical))
	s.note(view(1, "finished", compare.Different))
	for slot := 2; slot < 3*most; slot++ {
		s.note(view(slot, "", compare.Identical))
		s.note(view(slot, "finished", compare.Identical))
	}
	if n := len(s.slots); n > most+1 {
		t.Errorf("%d slots are remembered, want %d at most", n, most+1)
	}
	for slot, want := range map[int]bool{0: true, 1: true, 2: false, 3*most - 1: true} {
		if _, ok := s.slot(slot); ok != want {
			t.Errorf("slot %d is remembered: %v, want %v", slot, ok, want)
		}
	}
	if want := int64(3 * most * 10); s.uploaded != want || s.answered != 2*want {
		t.Errorf("%d bytes up and %d down, want %d and %d", s.uploaded, s.answered, want, 2*want)
	}
}
