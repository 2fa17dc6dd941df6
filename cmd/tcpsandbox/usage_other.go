//go:build !linux

package main

import (
	"errors"
	"time"
)

// usedCPU returns how much processor time this process has used. Runs are possible
// on Linux only.
func usedCPU() time.Duration { return 0 }

// readPressure returns how the host's tasks wait for a resource.
func readPressure(string) (string, error) { return "", errors.ErrUnsupported }
