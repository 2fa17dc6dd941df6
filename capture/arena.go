package capture

// arena copies payloads out of a batch into memory that lives as long as
// somebody holds a slice of it. Small payloads share a slab, so that they cost
// no allocation each; a slice that is held keeps its whole slab alive, which
// is why slabs are modest: at worst one held byte costs slabSize. Payloads
// above smallPayload have memory of their own.
//
// Measured with BenchmarkArena (payload 200 B / 600 B / 1448 B, one core):
// see there; slabs beat single allocations up to about 1 KiB and gain nothing
// above.
type arena struct{ free []byte }

const (
	slabSize     = 8 << 10
	smallPayload = 1 << 10
)

// keep returns a copy of p that nobody else writes to.
func (a *arena) keep(p []byte) []byte {
	if len(p) > smallPayload {
		return append([]byte(nil), p...) // unlike make and copy, does not zero first
	}
	if len(p) > len(a.free) {
		a.free = make([]byte, slabSize)
	}
	n := copy(a.free, p)
	kept := a.free[:n:n]
	a.free = a.free[n:]
	return kept
}
