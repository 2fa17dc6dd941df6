//go:build race

package main

import (
	"errors"
	"os"
	"testing"
)

// TestRightsOfLinkedC: a build that cannot give its rights up, such as one with the
// race detector, says how to make one that can. What others give up is seen from
// outside: e2e, rights.txtar.
func TestRightsOfLinkedC(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("there are no rights to give up without root")
	}
	if kept, _, err := giveUpRights(errands{}); !errors.Is(err, errLinkedC) {
		t.Errorf("kept %v, error %v, want %v", kept, err, errLinkedC)
	}
}
