package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Unix socket with a path is reached by whoever may open the file, whatever
// their network namespace: the database of production, too, under its usual
// path. So all that processes of the host have bound are looked up and hidden:
//
//	names, a list for each network namespace ──▶ files that they may be ──▶ sockets
//
// A name is what the process gave to bind(2): it begins at that process' root or,
// without a slash, in its working directory of that moment.

// socketsMost bounds how many are hidden; the kernel takes 100,000 mounts in a
// namespace (fs.mount-max). To find 1,000 took 18 ms, and to hide them 8, the least
// of ten times on a busy machine.
const socketsMost = 10_000

// origins are where names may begin, as far as we can tell.
type origins struct {
	roots, folders map[string]bool
}

// look adds those of the processes that there are. Of a process of another user's
// only CAP_SYS_PTRACE tells, which the keeper has only at its very start.
func (o *origins) look(proc string) {
	if o.roots == nil {
		o.roots, o.folders = map[string]bool{"/": true}, make(map[string]bool)
	}
	for _, pid := range processes(proc) {
		for link, all := range map[string]map[string]bool{"root": o.roots, "cwd": o.folders} {
			path, err := os.Readlink(filepath.Join(proc, strconv.Itoa(pid), link))
			if err == nil && filepath.IsAbs(path) { // not of another mount namespace, out of reach
				all[path] = true
			}
		}
	}
}

// files returns what a name may be.
func (o *origins) files(name string) (paths []string) {
	from := o.folders
	if filepath.IsAbs(name) {
		from = o.roots
	}
	for start := range from {
		// Not cleaned: behind a link ".." is elsewhere.
		paths = append(paths, strings.TrimSuffix(start, "/")+"/"+name)
	}
	return paths
}

// processes returns the ids of those there are.
func processes(proc string) (pids []int) {
	entries, _ := os.ReadDir(proc)
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// pathSockets returns the sockets with a path that processes outside of a run have
// bound, without symbolic links: those of the run's own network namespace and of
// each other that a process is in, but for the run's sandboxes.
func pathSockets(tree *groupTree, from *origins) (paths []string, err error) {
	names := make(map[string]bool)
	seen := make(map[uint64]bool) // lists, by their inodes: each namespace has one
	for i, pid := range append([]int{tree.pid}, processes(tree.proc)...) {
		path := filepath.Join(tree.proc, strconv.Itoa(pid), "net/unix")
		var info unix.Stat_t
		err := unix.Stat(path, &info)
		if err == nil && seen[info.Ino] {
			continue
		}
		if i > 0 && tree.descends(pid) {
			continue
		}
		var list []byte
		if err == nil {
			seen[info.Ino] = true
			list, err = os.ReadFile(path)
		}
		if err != nil && i == 0 { // others end
			return nil, &SetupError{Op: "list the host's Unix sockets", Err: err, Fix: hideNoneFix}
		}
		for _, name := range socketNames(string(list)) {
			names[name] = true
		}
	}
	for name := range names {
		for _, path := range from.files(name) {
			found, err := socketAt(path)
			if err != nil {
				return nil, &SetupError{Op: "hide " + path, Err: withoutPath(err), Fix: hideNoneFix}
			}
			if found != "" {
				paths = append(paths, found)
			}
		}
	}
	slices.Sort(paths)
	if paths = slices.Compact(paths); len(paths) > socketsMost {
		return nil, &SetupError{
			Op: "hide the host's Unix sockets", Err: fmt.Errorf("%d of them, more than %d", len(paths), socketsMost),
			Fix: hideNoneFix,
		}
	}
	return paths, nil
}

const hideNoneFix = "hide only what --hide names beside it: --hide none"

// socketAt returns where a socket really is; "" if there is none: its name was
// removed, or is one of another mount namespace and something else here.
func socketAt(path string) (string, error) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Type() != fs.ModeSocket {
		return "", nil
	}
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	switch {
	case err == nil:
		return path, nil
	case errors.Is(err, fs.ErrPermission) && !outOfReach(err):
		return "", err
	}
	return "", nil // it is gone, or out of reach
}

// outOfReach reports whether we may not look something up, and so the application may
// not either, which is nobody with more rights. Root it is that another user's file
// system keeps out (FUSE), and where one user exists he is not root.
func outOfReach(err error) bool {
	return errors.Is(err, fs.ErrPermission) && (os.Geteuid() != 0 || loneUser())
}

// row is a line of /proc/net/unix: an address of the kernel's, five columns, the
// socket's inode and, if it has one, its name.
var row = regexp.MustCompile(`^\S+: [0-9A-F]{8} [0-9A-F]{8} [0-9A-F]{8} [0-9A-F]{4} [0-9A-F]{2} +[0-9]+(?: ((?s:.*)))?$`)

// socketNames returns the names of sockets with a path that a /proc/net/unix lists
// (proc_pid_net(5)), whatever their state: one that does not listen yet may do so
// in a moment, and those that were accepted have their listener's. Names are
// written as they are, with newlines in them: what is no row goes on the name
// before. (A name with a whole row in it is taken for two.) Abstract ones begin with @.
func socketNames(list string) []string {
	var names []string // "" for none
	for line := range strings.Lines(list) {
		line = strings.TrimSuffix(line, "\n")
		if m := row.FindStringSubmatch(line); m != nil {
			names = append(names, m[1])
		} else if last := len(names) - 1; last >= 0 { // not the heading
			names[last] += "\n" + line
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" || name[0] == '@' })
}

// ephemeral reports whether a folder below /run holds nothing but sockets and what
// comes with them. Such a folder is hidden as a whole: a socket that is made anew
// while the application runs, as by a database that starts again, is not seen
// either.
func ephemeral(folder string) bool {
	if !strings.HasPrefix(folder, "/run/") && !strings.HasPrefix(folder, "/var/run/") {
		return false
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return false
	}
	for _, e := range entries {
		kind, end := e.Type(), filepath.Ext(e.Name())
		if kind != fs.ModeSocket && kind != fs.ModeSymlink && !(kind.IsRegular() && (end == ".pid" || end == ".lock")) {
			return false
		}
	}
	return true
}

// whole puts folders that are ephemeral in place of the sockets in them.
func whole(sockets []string) (paths []string) {
	folders := make(map[string]bool)
	for _, path := range sockets {
		folder := filepath.Dir(path)
		is, known := folders[folder]
		if !known {
			is = ephemeral(folder)
			folders[folder] = is
		}
		if is {
			path = folder
		}
		paths = append(paths, path)
	}
	return paths
}
