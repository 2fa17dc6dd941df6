package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// steering are patterns of the sockets by which a program with no network
// leaves its sandbox all the same: whoever listens there runs programs, mounts
// file systems or looks names up, on the host, for those who may connect. A
// whole folder is hidden where nothing else is in it: a socket that is made anew
// is not seen there either.
var steering = []string{
	"/run/docker.sock", "/run/docker", "/run/containerd", "/run/podman", "/run/crio", "/run/libvirt",
	"/run/snapd.socket", "/run/snapd-snap.socket", "/var/lib/lxd/unix.socket", "/var/snap/lxd/common/lxd/unix.socket",
	"/run/dbus", "/run/systemd/private", "/run/systemd/resolve/io.systemd.Resolve*",
	"/run/nscd", "/run/avahi-daemon",
	// What is written to the host's log goes on from there: to those who read it,
	// to other machines, to alarms. And nobody could tell it from production's.
	"/dev/log", "/run/systemd/journal", "/run/systemd/notify",
	"/run/user/*/bus", "/run/user/*/systemd", "/run/user/*/docker.sock", "/run/user/*/podman",
}

// hiddenPaths returns what shall be hidden, without symbolic links, each once,
// nothing that lies in another: what is named, and of steering and the host's
// sockets, which are nil if none but the named shall be, all that is not shown.
// What is named or shown must exist.
func hiddenPaths(named, shown []string, sockets func() ([]string, error)) ([]string, error) {
	all, err := resolved(named, hideRefused)
	if err != nil {
		return nil, err
	}
	spared, err := resolved(shown, showRefused)
	if err != nil {
		return nil, err
	}
	for _, path := range spared {
		if i := slices.IndexFunc(all, func(folder string) bool { return path == folder || inside(path, folder) }); i >= 0 {
			return nil, showRefused(path, fmt.Errorf("--hide %s hides it", all[i]))
		}
	}
	if sockets != nil {
		byDefault, err := sockets()
		if err != nil {
			return nil, err
		}
		for _, pattern := range steering {
			found, err := existing(pattern)
			if err != nil {
				return nil, err
			}
			byDefault = append(byDefault, found...)
		}
		for _, path := range whole(byDefault) {
			rest, err := spare(path, spared)
			if err != nil {
				return nil, hideRefused(path, err)
			}
			all = append(all, rest...)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	covered := make(map[string]bool)
	var outer []string
	for _, path := range all { // a folder comes before what is in it
		if !below(path, covered) {
			covered[path] = true
			outer = append(outer, path)
		}
	}
	return outer, nil
}

// resolved returns paths as the kernel has them.
func resolved(paths []string, refused func(string, error) error) (all []string, err error) {
	for _, path := range paths {
		found, err := filepath.Abs(path)
		if err == nil {
			found, err = filepath.EvalSymlinks(found)
		}
		if err == nil && found == "/" {
			err = errors.New("it is everything")
		}
		if err != nil {
			return nil, refused(path, err)
		}
		all = append(all, found)
	}
	return all, nil
}

func inside(path, folder string) bool { return strings.HasPrefix(path, folder+"/") }

// below reports whether a path lies in one of the folders.
func below(path string, folders map[string]bool) bool {
	for dir := filepath.Dir(path); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if folders[dir] {
			return true
		}
	}
	return false
}

// spare returns what is left to hide of a path when some are to be shown: of a
// folder with one of them in it all the others.
func spare(path string, shown []string) (rest []string, err error) {
	within := false
	for _, s := range shown {
		if path == s || inside(path, s) {
			return nil, nil
		}
		within = within || inside(s, path)
	}
	if !within {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Type() == fs.ModeSymlink {
			continue // what it leads to counts
		}
		more, err := spare(filepath.Join(path, e.Name()), shown)
		if err != nil {
			return nil, err
		}
		rest = append(rest, more...)
	}
	return rest, nil
}

// existing returns what there is of a pattern, and of the same in /var/run,
// which is /run on most machines and on others a folder of its own.
func existing(pattern string) (all []string, err error) {
	patterns := []string{pattern}
	if rest, ok := strings.CutPrefix(pattern, "/run/"); ok {
		patterns = append(patterns, "/var/run/"+rest)
	}
	for _, p := range patterns {
		paths, _ := filepath.Glob(p) // the patterns are well-formed
		for _, path := range paths {
			found, err := filepath.EvalSymlinks(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue // it went away, or is a link to nothing
			}
			if outOfReach(err) {
				continue
			}
			if err != nil {
				return nil, hideRefused(path, err)
			}
			all = append(all, found)
		}
	}
	return all, nil
}

func hideRefused(path string, err error) error {
	return &SetupError{Op: "hide " + path, Err: withoutPath(err), Fix: hideFix}
}

func showRefused(path string, err error) error {
	return &SetupError{Op: "show " + path, Err: withoutPath(err), Fix: "name a path that is there and not hidden with --show; all is shown with --hide none"}
}

// withoutPath leaves out the path, which is in the message already.
func withoutPath(err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}

const hideFix = "name a path that is there with --hide, or hide nothing: --hide none"

// hide puts an empty folder or /dev/null over each path, in the calling
// thread's mount namespace. Without CAP_SYS_ADMIN nobody takes them off again.
// A socket whose name is removed and made anew is seen again: a mount goes with
// the file that it lies on. With an error it returns what it was about.
func hide(paths []text) (step string, err error) {
	// Otherwise the host would have them hidden, too.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return "make mounts private", err
	}
	for _, path := range paths {
		info, err := os.Lstat(string(path))
		if err == nil {
			err = cover(string(path), info.IsDir())
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue // it went away meanwhile
		}
		if err != nil {
			return "hide " + string(path), err
		}
	}
	return "", nil
}

func cover(path string, folder bool) error {
	if !folder {
		return unix.Mount(os.DevNull, path, "", unix.MS_BIND, "")
	}
	const flags = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	return unix.Mount("tmpfs", path, "tmpfs", flags, "size=4k,mode=555")
}
