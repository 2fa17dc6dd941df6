package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// The init process is this program again, which the keeper starts:
//
//	parent ── control socket ── init (process 1 of its namespace) ── application
//
// In order: it reads its launch, gets a /proc of its own, in which the
// kernel's switches are read-only, hides files, takes
// privileges away, starts the application, reaps whatever the application
// orphans, and reports how the application ended. When it ends itself, for whatever reason,
// the kernel kills all processes of its namespace.
const (
	// initName is its argv[0]. It takes the control socket besides to be init.
	initName  = "tcpsandbox-init"
	controlFD = 3
	stepExec  = "start"
)

// Main must be the first call in main. In the keeper and in the init process it
// never returns; otherwise it does nothing.
func Main() {
	if len(os.Args) == 0 {
		return
	}
	run := map[string]func() error{initName: runInit, keeperName: runKeeper}[os.Args[0]]
	var stat unix.Stat_t
	if run == nil || unix.Fstat(controlFD, &stat) != nil || stat.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return
	}
	// Privileges belong to threads: the one that drops them must be the one
	// that forks, and it must last, since it stands behind Pdeathsig.
	runtime.LockOSThread()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, os.Args[0]+":", err)
		syscall.Exit(1)
	}
	syscall.Exit(0) // os.Exit takes a second in a binary built with -race
}

// initState is the init process.
type initState struct {
	launch
	control *net.UnixConn

	mu      sync.Mutex
	app     int  // process id, and process group; 0 once it was reaped
	ordered bool // a signal was asked for
}

func runInit() error {
	file := os.NewFile(controlFD, "control")
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return fmt.Errorf("open control socket: %w", err)
	}
	in := &initState{control: conn.(*net.UnixConn)}
	orders := json.NewDecoder(in.control)
	if err := orders.Decode(&in.launch); err != nil {
		return fmt.Errorf("read launch: %w", err)
	}
	// Asked for all signals: the application then starts with none ignored.
	signals := make(chan os.Signal, 64)
	signal.Notify(signals)

	if in.Limited {
		haveSpareThreads()
	}
	in.standAlone()
	failed := in.hideFiles()
	if failed == nil {
		failed = in.startApp()
	}
	if failed != nil {
		return in.tell(notice{Failed: failed})
	}
	go in.obey(orders)
	go in.forward(signals)
	status := in.reap()
	if !in.Contained {
		killDescendants()
	}
	return in.tell(notice{Exited: &status})
}

func (in *initState) tell(n notice) error { return json.NewEncoder(in.control).Encode(n) }

// standAlone makes the end of the parent, and of processes below, reach us.
func (in *initState) standAlone() {
	if !in.Contained {
		// Orphans come to us and not to the host's init.
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			in.tell(notice{Warning: fmt.Sprintf("adopt orphans: %v", err)})
		}
		return
	}
	// The kernel forgot it if this program has file capabilities.
	unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
	if err := freshProc(); err != nil {
		in.tell(notice{Warning: fmt.Sprintf("the application sees the host's processes: %v", err)})
	}
	if err := protectKernel(); err != nil {
		in.tell(notice{Warning: fmt.Sprintf("the application, as root, could change the kernel's settings: %v", err)})
	}
}

// hideFiles needs mounts of our own: the host's are not touched.
func (in *initState) hideFiles() *failure {
	if len(in.Hide) == 0 {
		return nil
	}
	step, err := "hide files in a mount namespace", error(unix.ENOTSUP)
	if in.Contained {
		step, err = hide(in.Hide)
	}
	if err == nil {
		return reenter()
	}
	f := failed(step, err)
	f.Fix = hideFix
	return f
}

// reenter looks the working directory up again. One that is hidden, or lies in a
// folder that is, would lead below what hides it: what is covered is a path, not
// the folder that somebody is in already.
func reenter() *failure {
	dir, err := os.Getwd()
	if err == nil {
		err = os.Chdir(dir)
	}
	if err == nil {
		return nil
	}
	f := failed("enter the working directory again, with what is hidden in place", err)
	f.Fix = "start it from a folder that is not hidden"
	return f
}

