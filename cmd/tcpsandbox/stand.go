package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/netsim"
	"tcpsandbox/replay"
	"tcpsandbox/report"
	"tcpsandbox/sandbox"
)

// stand is where one version of the application is tried: the sandbox, the
// network at the other end of its TUN device, the application inside, and the
// engine that plays into it. Stands share nothing but the captured sessions,
// their pace, and the options.
//
//	open ──▶ connect ──▶ start ──▶ the engine plays ──▶ stop ──▶ close
type stand struct {
	opt     *runOptions
	con     *console
	warn    func(text string)
	name    string   // in messages: "the application"
	tag     string   // before its lines: "app"
	log     *os.File // takes them instead of the console; nil: none
	command []string
	line    string // the command as the user wrote it
	judge   compare.Judge
	ended   func(*replay.Record) // is told of sessions; may be nil
	broke   func(replay.Hit)     // is told of breaks; may be nil

	box    *sandbox.Sandbox
	net    *netsim.Net
	engine *replay.Engine
	app    atomic.Pointer[sandbox.App] // another one after a restart
	played *replay.Result              // when the engine has stopped

	warned       int // of the sandbox's warnings
	listen       sandbox.Listener
	loopbackOnly netip.Addr // where the application listens, if only there
	stoodIn      atomic.Bool
	due          atomic.Pointer[time.Time] // it died, and is started again then; nil: it is not
	revives      atomic.Bool               // it is started again when it dies
	where        atomic.Pointer[string]    // it listens, for who looks from another goroutine; nil: not yet
}

// open builds everything up to the application's start. play says how to play;
// what is the stand's own in it, open sets.
func (s *stand) open(play replay.Config) (err error) {
	if s.box, err = sandbox.New(sandbox.Config{MTU: s.opt.mtu}); err != nil {
		var setup *sandbox.SetupError
		if errors.As(err, &setup) {
			err = sendToDoctor(err)
		}
		return err
	}
	// Before anything is started: what has another way out is no sandbox.
	if _, err := s.box.Enclosed(); err != nil {
		return err
	}
	s.passWarnings()
	if !s.box.Offload() {
		s.warn("this kernel's TUN device has no offload: bulk transfers are slower")
	}
	network := netsim.Config{TUN: s.box.TUN(), MTU: s.box.MTU(), Offload: s.box.Offload()}
	s.opt.network(&network)
	if network.GateMemory = s.opt.gateLimit(); s.opt.twice {
		network.GateMemory /= 2
	}
	if s.net, err = netsim.New(network); err != nil {
		return err
	}
	if err := s.opt.serve(s.box, s.net); err != nil {
		return err
	}
	play.Dial, play.DialUDP, play.Room = s.dial, s.dialUDP, s.datagramRoom()
	play.Judge, play.Ended, play.Broke = s.judge, s.ended, s.broke
	s.engine = replay.New(play)
	return nil
}

// passWarnings passes on what the sandbox has found since the last time.
func (s *stand) passWarnings() {
	all := s.box.Warnings()
	for _, w := range all[s.warned:] {
		s.warn(w)
	}
	s.warned = len(all)
}

// connect runs the network until disconnect is called, which returns what broke
// it, if anything did.
func (s *stand) connect() (disconnect func() error) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.net.Run(ctx) }()
	return func() error {
		defer stop()
		s.net.Close()
		return <-done
	}
}

// start runs the application and waits until it listens; after stop, again. Also
// after an error it is stop that ends it.
func (s *stand) start(ctx context.Context) error {
	hide, onlyNamed := s.opt.hidden()
	app, err := s.box.Start(ctx, sandbox.AppConfig{
		Command: s.command, User: s.opt.user, KeepCaps: s.opt.keepCaps, Env: s.opt.env,
		NoFilter: s.opt.noSeccomp, Hide: hide, Show: s.opt.show, OnlyNamed: onlyNamed, Limits: s.opt.limits,
		Output: s.output(),
	})
	s.app.Store(app)
	if err != nil {
		return err
	}
	s.where.Store(nil)
	s.passWarnings()
	listeners, err := app.WaitListen(ctx, s.opt.listenTimeout, s.opt.appPorts())
	if err != nil {
		return err
	}
	s.awaitOthers(ctx, s.opt.appPorts())
	s.listen = listeners[0]
	where := s.listen.String()
	s.where.Store(&where)
	if s.listen.LoopbackOnly {
		s.loopbackOnly = s.listen.Addr.Addr()
	}
	if !s.opt.loopback() {
		s.warnLoopback()
	}
	return nil
}

