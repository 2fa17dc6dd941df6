package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tcpsandbox/compare"
	"tcpsandbox/report"
	"tcpsandbox/sandbox"
	"tcpsandbox/session"
)

// judged is the result of a run that is over, and its exit code.
func (r *steeredRun) judged() (*report.Result, int) {
	res := r.assemble(time.Now(), r.ended)
	return res, r.opt.exitCode(res)
}

// An application that dies is started again; what it broke off is missing, all
// else is played, and the run failed.
func TestDeadApplicationIsRestarted(t *testing.T) {
	const ms = time.Millisecond
	packets := visitors(4, asked{0, "/1", "/1"}, asked{100 * ms, "/die-once", "/die-once"}, asked{1200 * ms, "/2", "/2"})
	r := steer(t, packets, func(o *runOptions) { o.restartWhen = restartOnFailure })
	played := r.done(report.EndedCapture)
	res, code := r.judged()
	v := played.Verdicts
	good := v[compare.Identical] + v[compare.Equivalent]
	if r.err != nil || code != exitApp || r.started() != 2 || res.App.Died != 1 || res.App.Restarts != 1 || len(res.App.Deaths) != 1 {
		t.Fatalf("%v; exit code %d; %d starts; %+v", r.err, code, r.started(), res.App)
	}
	if d := res.App.Deaths[0]; d.ExitCode != 3 || d.Signal != "" || d.Listened <= 0 || d.At < d.Listened {
		t.Errorf("died so: %+v", d)
	}
	// Whoever asked for it has no answer; others may have been under way, or
	// came later and were answered.
	if v[compare.Missing] < 1 || good+v[compare.Missing] != 12 || good < 8 {
		t.Errorf("verdicts %+v", v)
	}
	if lost := played.Captured - played.Bytes[session.Delivered] - played.Bytes[session.Refused] - played.Bytes[session.ClosedEarly]; lost != 0 {
		t.Errorf("%d bytes have another fate: %+v", lost, played.Bytes)
	}
	if err := res.Check(); len(err) > 0 {
		t.Error(err)
	}
}

// Sessions that begin while the application is down wait for it.
func TestSessionsWaitForADeadApplication(t *testing.T) {
	const ms = time.Millisecond
	packets := append(visitors(1, asked{0, "/die-once", ""}), visitorsAt(1000*ms, 20, asked{0, "/1", "/1"})...)
	r := steer(t, packets, func(o *runOptions) { o.restartWhen, o.paceFlag = restartOnFailure, "live" })
	played := r.done(report.EndedCapture)
	if v := played.Verdicts; v[compare.Identical]+v[compare.Equivalent] != 20 || played.FailedAs["refused"] != 0 {
		t.Errorf("verdicts %+v, failed %v", v, played.FailedAs)
	}
	if r.started() != 2 {
		t.Errorf("%d starts", r.started())
	}
}

// An application that never listens again is given up, and not soon.
func TestDeathsInALoopEndTheRun(t *testing.T) {
	packets := visitors(1, asked{0, "/1", "/1"}, asked{1, "/die", ""}, asked{time.Hour, "/2", "/2"})
	r := steer(t, packets, func(o *runOptions) {
		o.restartWhen, o.env = restartOnFailure, append(o.env, "LISTENS=once")
	})
	r.done(report.EndedAppExited)
	res, code := r.judged()
	if code != exitApp || r.started() != shortLives || res.App.Died != shortLives || res.App.Restarts != shortLives-1 {
		t.Errorf("exit code %d, %d starts, %+v", code, r.started(), res.App)
	}
	if last := res.App.Deaths[len(res.App.Deaths)-1]; last.Listened != 0 || last.ExitCode != 1 {
		t.Errorf("the last death: %+v", last)
	}
	if text := r.deaths.last.Error(); !strings.Contains(text, "died 5 times") || !strings.Contains(text, "is not started again") {
		t.Errorf("told %q", text)
	}
}

// Whoever ends the run while the application is down does not wait for it, and
// hears of no answers that it owes.
func TestQuitWhileDown(t *testing.T) {
	packets := visitors(1, asked{0, "/1", "/1"}, asked{1, "/die", ""}, asked{time.Hour, "/2", "/2"})
	r := steer(t, packets, func(o *runOptions) {
		o.restartWhen, o.env = restartOnFailure, append(o.env, "LISTENS=once")
	})
	r.until("it waits for its next start", func() bool { _, words := r.app.state(); return strings.Contains(words, "starts again in") })
	r.quit(true)
	r.done(report.EndedSignal)
	if _, code := r.judged(); code != exitApp {
		t.Errorf("exit code %d", code)
	}
}

