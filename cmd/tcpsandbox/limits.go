package main

import (
	"fmt"
	"math"

	"github.com/spf13/pflag"

	"tcpsandbox/sandbox"
)

// limitFlags is what the command line of run says the application may use at
// most; the baseline may use as much again. Limits of tcpsandbox itself are
// elsewhere.
type limitFlags struct {
	appCPUs       float64
	appMemoryFlag string
	appPIDs       int

	limits sandbox.Limits
}

// leastCPUs is the least share of a processor that the kernel gives out.
const leastCPUs = 0.01

func (l *limitFlags) flags(f *pflag.FlagSet) {
	f.Float64Var(&l.appCPUs, "cpus", 0, "processors that the application may use at most, such as 0.5")
	f.StringVar(&l.appMemoryFlag, "memory", "", "memory that the application may use at most, such as 512M; over that it is killed")
	f.IntVar(&l.appPIDs, "pids", 0, "processes and threads that the application may have at most")
}

// complete reads what was given; given tells of a flag whether it was.
func (l *limitFlags) complete(given func(name string) bool) (err error) {
	if given("cpus") && (!(l.appCPUs >= leastCPUs) || math.IsInf(l.appCPUs, 0) || l.appCPUs > 1e6) {
		return fmt.Errorf("--cpus must be at least %v, such as 1.5, not %v", leastCPUs, l.appCPUs)
	}
	if given("pids") && (l.appPIDs < 1 || l.appPIDs > 1<<22) { // the most that a kernel counts up to
		return fmt.Errorf("--pids must lie between 1 and %d, not %d", 1<<22, l.appPIDs)
	}
	l.limits = sandbox.Limits{CPUs: l.appCPUs, PIDs: l.appPIDs}
	if !given("memory") {
		return nil
	}
	if l.limits.Memory, err = parseSize(l.appMemoryFlag); err != nil {
		return fmt.Errorf("--memory %s: %w", l.appMemoryFlag, err)
	}
	if l.limits.Memory < sandbox.LeastMemory {
		return fmt.Errorf("--memory %s: it needs at least %dM", l.appMemoryFlag, sandbox.LeastMemory>>20)
	}
	return nil
}
