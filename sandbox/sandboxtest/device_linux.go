// Package sandboxtest gives tests of real sandboxes what a host may not give them.
package sandboxtest

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	device = "/dev/net"
	tun    = device + "/tun"
)

// errMayNot: root of a container, say.
var errMayNot = errors.New("no mount namespaces")

// OpenTUN lets every user open /dev/net/tun, as udev does on most hosts: where it is
// root's alone, tests without root would fail for the host's sake. The host's own
// device stays as it is: the process executes itself again, once, in a mount
// namespace of its own with another device node. It is to be called first of all in
// TestMain, and does nothing where it is not needed, and for those who may not.
func OpenTUN() error {
	info, err := os.Stat(tun)
	if os.Getuid() != 0 || err != nil || info.Mode()&0o006 == 0o006 {
		return nil
	}
	switch err := ownTUN(); {
	case errors.Is(err, errMayNot):
		return nil
	case err != nil:
		return fmt.Errorf("open %s to all users, for the tests only: %w", tun, err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return unix.Exec(self, os.Args, os.Environ()) // takes this thread's namespace along
}

// ownTUN puts this thread into a mount namespace with a node of its own.
func ownTUN() error {
	runtime.LockOSThread() // for good: what follows ends this program
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return errMayNot
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tcpsandbox-test", device, "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=755"); err != nil {
		return fmt.Errorf("mount on %s: %w", device, err)
	}
	// mknod(2) takes the umask off.
	return errors.Join(unix.Mknod(tun, unix.S_IFCHR, int(unix.Mkdev(10, 200))), os.Chmod(tun, 0o666))
}
