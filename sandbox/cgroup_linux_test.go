package sandbox

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// hierarchy is a kernel's control groups in a folder, as far as limits need them:
// a group has what the one above hands on, a group with members hands nothing
// on, and one that is not empty cannot be removed.
type hierarchy struct {
	t     *testing.T
	root  string
	has   string          // controllers of the root
	locks map[string]bool // groups that are somebody else's
}

// newHierarchy has a root with some controllers of which it hands some on. This
// process, 100, is in it, and so is its parent, 99.
func newHierarchy(t *testing.T, has, handsOn string) (*hierarchy, *groupTree) {
	h := &hierarchy{t: t, root: filepath.Join(t.TempDir(), "sys"), has: has, locks: map[string]bool{}}
	h.put("", "cgroup.controllers", has)
	h.put("", "cgroup.subtree_control", handsOn)
	h.put("", "cgroup.procs", "1\n99\n")
	proc := filepath.Join(t.TempDir(), "proc")
	tree := &groupTree{proc: proc, pid: 100, mkdir: h.mkdir, rmdir: h.rmdir, write: h.write, mayIn: func(path string) bool {
		return !h.locks[path]
	}}
	h.write2(filepath.Join(proc, "self/mountinfo"), "30 23 0:26 / "+h.root+" rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n")
	h.process(proc, 1, 0, 5)
	h.process(proc, 99, 1, 700)
	h.process(proc, 100, 99, 800)
	h.process(proc, 101, 100, 900)
	h.in(tree, "/")
	return h, tree
}

func (h *hierarchy) process(proc string, pid, parent, started int) {
	h.write2(filepath.Join(proc, strconv.Itoa(pid), "stat"),
		fmt.Sprintf("%d (a (strange) name) S %d 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0 0", pid, parent, started))
}

// in puts this process into a group.
func (h *hierarchy) in(tree *groupTree, at string) {
	h.write2(filepath.Join(tree.proc, "100/cgroup"), "4:memory:/elsewhere\n0::"+at+"\n")
	h.put(at, "cgroup.procs", "100\n")
}

func (h *hierarchy) write2(path, text string) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hierarchy) put(at, file, text string) { h.write2(filepath.Join(h.root, at, file), text) }

func (h *hierarchy) get(path string) []string {
	text, _ := os.ReadFile(path)
	return strings.Fields(string(text))
}

// group makes one that hands some controllers on.
func (h *hierarchy) group(at, handsOn string) {
	h.t.Helper()
	path := filepath.Join(h.root, at)
	if err := h.mkdir(path); err != nil {
		h.t.Fatal(err)
	}
	if handsOn != "" {
		h.put(at, "cgroup.subtree_control", handsOn)
	}
}

func (h *hierarchy) mkdir(path string) error {
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	at, _ := filepath.Rel(h.root, path)
	has := h.get(filepath.Join(filepath.Dir(path), "cgroup.subtree_control"))
	h.put(at, "cgroup.controllers", strings.Join(has, " "))
	h.put(at, "cgroup.subtree_control", "")
	h.put(at, "cgroup.procs", "")
	h.put(at, "cgroup.type", "domain")
	for _, c := range has {
		h.put(at, c+".max", "max")
	}
	if slices.Contains(has, "cpu") {
		h.put(at, "cpu.idle", "0")
	}
	if slices.Contains(has, "memory") {
		h.put(at, "memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n")
		h.put(at, "memory.oom.group", "0")
	}
	return nil
}

func (h *hierarchy) rmdir(path string) error {
	if len(h.get(filepath.Join(path, "cgroup.procs"))) > 0 {
		return unix.EBUSY
	}
	if _, err := os.Stat(path); err != nil {
		return unix.ENOENT
	}
	return os.RemoveAll(path)
}

func (h *hierarchy) write(path, text string) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	switch filepath.Base(path) {
	case "cgroup.procs":
		filepath.WalkDir(h.root, func(other string, _ fs.DirEntry, _ error) error {
			if filepath.Base(other) == "cgroup.procs" {
				left := slices.DeleteFunc(h.get(other), func(pid string) bool { return pid == text })
				h.write2(other, strings.Join(left, "\n"))
			}
			return nil
		})
		h.write2(path, strings.Join(append(h.get(path), text), "\n"))
	case "cgroup.subtree_control":
		dir := filepath.Dir(path)
		if dir != h.root && len(h.get(filepath.Join(dir, "cgroup.procs"))) > 0 {
			return unix.EBUSY
		}
		for _, c := range strings.Fields(text) {
			if !slices.Contains(h.get(filepath.Join(dir, "cgroup.controllers")), c[1:]) {
				return unix.ENOENT
			}
		}
		h.write2(path, strings.ReplaceAll(text, "+", ""))
	default:
		h.write2(path, text)
	}
	return nil
}

