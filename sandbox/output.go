package sandbox

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"sync"
)

// output takes what the application writes apart into lines.
type output struct {
	each func(stream Stream, line []byte) // may be nil

	mu   sync.Mutex
	kept []string // the last lines, oldest first
}

// read takes lines from r until its end, cut at lineLimit.
func (o *output) read(stream Stream, r io.Reader) {
	lines := bufio.NewReaderSize(r, lineLimit)
	rest := false // the last piece ended in the middle of a line
	for {
		line, err := lines.ReadSlice('\n')
		if whole := err == nil; len(line) > 0 && !(rest && whole && len(line) == 1) {
			o.take(stream, bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")))
		}
		rest = errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !rest {
			return
		}
	}
}

func (o *output) take(stream Stream, line []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.kept) == keptLines {
		o.kept = append(o.kept[:0], o.kept[1:]...)
	}
	o.kept = append(o.kept, string(line[:min(len(line), keptLine)]))
	if o.each != nil {
		o.each(stream, line)
	}
}

func (o *output) last() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.kept...)
}
