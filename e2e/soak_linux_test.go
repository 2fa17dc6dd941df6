//go:build soak

package e2e

import (
	"testing"
	"time"
)

// TestSoak runs the scripts that take minutes, or a machine of their own:
//
//	make soak
func TestSoak(t *testing.T) {
	patience = 5 * time.Minute
	runScripts(t, "testdata/soak")
}
