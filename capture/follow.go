package capture

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// Following: a capture file that somebody still writes, such as tcpdump -U -w.
// It is read like a stream whose end is not the file's.

// look is how often a file is asked for more when all of it was read. Looking
// works on network file systems, which tell no inotify of what others write, and
// costs 0.4 % of a core: 42 ms in 10 s, on a machine with other work.
const look = 50 * time.Millisecond

var (
	errReplaced  = errors.New("another file took its name while it was followed, and that one is not read")
	errShortened = errors.New("it was truncated while it was followed")
	errFollowGz  = errors.New("a gzipped file cannot be followed while it grows")
)

// OpenFollowed opens a capture file that grows while it is read. Run waits for
// the file, for its header and for more behind its end, and a record that is
// there in part is waited for. It ends when the file was removed, replaced or
// truncated, with what had been read until then; where that cut something off,
// Stats.Truncated says so. notice, which may be nil, is told by Run's goroutine
// of what the user may wonder about.
//
// The file has one name: what tcpdump -C or -G writes next to it is not read.
func OpenFollowed(path string, notice func(text string)) (Source, error) {
	g := &growing{path: path, notice: notice, closing: make(chan struct{})}
	if g.notice == nil {
		g.notice = func(string) {}
	}
	f, err := openAtOnce(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if info, e := os.Stat(filepath.Dir(path)); e != nil || !info.IsDir() {
			return nil, err // nobody can write it
		}
	case err != nil:
		return nil, err
	default:
		if err := g.take(f); err != nil {
			f.Close()
			return nil, &inputError{op: "follow", name: path, err: err}
		}
	}
	src := newFile(g, path, true)
	g.truncated = &src.truncated
	return src, nil
}

// openAtOnce opens what may turn out to be no file: a pipe would be waited for until
// somebody writes to it, which no signal ends.
func openAtOnce(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// growing is what can be read of a file that somebody writes. Its end is the
// end of following.
type growing struct {
	path      string
	notice    func(string)
	truncated *atomic.Pointer[string] // of the source
	file      atomic.Pointer[os.File] // nil until it exists; Close may come at any time
	offset    int64
	last      bool // it grows no more
	closing   chan struct{}
	closed    atomic.Bool
}

// take makes f the file, if it is one that can be followed.
func (g *growing) take(f *os.File) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("only a file can be followed: what is not one is read to its end anyway")
	}
	var head [4]byte
	switch n, err := f.ReadAt(head[:], 0); {
	case err != nil && err != io.EOF:
		return err
	case n >= 2 && head[0] == 0x1f && head[1] == 0x8b:
		return errFollowGz
	case n == len(head) && detect(head[:], nil) == nil:
		return errNotCapture
	}
	g.file.Store(f)
	return nil
}

// Read waits until there is something, or there will be nothing any more.
func (g *growing) Read(p []byte) (int, error) {
	if g.file.Load() == nil {
		g.notice(g.path + " is not there yet: waiting for it")
	}
	for {
		if f := g.file.Load(); f != nil {
			n, err := f.Read(p)
			g.offset += int64(n)
			if n > 0 {
				return n, nil
			}
			if err != io.EOF || g.last {
				return 0, err
			}
		}
		more, err := g.more()
		if err != nil {
			return 0, err
		}
		if g.last = !more; g.last {
			continue // to what was written just before it went
		}
		select {
		case <-time.After(look):
		case <-g.closing:
			return 0, os.ErrClosed
		}
	}
}

// more reports whether the file may yet grow, and opens it when it is there.
func (g *growing) more() (bool, error) {
	f := g.file.Load()
	if f == nil {
		f, err := openAtOnce(g.path)
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil
		} else if err != nil {
			return false, err
		}
		if err := g.take(f); err != nil {
			f.Close()
			return false, err
		}
		if g.closed.Load() {
			f.Close()
		}
		return true, nil
	}
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	if mine.Size() < g.offset {
		g.cutOff(fmt.Errorf("%w, from %d bytes to %d", errShortened, g.offset, mine.Size()))
		return false, nil
	}
	named, err := os.Stat(g.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		g.notice(g.path + " was removed: the capture ends")
		return false, nil
	case err != nil: // the file system has trouble; the open file may have none
		return true, nil
	case !os.SameFile(mine, named):
		g.cutOff(errReplaced)
		return false, nil
	}
	return true, nil
}

func (g *growing) cutOff(why error) {
	text := why.Error()
	g.truncated.Store(&text)
}

// Close ends Read.
func (g *growing) Close() error {
	if g.closed.Swap(true) {
		return nil
	}
	close(g.closing)
	if f := g.file.Load(); f != nil {
		return f.Close()
	}
	return nil
}
