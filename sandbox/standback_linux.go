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

// Until the application listens the group stands aside only, with a tenth of another
// group's share: on a full host one that stands back takes minutes for what needs a
// tenth of a second. Beside four loops on two processors an application that listens
// at once took 5 to 10 s to do so standing back, and 0.4 to 0.6 s standing aside.

// The keeper stays outside: whoever gets nothing holds the locks of the kernel's that
// he has for seconds, among them that of all network interfaces, the host's as well.

// asideGroup is that group, of a run's process and its applications.
type asideGroup struct {
	tree *groupTree
	dir  string
	from string // where the run's process came from
}

// standAside moves the run's process into the group, which it makes. It is a courtesy:
// where the host has no such groups, or not for us, the error says what is lacking. The
// group is nil where the run is in one that stands back, as whoever started it wanted.
func (t *groupTree) standAside() (*asideGroup, error) {
	mount, own, err := t.processors()
	if err != nil || t.idle(own) || t.ours(own) {
		return nil, err
	}
	processes, err := t.mayLeave(mount, own)
	if err != nil {
		return nil, err
	}
	t.sweep(mount)
	g := &asideGroup{t, filepath.Join(mount, groupPrefix+t.stamp()+"-0"), own}
	if err := t.mkdir(g.dir); err != nil {
		return nil, err
	}
	err = t.share(g.dir, asideShare)
	if err == nil && processes > 0 {
		err = t.set(g.dir, "pids.max", strconv.Itoa(processes))
	}
	if err == nil {
		err = t.set(g.dir, "cgroup.procs", strconv.Itoa(t.pid))
	}
	if err != nil {
		g.leave()
		return nil, err
	}
	return g, nil
}

// stand gives the group its share, and with it those of applications with limits,
// which lie beside it.
func (g *asideGroup) stand(percent int) error {
	if g == nil {
		return nil
	}
	beside, _ := filepath.Glob(strings.TrimSuffix(g.dir, "0") + "[1-9]*") // the pattern is well-formed
	for _, dir := range beside {
		g.tree.share(dir, percent) // it may have just gone
	}
	return g.tree.share(g.dir, percent)
}

// leave moves all of it back, or to what is left of where it came from, and removes
// the group.
func (g *asideGroup) leave() {
	if g == nil {
		return
	}
	g.stand(fullShare)
	to := g.from
	g.tree.remove(g.dir, func() {
		for len(to) > 1 && !g.tree.has(to, "cgroup.procs") {
			to = filepath.Dir(to)
		}
		for _, pid := range g.tree.words(g.dir, "cgroup.procs") {
			g.tree.write(filepath.Join(to, "cgroup.procs"), pid)
		}
	})
}

// takeAlong moves a process that is to be an application's to where the run is, if
// that stands aside. in is its group of limits, nil if it has none.
func (t *groupTree) takeAlong(pid int, in *group) error {
	_, own, err := t.processors()
	if err != nil || !t.ours(own) || in != nil && filepath.Dir(in.dir) == filepath.Dir(own) {
		return nil
	}
	return t.set(own, "cgroup.procs", strconv.Itoa(pid))
}

// ours reports whether standAside made a group.
func (t *groupTree) ours(dir string) bool { return filepath.Base(dir) == groupPrefix+t.stamp()+"-0" }

// What a group gets of the processors, in percent of another's share: as any other,
// while it stands aside, and what nobody else wants.
const fullShare, asideShare, backShare = 100, 10, 0

func (t *groupTree) share(dir string, percent int) error {
	if percent == backShare {
		return t.set(dir, "cpu.idle", "1")
	}
	err := t.set(dir, "cpu.idle", "0")
	t.set(dir, "cpu.weight", strconv.Itoa(percent))          // version 2
	t.set(dir, "cpu.shares", strconv.Itoa(percent*1024/100)) // version 1
	return err
}

func (t *groupTree) set(dir, file, text string) error {
	if err := t.write(filepath.Join(dir, file), text); err != nil {
		return fmt.Errorf("write %s to %s of %s: %w", text, file, dir, err)
	}
	return nil
}

// processors returns the hierarchy of control groups that divides the processors, and the
// group of it that the run is in.
func (t *groupTree) processors() (mount, own string, err error) {
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

// remove removes a group. empty is called before each try.
func (t *groupTree) remove(dir string, empty func()) {
	for deadline := time.Now().Add(groupWait); ; time.Sleep(2 * time.Millisecond) {
		empty()
		if err := t.rmdir(dir); !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return // what is left the next run removes
		}
	}
}
