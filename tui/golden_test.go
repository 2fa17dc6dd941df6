package tui

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/aymanbagabas/go-udiff"
)

// updating tells whether -update was given, a flag that teatest brings: the files
// in testdata are to be written anew from what is drawn now.
func updating() bool { return flag.Lookup("update").Value.String() == "true" }

// golden compares what was drawn with testdata/name.golden. After a change that
// is wanted, `go test ./tui -update` writes the files, to be read before they are
// committed.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if updating() {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: go test ./tui -update writes it", err)
	}
	if got != string(want) {
		t.Errorf("%s is drawn otherwise now (go test ./tui -update, if it should be):\n%s", name, udiff.Unified(path, "now", string(want), got))
	}
}
