package main

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"tcpsandbox/capture"
	"tcpsandbox/replay"
	"tcpsandbox/report"
)

// guardFlags say what production is to be spared, beside memory (budget.go).
type guardFlags struct {
	maxCPU         float64 // processors; 0: no limit
	retransmitFlag string
	pressureFlag   string

	maxRetransmissions float64 // share of production's segments; 0: no limit
	maxPressure        pressures
}

// Bounds of --max-cpu: with less than a twentieth of a processor no application
// could even be started in time.
const minCPU, mostCPU = 0.05, 1024

func (g *guardFlags) flags(f *pflag.FlagSet) {
	f.Float64Var(&g.maxCPU, "max-cpu", 1, "drop sessions rather than use more than N processors for capture and replay, such as 0.5; files are read more slowly instead")
	f.StringVar(&g.retransmitFlag, "max-retransmissions", "5%", "of a live capture: stop the replay while production sends P% of its segments again, and twice as many as without it; none: never (default of any: none)")
	f.StringVar(&g.pressureFlag, "max-pressure", "memory=10%", "of a live capture: stop the replay while the host's tasks wait this long: cpu=P%,memory=P%,io=P%, or none")
}

// complete reads what was given; given: --max-retransmissions was.
func (g *guardFlags) complete(specs []capture.Spec, given bool) (err error) {
	if !(g.maxCPU >= minCPU && g.maxCPU <= mostCPU) { // not a number, too
		return fmt.Errorf("--max-cpu must lie between %v and %v processors, not %v", minCPU, mostCPU, g.maxCPU)
	}
	// With all interfaces, what a bridge hands on comes twice.
	twice := slices.ContainsFunc(specs, func(s capture.Spec) bool { return s.Source == "any" })
	if g.retransmitFlag != "none" && (given || !twice) {
		if g.maxRetransmissions, err = parsePercent(g.retransmitFlag); err != nil {
			return fmt.Errorf("--max-retransmissions %s: %w", g.retransmitFlag, err)
		}
	}
	if g.maxPressure, err = parsePressures(g.pressureFlag); err != nil {
		return fmt.Errorf("--max-pressure %s: %w", g.pressureFlag, err)
	}
	return nil
}

// threads is how many processors may be used at once.
func (g *guardFlags) threads() int { return max(1, int(math.Ceil(g.maxCPU))) }

// guards are a run's: what the limits have come to so far. The zero value limits
// nothing.
type guards struct {
	governor *governor // nil: no limit

	mu      sync.Mutex
	cpu     replay.Share // as the governor says
	shed    bool         // something was shed for it
	stopped bool         // by the watchdog
	stops   []stop
}

// stop is a time for which the watchdog stopped the replay.
type stop struct {
	at, until time.Time // until is zero: it lasts
	why       string
}

const (
	maxStops   = 1000 // that are remembered: a day of the shortest ones
	toldStops  = 10   // of which warnings tell
	stopsWords = "the watchdog has stopped the replay more often than is told here"
)

// guard watches over the run until it is told to end.
func (p *pipeline) guard() (end func()) {
	endings := []func(){}
	live := slices.ContainsFunc(p.sources, (*feed).live)
	if p.guards.governor != nil {
		endings = append(endings, p.govern())
	}
	if live {
		endings = append(endings, p.watchProduction())
	}
	return func() {
		for _, end := range endings {
			end()
		}
	}
}

// govern keeps to --max-cpu.
func (p *pipeline) govern() (end func()) {
	g := p.guards.governor
	now := time.Now()
	g.begin(now, now.Sub(p.openedAt), usedCPU(), p.kernelDrops())
	return every(governorTick, func() {
		share := g.tick(time.Now(), usedCPU(), p.kernelDrops())
		p.limit(func(all *guards) {
			if share.New < 1 && !all.shed {
				all.shed = true
				p.warn(fmt.Sprintf("more than --max-cpu %v is needed: sessions are shed", p.opt.maxCPU))
			}
			all.cpu = share
		})
	})
}

