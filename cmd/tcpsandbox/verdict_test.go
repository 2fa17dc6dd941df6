package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"tcpsandbox/compare"
)

// verdictOf gives flags to run, and returns what became of them.
func verdictOf(args ...string) (*verdictFlags, error) {
	v := &verdictFlags{}
	f := pflag.NewFlagSet("run", pflag.ContinueOnError)
	v.flags(f)
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	return v, v.complete()
}

func TestVerdictFlags(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good.yaml", "version: 1\nrules:\n  - status: true\n")
	bad := file("bad.yaml", "version: 1\nrules:\n  - statuses: true\n")
	learn := filepath.Join(dir, "learned.yaml")
	for _, args := range [][]string{
		nil, {"--max-different", "0"}, {"--max-different", "100%"}, {"--max-slowdown", "250%"}, {"--mask", "token,sid", "--mask", "X-Key"},
		{"--rules", good, "--rules", good}, {"--learn", learn}, {"--learn", learn, "--rules", learn},
	} {
		if v, err := verdictOf(args...); err != nil || v.rules == nil || v.secrets == nil {
			t.Errorf("%q: %v", args, err)
		}
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--max-different", "101%"}, "--max-different 101%: want a percentage of at least 0 and at most 100"},
		{[]string{"--max-different", "-1"}, "percentage"},
		{[]string{"--max-different", "some"}, "percentage"},
		{[]string{"--max-slowdown", "nan"}, "--max-slowdown nan: want a percentage of at least 0, such as"},
		{[]string{"--max-slowdown", "inf"}, "percentage"},
		{[]string{"--mask", "a,,b"}, "--mask: a name is empty"},
		{[]string{"--rules", bad}, `bad.yaml:3:5: unknown key "statuses"`},
		{[]string{"--rules", learn}, "learned.yaml: no such file or directory"},
		{[]string{"--rules", dir}, "is a directory"},
		{[]string{"--learn", good}, "was not written by --learn"},
		{[]string{"--learn", dir}, "it is not a file"},
		{[]string{"--learn", filepath.Join(dir, "no", "x.yaml")}, "write rules " + filepath.Join(dir, "no", "x.yaml") + ": no such file or directory"},
	} {
		if _, err := verdictOf(tt.args...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %s", tt.args, err, tt.want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".learn-*")); left != nil {
		t.Errorf("left behind: %q", left)
	}
}

func TestThreshold(t *testing.T) {
	v, err := verdictOf("--max-different", "0.1%")
	if err != nil {
		t.Fatal(err)
	}
	if v.maxDifferent != (threshold{true, 0.001}) || v.maxSlowdown.given {
		t.Errorf("%+v, and the slow-down %+v", v.maxDifferent, v.maxSlowdown)
	}
}

func TestSaveLearned(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "learned.yaml"), filepath.Join(dir, "link.yaml")
	if err := os.Symlink("learned.yaml", link); err != nil {
		t.Fatal(err)
	}
	save := func(name string) {
		t.Helper()
		v, err := verdictOf("--learn", link)
		if err == nil {
			err = v.saveLearned([]compare.LearnedPlace{{Route: "GET /", Place: compare.Place{Kind: compare.InHeader, Name: name}, Differed: 1, Answers: 2}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	save("etag")
	save("via")
	save("etag")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etag", "via"} {
		if n := strings.Count(string(text), name); n != 1 {
			t.Errorf("%s is there %d times:\n%s", name, n, text)
		}
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v: want a file of mode 0600", info.Mode(), err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is one no more: %v, %v", info, err)
	}
	if _, err := verdictOf("--rules", path, "--learn", path); err != nil {
		t.Error(err)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*.partial")); names != nil {
		t.Errorf("left behind: %q", names)
	}
}
