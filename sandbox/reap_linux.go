package sandbox

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// reap waits for children, adopted ones too, until the application itself has
// ended, and returns how.
func (in *initState) reap() ExitStatus {
	for {
		// First look, then reap under the lock: a signal must not reach a
		// process that took over the number.
		if err := waitAny(unix.WEXITED | unix.WNOWAIT); err != nil {
			return ExitStatus{Code: -1, Signal: "SIGKILL"} // no child is left, which cannot be
		}
		in.mu.Lock()
		var ended syscall.WaitStatus
		pid, _ := wait4(&ended, syscall.WNOHANG)
		if pid == in.app {
			in.app = 0
			status := exitStatus(ended)
			status.LeftBehind = status.Code == 0 && !in.ordered && othersRun()
			in.mu.Unlock()
			return status
		}
		in.mu.Unlock()
	}
}

// waitAny is waitid(2) for any child.
func waitAny(options int) error {
	for {
		if err := unix.Waitid(unix.P_ALL, 0, nil, options, nil); err != unix.EINTR {
			return err
		}
	}
}

func wait4(ended *syscall.WaitStatus, options int) (int, error) {
	for {
		pid, err := syscall.Wait4(-1, ended, options, nil)
		if err != syscall.EINTR {
			return pid, err
		}
	}
}

// othersRun reaps what has ended and reports whether any child is left.
func othersRun() bool {
	for {
		pid, err := wait4(nil, syscall.WNOHANG)
		if err != nil {
			return false
		}
		if pid == 0 {
			return true
		}
	}
}

func exitStatus(ended syscall.WaitStatus) ExitStatus {
	if !ended.Signaled() {
		return ExitStatus{Code: ended.ExitStatus()}
	}
	name := unix.SignalName(ended.Signal())
	if name == "" {
		name = fmt.Sprintf("signal %d", int(ended.Signal()))
	}
	return ExitStatus{Code: -1, Signal: name}
}

// killDescendants ends all that the application forked where no process
// namespace does it: each process killed here hands its children to us.
func killDescendants() {
	for {
		for _, pid := range children() {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		if _, err := wait4(nil, 0); err != nil {
			return // ECHILD: none is left
		}
	}
}

// children returns the process ids of our children.
func children() (found []int) {
	us := hostGroups(os.Getpid())
	for _, pid := range processes(us.proc) {
		if parent, _ := us.stat(pid); parent == us.pid {
			found = append(found, pid)
		}
	}
	return found
}
