package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tcpsandbox/capture"
	"tcpsandbox/compare"
	"tcpsandbox/findings"
	"tcpsandbox/replay"
	"tcpsandbox/report"
	"tcpsandbox/sandbox"
	"tcpsandbox/session"
)

// pipeline is a run: sources → assemblers → players ═ stands, which are an
// engine → netsim ═TUN═ sandbox each: one for the application, and one more for
// the old version with --baseline.
// It is built from the application's side, so that nothing flows before
// everything stands, and closed from the sources' side, so that what was
// captured is still played.
type pipeline struct {
	opt *runOptions
	con *console

	sources []*feed
	players *replay.Tee // the stands' engines
	found   *findings.Run
	summary *findings.Summary // of found, when run has returned
	store   *capture.Store    // of packets, for --save-failures; nil: none are kept
	tags    atomic.Int32      // VLAN tags that packets had at most
	pace    *replay.Pace      // nil: as fast as it comes
	began   bool              // the pace was started for this pass; the reader's own
	whole   wholeSessions
	app     *stand
	old     *baseline // nil without --baseline
	stays   error     // why the run does not stand back, if it was to
	stands  []*stand  // app, and old's
	world   world     // steers the run
	deaths  deaths    // of the application
	ending  bool      // by a signal: what dies now is not started again
	guards  guards    // spare production
	lost    error     // a sandbox was taken away, when run has returned
	escapes []string  // what is wrong with the application's sandbox, when run has returned

	// pressure replaces the host's, in tests; nil: it is the host's.
	pressure func(resource string) (string, error)

	mu       sync.Mutex
	result   report.Result // details, as they come
	openedAt time.Time
	started  time.Time
	beganAt  atomic.Int64 // started, for who looks from another goroutine; in nanoseconds since 1970
	drains   atomic.Bool  // what is under way is finished
	ended    atomic.Int64 // sessions
	full     atomic.Bool  // no more sessions can be listed
	enough   chan struct{}

	warnings sync.Mutex // of result.Warnings
}

// newPipeline returns a run that holds nothing yet.
func newPipeline(o *runOptions, con *console) *pipeline {
	p := &pipeline{opt: o, con: con, enough: make(chan struct{}), openedAt: time.Now()}
	p.world.init()
	p.found = findings.New(findings.Config{Rules: o.rules, Secrets: o.secrets, Baseline: o.baseline != "", Memory: o.findingsLimit(), Wanted: func(session uint64) {
		if p.store != nil {
			p.store.Want(session)
		}
	}})
	p.guards.cpu = replay.Share{New: 1, Running: 1}
	p.app = &stand{
		opt: o, con: con, warn: p.warn, name: "the application", tag: "app", log: o.appLogFile,
		command: o.command, line: commandLine(o.secrets.Words(o.command)), judge: p.judge, ended: p.sessionEnded, broke: p.hit,
	}
	p.app.revives.Store(o.restartWhen == restartOnFailure)
	p.stands = []*stand{p.app}
	if o.baseline != "" {
		p.old = &baseline{stand: stand{
			opt: o, con: con, warn: p.warn, name: "the baseline", tag: "baseline", log: o.baselineLogFile,
			command: shell(o.baseline), line: o.secrets.Words([]string{o.baseline})[0],
		}}
		p.old.listens = p.old.stillListens
		p.old.judge = p.old.whileItLives(p.found.Baseline)
		p.stands = append(p.stands, &p.old.stand)
	}
	return p
}

