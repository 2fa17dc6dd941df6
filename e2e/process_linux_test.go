package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one that the script started. Its output goes to NAME.out and
// NAME.err in the script's directory.
type process struct {
	name  string
	args  []string
	world *world
	cmd   *exec.Cmd
	began time.Time
	ended chan struct{}
}

// start runs a program in a namespace ("host" for none). It is killed when the
// test ends, also if the test is killed itself.
func (w *world) start(name, ns, dir string, getenv func(string) string, args []string) (*process, error) {
	return w.startAs(name, ns, dir, getenv, args, func(*exec.Cmd) {})
}

// startAs is start for a process that is more special: set changes what is to be
// started.
func (w *world) startAs(name, ns, dir string, getenv func(string) string, args []string, set func(*exec.Cmd)) (*process, error) {
	if p := w.processes[name]; p != nil && p.running() {
		return nil, fmt.Errorf("start %s: it runs already", name)
	}
	n := w.namespaces[ns]
	if n == nil {
		return nil, fmt.Errorf("start %s: no namespace %q: call topology first", name, ns)
	}
	p := &process{name: name, args: args, world: w, began: time.Now(), ended: make(chan struct{}), cmd: exec.Command(args[0], args[1:]...)}
	out, err := os.Create(filepath.Join(w.dir, name+".out"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	errOut, err := os.Create(filepath.Join(w.dir, name+".err"))
	if err != nil {
		return nil, err
	}
	defer errOut.Close()
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, out, errOut
	p.cmd.Env = []string{markWorld + "=" + w.dir, markName + "=" + name}
	for _, key := range []string{"PATH", "WORK", "HOME", "TMPDIR", "GOTRACEBACK", "GORACE"} {
		p.cmd.Env = append(p.cmd.Env, key+"="+getenv(key))
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	set(p.cmd)

	started := make(chan error, 1)
	go n.onThread(func() error {
		// The thread stays until the process has ended: its death would be
		// the parent's, as Pdeathsig sees it.
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return err
		}
		err = p.cmd.Wait()
		close(p.ended)
		return err
	})
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	w.processes[name] = p
	w.order = append(w.order, p)
	return p, nil
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// outcome is the exit code, or the name of the signal that ended it.
func (p *process) outcome() string {
	status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return strings.TrimPrefix(unix.SignalName(status.Signal()), "SIG")
	}
	return strconv.Itoa(status.ExitStatus())
}

// wait waits for the end, and for that of everything it started.
func (p *process) wait() error {
	if err := await(p.name+" ends", func() bool { return !p.running() }); err != nil {
		return err
	}
	err := await(p.name+" has no descendants", func() bool { return len(p.world.descendants(p.name)) == 0 })
	if err != nil {
		return fmt.Errorf("%w: %s", err, describe(p.world.descendants(p.name)))
	}
	return nil
}

func (p *process) expect(outcome string) error {
	if err := p.wait(); err != nil {
		return err
	}
	if got := p.outcome(); got != outcome {
		return fmt.Errorf("%s (%s) ended with %s, not %s%s", p.name, strings.Join(p.args, " "), got, outcome, p.lastWords())
	}
	return nil
}

// lastWords is the end of what it wrote.
func (p *process) lastWords() (text string) {
	for _, ext := range []string{".out", ".err"} {
		data, _ := os.ReadFile(filepath.Join(p.world.dir, p.name+ext))
		const most = 3000
		text += fmt.Sprintf("\n[%s%s]\n%s", p.name, ext, data[max(0, len(data)-most):])
	}
	return text
}

func (p *process) signal(name string) error {
	sig := unix.SignalNum("SIG" + name)
	if sig == 0 {
		return fmt.Errorf("no such signal: %s", name)
	}
	return p.cmd.Process.Signal(sig)
}

// end kills it, and its process group, where it still runs.
func (p *process) end() {
	if p.running() {
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
	<-p.ended
}

func killProcess(pid int) error {
	err := syscall.Kill(pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}
