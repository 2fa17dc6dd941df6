package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"tcpsandbox/report"
	"tcpsandbox/sandbox"
)

// An application that ends while it is needed died, whatever its exit code. With
// --restart on-failure it is started again, in the same namespace:
//
//	         exited                 back-off is over
//	listens ────────▶ down, paused ──────────────────▶ starts ──▶ listens, resumed
//	                    ▲    │ five short lives in a row   │ dies
//	                    │    ▼                             │
//	                    │  the run ends                    │
//	                    └──────────────────────────────────┘
//
// What a death breaks off is the application's fault, unlike what a restart by
// hand does: its sessions are refused or closed early, and go on at their next
// message where they can. What would open or go on while it is down is held.

// Values of --restart.
const (
	restartNever     = "never"
	restartOnFailure = "on-failure"
)

// restartFlags is what the command line of run says about an application that
// dies.
type restartFlags struct {
	restartWhen string // "" is never
}

func (r *restartFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&r.restartWhen, "restart", restartNever, "never, or on-failure: start an application again that dies; the exit code is 4 all the same")
}

func (r *restartFlags) complete() error {
	if r.restartWhen != restartNever && r.restartWhen != restartOnFailure {
		return fmt.Errorf("--restart must be %s or %s, not %q", restartNever, restartOnFailure, r.restartWhen)
	}
	return nil
}

// When an application that died is started again, and how often.
const (
	// shortLife is how long it must have listened so that its death is not the
	// next one of a loop, and longLife so that the back-off begins anew.
	shortLife = 10 * time.Second
	longLife  = time.Minute
	// shortLives in a row are a loop: with the waits between, it took at least
	// seven seconds, which an application that waits for its database's socket
	// may need.
	shortLives = 5
	// firstBackOff is the wait before the second start, and doubles up to
	// maxBackOff; the first is at once.
	firstBackOff = time.Second
	maxBackOff   = 30 * time.Second
	// deathsKept are listed in the report. Each takes 40 bytes there.
	deathsKept = 100
)

// deaths is what a run knows of its application's ends that nobody asked for. It
// belongs to the goroutine that runs the pipeline.
type deaths struct {
	list  []report.Death // the first ones
	count int
	noted *sandbox.App // that died last

	short    int           // lives in a row that were
	backOff  time.Duration // before the next start
	restarts int
	listened time.Time        // since when it listens; zero: it does not yet
	again    <-chan time.Time // when it is started again; nil: it is not down
	last     *diedError
	looped   bool // it is not started again for dying too often
	unmissed bool // it was down when the run was told to end, which is why it ended
}

// note writes a death down, and what it means for the next start.
func (d *deaths) note(at, lived time.Duration, status sandbox.ExitStatus) {
	d.count++
	if len(d.list) < deathsKept {
		d.list = append(d.list, report.Death{At: report.Seconds(at), ExitCode: status.Code, Signal: status.Signal, Listened: report.Seconds(lived)})
	}
	switch {
	case lived >= longLife || d.count == 1:
		d.backOff = 0
	default:
		d.backOff = min(max(2*d.backOff, firstBackOff), maxBackOff)
	}
	if d.short++; lived >= shortLife {
		d.short = 0
	}
	d.looped = d.short >= shortLives
	d.listened = time.Time{}
}

// died is closed once the application has died and nothing was done about that
// yet.
func (p *pipeline) died() <-chan struct{} {
	if app := p.app.app.Load(); app == nil || app == p.deaths.noted {
		return nil
	}
	return p.app.exited()
}

// buried writes the death down of an application that has ended.
func (p *pipeline) buried() {
	d, app, now := &p.deaths, p.app.app.Load(), time.Now()
	var lived time.Duration
	if !d.listened.IsZero() {
		lived = now.Sub(d.listened)
	}
	d.noted = app
	d.note(now.Sub(p.started), lived, app.Status())
	d.last = &diedError{command: p.opt.command[0], status: app.Status(), lines: app.LastLines(), times: d.count, looped: d.looped}
}

