package sandbox

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// App is an application that was started. Its methods may be called
// concurrently.
//
//	Start ──▶ running ──▶ Exited closed, Status valid
//	              └─ Stop: SIGTERM, after grace SIGKILL
type App struct {
	box       *Sandbox
	name      string // as the user wrote it
	init      int    // process id of the init process
	pid       int
	contained bool
	process   *initProcess
	limits    Limits
	out       output

	sending sync.Mutex // orders go out whole
	exited  chan struct{}
	status  ExitStatus // valid once exited is closed
}

// Start runs an application in the namespace and returns when its program was
// executed. ctx bounds the start only. Several may run at once; each ends with
// Stop, with Close, and with this process. An application that cannot be
// executed is a *StartError, a host that refuses a *SetupError.
func (s *Sandbox) Start(ctx context.Context, cfg AppConfig) (*App, error) {
	return s.start(ctx, cfg, false)
}

// start starts one that is contained unless the host, or a test, will not have it.
func (s *Sandbox) start(ctx context.Context, cfg AppConfig, uncontained bool) (*App, error) {
	told, files, err := s.keeper.ask(request{Start: &appRequest{
		Command: texts[text](cfg.Command), User: text(cfg.User), KeepCaps: texts[text](cfg.KeepCaps), Dir: text(cfg.Dir),
		NoFilter: cfg.NoFilter, Hide: texts[text](cfg.Hide), Show: texts[text](cfg.Show), OnlyNamed: cfg.OnlyNamed, Env: texts[text](cfg.Env),
		Limits: cfg.Limits, Environ: texts[text](os.Environ()), Uncontained: uncontained,
	}})
	for _, w := range told.Warnings {
		s.warn("%s", w)
	}
	if err != nil {
		if s.isClosed() {
			err = fmt.Errorf("start the application: %w", os.ErrClosed)
		}
		return nil, err
	}
	process, err := newInitProcess(s.keeper, told.Init, files)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cfg.Command[0], err)
	}
	a := &App{
		name: cfg.Command[0], init: told.Init, contained: told.Contained,
		process: process, limits: cfg.Limits, out: output{each: cfg.Output}, box: s,
		exited: make(chan struct{}),
	}
	if err := a.started(ctx, &told); err != nil {
		return nil, err
	}
	go a.follow()

	s.mu.Lock()
	closed := s.closed
	s.apps = slices.DeleteFunc(s.apps, (*App).ended)
	s.apps = append(s.apps, a)
	s.mu.Unlock()
	if closed { // while it started
		a.Stop(0)
		return nil, fmt.Errorf("start %s: %w", a.name, os.ErrClosed)
	}
	return a, nil
}

// started waits for init's word that the program runs. On an error nothing is
// left.
func (a *App) started(ctx context.Context, told *reply) error {
	p := a.process
	p.readOutput(&a.out)
	stop := context.AfterFunc(ctx, func() { p.control.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var err error
	for {
		var word notice
		if err = p.notices.Decode(&word); err != nil {
			break
		}
		switch {
		case word.Warning != "":
			a.box.warn("%s", word.Warning)
		case word.Failed != nil:
			p.kill()
			return refused(a.name, told, word.Failed)
		case word.Started != 0:
			a.pid = word.Started
			if told.Contained { // that number is one of init's namespace
				a.pid = p.from.pid
			}
			if !stop() { // ctx ended just now and the deadline is spoiled
				p.kill()
				return fmt.Errorf("start %s: %w", a.name, context.Cause(ctx))
			}
			return nil
		}
	}
	p.kill()
	if ctx.Err() != nil {
		return fmt.Errorf("start %s: %w", a.name, context.Cause(ctx))
	}
	return fmt.Errorf("start %s: its init process ended: %w%s", a.name, err, lastOutput(a.out.last()))
}

// refused makes an error of what init could not do.
func refused(command string, told *reply, f *failure) error {
	errno := syscall.Errno(f.Errno)
	if f.Step != stepExec {
		return &SetupError{Op: f.Step, Err: errno, Fix: cmp.Or(f.Fix, "try --user with an account that is not root, or without --keep-caps")}
	}
	if told.User != nil && (errno == unix.EPERM || errno == unix.EINVAL) {
		return &SetupError{
			Op: fmt.Sprintf("become user %d, group %d", told.User.UID, told.User.GID), Err: errno,
			Fix: fmt.Sprintf("--user %d", os.Geteuid()),
		}
	}
	return startError(command, string(told.Path), errno)
}

// follow sees the application to its end.
func (a *App) follow() {
	p := a.process
	status := ExitStatus{Code: -1, Signal: "SIGKILL"} // init was killed, and with it everything
	for {
		var word notice
		if p.notices.Decode(&word) != nil {
			break
		}
		if word.Exited != nil {
			status = *word.Exited
		}
	}
	p.wait(a.contained)
	a.status = a.box.settle(a.init, a.limits, status)
	close(a.exited)
}

// Pid returns the host's process id of the application, or where the kernel
// does not tell it that of the init process before it.
func (a *App) Pid() int { return a.pid }

// Exited is closed once the application has ended, its status is known, all
// that it forked is gone and its last line was handed out.
func (a *App) Exited() <-chan struct{} { return a.exited }

func (a *App) ended() bool {
	select {
	case <-a.exited:
		return true
	default:
		return false
	}
}

// Status returns how the application ended; zero as long as it runs.
func (a *App) Status() ExitStatus {
	if !a.ended() {
		return ExitStatus{}
	}
	return a.status
}

// LastLines returns the last 20 lines that the application wrote, oldest
// first, each at most 512 bytes of it.
func (a *App) LastLines() []string { return a.out.last() }

// Stop ends the application: SIGTERM to its process group, and SIGKILL to
// everything that it forked when the application has not ended after grace.
// With no grace it is SIGKILL at once. It returns how the application ended,
// also when that was earlier. The error tells of a process that even SIGKILL
// did not end within 10 seconds.
func (a *App) Stop(grace time.Duration) (ExitStatus, error) {
	if grace > 0 && !a.ended() {
		a.order(unix.SIGTERM)
		if a.endsWithin(grace) {
			return a.status, nil
		}
	}
	if !a.ended() {
		a.order(unix.SIGKILL)
	}
	if a.endsWithin(killWait) {
		return a.status, nil
	}
	a.process.takeDown() // init itself hangs, and all goes with it
	if a.endsWithin(killWait) {
		return a.status, nil
	}
	return ExitStatus{}, fmt.Errorf("stop %s (process %d): it does not end after SIGKILL", a.name, a.pid)
}

// order has no error: a control socket that broke means that init ended.
func (a *App) order(signal syscall.Signal) {
	a.sending.Lock()
	defer a.sending.Unlock()
	json.NewEncoder(a.process.control).Encode(order{Signal: int(signal)})
}

func (a *App) endsWithin(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-a.exited:
		return true
	case <-timer.C:
		return a.ended()
	}
}

// String names the application in messages.
func (a *App) String() string { return strings.TrimSpace(a.name) }
