package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// keeper is the parent's end of the keeper process. Its methods may be called
// concurrently.
type keeper struct {
	rootless bool // it is in a user namespace that was made for it

	mu    sync.Mutex // one question at a time
	line  *line
	cmd   *exec.Cmd
	said  *crashText
	ended chan struct{} // it was waited for
	gone  error         // why it answers no more; of ask
}

// askLimit bounds how long the keeper may take for an answer: files that a start
// looks at may lie on a network's file system.
const askLimit = 30 * time.Second

// startKeeper starts this program again as the keeper, in a network namespace of
// its own, and for want of privileges in a user namespace, too.
func startKeeper() (*keeper, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("start the sandbox's keeper: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "keeper")
	defer theirs.Close()
	line, err := newLine(os.NewFile(uintptr(pair[0]), "keeper"), false)
	if err != nil {
		return nil, fmt.Errorf("start the sandbox's keeper: %w", err)
	}
	k := &keeper{line: line, said: new(crashText), ended: make(chan struct{})}
	k.cmd = &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{keeperName},
		// One thread does its work. Without the rest the runtime keeps files of
		// control groups open.
		Env:        []string{"GOMAXPROCS=1", "GODEBUG=containermaxprocs=0,updatemaxprocs=0", "GORACE=atexit_sleep_ms=0"},
		ExtraFiles: []*os.File{theirs}, Stderr: k.said,
		// A session of its own: Ctrl-C in the terminal is for us to answer.
		SysProcAttr: &unix.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGKILL, Cloneflags: unix.CLONE_NEWNET},
	}
	k.rootless = !ownsNetworks()
	switch {
	case k.rootless:
		k.inUserNamespace()
	case os.Geteuid() != 0:
		// Capabilities that the program's file gives are not given again by
		// /proc/self/exe in a mount namespace of its own; so they always come
		// this way, and with them the parent's death is heard of.
		k.cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWNS
		k.cmd.SysProcAttr.AmbientCaps = ownCaps()
	}
	started := make(chan error)
	onThread(func() {
		err := k.start()
		started <- err
		if err != nil {
			return
		}
		// Pdeathsig strikes when the thread that forked ends, so this one
		// stays until the keeper did.
		k.cmd.Wait()
		close(k.ended)
	})
	if err := <-started; err != nil {
		line.close()
		return nil, k.refused(err)
	}
	return k, nil
}

// ownsNetworks reports whether we may make and change network namespaces.
func ownsNetworks() bool {
	own, err := capget()
	const needed = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN
	return err == nil && own[0].Effective&needed == needed
}

// inUserNamespace has the keeper own all that it makes. Our user and group are
// themselves there, and nobody else exists: so files have the owners that they
// should have (user_namespaces(7)).
func (k *keeper) inUserNamespace() {
	attr := k.cmd.SysProcAttr
	attr.Cloneflags |= unix.CLONE_NEWUSER | unix.CLONE_NEWNS
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
	if os.Geteuid() == 0 {
		return // who keeps all capabilities over an exec
	}
	for c := range capabilities {
		if _, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0); err == nil { // the kernel knows it
			attr.AmbientCaps = append(attr.AmbientCaps, uintptr(c))
		}
	}
}

// mapping is held while users may be mapped: a property of the whole process.
var mapping sync.Mutex

// start is exec.Cmd's. A program with file capabilities is not for its user to
// look into, so the files in /proc by which users are mapped would be root's; it
// is, for as long as that takes. Nobody may trace it all the same who has less
// capabilities (ptrace(2)).
func (k *keeper) start() error {
	if k.rootless {
		mapping.Lock()
		defer mapping.Unlock()
		was, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		if err == nil && was != 1 && unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) == nil {
			defer unix.Prctl(unix.PR_SET_DUMPABLE, uintptr(was), 0, 0, 0)
		}
	}
	return k.cmd.Start()
}

// refused says why there is no keeper.
func (k *keeper) refused(err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) {
		err = errno // without "fork/exec /proc/self/exe"
	}
	if !k.rootless {
		return &SetupError{Op: "make a network namespace", Err: err, Fix: namespaceFix(errno, readSysctl)}
	}
	return &SetupError{
		Op:  "make a user namespace, for want of CAP_SYS_ADMIN and CAP_NET_ADMIN",
		Err: err, Fix: namespaceFix(errno, readSysctl),
	}
}

// restricted explains an error in a user namespace that was made and gives no
// right all the same, as with AppArmor's restriction.
func (k *keeper) restricted(err error) error {
	if !k.rootless || !errors.Is(err, unix.EPERM) {
		return err
	}
	if fix := forbiddenBy(unix.EPERM, readSysctl); fix != "" {
		return &SetupError{Op: "make a network in a user namespace", Err: err, Fix: fix}
	}
	return err
}

// ask has the keeper do something, and returns what it tells, and the files that
// come with it, which are the caller's.
func (k *keeper) ask(what request) (reply, []*os.File, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var told reply
	if k.gone != nil {
		return told, nil, k.gone
	}
	k.line.conn.SetDeadline(time.Now().Add(askLimit))
	err := k.line.send(what)
	var files []*os.File
	if err == nil {
		files, err = k.line.receive(&told)
	}
	if err != nil {
		k.line.close() // what comes now would answer another question
		if errors.Is(err, os.ErrDeadlineExceeded) {
			k.cmd.Process.Kill()
		}
		k.gone = k.lost(err)
		return told, nil, k.gone
	}
	if told.Failed != nil {
		closeAll(files)
		return told, nil, told.Failed.error()
	}
	return told, files, nil
}

// lost tells why the keeper does not answer.
func (k *keeper) lost(err error) error {
	gone := &LostError{PID: k.cmd.Process.Pid}
	select {
	case <-k.ended:
		if !k.cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled() || errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		gone.Why = fmt.Sprintf("was ended (%v), by somebody or by the kernel for want of memory", k.cmd.ProcessState)
		return gone
	case <-time.After(100 * time.Millisecond):
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		gone.Why = fmt.Sprintf("did not answer within %v: it was stopped, or this machine is too busy", askLimit)
		return gone
	}
	select {
	case <-k.ended:
		return fmt.Errorf("the sandbox's keeper ended: %v%s", k.cmd.ProcessState, k.said)
	default:
		return fmt.Errorf("ask the sandbox's keeper: %w", err)
	}
}

// end ends the keeper, and with it whatever it holds. It returns when that is
// gone.
func (k *keeper) end() {
	if k.mu.TryLock() { // else a question hangs
		k.line.conn.SetDeadline(time.Now().Add(killWait))
		k.line.send(request{End: true}) // or it is gone
		k.mu.Unlock()
	}
	k.line.close()
	select {
	case <-k.ended:
	case <-time.After(killWait):
		k.cmd.Process.Kill()
		<-k.ended
	}
}

// crashText keeps the beginning of what the keeper writes to its standard error:
// nothing, unless it crashes.
type crashText struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (c *crashText) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buf.Write(p[:min(len(p), 4096-min(4096, c.buf.Len()))])
	return len(p), nil
}

func (c *crashText) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buf.Len() == 0 {
		return ""
	}
	return "; it wrote:\n\t" + strings.ReplaceAll(strings.TrimSpace(c.buf.String()), "\n", "\n\t")
}
