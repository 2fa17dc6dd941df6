package main

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// isExiting reports whether a process is on its way out, or gone: as the kernel
// says, before it closes the first of the process' files.
func isExiting(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		// Where /proc is mounted with hidepid, others' processes are not there for
		// one without capabilities, which a run is by now.
		return os.IsNotExist(err) && unix.Kill(pid, 0) == unix.ESRCH
	}
	// proc_pid_stat(5): the name, which may hold anything, ends with the last
	// parenthesis; after it come state, ppid, pgrp, session, tty_nr, tpgid, flags.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 7 {
		return false
	}
	flags, err := strconv.ParseUint(string(fields[6]), 10, 64)
	const exiting = 0x4 // PF_EXITING, include/linux/sched.h
	return err == nil && flags&exiting != 0
}
