package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"tcpsandbox/replay"
	"tcpsandbox/report"
)

// world is what a run has so that it can be steered while it goes on: paused,
// stepped, made faster, and ended. The application is restarted by the goroutine
// that runs the pipeline, so that nothing is taken for its death; all else
// happens at once. The zero value cannot be ended, nor its application be
// restarted.
type world struct {
	// broke is told of each break that was hit, when everything is paused
	// already, by a goroutine that plays: it must be quick, and must not step.
	// nil: nobody is. It is to be set before the run.
	broke func(replay.Hit)

	mu         sync.Mutex
	wanted     bool // it is to be paused
	restarting bool // it is paused, whatever is wanted
	guarded    bool // likewise, by the watchdog
	held       bool // somebody waits at it: wanted or restarting
	paused     bool
	changed    chan struct{} // closed when paused or held changes; nil: nobody waits for that

	interrupt context.CancelCauseFunc // ends the run as SIGINT does
	now       context.Context         // of what is not waited for when it is to end at once
	hurry     context.CancelFunc
	restarts  chan chan error // the answer goes back once the application listens, or does not
	ending    chan struct{}   // closed when nothing is restarted any more
	failed    error           // why a restarted application does not listen
}

// maxSpeed and minSpeed bound what a run can be made to go at, in captured
// seconds per second. At more there is no pace, and --pace asap is faster; at
// less nobody will wait for the next packet.
const maxSpeed, minSpeed = 1024, 1.0 / 64

// errEnding is why an application is not restarted.
var errEnding = errors.New("restart the application: the run is at its end")

// init makes a world that can be ended and restarted.
func (w *world) init() {
	w.interrupt = func(error) {}
	w.now, w.hurry = context.WithCancel(context.Background())
	w.restarts, w.ending = make(chan chan error), make(chan struct{})
}

// steered returns the context of a run that quit can end; it is to be called
// before anything else of the world, and release when the run is over.
func (w *world) steered(ctx context.Context) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	w.mu.Lock()
	w.interrupt = cancel
	w.mu.Unlock()
	return ctx, func() { cancel(nil); w.hurry() }
}

// noRestarts refuses restarts from now on; it is idempotent, and the run's own.
func (w *world) noRestarts() {
	select {
	case <-w.ending:
	default:
		close(w.ending)
	}
}

// state tells whether the world is paused, and what is closed when that changes.
func (w *world) state() (paused bool, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return w.paused, w.changed
}

// waits is state of whether somebody holds the world: its end waits for them, and
// for no watchdog.
func (w *world) waits() (held bool, changed <-chan struct{}) {
	_, changed = w.state()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.held, changed
}

// isPaused reports whether nothing is played for now.
func (p *pipeline) isPaused() bool {
	paused, _ := p.world.state()
	return paused
}

// pause stops all that is played, in all stands; see replay.Engine.Pause. The
// capture goes on within the limits on memory; a file is not read on.
func (p *pipeline) pause() { p.order(func(w *world) { w.wanted = true }) }

// resume lets it go on; while the application is restarted, when it listens.
func (p *pipeline) resume() { p.order(func(w *world) { w.wanted = false }) }

