package replay

import "time"

// Cause is why a client turn was sent when it was: the first of the rule's
// conditions that held.
type Cause uint8

const (
	Exact     Cause = iota // the application has sent what production's client had seen
	Boundary               // the answers to all requests sent so far are complete
	Quiet                  // the application has answered something and fallen silent
	Timeout                // nothing came; the answer counts as missing
	Unawaited              // nothing else held, and nothing is waited for

	causes
)

var causeNames = [causes]string{"exact", "boundary", "quiet", "timeout", "unawaited"}

// String returns the word that reports use.
func (c Cause) String() string { return causeNames[c] }

// patience times the shortest quiet time is how long an answer has to be silent
// that is production's as far as it goes. Its rest is likely to come yet, and
// without a framer it would be taken for the next answer, as would all behind
// it. A server that slept 2 ms after each byte, ten connections at a time on a
// busy machine, was silent for more than 20 ms in 41 answers of 200.
const patience = 25

// gate is what the release rule looks at when the next client turn is due.
type gate struct {
	want uint64 // bytes of the application's answer that equal what production's client had seen
	got  uint64 // bytes that the application has sent

	// framed: the framer follows requests and answers of this session.
	framed bool
	// complete: framed, no request sent so far lacks its answer and no answer
	// is half here, and since the last release something came.
	complete bool
	// early: framed, and production's client, too, went on before the answer
	// was complete. want and got then count from that answer's beginning.
	early bool

	since   uint64        // bytes that came since the last release
	silence time.Duration // since the last byte of either side
	quiet   time.Duration // silence that ends an answer without a framer
	timeout time.Duration // silence after which nothing is expected any more
}

// decide returns the cause that holds, or how much longer the silence must
// last until one does.
//
// Where a framer is in sync it alone says when an answer is over: a byte
// count would let a longer answer release the client in its middle, and
// silence would cut one that the application sends in pieces. The count still
// decides where production's client did not wait for the end either, or where
// both agree. Without a framer the count is exact as long as the application's
// answers have production's lengths, and after that from the last release on.
func (g *gate) decide() (cause Cause, wait time.Duration, ok bool) {
	switch {
	case g.framed && g.complete:
		if g.got == g.want {
			return Exact, 0, true
		}
		return Boundary, 0, true
	case g.got >= g.want && (!g.framed || g.early):
		return Exact, 0, true
	case !g.framed && g.since > 0:
		quiet := min(g.quiet, g.timeout)
		if g.silence >= quiet {
			return Quiet, 0, true
		}
		return 0, quiet - g.silence, false
	case g.silence >= g.timeout:
		return Timeout, 0, true
	}
	return 0, g.timeout - g.silence, false
}
