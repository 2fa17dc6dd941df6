package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// group is a control group of one application (cgroups(7)), with init in it
// from its first instruction on:
//
//	newGroup ──▶ enter (at the clone) ──▶ end: what it came to; the group is gone
//
// All methods of nil, which limits nothing, do nothing.
type group struct {
	tree   *groupTree
	dir    string
	file   *os.File // dir, for clone3(2), whose flag for it came with Linux 5.7
	limits Limits
	set    []string // controllers of limits that hold
	ended  sync.Once
}

const (
	// groupPrefix begins the name of each group of ours; then come the process
	// id of this process, when it started, and a number.
	groupPrefix = "tcpsandbox-"
	// cpuPeriod is over how long an application's processor time is counted:
	// the kernel's default. leastQuota is what the kernel takes of it at least.
	cpuPeriod  = 100 * time.Millisecond
	leastQuota = time.Millisecond
	// initTasks is how many threads init may have beside the application's. With
	// the spare ones it has 14 when the application starts, and still has 14
	// after a flood of 1,500 orphans and their output.
	initTasks    = 20
	spareThreads = 8
	// groupWait bounds how long the last process of a group may take to leave
	// it, once it was killed.
	groupWait = 2 * time.Second
)

var (
	groupNumber  atomic.Int64
	makingGroups sync.Mutex // our own is divided once
)

// limit makes a group with the limits, nil where there are none. What this host
// cannot limit is a warning: the application runs all the same. The run that the
// group belongs to is the keeper's parent.
func (k *keeperState) limit(limits Limits) *group {
	g, lacks := newGroup(hostGroups(os.Getppid()), limits)
	for _, text := range lacks {
		k.warn("%s", text)
	}
	return g
}

// newGroup returns a group with those limits that can be set, nil if that is
// none, and a line for what cannot be set.
func newGroup(tree *groupTree, limits Limits) (_ *group, lacks []string) {
	wanted := limits.controllers()
	if len(wanted) == 0 {
		return nil, nil
	}
	makingGroups.Lock()
	defer makingGroups.Unlock()
	dir, have, err := tree.place(wanted)
	if err != nil {
		lacks = append(lacks, notLimited(subtract(wanted, have), err))
	}
	if len(have) == 0 {
		return nil, lacks
	}
	tree.sweep(dir)
	g := &group{tree: tree, limits: limits}
	g.dir = filepath.Join(dir, fmt.Sprintf("%s%s-%d", groupPrefix, tree.stamp(), groupNumber.Add(1)))
	if err := tree.mkdir(g.dir); err != nil {
		return nil, append(lacks, notLimited(have, err))
	}
	for _, controller := range have {
		if err := g.write(controller); err != nil {
			lacks = append(lacks, notLimited([]string{controller}, err))
			continue
		}
		g.set = append(g.set, controller)
	}
	if _, own, err := tree.own(""); err == nil && (tree.ours(own) || tree.idle(own)) {
		// It lies beside our own group, which stands back, and takes along what that
		// took along.
		percent := asideShare
		if tree.idle(own) {
			percent = backShare
		}
		tree.share(g.dir, percent)
		if most := tree.mostProcesses(own); most > 0 && (limits.PIDs == 0 || most < limits.PIDs+initTasks) {
			tree.write(filepath.Join(g.dir, "pids.max"), strconv.Itoa(most))
		}
	}
	if len(g.set) == 0 {
		g.end()
		return nil, lacks
	}
	if g.file, err = os.Open(g.dir); err != nil {
		g.end()
		return nil, append(lacks, notLimited(have, err))
	}
	return g, lacks
}

// controllers returns those that the limits need.
func (l Limits) controllers() (wanted []string) {
	for i, is := range []bool{l.CPUs > 0, l.Memory > 0, l.PIDs > 0} {
		if is {
			wanted = append(wanted, controllers[i])
		}
	}
	return wanted
}

// notLimited says which limits do not hold, and why.
func notLimited(lacking []string, err error) string {
	names := map[string]string{"cpu": "processors", "memory": "memory", "pids": "processes"}
	var words []string
	for _, c := range lacking {
		words = append(words, names[c])
	}
	text := "the application runs without its limit of " + strings.Join(words, " and of ") + ": " + err.Error()
	var limit *limitError
	if errors.As(err, &limit) && limit.fix != "" {
		text += "; " + limit.fix
	}
	return text
}

