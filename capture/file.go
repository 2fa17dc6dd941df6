package capture

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
)

// Files and streams: read into one buffer, slice the records out of it without
// copying, hand them on in batches. Before every read all whole records of the
// buffer have been handed on, so a packet never waits for the next.

const (
	// readSize is how much is read at once and batchSize how many packets a
	// batch holds at most. 256 KiB stay in the second-level cache between the
	// read and the copy into the sessions: 64 KiB and 1 MiB were both slower.
	readSize  = 256 << 10
	batchSize = 512
	// maxRecord is the longest record that is believed. The largest packet
	// that exists is 512 KiB (BIG TCP).
	maxRecord = 16 << 20
)

// format slices records out of a buffer: next looks at the record that b
// begins with. An error means that what follows cannot be read.
type format interface {
	next(b []byte, p *Packet) (step, error)
}

// step is what next did.
type step struct {
	used    int   // bytes of the record; 0: it is not there as a whole
	need    int   // with used 0: bytes that must be there first, more than there are
	discard int64 // bytes after the used ones that are of no interest
	packet  bool  // p is filled in; its Data points into b
}

// file is a Source over a capture file or stream.
type file struct {
	name string
	r    io.Reader // what Read delivers: after gzip
	raw  io.Reader // what was opened
	live bool      // may block: read by a goroutine of its own

	format  format
	buf     []byte // unread: buf[from:to]
	from    int
	to      int
	need    int   // bytes that the record at from has at least
	discard int64 // bytes to skip that are not in buf
	batch   []Packet
	records uint64

	packets, bytes, malformed, cut, drops atomic.Uint64
	truncated                             atomic.Pointer[string]
	closing                               chan struct{}
	closeOnce                             sync.Once
	closeErr                              error
}

var (
	errNotCapture = errors.New("not a pcap or pcapng file")
	errStopped    = errors.New("stopped")
)

// OpenFile opens a pcap or pcapng file, plain or gzipped. A FIFO or device is
// read as a stream. The file is closed by Close.
func OpenFile(path string) (Source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err // "open x: no such file or directory"
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if info.IsDir() {
		f.Close()
		return nil, &inputError{op: "open", name: path, err: errors.New("is a directory")}
	}
	if !info.Mode().IsRegular() {
		return newFile(f, path, true), nil
	}
	src := newFile(f, path, false)
	if err := src.begin(); err != nil {
		f.Close()
		return nil, &inputError{op: "open", name: path, err: err}
	}
	return src, nil
}

// OpenStream reads a capture in the same formats from r as it is written, for
// example what `ssh host tcpdump -U -w -` sends. Nothing is read before Run.
// Close closes r if it is an io.Closer. When Run ends early while a read of r
// is blocked, that read, and its goroutine, last until r yields or is closed.
func OpenStream(r io.Reader, name string) (Source, error) {
	if r == nil {
		return nil, &inputError{op: "read", name: name, err: errors.New("no input")}
	}
	return newFile(r, name, true), nil
}

func newFile(r io.Reader, name string, live bool) *file {
	return &file{name: name, raw: r, r: r, live: live, closing: make(chan struct{}), batch: make([]Packet, 0, batchSize)}
}

func (f *file) Name() string { return f.name }
func (f *file) Live() bool   { return f.live }

func (f *file) Stats() Stats {
	s := Stats{
		Packets: f.packets.Load(), Bytes: f.bytes.Load(), KernelDrops: f.drops.Load(),
		Malformed: f.malformed.Load(), Cut: f.cut.Load(),
	}
	if t := f.truncated.Load(); t != nil {
		s.Truncated = *t
	}
	return s
}

func (f *file) Close() error {
	f.closeOnce.Do(func() {
		close(f.closing)
		if c, ok := f.raw.(io.Closer); ok {
			f.closeErr = c.Close()
		}
	})
	return f.closeErr
}

func (f *file) closed() bool {
	select {
	case <-f.closing:
		return true
	default:
		return false
	}
}

// Run delivers the packets of the file.
func (f *file) Run(ctx context.Context, fn func(batch []Packet) error) error {
	err := f.run(ctx, fn)
	var own *inputError
	if (ctx.Err() != nil || f.closed()) && (errors.Is(err, errStopped) || errors.As(err, &own)) {
		return nil
	}
	return err
}

