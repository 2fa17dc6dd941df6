package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"tcpsandbox/capture"
	"tcpsandbox/session"
)

// Sources feed the engine: live ones as packets come, files at their pace or as
// fast as the players keep up.

// feed is one --capture on its way into the engine.
type feed struct {
	spec string
	src  capture.Source
	asm  *capture.Assembler
	mu   sync.Mutex // of asm: batches and ticks come from two goroutines
	err  error
}

// feed hands one source's sessions to the engine until it ends.
func (p *pipeline) feed(ctx context.Context, f *feed) {
	if f.src.Live() {
		defer every(time.Second, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			p.give(f.asm.Tick(time.Now()))
		})()
	}
	f.err = f.src.Run(ctx, func(batch []capture.Packet) error {
		if p.pace == nil || f.src.Live() {
			p.packets(f, batch)
			return p.holdBack(ctx, f)
		}
		return p.paced(ctx, f, batch)
	})
	if errors.Is(f.err, context.Canceled) {
		f.err = nil
	}
}

func (p *pipeline) packets(f *feed, batch []capture.Packet) {
	f.mu.Lock()
	p.give(f.asm.Packets(batch))
	f.mu.Unlock()
}

// readAhead is how far a file is read before its packets are due: the players
// then never wait for the reader, and hold a second of traffic in memory.
const readAhead = time.Second

// paced hands over a file's packets shortly before they are due.
func (p *pipeline) paced(ctx context.Context, f *feed, batch []capture.Packet) error {
	for len(batch) > 0 {
		first := time.Unix(0, batch[0].Time)
		p.mu.Lock()
		if !p.pace.Started() {
			p.pace.Start(first, time.Now())
		}
		p.mu.Unlock()
		if err := p.pace.Wait(ctx, first, readAhead); err != nil {
			return err
		}
		horizon := time.Now().Add(readAhead)
		n := 1
		for n < len(batch) && !p.pace.Due(time.Unix(0, batch[n].Time)).After(horizon) {
			n++
		}
		p.packets(f, batch[:n])
		batch = batch[n:]
	}
	return p.holdBack(ctx, f)
}

// Limits on what is read from a file and not yet played.
const (
	maxBusy    = 512      // sessions at work; each is a connection that the application must have room for
	maxPending = 64 << 20 // bytes
)

// holdBack lets the players catch up before more is read. An interface cannot
// wait: what it loses meanwhile is lost.
func (p *pipeline) holdBack(ctx context.Context, f *feed) error {
	if f.live() {
		return nil
	}
	for ctx.Err() == nil {
		_, busy := p.engine.Active()
		if busy < maxBusy && p.engine.Progress().Pending < maxPending {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return ctx.Err()
}

func (f *feed) live() bool { return f.src.Live() && f.src.Name() != "-" }

// give passes sessions on, as far as --max-sessions allows.
func (p *pipeline) give(batch []*session.Session) {
	if limit := p.opt.maxSessions; limit > 0 {
		kept := batch[:0]
		for _, s := range batch {
			if s.ID <= uint64(limit) {
				kept = append(kept, s)
			} else {
				s.Take(nil) // nobody will
			}
		}
		batch = kept
	}
	p.engine.Feed(batch)
}

func (p *pipeline) flush() {
	for _, f := range p.sources {
		f.mu.Lock()
		p.give(f.asm.Flush())
		f.mu.Unlock()
	}
}

// feedError returns what broke a source, if anything did.
func (p *pipeline) feedError() error {
	for _, f := range p.sources {
		if f.err != nil {
			return f.err
		}
	}
	return nil
}
