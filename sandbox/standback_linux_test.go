package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestStandBackPlaces: the group is one of the root's, where bounds and rights allow
// that.
func TestStandBackPlaces(t *testing.T) {
	const every = "cpu memory pids"
	// A login on a host of systemd's.
	login := func(h *hierarchy, tree *groupTree) {
		h.group("user.slice", every)
		h.group("user.slice/user-0.slice", "memory pids")
		h.group("user.slice/user-0.slice/session-3.scope", "")
		h.in(tree, "/user.slice/user-0.slice/session-3.scope")
	}
	for _, test := range []struct {
		name    string
		has     string
		handsOn string
		prepare func(h *hierarchy, tree *groupTree)
		lacks   string // "": nothing
		pids    string // pids.max
	}{
		{"beside systemd's slices", every, every, login, "", "max"},
		{"with the number of processes that a slice allows", every, every, func(h *hierarchy, tree *groupTree) {
			login(h, tree)
			h.put("user.slice/user-0.slice", "pids.max", "5000")
			h.put("user.slice/user-0.slice/session-3.scope", "pids.max", "6000")
		}, "", "5000"},
		{"a bound of a slice", every, every, func(h *hierarchy, tree *groupTree) {
			login(h, tree)
			h.put("user.slice/user-0.slice", "memory.max", "1000000000")
		}, "memory.max of", ""},
		{"a bound of our own group's", every, every, func(h *hierarchy, tree *groupTree) {
			login(h, tree)
			h.put("user.slice/user-0.slice/session-3.scope", "cpu.max", "50000 100000")
		}, "cpu.max of", ""},
		{"a bound on swap", every, every, func(h *hierarchy, tree *groupTree) {
			login(h, tree)
			h.put("user.slice", "memory.swap.max", "0")
		}, "memory.swap.max of", ""},
		{"a unit", every, every, func(h *hierarchy, tree *groupTree) {
			h.group("run-u1.scope", "")
			h.in(tree, "/run-u1.scope")
		}, "is no login", ""},
		{"the root itself", every, every, func(*hierarchy, *groupTree) {}, "", "max"},
		{"a container's root", every, every, func(h *hierarchy, tree *groupTree) {
			h.put("", "cgroup.type", "domain")
		}, "not the host's root", ""},
		{"nothing is ours", every, every, func(h *hierarchy, tree *groupTree) {
			login(h, tree)
			tree.mayIn = func(string) bool { return false }
		}, "not ours", ""},
		{"processors are not handed on", every, "memory pids", func(h *hierarchy, tree *groupTree) {
			h.group("session-1.scope", "")
			h.in(tree, "/session-1.scope")
		}, "does not hand cpu on", ""},
		{"a kernel without cpu.idle", every, every, func(h *hierarchy, tree *groupTree) {
			login(h, tree)
			mkdir := tree.mkdir
			tree.mkdir = func(path string) error {
				err := mkdir(path)
				os.Remove(filepath.Join(path, "cpu.idle"))
				return err
			}
		}, "cpu.idle", ""},
		{"version 1", every, every, func(h *hierarchy, tree *groupTree) {
			h.group("shells", every)
			h.write2(filepath.Join(tree.proc, "self/mountinfo"), "30 23 0:26 / "+h.root+" rw - cgroup cgroup rw,cpu,cpuacct\n31 23 0:27 / /nonexistent rw - cgroup2 cgroup2 rw\n")
			h.write2(filepath.Join(tree.proc, "100/cgroup"), "4:memory:/elsewhere\n3:cpu,cpuacct:/shells\n0::/\n")
			h.put("shells", "cgroup.procs", "100\n")
			h.put("shells", "cpu.cfs_quota_us", "-1")
			h.version1()
		}, "", "max"},
		{"a container's part of version 1", every, every, func(h *hierarchy, tree *groupTree) {
			h.write2(filepath.Join(tree.proc, "self/mountinfo"), "30 23 0:26 /docker/1 "+h.root+" rw - cgroup cgroup rw,cpu\n")
			h.write2(filepath.Join(tree.proc, "100/cgroup"), "3:cpu:/docker/1\n")
			h.version1()
			os.Remove(filepath.Join(h.root, "release_agent"))
		}, "not the host's root", ""},
		{"a bound of version 1", every, every, func(h *hierarchy, tree *groupTree) {
			h.group("shells", every)
			h.write2(filepath.Join(tree.proc, "self/mountinfo"), "30 23 0:26 / "+h.root+" rw - cgroup cgroup rw,cpuacct,cpu\n")
			h.write2(filepath.Join(tree.proc, "100/cgroup"), "3:cpuacct,cpu:/shells\n")
			h.put("shells", "cgroup.procs", "100\n")
			h.put("shells", "cpu.cfs_quota_us", "50000")
			h.version1()
		}, "cpu.cfs_quota_us of", ""},
		{"none at all", every, every, func(h *hierarchy, tree *groupTree) {
			h.write2(filepath.Join(tree.proc, "self/mountinfo"), "")
		}, "as under ip netns exec", ""},
		{"no controller of either version", "memory", "memory", login, "no controller for processors", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, tree := newHierarchy(t, test.has, test.handsOn)
			test.prepare(h, tree)
			_, own, _ := tree.processors()
			aside, err := tree.standAside()
			made, _ := filepath.Glob(filepath.Join(h.root, groupPrefix+"*"))
			for _, deeper := range []string{"*", "*/*", "*/*/*"} {
				more, _ := filepath.Glob(filepath.Join(h.root, deeper, groupPrefix+"*"))
				made = append(made, more...)
			}
			if test.lacks != "" {
				if err == nil || !strings.Contains(err.Error(), test.lacks) || len(made) > 0 {
					t.Errorf("made %q, %v, want %q", made, err, test.lacks)
				}
				return
			}
			if err != nil || len(made) != 1 || filepath.Dir(made[0]) != h.root {
				t.Fatalf("made %q, %v, want one in %s", made, err, h.root)
			}
			for idle, percent := range map[string]int{"0": asideShare, "1": backShare} {
				if err := aside.stand(percent); err != nil {
					t.Error(err)
				}
				for file, want := range map[string]string{"cpu.idle": idle, "pids.max": test.pids, "cgroup.procs": "100"} {
					if got := strings.Join(h.get(filepath.Join(made[0], file)), " "); got != want {
						t.Errorf("%s is %q, want %q", file, got, want)
					}
				}
			}
			aside.leave()
			if got := h.get(filepath.Join(own, "cgroup.procs")); !slices.Contains(got, "100") {
				t.Errorf("afterwards %q are in %s", got, own)
			}
			if _, err := os.Stat(made[0]); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is left: %v", made[0], err)
			}
		})
	}
}

