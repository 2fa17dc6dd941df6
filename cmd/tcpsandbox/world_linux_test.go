package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/compare"
	"tcpsandbox/replay"
	"tcpsandbox/report"
	"tcpsandbox/sandbox"
	"tcpsandbox/session"
)

// The test binary is the application, too: with appVar set it answers HTTP on
// port 80 with what it was asked for.
const appVar = "TCPSANDBOX_TEST_APP"

func TestMain(m *testing.M) {
	sandbox.Main()
	if starts := os.Getenv(appVar); starts != "" {
		serve(starts, os.Getenv("LISTENS"))
	}
	os.Exit(m.Run())
}

// serve notes its start in a file. With once it listens only the first time,
// with slow it takes for ever to do so after that, with never also before, and
// with stubborn it does not end when it is asked to. Whoever asks for /die kills
// it, for /die-once the first one only; and for /mortal with MORTAL=1 or once.
func serve(starts, listens string) {
	before, _ := os.ReadFile(starts)
	err := os.WriteFile(starts, append(before, "started\n"...), 0o600)
	if err == nil && listens == "once" && len(before) > 0 {
		err = errors.New("this time I do not listen")
	}
	if listens == "stubborn" {
		signal.Ignore(syscall.SIGTERM)
	}
	if listens == "slow" && len(before) > 0 || listens == "never" {
		time.Sleep(math.MaxInt64) // an empty select would be a deadlock, of which Go programs die
	}
	if err == nil {
		err = http.ListenAndServe(":80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Date"] = nil
			if mortal := os.Getenv("MORTAL"); r.URL.Path == "/die" || r.URL.Path == "/die-once" && len(before) == 0 ||
				r.URL.Path == "/mortal" && (mortal == "1" || mortal == "once" && len(before) == 0) {
				fmt.Println("I die")
				os.Exit(3)
			}
			fmt.Fprint(w, r.URL.Path)
		}))
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// asked is an answer of production's, and when it was asked for.
type asked struct {
	at         time.Duration
	path, body string
}

// visitors are sessions on a connection each that ask all of that.
func visitors(n int, all ...asked) []capturetest.Packet { return visitorsAt(0, n, all...) }

// visitorsAt are others, who come later.
func visitorsAt(at time.Duration, n int, all ...asked) []capturetest.Packet {
	var conns []*capturetest.Conn
	for i := range n {
		client := fmt.Sprintf("198.51.100.%d:4000", i+1)
		if at > 0 {
			client = fmt.Sprintf("198.51.101.%d:4000", i+1)
		}
		c := capturetest.New(client, "203.0.113.9:80").Wait(at).Handshake()
		last := time.Duration(0)
		for _, a := range all {
			c.Wait(a.at - last).Client("GET " + a.path + " HTTP/1.1\r\nHost: a\r\n\r\n")
			c.Server(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s", len(a.body), a.body))
			last = a.at
		}
		conns = append(conns, c.Close())
	}
	return capturetest.Merge(conns...)
}

// steeredRun is a run in a real sandbox that a test steers.
type steeredRun struct {
	*pipeline
	t      *testing.T
	starts string // the file that has a line for each start of the application
	hits   chan replay.Hit

	ended string
	err   error
	over  chan struct{} // closed when ended and err are known
}

// steer begins a run of these packets. It ends with the test.
func steer(t *testing.T, packets []capturetest.Packet, change func(*runOptions)) *steeredRun {
	t.Helper()
	needDemo(t)
	dir := t.TempDir()
	r := &steeredRun{t: t, starts: filepath.Join(dir, "starts"), hits: make(chan replay.Hit, 10), over: make(chan struct{})}
	o := steerable(t, files(t, packets)[0].Source, r.starts, change)
	var log logged
	r.pipeline = newPipeline(o, &console{err: &log})
	r.world.broke = func(h replay.Hit) { r.hits <- h }
	ctx, release := r.world.steered(t.Context())
	if err := r.open(); err != nil {
		r.close()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.quit(false)
		<-r.over
		release()
		r.close()
		if t.Failed() {
			t.Logf("%s", log.String())
		}
	})
	go func() {
		defer close(r.over)
		r.ended, r.err = r.run(ctx)
	}()
	return r
}

// steerable are the options of a run of this file, whose application notes its
// starts in another.
func steerable(t *testing.T, file, starts string, change func(*runOptions)) *runOptions {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	spec, err := capture.ParseSpec(file + ":80")
	if err != nil {
		t.Fatal(err)
	}
	o := &runOptions{
		captures: []string{"file"}, specs: []capture.Spec{spec}, command: []string{program}, paceFlag: "live", egressFlags: egressFlags{egress: "drop"}, user: "root",
		answerTimeout: 5 * time.Second, listenTimeout: 30 * time.Second, drain: 10 * time.Second, grace: 5 * time.Second, mtu: 1500,
		env: []string{appVar + "=" + starts},
	}
	f := pflag.NewFlagSet("run", pflag.ContinueOnError)
	o.controls.flags(f)
	o.verdictFlags.flags(f)
	if change != nil {
		change(o)
	}
	if err := errors.Join(o.controls.complete(o.specs), o.verdictFlags.complete()); err != nil {
		t.Fatal(err)
	}
	return o
}

