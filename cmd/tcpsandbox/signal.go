package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// signalError is the signal that ended a run.
type signalError struct{ os.Signal }

func (e signalError) Error() string { return "ended by " + e.String() }

// interruptible returns a context that the first SIGINT, SIGTERM or SIGHUP ends, with
// a signalError as its cause. The second ends the process at once; that leaves
// nothing behind, since the kernel ends the application with it, and a full
// screen is left before.
func interruptible(con *console) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	// SIGHUP comes when the terminal or the ssh connection goes away.
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// A reader of the output that goes away, such as head, is no reason to end
	// without a report: what is written then fails with EPIPE.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	quit := make(chan struct{})
	go func() {
		for n := 0; ; n++ {
			select {
			case sig := <-signals:
				if n > 0 {
					con.exit(exitSignal+int(sig.(syscall.Signal)), errors.New("ended by a second signal; nothing more is written"))
				}
				con.say("%v: finishing what is under way; once more to end at once", sig)
				cancel(signalError{sig})
			case <-quit:
				return
			}
		}
	}()
	var once sync.Once
	return ctx, func() {
		once.Do(func() { signal.Stop(signals); close(quit); cancel(nil) })
	}
}
