package capture

// TCP numbers bytes modulo 2^32 (RFC 9293 §3.4); the streams here are numbered
// from 0 in 64 bits. A sequence number is unwrapped to the offset nearest to
// one that is known: right as long as the two are less than 2 GiB apart, and
// the largest window is 1 GiB (RFC 7323 §2.3).

// maxWindow is how far ahead of the known part of a stream a segment or an
// acknowledgement may point; beyond it, it is taken for garbage.
const maxWindow = 1 << 30

// unwrap returns the offset nearest to near that seq may stand for; base is
// the sequence number of offset 0. It is negative for bytes before that.
func unwrap(base, seq uint32, near int64) int64 {
	return near + int64(int32(seq-(base+uint32(near))))
}
