package main

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Every thread gives way, and is nice if nobody has said how much, and so does and
// is what the process starts afterwards. The test runs in processes of its own.
func TestGiveWay(t *testing.T) {
	nice, err := strconv.Atoi(os.Getenv("TCPSANDBOX_GIVES_WAY"))
	if err != nil {
		attr, err := unix.SchedGetAttr(0, 0)
		if err != nil || attr.Policy != unix.SCHED_NORMAL || attr.Nice != 0 {
			t.Skipf("this test is itself no process as any other: %+v, %v", attr, err)
		}
		for given, want := range map[string]int{"0": niceness, "3": 3} {
			c := exec.Command("nice", "-n", given, os.Args[0], "-test.run", "^TestGiveWay$", "-test.v")
			c.Env = append(os.Environ(), "TCPSANDBOX_GIVES_WAY="+strconv.Itoa(want))
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("nice -n %s: %v\n%s", given, err, out)
			}
		}
		return
	}
	giveWay()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil || len(threads) < 2 {
		t.Fatalf("%d threads, %v", len(threads), err)
	}
	for _, thread := range threads {
		tid, _ := strconv.Atoi(thread.Name())
		attr, err := unix.SchedGetAttr(tid, 0)
		if err != nil {
			t.Fatal(err)
		}
		if attr.Policy != unix.SCHED_BATCH || attr.Nice != int32(nice) {
			t.Errorf("thread %d: policy %d, nice %d", tid, attr.Policy, attr.Nice)
		}
	}
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer child.Process.Kill()
	if attr, err := unix.SchedGetAttr(child.Process.Pid, 0); err != nil || attr.Policy != unix.SCHED_BATCH || attr.Nice != int32(nice) {
		t.Errorf("child: %+v, %v", attr, err)
	}
}

// TestStarved: a run that was kept from the processors says so, and no other.
func TestStarved(t *testing.T) {
	for _, tt := range []struct {
		ran, waited time.Duration
		says        bool
	}{
		{0, 0, false},
		{time.Second, time.Second, false},
		{10 * time.Millisecond, 400 * time.Millisecond, false},
		{500 * time.Millisecond, 10 * time.Second, true},
	} {
		if text := starved(tt.ran, tt.waited); (text != "") != tt.says {
			t.Errorf("ran %v, waited %v: %q", tt.ran, tt.waited, text)
		}
	}
	if ran, _ := waited(); ran <= 0 {
		t.Skip("a property of the host, which CI cannot change: the kernel does not tell how long threads have run")
	}
}