// The death of an application is known later than that its connections broke:
// when its output is read. The drain that ends with the last connection must not
// overlook it.
func TestDeathInTheDrain(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	size, err := unix.FcntlInt(write.Fd(), unix.F_SETPIPE_SZ, 4096)
	if err != nil {
		t.Fatal(err)
	}
	write.Write(make([]byte, size)) // the application's last line finds no room
	r := steer(t, visitors(1, asked{0, "/1", "/1"}, asked{1, "/die", ""}), func(o *runOptions) { o.appLogFile = write })
	r.until("the last session is over", func() bool {
		g := r.app.engine.Progress()
		return g.Seen == 1 && g.Active == 0
	})
	select {
	case <-r.over:
		t.Error("the run ended before the application's end was known")
	case <-time.After(200 * time.Millisecond):
	}
	read.Read(make([]byte, size))
	r.done(report.EndedAppExited)
	if res, code := r.judged(); code != exitApp || res.App.ExitCode != 3 || res.App.Died != 1 {
		t.Errorf("exit code %d, %+v", code, res.App)
	}
}

// What comes of the n-th death.
func TestBackOff(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name  string
		lives []time.Duration
		waits []time.Duration
		loops bool
	}{
		{"a loop", []time.Duration{0, 0, s, 0, 9 * s}, []time.Duration{0, s, 2 * s, 4 * s, 8 * s}, true},
		{"one longer life", []time.Duration{0, 0, 0, 11 * s, 0, 0, 0, 0}, []time.Duration{0, s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s}, false},
		{"and then a loop", []time.Duration{0, 11 * s, 0, 0, 0, 0, 0}, []time.Duration{0, s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s}, true},
		{"a long life", []time.Duration{0, 0, time.Minute, s}, []time.Duration{0, s, 0, s}, false},
	} {
		var d deaths
		for i, lived := range tt.lives {
			if d.looped {
				t.Errorf("%s: it is over after %d deaths", tt.name, i)
			}
			d.note(0, lived, sandbox.ExitStatus{Code: 1})
			if d.backOff != tt.waits[i] {
				t.Errorf("%s: %v after death %d, want %v", tt.name, d.backOff, i+1, tt.waits[i])
			}
		}
		if d.looped != tt.loops {
			t.Errorf("%s: a loop is %v", tt.name, d.looped)
		}
	}
	var d deaths
	for range 3 * deathsKept {
		d.note(0, time.Hour, sandbox.ExitStatus{})
	}
	if len(d.list) != deathsKept || d.count != 3*deathsKept || d.looped {
		t.Errorf("%d listed of %d, a loop is %v", len(d.list), d.count, d.looped)
	}
}

func TestRestartFlag(t *testing.T) {
	for value, ok := range map[string]bool{"never": true, "on-failure": true, "always": false, "": false} {
		if err := (&restartFlags{value}).complete(); (err == nil) != ok {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestIsExiting(t *testing.T) {
	if isExiting(os.Getpid()) {
		t.Error("we are not")
	}
	c := exec.CommandContext(context.Background(), "true")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); !isExiting(c.Process.Pid); { // it stays a zombie until then
		if time.Now().After(deadline) {
			t.Fatal("it never is")
		}
		time.Sleep(time.Millisecond)
	}
	c.Wait()
	if !isExiting(c.Process.Pid) {
		t.Error("it is gone")
	}
}

// Where others' processes are not shown, what is there is not gone.
func TestIsExitingUnseen(t *testing.T) {
	needDemo(t)
	c := exec.CommandContext(t.Context(), "sleep", "60")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	defer c.Process.Kill()
	exiting, unseen := make(chan bool), make(chan error)
	go func() {
		runtime.LockOSThread() // for good: it ends with the goroutine
		unseen <- hideOthers(c.Process.Pid)
		exiting <- isExiting(c.Process.Pid)
	}()
	err := <-unseen
	if is := <-exiting; err != nil {
		t.Fatal(err)
	} else if is {
		t.Error("it is taken for gone")
	}
}

// hideOthers makes this thread one that may not see that process.
func hideOthers(pid int) error {
	proc := fmt.Sprintf("/proc/%d/stat", pid)
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	for _, step := range []func() error{
		func() error { return unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS) },
		func() error { return unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
		func() error { return unix.Mount("proc", "/proc", "proc", 0, "hidepid=2,gid=65533") },
		func() error { return unix.Capset(header, &none[0]) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if _, err := os.ReadFile(proc); !os.IsNotExist(err) {
		return fmt.Errorf("it shows %s: %v", proc, err)
	}
	return nil
}

// An application that is restarted by hand and dies of it is one that died: with
// --restart on-failure it is started again.
func TestDeathOfARestart(t *testing.T) {
	packets := visitors(1, asked{0, "/1", "/1"}, asked{time.Hour, "/2", "/2"})
	r := steer(t, packets, func(o *runOptions) {
		o.restartWhen, o.env = restartOnFailure, append(o.env, "LISTENS=once")
	})
	r.answered(1)
	if err := r.restart(t.Context()); err == nil {
		t.Error("it is said to listen")
	}
	r.done(report.EndedAppExited)
	res, code := r.judged()
	if code != exitApp || res.App.Died != shortLives || res.App.Restarts != shortLives-1 || r.world.failed != nil {
		t.Errorf("exit code %d, %+v, %v", code, res.App, r.world.failed)
	}
	for _, d := range res.App.Deaths {
		if d.Listened != 0 {
			t.Errorf("it never listened, and died so: %+v", d)
		}
	}
}
