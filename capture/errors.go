package capture

import (
	"errors"
	"fmt"
	"io/fs"
)

// inputError is a failure of a capture file or stream.
type inputError struct {
	op, name string
	err      error
}

func (e *inputError) Error() string { return fmt.Sprintf("%s %s: %v", e.op, e.name, e.err) }
func (e *inputError) Unwrap() error { return e.err }

// Hint tells what to do.
func (e *inputError) Hint() string {
	if errors.Is(e.err, errNotCapture) {
		return "give a capture such as this writes: tcpdump -i eth0 -s 0 -w shop.pcap 'tcp port 80'"
	}
	return ""
}

// liveError is a failure of a live capture.
type liveError struct {
	iface string
	err   error
	hint  string
}

func (e *liveError) Error() string { return fmt.Sprintf("capture on %s: %v", e.iface, e.err) }
func (e *liveError) Unwrap() error { return e.err }

// Hint returns the line to paste or what to do; it may be empty.
func (e *liveError) Hint() string { return e.hint }

// errNoInterface is fs.ErrNotExist in words that fit.
var errNoInterface error = noInterface{}

type noInterface struct{}

func (noInterface) Error() string        { return "no such interface, and no file of that name" }
func (noInterface) Is(target error) bool { return target == fs.ErrNotExist }