// open builds everything up to the application's start.
func (p *pipeline) open() error {
	var id atomic.Uint64
	p.store = p.opt.newStore()
	for i, spec := range p.opt.specs {
		f, err := newFeed(p.opt.captures[i], func() (capture.Source, *capture.Assembler, error) {
			src, err := p.opt.picked.openWatched(spec, p.opt.follow, func(text string) { p.con.warn("%s", text) })
			if err == nil {
				src = capture.Steady(src)
			}
			cfg := p.opt.assembler(spec, func() uint64 { return id.Add(1) })
			if p.store != nil {
				cfg.Tap = p.store
			}
			return src, capture.NewAssembler(cfg), err
		})
		if errors.Is(err, os.ErrPermission) && spec.IsLive() {
			return cannot(sendToDoctor(hinted{err, "sudo " + commandLine(os.Args) + "\n" + setcapLine()}))
		}
		if err != nil {
			return cannot(err)
		}
		f.followed = p.opt.follow && isFileSpec(spec)
		p.sources = append(p.sources, f)
	}
	if p.opt.maxCPU > 0 {
		p.guards.governor = newGovernor(p.opt.maxCPU, !slices.ContainsFunc(p.sources, (*feed).live))
	}
	p.pace = p.opt.newPace()
	choice := replay.Choice{Sample: p.opt.sample, Ramp: p.opt.ramp}
	if p.opt.onlyComplete {
		choice.Only = p.whole.has
	}
	play := replay.Config{
		Pace:          p.pace,
		AnswerTimeout: p.opt.answerTimeout,
		NoWait:        p.opt.wait == "none",
		StopEarly:     p.opt.onEarlyClose == "stop",
		Choice:        choice,
		Multiply:      p.opt.multiply,
		Clients:       p.opt.clients,
		MaxHeld:       p.opt.heldLimit() - p.opt.storeLimit()/2 - p.opt.findingsLimit()/2 - (p.opt.storiesLimit()+p.opt.tableLimit())/2,
		Hold:          true,
	}
	var engines []*replay.Engine
	for _, s := range p.stands {
		play.Watch = nil
		if s == p.app {
			play.Watch = p.opt.watch()
		}
		if err := s.open(play); err != nil {
			return cannot(err)
		}
		engines = append(engines, s.engine)
	}
	p.players = replay.NewTee(engines...)
	if p.opt.standBack {
		p.stays = p.app.box.StandAside() // baseline and all
	}
	return nil
}

// stand has the run leave the processors to others, or ends that, where it takes some
// of them to start or to end something: on a full host that would take minutes.
func (p *pipeline) stand(stand func(*sandbox.Sandbox) error) {
	if p.opt.standBack && p.stays == nil {
		stand(p.app.box) // its first error was told
	}
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
		if err := p.whole.read(ctx, capture.Steady(src), capture.NewAssembler(p.opt.assembler(spec, nil))); err != nil {
			return err
		}
	}
	return nil
}

// run plays until the sources end, ctx does, or the application does, and
// returns why it ended.
func (p *pipeline) run(ctx context.Context) (ended string, err error) {
	for _, s := range p.stands {
		disconnect := s.connect()
		defer func() {
			if e := disconnect(); err == nil && e != nil {
				err = cannot(e)
			}
		}()
	}

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
	playing.Go(func() { p.players.Run(engineCtx) })
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
	defer p.guard()()
	finish := func() {
		stopEngine()
		playing.Wait()
		for i, played := range p.players.Finish() {
			p.stands[i].played = played
		}
	}

	aside := func() { p.stand((*sandbox.Sandbox).StandAside) }
	defer p.stop()
	defer context.AfterFunc(ctx, aside)() // who is told to end can
	if err := p.start(ctx); err != nil {
		stopFeeds()
		feeding.Wait()
		p.flushAll()
		finish()
		var setup *sandbox.SetupError
		var ofBaseline *baselineError
		switch {
		case ctx.Err() != nil:
			return report.EndedSignal, nil
		case errors.As(err, &setup):
			return "", cannot(err)
		case errors.As(err, &ofBaseline):
			return report.EndedNoBaseline, exitError{exitApp, err}
		}
		return report.EndedNoListener, exitError{exitApp, err}
	}
	if p.old != nil {
		defer p.old.watch()()
	}

	p.players.Begin()
	p.started = time.Now()
	p.deaths.listened = p.started
	p.beganAt.Store(p.started.UnixNano())
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

	ended = p.awaitEnd(ctx, exhausted, timeUp)
	stopFeeds()
	feeding.Wait()
	p.flushAll()
	ended = p.awaitResumed(ctx, ended)
	p.drain(ctx, ended)
	p.awaitRead()
	aside()
	if p.isDead() { // nobody asked it to
		ended = report.EndedAppExited
	}
	finish()
	if err := p.feedError(); err != nil {
		return ended, cannot(err)
	}
	if err := p.world.failed; err != nil {
		return report.EndedAppExited, exitError{exitApp, err}
	}
	return ended, nil
}

