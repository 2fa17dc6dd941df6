package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A run beside production stands back: it moves, with all that it has started and
// will start, into a control group that gets only the processor time which nobody
// else wants (cpu.idle, Linux 5.15). Whoever wakes up outside of the group takes the
// processor at once. A niceness and a policy bring that about within a session or
// group only (sched(7), autogroup), and then less: with two loops in the group on two
// processors, the p99 of a production that needed half of their time was 1.4 times
// what it was alone; with the loops at niceness 19 in production's own session it
// was 2.7 times, with SCHED_IDLE 1.9.
//
// The group is one of the host's root group, else it would stand back behind its
// neighbours alone, and share with production as before. It is not made where the run
// would leave a bound that somebody set for it, or a unit of systemd's by which it is
// to be found and ended: only from the root group itself and from a login.

// standBack moves the run's process and the keeper, this one, into the group, which
// it makes. It is a courtesy: where the host has no such groups, or not for us, the
// error says what is lacking. leave moves back, and removes the group.
func (t *groupTree) standBack(keeper int) (leave func(), err error) {
	mount, own, err := t.share()
	if err != nil {
		return nil, err
	}
	if t.idle(own) {
		return func() {}, nil // the application's sandbox has seen to it, this is the baseline's
	}
	processes, err := t.mayLeave(mount, own)
	if err != nil {
		return nil, err
	}
	t.sweep(mount)
	dir := filepath.Join(mount, groupPrefix+t.stamp()+"-0")
	if err := t.mkdir(dir); err != nil {
		return nil, err
	}
	leave = func() { t.empty(dir, own, keeper) }
	set := [][2]string{{"cpu.idle", "1"}, {"cgroup.procs", strconv.Itoa(t.pid)}, {"cgroup.procs", strconv.Itoa(keeper)}}
	if processes > 0 {
		set = append([][2]string{{"pids.max", strconv.Itoa(processes)}}, set...)
	}
	for _, s := range set {
		if err := t.write(filepath.Join(dir, s[0]), s[1]); err != nil {
			leave()
			return nil, fmt.Errorf("write %s to %s of %s: %w", s[1], s[0], dir, err)
		}
	}
	return leave, nil
}

// share returns the hierarchy of control groups that divides the processors, and the
// group of it that this process is in.
func (t *groupTree) share() (mount, own string, err error) {
	mount, own, err = t.own("")
	if err == nil && slices.Contains(t.words(mount, "cgroup.controllers"), "cpu") {
		return mount, own, nil
	}
	if mount, own, err1 := t.own("cpu"); err1 == nil {
		return mount, own, nil
	}
	if err == nil {
		err = errors.New(mount + " has no controller for processors")
	}
	return "", "", err
}

func (t *groupTree) idle(dir string) bool {
	return slices.Equal(t.words(dir, "cpu.idle"), []string{"1"})
}

// mayLeave returns an error if our own group is not to be left for one of the
// root's, and how many processes the groups between allow, 0 for any number: each of
// systemd's slices has such a limit, so the new group takes it along.
func (t *groupTree) mayLeave(mount, own string) (processes int, err error) {
	version2 := t.words(mount, "cgroup.controllers") != nil
	switch {
	// Only the host's root has no type, or, of version 1, an agent.
	case version2 && t.has(mount, "cgroup.type"), !version2 && !t.has(mount, "release_agent"):
		return 0, fmt.Errorf("%s is not the host's root control group", mount)
	case version2 && !slices.Contains(t.words(mount, "cgroup.subtree_control"), "cpu"):
		return 0, fmt.Errorf("%s does not hand cpu on to the groups in it", mount)
	case !t.mayIn(mount):
		return 0, fmt.Errorf("%s is not ours to make groups in", mount)
	case version2 && own != mount && !strings.HasPrefix(filepath.Base(own), "session-"):
		return 0, fmt.Errorf("%s, in which the run is, is no login", own)
	}
	for at := own; at != mount && len(at) > 1; at = filepath.Dir(at) {
		if file := t.bound(at); file != "" {
			return 0, fmt.Errorf("%s of %s would be left", file, at)
		}
		if n := t.mostProcesses(at); n > 0 && (processes == 0 || n < processes) {
			processes = n
		}
	}
	return processes, nil
}

// mostProcesses returns how many a group allows, 0 for any number.
func (t *groupTree) mostProcesses(dir string) int {
	n, _ := strconv.Atoi(strings.Join(t.words(dir, "pids.max"), "")) // max
	return n
}

// bound returns a file by which what is in a group may use less than what is beside
// it, other than pids.max; "" if there is none.
func (t *groupTree) bound(dir string) string {
	files, _ := filepath.Glob(filepath.Join(dir, "*.max")) // the pattern is well-formed
	for _, file := range []string{"memory.high", "cpuset.cpus", "cpuset.mems", "cpu.cfs_quota_us"} {
		files = append(files, filepath.Join(dir, file))
	}
	for _, path := range files {
		file := filepath.Base(path)
		if words := t.words(dir, file); file != "pids.max" && len(words) > 0 && words[0] != "max" && words[0] != "-1" {
			return file
		}
	}
	return ""
}

func (t *groupTree) has(dir, file string) bool {
	_, err := os.Stat(filepath.Join(dir, file))
	return err == nil
}

// empty moves what is left in a group back to where it came from, or to what is left
// of that, and removes it. The keeper comes first: while it moves the others it holds
// locks of the kernel's that nobody should have to wait for.
func (t *groupTree) empty(dir, to string, first int) {
	t.remove(dir, func() {
		for len(to) > 1 && !t.has(to, "cgroup.procs") {
			to = filepath.Dir(to)
		}
		for _, pid := range append([]string{strconv.Itoa(first)}, t.words(dir, "cgroup.procs")...) {
			t.write(filepath.Join(to, "cgroup.procs"), pid)
		}
	})
}

// remove removes a group. empty is called before each try.
func (t *groupTree) remove(dir string, empty func()) {
	for deadline := time.Now().Add(groupWait); ; time.Sleep(2 * time.Millisecond) {
		empty()
		if err := t.rmdir(dir); !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return // what is left the next run removes
		}
	}
}
