package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// kernelGroup makes a group of this kernel's with no limits, which needs no
// controller, only that version 2 is mounted.
func kernelGroup(t *testing.T) *group {
	t.Helper()
	tree := hostGroups(os.Getpid())
	_, own, err := tree.own("")
	if err == nil && !tree.mayIn(own) {
		err = errors.New(own + " is not ours to write to")
	}
	if err != nil {
		t.Skip("a property of the host, which CI cannot change: ", err)
	}
	dir := filepath.Join(own, fmt.Sprintf("%s%s-%d", groupPrefix, tree.stamp(), groupNumber.Add(1)))
	if err := tree.mkdir(dir); err != nil {
		t.Skip("a property of the host, which CI cannot change: ", err)
	}
	g := &group{tree: tree, dir: dir}
	t.Cleanup(func() { g.end() })
	if g.file, err = os.Open(dir); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestStartedInGroup: init, and with it the application, begins its life in the
// group, and the group goes when both have ended.
func TestStartedInGroup(t *testing.T) {
	needNamespace(t)
	runtime.LockOSThread() // it is the keeper's main thread
	defer runtime.UnlockOSThread()
	for _, contained := range []bool{true, false} {
		g := kernelGroup(t)
		keeper, pid, files := spawnHere(t, g, contained)
		member, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		if want := "/" + filepath.Base(g.dir) + "\n"; err != nil || !strings.Contains(string(member), want) {
			t.Errorf("contained %v: init is in %q, %v, want %q", contained, member, err, want)
		}
		if err := g.tree.rmdir(g.dir); !errors.Is(err, unix.EBUSY) {
			t.Errorf("contained %v: remove the group of a living init: %v", contained, err)
		}
		files[0].Close() // which init takes for an order
		io.Copy(io.Discard, files[3])
		if _, err := os.Stat(g.dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("contained %v: the group is left: %v", contained, err)
		}
		until(t, "the keeper knows how it fared", func() bool {
			told, _, err := keeper.answer(&request{Fared: pid})
			return err == nil && told.Fared != nil
		})
		if told, _, _ := keeper.answer(&request{Fared: pid}); told.Fared != nil {
			t.Error("it tells twice")
		}
	}
}

// spawnHere does as the keeper does, without its namespace.
func spawnHere(t *testing.T, in *group, contained bool) (k *keeperState, pid int, files []*os.File) {
	t.Helper()
	k = &keeperState{net: new(network), inits: make(map[int]*exec.Cmd), fared: make(map[int]outcome)}
	job, err := prepare(&appRequest{
		Command: []text{"/proc/self/exe"}, Environ: []text{roleVar + "=ignore"}, Limits: Limits{PIDs: 1 << 20}, OnlyNamed: true,
	}, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	job.Contained = contained
	pid, files, err = k.spawn(job, in)
	if errors.Is(err, unix.ENOSYS) {
		t.Skip("a property of the host, which CI cannot change: clone3 with CLONE_INTO_CGROUP: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(files) })
	return k, pid, files
}

// TestGroupEndKills: whoever is still in a group is killed with its end.
func TestGroupEndKills(t *testing.T) {
	g := kernelGroup(t)
	if _, err := os.Stat(filepath.Join(g.dir, "cgroup.kill")); err != nil {
		t.Skip("a property of the host, which CI cannot change: ", err)
	}
	cmd := exec.Command("/proc/self/exe", unique(t))
	cmd.Env = append(os.Environ(), roleVar+"=stray")
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	g.enter(cmd.SysProcAttr)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	g.end()
	select {
	case <-ended:
	case <-time.After(soon):
		cmd.Process.Kill()
		t.Error("the process lives")
	}
	if _, err := os.Stat(g.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the group is left: %v", err)
	}
}

// TestGroupSweptOfTheDead: a group of a process that was killed is removed by the
// next one that makes groups there.
func TestGroupSweptOfTheDead(t *testing.T) {
	g := kernelGroup(t)
	dead := exec.Command("/proc/self/exe", "0")
	dead.Env = append(os.Environ(), roleVar+"=exit")
	dead.Run()
	left := filepath.Join(filepath.Dir(g.dir), fmt.Sprintf("%s%d-%d-1", groupPrefix, dead.Process.Pid, 7))
	if err := g.tree.mkdir(left); err != nil {
		t.Fatal(err)
	}
	defer g.tree.rmdir(left)
	g.tree.sweep(filepath.Dir(g.dir))
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the dead one's group is left: %v", err)
	}
	if _, err := os.Stat(g.dir); err != nil {
		t.Error("ours is gone:", err)
	}
}

// TestLimitsHold needs a kernel that gives the controllers out.
func TestLimitsHold(t *testing.T) {
	box := newBox(t, Config{})
	try, lacks := newGroup(hostGroups(os.Getpid()), Limits{CPUs: 0.5, Memory: 64 << 20, PIDs: 20})
	try.end()
	if len(lacks) > 0 {
		t.Skip("a property of the host, which CI cannot change: ", strings.Join(lacks, "; "))
	}
	t.Run("memory", func(t *testing.T) {
		app, _ := start(t, box, AppConfig{Limits: Limits{Memory: 64 << 20}}, "grow")
		<-app.Exited()
		if s := app.Status(); s.OverMemory != 64<<20 {
			t.Errorf("it ended by %v", s)
		}
	})
	t.Run("processes", func(t *testing.T) {
		app, out := start(t, box, AppConfig{Limits: Limits{PIDs: 20}}, "swarm", unique(t))
		out.want(t, "stdout: refused: true")
		app.Stop(0)
		if !slices.ContainsFunc(box.Warnings(), func(w string) bool { return strings.Contains(w, "by its limit of 20") }) {
			t.Errorf("warnings %q", box.Warnings())
		}
	})
	t.Run("processors", func(t *testing.T) {
		app, out := start(t, box, AppConfig{Limits: Limits{CPUs: 0.1}}, "burn")
		out.want(t, "stdout: burnt")
		app.Stop(0)
		if !slices.ContainsFunc(box.Warnings(), func(w string) bool { return strings.Contains(w, "held back for") }) {
			t.Errorf("warnings %q", box.Warnings())
		}
	})
}

// TestLimitsMissing: where the host cannot limit, the application runs, and a
// warning says so.
func TestLimitsMissing(t *testing.T) {
	_, lacks := newGroup(hostGroups(os.Getpid()), Limits{CPUs: 0.5})
	if len(lacks) == 0 {
		t.Skip("this host can limit processors: TestLimitsHold shows it")
	}
	box := newBox(t, Config{})
	app, out := start(t, box, AppConfig{Limits: Limits{CPUs: 0.5}}, "ignore")
	out.want(t, "stdout: ready")
	app.Stop(0)
	if all := box.Warnings(); !slices.Contains(all, lacks[0]) {
		t.Errorf("warnings %q, want %q", all, lacks[0])
	}
}

// TestSpareThreads: init needs no thread that its limit does not count.
func TestSpareThreads(t *testing.T) {
	box := newBox(t, Config{})
	app, out := start(t, box, AppConfig{Limits: Limits{PIDs: 1 << 20}}, "ignore")
	defer app.Stop(0)
	out.want(t, "stdout: ready")
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", app.init))
	if n := len(threads); n <= spareThreads || n > initTasks {
		t.Errorf("init has %d threads, want more than %d, at most %d", n, spareThreads, initTasks)
	}
}

// playGrow takes memory until it is killed.
func playGrow([]string) {
	var kept [][]byte
	for {
		piece := make([]byte, 1<<20)
		for i := 0; i < len(piece); i += 4096 {
			piece[i] = 1
		}
		kept = append(kept, piece)
		if len(kept) > 4096 {
			fmt.Println("4 GB taken")
			return
		}
	}
}

// playSwarm starts processes until it is refused one.
func playSwarm(args []string) {
	refused := false
	for i := 0; i < 100 && !refused; i++ {
		stray := exec.Command("sleep", "1000")
		refused = stray.Start() != nil
	}
	fmt.Println("refused:", refused)
	forever()
}

// playBurn uses a processor for half a second of its time.
func playBurn([]string) {
	var used unix.Rusage
	for used.Utime.Nano()+used.Stime.Nano() < int64(500*time.Millisecond) {
		unix.Getrusage(unix.RUSAGE_SELF, &used)
	}
	fmt.Println("burnt")
	forever()
}