// bereaved deals with an application that has just died: all is paused until it
// is started again, or the run ends.
func (p *pipeline) bereaved() (ended string) {
	p.buried()
	d := &p.deaths
	if p.opt.restartWhen != restartOnFailure || d.looped || p.ending {
		// What it owes is refused, instead of waiting for it.
		p.app.revives.Store(false)
		p.order(func(w *world) { w.restarting = false })
		return report.EndedAppExited
	}
	p.order(func(w *world) { w.restarting = true })
	when := "at once"
	if d.backOff > 0 {
		when = "in " + d.backOff.String()
	}
	p.con.warn("%s died: %s; it is started again %s", p.opt.command[0], d.last.status, when)
	due := time.Now().Add(d.backOff)
	p.app.due.Store(&due)
	d.again = time.After(d.backOff)
	return ""
}

// revive starts an application again that died, and returns why the run ends if
// it does.
func (p *pipeline) revive(ctx context.Context) (ended string) {
	p.deaths.restarts++
	err := p.startAgain(ctx)
	switch {
	case err == nil:
		return ""
	case ctx.Err() != nil:
		p.world.hurry()
		return report.EndedSignal
	}
	return p.stillborn(err)
}

// stillborn deals with an application that was started again and does not listen:
// where it died of itself, it may be started once more.
func (p *pipeline) stillborn(err error) (ended string) {
	if p.opt.restartWhen == restartOnFailure {
		select {
		case <-p.died():
			return p.bereaved()
		default:
		}
	}
	p.world.failed = fmt.Errorf("restart: %w", err)
	return report.EndedAppExited
}

// startAgain starts the application again, and resumes all when it listens.
func (p *pipeline) startAgain(ctx context.Context) error {
	p.deaths.again, p.deaths.listened = nil, time.Time{}
	p.app.due.Store(nil)
	p.stand((*sandbox.Sandbox).StandAside)
	if err := p.app.start(ctx); err != nil {
		return err
	}
	p.stand((*sandbox.Sandbox).StandBack)
	p.deaths.listened = time.Now()
	p.order(func(w *world) { w.restarting = false })
	p.con.say("%s listens on %s", p.opt.command[0], p.app.listen)
	return nil
}

// giveUp ends the wait for an application that is down, when the run is to end:
// nobody is there whom anything could be played to, so what is left stays
// pending.
func (p *pipeline) giveUp() {
	p.ending = true
	if p.deaths.again != nil {
		p.deaths.again, p.deaths.unmissed = nil, true
		p.world.hurry()
	}
}

// isDead reports, when nothing is played any more, whether the application has
// died, and the run ends for that. Its connections break some milliseconds before its end is known: a drain
// that ends with the last of them comes too early.
func (p *pipeline) isDead() bool {
	app := p.app.app.Load()
	if app == nil || app == p.deaths.noted {
		return app != nil && !p.deaths.unmissed
	}
	wait := time.NewTimer(p.dying(app.Pid()))
	defer wait.Stop()
	select {
	case <-app.Exited():
	case <-wait.C:
		select {
		case <-app.Exited():
		default:
			return false
		}
	}
	p.buried()
	return true
}

// dying returns how long to wait for the application's death to be known; 0: it
// is not dying. An application that closed its listening sockets may be, where
// the kernel does not tell.
func (p *pipeline) dying(pid int) time.Duration {
	switch {
	case isExiting(pid):
		return 10 * time.Second // what it forked is killed, and the last output read
	case !p.app.stillListens():
		return 500 * time.Millisecond
	}
	return 0
}

// fates says in the report how the application died.
func (d *deaths) fates(r *report.Tested) {
	r.Died, r.Restarts, r.Deaths = int64(d.count), int64(d.restarts), d.list
}

// isDown reports whether the application is dead or about to be, and will be
// started again: what is dialed then is to wait, though the run may not know yet.
func (s *stand) isDown() bool {
	app := s.app.Load()
	return s.revives.Load() && (app == nil || isExiting(app.Pid()))
}
