package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"tcpsandbox/capture"
	"tcpsandbox/compare"
	"tcpsandbox/findings"
	"tcpsandbox/replay"
	"tcpsandbox/session"
	"tcpsandbox/tui"
)

// fileScreen is what the screen sees of a capture file: production's side only,
// as nobody plays it. It implements tui.Source and tui.Keeper.
//
// Of the sessions a line each is kept. What was said in one is read from the
// file when it is asked for, so that a capture may be larger than the memory;
// 600 MB/s are gone through (BenchmarkFileScreen), up to the end of the session.
//
// Poll belongs to one goroutine; all else may be called by any.
type fileScreen struct {
	name    string // as the user wrote it
	spec    capture.Spec
	pick    *picked
	secrets *compare.Secrets
	found   *findings.Run // which counts nothing

	mu      sync.Mutex
	changed map[int]replay.View
	run     tui.Run
	slots   []screenSlot

	reading sync.Mutex // a story, one at a time
	told    *replay.Story
}

// newFileScreen returns what shows a file that can be opened; read it.
func newFileScreen(name string, spec capture.Spec, pick *picked) (*fileScreen, error) {
	secrets := compare.NewSecrets()
	s := &fileScreen{
		name: name, spec: spec, pick: pick, secrets: secrets, changed: map[int]replay.View{},
		found: findings.New(findings.Config{Rules: compare.Default(), Secrets: secrets}),
		run:   tui.Run{Source: name},
	}
	src, err := s.open()
	if err != nil {
		return nil, err
	}
	return s, src.Close()
}

func (s *fileScreen) open() (capture.Source, error) {
	src, err := capture.OpenFile(s.spec.Source)
	if err != nil {
		return nil, err
	}
	return capture.Steady(capture.Filtered(src, s.pick.filter, s.pick.intoTunnels(s.spec))), nil
}

// assembler makes the same sessions each time.
func (s *fileScreen) assembler(tap capture.Tap) *capture.Assembler {
	return capture.NewAssembler(capture.AssemblerConfig{
		Ports: s.spec.Ports, UDP: s.spec.UDP, NoTunnels: !s.pick.intoTunnels(s.spec), LongestSilence: longestSilence,
		Facts: true, Tap: tap,
	})
}

// errEnough ends the reading of a file early.
var errEnough = errors.New("enough")

