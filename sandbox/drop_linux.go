package sandbox

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dropPrivileges takes away from the calling thread, and so from what it
// forks, everything that the application shall never have, and sets attr for
// what the fork must do itself (capabilities(7), PR_SET_NO_NEW_PRIVS(2const)):
//
//	no_new_privs   set-user-ID programs and file capabilities give nothing
//	bounding set   what a root application gets at exec
//	ambient set    what another user gets at exec
func (in *initState) dropPrivileges(attr *syscall.SysProcAttr) *failure {
	uid := os.Geteuid()
	if in.User != nil {
		uid = int(in.User.UID)
		attr.Credential = &syscall.Credential{Uid: in.User.UID, Gid: in.User.GID, Groups: in.User.Groups}
	}
	kept, f := in.permittedCaps()
	if f != nil {
		return f
	}
	err := dropBounding(kept)
	// Without CAP_SETPCAP it cannot be done. For a user it need not be: with
	// no_new_privs the bounding set gives nothing.
	if err != nil && !(errors.Is(err, unix.EPERM) && uid != 0) {
		return failed("drop capabilities", err)
	}
	if err := dropInherited(); err != nil {
		return failed("drop inherited capabilities", err)
	}
	if uid != 0 {
		for _, c := range kept {
			attr.AmbientCaps = append(attr.AmbientCaps, uintptr(c))
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return failed("set no_new_privs", err)
	}
	return nil
}

// keepNeeded takes from this process, for good, what the keeper has no use for: of
// the capabilities that open a sandbox it needs two, and of the others whatever
// the application may keep, besides those by which it becomes somebody else,
// reaches a user's files and ends processes. Each thread has its own; where C code
// is linked in, as with -race, only the calling one gives them up, which is the one
// that starts init.
func keepNeeded() error {
	own, err := capget()
	if err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	var needed [2]uint32
	for c, name := range capabilities {
		if opening[name] == "" || c == unix.CAP_SYS_ADMIN || c == unix.CAP_NET_ADMIN {
			needed[c/32] |= 1 << (c % 32)
		}
	}
	for c := uintptr(0); own[0].Effective&(1<<unix.CAP_SETPCAP) != 0 && c < 64; c++ {
		if needed[c/32]&(1<<(c%32)) != 0 {
			continue
		}
		errno := everywhere(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c)
		if errno == unix.EINVAL {
			break // the kernel knows no more
		}
		if errno != 0 {
			return fmt.Errorf("drop %d from the bounding set: %w", c, errno)
		}
	}
	for i := range own {
		own[i].Permitted &= needed[i]
		own[i].Effective &= needed[i]
		own[i].Inheritable &= needed[i]
	}
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if errno := everywhere(unix.SYS_CAPSET, uintptr(unsafe.Pointer(header)), uintptr(unsafe.Pointer(&own))); errno != 0 {
		return fmt.Errorf("give capabilities up: %w", errno)
	}
	return nil
}

// everywhere makes a system call on each thread, or at least on the calling one.
//
//go:uintptrescapes
func everywhere(call, a, b uintptr) syscall.Errno {
	_, _, errno := syscall.AllThreadsSyscall(call, a, b, 0)
	if errno == unix.ENOTSUP {
		_, _, errno = syscall.RawSyscall(call, a, b, 0)
	}
	return errno
}

// permittedCaps returns those to keep that we have ourselves. One that the
// user named must be there.
func (in *initState) permittedCaps() ([]uint, *failure) {
	own, err := capget()
	if err != nil {
		return nil, failed("read capabilities", err)
	}
	var kept []uint
	for _, c := range in.KeepCaps {
		switch {
		case own[c/32].Permitted&(1<<(c%32)) != 0:
			kept = append(kept, c)
		case c != unix.CAP_NET_BIND_SERVICE: // low ports are open to all in the namespace
			return nil, failed("keep capability "+capabilities[c], unix.EPERM)
		}
	}
	return kept, nil
}

func dropBounding(kept []uint) error {
	for c := uint(0); ; c++ {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			return nil // the kernel knows no more
		}
		if err != nil {
			return err
		}
		if has == 0 || slices.Contains(kept, c) {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil {
			return err
		}
	}
}

// dropInherited empties the ambient and the inheritable set.
func dropInherited() error {
	err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	if err != nil && !errors.Is(err, unix.EINVAL) { // before Linux 4.3 there is none
		return err
	}
	own, err := capget()
	if err != nil {
		return err
	}
	own[0].Inheritable, own[1].Inheritable = 0, 0
	return unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &own[0])
}

// ownCaps returns the numbers of the capabilities that we have.
func ownCaps() (numbers []uintptr) {
	own, err := capget()
	if err != nil {
		return nil // then init says what it lacks
	}
	for c := range capabilities {
		if own[c/32].Permitted&(1<<(c%32)) != 0 {
			numbers = append(numbers, uintptr(c))
		}
	}
	return numbers
}

// capget returns the calling thread's capabilities, 32 in each element.
func capget() (own [2]unix.CapUserData, err error) {
	err = unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &own[0])
	return own, err
}
