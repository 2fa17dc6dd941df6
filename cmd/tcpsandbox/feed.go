package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"tcpsandbox/capture"
	"tcpsandbox/session"
)

// feed is one --capture on its way into the engines.
type feed struct {
	spec string
	open func() (capture.Source, *capture.Assembler, error)
	err  error

	followed bool // a file that grows: it comes live, but can wait

	mu  sync.Mutex // of asm's use: batches and ticks come from two goroutines
	asm *capture.Assembler

	// untaken is at most how many bytes were handed over since the players had
	// last taken all; Run's goroutine alone touches it.
	untaken int64

	// A file that is played again is a new source with a new assembler.
	swap     sync.Mutex
	src      capture.Source
	packets  capture.Stats // of the sources before
	segments capture.AssemblerStats
}

// newFeed opens a source.
func newFeed(spec string, open func() (capture.Source, *capture.Assembler, error)) (*feed, error) {
	f := &feed{spec: spec, open: open}
	var err error
	f.src, f.asm, err = open()
	return f, err
}

// again opens the source anew.
func (f *feed) again() error {
	src, asm, err := f.open()
	if err != nil {
		return err
	}
	packets, segments := f.stats()
	f.swap.Lock()
	defer f.swap.Unlock()
	f.src.Close()
	f.packets, f.segments, f.src, f.asm = packets, segments, src, asm
	return nil
}

// stats returns the counts that a result shows.
func (f *feed) stats() (capture.Stats, capture.AssemblerStats) {
	f.swap.Lock()
	defer f.swap.Unlock()
	return f.packets.Plus(f.src.Stats()), f.segments.Plus(f.asm.Stats())
}

func (f *feed) close() {
	f.swap.Lock()
	defer f.swap.Unlock()
	f.src.Close()
}

// live reports whether the source is an interface, which cannot wait.
func (f *feed) live() bool { return f.src.Live() && f.src.Name() != "-" && !f.followed }

// follow hands a live source's sessions to the players until it ends.
func (p *pipeline) follow(ctx context.Context, f *feed) {
	defer every(time.Second, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		p.give(f.asm.Tick(time.Now()))
	})()
	f.end(f.src.Run(ctx, func(batch []capture.Packet) error {
		if p.world.now.Err() != nil {
			return context.Canceled
		}
		p.packets(f, batch)
		p.stall(ctx)
		if f.live() {
			p.throttle(f, batch)
			return nil
		}
		return p.holdBack(ctx, f, maxBusy)
	}))
}

// end notes why a source has ended.
func (f *feed) end(err error) {
	if !errors.Is(err, context.Canceled) {
		f.err = err
	}
}

// playFiles hands over the sessions of all files, as often as --repeat says.
// Each pass begins when the sessions of the one before have ended: they have
// the same clients.
func (p *pipeline) playFiles(ctx context.Context, files []*feed) {
	for pass := 1; ; pass++ {
		p.began = false
		merge(ctx, files, func(f *feed, batch []capture.Packet) error {
			if p.pace == nil {
				return p.unpaced(ctx, f, batch)
			}
			return p.paced(ctx, f, batch)
		})
		if pass == p.opt.repeat || ctx.Err() != nil || p.feedError() != nil {
			return
		}
		for _, f := range files {
			p.flush(f)
		}
		if p.players.Drain(ctx) != nil {
			return
		}
		for _, f := range files {
			if f.err = f.again(); f.err != nil {
				return
			}
		}
	}
}

func (p *pipeline) packets(f *feed, batch []capture.Packet) {
	f.mu.Lock()
	p.give(f.asm.Packets(batch))
	f.mu.Unlock()
}

// unpaced hands over a file's packets as the players come to an end with those
// before. Of many copies that is a few packets at a time.
func (p *pipeline) unpaced(ctx context.Context, f *feed, batch []capture.Packet) error {
	for len(batch) > 0 {
		n := min(len(batch), max(1, maxBusy/p.opt.multiply))
		p.packets(f, batch[:n])
		if err := p.holdBack(ctx, f, maxBusy); err != nil {
			return err
		}
		batch = batch[n:]
	}
	return nil
}

// readAhead is how far a file is read before its packets are due: the players
// then never wait for the reader, and hold a second of traffic in memory.
const readAhead = time.Second

