package main

import (
	"os"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// Every thread gives way, with the niceness that it had, and so does what the
// process starts afterwards. The test runs in a process of its own.
func TestGiveWay(t *testing.T) {
	if os.Getenv("TCPSANDBOX_GIVES_WAY") == "" {
		c := exec.Command("nice", "-n", "3", os.Args[0], "-test.run", "^TestGiveWay$", "-test.v")
		c.Env = append(os.Environ(), "TCPSANDBOX_GIVES_WAY=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
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
		if attr.Policy != unix.SCHED_BATCH || attr.Nice < 3 {
			t.Errorf("thread %d: policy %d, nice %d", tid, attr.Policy, attr.Nice)
		}
	}
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer child.Process.Kill()
	if attr, err := unix.SchedGetAttr(child.Process.Pid, 0); err != nil || attr.Policy != unix.SCHED_BATCH {
		t.Errorf("child: %+v, %v", attr, err)
	}
}