// logged takes what is written by several goroutines.
type logged struct {
	mu sync.Mutex
	strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Builder.Write(p)
}

// until waits for a condition; the limit is for what never comes.
func (r *steeredRun) until(what string, holds func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("never: %s", what)
		}
	}
}

// answered waits for so many answers.
func (r *steeredRun) answered(n int64) {
	r.t.Helper()
	r.until(fmt.Sprintf("%d answers", n), func() bool { return r.app.engine.Progress().Answers >= n })
}

// hit waits for a break.
func (r *steeredRun) hit() replay.Hit {
	r.t.Helper()
	select {
	case h := <-r.hits:
		return h
	case <-r.over:
		r.t.Fatalf("the run ended as %q (%v) before any break was hit", r.ended, r.err)
	case <-time.After(time.Minute):
		r.t.Fatal("no break was hit")
	}
	return replay.Hit{}
}

// done waits for the run's end and returns what was played to the application.
func (r *steeredRun) done(ended string) *replay.Result {
	r.t.Helper()
	<-r.over
	if r.ended != ended {
		r.t.Errorf("the run ended as %q (%v), want %q", r.ended, r.err, ended)
	}
	if r.app.played == nil {
		r.t.Fatal("nothing was played")
	}
	if d := r.app.played.Defects; len(d) > 0 {
		r.t.Errorf("defects %q", d)
	}
	return r.app.played
}

func (r *steeredRun) started() int {
	all, _ := os.ReadFile(r.starts)
	return strings.Count(string(all), "\n")
}

func (r *steeredRun) pid() int {
	if app := r.app.app.Load(); app != nil {
		return app.Pid()
	}
	return 0
}

// The application is restarted in the middle of sessions, which go on: nobody
// takes it for dead, and nothing is different for it.
func TestRestart(t *testing.T) {
	const ms = time.Millisecond
	for _, paused := range []bool{false, true} {
		r := steer(t, visitors(3, asked{0, "/1", "/1"}, asked{900 * ms, "/2", "/2"}), nil)
		r.answered(3)
		if paused {
			r.pause()
		}
		r.breakOn(replay.Break{Reset: true, EarlyClose: true, Difference: true})
		before := r.pid()
		if err := r.restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r.isPaused() != paused || r.started() != 2 || r.pid() == before {
			t.Errorf("paused is %v, want %v; %d starts, process %d, before %d", r.isPaused(), paused, r.started(), r.pid(), before)
		}
		r.resume()
		res := r.done(report.EndedCapture)
		if r.err != nil || res.Verdicts[compare.Identical]+res.Verdicts[compare.Equivalent] != 6 || res.Finished != 3 || len(r.hits) > 0 {
			t.Errorf("%v; %+v; %d hits", r.err, res, len(r.hits))
		}
		if err := r.restart(t.Context()); !errors.Is(err, errEnding) {
			t.Errorf("restarted after the end: %v", err)
		}
	}
}

// An application that does not listen when it is started again ends the run as
// one that died does.
func TestRestartFails(t *testing.T) {
	r := steer(t, visitors(1, asked{0, "/1", "/1"}, asked{time.Hour, "/2", "/2"}), func(o *runOptions) { o.env = append(o.env, "LISTENS=once") })
	r.answered(1)
	err := r.restart(t.Context())
	if err == nil {
		t.Error("restarted")
	}
	r.done(report.EndedAppExited)
	var coded exitError
	if !errors.As(r.err, &coded) || coded.code != exitApp || !strings.Contains(r.err.Error(), "restart: ") {
		t.Errorf("error %v", r.err)
	}
}

// Whoever quits while the application is being restarted does not hear that it
// owes answers to what it could not be asked.
func TestQuitWhileRestarting(t *testing.T) {
	packets := visitors(1, asked{0, "/1", "not that"}, asked{1, "/2", "/2"}, asked{time.Hour, "/3", "/3"})
	r := steer(t, packets, func(o *runOptions) { o.env = append(o.env, "LISTENS=slow") })
	r.breakOn(replay.Break{Difference: true})
	r.hit()
	r.until("the second request is taken in", func() bool { return r.app.engine.Progress().Pending > 0 })
	restarted := make(chan error, 1)
	go func() { restarted <- r.restart(t.Context()) }()
	r.until("it is started again", func() bool { return r.started() == 2 })
	r.quit(true)
	res := r.done(report.EndedSignal)
	if res.Verdicts[compare.Missing] > 0 || res.Bytes[session.Pending] == 0 || res.Bytes[session.Refused] > 0 {
		t.Errorf("%+v", res)
	}
	if err := <-restarted; err == nil {
		t.Error("it is said to have been restarted")
	}
}

