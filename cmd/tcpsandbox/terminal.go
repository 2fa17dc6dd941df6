package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// hasTerminal reports whether a screen can be drawn on the standard output, and
// keys be read.
func hasTerminal() bool {
	if !isTerminal(os.Stdout) || os.Getenv("TERM") == "dumb" {
		return false
	}
	tty, err := keyboard()
	if err != nil {
		return false
	}
	tty.Close()
	return true
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// keyboard opens the terminal to read keys from: the standard input may be a
// capture, or a pipe.
func keyboard() (*os.File, error) { return os.OpenFile("/dev/tty", os.O_RDWR, 0) }