var all = Limits{CPUs: 1.5, Memory: 64 << 20, PIDs: 50}

func TestGroupPlaces(t *testing.T) {
	const every = "cpu memory pids"
	for _, test := range []struct {
		name    string
		has     string
		handsOn string
		prepare func(h *hierarchy, tree *groupTree)
		want    string // the group above the application's; "": none
		lacks   string // part of the notice; "": none
	}{
		{"systemd's root group, for want of a nearer one", every, every, func(h *hierarchy, tree *groupTree) {
			h.group("system.slice", "memory pids")
			h.group("system.slice/ssh.service", "")
			h.in(tree, "/system.slice/ssh.service")
		}, "/", ""},
		{"the slice of our service, whose limits are ours", every, every, func(h *hierarchy, tree *groupTree) {
			h.group("test.slice", every)
			h.group("test.slice/run.scope", "")
			h.in(tree, "/test.slice/run.scope")
		}, "/test.slice", ""},
		{"root's own", every, every, func(*hierarchy, *groupTree) {}, "/", ""},
		{"a user's, not the administrator's", every, every, func(h *hierarchy, tree *groupTree) {
			h.group("user.slice", every)
			h.group("user.slice/app.slice", every)
			h.group("user.slice/app.slice/run.scope", "")
			h.locks[h.root], h.locks[filepath.Join(h.root, "user.slice")] = true, true
			h.in(tree, "/user.slice/app.slice/run.scope")
		}, "/user.slice/app.slice", ""},
		{"delegated, and we are alone in it", every, every, func(h *hierarchy, tree *groupTree) {
			h.group("run.scope", "")
			h.locks[h.root] = true
			h.in(tree, "/run.scope")
			h.put("run.scope", "cgroup.procs", "100\n101\n")
		}, "/run.scope", ""},
		{"delegated, and a shell is in it", every, every, func(h *hierarchy, tree *groupTree) {
			h.group("run.scope", "")
			h.locks[h.root] = true
			h.in(tree, "/run.scope")
			h.put("run.scope", "cgroup.procs", "99\n100\n")
		}, "", "process 99 is in it"},
		{"a session's, which is nobody's to divide", every, every, func(h *hierarchy, tree *groupTree) {
			h.group("session.scope", "")
			h.locks[h.root], h.locks[filepath.Join(h.root, "session.scope")] = true, true
			h.in(tree, "/session.scope")
		}, "", "systemd-run"},
		{"the root hands nothing on: that is the administrator's to change", every, "", func(*hierarchy, *groupTree) {}, "", "not ours to divide"},
		{"a controller is of version 1", "memory pids", "memory pids", func(*hierarchy, *groupTree) {}, "/", "limit of processors: the control groups of version 2"},
		{"all are", "hugetlb", "", func(*hierarchy, *groupTree) {}, "", "unified_cgroup_hierarchy"},
		{"one is not handed on", every, "memory pids", func(h *hierarchy, tree *groupTree) {
			h.group("a", "memory pids")
			h.group("a/b", "")
			h.in(tree, "/a/b")
		}, "/a", "limit of processors: {} does not hand cpu on to the groups in it; echo +cpu | sudo tee {}/cgroup.subtree_control"},
		{"no version 2", every, every, func(h *hierarchy, tree *groupTree) {
			h.write2(filepath.Join(tree.proc, "self/mountinfo"), "31 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n")
		}, "", "no control groups of version 2"},
		{"no /proc", every, every, func(_ *hierarchy, tree *groupTree) { tree.proc = "/nonexistent" }, "", "no control groups"},
		{"a container's part of the tree", every, every, func(h *hierarchy, tree *groupTree) {
			h.in(tree, "/docker/1234")
			h.write2(filepath.Join(tree.proc, "self/mountinfo"), "30 23 0:26 /docker/1234 "+h.root+" rw - cgroup2 cgroup2 rw\n")
		}, "/", ""},
		{"another container's", every, every, func(h *hierarchy, tree *groupTree) {
			h.in(tree, "/docker/12345")
			h.write2(filepath.Join(tree.proc, "self/mountinfo"), "30 23 0:26 /docker/1234 "+h.root+" rw - cgroup2 cgroup2 rw\n")
		}, "", "not to be seen"},
		{"above what is mounted", every, every, func(h *hierarchy, tree *groupTree) { h.in(tree, "/../outside") }, "", "not to be seen"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, tree := newHierarchy(t, test.has, test.handsOn)
			test.prepare(h, tree)
			g, lacks := newGroup(tree, all)
			said := strings.Join(lacks, "\n")
			if want := strings.ReplaceAll(test.lacks, "{}", h.root); (want == "") != (said == "") || !strings.Contains(said, want) {
				t.Errorf("said %q, want %q", said, want)
			}
			if test.want == "" {
				if g != nil {
					t.Fatalf("made %s", g.dir)
				}
				if left, _ := filepath.Glob(filepath.Join(h.root, "*", groupPrefix+"*")); left != nil {
					t.Errorf("left %q", left)
				}
				return
			}
			if g == nil {
				t.Fatal("no group")
			}
			if at := filepath.Dir(g.dir); at != filepath.Join(h.root, test.want) {
				t.Errorf("made in %s, want %s", at, test.want)
			}
			for file, want := range map[string]string{"cpu.max": "150000 100000", "memory.max": "67108864", "memory.oom.group": "1", "pids.max": "70"} {
				controller, _, _ := strings.Cut(file, ".")
				got := strings.Join(h.get(filepath.Join(g.dir, file)), " ")
				if is := slices.Contains(g.set, controller); is && got != want || !is && got != "" {
					t.Errorf("%s is %q, want %q: %v", file, got, want, is)
				}
			}
			// A second one, of the baseline, lies beside it.
			again, lacks := newGroup(tree, all)
			if again == nil || filepath.Dir(again.dir) != filepath.Dir(g.dir) || again.dir == g.dir {
				t.Errorf("second group %+v, %q", again, lacks)
			}
			again.end()
			g.end()
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(g.dir), groupPrefix+"[0-9]*")); left != nil {
				t.Errorf("left %q", left)
			}
		})
	}
}