// To quit at once waits for nobody, also if that comes while the application is
// given its time.
func TestQuitAtOnceEndsAStubbornApplication(t *testing.T) {
	for _, later := range []bool{false, true} {
		r := steer(t, visitors(1, asked{0, "/1", "/1"}, asked{time.Hour, "/2", "/2"}), func(o *runOptions) {
			o.env, o.grace, o.drain = append(o.env, "LISTENS=stubborn"), time.Hour, 0
		})
		r.answered(1)
		if later {
			r.quit(true)
		}
		r.quit(false)
		r.done(report.EndedSignal)
		if status := r.app.app.Load().Status(); status.Signal != "SIGKILL" {
			t.Errorf("it ended with %+v", status)
		}
	}
}

// A break pauses everything; the end of the capture waits until it is resumed,
// and steps go on meanwhile.
func TestBreakAndStep(t *testing.T) {
	r := steer(t, visitors(1, asked{0, "/1", "/1"}, asked{1, "/2", "not that"}, asked{2, "/3", "/3"}), func(o *runOptions) { o.baseline = "LISTENS= " + o.command[0] })
	r.breakOn(replay.Break{Difference: true})
	h := r.hit()
	if h.Session != 1 || h.Why != replay.Differs || h.Request != "GET /2 HTTP/1.1" {
		t.Errorf("hit %+v", h)
	}
	if !r.isPaused() || !r.app.engine.Paused() || !r.old.engine.Paused() {
		t.Error("it is not all paused")
	}
	if !r.step(1, 0) { // /3
		t.Error("nothing to step")
	}
	r.answered(3)
	// The baseline was paused where it was, which may be some steps behind.
	r.until("the baseline steps, too", func() bool { r.step(1, 0); return r.old.engine.Progress().Answers >= 3 })
	select {
	case <-r.over:
		t.Error("the run ended while paused")
	default:
	}
	r.resume()
	if res := r.done(report.EndedCapture); res.Verdicts[compare.Different] != 1 || res.Finished != 1 {
		t.Errorf("%+v", res)
	}
}

// To quit with a drain resumes and plays what was read; at once, nothing more.
func TestQuit(t *testing.T) {
	for _, drain := range []bool{true, false} {
		second := asked{1, "/2", "/2"}
		r := steer(t, visitors(1, asked{0, "/1", "not that"}, second, asked{time.Hour, "/3", "/3"}), nil)
		r.breakOn(replay.Break{Difference: true})
		r.hit()
		r.until("the second request is taken in", func() bool { return r.app.engine.Progress().Pending > 0 })
		r.quit(drain)
		res := r.done(report.EndedSignal)
		pending := res.Bytes[session.Pending]
		if answers := res.Verdicts[compare.Equivalent] + res.Verdicts[compare.Identical]; drain != (answers == 1) || drain != (pending == 0) {
			t.Errorf("drain is %v: %+v", drain, res)
		}
		if cause, ok := context.Cause(t.Context()).(signalError); ok {
			t.Errorf("the test itself was ended: %v", cause)
		}
	}
}

// The speed has its bounds, and not every capture has one.
func TestFasterAndSlower(t *testing.T) {
	for _, tt := range []struct {
		speed          float64 // 0: no pace
		pace           string
		faster, slower string // why not; "": it is
	}{
		{1, "live", "", ""},
		{512, "live", "", ""},
		{1024, "live", "--pace asap is faster", ""},
		{1e6, "live", "--pace asap is faster", ""},
		{1.0 / 64, "live", "", "pause"},
		{0.001, "live", "", "pause"},
		{0, "live", "only files", "only files"},
		{0, "asap", "asap knows no speed", "asap knows no speed"},
	} {
		for _, faster := range []bool{true, false} {
			p := &pipeline{opt: &runOptions{paceFlag: tt.pace}}
			if tt.speed > 0 {
				p.pace = replay.NewPace(tt.speed)
			}
			do, want, by := p.slower, tt.slower, 0.5
			if faster {
				do, want, by = p.faster, tt.faster, 2
			}
			why := do()
			if (why == "") != (want == "") || !strings.Contains(why, want) {
				t.Errorf("%v, faster %v: %q, want %q", tt.speed, faster, why, want)
			}
			if want != "" {
				by = 1
			}
			if p.pace != nil && p.pace.Speed() != tt.speed*by {
				t.Errorf("%v, faster %v: the speed is %v", tt.speed, faster, p.pace.Speed())
			}
		}
	}
}

// A run at another speed takes so much less time.
func TestFasterRuns(t *testing.T) {
	r := steer(t, visitors(1, asked{0, "/1", "/1"}, asked{5 * time.Minute, "/2", "/2"}), func(o *runOptions) { o.speed = 1024 })
	r.answered(1)
	why := []string{r.faster(), r.slower(), r.faster()}
	if slices.Contains(why[1:], why[0]) || why[1]+why[2] != "" {
		t.Errorf("told %q", why)
	}
	r.pause()
	r.resume()
	if res := r.done(report.EndedCapture); res.Finished != 1 {
		t.Errorf("%+v", res)
	}
}