// through goes through the file; look is given the batches of sessions with news, until it
// returns false.
func (s *fileScreen) through(ctx context.Context, tap capture.Tap, look func([]*session.Session) bool) (capture.Stats, error) {
	src, err := s.open()
	if err != nil {
		return capture.Stats{}, err
	}
	defer src.Close()
	asm := s.assembler(tap)
	err = src.Run(ctx, func(batch []capture.Packet) error {
		if !look(asm.Packets(batch)) {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return src.Stats(), nil
	}
	look(asm.Flush())
	return src.Stats(), err
}

// read reads the file to its end, or until ctx ends. It is called once.
func (s *fileScreen) read(ctx context.Context) error {
	stats, err := s.through(ctx, nil, func(batch []*session.Session) bool {
		for _, one := range batch {
			s.follow(one)
		}
		return true
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run.Packets, s.run.Captured, s.run.Drops = int64(stats.Packets), int64(stats.Bytes), int64(stats.KernelDrops)
	s.run.Ended = "a capture: nothing was played"
	if stats.Truncated != "" {
		s.run.Warnings = append(s.run.Warnings, s.name+": the capture is cut off: "+stats.Truncated)
	}
	if err != nil && ctx.Err() == nil {
		s.run.Warnings = append(s.run.Warnings, s.name+": "+err.Error())
	}
	return err
}

// followed is what a session of the first reading has as its Owner.
type followed struct {
	slot int
	*reading
}

func (s *fileScreen) follow(one *session.Session) {
	f, known := one.Owner.(*followed)
	if !known && one.Owner != nil {
		return // it has ended
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !known {
		f = &followed{len(s.slots), newReading(one, s.secrets, false)}
		one.Owner = f
		s.slots = append(s.slots, screenSlot{id: one.ID, client: one.Client.String(), tags: vlanTags(one.Via)})
		s.run.Sessions.Seen++
		s.run.Active++
		if one.Joined {
			s.run.Sessions.Joined++
		}
		if one.Proto == session.UDP {
			s.run.Sessions.UDP++
		}
	}
	events, why := one.Take(nil)
	for i := range events {
		f.event(&events[i])
	}
	if why != session.Live {
		f.end()
		one.Owner = why
		totals, _ := one.Totals()
		s.run.Active--
		s.run.Sessions.Skipped++
		s.run.Bytes.Captured += totals.Bytes[session.Client]
		s.run.Bytes.NotCaptured += totals.Missing[session.Client]
		if replay.Whole(one, totals) {
			s.run.Sessions.Complete++
		}
	}
	s.changed[f.slot] = f.view(f.slot, one, why)
}

// Poll implements tui.Source.
func (s *fileScreen) Poll() tui.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := tui.Snapshot{At: time.Now(), Run: s.run}
	for _, v := range s.changed {
		snap.Sessions = append(snap.Sessions, v)
	}
	clear(s.changed)
	return snap
}

func (s *fileScreen) slot(n int) (screenSlot, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n < 0 || n >= len(s.slots) {
		return screenSlot{}, false
	}
	return s.slots[n], true
}

// again reads the story of a session from the file, unless it is the one that
// was read last; nil: it could not be.
func (s *fileScreen) again(slot int) *replay.Story {
	at, ok := s.slot(slot)
	if !ok {
		return nil
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.told != nil && s.told.Slot == slot {
		return s.told
	}
	var r *reading
	var told *replay.Story
	s.through(context.Background(), nil, func(batch []*session.Session) bool {
		for _, one := range batch {
			events, why := one.Take(nil)
			if one.ID != at.id {
				continue
			}
			if r == nil {
				r = newReading(one, s.secrets, true)
			}
			for i := range events {
				r.event(&events[i])
			}
			if why != session.Live {
				r.end()
			}
			if told = r.story(slot, one, why); why != session.Live {
				return false
			}
		}
		return true
	})
	s.told = told
	return told
}

// Story implements tui.Source.
func (s *fileScreen) Story(slot int) *tui.Story {
	told := s.again(slot)
	if told == nil {
		return nil
	}
	return newStory(told, s.secrets)
}

// Explain implements tui.Source.
func (s *fileScreen) Explain(slot, number int) *tui.Explanation {
	told := s.again(slot)
	if told == nil {
		return nil
	}
	return explain(told, number, s.found, s.secrets)
}

// oneSession is a Tap that writes the packets of one session.
type oneSession struct {
	id   uint64
	w    *capture.Writer
	of   *session.Session // nil: there was none
	over bool
	err  error
}

// Packets implements capture.Tap.
func (o *oneSession) Packets(batch []capture.Tapped) {
	for _, t := range batch {
		if t.Session.ID != o.id || o.err != nil {
			continue
		}
		if o.of = t.Session; t.Packet == nil {
			o.over = true
			continue
		}
		o.err = o.w.Write([]capture.Packet{*t.Packet})
	}
}

// Save implements tui.Keeper: it copies a session's packets to a new file in the
// current directory.
func (s *fileScreen) Save(slot int) (path string, err error) {
	told := s.again(slot)
	if told == nil {
		return "", errors.New("save: there is no such session")
	}
	of := &session.Session{ID: told.ID, Client: told.Client, Server: told.Server}
	return saveSession(of, true, func(w *capture.Writer) error {
		one := &oneSession{id: told.ID, w: w}
		_, err := s.through(context.Background(), one, func(batch []*session.Session) bool {
			for _, b := range batch {
				b.Take(nil)
			}
			return !one.over && one.err == nil
		})
		switch {
		case one.of == nil && err == nil:
			err = fmt.Errorf("%s has changed since: the session is not in it", s.spec.Source)
		case one.of != nil:
			err = one.err // what could be read is there
		}
		return err
	})
}

// Command implements tui.Keeper.
func (s *fileScreen) Command(slot int) string {
	told := s.again(slot)
	if told == nil {
		return ""
	}
	at, _ := s.slot(slot)
	spec := capture.Spec{Source: s.spec.Source}
	switch { // as replaySaved
	case told.Proto == session.UDP:
		spec.UDP = []uint16{told.Server.Port()}
	case told.Joined || len(s.spec.Ports)+len(s.spec.UDP) > 0:
		spec.Ports = []uint16{told.Server.Port()}
	}
	o := &runOptions{captures: []string{spec.String()}, specs: []capture.Spec{spec}, command: []string{"./testapp"}}
	o.controls.picked = *s.pick
	if s.pick.tunnels != "auto" {
		o.replayGiven = []string{"--tunnels", s.pick.tunnels}
	}
	o.secrets = s.secrets
	return o.replayFiltered(at.client, at.tags)
}

// isReport reports whether a file is a report: JSON, of which no capture's first
// byte can be.
func isReport(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var first [1]byte
	for {
		if _, err := io.ReadFull(f, first[:]); err != nil {
			return false
		}
		switch first[0] {
		case ' ', '\t', '\r', '\n':
		default:
			return first[0] == '{'
		}
	}
}
