package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// switches of the kernel belong to user 0, and the kernel asks those who write
// there for no capability: with what runs after a crash (core(5), core_pattern)
// alone, an application that is root without any leaves every namespace.
var switches = []string{
	"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi", "/proc/scsi", "/proc/asound",
}

// protectKernel makes them read-only in the calling thread's mount namespace,
// and everything mounted at and below /sys, control groups included. /proc and
// /sys stay as they are to look at.
func protectKernel() error {
	// Otherwise the host would have them so, too.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	var errs []error
	for _, path := range switches {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		err := unix.Mount(path, path, "", unix.MS_BIND|unix.MS_REC, "")
		if err == nil {
			err = readOnly(path)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("make %s read-only: %w", path, err))
		}
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	defer f.Close()
	points, err := mountsBelow(f, "/sys")
	errs = append(errs, err)
	for _, path := range points {
		if err := readOnly(path); err != nil {
			errs = append(errs, fmt.Errorf("make %s read-only: %w", path, err))
		}
	}
	return errors.Join(errs...)
}

// readOnly changes a mount, not its file system, which others have mounted too.
// What the mount forbids already it goes on to forbid: in a user namespace the
// kernel insists on that.
func readOnly(path string) error {
	var have unix.Statfs_t
	if err := unix.Statfs(path, &have); err != nil {
		return err
	}
	const forbidden = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC // as in ST_NOSUID and so on
	flags := uintptr(have.Flags) & forbidden
	return unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|flags, "")
}

// mountsBelow returns where something is mounted at or below a folder, from the
// fifth field of each line of a mountinfo file (proc_pid_mountinfo(5)).
func mountsBelow(mountinfo io.Reader, folder string) (points []string, err error) {
	lines := bufio.NewScanner(mountinfo)
	lines.Buffer(nil, 1<<20) // an overlay has a long list of folders
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		point := mountEscapes.Replace(fields[4])
		if point == folder || strings.HasPrefix(point, folder+"/") {
			points = append(points, point)
		}
	}
	return points, lines.Err()
}

// mountEscapes are the bytes that would break the fields.
var mountEscapes = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
