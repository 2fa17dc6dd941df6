package capture_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// notices is what a source said.
type notices struct {
	mu  sync.Mutex
	all []string
}

func (n *notices) add(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, text)
}

func (n *notices) list() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.all)
}

// until waits for a notice that begins so, after the first skip ones.
func (n *notices) until(t *testing.T, skip int, prefix string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !slices.ContainsFunc(n.list()[min(skip, len(n.list())):], func(s string) bool { return strings.HasPrefix(s, prefix) }) {
		if time.Now().After(deadline) {
			t.Fatalf("nobody said %q; said was %q", prefix, n.list())
		}
		time.Sleep(time.Millisecond)
	}
}
