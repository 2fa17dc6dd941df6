package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// capability is one that a run may keep.
type capability struct {
	number uint
	name   string
}

var (
	mayCapture  = capability{unix.CAP_NET_RAW, "CAP_NET_RAW"}
	mayOverride = capability{unix.CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"}
	mayReplace  = capability{unix.CAP_FOWNER, "CAP_FOWNER"}
)

// errLinkedC: Go does not reach the threads of a program with C code.
var errLinkedC = errors.New("it was built with cgo; with CGO_ENABLED=0, as by make build, it would give them up")

// linksC reports whether this program has C code in it.
func linksC() bool {
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_GETPID, 0, 0, 0)
	return errno == unix.ENOTSUP
}

// giveUpRights takes all capabilities from this process, for good, but those
// that the errands need, and returns these. why is a place that root reaches
// with a capability only, such as a report in a user's folder; "" if there is
// none. Without any it still makes sure that no program that is executed gives
// new ones (PR_SET_NO_NEW_PRIVS(2const)), and that nobody looks into this process:
// where the host has no process namespace the application sees it, has as few
// capabilities as is left here, and may be the same user. It would write itself
// into our memory, and so onto the host's network (ptrace(2), PTRACE_MODE_ATTACH).
// Nor is there a core dump then, with what production's users sent in it.
//
// It took 2.5 ms, and 22 on two cores with 25 processes that wanted them: most of
// that is 41 calls on each thread, which empty the bounding set.
func giveUpRights(e errands) (kept []string, why string, err error) {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return nil, "", fmt.Errorf("keep others from this process: %w", err)
	}
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var own [2]unix.CapUserData
	if err := unix.Capget(header, &own[0]); err != nil {
		return nil, "", fmt.Errorf("read capabilities: %w", err)
	}
	has := func(c uint) bool { return own[c/32].Effective&(1<<(c%32)) != 0 }
	var keep []capability
	if e.live {
		keep = append(keep, mayCapture)
	}
	if has(mayOverride.number) {
		var needed []capability
		if needed, why, err = e.outOfReach(own); err != nil {
			return nil, "", err
		}
		keep = append(keep, needed...)
	}
	var left [2]unix.CapUserData
	stays := func(c uint) bool { return left[c/32].Permitted&(1<<(c%32)) != 0 }
	for _, c := range keep {
		if has(c.number) {
			left[c.number/32].Permitted |= 1 << (c.number % 32)
			kept = append(kept, c.name)
		}
	}
	left[0].Effective, left[1].Effective = left[0].Permitted, left[1].Permitted

	// With C code, as in builds with -race: ENOTSUP.
	for c := uint(0); has(unix.CAP_SETPCAP) && c < 64; c++ {
		if stays(c) {
			continue
		}
		_, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uintptr(c), 0)
		if errno == unix.EINVAL {
			break // the kernel knows no more
		}
		if errno == unix.ENOTSUP {
			return nil, "", errLinkedC
		}
		if errno != 0 {
			return nil, "", fmt.Errorf("empty the bounding set: %w", errno)
		}
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(header)), uintptr(unsafe.Pointer(&left)), 0)
	if errno == unix.ENOTSUP && own[0].Permitted|own[1].Permitted == 0 {
		return nil, "", nil // there are none
	}
	if errno == unix.ENOTSUP {
		return nil, "", errLinkedC
	}
	if errno != 0 {
		return nil, "", fmt.Errorf("give capabilities up: %w", errno)
	}
	_, _, errno = syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	if errno != 0 {
		return nil, "", fmt.Errorf("set no_new_privs: %w", errno)
	}
	return kept, why, nil
}

// outOfReach returns the capabilities without which root, too, cannot reach a
// place, and such a place. It tries, with none in effect: what decides may be
// modes, lists, or a server's opinion.
func (e errands) outOfReach(own [2]unix.CapUserData) (needed []capability, where string, err error) {
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	without := own
	without[0].Effective, without[1].Effective = 0, 0
	runtime.LockOSThread()
	if err := unix.Capset(header, &without[0]); err != nil {
		runtime.UnlockOSThread()
		return nil, "", fmt.Errorf("try without capabilities: %w", err)
	}
	barred := e.barred()
	sticky := e.foreign()
	if err := unix.Capset(header, &own[0]); err != nil {
		return nil, "", fmt.Errorf("try without capabilities: %w", err) // the thread is never used again
	}
	runtime.UnlockOSThread()
	if barred != "" {
		needed, where = append(needed, mayOverride), barred
	}
	if sticky != "" {
		needed, where = append(needed, mayReplace), sticky
	}
	return needed, where, nil
}

// barred returns a place that the calling thread cannot reach, if there is one.
func (e errands) barred() string {
	may := func(path string, mode uint32) bool {
		err := unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS)
		return !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM)
	}
	for _, path := range e.read {
		if !may(path, unix.R_OK) {
			return path
		}
	}
	for _, path := range e.write {
		if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
			if !may(path, unix.W_OK) { // such as /dev/stdout: written in place
				return path
			}
		} else if !may(filepath.Dir(resolved(path)), unix.W_OK|unix.X_OK) {
			return path
		}
	}
	for _, dir := range e.make {
		if !may(dir, unix.W_OK|unix.X_OK) {
			return dir
		}
	}
	return ""
}

// foreign returns a file that is to be replaced, is another user's, and lies in
// a folder such as /tmp, where only its owner may (path_resolution(7), sticky).
func (e errands) foreign() string {
	for _, path := range e.write {
		var file, folder unix.Stat_t
		path := resolved(path)
		if unix.Stat(path, &file) != nil || unix.Stat(filepath.Dir(path), &folder) != nil {
			continue
		}
		us := uint32(os.Geteuid())
		if file.Mode&unix.S_IFMT == unix.S_IFREG && folder.Mode&unix.S_ISVTX != 0 && file.Uid != us && folder.Uid != us {
			return path
		}
	}
	return ""
}
