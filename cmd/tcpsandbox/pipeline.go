package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tcpsandbox/capture"
	"tcpsandbox/netsim"
	"tcpsandbox/replay"
	"tcpsandbox/report"
	"tcpsandbox/sandbox"
)

// pipeline is a run: sources → assemblers → engine → netsim ═TUN═ sandbox.
// It is built from the application's side, so that nothing flows before
// everything stands, and closed from the sources' side, so that what was
// captured is still played.
type pipeline struct {
	opt *runOptions
	con *console

	sources []*feed
	store   *capture.Store // of packets, for --save-failures; nil: none are kept
	tags    atomic.Int32   // VLAN tags that packets had at most
	engine  *replay.Engine
	pace    *replay.Pace // nil: as fast as it comes
	began   bool         // the pace was started for this pass; the reader's own
	whole   wholeSessions
	box     *sandbox.Sandbox
	net     *netsim.Net
	app     *sandbox.App
	played  *replay.Result // when run has returned

	mu      sync.Mutex
	result  report.Result // differences and details, as they come
	warned  int           // of the sandbox's warnings
	started time.Time
	ended   atomic.Int64 // sessions
	enough  chan struct{}

	loopbackOnly netip.Addr // where the application listens, if only there
	stoodIn      atomic.Bool
}

// open builds everything up to the application's start.
func (p *pipeline) open() error {
	var id atomic.Uint64
	p.store = p.opt.newStore()
	for i, spec := range p.opt.specs {
		f, err := newFeed(p.opt.captures[i], func() (capture.Source, *capture.Assembler, error) {
			src, err := p.opt.picked.open(spec)
			cfg := p.opt.assembler(spec, func() uint64 { return id.Add(1) })
			if p.store != nil {
				cfg.Tap = p.store
			}
			return src, capture.NewAssembler(cfg), err
		})
		if errors.Is(err, os.ErrPermission) && spec.IsLive() {
			// The capture's capability alone would only lead to the next refusal.
			return cannot(hinted{err, "sudo " + commandLine(os.Args)})
		}
		if err != nil {
			return cannot(err)
		}
		p.sources = append(p.sources, f)
	}
	box, err := sandbox.New(sandbox.Config{MTU: p.opt.mtu})
	if err != nil {
		return cannot(err)
	}
	p.box = box
	for _, w := range box.Warnings() {
		p.warn(w)
		p.warned++
	}
	if !box.Offload() {
		p.warn("this kernel's TUN device has no offload: bulk transfers are slower")
	}
	p.net, err = netsim.New(netsim.Config{TUN: box.TUN(), MTU: box.MTU(), Offload: box.Offload(), Refuse: p.opt.egress == "refuse"})
	if err != nil {
		return cannot(err)
	}
	p.pace = p.opt.newPace()
	choice := replay.Choice{Sample: p.opt.sample, Ramp: p.opt.ramp}
	if p.opt.onlyComplete {
		choice.Only = p.whole.has
	}
	p.engine = replay.New(replay.Config{
		Dial:          p.dial,
		DialUDP:       p.dialUDP,
		Room:          p.datagramRoom(),
		Pace:          p.pace,
		AnswerTimeout: p.opt.answerTimeout,
		NoWait:        p.opt.wait == "none",
		StopEarly:     p.opt.onEarlyClose == "stop",
		Choice:        choice,
		Multiply:      p.opt.multiply,
		Clients:       p.opt.clients,
		MaxHeld:       p.opt.heldLimit() - p.opt.storeLimit()/2,
		Hold:          true,
		Ended:         p.sessionEnded,
		Differs:       p.answerDiffers,
	})
	return nil
}

