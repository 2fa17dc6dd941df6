package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// launchLimit bounds how long init may take to read what it shall run.
const launchLimit = 10 * time.Second

// start checks what is asked for and starts an init process for it. The files
// are those that reply tells of.
func (k *keeperState) start(what *appRequest) (told reply, files []*os.File, err error) {
	job, err := prepare(what, k.rootless, func() ([]string, error) {
		k.origins.look("/proc")
		return pathSockets(hostGroups(os.Getppid()), &k.origins)
	})
	if err != nil {
		return told, nil, err
	}
	in := k.limit(what.Limits)
	told.Init, files, err = k.spawnContained(job, what, in)
	if err != nil && in != nil {
		in.end()
		refused := err
		if told.Init, files, err = k.spawnContained(job, what, nil); err == nil {
			k.warn("%s", notLimited(in.set, refused))
		}
	}
	if err != nil {
		return told, nil, &SetupError{Op: "start the application's init process", Err: err}
	}
	told.Contained, told.Path, told.User = job.Contained, job.Path, job.User
	return told, files, nil
}

// spawnContained starts it contained, unless the host or the request will not
// have that.
func (k *keeperState) spawnContained(job *launch, what *appRequest, in *group) (pid int, files []*os.File, err error) {
	job.Contained = !what.Uncontained
	pid, files, err = k.spawn(job, in)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSPC) {
		k.warn("no process namespace (%v): a process that the application leaves behind ends a moment later than it", err)
		job.Contained = false
		pid, files, err = k.spawn(job, in)
	}
	return pid, files, err
}

// prepare checks all that can be known before anything runs. sockets returns those
// of the host.
func prepare(what *appRequest, rootless bool, sockets func() ([]string, error)) (*launch, error) {
	if len(what.Command) == 0 {
		return nil, &StartError{Command: `""`, Err: errors.New("no command given"), Fix: "tcpsandbox run … -- COMMAND [ARG…]"}
	}
	command, dir := texts[string](what.Command), string(what.Dir)
	who, err := findAccount(string(what.User), texts[string](what.Environ), rootless)
	if err != nil {
		return nil, err
	}
	kept, err := keptCaps(texts[string](what.KeepCaps))
	if err != nil {
		return nil, err
	}
	if dir != "" {
		if info, err := os.Stat(dir); err != nil {
			return nil, &StartError{Command: command[0], Err: fmt.Errorf("working directory: %w", err)}
		} else if !info.IsDir() {
			return nil, &StartError{Command: command[0], Err: fmt.Errorf("working directory %s: %w", dir, syscall.ENOTDIR)}
		}
	}
	env := environ(slices.Concat(withoutHost(texts[string](what.Environ)), who.env, texts[string](what.Env)))
	path, err := findProgram(command[0], dir, env)
	if err != nil {
		return nil, err
	}
	if what.OnlyNamed {
		sockets = nil
	}
	hidden, err := hiddenPaths(texts[string](what.Hide), texts[string](what.Show), sockets)
	if err != nil {
		return nil, err
	}
	return &launch{
		Path: text(path), Args: what.Command, Env: texts[text](env), Dir: what.Dir,
		User: who.identity, KeepCaps: kept, Filter: !what.NoFilter, Hide: texts[text](hidden),
		Limited: what.Limits.PIDs > 0,
	}, nil
}

// spawn starts this program again as the init process, and tells it what to run.
// A contained one is the first of a process namespace, with mounts of its own,
// others are plain children. It begins in a control group, if there is one, which
// ends with it. Nothing is left after an error but the group.
func (k *keeperState) spawn(job *launch, in *group) (pid int, files []*os.File, err error) {
	plumbing, err := openPlumbing()
	if err != nil {
		return 0, nil, err
	}
	defer plumbing.closeTheirs()
	defer func() {
		if err != nil {
			closeAll(plumbing.ours)
		}
	}()
	init := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{initName}, Env: []string{},
		Stdout: plumbing.theirs[1], Stderr: plumbing.theirs[2], ExtraFiles: plumbing.theirs[:1],
		SysProcAttr: &unix.SysProcAttr{Setsid: true},
	}
	if job.Contained {
		init.SysProcAttr.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS
		init.SysProcAttr.Pdeathsig = unix.SIGKILL // of the main thread, which is us (see Main)
	}
	if os.Geteuid() != 0 {
		init.SysProcAttr.AmbientCaps = ownCaps()
	}
	in.enter(init.SysProcAttr)
	if err := init.Start(); err != nil {
		return 0, nil, err
	}
	pid, ended := init.Process.Pid, plumbing.theirs[3]
	plumbing.theirs[3] = nil
	k.mu.Lock()
	k.inits[pid] = init
	k.mu.Unlock()
	go func() {
		init.Wait()
		fared := in.end()
		k.mu.Lock()
		delete(k.inits, pid)
		if in != nil {
			k.fared[pid] = fared
		}
		k.mu.Unlock()
		ended.Close()
	}()
	if err := hostGroups(os.Getppid()).takeAlong(pid, in); err != nil {
		k.warn("the application does not stand back: %v", err)
	}
	if err := tellLaunch(plumbing.ours[0], job); err != nil {
		init.Process.Kill()
		return 0, nil, fmt.Errorf("tell it what to run: %w", err)
	}
	return pid, plumbing.ours, nil
}

// tellLaunch writes what init shall run to its control socket.
func tellLaunch(control *os.File, job *launch) error {
	conn, err := net.FileConn(control)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetWriteDeadline(time.Now().Add(launchLimit))
	return json.NewEncoder(conn).Encode(job)
}

// plumbing is the files between init and the parent, each with its two ends: the
// control socket, the application's standard output and standard error, and a
// pipe whose other end is the keeper's until init was waited for.
type plumbing struct{ ours, theirs []*os.File }

func openPlumbing() (_ *plumbing, err error) {
	p := &plumbing{}
	defer func() {
		if err != nil {
			closeAll(p.ours)
			p.closeTheirs()
		}
	}()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	p.ours = append(p.ours, os.NewFile(uintptr(pair[0]), "control"))
	p.theirs = append(p.theirs, os.NewFile(uintptr(pair[1]), "control"))
	// The kernel then tells with each message which process sent it, see sender.
	if err := unix.SetsockoptInt(pair[0], unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return nil, fmt.Errorf("ask for credentials: %w", err)
	}
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		p.ours, p.theirs = append(p.ours, r), append(p.theirs, w)
	}
	return p, nil
}

func (p *plumbing) closeTheirs() { closeAll(p.theirs) }