// paced hands over a file's packets shortly before they are due.
func (p *pipeline) paced(ctx context.Context, f *feed, batch []capture.Packet) error {
	for len(batch) > 0 {
		first := time.Unix(0, batch[0].Time)
		if !p.began {
			p.began = true
			p.pace.Start(first, time.Now())
		}
		p.pace.Saw(first)
		if err := p.pace.Wait(ctx, first, readAhead); err != nil {
			return err
		}
		horizon := time.Now().Add(readAhead)
		n := 1
		for ; n < len(batch); n++ {
			next := time.Unix(0, batch[n].Time)
			p.pace.Saw(next)
			if p.pace.Due(next).After(horizon) {
				break
			}
		}
		p.packets(f, batch[:n])
		batch = batch[n:]
	}
	return p.holdBack(ctx, f, 1<<30)
}

// Limits on what is read from a file and not yet played.
const (
	maxBusy    = 512      // sessions at work, where nothing else sets the pace; each is a connection that the application must have room for
	maxPending = 64 << 20 // bytes
)

// throttle keeps what an interface gives within the limit on memory: when that
// is near it waits until the players have taken all, and have shed what is too
// much. Meanwhile the kernel's ring takes the packets, and counts those for
// which it has no room. Uploads at 1 GB/s into a run of 256 MB used 60 MB more
// than that without it. What is left in the ring at the end, which is up to 64 MB,
// waits as well, unless the run is to end at once.
func (p *pipeline) throttle(f *feed, batch []capture.Packet) {
	for i := range batch {
		f.untaken += int64(len(batch[i].Data))
	}
	const tries = 50 // at shedding, which cannot drop everything
	for n := 0; n < tries && p.world.now.Err() == nil; {
		taken, room := p.players.Room()
		if taken {
			f.untaken = 0
			n++
		}
		if room >= f.untaken {
			return
		}
		time.Sleep(200 * time.Microsecond)
	}
}

// stall waits for as long as --max-cpu leaves nothing for what would be read.
func (p *pipeline) stall(ctx context.Context) {
	g := p.guards.governor
	if g == nil {
		return
	}
	for d := g.stalled(time.Now()); d > 0 && ctx.Err() == nil; d = g.stalled(time.Now()) {
		time.Sleep(min(d, 10*time.Millisecond))
	}
}

// standstill is after how long without progress more is read though memory is
// short: what the players wait for may come next. At a batch each time that is
// some 3 MB/s at most.
const standstill = 200 * time.Millisecond

// holdBack lets the players catch up before more is read of a file or stream.
// They hold more than what waits to be sent: production's answers come with
// their requests, and stay until the application's do. Of 300 MB of them
// 210 MB were held where 10 were allowed, and most sessions shed.
func (p *pipeline) holdBack(ctx context.Context, f *feed, maxBusy int) error {
	p.stall(ctx)
	least := p.opt.heldLimit() / 4
	last, since := int64(0), time.Now()
	for ctx.Err() == nil {
		_, busy := p.players.Active()
		if busy < maxBusy && p.players.Pending() < min(maxPending, p.opt.heldLimit()/4) {
			taken, room := p.players.Room()
			if taken && (room >= least || busy == 0) {
				return nil
			}
			switch {
			case room != last:
				last, since = room, time.Now()
			case time.Since(since) >= standstill && !p.isPaused():
				return nil
			}
		}
		time.Sleep(time.Millisecond)
	}
	return ctx.Err()
}

// give passes sessions on, as far as --max-sessions allows.
func (p *pipeline) give(batch []*session.Session) {
	for _, s := range batch {
		if s.Via != "" {
			p.sawTags(s)
		}
	}
	if limit := p.opt.maxSessions; limit > 0 {
		kept := batch[:0]
		for _, s := range batch {
			if s.ID <= uint64(limit) {
				kept = append(kept, s)
			} else {
				s.Take(nil) // nobody will
				if p.store != nil {
					p.store.Drop(s.ID)
				}
			}
		}
		batch = kept
	}
	p.players.Feed(batch)
}

// flush ends the sessions of a source.
func (p *pipeline) flush(f *feed) {
	f.mu.Lock()
	p.give(f.asm.Flush())
	f.mu.Unlock()
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
