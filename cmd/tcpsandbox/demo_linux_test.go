package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// buildProgram makes the program as it is released, in a folder of its own
// that every user can look into, so that its processes can be told by it.
func buildProgram(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tcpsandbox-demo-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "tcpsandbox")
	c := exec.Command("go", "build", "-o", program, ".")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// needDemo skips a test where the demo cannot run, or fails it where all tests
// must.
func needDemo(t *testing.T, programs ...string) {
	t.Helper()
	lack := t.Skip
	if os.Getenv("TCPSANDBOX_NEED") == "all" {
		lack = t.Fatal
	}
	if os.Geteuid() != 0 {
		lack("the demo needs root")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			lack(err)
		}
	}
}

// asEqual is a command with a niceness, which a live run keeps: it does not stand
// back behind the tests of other packages, which want the processors meanwhile.
func asEqual(args ...string) *exec.Cmd {
	return exec.Command("nice", append([]string{"-n", "1"}, args...)...)
}

func TestDemo(t *testing.T) {
	needDemo(t)
	program := buildProgram(t)
	before := interfaces(t)
	out, err := asEqual(program, "demo", "--duration", "2s").CombinedOutput()
	if err != nil {
		t.Fatalf("demo: %v\n%s", err, out)
	}
	for _, want := range []string{
		"$ ip netns exec prod " + program + " run --capture eth0:80 --duration 2s -- ",
		"GET /cart", "$.total", "(100 %)", demoBug, demoBilling, " sessions are older than the capture",
		"requests\n", // of the clients' last line
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output lacks %q", want)
		}
	}
	if strings.Contains(string(out), "warning") {
		t.Error("the output has a warning")
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
	if left := processesOf(program); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if after := interfaces(t); after != before {
		t.Errorf("interfaces before: %s, after: %s", before, after)
	}
}

// TestDemoEnds ends the demo at the moments when there is something to clean
// up, and looks for what is left.
func TestDemoEnds(t *testing.T) {
	needDemo(t)
	program := buildProgram(t)
	before := interfaces(t)
	for name, test := range map[string]struct {
		signal syscall.Signal
		when   string // in the output
		code   int    // -1: by the signal
	}{
		"network":     {syscall.SIGINT, "ip netns add", 130},
		"clients":     {syscall.SIGINT, "demo clients", 130},
		"starting":    {syscall.SIGINT, "capturing from", 130},
		"replaying":   {syscall.SIGINT, " listens on ", 130},
		"terminated":  {syscall.SIGTERM, " listens on ", 143},
		"killed":      {syscall.SIGKILL, " listens on ", -1},
		"killed soon": {syscall.SIGKILL, "demo clients", -1},
	} {
		t.Run(name, func(t *testing.T) {
			out := &watched{want: test.when, seen: make(chan struct{})}
			c := asEqual(program, "demo")
			c.Stdout, c.Stderr = out, out
			c.WaitDelay = 20 * time.Second // a process that is left holds the pipe
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-out.seen:
			case <-time.After(20 * time.Second):
				t.Error("never seen:", test.when)
			}
			c.Process.Signal(test.signal)
			c.Wait()
			if got := c.ProcessState.ExitCode(); got != test.code {
				t.Errorf("exit code %d, want %d", got, test.code)
			}
			// Those of a killed demo die at once, but nobody waited for them.
			for deadline := time.Now().Add(5 * time.Second); len(processesOf(program)) > 0; {
				if test.signal != syscall.SIGKILL || time.Now().After(deadline) {
					t.Errorf("left behind: %q", processesOf(program))
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			if after := interfaces(t); after != before {
				t.Errorf("interfaces before: %s, after: %s", before, after)
			}
			if t.Failed() {
				t.Logf("%s", out.String())
			}
		})
	}
}

// TestDemoByHand types what the demo prints into a shell. The shell gets a
// network namespace of its own and an empty /run, so that the names are of no
// concern to this machine.
func TestDemoByHand(t *testing.T) {
	needDemo(t, "ip", "unshare", "mount", "bash")
	program := buildProgram(t)
	printed, err := asEqual(program, "demo", "--duration", "1s").Output()
	if err != nil {
		t.Fatalf("demo: %v\n%s", err, printed)
	}
	script := "mount -t tmpfs none /run\nset -m\n"
	for line := range strings.Lines(string(printed)) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			script += command
		}
	}
	shell := asEqual("unshare", "--mount", "--net", "--pid", "--mount-proc", "--fork", "--kill-child", "bash", "-c", script)
	out, err := shell.CombinedOutput()
	t.Logf("%s", out)
	for _, want := range []string{"GET /cart", "(100 %)", "clients: production answered "} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output lacks %q", want)
		}
	}
	if err != nil {
		t.Errorf("shell: %v", err)
	}
	if left := processesOf(program); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestDemoWithoutRoot(t *testing.T) {
	program := buildProgram(t)
	c := exec.Command(program, "demo")
	if os.Geteuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, _ := c.CombinedOutput()
	if got := c.ProcessState.ExitCode(); got != exitCannot {
		t.Errorf("exit code %d, want %d", got, exitCannot)
	}
	if want := "hint: sudo " + program + " demo\n"; !strings.Contains(string(out), want) {
		t.Errorf("the output %q lacks %q", out, want)
	}
}

// watched is an output of which a part is waited for.
type watched struct {
	want string
	seen chan struct{}

	mu   sync.Mutex
	all  bytes.Buffer
	once sync.Once
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all.Write(p)
	if bytes.Contains(w.all.Bytes(), []byte(w.want)) {
		w.once.Do(func() { close(w.seen) })
	}
	return len(p), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.String()
}

// processesOf lists the command lines of processes that run the program, in
// any namespace.
func processesOf(program string) (lines []string) {
	paths, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, path := range paths {
		if exe, err := os.Readlink(path); err == nil && exe == program {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			lines = append(lines, string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
		}
	}
	return lines
}

// interfaces lists the interfaces of the test's own namespace.
func interfaces(t *testing.T) string {
	t.Helper()
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range links {
		names = append(names, l.Attrs().Name)
	}
	return strings.Join(names, " ")
}

// What production and its clients write does not get on to run's screen.
func TestGate(t *testing.T) {
	var out strings.Builder
	g := &gate{out: &out}
	fmt.Fprint(g, "before ")
	g.shut()
	fmt.Fprint(g, "while ")
	if out.String() != "before " {
		t.Fatalf("while it is shut %q came through", out.String())
	}
	g.open()
	fmt.Fprint(g, "after")
	if out.String() != "before while after" {
		t.Errorf("in the end there is %q", out.String())
	}
}
