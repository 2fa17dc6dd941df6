package capture

// Retransmissions of production, for who watches over it: how many of the data
// segments of both sides were sent before. It takes one look at numbers that
// reassembly has anyway; what the screen tells of single sessions is facts.go's.
//
// Sent again is what lies wholly below the highest byte seen and was captured
// already, or comes later than packets that merely overtook each other would. A
// keep-alive probe is not (RFC 9293 §3.8.4), nor is a SYN; what was lost before it
// came here counts when it comes at last.

// wireSegment is by what a captured segment is counted as several: with offloads
// one of 64 KB is 45 on the wire (1,500 bytes less headers and a timestamp). A
// single lost packet of those would count as half of all otherwise.
const wireSegment = 1448

// count counts a data segment, before it is delivered.
func (a *Assembler) count(h *half, off, end, now int64) {
	n := uint64(end-off+wireSegment-1) / wireSegment
	a.stats.DataSegments += n
	if end <= h.top && h.sent(off, end, now) {
		a.stats.Retransmitted += n
	}
}

// sent reports whether a segment that lies below the highest byte seen is a
// retransmission.
func (h *half) sent(off, end, now int64) bool {
	switch {
	case end-off == 1 && end == h.top && h.acked >= h.top: // a keep-alive probe
		return false
	case h.has(off, end):
		return true
	}
	return len(h.queue) > 0 && now-h.queue[0].at >= int64(reorderTime)
}
