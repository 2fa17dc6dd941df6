package main

import (
	"math"
	"testing"
	"time"

	"tcpsandbox/replay"
)

// demand is a load on a made-up machine: what capture, new sessions and running
// ones would use of a processor if all was played.
type demand struct{ capture, news, running float64 }

// machine runs a governor beside a load, with a clock of its own.
type machine struct {
	g        *governor
	now      time.Time
	used     time.Duration
	drops    uint64
	cpus     float64 // that there are
	dropping bool    // the kernel drops when all of them are busy
	least    replay.Share
	stalled  time.Duration
}

func newMachine(g *governor, cpus float64) *machine {
	m := &machine{g: g, now: time.Unix(1e9, 0), cpus: cpus, least: replay.Share{New: 1, Running: 1}}
	g.begin(m.now, 0, 0, 0)
	return m
}

// run lets a load last, and returns the processors used in the mean.
func (m *machine) run(d time.Duration, load demand) float64 {
	begun, before := m.now, m.used
	for m.now.Sub(begun) < d {
		wanted := load.capture + load.news*m.g.share.New + load.running*m.g.share.Running
		awake := 1 - float64(min(governorTick, m.g.stalled(m.now)))/float64(governorTick)
		m.stalled += min(governorTick, m.g.stalled(m.now))
		got := min(m.cpus, wanted*awake)
		if m.dropping && wanted > m.cpus {
			m.drops += 10
		}
		m.now = m.now.Add(governorTick)
		m.used += time.Duration(got * float64(governorTick))
		share := m.g.tick(m.now, m.used, m.drops)
		m.least.New, m.least.Running = min(m.least.New, share.New), min(m.least.Running, share.Running)
	}
	return float64(m.used-before) / float64(m.now.Sub(begun))
}

func TestGovernor(t *testing.T) {
	for _, tt := range []struct {
		name  string
		limit float64
		cpus  float64
		load  demand
		check func(m *machine, cores float64) bool
	}{
		{"within the limit nothing is shed", 1, 1, demand{0.2, 0.6, 0}, func(m *machine, cores float64) bool {
			return m.least.New == 1 && m.least.Running == 1 && m.stalled == 0
		}},
		{"nor at it, as long as the kernel drops nothing", 1, 1, demand{0.3, 5, 0}, func(m *machine, cores float64) bool {
			return m.least.New == 1 && m.stalled == 0
		}},
		{"new sessions are shed, and no running ones", 0.2, 1, demand{0.05, 0.8, 0}, func(m *machine, cores float64) bool {
			return m.least.Running == 1 && m.stalled == 0 && m.g.share.New > 0.1 && m.g.share.New < 0.35
		}},
		{"with many processors", 1, 8, demand{0.4, 6, 0}, func(m *machine, cores float64) bool { return m.least.Running == 1 && m.stalled == 0 }},
		{"running ones are, where they are the load", 0.2, 1, demand{0.05, 0, 0.9}, func(m *machine, cores float64) bool {
			return m.stalled == 0 && m.g.share.Running > 0.05 && m.g.share.Running < 0.35
		}},
		{"the capture waits, where it alone is too much", 0.2, 1, demand{0.7, 1, 1}, func(m *machine, cores float64) bool {
			return m.stalled > 10*time.Second && m.g.share.New+m.g.share.Running < 0.1
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(newGovernor(tt.limit, false), tt.cpus)
			cores := m.run(20*time.Second, tt.load)
			if cores > tt.limit*1.05 {
				t.Errorf("%.3f processors were used, the limit is %v", cores, tt.limit)
			}
			if wanted := tt.load.capture + tt.load.news + tt.load.running; cores < 0.7*min(tt.limit, wanted) {
				t.Errorf("%.3f processors were used of %v: too little is played", cores, tt.limit)
			}
			if !tt.check(m, cores) {
				t.Errorf("%.3f processors, share %+v, least %+v, stalled %v", cores, m.g.share, m.least, m.stalled)
			}
			m.run(30*time.Second, demand{capture: 0.01, news: 0.05, running: 0.05})
			if m.g.share.New != 1 || m.g.share.Running != 1 {
				t.Errorf("when there is room again: %+v", m.g.share)
			}
		})
	}
}

// What the kernel drops while all that we may use is used is the limit's doing;
// what it drops because others are busy is not.
func TestGovernorHeedsDrops(t *testing.T) {
	m := newMachine(newGovernor(1, false), 1)
	m.dropping = true
	m.run(10*time.Second, demand{capture: 0.3, news: 2})
	if m.least.New > 0.6 {
		t.Errorf("at the limit: %+v", m.least)
	}
	m = newMachine(newGovernor(1, false), 0.5)
	m.dropping = true
	m.run(10*time.Second, demand{capture: 0.3, news: 2})
	if m.least.New < 1 {
		t.Errorf("below the limit: %+v", m.least)
	}
}

// A file waits instead: nothing of it is shed.
func TestGovernorOfAFile(t *testing.T) {
	m := newMachine(newGovernor(0.2, true), 1)
	cores := m.run(20*time.Second, demand{capture: 0.5, news: 0.5})
	if cores > 0.22 || cores < 0.14 || m.least.New < 1 || m.least.Running < 1 {
		t.Errorf("%.3f processors, %+v", cores, m.least)
	}
}

// What was used before there was anything to govern counts, and what was not used
// then is not there for ever.
func TestGovernorBegins(t *testing.T) {
	g := newGovernor(0.5, false)
	g.begin(time.Unix(1e9, 0), 2*time.Second, 4*time.Second, 0)
	if g.debt != 3*time.Second {
		t.Errorf("owes %v", g.debt)
	}
	g.begin(time.Unix(1e9, 0), time.Hour, time.Second, 0)
	if g.debt != -time.Second/2 {
		t.Errorf("may use %v ahead", -g.debt)
	}
	if share := g.tick(time.Unix(1e9, 0), 0, 0); share.New != 1 || math.IsNaN(share.Running) {
		t.Errorf("no time has passed: %+v", share)
	}
}
