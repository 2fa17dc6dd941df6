package replay

import "time"

// burst bounds how fast a shard's datagrams go out. TCP has its window for
// that; a UDP socket has a buffer, and what does not fit is lost without a
// word. So half of what the application's fullest socket has room for goes out
// at once (Config.Room), and then it is asked again: Linux' default
// (net.core.rmem_default, 208 KiB) comes to 128 short datagrams a time. A socket
// that stays full holds them up for an answer's time-out.
type burst struct {
	left    int       // bytes, as the kernel counts them, that may go out
	next    time.Time // no sooner is room looked for
	granted time.Time // when there last was some
}

const (
	// burstTime is the least time between two looks.
	burstTime = time.Millisecond
	// burstSize goes out where nothing is known about room, and of an
	// application that does not make any.
	burstSize = 64 << 10
)

// kernelSize is what a datagram of n bytes takes of a socket's buffer, at most:
// Linux 6.18 counted 832 bytes for one of 0 to 100, 2,304 for 1,400, 12,544 for
// 9,000, 61,696 for 60,000.
func kernelSize(n int) int { return 832 + n + n/2 }

// take reports whether a datagram of n bytes may go out now.
func (b *burst) take(n int, now time.Time, cfg *Config) bool {
	if b.left <= 0 {
		if now.Before(b.next) {
			return false
		}
		b.left = b.look(now, cfg)
		b.next = now.Add(max(burstTime, 2*time.Since(now)))
		if b.left <= 0 {
			return false
		}
		b.granted = now
	}
	b.left -= kernelSize(n)
	return true
}

// look returns how much may go out now.
func (b *burst) look(now time.Time, cfg *Config) int {
	if cfg.Room == nil {
		return burstSize
	}
	switch room, known := cfg.Room(); {
	case !known:
		return burstSize
	case room > 0:
		return room / 2
	case !b.granted.IsZero() && now.Sub(b.granted) >= cfg.AnswerTimeout:
		return burstSize
	case b.granted.IsZero():
		b.granted = now
	}
	return 0
}