// filterCalls must be the last before the fork: init itself needs none of what
// is refused after it.
func (in *initState) filterCalls() *failure {
	if !in.Filter {
		return nil
	}
	if !filterKnown {
		in.tell(notice{Warning: "system calls are not filtered on " + runtime.GOARCH + ": the filter is for amd64 and arm64"})
		return nil
	}
	if err := filterCalls(); err != nil {
		f := failed("filter the application's system calls", err)
		f.Fix = "where the kernel has no seccomp: --no-seccomp"
		return f
	}
	return nil
}

// startApp forks the application, in a session of its own and with nothing of
// ours open.
func (in *initState) startApp() *failure {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return failed("open "+os.DevNull, err)
	}
	defer null.Close()
	attr := &syscall.ProcAttr{
		Dir: string(in.Dir), Env: texts[string](in.Env), Files: []uintptr{null.Fd(), 1, 2},
		Sys: &syscall.SysProcAttr{Setsid: true},
	}
	if !in.Contained {
		attr.Sys.Pdeathsig = syscall.SIGKILL
	}
	if f := in.dropPrivileges(attr.Sys); f != nil {
		return f
	}
	closeOnExec()
	// The fork hands on the thread's signal mask, which came from whoever
	// started us.
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil); err != nil {
		return failed("unblock signals", err)
	}
	if f := in.filterCalls(); f != nil {
		return f
	}
	in.app, err = syscall.ForkExec(string(in.Path), texts[string](in.Args), attr)
	if err != nil {
		return failed(stepExec, err)
	}
	giveWay(in.app)
	// The ends of the pipes are the application's now: their readers see an
	// end when it is gone.
	unix.Dup3(int(null.Fd()), 1, 0)
	unix.Dup3(int(null.Fd()), 2, 0)
	return in.tellStarted()
}

// tellStarted sends the notice in the application's name (see sender). Where
// the kernel refuses that, it comes in ours.
func (in *initState) tellStarted() *failure {
	word, err := json.Marshal(notice{Started: in.app})
	if err != nil {
		return failed("report the start", err)
	}
	cred := unix.UnixCredentials(&unix.Ucred{Pid: int32(in.app), Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())})
	if _, _, err := in.control.WriteMsgUnix(word, cred, nil); err != nil {
		in.control.Write(word) // an error here: the parent is gone, which obey sees
	}
	return nil
}

// obey carries out the parent's orders until the parent is gone.
func (in *initState) obey(orders *json.Decoder) {
	for {
		var o order
		if orders.Decode(&o) != nil {
			break
		}
		in.signal(syscall.Signal(o.Signal), true)
	}
	if in.Contained {
		syscall.Exit(1)
	}
	in.signal(syscall.SIGKILL, true)
}

// forward passes signals on that somebody sent to us.
func (in *initState) forward(signals <-chan os.Signal) {
	for s := range signals {
		switch s {
		case unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2:
			in.signal(s.(syscall.Signal), false)
		}
	}
}

// signal reaches the application's process group, or with SIGKILL all its
// processes.
func (in *initState) signal(s syscall.Signal, ordered bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.ordered = in.ordered || ordered
	switch {
	case in.app == 0: // the number may be another's by now
	case s == syscall.SIGKILL && in.Contained && os.Getpid() == 1:
		syscall.Kill(-1, s) // all of this process namespace but ourselves
	default:
		syscall.Kill(-in.app, s)
	}
}

// failed puts an error of a step in a message.
func failed(step string, err error) *failure {
	errno := syscall.EIO
	errors.As(err, &errno)
	return &failure{Step: step, Errno: int(errno)}
}

// closeOnExec keeps every file above the standard ones from the application,
// also those that somebody left open for us before.
func closeOnExec() {
	if unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	// Before Linux 5.11.
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, entry := range entries {
		var fd int
		if _, err := fmt.Sscan(entry.Name(), &fd); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}