// version1 makes the root one of version 1.
func (h *hierarchy) version1() {
	os.Remove(filepath.Join(h.root, "cgroup.controllers"))
	h.put("", "release_agent", "")
}

// TestStandBackGone: whose group was taken away meanwhile, as systemd does with an
// empty one, goes to the one above.
func TestStandBackGone(t *testing.T) {
	h, tree := newHierarchy(t, "cpu", "cpu")
	h.group("user.slice", "")
	h.group("user.slice/session-3.scope", "")
	h.in(tree, "/user.slice/session-3.scope")
	aside, err := tree.standAside()
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.rmdir(filepath.Join(h.root, "user.slice/session-3.scope")); err != nil {
		t.Fatal(err)
	}
	aside.leave()
	if got := h.get(filepath.Join(h.root, "user.slice/cgroup.procs")); !slices.Contains(got, "100") {
		t.Errorf("%q are in the one above", got)
	}
	if left, _ := filepath.Glob(filepath.Join(h.root, groupPrefix+"*")); left != nil {
		t.Errorf("left %q", left)
	}
}

// TestStandBackOnce: who is in such a group makes no other, and an application's
// group with limits, which lies beside it, stands aside and back as well.
func TestStandBackOnce(t *testing.T) {
	h, tree := newHierarchy(t, "cpu memory pids", "cpu memory pids")
	h.group("user.slice", "pids")
	h.group("user.slice/session-3.scope", "")
	h.put("user.slice/session-3.scope", "pids.max", "5000")
	h.in(tree, "/user.slice/session-3.scope")
	aside, err := tree.standAside()
	if err != nil {
		t.Fatal(err)
	}
	made, _ := filepath.Glob(filepath.Join(h.root, groupPrefix+"*"))
	h.in(tree, "/"+filepath.Base(made[0]))
	if again, err := tree.standAside(); err != nil || again != nil {
		t.Errorf("another one is %v, %v", again, err)
	}
	if all, _ := filepath.Glob(filepath.Join(h.root, groupPrefix+"*")); len(all) != 1 {
		t.Errorf("made %q", all)
	}
	for pids, want := range map[int]string{0: "5000", 10000: "5000", 50: "70"} {
		g, lacks := newGroup(tree, Limits{Memory: 64 << 20, PIDs: pids})
		if g == nil {
			t.Fatal(lacks)
		}
		if err := tree.takeAlong(102, g); err != nil || slices.Contains(h.get(filepath.Join(made[0], "cgroup.procs")), "102") {
			t.Errorf("it was taken out of its limits, %v", err)
		}
		for _, percent := range []int{backShare, asideShare, backShare} {
			if err := aside.stand(percent); err != nil || filepath.Dir(g.dir) != h.root || tree.idle(g.dir) != (percent == backShare) {
				t.Errorf("%s is idle: %v, want %v %%, %v", g.dir, tree.idle(g.dir), percent, err)
			}
		}
		if late, lacks := newGroup(tree, Limits{Memory: 64 << 20}); late == nil || !tree.idle(late.dir) {
			t.Errorf("one that comes later is not idle, %q", lacks)
		} else {
			late.end()
		}
		if err := aside.stand(asideShare); err != nil {
			t.Error(err)
		}
		if got := strings.Join(h.get(filepath.Join(g.dir, "pids.max")), " "); got != want {
			t.Errorf("pids.max of a group for %d is %s, want %s", pids, got, want)
		}
		g.end()
	}
	if err := tree.takeAlong(102, nil); err != nil || !slices.Contains(h.get(filepath.Join(made[0], "cgroup.procs")), "102") {
		t.Errorf("one without limits was not taken along, %v", err)
	}
	aside.leave()
	if all, _ := filepath.Glob(filepath.Join(h.root, groupPrefix+"*")); len(all) != 0 {
		t.Errorf("left %q", all)
	}
}