// order changes what the world is to be, and makes it so. It waits for nothing
// that plays: also a break calls it.
func (p *pipeline) order(change func(*world)) {
	w := &p.world
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
	held := w.wanted || w.restarting
	paused := held || w.guarded
	if paused == w.paused && held == w.held {
		return
	}
	w.held = held
	if paused != w.paused {
		if w.paused = paused; paused {
			p.players.Pause()
		} else {
			p.players.Resume()
		}
	}
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// step lets the next thing of a session's copy go while paused, in all stands;
// see replay.Engine.Step.
func (p *pipeline) step(session uint64, copy int) bool { return p.players.Step(session, copy) }

// breakOn makes what the application does pause everything; see
// replay.Engine.BreakOn. What the baseline does is its business.
func (p *pipeline) breakOn(b replay.Break) { p.app.engine.BreakOn(b) }

// hit pauses the stands that the break has not.
func (p *pipeline) hit(h replay.Hit) {
	p.pause()
	if p.world.broke != nil {
		p.world.broke(h)
	}
}

// faster doubles the speed, or tells why it does not.
func (p *pipeline) faster() (why string) { return p.speedUp(2) }

// slower halves the speed, or tells why it does not.
func (p *pipeline) slower() (why string) { return p.speedUp(0.5) }

func (p *pipeline) speedUp(by float64) (why string) {
	if p.pace == nil && p.opt.paceFlag == "asap" {
		return "--pace asap knows no speed: all is played as soon as it can be"
	}
	if p.pace == nil {
		return "a live capture is played as it comes: only files have a speed"
	}
	p.world.mu.Lock() // no change is lost
	defer p.world.mu.Unlock()
	speed := p.pace.Speed() * by
	switch {
	case by > 1 && speed > maxSpeed:
		return fmt.Sprintf("the speed stays at %v: --pace asap is faster", p.pace.Speed())
	case by < 1 && speed < minSpeed:
		return fmt.Sprintf("the speed stays at %v, the least there is: pause it instead", p.pace.Speed())
	}
	p.pace.SetSpeed(speed, time.Now())
	return ""
}

// quit ends the run: with drain as SIGINT does, which resumes it if it is
// paused, otherwise at once. What is not played then is pending.
func (p *pipeline) quit(drain bool) {
	if drain {
		p.resume()
	} else {
		p.world.hurry()
	}
	p.world.mu.Lock()
	interrupt := p.world.interrupt
	p.world.mu.Unlock()
	interrupt(signalError{os.Interrupt})
}

// restart ends the application as at a run's end and starts it again, in the
// same namespace. All is paused until it listens; then it goes on, unless it is
// to be paused anyway. What the restart breaks off counts as nobody's fault; see
// replay.Engine.Restarting. If the application does not listen then, the run
// ends as if it had died. restart returns when it is known which; ctx ends the
// wait only. The baseline is not restarted.
func (p *pipeline) restart(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case p.world.restarts <- done:
	case <-p.world.ending:
		return errEnding
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// restartNow restarts the application, and returns why the run ends if it does.
func (p *pipeline) restartNow(ctx context.Context, done chan<- error) (ended string) {
	p.con.say("restarting %s", p.opt.command[0])
	p.order(func(w *world) { w.restarting = true })
	p.app.engine.Restarting()
	p.app.stop(p.world.now)
	err := p.startAgain(ctx)
	if err != nil && ctx.Err() != nil {
		// The run is to end meanwhile. Nobody is there whom anything could be
		// played to, so what is left stays pending instead of being missed.
		p.world.hurry()
		done <- err
		return report.EndedSignal
	}
	done <- err
	if err == nil {
		return ""
	}
	return p.stillborn(err)
}

// awaitEnd waits until the capture ends, and returns why.
func (p *pipeline) awaitEnd(ctx context.Context, exhausted <-chan struct{}, timeUp <-chan time.Time) (ended string) {
	for ended == "" {
		select {
		case <-exhausted:
			ended = report.EndedCapture
		case <-ctx.Done():
			ended = report.EndedSignal
			p.giveUp()
		case <-timeUp:
			ended = report.EndedDuration
		case <-p.enough:
			ended = report.EndedMaxSessions
		case <-p.died():
			ended = p.bereaved()
		case <-p.deaths.again:
			ended = p.revive(ctx)
		case done := <-p.world.restarts:
			ended = p.restartNow(ctx, done)
		}
	}
	return ended
}

// awaitResumed waits, when the capture has ended, until the world is not paused:
// somebody looks at it. A run that is told to end does not wait, nor does one
// whose application is dead; such a one is resumed. It returns why the run ends
// after all.
func (p *pipeline) awaitResumed(ctx context.Context, ended string) string {
	for ended != report.EndedSignal && ended != report.EndedAppExited {
		held, changed := p.world.waits()
		if !held {
			return ended
		}
		select {
		case <-changed:
		case <-ctx.Done():
			ended = report.EndedSignal
			p.giveUp()
		case <-p.died():
			ended = cmp.Or(p.bereaved(), ended)
		case <-p.deaths.again:
			ended = cmp.Or(p.revive(ctx), ended)
		case done := <-p.world.restarts:
			ended = cmp.Or(p.restartNow(ctx, done), ended)
		}
	}
	p.world.noRestarts()
	if p.world.now.Err() == nil {
		p.resume()
	}
	return ended
}

// drainDead is how long players get whose application is dead: nobody will answer.
const drainDead = time.Second

// drainFor lets the players end what they have within d, in which pauses and
// restarts do not count; what the watchdog stops does.
func (p *pipeline) drainFor(ctx context.Context, d time.Duration) {
	defer p.world.noRestarts()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.world.now, cancel)()
	for d > 0 && ctx.Err() == nil && p.world.failed == nil {
		held, changed := p.world.waits()
		if active, _ := p.players.Active(); active == 0 {
			return
		}
		stretch, stop := context.WithTimeout(ctx, d)
		if held {
			stretch, stop = context.WithCancel(ctx)
		}
		drained := make(chan error, 1)
		go func() { drained <- p.players.Drain(stretch) }()
		began := time.Now()
		var restart chan<- error
		died, again := false, false
		select {
		case err := <-drained:
			stop()
			if err == nil {
				return
			}
			drained <- err
		case <-changed:
		case <-p.died():
			died = true
		case <-p.deaths.again:
			again = true
		case restart = <-p.world.restarts:
		}
		stop()
		<-drained // one drain at a time hears of the last session
		if !held {
			d -= time.Since(began)
		}
		ended := ""
		switch {
		case restart != nil:
			p.restartNow(ctx, restart)
		case died:
			ended = p.bereaved()
		case again:
			ended = p.revive(ctx)
		}
		if ended != "" {
			d = min(d, drainDead)
		}
	}
}
