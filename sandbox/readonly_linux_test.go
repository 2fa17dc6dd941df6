package sandbox

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMountsBelow(t *testing.T) {
	got, err := mountsBelow(strings.NewReader(`22 28 0:21 / /proc rw,relatime - proc proc rw
23 28 0:22 / /sys rw,nosuid shared:7 - sysfs sysfs rw
24 23 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
25 23 0:24 / /sys/with\040space\134 rw - tmpfs tmpfs rw
26 28 0:25 / /system rw - tmpfs tmpfs rw

27 28 0:26 /
`), "/sys")
	want := []string{"/sys", "/sys/fs/cgroup", `/sys/with space\`}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

func FuzzMountsBelow(f *testing.F) {
	f.Add("23 28 0:22 / /sys rw\n24 23 0:23 / /sys/a\\040b")
	f.Fuzz(func(t *testing.T, mountinfo string) {
		points, _ := mountsBelow(strings.NewReader(mountinfo), "/sys")
		for _, p := range points {
			if p != "/sys" && !strings.HasPrefix(p, "/sys/") {
				t.Errorf("%q is not below /sys", p)
			}
		}
	})
}

// TestKernelReadOnly: an application that is root may not open the kernel's
// switches to write, though no capability guards them, and the host may as
// before.
func TestKernelReadOnly(t *testing.T) {
	box := newBox(t, Config{})
	paths := []string{"/proc/sys/kernel/core_pattern"}
	for _, path := range []string{"/proc/sysrq-trigger", "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/pids/cgroup.procs"} {
		if _, err := os.Lstat(path); err == nil {
			paths = append(paths, path)
		}
	}
	before := make(map[string]string)
	for _, path := range paths {
		before[path] = openToWrite(path)
	}
	app, out := start(t, box, AppConfig{User: ownUser(box), NoFilter: true}, "write", paths...)
	for range paths {
		line := <-out
		// A user may not for another reason already, but for control groups
		// that are theirs.
		if !strings.HasSuffix(line, unix.EROFS.Error()) && !(box.Rootless() && strings.HasSuffix(line, unix.EACCES.Error())) {
			t.Error(line)
		}
	}
	<-app.Exited()
	for _, path := range paths {
		if after := openToWrite(path); after != before[path] {
			t.Errorf("on the host, %s: %s, was %s", path, after, before[path])
		}
	}
}

// openToWrite opens a file and leaves it as it is.
func openToWrite(path string) string {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		f.Close()
		return "open"
	}
	return errors.Unwrap(err).Error()
}