func (f *file) run(ctx context.Context, fn func(batch []Packet) error) error {
	if f.live {
		if f.closed() {
			return nil
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel() // ends the goroutine, also at the end of the input
		f.r = f.background(ctx)
		if err := f.begin(); err != nil {
			return &inputError{op: "read", name: f.name, err: err}
		}
	}
	for {
		if err := f.deliver(ctx, fn); err != nil {
			return err
		}
		if err := f.fill(); err == io.EOF || err == io.ErrUnexpectedEOF {
			f.ended(err)
			return nil
		} else if err != nil {
			return &inputError{op: "read", name: f.name, err: err}
		}
	}
}

// deliver hands on all whole records of the buffer.
func (f *file) deliver(ctx context.Context, fn func(batch []Packet) error) error {
	for more := true; more; {
		more = false
		f.batch = f.batch[:0]
		var size, cut uint64
		var damage error
		for f.from < f.to {
			f.batch = append(f.batch, Packet{})
			p := &f.batch[len(f.batch)-1]
			st, err := f.format.next(f.buf[f.from:f.to], p)
			if err != nil || !st.packet {
				f.batch = f.batch[:len(f.batch)-1]
			} else {
				size += uint64(len(p.Data))
				if p.OrigLen > len(p.Data) {
					cut++
				}
			}
			if err != nil {
				f.malformed.Add(1)
				damage = &inputError{op: "read", name: f.name, err: fmt.Errorf("record %d: %w", f.records+1, err)}
				break
			}
			f.need = st.need
			if st.used == 0 {
				break
			}
			f.records++
			skip := min(st.discard, int64(f.to-f.from-st.used))
			f.from += st.used + int(skip)
			f.discard = st.discard - skip
			if len(f.batch) == batchSize {
				more = true
				break
			}
		}
		if len(f.batch) > 0 {
			f.packets.Add(uint64(len(f.batch)))
			f.bytes.Add(size)
			f.cut.Add(cut)
			if err := fn(f.batch); err != nil {
				return err
			}
		}
		if damage != nil {
			return damage
		}
		if ctx.Err() != nil || f.closed() {
			return errStopped
		}
	}
	return nil
}

// fill reads once, after making room for the record that is there in part.
func (f *file) fill() error {
	for f.discard > 0 { // the buffer is empty then
		n, err := f.r.Read(f.buf[:min(int64(len(f.buf)), f.discard)])
		f.discard -= int64(n)
		if err != nil {
			return err
		}
	}
	rest := copy(f.buf, f.buf[f.from:f.to])
	f.from, f.to = 0, rest
	if f.need > len(f.buf) { // bounded by maxRecord
		f.buf = append(f.buf[:rest], make([]byte, f.need+readSize-rest)...)
	}
	for {
		n, err := f.r.Read(f.buf[f.to:])
		f.to += n
		if n > 0 {
			return nil // an error will come again
		}
		if err != nil {
			return err
		}
	}
}

// ended notes what the end of the input lacks.
func (f *file) ended(err error) {
	var text string
	switch left := f.to - f.from; {
	case f.discard > 0:
		text = fmt.Sprintf("the last record lacks %d bytes", f.discard)
	case left > 0 && f.need > left:
		text = fmt.Sprintf("the last record lacks %d of at least %d bytes", f.need-left, f.need)
	case err == io.ErrUnexpectedEOF: // between two records, but gzip promises more
		text = "the compressed stream breaks off"
	default:
		return
	}
	f.truncated.CompareAndSwap(nil, &text) // of a followed file, why it ended matters more
}

// background returns a reader that gives up when ctx is done or the source
// closed. The goroutine writes only into the buffer of the call that waits for
// it; when that call has given up, Run ends.
func (f *file) background(ctx context.Context) readFunc {
	type result struct {
		n   int
		err error
	}
	asked := make(chan []byte)
	answers := make(chan result, 1)
	go func() {
		for {
			select {
			case p := <-asked:
				n, err := f.raw.Read(p)
				answers <- result{n, err}
			case <-ctx.Done():
				return
			case <-f.closing:
				return
			}
		}
	}()
	return func(p []byte) (int, error) {
		for _, ask := range [2]chan []byte{asked, nil} {
			select {
			case ask <- p:
			case r := <-answers:
				return r.n, r.err
			case <-ctx.Done():
				return 0, errStopped
			case <-f.closing:
				return 0, errStopped
			}
		}
		return 0, errStopped
	}
}

type readFunc func([]byte) (int, error)

func (read readFunc) Read(p []byte) (int, error) { return read(p) }

// begin reads as much as tells the format, and sees to gzip.
func (f *file) begin() error {
	f.buf = make([]byte, readSize)
	err := f.magic()
	if err == nil && f.buf[0] == 0x1f && f.buf[1] == 0x8b {
		if _, grows := f.raw.(*growing); grows {
			return errFollowGz
		}
		head := bytes.Clone(f.buf[:f.to])
		f.to = 0
		z, err := gzip.NewReader(bufio.NewReaderSize(io.MultiReader(bytes.NewReader(head), f.r), readSize))
		if err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		f.r = z
		if err := f.magic(); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	f.format = detect(f.buf[:4], f)
	if f.format == nil {
		return errNotCapture
	}
	return nil
}

// magic reads the first four bytes, or more.
func (f *file) magic() error {
	f.need = 4
	for f.to < 4 {
		if err := f.fill(); err == io.EOF || err == io.ErrUnexpectedEOF {
			return errNotCapture
		} else if err != nil {
			return err
		}
	}
	return nil
}
