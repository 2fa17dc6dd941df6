package sandbox

import (
	"errors"
	"fmt"
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
// group only (sched(7), autogroup), and then less: with two processors that were kept
// busy from inside, the p99 of a production that needed half of their time was
// 1.4 times what it was alone; with niceness 19 it was 2.7 times, with SCHED_IDLE 1.9.
//
// The group lies as high as we may go without leaving a bound that somebody set for
// us, so that it stands back behind as much of the host as can be.

// bounds are the files of a control group, of either version, that may hold such a
// bound; of pids.max see highest.
var bounds = []string{"cpu.max", "cpu.cfs_quota_us", "cpuset.cpus", "memory.max", "memory.high", "io.max"}

// standBack moves the run's process and the keeper, this one, into the group, which
// it makes. It is a courtesy: where the host has no such groups, or not for us, the
// error says what is lacking.
func (t *groupTree) standBack(keeper int) (leave func(), err error) {
	mount, own, version2, err := t.share()
	if err != nil {
		return nil, err
	}
	if t.idle(own) {
		return func() {}, nil // the application's sandbox has seen to it, this is the baseline's
	}
	above, processes := t.highest(mount, own, version2)
	if above == "" {
		return nil, fmt.Errorf("no group from %s up can hold one of ours with a share of the processors", own)
	}
	t.sweep(above)
	dir := filepath.Join(above, groupPrefix+t.stamp()+"-0")
	if err := t.mkdir(dir); err != nil {
		return nil, err
	}
	leave = func() {
		// All that is left: the run itself, and perhaps the baseline's keeper.
		for _, pid := range t.words(dir, "cgroup.procs") {
			t.write(filepath.Join(own, "cgroup.procs"), pid)
		}
		t.remove(dir)
	}
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
func (t *groupTree) share() (mount, own string, version2 bool, err error) {
	if mount, own, err = t.own(""); err == nil && slices.Contains(t.words(mount, "cgroup.controllers"), "cpu") {
		return mount, own, true, nil
	}
	mount, own, err = t.own("cpu")
	return mount, own, false, err
}

func (t *groupTree) idle(dir string) bool {
	return slices.Equal(t.words(dir, "cpu.idle"), []string{"1"})
}

// standsBack reports whether this process is in a group that gets only what nobody
// else wants.
func (t *groupTree) standsBack() bool {
	_, own, _, err := t.share()
	return err == nil && t.idle(own)
}

// highest returns the group nearest to the mount in which one with a share of the
// processors can be made, "" if there is none, and how many processes the groups
// that are left for it allow, 0 for any number: each of systemd's slices has such a
// limit, so the new group takes it along.
func (t *groupTree) highest(mount, own string, version2 bool) (found string, processes int) {
	least := 0
	for at := own; ; at = filepath.Dir(at) {
		if (!version2 || slices.Contains(t.words(at, "cgroup.subtree_control"), "cpu")) && t.mayIn(at) {
			found, processes = at, least
		}
		if at == mount || len(at) <= 1 || t.bounded(at) {
			return found, processes
		}
		if n, err := strconv.Atoi(strings.Join(t.words(at, "pids.max"), "")); err == nil && (least == 0 || n < least) {
			least = n
		}
	}
}

// bounded reports whether what is in a group may use less than what is beside it.
func (t *groupTree) bounded(dir string) bool {
	return slices.ContainsFunc(bounds, func(file string) bool {
		words := t.words(dir, file)
		return len(words) > 0 && words[0] != "max" && words[0] != "-1"
	})
}

// remove removes a group, for which its last process must have left it.
func (t *groupTree) remove(dir string) {
	for deadline := time.Now().Add(groupWait); ; time.Sleep(2 * time.Millisecond) {
		if err := t.rmdir(dir); !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return // what is left the next run removes
		}
	}
}
