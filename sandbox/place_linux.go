package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// controllers are those that an application's limits are made of (cgroups(7)).
var controllers = []string{"cpu", "memory", "pids"}

// groupTree is where control groups are on a host: of version 2, which limits are made
// of, and for standing back of version 1 as well. What it does to
// them goes through its functions: tests have a kernel of their own.
type groupTree struct {
	proc  string // "/proc"
	pid   int    // of the run: all that is ours comes from it
	mkdir func(path string) error
	rmdir func(path string) error
	write func(path, text string) error
	mayIn func(path string) bool // whether groups can be made in a group, and filled from it
}

// hostGroups is the tree of this host, for a run's process.
func hostGroups(run int) *groupTree {
	return &groupTree{
		proc: "/proc", pid: run,
		mkdir: func(path string) error { return os.Mkdir(path, 0o755) },
		rmdir: unix.Rmdir,
		// Nothing is made here: of a file that is not there, ENOENT says so.
		write: func(path, text string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString(text)
			return errors.Join(err, f.Close())
		},
		// A process goes from one group into another for whoever may write to the
		// member list of the nearest group above both.
		mayIn: func(path string) bool {
			return unix.Access(path, unix.W_OK) == nil && unix.Access(filepath.Join(path, "cgroup.procs"), unix.W_OK) == nil
		},
	}
}

// place returns a group in which others can be made that have the wanted
// controllers, and those that they will have: all, or fewer and an error. It is
// the nearest one above this process, so that a limit which the host gave to us
// holds for the application as well. Where no group hands all of them on, our
// own is divided, if it was delegated and nobody else is in it.
func (t *groupTree) place(wanted []string) (dir string, have []string, _ error) {
	mount, own, err := t.own("")
	if err != nil {
		return "", nil, err
	}
	for at := own; ; at = filepath.Dir(at) {
		found := intersect(wanted, t.words(at, "cgroup.subtree_control"))
		if len(found) > len(have) && t.mayIn(at) {
			dir, have = at, found
		}
		if len(have) == len(wanted) {
			return dir, have, nil
		}
		if at == mount || len(at) <= 1 {
			break
		}
	}
	if missing := subtract(wanted, t.words(own, "cgroup.controllers")); len(missing) > 0 {
		return dir, have, t.lacks(mount, own, missing)
	}
	if err := t.divide(mount, own, wanted); err != nil {
		return dir, have, err
	}
	return own, wanted, nil
}

// lacks tells why a group has not all controllers.
func (t *groupTree) lacks(mount, own string, missing []string) error {
	names := strings.Join(missing, " and ")
	if off := subtract(missing, t.words(mount, "cgroup.controllers")); len(off) > 0 {
		return &limitError{
			"the control groups of version 2 at " + mount + " have no controller for " + strings.Join(off, " and "),
			"boot with systemd.unified_cgroup_hierarchy=1, which takes them from version 1",
		}
	}
	// The group that has them and does not hand them on is the one to change.
	at := own
	for at != mount && len(subtract(missing, t.words(filepath.Dir(at), "cgroup.controllers"))) > 0 {
		at = filepath.Dir(at)
	}
	return &limitError{
		filepath.Dir(at) + " does not hand " + names + " on to the groups in it",
		"echo +" + strings.Join(missing, " +") + " | sudo tee " + filepath.Join(filepath.Dir(at), "cgroup.subtree_control"),
	}
}

// divide makes our own group one that holds groups: a group with members hands
// no controller on, so all of them, which must be ours, move into one below it.
func (t *groupTree) divide(mount, own string, wanted []string) error {
	delegate := &limitError{fix: "sudo systemd-run --scope -p Delegate=yes tcpsandbox run …"}
	if os.Geteuid() != 0 {
		delegate.fix = "systemd-run --user --scope -p Delegate=yes tcpsandbox run …"
	}
	refuse := func(format string, args ...any) error {
		delegate.why = own + " cannot be divided: " + fmt.Sprintf(format, args...)
		return delegate
	}
	if !t.mayIn(own) || t.words(own, "cgroup.type") == nil && own == mount { // only the host's root has no type
		delegate.why = "no group above this process hands " + strings.Join(wanted, " and ") + " on, and " + own + " is not ours to divide"
		return delegate
	}
	members := t.words(own, "cgroup.procs")
	for _, m := range members {
		if pid, _ := strconv.Atoi(m); !t.descends(pid) {
			return refuse("process %s is in it, too", m)
		}
	}
	leaf := filepath.Join(own, groupPrefix+"self-"+t.stamp())
	if err := t.mkdir(leaf); err != nil && !errors.Is(err, fs.ErrExist) {
		return refuse("%v", err)
	}
	back := func() {
		for _, m := range members {
			t.write(filepath.Join(own, "cgroup.procs"), m)
		}
		t.rmdir(leaf)
	}
	for _, m := range members {
		err := t.write(filepath.Join(leaf, "cgroup.procs"), m)
		if err != nil && !errors.Is(err, unix.ESRCH) { // it ended
			back()
			return refuse("move process %s: %v", m, err)
		}
	}
	if err := t.write(filepath.Join(own, "cgroup.subtree_control"), "+"+strings.Join(wanted, " +")); err != nil {
		back()
		return refuse("%v", err)
	}
	return nil
}

