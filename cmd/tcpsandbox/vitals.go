package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"time"
)

// vitals writes how many goroutines there are, and how many bytes of the heap
// outlived the last collection, into a file, a line each second, until stop is
// called: what of a run that lasts cannot be seen from outside.
func vitals(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, private)
	if err != nil {
		return nil, err
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	stopTicks := every(time.Second, func() {
		metrics.Read(live)
		fmt.Fprintln(f, runtime.NumGoroutine(), live[0].Value.Uint64())
	})
	return func() {
		stopTicks()
		f.Close()
	}, nil
}