// kernelDrops is how many packets the kernel has dropped, in all.
func (p *pipeline) kernelDrops() (n uint64) {
	for _, f := range p.sources {
		packets, _ := f.stats()
		n += packets.KernelDrops
	}
	return n
}

// limit changes what the guards have found, and makes it so. While the replay is
// stopped no session begins that would have to be played late, all of them in a
// burst when it goes on.
func (p *pipeline) limit(change func(*guards)) {
	g := &p.guards
	g.mu.Lock()
	defer g.mu.Unlock()
	change(g)
	share := g.cpu
	if g.stopped {
		share.New, share.Why = 0, replay.ShedWatchdog
	}
	p.players.Limit(share)
}

// watchProduction stops the replay while production is not well.
func (p *pipeline) watchProduction() (end func()) {
	dog := &watchdog{retransmissions: p.opt.maxRetransmissions, pressures: pressures{}, read: p.readPressure}
	for resource, limit := range p.opt.maxPressure {
		if text, err := p.readPressure(resource); err == nil {
			if _, err = stalled(resource, text); err == nil {
				dog.pressures[resource] = limit
			}
		}
	}
	if dog.retransmissions == 0 && len(dog.pressures) == 0 {
		return func() {}
	}
	quit := every(watchTick, func() {
		var segments, again uint64
		for _, f := range p.sources {
			if f.live() {
				_, s := f.stats()
				segments, again = segments+s.DataSegments, again+s.Retransmitted
			}
		}
		before := dog.stopped
		now := time.Now()
		switch stopped := dog.tick(now, segments, again, p.beganAt.Load() != 0); {
		case stopped && !before:
			p.stopReplay(now, dog.why)
		case before && !stopped:
			p.goOn(now)
		}
	})
	return func() {
		quit()
		p.limit(func(g *guards) { g.lasted(time.Now()) })
	}
}

// readPressure is what the kernel says of the host.
func (p *pipeline) readPressure(resource string) (string, error) {
	if p.pressure != nil {
		return p.pressure(resource)
	}
	return readPressure(resource)
}

// stopReplay stops it, and tells.
func (p *pipeline) stopReplay(now time.Time, why string) {
	n := 0
	p.limit(func(g *guards) {
		g.stopped = true
		if g.stops = append(g.stops, stop{at: now, why: why}); len(g.stops) > maxStops {
			g.stops = g.stops[1:]
		}
		n = len(g.stops)
	})
	p.order(func(w *world) { w.guarded = true })
	switch text := "the replay is stopped: " + why; {
	case n <= toldStops:
		p.warn(text)
	case n == toldStops+1:
		p.warn(stopsWords)
	}
}

// goOn lets it go on.
func (p *pipeline) goOn(now time.Time) {
	var lasted time.Duration
	p.limit(func(g *guards) {
		g.stopped = false
		lasted = g.lasted(now)
	})
	p.order(func(w *world) { w.guarded = false })
	p.con.say("the replay goes on, after %v", lasted.Round(time.Second))
}

// lasted notes the end of a stop, if there is one, and returns how long it was.
func (g *guards) lasted(now time.Time) time.Duration {
	if len(g.stops) == 0 {
		return 0
	}
	s := &g.stops[len(g.stops)-1]
	if s.until.IsZero() {
		s.until = now
	}
	return s.until.Sub(s.at)
}

// why says why the replay is stopped; "": it is not.
func (g *guards) why() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.stopped || len(g.stops) == 0 {
		return ""
	}
	return g.stops[len(g.stops)-1].why
}

// result tells of the stops, in time since begun.
func (g *guards) result(begun time.Time) (all []report.Stop) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.stops {
		all = append(all, report.Stop{At: report.Seconds(s.at.Sub(begun)), For: report.Seconds(s.until.Sub(s.at)), Why: s.why})
	}
	return all
}
