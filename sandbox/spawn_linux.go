package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// initProcess is the parent's end of the init process.
type initProcess struct {
	cmd     *exec.Cmd
	control *net.UnixConn
	from    *sender       // under notices
	notices *json.Decoder // of notice
	pipes   [2]*os.File   // the application's stdout and stderr
	reading sync.WaitGroup
	ended   chan struct{} // init was waited for
}

// orphanOutput bounds how long the output of processes that outlive init is
// read, where no process namespace ends them with it.
const orphanOutput = 500 * time.Millisecond

// spawn starts this program again as the init process, inside the namespace and
// in a control group if there is one.
func (s *Sandbox) spawn(job *launch, in *group) (*initProcess, error) {
	p, err := s.spawnAs(true, in)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSPC) {
		s.warn("no process namespace (%v): a process that the application leaves behind ends a moment later than it", err)
		job.Contained = false
		p, err = s.spawnAs(false, in)
	}
	if err != nil {
		return nil, &SetupError{Op: "start the application's init process", Err: err}
	}
	return p, nil
}

// spawnAs makes init the first of a process namespace, with mounts of its own,
// or else a plain child.
func (s *Sandbox) spawnAs(contained bool, in *group) (*initProcess, error) {
	ns, err := s.namespace()
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	files, err := openPlumbing()
	if err != nil {
		return nil, err
	}
	defer files.closeTheirs()
	p := &initProcess{
		cmd: &exec.Cmd{
			Path: "/proc/self/exe", Args: []string{initName}, Env: []string{},
			Stdout: files.theirs[0], Stderr: files.theirs[1], ExtraFiles: files.theirs[2:],
			// A session of its own: Ctrl-C in the terminal is for us to answer.
			SysProcAttr: &unix.SysProcAttr{Setsid: true},
		},
		control: files.control,
		from:    &sender{conn: files.control},
		pipes:   files.ours,
		ended:   make(chan struct{}),
	}
	p.notices = json.NewDecoder(p.from)
	if contained {
		p.cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS
		p.cmd.SysProcAttr.Pdeathsig = unix.SIGKILL
	}
	if os.Geteuid() != 0 {
		// Capabilities that the program's file gives are not given again where it
		// is executed in another mount namespace.
		p.cmd.SysProcAttr.AmbientCaps = ownCaps()
	}
	in.enter(p.cmd.SysProcAttr)
	started := make(chan error)
	onThread(func() {
		err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			err = p.cmd.Start()
		}
		started <- err
		if err != nil {
			return
		}
		// Pdeathsig strikes when the thread that forked ends, so this one
		// stays until init did.
		p.cmd.Wait()
		close(p.ended)
	})
	if err := <-started; err != nil {
		files.closeOurs()
		return nil, err
	}
	return p, nil
}

// namespace returns a file of the network namespace which a Close at the same
// time does not take away.
func (s *Sandbox) namespace() (*os.File, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, os.ErrClosed
	}
	fd, err := unix.FcntlInt(uintptr(s.ns), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "network namespace"), nil
}

// readOutput starts to hand lines out.
func (p *initProcess) readOutput(to *output) {
	p.reading.Go(func() { to.read(Stdout, p.pipes[0]) })
	p.reading.Go(func() { to.read(Stderr, p.pipes[1]) })
}

// kill ends init and everything below it, and gives all files back.
func (p *initProcess) kill() {
	// Without a process namespace init has to clean up: it does when the
	// control socket ends.
	p.control.Close()
	select {
	case <-p.ended:
	case <-time.After(killWait):
		p.cmd.Process.Kill()
	}
	p.wait(false)
}

// wait returns when init was waited for and all output read, with all files
// closed.
func (p *initProcess) wait(contained bool) {
	<-p.ended
	if !contained {
		for _, f := range p.pipes {
			f.SetReadDeadline(time.Now().Add(orphanOutput))
		}
	}
	p.reading.Wait()
	for _, f := range p.pipes {
		f.Close()
	}
	p.control.Close()
}

// plumbing is the files between us and init: its standard output, its standard
// error and the control socket.
type plumbing struct {
	ours    [2]*os.File
	theirs  []*os.File
	control *net.UnixConn
}

func openPlumbing() (_ *plumbing, err error) {
	files := &plumbing{}
	defer func() {
		if err != nil {
			files.closeOurs()
			files.closeTheirs()
		}
	}()
	for i := range files.ours {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		files.ours[i] = r
		files.theirs = append(files.theirs, w)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	files.theirs = append(files.theirs, os.NewFile(uintptr(pair[1]), "control"))
	ours := os.NewFile(uintptr(pair[0]), "control")
	defer ours.Close()
	// The kernel then tells with each message which process sent it, see sender.
	if err := unix.SetsockoptInt(pair[0], unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return nil, fmt.Errorf("ask for credentials: %w", err)
	}
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, err
	}
	files.control = conn.(*net.UnixConn)
	return files, nil
}

func (f *plumbing) closeOurs() {
	for _, file := range f.ours {
		if file != nil {
			file.Close()
		}
	}
	if f.control != nil {
		f.control.Close()
	}
}

func (f *plumbing) closeTheirs() {
	for _, file := range f.theirs {
		file.Close()
	}
}

// sender reads the control socket and notes which process sent what was read
// last. Init sends the notice of the start in the application's name: the
// kernel translates the process id between the namespaces (unix(7),
// SCM_CREDENTIALS), and never joins messages of two senders in one read.
type sender struct {
	conn *net.UnixConn
	pid  int
	oob  [64]byte
}

func (s *sender) Read(p []byte) (int, error) {
	n, oobn, _, _, err := s.conn.ReadMsgUnix(p, s.oob[:])
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, io.EOF
	}
	messages, err := unix.ParseSocketControlMessage(s.oob[:oobn])
	if err != nil {
		return n, nil
	}
	for i := range messages {
		if cred, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			s.pid = int(cred.Pid)
		}
	}
	return n, nil
}