// output returns what takes the lines that the application writes: a file, or
// the console.
func (s *stand) output() func(sandbox.Stream, []byte) {
	if s.log == nil {
		return func(_ sandbox.Stream, line []byte) { s.con.app(s.tag, line) }
	}
	failed := false
	var room []byte // a line at a time comes
	return func(_ sandbox.Stream, line []byte) {
		s.con.shown(s.tag, line)
		room = append(append(room[:0], line...), '\n')
		_, err := s.log.Write(room)
		if err != nil && !failed {
			failed = true
			s.warn(fmt.Sprintf("%s's output is lost: %v", s.name, err))
		}
	}
}

// othersWait is how long the rest of the application's sockets may come after
// the first: programs open them one after another. othersSettle is after how long
// without another one none is expected any more, where none is known to lack.
const othersWait, othersSettle = 3 * time.Second, 50 * time.Millisecond

// awaitOthers waits for what the application does not listen on yet, a while only:
// some ports may not be its business.
func (s *stand) awaitOthers(ctx context.Context, ports []sandbox.Port) {
	const poll = 10 * time.Millisecond
	begun := time.Now()
	changed, known := begun, 0
	for ctx.Err() == nil {
		now, err := s.app.Load().Listening()
		if err != nil {
			return
		}
		if len(now) != known {
			changed, known = time.Now(), len(now)
		}
		lacks, more := others(ports, now)
		switch {
		case len(lacks) == 0 && (!more || time.Since(changed) >= othersSettle):
			return
		case time.Since(begun) > min(othersWait, s.opt.listenTimeout):
			if len(lacks) > 0 {
				s.warn(s.name + " does not listen on port " + strings.Join(lacks, ", ") + ": sessions to it are refused")
			}
			return
		}
		select {
		case <-time.After(poll):
		case <-s.app.Load().Exited():
			return
		case <-ctx.Done():
		}
	}
}

// others returns the ports on which there is no listener, and whether more may come
// to those that have one: who listens on one address may go on with the next. On
// [::] all are listened on.
func others(ports []sandbox.Port, listening []sandbox.Listener) (lacks []string, more bool) {
	for _, port := range ports {
		some, all := false, false
		for _, l := range listening {
			if l.Port() == port {
				some, all = true, all || l.Addr.Addr() == netip.IPv6Unspecified()
			}
		}
		if !some {
			lacks = append(lacks, port.String())
		}
		more = more || !all
	}
	return lacks, more || len(ports) == 0
}

// stillListens reports whether the application listens where it did when it had
// started, as far as the kernel tells.
func (s *stand) stillListens() bool {
	now, err := s.app.Load().Listening()
	return err != nil || slices.Contains(now, s.listen)
}

// warnLoopback tells that sessions cannot reach an application that listens on
// a loopback address only; once.
func (s *stand) warnLoopback() {
	if a := s.loopbackOnly; a.IsValid() {
		s.warn(fmt.Sprintf("%s listens on %s only, and sessions go to production's address: let it listen on all addresses", s.name, a))
		s.loopbackOnly = netip.Addr{}
	}
}

// state says how the application stands: its process, 0 if there is none, and a
// few words. Any goroutine may ask.
func (s *stand) state() (pid int, words string) {
	app := s.app.Load()
	if app == nil {
		return 0, "starting"
	}
	select {
	case <-app.Exited():
		status := app.Status()
		words = fmt.Sprintf("exited with %d", status.Code)
		if status.Signal != "" {
			words = "ended by " + status.Signal
		}
		if due := s.due.Load(); due != nil {
			words += fmt.Sprintf(", starts again in %d s", max(0, int(math.Ceil(time.Until(*due).Seconds()))))
		}
		return 0, words
	default:
	}
	if where := s.where.Load(); where != nil {
		return app.Pid(), "listens on " + *where
	}
	return app.Pid(), "starting"
}

// exited is closed once the application has ended; nil before it was started.
func (s *stand) exited() <-chan struct{} {
	if app := s.app.Load(); app != nil {
		return app.Exited()
	}
	return nil
}

// stop ends the application, if there is one; now is done where that is not to
// take its time.
func (s *stand) stop(now context.Context) {
	if app := s.app.Load(); app != nil {
		defer context.AfterFunc(now, func() { app.Stop(hurriedGrace) })()
		app.Stop(s.opt.grace)
	}
}

// hurriedGrace is what the application gets to end by itself when the run is to
// end at once.
const hurriedGrace = 500 * time.Millisecond

// close frees what is left; it may be called in any state.
func (s *stand) close() {
	if s.net != nil {
		s.net.Close()
	}
	if s.box != nil {
		s.box.Close()
	}
}

// fared says how the application did, for the report.
func (s *stand) fared() report.App {
	if s.box != nil {
		s.passWarnings() // of its limits, which are known at its end
	}
	r := report.App{Command: s.line, ExitCode: -1}
	if s.listen.Addr.IsValid() {
		r.Listen = s.listen.String()
	}
	if app := s.app.Load(); app != nil {
		status := app.Status()
		r.ExitCode, r.Signal = status.Code, status.Signal
	}
	return r
}