// write sets what one controller shall limit.
func (g *group) write(controller string) error {
	write := func(file, text string) error {
		err := g.tree.write(filepath.Join(g.dir, file), text)
		if err != nil {
			return fmt.Errorf("set %s to %s: %w", file, text, err)
		}
		return nil
	}
	// What not every kernel has, or has only with swap.
	perhaps := func(file, text string) {
		g.tree.write(filepath.Join(g.dir, file), text)
	}
	switch controller {
	case "cpu":
		quota := max(time.Duration(g.limits.CPUs*float64(cpuPeriod)), leastQuota)
		return write("cpu.max", fmt.Sprintf("%d %d", quota.Microseconds(), cpuPeriod.Microseconds()))
	case "memory":
		perhaps("memory.swap.max", "0")  // production needs it more
		perhaps("memory.oom.group", "1") // half an application answers nonsense
		return write("memory.max", strconv.FormatInt(g.limits.Memory, 10))
	default:
		return write("pids.max", strconv.Itoa(g.limits.PIDs+initTasks))
	}
}

// enter makes a process that is about to be started begin in the group.
func (g *group) enter(attr *syscall.SysProcAttr) {
	if g != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, int(g.file.Fd())
	}
}

// end ends what is still in the group, removes it, and returns what it came to;
// a second call returns nothing.
func (g *group) end() (o outcome) {
	if g == nil {
		return o
	}
	g.ended.Do(func() { o = g.remove() })
	return o
}

func (g *group) remove() (o outcome) {
	g.file.Close()
	events := g.table("memory.events")
	// oom without a kill is an allocation that was refused; a kill without oom
	// is the machine's memory, not this limit.
	o.OverMemory = events["oom"] > 0 && events["oom_kill"] > 0
	o.Refused = g.table("pids.events")["max"]
	o.Throttled = time.Duration(g.table("cpu.stat")["throttled_usec"]) * time.Microsecond
	// Whoever manages the groups above takes a controller away, and its files
	// with it, if he thinks that nobody needs it.
	for _, controller := range g.set {
		if g.tree.words(g.dir, controller+".max") == nil {
			o.Lost = append(o.Lost, controller)
		}
	}
	g.tree.write(filepath.Join(g.dir, "cgroup.kill"), "1") // Linux 5.14; init has ended all before
	g.tree.remove(g.dir, func() {})                        // its last process must leave it
	return o
}

// table reads a file of lines "key number".
func (g *group) table(file string) map[string]int64 {
	words := g.tree.words(g.dir, file)
	all := make(map[string]int64, len(words)/2)
	for i := 0; i+1 < len(words); i += 2 {
		all[words[i]], _ = strconv.ParseInt(words[i+1], 10, 64)
	}
	return all
}

// sweep removes what a process of ours left that was killed. The kernel refuses
// where anybody is in a group.
func (t *groupTree) sweep(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, groupPrefix+"[0-9]*")) // the pattern is well-formed
	for _, path := range left {
		var pid int
		var started, number uint64
		name := strings.TrimPrefix(filepath.Base(path), groupPrefix)
		if n, _ := fmt.Sscanf(name, "%d-%d-%d", &pid, &started, &number); n < 3 {
			continue
		}
		if _, now := t.stat(pid); now != started {
			t.rmdir(path)
		}
	}
}

// settle adds to the status of an application that has ended what its limits had
// to do with that. What it could not have is a warning. Where the keeper has
// ended as well nobody knows.
func (s *Sandbox) settle(init int, limits Limits, status ExitStatus) ExitStatus {
	if limits == (Limits{}) {
		return status
	}
	told, _, err := s.keeper.ask(request{Fared: init})
	if err != nil || told.Fared == nil {
		return status
	}
	return s.judge(*told.Fared, limits, status)
}

func (s *Sandbox) judge(o outcome, limits Limits, status ExitStatus) ExitStatus {
	if o.OverMemory {
		if status.Signal == "SIGKILL" {
			status.OverMemory = limits.Memory
		} else {
			s.warn("a process of the application was killed at its limit of %s of memory", mebibytes(limits.Memory))
		}
	}
	if o.Refused > 0 {
		s.warn("the application was refused %d processes or threads by its limit of %d", o.Refused, limits.PIDs)
	}
	if held := o.Throttled.Round(time.Millisecond); held > 0 {
		s.warn("the application was held back for %v by its limit of processors, %v: its latencies are with that", held, limits.CPUs)
	}
	if len(o.Lost) > 0 {
		s.warn("%s", notLimited(o.Lost, errors.New("somebody took it away during the run")))
	}
	return status
}

// haveSpareThreads makes threads that the Go runtime keeps for later. It ends the
// process, and with init the application, when it is refused one: at a limit of
// processes the application must be what is refused.
func haveSpareThreads() {
	runtime.GOMAXPROCS(2) // else the collector wants one for each processor
	var all, together sync.WaitGroup
	together.Add(spareThreads)
	for range spareThreads {
		all.Go(func() {
			runtime.LockOSThread() // none of the others can have this one
			defer runtime.UnlockOSThread()
			together.Done()
			together.Wait()
		})
	}
	all.Wait()
}
