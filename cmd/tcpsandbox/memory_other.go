//go:build !linux

package main

import "math"

// machineMemory returns how many bytes of memory this process may hope for.
// Runs are possible on Linux only.
func machineMemory() int64 { return math.MaxInt64 }

// residentMemory returns how much memory of this process is resident now.
func residentMemory() int64 { return 0 }

// peakMemory returns how much memory of this process was resident at most.
func peakMemory() int64 { return 0 }
