package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/format"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// listed is what go list tells of a package.
type listed struct {
	ImportPath string
	Dir        string
	Doc        string
	Imports    []string
	Deps       []string
	GoFiles    []string
}

const module = "tcpsandbox"

// packages lists the module's packages as they are built for Linux.
func packages(t *testing.T) (all []listed) {
	t.Helper()
	c := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,Imports,Deps,GoFiles", module+"/...")
	c.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	out, err := c.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
}

// Parts of the world that only some packages may touch.
const (
	gvisor  = "gvisor.dev/"
	linking = "github.com/vishvananda/"
	packet  = "github.com/google/gopacket"
	system  = "golang.org/x/sys/unix"
)

// arrows says what each package must not depend on, directly or through
// others. A name without a dot is a package of ours. A new package needs a row:
// think about its place first.
var arrows = map[string][]string{
	"session":  {"*", gvisor, linking, packet, system},
	"protocol": {"*session", gvisor, linking, packet, system},
	"capture":  {"*session", gvisor, linking},
	"compare":  {"findings", "replay", "capture", "netsim", "sandbox", "report", "tui", gvisor, linking, packet, system},
	"findings": {"replay", "capture", "netsim", "sandbox", "report", "tui", gvisor, linking, packet, system},
	"replay":   {"findings", "capture", "netsim", "sandbox", "report", "tui", gvisor, linking, packet, system},
	"netsim":   {"capture", "replay", "sandbox", "report", "tui", linking},
	"sandbox":  {"*", gvisor, packet},
	"doctor":   {"*", gvisor, linking, packet},
	"report":   {"replay", "capture", "netsim", "sandbox", "tui", gvisor, linking, packet, system},
	"tui":      {"capture", "netsim", "sandbox", gvisor, linking, packet},
	"cmd":      nil,
	"e2e":      nil,
}

func TestImportArrows(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		top, _, _ := strings.Cut(name, "/")
		never, known := arrows[top]
		if !known {
			t.Errorf("package %s has no row in arrows: where is its place?", name)
		}
		if top != "netsim" && slices.ContainsFunc(p.Imports, func(i string) bool { return strings.HasPrefix(i, gvisor) }) {
			t.Errorf("%s imports gVisor: no type of it is known outside netsim", name)
		}
		for _, dep := range p.Deps {
			if forbidden(dep, top, never) {
				t.Errorf("%s depends on %s", name, dep)
			}
		}
	}
}

// forbidden reports whether a row forbids a dependency. "*" is everything of
// ours, "*session" everything but session; a package may always use what lies
// below it.
func forbidden(dep, top string, never []string) bool {
	ours, isOurs := strings.CutPrefix(dep, module+"/")
	depTop, _, _ := strings.Cut(ours, "/")
	for _, n := range never {
		but, all := strings.CutPrefix(n, "*")
		switch {
		case all && isOurs && depTop != top && depTop != but,
			!all && isOurs && depTop == n,
			!all && strings.Contains(n, ".") && strings.HasPrefix(dep, n):
			return true
		}
	}
	return false
}

// compare is a pure function: it opens nothing and asks nobody.
func TestCompareDoesNoIO(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath != module+"/compare" {
			continue
		}
		for _, i := range p.Imports {
			if slices.Contains([]string{"os", "net", "net/http", "io/fs", "io/ioutil", "syscall", "log"}, i) {
				t.Errorf("compare imports %s", i)
			}
		}
		for _, name := range p.GoFiles {
			source, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			for _, clock := range []string{"time.Now(", "time.Since(", "time.Until("} {
				if strings.Contains(string(source), clock) {
					t.Errorf("%s asks the clock: %s…)", name, clock)
				}
			}
		}
	}
}

func TestPackageDocs(t *testing.T) {
	for _, p := range packages(t) {
		want := "Package " + path.Base(p.ImportPath) + " "
		if strings.HasPrefix(p.ImportPath, module+"/cmd/") || strings.HasPrefix(p.ImportPath, module+"/e2e/apps/") || isMain(p) {
			want = ""
		}
		if p.Doc == "" || !strings.HasPrefix(p.Doc, want) {
			t.Errorf("%s: the package doc is %q", p.ImportPath, p.Doc)
		}
	}
}

func isMain(p listed) bool {
	return slices.Contains(p.GoFiles, "main.go")
}

// sources calls f for each text file of the repository.
func sources(t *testing.T, f func(name string, data []byte)) {
	t.Helper()
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() && (base == ".git" || base == "bin" || base == "out") {
			return filepath.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // an editor's
		}
		if err == nil && !bytes.ContainsRune(data[:min(len(data), 8000)], 0) {
			f(name, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFormatted(t *testing.T) {
	sources(t, func(name string, data []byte) {
		if filepath.Ext(name) != ".go" {
			return
		}
		want, err := format.Source(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(want, data) {
			t.Errorf("%s: not as gofmt would have it", name)
		}
	})
}

// No file knows where it was written.
func TestNoPathsOfThisMachine(t *testing.T) {
	here, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	places := []string{here}
	if parent := filepath.Dir(here); len(parent) > 1 {
		places = append(places, parent+"/")
	}
	sources(t, func(name string, data []byte) {
		for _, p := range places {
			if i := bytes.Index(data, []byte(p)); i >= 0 && (i == 0 || !isWord(data[i-1])) {
				t.Errorf("%s mentions %s", name, p)
			}
		}
	})
}

func isWord(c byte) bool {
	return c == '_' || c == '-' || c == '.' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

var flagWord = regexp.MustCompile(`--([a-z][a-z-]+)`)

// The README knows every flag of run, and no flag of its tables is gone.
func TestReadmeFlags(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatal("there is no README.md")
	}
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]bool{}
	for _, m := range flagWord.FindAllSubmatch(readme, -1) {
		written[string(m[1])] = true
	}
	for _, f := range flagsOf(t, "run") {
		if f != "help" && !written[f] {
			t.Errorf("README.md lacks --%s", f)
		}
	}
}

// flagsOf returns the flags of a sub-command, as its help lists them.
func flagsOf(t *testing.T, command ...string) (all []string) {
	t.Helper()
	help, err := exec.Command("go", slices.Concat([]string{"run", module + "/cmd/tcpsandbox"}, command, []string{"--help"})...).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, flags, found := strings.Cut(string(help), "\nFlags:\n")
	if !found {
		t.Fatalf("%s --help has no flags:\n%s", command, help)
	}
	flags, _, _ = strings.Cut(flags, "\n\n")
	for line := range strings.Lines(flags) {
		// The flag stands at the line's beginning; what follows may name others.
		m := regexp.MustCompile(`^ +(?:-\w, )?--([a-z][a-z-]+)`).FindStringSubmatch(line)
		if m != nil {
			all = append(all, m[1])
		}
	}
	return all
}