// TestGroupDivided: of a delegated group the members are in one below it
// afterwards, and back where the kernel refuses the rest.
func TestGroupDivided(t *testing.T) {
	h, tree := newHierarchy(t, "cpu memory pids", "cpu memory pids")
	h.group("run.scope", "")
	h.locks[h.root] = true
	h.in(tree, "/run.scope")
	h.put("run.scope", "cgroup.procs", "100\n101\n")
	own := filepath.Join(h.root, "run.scope")
	leaf := filepath.Join(own, "tcpsandbox-self-100-800")

	write := tree.write
	tree.write = func(path, text string) error {
		if filepath.Base(path) == "cgroup.subtree_control" {
			return unix.EBUSY
		}
		return write(path, text)
	}
	if g, lacks := newGroup(tree, all); g != nil || !strings.Contains(strings.Join(lacks, ""), "busy") {
		t.Errorf("%+v, %q", g, lacks)
	}
	if got := h.get(filepath.Join(own, "cgroup.procs")); !slices.Equal(got, []string{"100", "101"}) {
		t.Errorf("members of the group are %q", got)
	}
	if _, err := os.Stat(leaf); err == nil {
		t.Error("the group below is left")
	}

	tree.write = write
	g, lacks := newGroup(tree, Limits{Memory: 1 << 30})
	if g == nil || len(lacks) > 0 {
		t.Fatalf("%+v, %q", g, lacks)
	}
	defer g.end()
	if got := h.get(filepath.Join(leaf, "cgroup.procs")); !slices.Equal(got, []string{"100", "101"}) {
		t.Errorf("members of the group below are %q", got)
	}
	if got := h.get(filepath.Join(g.dir, "pids.max")); len(got) > 0 {
		t.Errorf("pids.max is %q: nobody asked for it", got)
	}
}

