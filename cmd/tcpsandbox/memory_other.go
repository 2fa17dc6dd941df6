//go:build !linux

package main

import "math"

// machineMemory returns how many bytes of memory this process may hope for.
// Runs are possible on Linux only.
func machineMemory() int64 { return math.MaxInt64 }
