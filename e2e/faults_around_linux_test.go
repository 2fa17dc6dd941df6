package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// surroundingFaults are those of what is around the application and tcpsandbox:
// disks, descriptors, who reads the output, and how it is ended.
func surroundingFaults() []fault {
	good := []string{"answers.identical == 100"}
	flood := "500000000"
	if raceDetector {
		flood = "50000000"
	}
	return []fault{
		{name: "the device is full", args: []string{"--answer-timeout", "5m", "--drain", "5m"}, app: []string{"faulty", "-mode", "floods", "-bytes", flood, "-until", "refused"}, exit: "0",
			during: stall, report: append(good, "egress.# == 1", "egress.0.packets > 0"), memory: 120e6},
		{name: "a disk is full: report", script: "cannot_write"},
		{name: "a disk is full: log", script: "cannot_write"},
		{name: "a disk is full: recording", script: "cannot_write"},
		{name: "a disk is full: failures and rules",
			args:  []string{"--save-failures", "failures", "--baseline", "faulty -mode disk", "--learn", "learned.yaml"},
			app:   []string{"testapp", "-listen", ":80", "-plant", "/item/3-3"},
			shell: `mkdir small && exec unshare -m sh -c 'mount -t tmpfs -o size=1m none small && cd small && exec "$@"' sh "$@"`,
			exit:  "3", says: []string{"failures.*no space left on device", "learned.yaml.*no space left on device"},
			result: []string{"^1 of 100 compared answers is not production's"}, report: []string{"answers.identical == 99", "answers.different == 1", "exit_code == 3"}},
		{name: "nobody reads the result", app: []string{"faulty"}, shell: `trap "" TERM; { "$@"; echo $? >code; } | true; exit $(cat code)`,
			exit: "3", says: []string{"write the result: .*broken pipe"}, report: append(good, "exit_code == 3")},
		{name: "nobody reads the messages", args: []string{"--answer-timeout=5m"}, app: []string{"faulty", "-mode", "chatter"},
			shell: `{ "$@" 2>&1 >result; echo $? >code; } | true; exit $(cat code)`, exit: "0", report: good},
		{name: "the output is closed", app: []string{"faulty"}, shell: `exec "$@" >&- 2>&- <&-`, exit: "0", report: good},
		{name: "it is killed", script: "nothing_left"},
		{name: "its keeper is killed", args: []string{"--answer-timeout", "5m", "--drain", "5m"}, app: []string{"faulty", "-mode", "asleep"}, during: loseKeeper,
			exit: "3", says: []string{`the sandbox's keeper, process \d+, was ended \(signal: killed\)`, "hint: "}, result: []string{"not proven"}},
		{name: "it is interrupted twice", script: "signal_int"},
		{name: "it is terminated", script: "signal_term"},
	}
}

// TestLogOnScreen: an application that prints 256 MB has them on the screen's
// panel, which keeps the last lines, and neither waits long nor takes memory.
func TestLogOnScreen(t *testing.T) {
	lookAtSources(t)
	if os.Geteuid() != 0 {
		lack(t, "network namespaces need root")
	}
	w := bareWorld(t, "fault-")
	capture := (&fault{}).write(t, w)
	size := 256 << 20
	if raceDetector {
		size = 16 << 20
	}
	s := w.screen("run", "run", "--capture", capture, "--report", "run.json", "--answer-timeout", "5m", "--drain", "5m",
		"--", "faulty", "-mode", "chatter", "-bytes", fmt.Sprint(size))
	s.WaitFor("the capture was played to its end")
	s.Send("q")
	s.over(0, "all answers match")
	if err := checkReport(filepath.Join(w.dir, "run.json"), "run.json", []string{"answers.identical == 100", "defects.# == 0"}); err != nil {
		t.Error(err)
	}
	(&fault{memory: 160e6}).checkMemory(t, w)
}

