package main

import (
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// machineMemory returns how many bytes of memory this process may hope for:
// the machine's, or what its control group is allowed, if that is less.
func machineMemory() int64 {
	total := int64(math.MaxInt64)
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		total = int64(uint64(info.Totalram) * uint64(info.Unit))
	}
	return min(total, groupMemory(os.DirFS("/")))
}

// groupMemory returns the least that the process' control group and those above
// it are allowed (cgroups(7)), of either version; in bytes. Without a limit it is
// the largest number. In a container what is mounted may begin at its own group,
// whatever the process' path is said to be.
func groupMemory(root fs.FS) int64 {
	least := int64(math.MaxInt64)
	lines, _ := fs.ReadFile(root, "proc/self/cgroup")
	for line := range strings.Lines(string(lines)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		mount, file := "sys/fs/cgroup", "memory.max"
		switch {
		case parts[0] == "0" && parts[1] == "":
		case slices.Contains(strings.Split(parts[1], ","), "memory"):
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for at := path.Clean("/" + parts[2]); ; at = path.Dir(at) {
			text, _ := fs.ReadFile(root, path.Join(mount, at, file))
			if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 { // "max" is none
				least = min(least, n)
			}
			if at == "/" {
				break
			}
		}
	}
	return least
}

// residentMemory returns how much memory of this process is resident now, in
// bytes (proc(5)); 0 if the kernel does not tell.
func residentMemory() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// peakMemory returns how much memory of this process was resident at most, in
// bytes, the ring included (VmHWM, proc(5)); 0 if the kernel does not tell.
func peakMemory() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, line, _ := strings.Cut(string(text), "\nVmHWM:")
	line, _, _ = strings.Cut(line, " kB")
	n, _ := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	return n << 10
}
