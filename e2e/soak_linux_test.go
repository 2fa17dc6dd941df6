//go:build soak

package e2e

import (
	"os"
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

// TestEndure runs what lasts: as long as TCPSANDBOX_SOAK says, half an hour if it
// says nothing. Its claims are about memory and accounts, not about rates, so
// the machine may have other things to do.
//
//	make endure
func TestEndure(t *testing.T) {
	lasting := 30 * time.Minute
	if text := os.Getenv("TCPSANDBOX_SOAK"); text != "" {
		var err error
		if lasting, err = time.ParseDuration(text); err != nil {
			t.Fatalf("TCPSANDBOX_SOAK: %v", err)
		}
	}
	patience = lasting + 5*time.Minute
	os.Setenv("LASTING", lasting.String()) // the scripts are parallel tests: they outlast this one
	runScripts(t, "testdata/endure")
}
