package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"tcpsandbox/sandbox/sandboxtest"
)

// root is where the scripts' directories are; what is in it after the tests
// belongs to scripts that failed.
var root string

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

// asEquals gives all that the tests start a niceness, which tcpsandbox then keeps:
// production, clients and application share the processors with each other and with
// the tests of other packages as equals, and an application that is starved, as it
// is to be beside production, answers late. nice.txtar has the niceness itself.
func asEquals() {
	threads, _ := os.ReadDir("/proc/self/task")
	for _, t := range threads {
		if tid, err := strconv.Atoi(t.Name()); err == nil {
			unix.Setpriority(unix.PRIO_PROCESS, tid, 1)
		}
	}
}

func testMain(m *testing.M) int {
	err := sandboxtest.OpenTUN()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if root, err = os.MkdirTemp("", "tcpsandbox-e2e-"); err == nil {
		err = os.Chmod(root, 0o755) // also for the unprivileged
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.Remove(root) // only if empty
	bin := filepath.Join(root, "bin")
	defer os.RemoveAll(bin)
	if err := build(bin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	asEquals()
	os.Setenv("GORACE", "atexit_sleep_ms=0") // each program would else sleep for a second before its end
	os.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return m.Run()
}

// lookAtSources makes go test's cache depend on what the program is made of: it
// knows only of files that a test itself has looked at, not of those that the
// build in TestMain reads.
func lookAtSources(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != ".." && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		switch filepath.Ext(path) {
		case ".go", ".mod", ".sum":
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// raceDetector: the tests were built with -race, so the program is, too.
var raceDetector bool

// build makes the program as it is released, one static file, since it runs
// itself again as the sandbox's first process; and the tests' own programs.
func build(bin string) error {
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	args, cgo := []string{"build", "-buildvcs=false"}, "CGO_ENABLED=0"
	if raceDetector {
		args, cgo = append(args, "-race"), "CGO_ENABLED=1"
	}
	c := exec.Command("go", append(args, "-o", bin, "tcpsandbox/cmd/tcpsandbox", "tcpsandbox/e2e/apps/testapp", "tcpsandbox/e2e/apps/load",
		"tcpsandbox/e2e/apps/oracle", "tcpsandbox/e2e/apps/mirror", "tcpsandbox/e2e/apps/shop", "tcpsandbox/e2e/apps/hostile", "tcpsandbox/e2e/apps/faulty")...)
	c.Env = append(os.Environ(), cgo)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

func TestScripts(t *testing.T) { runScripts(t, "testdata") }

// runScripts runs the scripts in a directory.
func runScripts(t *testing.T, scripts string) {
	lookAtSources(t)
	if os.Geteuid() != 0 {
		lack(t, "network namespaces need root")
	}
	before := hostState(t)
	t.Cleanup(func() {
		after := hostState(t)
		for _, s := range after {
			if !slices.Contains(before, s) {
				t.Errorf("left behind on the host: %s", s)
			}
		}
	})
	dir, err := os.MkdirTemp(root, "run-") // one for each -count
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) }) // only if empty
	testscript.Run(t, testscript.Params{
		Dir:                 scripts,
		WorkdirRoot:         dir,
		Setup:               setup,
		Cmds:                commands,
		Condition:           condition,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// condition knows [race]: the program was built with the race detector, and needs some
// ten times as much of a processor.
func condition(name string) (bool, error) {
	if name != "race" {
		return false, fmt.Errorf("no condition [%s]", name)
	}
	return raceDetector, nil
}

// tester is what of a test the scripts' surroundings use.
type tester interface {
	Helper()
	Skip(...any)
	Fatal(...any)
}

// lack skips a test that cannot run here, or fails it where all must run.
func lack(t tester, why string) {
	t.Helper()
	if os.Getenv("TCPSANDBOX_NEED") == "all" {
		t.Fatal("TCPSANDBOX_NEED=all, but: " + why)
	}
	t.Skip(why)
}

// hostState lists the interfaces and the named network namespaces of the
// namespace that the tests run in.
func hostState(t *testing.T) (state []string) {
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		state = append(state, "interface "+l.Attrs().Name)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.HasPrefix(line, "nsfs ") {
			state = append(state, "namespace "+strings.Fields(line)[1])
		}
	}
	return state
}

// setup gives a script its world, and takes it away afterwards.
func setup(env *testscript.Env) error {
	tb, ok := env.T().(testing.TB)
	if !ok {
		return fmt.Errorf("%T is no testing.TB", env.T())
	}
	env.Setenv("LASTING", os.Getenv("LASTING")) // of TestEndure
	env.Setenv("GORACE", os.Getenv("GORACE"))
	w, err := newWorld(tb, env.WorkDir)
	env.Values[worldKey{}] = w
	return err
}

// newWorld returns a world without namespaces whose files are in dir. Both go
// with the test, but for the files of one that failed.
func newWorld(tb testing.TB, dir string) (*world, error) {
	w := &world{dir: dir, t: tb, processes: make(map[string]*process), namespaces: make(map[string]*namespace)}
	// Cleanup, not Defer: the verdict is known by then.
	tb.Cleanup(func() {
		w.close()
		if tb.Failed() {
			tb.Logf("left for inspection: %s", w.dir)
			return
		}
		os.RemoveAll(w.dir)
	})
	return w, os.Chmod(dir, 0o777)
}
