package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"tcpsandbox/doctor"
)

// tryUserNamespace has a process of its own try, which is root of a user
// namespace: what anybody may be, where the host allows it.
func tryUserNamespace(ctx context.Context) *doctor.Trial {
	ctx, cancel := context.WithTimeout(ctx, trialLimit)
	defer cancel()
	// Pdeathsig strikes when the thread that forked ends: it stays until then.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "doctor", "--trial")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	t := &doctor.Trial{}
	if err == nil {
		err = json.Unmarshal(out, t)
	}
	if err != nil {
		t.Failed = "make a user namespace: " + err.Error()
		if line, _, _ := strings.Cut(said.String(), "\n"); line != "" {
			t.Failed += ": " + line
		}
	}
	return t
}
