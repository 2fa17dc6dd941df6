package main

import (
	"context"
	"slices"
	"sync"

	"tcpsandbox/capture"
)

// merge reads files side by side and hands their packets to fn in the order of
// their times. It returns when all have ended, fn has failed, or ctx is done.
func merge(ctx context.Context, files []*feed, fn func(*feed, []capture.Packet) error) {
	if len(files) == 1 {
		files[0].end(files[0].src.Run(ctx, func(batch []capture.Packet) error { return fn(files[0], batch) }))
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	var open []*stream
	for _, f := range files {
		s := &stream{f: f, batches: make(chan []capture.Packet), used: make(chan struct{})}
		reading.Go(func() { s.read(ctx) })
		open = append(open, s)
	}
	for {
		open = slices.DeleteFunc(open, func(s *stream) bool { return !s.fill(ctx) })
		if len(open) == 0 {
			return
		}
		slices.SortStableFunc(open, func(a, b *stream) int { return int(min(1, max(-1, a.rest[0].Time-b.rest[0].Time))) })
		s, n := open[0], 1
		if len(open) == 1 {
			n = len(s.rest)
		}
		for n < len(s.rest) && s.rest[n].Time <= open[1].rest[0].Time {
			n++
		}
		if err := fn(s.f, s.rest[:n]); err != nil {
			cancel()
			reading.Wait()
			s.f.end(err)
			return
		}
		s.rest = s.rest[n:]
	}
}

// stream is a file that is read beside others.
type stream struct {
	f       *feed
	batches chan []capture.Packet // closed at the end
	used    chan struct{}         // taken from when a batch is no longer needed
	lent    bool                  // a batch is out
	rest    []capture.Packet      // what is left of it
}

// read offers the file's batches until it ends or ctx is done.
func (s *stream) read(ctx context.Context) {
	defer close(s.batches)
	s.f.end(s.f.src.Run(ctx, func(batch []capture.Packet) error {
		select {
		case s.batches <- batch:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case s.used <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		return nil
	}))
}

// fill waits until there is a packet in rest; false: there is none any more.
func (s *stream) fill(ctx context.Context) bool {
	for len(s.rest) == 0 {
		if s.lent {
			select {
			case <-s.used:
			case <-ctx.Done():
				return false
			}
		}
		if s.rest, s.lent = <-s.batches; !s.lent {
			return false
		}
	}
	return true
}