// descends reports whether a process is the run's or comes from it.
func (t *groupTree) descends(pid int) bool {
	for range 64 { // deeper is nothing of ours
		if pid == t.pid {
			return true
		}
		if pid <= 1 {
			return false
		}
		pid, _ = t.stat(pid)
	}
	return false
}

// stat returns a process' parent and when it started, in ticks since the boot;
// zeros if there is none (proc_pid_stat(5)).
func (t *groupTree) stat(pid int) (parent int, started uint64) {
	text, err := os.ReadFile(filepath.Join(t.proc, strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, 0
	}
	// The second field is a name in brackets, with anything inside.
	f := strings.Fields(string(text)[strings.LastIndexByte(string(text), ')')+1:])
	if len(f) < 20 {
		return 0, 0
	}
	parent, _ = strconv.Atoi(f[1])
	started, _ = strconv.ParseUint(f[19], 10, 64)
	return parent, started
}

// stamp names the run's process, also when another has its number.
func (t *groupTree) stamp() string {
	_, started := t.stat(t.pid)
	return fmt.Sprintf("%d-%d", t.pid, started)
}

// own returns where a hierarchy of control groups is mounted, and the group of it that
// the run is in: of a controller of version 1, or of version 2 if that is "".
func (t *groupTree) own(controller string) (mount, own string, err error) {
	none := &limitError{"no control groups of version 2 are mounted", "boot with systemd.unified_cgroup_hierarchy=1"}
	mounts, err := os.ReadFile(filepath.Join(t.proc, "self/mountinfo"))
	if err != nil {
		return "", "", none
	}
	member, err := os.ReadFile(filepath.Join(t.proc, strconv.Itoa(t.pid), "cgroup"))
	if err != nil {
		return "", "", none
	}
	mount, root := groupMount(string(mounts), controller)
	if mount == "" && !strings.Contains(string(mounts), " - cgroup") {
		return "", "", &limitError{"no control groups are mounted here, as under ip netns exec", "nsenter --net=/run/netns/NAME tcpsandbox run …    # has them"}
	}
	if mount == "" {
		return "", "", none
	}
	for line := range strings.Lines(string(member)) {
		// 4:cpu,cpuacct:/user.slice, or 0::/user.slice
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) < 3 || !slices.Contains(strings.Split(f[1], ","), controller) {
			continue
		}
		// A container may be shown its own part of the tree only.
		at := f[2]
		below, ok := strings.CutPrefix(at, strings.TrimSuffix(root, "/"))
		if !ok || below != "" && below[0] != '/' || strings.Contains(below, "/..") {
			return "", "", &limitError{"the control group " + at + " of this process is not to be seen at " + mount, "docker run --cgroupns=private …    # in a container"}
		}
		return mount, filepath.Join(mount, below), nil
	}
	return "", "", none
}

// groupMount returns where the hierarchy of a controller, "" for that of version 2,
// is mounted and which part of it, from the text of a mountinfo file
// (proc_pid_mountinfo(5)); empty if it is not.
func groupMount(mountinfo, controller string) (mount, root string) {
	for line := range strings.Lines(mountinfo) {
		f := strings.Fields(line)
		dash := slices.Index(f, "-")
		if dash < 6 || len(f) <= dash+1 {
			continue
		}
		is := f[dash+1] == "cgroup2"
		if controller != "" {
			is = f[dash+1] == "cgroup" && len(f) > dash+3 && slices.Contains(strings.Split(f[dash+3], ","), controller)
		}
		if is {
			return filepath.Clean(mountEscapes.Replace(f[4])), mountEscapes.Replace(f[3])
		}
	}
	return "", ""
}

// words returns the words of a group's file; nil if there is none.
func (t *groupTree) words(dir, file string) []string {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil
	}
	return strings.Fields(string(text))
}

func intersect(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return !slices.Contains(b, s) })
}

func subtract(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}
