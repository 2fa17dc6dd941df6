package main

import (
	"fmt"
	"os"
	"runtime"
	"time"
)

// vitals writes how many goroutines there are into a file, a line each second,
// until stop is called: what of a run that lasts cannot be seen from outside.
func vitals(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, private)
	if err != nil {
		return nil, err
	}
	stopTicks := every(time.Second, func() { fmt.Fprintln(f, runtime.NumGoroutine()) })
	return func() {
		stopTicks()
		f.Close()
	}, nil
}
