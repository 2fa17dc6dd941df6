package sandbox

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// onThread runs f in a goroutine with an operating system thread of its own,
// which ends with f: whatever f does to the thread (its namespaces, its
// capabilities) nobody inherits. onThread does not wait for f.
//
// The process' main thread cannot end, it would stay in f's namespace for
// good, and /proc/self/net with it. So f never gets that one.
func onThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f()
			return // without UnlockOSThread: the thread ends here
		}
		other := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(other)
			f()
		}()
		<-other
		runtime.UnlockOSThread()
	}()
}

// sysctl writes one kernel setting of the calling thread's namespace: the
// kernel resolves /proc/sys/net by the namespace of whoever looks it up.
func sysctl(path, value string) error {
	f, err := os.OpenFile("/proc/sys/"+path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(value)
	return err
}

// writableSysctls makes /proc/sys writable for the calling thread where a
// container runtime mounted it read-only: a fresh proc in a mount namespace of
// the thread's own. The thread must be one that ends (see onThread).
func writableSysctls() error {
	var fs unix.Statfs_t
	if err := unix.Statfs("/proc/sys", &fs); err != nil {
		return fmt.Errorf("look at /proc/sys: %w", err)
	}
	if fs.Flags&unix.ST_RDONLY == 0 {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("mount a writable /proc: %w", err)
	}
	return freshProc()
}

// freshProc gives the calling thread's mount namespace, which must not be the
// host's, a /proc of the process namespace that the thread is in.
func freshProc() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}
