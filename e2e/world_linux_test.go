package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// world is what a script has built.
type world struct {
	dir        string
	t          testing.TB
	namespaces map[string]*namespace
	processes  map[string]*process
	order      []*process
	wire       *wire    // nil where it is a veth pair
	unwatch    func()   // may be nil
	sampled    *sampler // nil: nothing is
}

type worldKey struct{}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// patience bounds every wait. A script that passes waits for less than a
// second at a time; with the machine shared by others it has been five.
var patience = 30 * time.Second

// await waits until a condition holds. It looks every few milliseconds: the
// things waited for (a socket, a line in a file, a process of another
// namespace) announce themselves to nobody.
func await(what string, holds func() bool) error {
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			return fmt.Errorf("not after %v: %s", patience, what)
		}
		time.Sleep(3 * time.Millisecond)
	}
	return nil
}

// close ends what the script started, and fails the test if tcpsandbox left
// anything behind.
func (w *world) close() {
	if w.t.Failed() {
		w.lastReports()
	}
	for i := len(w.order) - 1; i >= 0; i-- {
		w.order[i].end()
	}
	if left := w.descendants(""); len(left) > 0 {
		w.t.Errorf("processes left behind: %s", describe(left))
		for _, pid := range left {
			killProcess(pid)
		}
	}
	if w.unwatch != nil {
		w.unwatch()
	}
	for name, ns := range w.namespaces {
		links, err := ns.links()
		if err != nil {
			w.t.Error(err)
		}
		if got := strings.Join(links, " "); got != "lo eth0" && err == nil {
			w.t.Errorf("namespace %s has the interfaces %s, it began with lo eth0", name, got)
		}
	}
	for _, ns := range w.namespaces { // the first takes the veth pair along
		ns.close()
	}
	if w.wire != nil {
		w.wire.close()
	}
}

// lastReports has every tcpsandbox that still runs say what it knows: the
// report it leaves is what tells why the script waited in vain.
func (w *world) lastReports() {
	for _, p := range w.order {
		if p.args[0] != "tcpsandbox" || !p.running() {
			continue
		}
		p.signal("INT")
		if err := await(p.name+" ends", func() bool { return !p.running() }); err != nil {
			w.t.Log(err)
			continue
		}
		w.t.Logf("%s, asked for its report:%s", p.name, p.lastWords())
	}
}

// descendants returns the running processes that stem from the script's
// process of that name, or from any of the script's if name is empty. What
// they inherit and cannot lose by fork or setsid is the environment.
func (w *world) descendants(name string) (pids []int) {
	mark := "\x00" + markWorld + "=" + w.dir + "\x00"
	if name != "" {
		mark += markName + "=" + name + "\x00"
	}
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range files {
		env, err := os.ReadFile(f)
		if err != nil || !strings.Contains("\x00"+string(env), mark) {
			continue
		}
		var pid int
		fmt.Sscanf(f, "/proc/%d/", &pid)
		pids = append(pids, pid)
	}
	return pids
}

// The environment variables that mark a script's processes, one after the
// other at the beginning of the environment.
const (
	markWorld = "E2E_WORLD"
	markName  = "E2E_PROCESS"
)

func describe(pids []int) string {
	var all []string
	for _, pid := range pids {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		all = append(all, fmt.Sprintf("%d (%s)", pid, strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))))
	}
	return strings.Join(all, ", ")
}
