package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run.json")
	for range 2 { // anew, and over what is there
		if err := WriteFile(path, quiet()); err != nil {
			t.Fatal(err)
		}
	}
	checkJSON(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others may read it", info.Mode(), err)
	}
	link := filepath.Join(dir, "link.json")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(link, quiet()); err != nil {
		t.Fatal(err)
	}
	checkJSON(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v: the file's mode was not kept", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v: something was left behind", entries, err)
	}
}

func checkJSON(t *testing.T, path string) {
	t.Helper()
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(p) {
		t.Errorf("%s: %q", path, p)
	}
}

func TestWriteFileFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "d.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path, message, hint string
		is                  error
	}{
		{filepath.Join(dir, "run.pdf"), "no such format: supported are .json, .xml (JUnit) and .html", "--report run.json", errFormat},
		{filepath.Join(dir, "run"), "no such format: supported are .json, .xml (JUnit) and .html", "--report run.json", errFormat},
		{filepath.Join(dir, "none", "run.json"), "no such file or directory", "mkdir -p " + filepath.Join(dir, "none"), fs.ErrNotExist},
		{filepath.Join(dir, "d.json"), "is a directory", "", syscall.EISDIR},
		{"/dev/full", "no space left on device", "free some space", syscall.ENOSPC},
	} {
		if tt.path == "/dev/full" && !irregular(tt.path) {
			continue // Linux has it, others do not
		}
		err := WriteFile(tt.path, quiet())
		var failed *FileError
		if !errors.As(err, &failed) || !errors.Is(err, tt.is) {
			t.Errorf("%s: %v", tt.path, err)
			continue
		}
		if got := err.Error(); got != "write report "+tt.path+": "+tt.message {
			t.Errorf("%s", got)
		}
		if got := failed.Hint(); !strings.Contains(got, tt.hint) || (got == "") != (tt.hint == "") {
			t.Errorf("%s: hint %q", tt.path, got)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v: something was left behind", entries, err)
	}
}

// The ending says what the file holds.
func TestFormats(t *testing.T) {
	for ending, begins := range map[string]string{".json": "{", ".xml": "<?xml", ".html": "<!doctype html>"} {
		path := filepath.Join(t.TempDir(), "run"+ending)
		if err := CheckName(path); err != nil {
			t.Error(err)
		}
		if err := WriteFile(path, quiet()); err != nil {
			t.Fatal(err)
		}
		p, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(p), begins) {
			t.Errorf("%s: %.20q, %v", ending, p, err)
		}
	}
}

// TestWriteFileFollowsNoTrap: in a folder that others may write to, somebody
// could guess the name of the file beside, and make it a link to a file of ours.
func TestWriteFileFollowsNoTrap(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	if err := os.WriteFile(precious, []byte("as it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "run.json")
	if err := os.Symlink(precious, fmt.Sprintf("%s.%d.partial", path, os.Getpid())); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, &Result{}); err != nil {
		t.Error(err)
	}
	if got, _ := os.ReadFile(precious); string(got) != "as it was" {
		t.Errorf("it became %q", got)
	}
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the report: %v, %v", info, err)
	}
}

// TestCheckLink: another user's link in a folder of everybody's is not followed, all
// others are.
func TestCheckLink(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	if err := os.WriteFile(precious, []byte("as it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	everybodys := filepath.Join(dir, "everybodys")
	if err := errors.Join(os.Mkdir(everybodys, 0o700), os.Chmod(everybodys, 0o777|fs.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(everybodys, "run.json")
	way := filepath.Join(dir, "way.json")
	loop := filepath.Join(dir, "loop.json")
	for from, to := range map[string]string{link: precious, way: "everybodys/run.json", loop: "loop.json"} {
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{precious, link, way, filepath.Join(everybodys, "new.json"), "/dev/stdout"} {
		if err := CheckLink(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := CheckLink(loop); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a loop: %v", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("another user's link needs root")
	}
	if err := os.Lchown(link, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, way} {
		if err := CheckPlace(path); !errors.Is(err, errForeignLink) {
			t.Errorf("%s: %v", path, err)
		}
		if err := WriteFile(path, &Result{}); !errors.Is(err, errForeignLink) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if got, _ := os.ReadFile(precious); string(got) != "as it was" {
		t.Errorf("it became %q", got)
	}
}