// findWhole reads files once to see which of their sessions are whole.
func (p *pipeline) findWhole(ctx context.Context) error {
	for i, spec := range p.opt.specs {
		if p.sources[i].src.Live() {
			continue
		}
		p.con.say("reading %s to see which sessions are whole", spec.Source)
		src, err := p.opt.picked.open(spec)
		if err != nil {
			return err
		}
		defer src.Close()
		if err := p.whole.read(ctx, src, capture.NewAssembler(p.opt.assembler(spec, nil))); err != nil {
			return err
		}
	}
	return nil
}

// run plays until the sources end, ctx does, or the application does, and
// returns why it ended.
func (p *pipeline) run(ctx context.Context) (ended string, err error) {
	netCtx, stopNet := context.WithCancel(context.Background())
	defer stopNet()
	netDone := make(chan error, 1)
	go func() { netDone <- p.net.Run(netCtx) }()
	defer func() {
		p.net.Close()
		if e := <-netDone; err == nil && e != nil {
			err = cannot(e)
		}
	}()

	if p.opt.onlyComplete {
		if err := p.findWhole(ctx); err != nil && ctx.Err() == nil {
			return "", cannot(err)
		}
	}

	// Live traffic is followed from now on and waits with the players until
	// the application listens; files can wait themselves.
	engineCtx, stopEngine := context.WithCancel(context.Background())
	defer stopEngine()
	var playing sync.WaitGroup
	playing.Go(func() { p.engine.Run(engineCtx) })
	feedCtx, stopFeeds := context.WithCancel(ctx)
	defer stopFeeds()
	var feeding sync.WaitGroup
	defer feeding.Wait()
	var files []*feed
	for _, f := range p.sources {
		if f.src.Live() {
			feeding.Go(func() { p.follow(feedCtx, f) })
		} else {
			files = append(files, f)
		}
	}
	defer stopFeeds()
	finish := func() {
		stopEngine()
		playing.Wait()
		p.played = p.engine.Finish()
	}

	if err := p.startApp(ctx); err != nil {
		stopFeeds()
		feeding.Wait()
		p.flushAll()
		finish()
		var setup *sandbox.SetupError
		switch {
		case ctx.Err() != nil:
			return report.EndedSignal, nil
		case errors.As(err, &setup):
			return "", cannot(err)
		}
		return report.EndedNoListener, exitError{exitApp, err}
	}
	defer p.app.Stop(p.opt.grace)

	p.engine.Begin()
	p.started = time.Now()
	if len(files) > 0 {
		feeding.Go(func() { p.playFiles(feedCtx, files) })
	}
	exhausted := make(chan struct{})
	go func() { feeding.Wait(); close(exhausted) }()
	var timeUp <-chan time.Time
	if p.opt.duration > 0 {
		timeUp = time.After(p.opt.duration)
	}
	stopProgress := p.showProgress()
	defer stopProgress()

	select {
	case <-exhausted:
		ended = report.EndedCapture
	case <-ctx.Done():
		ended = report.EndedSignal
	case <-timeUp:
		ended = report.EndedDuration
	case <-p.enough:
		ended = report.EndedMaxSessions
	case <-p.app.Exited():
		ended = report.EndedAppExited
	}
	stopFeeds()
	feeding.Wait()
	p.flushAll()
	p.drain(ctx, ended)
	select {
	case <-p.app.Exited(): // nobody asked it to
		ended = report.EndedAppExited
	default:
	}
	finish()
	if err := p.feedError(); err != nil {
		return ended, cannot(err)
	}
	return ended, nil
}

// startApp runs the application and waits until it listens.
func (p *pipeline) startApp(ctx context.Context) (err error) {
	p.app, err = p.box.Start(ctx, sandbox.AppConfig{
		Command: p.opt.command, User: p.opt.user, KeepCaps: p.opt.keepCaps, Env: p.opt.env,
		Output: p.opt.appOutput(p.con),
	})
	if err != nil {
		return err
	}
	for _, w := range p.box.Warnings()[p.warned:] {
		p.warn(w)
	}
	listeners, err := p.app.WaitListen(ctx, p.opt.listenTimeout, p.opt.appPorts())
	if err != nil {
		p.app.Stop(p.opt.grace)
		return err
	}
	p.awaitOthers(ctx, p.opt.appPorts())
	l := listeners[0]
	p.result.App.Listen = l.String()
	p.con.say("%s listens on %s", p.opt.command[0], l)
	if l.LoopbackOnly {
		p.loopbackOnly = l.Addr.Addr()
	}
	if !p.opt.loopback() {
		p.warnLoopback()
	}
	return nil
}

