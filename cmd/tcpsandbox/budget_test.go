package main

import (
	"testing"

	"tcpsandbox/netsim"
)

func TestDefaultMemory(t *testing.T) {
	for machine, want := range map[int64]int64{1 << 30: 256 << 20, 4 << 30: 1 << 30, 8 << 30: 2 << 30, 1 << 40: 2 << 30} {
		if got := defaultMemory(machine); got != want {
			t.Errorf("of %d bytes %d, want %d", machine, got, want)
		}
	}
}

// What is let through is part of the limit: what it may hold is not the players'.
func TestGateIsInTheBudget(t *testing.T) {
	for _, memory := range []int64{64 << 20, 160 << 20, 512 << 20, 8 << 30} {
		for _, twice := range []bool{false, true} {
			shut := budget{memory: memory, twice: twice}
			open := shut
			open.gated = true
			stands := int64(1)
			if twice {
				stands = 2
			}
			gate := open.gateLimit()
			if shut.gateLimit() != 0 || gate <= 0 || gate > stands*netsim.GateMemory || memory == 8<<30 && gate != stands*netsim.GateMemory {
				t.Errorf("%d bytes, two stands %v: the gate may hold %d", memory, twice, gate)
			}
			all := open.outside() + gate + stands*open.heldLimit() + open.findingsLimit() + int64(open.bufferLimit())
			if all > memory || open.heldLimit() >= shut.heldLimit() || open.heapLimit() != shut.heapLimit() {
				t.Errorf("%d bytes, two stands %v: %d in all, the players %d, without a gate %d", memory, twice, all, open.heldLimit(), shut.heldLimit())
			}
		}
	}
}
