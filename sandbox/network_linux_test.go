package sandbox

import (
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBacklog: what the kernel tells of a listening socket is what was set, and a
// kernel that does not let us set it is a warning only where that is little.
func TestBacklog(t *testing.T) {
	type result struct {
		set string
		got int
		err error
	}
	results := make(chan result, 3)
	onThread(func() {
		defer close(results)
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			results <- result{"", 0, err}
			return
		}
		for _, value := range []string{"128", "4096", "65535"} {
			err := sysctl("net/core/somaxconn", value)
			got := 0
			if err == nil {
				got, err = backlog()
			}
			results <- result{value, got, err}
		}
	})
	for r := range results {
		if r.set == "" {
			t.Skip("a network namespace needs root: ", r.err)
		}
		if r.err != nil || strconv.Itoa(r.got) != r.set {
			t.Errorf("set to %s it is %d, %v", r.set, r.got, r.err)
		}
	}
}