// othersWait is how long the rest of the application's ports may come after
// the first: programs open them one after another.
const othersWait = 3 * time.Second

// awaitOthers waits for the ports that the application does not listen on yet,
// a while only: some may not be its business.
func (p *pipeline) awaitOthers(ctx context.Context, ports []sandbox.Port) {
	const poll, settled = 10 * time.Millisecond, 50 * time.Millisecond
	begun := time.Now()
	changed, known := begun, 0
	for ctx.Err() == nil {
		now, err := p.app.Listening()
		if err != nil {
			return
		}
		var lacks []string
		for _, port := range ports {
			if !slices.ContainsFunc(now, func(l sandbox.Listener) bool { return l.Port() == port }) {
				lacks = append(lacks, port.String())
			}
		}
		if len(now) != known {
			changed, known = time.Now(), len(now)
		}
		switch {
		case len(ports) > 0 && len(lacks) == 0, len(ports) == 0 && time.Since(changed) >= settled:
			return
		case time.Since(begun) > min(othersWait, p.opt.listenTimeout):
			p.warn("the application does not listen on port " + strings.Join(lacks, ", ") + ": sessions to it are refused")
			return
		}
		select {
		case <-time.After(poll):
		case <-p.app.Exited():
			return
		case <-ctx.Done():
		}
	}
}

func (p *pipeline) flushAll() {
	for _, f := range p.sources {
		p.flush(f)
	}
}

// drain gives the players time for what they have: less if nobody will answer,
// and none any more when a signal comes meanwhile.
func (p *pipeline) drain(ctx context.Context, ended string) {
	d := p.opt.drain
	switch ended {
	case report.EndedAppExited:
		d = min(d, time.Second)
	case report.EndedSignal: // that it had already
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	if active, _ := p.engine.Active(); active > 0 {
		p.con.say("draining %s (at most %v)", count(active, "session"), d)
	}
	p.engine.Drain(ctx)
}

// close frees what is left; it may be called in any state.
func (p *pipeline) close() {
	for _, f := range p.sources {
		f.close()
	}
	if p.net != nil {
		p.net.Close()
	}
	if p.box != nil {
		p.box.Close()
	}
}

func (p *pipeline) sessionEnded(r *replay.Record) {
	p.mu.Lock()
	if r.State == "filtered" {
		p.result.DetailOmitted++ // it was not asked for
	} else {
		p.result.AddDetail(detail(r))
	}
	p.mu.Unlock()
	switch {
	case p.store == nil:
	case r.State == "filtered":
		p.store.Drop(r.ID) // if it is to have copies, they were not made
	default:
		p.store.Done(r.ID)
	}
	if r.Copy > 0 {
		return
	}
	if n := p.ended.Add(1); p.opt.maxSessions > 0 && n == int64(p.opt.maxSessions) {
		close(p.enough)
	}
}

// warnLoopback tells that sessions cannot reach an application that listens on
// a loopback address only; once.
func (p *pipeline) warnLoopback() {
	if a := p.loopbackOnly; a.IsValid() {
		p.warn(fmt.Sprintf("the application listens on %s only, and sessions go to production's address: let it listen on all addresses", a))
		p.loopbackOnly = netip.Addr{}
	}
}

func (p *pipeline) warn(text string) {
	p.con.warn("%s", text)
	p.result.Warnings = append(p.result.Warnings, text)
}
