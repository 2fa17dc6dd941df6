//go:build !linux

package doctor

import (
	"os"
	"runtime"
)

// ReadHost tells that this is not Linux.
func ReadHost() *Host {
	return &Host{Files: os.DirFS("/"), OS: runtime.GOOS, Arch: runtime.GOARCH, Writable: func(string) bool { return false }}
}