// stall stops tcpsandbox while the application floods its device, until that has
// refused packets.
func stall(t *testing.T, w *world, p *process) {
	w.has("run.err", " listens on ")
	device := func() (sent, refused int64) {
		for _, child := range children(p.cmd.Process.Pid) { // the keeper is one of them, in the namespace
			if sent, refused, ok := sentThrough(child, "tun0"); ok {
				return sent, refused
			}
		}
		return 0, 0
	}
	w.await("the flood comes", func() bool { sent, _ := device(); return sent > 1000 })
	if err := p.signal("STOP"); err != nil {
		t.Fatal(err)
	}
	defer p.signal("CONT") // whatever comes: it is waited for
	// Each of its threads stops, and what waits in the device is as much as it holds.
	w.await("it stands still", func() bool { return stopped(p.cmd.Process.Pid) })
	_, before := device()
	w.await("the device is full", func() bool { _, refused := device(); return refused > before+1000 })
	if err := os.WriteFile(filepath.Join(w.dir, "refused"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// sentThrough returns how many packets were sent through an interface that a process
// sees, and how many it refused (proc_pid_net(5), dev).
func sentThrough(pid int, device string) (sent, refused int64, ok bool) {
	for line := range strings.Lines(readText(fmt.Sprintf("/proc/%d/net/dev", pid))) {
		name, figures, _ := strings.Cut(strings.TrimSpace(line), ":")
		f := strings.Fields(figures)
		if name != device || len(f) < 12 {
			continue
		}
		sent, _ = strconv.ParseInt(f[9], 10, 64)
		refused, _ = strconv.ParseInt(f[11], 10, 64)
		return sent, refused, true
	}
	return 0, 0, false
}

func stopped(pid int) bool {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := bytes.Cut(stat, []byte(") "))
	return bytes.HasPrefix(after, []byte("T"))
}

// TestFewDescriptors: with too few files that it may have open tcpsandbox says
// so, or does its work; it never hangs, and no report contradicts itself.
func TestFewDescriptors(t *testing.T) {
	lookAtSources(t)
	if os.Geteuid() != 0 {
		lack(t, "network namespaces need root")
	}
	w := bareWorld(t, "fault-")
	capture := (&fault{}).write(t, w)
	worked, refused := 0, 0
	for n := 3; n <= 48; n++ {
		name := fmt.Sprintf("run%d", n)
		p := w.background(name, "prod", "/bin/sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$@"`, n), "sh",
			"tcpsandbox", "run", "--no-tui", "--capture", capture, "--pace", "asap", "--answer-timeout", "2s", "--report", w.dir+"/"+name+".json", "--", "faulty")
		if err := p.wait(); err != nil {
			t.Fatalf("with %d: %v%s", n, err, p.lastWords())
		}
		said := readText(filepath.Join(w.dir, name+".err"))
		switch code := p.outcome(); {
		case code == "0":
			worked++
		case strings.Contains(said, "too many open files"), n < 10 && code != "1":
			refused++ // Go's runtime needs some of them before anything can be said
		default:
			t.Errorf("with %d files it ended with %s%s", n, code, p.lastWords())
		}
		if _, err := os.Stat(filepath.Join(w.dir, name+".json")); err == nil || p.outcome() == "0" {
			if err := checkReport(filepath.Join(w.dir, name+".json"), name+".json", []string{"defects.# == 0"}); err != nil {
				t.Errorf("with %d: %v", n, err)
			}
		}
	}
	t.Logf("%d worked, %d were refused", worked, refused)
	if worked == 0 || refused == 0 {
		t.Error("too few or too many files to try it with")
	}
}

// loseKeeper kills the process that holds the sandbox.
func loseKeeper(t *testing.T, w *world, p *process) {
	w.has("run.err", " listens on ")
	for _, child := range children(p.cmd.Process.Pid) {
		if strings.HasPrefix(readText(fmt.Sprintf("/proc/%d/cmdline", child)), "tcpsandbox-keeper\x00") {
			syscall.Kill(child, syscall.SIGKILL)
			return
		}
	}
	t.Error("no keeper is there")
}
