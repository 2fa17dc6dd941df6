package main

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// usedCPU returns how much processor time this process has used, in user space and
// in the kernel, on all threads (getrusage(2)).
func usedCPU() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// readPressure returns how the kernel says that the host's tasks wait for a
// resource; see pressure. It is an error where the kernel does not tell.
func readPressure(resource string) (string, error) {
	text, err := os.ReadFile("/proc/pressure/" + resource)
	return string(text), err
}