// TestGroupSwept: what a run left that was killed the next one removes, and
// nothing else.
func TestGroupSwept(t *testing.T) {
	h, tree := newHierarchy(t, "cpu memory pids", "cpu memory pids")
	for _, name := range []string{
		"tcpsandbox-77-600-1",  // nobody has that number
		"tcpsandbox-99-600-1",  // another process has it now
		"tcpsandbox-99-700-1",  // it lives
		"tcpsandbox-78-600-2",  // it is not empty
		"tcpsandbox-1.service", // none of ours
	} {
		h.group(name, "")
	}
	h.put("tcpsandbox-78-600-2", "cgroup.procs", "555\n")
	g, lacks := newGroup(tree, all)
	if g == nil || len(lacks) > 0 {
		t.Fatalf("%+v, %q", g, lacks)
	}
	g.end()
	left, _ := filepath.Glob(filepath.Join(h.root, groupPrefix+"*"))
	for i := range left {
		left[i] = filepath.Base(left[i])
	}
	if want := []string{"tcpsandbox-1.service", "tcpsandbox-78-600-2", "tcpsandbox-99-700-1"}; !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
}

// TestSettled: what the limits did is in the status and in the warnings.
func TestSettled(t *testing.T) {
	killed := ExitStatus{Code: -1, Signal: "SIGKILL"}
	for _, test := range []struct {
		name   string
		files  map[string]string
		status ExitStatus
		want   ExitStatus
		warns  string
	}{
		{"nothing", nil, ExitStatus{Code: 1}, ExitStatus{Code: 1}, ""},
		{"killed by somebody", nil, killed, killed, ""},
		{"over its memory", map[string]string{"memory.events": "oom 3\noom_kill 2\n"}, killed, ExitStatus{Code: -1, Signal: "SIGKILL", OverMemory: all.Memory}, ""},
		{"the machine's memory", map[string]string{"memory.events": "oom 0\noom_kill 2\n"}, killed, killed, ""},
		{"a worker over its memory", map[string]string{"memory.events": "oom 1\noom_kill 1\n"}, ExitStatus{}, ExitStatus{}, "killed at its limit of 64M"},
		{"forks", map[string]string{"pids.events": "max 12\n"}, ExitStatus{}, ExitStatus{}, "refused 12 processes or threads by its limit of 50"},
		{"throttled", map[string]string{"cpu.stat": "usage_usec 5\nnr_throttled 3\nthrottled_usec 1500000\n"}, ExitStatus{}, ExitStatus{}, "held back for 1.5s by its limit of processors, 1.5: "},
		{"hardly throttled", map[string]string{"cpu.stat": "usage_usec 5\nnr_throttled 1\nthrottled_usec 40\n"}, ExitStatus{}, ExitStatus{}, ""},
		{"a limit was taken away", map[string]string{"cpu.max": ""}, ExitStatus{}, ExitStatus{}, "without its limit of processors: somebody took it away"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, tree := newHierarchy(t, "cpu memory pids", "cpu memory pids")
			g, lacks := newGroup(tree, all)
			if g == nil {
				t.Fatal(lacks)
			}
			for file, text := range test.files {
				path := filepath.Join(g.dir, file)
				if text == "" {
					os.Remove(path)
				} else {
					h.write2(path, text)
				}
			}
			var box Sandbox
			if got := box.judge(g.end(), all, test.status); got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
			if said := strings.Join(box.Warnings(), "\n"); (said == "") != (test.warns == "") || !strings.Contains(said, test.warns) {
				t.Errorf("warned %q, want %q", said, test.warns)
			}
			if o := g.end(); o.OverMemory || o.Refused > 0 {
				t.Errorf("a second end says %+v", o)
			}
		})
	}
	if s := (ExitStatus{Code: -1, Signal: "SIGKILL", OverMemory: 64 << 20}); !strings.Contains(s.String(), "limit of 64M of memory") || !strings.Contains(s.Hint(), "--memory") {
		t.Errorf("%v; %s", s, s.Hint())
	}
}

func FuzzGroupMount(f *testing.F) {
	f.Add("30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n")
	f.Add("30 23 0:26 /docker/1 /sys/\\040x rw - cgroup2 none rw")
	f.Add("30 23 - cgroup2")
	f.Add("30 23 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, controller := range []string{"", "cpu"} {
			mount, root := groupMount(text, controller)
			if (mount == "") != (root == "") {
				t.Errorf("mounted at %q, root %q", mount, root)
			}
		}
	})
}
