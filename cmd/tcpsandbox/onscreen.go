package main

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"tcpsandbox/replay"
	"tcpsandbox/tui"
)

// A run that is shown on a screen. The run goes on in a goroutine of its own and
// knows nothing of the screen, which looks at it ten times a second; both end on
// their own, and the result is printed when both have.

// leaveTime is how long an end at once waits for the screen to stop drawing.
const leaveTime = time.Second

// watchOnScreen plays while a screen shows it, until both are over.
func (o *runOptions) watchOnScreen(ctx context.Context, con *console, p *pipeline, play func() outcome) outcome {
	tty, err := keyboard()
	if err != nil {
		con.warn("no screen: %v", err)
		return play()
	}
	defer tty.Close()
	guard, err := guardTerminal(tty)
	if err != nil {
		con.warn("no screen: %v", err)
		return play()
	}
	shown := newRunScreen(p)
	steering := &steering{p: p}
	shown.steering = steering
	p.world.broke = steering.broke

	screen, leave := context.WithCancel(context.Background())
	left := make(chan struct{})
	con.hold(shown.log.message, func() { // an end at once
		leave()
		select {
		case <-left:
		case <-time.After(leaveTime):
		}
		guard.restore()
	})
	over := make(chan outcome, 1)
	go func() {
		out := play()
		if out.result != nil {
			shown.ended(out.result)
		}
		over <- out
		if out.result == nil || p.beganAt.Load() == 0 { // nothing to be looked at
			leave()
		}
		context.AfterFunc(ctx, leave) // somebody wants an end, or will: nothing is left to be finished
	}()
	if err := tui.Show(screen, tui.Options{Source: shown, Control: steering, Keeper: shown, Memory: o.tableLimit() / 4 * 3, Input: tty, Output: os.Stdout}); err != nil {
		con.warn("the screen has failed: %v", err)
	}
	leave()
	close(left)
	guard.release()
	con.release(true)
	return <-over
}

// steering is what the keys of the screen do. It implements tui.Control.
type steering struct {
	p      *pipeline
	latest atomic.Pointer[tui.Hit] // nil: none was hit
}

// Pause implements tui.Control, as the others do.
func (s *steering) Pause()                             { s.p.pause() }
func (s *steering) Resume()                            { s.p.resume() }
func (s *steering) Step(session uint64, copy int) bool { return s.p.step(session, copy) }
func (s *steering) Quit(drain bool)                    { s.p.quit(drain) }

// BreakOn arms breaks.
func (s *steering) BreakOn(b replay.Break) { s.p.breakOn(b) }

// Restart waits for the application to listen again.
func (s *steering) Restart() error { return s.p.restart(context.Background()) }

// Faster and Slower say what they did.
func (s *steering) Faster() string { return s.speedWords(s.p.faster()) }
func (s *steering) Slower() string { return s.speedWords(s.p.slower()) }

func (s *steering) speedWords(why string) string {
	if why != "" {
		return why
	}
	return fmt.Sprintf("%g times the captured speed", s.p.pace.Speed())
}

// broke notes that a break was hit. The engine calls it while it plays.
func (s *steering) broke(h replay.Hit) {
	why := h.Why.String()
	if h.Request != "" {
		why = s.p.opt.secrets.Request(h.Request) + ": " + why
	}
	if h.Latency > 0 {
		why += fmt.Sprintf(" (%v)", h.Latency.Round(100*time.Microsecond))
	}
	s.latest.Store(&tui.Hit{Session: h.Session, Copy: h.Copy, Why: fmt.Sprintf("session %d, %s", h.Session, why)})
}

// stands brings a run's state up to date.
func (s *steering) stands(run *tui.Run) {
	run.Paused, run.Stopped = s.p.isPaused(), s.p.guards.why()
	run.Breaks = s.p.app.engine.Breaks()
	run.Hit = s.latest.Load()
	if s.p.pace != nil {
		run.Speed = s.p.pace.Speed()
	}
}
