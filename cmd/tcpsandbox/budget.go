package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"tcpsandbox/findings"
	"tcpsandbox/netsim"
)

// budget is --max-memory and what becomes of it. Of the whole, what Go's heap
// does not hold is set aside first; of the heap, what the gate may hold and then
// what belongs to what else is kept. The players have the rest, half of which is
// left free for packets on their way and for garbage.
//
//	memory ┬ outside: rings, stacks, text
//	       └ heapLimit ┬ gateLimit, with --allow or --map
//	                   └ playLimit ┬ heldLimit: the players, who shed over it
//	                               └ findings, packets that wait, stories, garbage
type budget struct {
	memoryFlag string
	memory     int64 // bytes
	live       int   // sources that are interfaces
	twice      bool  // sessions are played into a baseline, too
	gated      bool  // something is let through; see netsim's gate
}

const (
	// ringMemory is the ring of a live capture, and baseMemory what a run takes
	// beside rings and Go's heap: 30 MB of text and stacks (measured as RSS less
	// both, uploading at 100 MB/s), and what Go's heap overshoots its soft limit
	// by in a flood (up to 4 MB seen in some ten).
	ringMemory = 64 << 20
	baseMemory = 44 << 20
	// baselineMemory is what a second sandbox and its stack add to that: 1 MB
	// when idle. In floods of uploads into both, with 4 MB set aside here, 8 MB
	// of 132 at least stayed free.
	baselineMemory = 8 << 20
	// minHeap is what a run needs with next to no traffic.
	minHeap = 20 << 20
	// maxDefault is the most that --max-memory is by itself. A run at 4,000
	// connections/s has used 200 MB.
	maxDefault = 2 << 30
)

func (b *budget) flags(f *pflag.FlagSet) {
	f.StringVar(&b.memoryFlag, "max-memory", "", "drop sessions rather than have more resident memory than SIZE, such as 512M (default: a quarter of the machine's, 2G at most)")
}

// complete reads what was given.
func (b *budget) complete() (err error) {
	if b.memoryFlag == "" {
		b.memory = max(defaultMemory(machineMemory()), b.minMemory())
		return nil
	}
	if b.memory, err = parseSize(b.memoryFlag); err != nil {
		return fmt.Errorf("--max-memory %s: %w", b.memoryFlag, err)
	}
	if least := b.minMemory(); b.memory < least {
		return fmt.Errorf("--max-memory %s: it needs at least %dM", b.memoryFlag, least>>20)
	}
	return nil
}

// defaultMemory is what a run takes of a machine with so many bytes: so little
// that production keeps what it has, and its page cache most of it.
func defaultMemory(machine int64) int64 { return min(machine/4, maxDefault) }

// outside is what a run takes beside Go's heap, in bytes.
func (b *budget) outside() int64 {
	n := baseMemory + int64(b.live)*ringMemory
	if b.twice {
		n += baselineMemory
	}
	return n
}

func (b *budget) minMemory() int64 { return b.outside() + minHeap }

// heapLimit is what the collector is to keep Go's heap below.
func (b *budget) heapLimit() int64 { return b.memory - b.outside() }

// gateLimit is how much of that may be on its way to and from what is let
// through: a quarter, and no more than it can ever be. Two stands share it.
func (b *budget) gateLimit() int64 {
	if !b.gated {
		return 0
	}
	most := int64(netsim.GateMemory)
	if b.twice {
		most *= 2
	}
	return min(most, b.heapLimit()/4)
}

// playLimit is what the heap has for all else.
func (b *budget) playLimit() int64 { return b.heapLimit() - b.gateLimit() }

// heldLimit is how much of that the players of one engine may hold; all of them
// together half of it. The rest is for packets on their way through capture
// and the stack, and for garbage.
func (b *budget) heldLimit() int64 {
	if b.twice {
		return b.playLimit() / 4
	}
	return b.playLimit() / 2
}

// findingsLimit is how much of it may be kept of what differs.
func (b *budget) findingsLimit() int64 { return min(findings.MaxMemory, b.playLimit()/8) }

// bufferLimit is how much of it packets may take that wait for earlier ones.
func (b *budget) bufferLimit() int { return int(min(64<<20, b.playLimit()/8)) }
