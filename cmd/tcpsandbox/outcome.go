package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"tcpsandbox/report"
	"tcpsandbox/sandbox"
)

// What a run came to: its exit code, where its result goes, and the errors that
// are no step's of its own.

// outcome is what a run came to.
type outcome struct {
	result *report.Result // nil: it could not begin
	code   int            // then
	err    error
}

// play runs an open pipeline and judges what it came to.
func (o *runOptions) play(ctx context.Context, con *console, p *pipeline, begun time.Time) outcome {
	ended, err := p.run(ctx)
	con.done()
	if ended == "" { // it could not begin
		return outcome{code: exitCannot, err: err}
	}
	result := p.assemble(begun, ended)
	result.ExitCode = o.exitCode(result)
	if sig, ok := context.Cause(ctx).(signalError); ok && p.started.IsZero() {
		err = fmt.Errorf("%w before the application listened", sig)
		result.ExitCode = exitSignal + int(sig.Signal.(syscall.Signal))
	} else if err != nil {
		var coded exitError
		result.ExitCode = exitCannot
		if errors.As(err, &coded) {
			result.ExitCode = coded.code
		}
	}
	audit(con, result, p.defects())
	if p.lost != nil {
		err, result.ExitCode = p.lost, exitCannot
	}
	if err != nil {
		con.fail(err)
		p.note(o.secrets.Body("", err.Error())) // it may quote the application
	}
	if err := p.keepFindings(result); err != nil {
		con.fail(err)
		p.note(err.Error())
		result.ExitCode = exitCannot
	}
	if died := p.deaths.last; died != nil && p.world.failed == nil && p.lost == nil {
		con.fail(died)
	}
	return outcome{result: result}
}

// exitCode judges a result.
func (o *runOptions) exitCode(r *report.Result) int {
	limits := report.Limits{FailOn: o.failOn, MaxDifferent: o.maxDifferent.share}
	if o.maxSlowdown.given {
		limits.MaxSlowdown = &o.maxSlowdown.share
	}
	failed := r.Fail(limits)
	switch {
	case r.Ended == report.EndedAppExited, r.App.Died > 0:
		return exitApp
	case failed:
		return exitDifferent
	}
	return exitOK
}

// publish writes the result where it is wanted. The text comes first: a disk
// that is full must not take that away, too.
func (o *runOptions) publish(con *console, r *report.Result) (int, error) {
	if err := r.Text(os.Stdout); err != nil {
		con.fail(fmt.Errorf("write the result: %w", err))
		r.ExitCode = exitCannot
	}
	for _, path := range o.reports {
		if err := report.WriteFile(path, r); err != nil {
			con.fail(err)
			r.ExitCode = exitCannot
		}
	}
	return r.ExitCode, nil
}

// audit makes a result that contradicts itself say so, whatever else it says.
// found is what the engine noticed, which looks at each session; beside that
// the result is checked as it will be written.
func audit(con *console, r *report.Result, found []string) {
	if r.Defects = found; len(found) == 0 {
		r.Defects = r.Check()
	}
	if len(r.Defects) > 0 {
		con.fail(defectError(r.Defects))
		r.ExitCode = exitCannot
	}
}

// defectError is a result that contradicts itself.
type defectError []string

func (e defectError) Error() string {
	return "defect of tcpsandbox: " + strings.Join(e, "; ")
}

// Hint implements hinter.
func (defectError) Hint() string {
	return "do not trust this result; please report it with the command line and, if you can, the capture"
}

// diedError is an application that ended while it was needed.
type diedError struct {
	command string
	status  sandbox.ExitStatus
	lines   []string
	times   int  // that it died so far
	looped  bool // and is not started again for that
}

func (e *diedError) Error() string {
	text := fmt.Sprintf("%s died during the replay: %s", e.command, e.status)
	if e.times > 1 {
		text = fmt.Sprintf("%s died %d times during the replay, in the end: %s", e.command, e.times, e.status)
	}
	if e.looped {
		text += fmt.Sprintf("; it never listened for %v and is not started again", shortLife)
	}
	if len(e.lines) > 0 {
		text += "; its last output:\n\t" + strings.Join(e.lines, "\n\t")
	}
	return text
}

// Hint implements hinter.
func (e *diedError) Hint() string { return e.status.Hint() }