// start runs what is in the stands and waits until all of it listens.
func (p *pipeline) start(ctx context.Context) error {
	all, allCtx := errgroup.WithContext(ctx)
	all.Go(func() error { return p.app.start(allCtx) })
	if p.old != nil {
		all.Go(func() error { return p.old.start(allCtx) })
	}
	if err := all.Wait(); err != nil {
		return err
	}
	p.stand((*sandbox.Sandbox).StandBack)
	if p.old != nil {
		p.con.say("%s listens on %s", p.old.name, p.old.listen)
	}
	p.con.say("%s listens on %s", p.opt.command[0], p.app.listen)
	return nil
}

// stop ends what is in the stands.
func (p *pipeline) stop() {
	var all sync.WaitGroup
	for _, s := range p.stands {
		all.Go(func() { s.stop(p.world.now) })
	}
	all.Wait()
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
		d = min(d, drainDead)
	case report.EndedSignal: // that it had already
		ctx = context.WithoutCancel(ctx)
	}
	p.drains.Store(true)
	if active, _ := p.players.Active(); active > 0 && p.world.now.Err() == nil {
		p.con.say("draining %s (at most %v)", count(active, "session"), d)
	}
	p.drainFor(ctx, d)
}

// awaitRead gives what is in the stands time to read its datagrams.
func (p *pipeline) awaitRead() {
	var all sync.WaitGroup
	for _, s := range p.stands {
		all.Go(func() { s.awaitRead(p.world.now, p.opt.drain) })
	}
	all.Wait()
}

// close frees what is left; it may be called in any state.
func (p *pipeline) close() {
	for _, f := range p.sources {
		f.close()
	}
	for _, s := range p.stands {
		s.close()
	}
}

// judge asks no session's first difference any more when none can be listed:
// to hide the secrets in it takes longer than the comparison.
func (p *pipeline) judge(x *compare.Exchange) compare.Outcome {
	x.First = x.First && !p.full.Load()
	return p.found.Judge(x)
}

func (p *pipeline) sessionEnded(r *replay.Record) {
	p.mu.Lock()
	switch lossless := r.Missing == 0 && r.Bytes[session.Delivered] == r.Captured; {
	case r.State == "filtered": // it was not asked for
		p.result.AddUnlisted()
	case lossless && p.result.Full():
		p.result.AddUnlisted()
		p.full.Store(true)
	default:
		p.result.AddDetail(p.opt.detail(r))
	}
	p.mu.Unlock()
	switch {
	case p.store == nil:
	case r.State == "filtered", r.LeftOut && p.opt.multiply > 1:
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

// warn tells what the user should know, once. It may be called by several
// goroutines at once.
func (p *pipeline) warn(text string) {
	p.warnings.Lock()
	defer p.warnings.Unlock()
	if slices.Contains(p.result.Warnings, text) {
		return // of both stands
	}
	p.con.warn("%s", text)
	p.result.Warnings = append(p.result.Warnings, text)
}

// note adds a warning that was told already.
func (p *pipeline) note(text string) {
	p.warnings.Lock()
	defer p.warnings.Unlock()
	p.result.Warnings = append(p.result.Warnings, text)
}

// warned returns what the user was told by warn.
func (p *pipeline) warned() []string {
	p.warnings.Lock()
	defer p.warnings.Unlock()
	return slices.Clone(p.result.Warnings)
}

// lines says what runs in the stands.
func (p *pipeline) lines() string {
	if p.old == nil {
		return p.app.line
	}
	return p.app.line + " and, as the baseline, " + p.old.line
}

// setcapLine lets this program capture without root: all else takes no privilege.
func setcapLine() string {
	self, err := os.Executable()
	if err != nil {
		self = "tcpsandbox"
	}
	return "sudo setcap cap_net_raw+ep " + commandLine([]string{self}) + "    # live captures, for all who may execute it"
}
