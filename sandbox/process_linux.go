package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// initProcess is the parent's end of an init process.
type initProcess struct {
	id      int // process id
	keeper  *keeper
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

// newInitProcess takes over what came with the reply to a start.
func newInitProcess(k *keeper, id int, files []*os.File) (*initProcess, error) {
	if len(files) != 4 {
		closeAll(files)
		return nil, fmt.Errorf("%d files came from the keeper, not 4", len(files))
	}
	conn, err := net.FileConn(files[0])
	files[0].Close()
	if err != nil {
		closeAll(files[1:])
		return nil, err
	}
	p := &initProcess{
		id: id, keeper: k, control: conn.(*net.UnixConn), pipes: [2]*os.File{files[1], files[2]},
		ended: make(chan struct{}),
	}
	p.from = &sender{conn: p.control}
	p.notices = json.NewDecoder(p.from)
	go func() {
		io.Copy(io.Discard, files[3]) // to its end: nobody writes
		files[3].Close()
		// If it was the keeper that ended, an init without a process namespace
		// is there still. It ends at this.
		p.control.CloseWrite()
		close(p.ended)
	}()
	return p, nil
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
		p.takeDown()
	}
	p.wait(false)
}

// takeDown kills init itself. An error means that the keeper is gone, and init
// with it.
func (p *initProcess) takeDown() { p.keeper.ask(request{Kill: p.id}) }

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
