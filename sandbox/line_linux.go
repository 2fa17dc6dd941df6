package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// line carries messages, one JSON value after the other, and files with them
// (unix(7), SCM_RIGHTS). One side asks and the other answers, in turns, so
// whatever files come belong to the message that is read. It is for one
// goroutine at a time; close may be called by another.
type line struct {
	conn    *net.UnixConn
	decoder *json.Decoder
	files   []*os.File // came with what was read since the last message
	room    int        // bytes that the message that is read may still have
	deaf    bool       // files are not taken
}

// Bounds of a message, so that neither side can fill the other's memory. The
// largest is a start: the kernel takes 6 MB of arguments and environment at
// most, and text is a third longer on the line.
const (
	messageMax = 16 << 20
	filesMax   = 8
)

var errTooLong = errors.New("the message is too long")

// newLine takes over a connected stream socket. On a deaf line no file comes in:
// the kernel closes those that are sent.
func newLine(socket *os.File, deaf bool) (*line, error) {
	conn, err := net.FileConn(socket)
	socket.Close()
	if err != nil {
		return nil, err
	}
	l := &line{conn: conn.(*net.UnixConn), deaf: deaf}
	l.decoder = json.NewDecoder(l)
	return l, nil
}

// Read is for the decoder.
func (l *line) Read(p []byte) (int, error) {
	if l.room <= 0 {
		return 0, errTooLong
	}
	p = p[:min(len(p), l.room)]
	n, err := 0, error(nil)
	if l.deaf {
		n, err = l.conn.Read(p)
	} else {
		n, err = l.readFiles(p)
	}
	l.room -= n
	return n, err
}

func (l *line) readFiles(p []byte) (int, error) {
	oob := make([]byte, unix.CmsgSpace(4*filesMax))
	n, oobn, _, _, err := l.conn.ReadMsgUnix(p, oob) // with close-on-exec
	if err != nil {
		return 0, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return n, err
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // of another kind
		}
		for _, fd := range fds {
			name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
			if err != nil {
				name = "file of the keeper"
			}
			l.files = append(l.files, os.NewFile(uintptr(fd), name))
		}
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// receive reads a message, and the files that came with it, which are the
// caller's. They are non-blocking as far as the sender made them so.
func (l *line) receive(message any) (files []*os.File, err error) {
	l.room = messageMax
	err = l.decoder.Decode(message)
	files, l.files = l.files, nil
	if err != nil {
		closeAll(files)
		return nil, err
	}
	return files, nil
}

// send writes a message with files, which remain the caller's.
func (l *line) send(message any, files ...*os.File) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	var fds []int
	for _, f := range files {
		raw, err := f.SyscallConn() // Fd would make it blocking, at the other end, too
		if err == nil {
			err = raw.Control(func(fd uintptr) { fds = append(fds, int(fd)) })
		}
		if err != nil {
			return fmt.Errorf("send %s: %w", f.Name(), err)
		}
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	n, _, err := l.conn.WriteMsgUnix(text, oob, nil)
	if err == nil && n < len(text) {
		_, err = l.conn.Write(text[n:])
	}
	return err
}

func (l *line) close() error { return l.conn.Close() }

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