// TestStandsBack: this process and the application stand aside and back, the keeper
// never, and nothing is left of that at the end.
func TestStandsBack(t *testing.T) {
	tree := hostGroups(os.Getpid())
	if err := idleGroups(tree); err != nil {
		t.Skip("a property of the host, which CI cannot change: ", err)
	}
	_, before, _ := tree.processors()
	box := newBox(t, Config{})
	stand := func(how string, stand func() error, idle bool) string {
		t.Helper()
		if err := stand(); err != nil {
			t.Fatal(how, err)
		}
		_, group, err := tree.processors()
		if err != nil || group == before || tree.idle(group) != idle {
			t.Fatalf("%s: this process is in %s, before in %s, %v", how, group, before, err)
		}
		return group
	}
	group := stand("aside", box.StandAside, false)
	app, out := start(t, box, AppConfig{}, "ignore")
	out.want(t, "stdout: ready")
	for range 2 { // once is enough
		stand("back", box.StandBack, true)
	}
	members := tree.words(group, "cgroup.procs")
	for _, pid := range []int{app.init, app.Pid()} {
		if !slices.Contains(members, fmt.Sprint(pid)) {
			t.Errorf("process %d is not in %s", pid, group)
		}
	}
	if pid := box.keeper.cmd.Process.Pid; slices.Contains(members, fmt.Sprint(pid)) {
		t.Errorf("the keeper, %d, is in %s", pid, group)
	}
	// The baseline's, which ends later.
	other := newBox(t, Config{})
	if err := other.StandBack(); err != nil {
		t.Error(err)
	}
	stand("aside again", box.StandAside, false)
	if err := box.Close(); err != nil {
		t.Error(err)
	}
	if _, now, err := tree.processors(); err != nil || now != before {
		t.Errorf("this process is in %s, before in %s, %v", now, before, err)
	}
	if _, err := os.Stat(group); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left: %v", group, err)
	}
	newBox(t, Config{})
	if _, now, err := tree.processors(); err != nil || now != before {
		t.Errorf("not asked to, this process is in %s, before in %s, %v", now, before, err)
	}
}

// idleGroups is what a host lacks for a group that stands back, nil for nothing.
func idleGroups(tree *groupTree) error {
	mount, own, err := tree.processors()
	if err == nil {
		_, err = tree.mayLeave(mount, own)
	}
	if err != nil {
		return err
	}
	probe := filepath.Join(mount, groupPrefix+"probe")
	if err := tree.mkdir(probe); err != nil {
		return err
	}
	defer tree.rmdir(probe)
	_, err = os.Stat(filepath.Join(probe, "cpu.idle"))
	return err
}
