package main

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"tcpsandbox/capture"
	"tcpsandbox/replay"
	"tcpsandbox/sandbox"
)

// controls is what the command line of run says about which sessions are
// played, how often, how fast and within which limits.
type controls struct {
	speed        float64
	skipIdle     time.Duration
	repeat       int
	sampleFlag   string
	sample       float64 // share of sessions, more than 0 and at most 1
	ramp         time.Duration
	multiply     int
	clientFlag   []string
	clients      []netip.Prefix
	onlyComplete bool
	wait         string
	onEarlyClose string
	idleTimeout  time.Duration
	idleGiven    bool // else UDP flows have a time-out of their own
	budget
	picked
}

// Limits of what may be asked for.
const (
	maxCopies = 1000
	maxRepeat = 1_000_000
)

func (c *controls) flags(f *pflag.FlagSet) {
	f.Float64Var(&c.speed, "speed", 1, "play a file this many times as fast as it was captured")
	f.DurationVar(&c.skipIdle, "skip-idle", 0, "cut pauses of a file in which nothing was captured to this length")
	f.IntVar(&c.repeat, "repeat", 1, "play files N times, one after the other")
	f.StringVar(&c.sampleFlag, "sample", "100%", "play P% of the sessions, the same ones each time (by client address and port)")
	f.DurationVar(&c.ramp, "ramp", 0, "raise the share of sessions that are played from none to all over this long")
	f.IntVar(&c.multiply, "multiply", 1, "play each session N times, from N different client addresses")
	f.StringSliceVar(&c.clientFlag, "client-ip", nil, "take the clients' addresses from this CIDR, one for IPv4, one for IPv6 (ports are kept)")
	c.picked.flags(f)
	f.BoolVar(&c.onlyComplete, "only-complete", false, "play only sessions captured from their beginning, and of files to their end without a hole")
	f.StringVar(&c.wait, "wait", "answers", "answers: send when the application has answered as production had; none: do not wait for it")
	f.StringVar(&c.onEarlyClose, "on-early-close", "reconnect", "when the application closes early, reconnect at the next message (HTTP/1), or stop")
	f.DurationVar(&c.idleTimeout, "idle-timeout", 10*time.Minute, "end a session of which nothing was captured for this long; UDP, if not given: 2m")
	c.budget.flags(f)
}

// complete checks and reads what was given.
func (c *controls) complete(specs []capture.Spec) error {
	files := false
	for _, s := range specs {
		files = files || !s.IsLive() && s.Source != "-"
		if s.IsLive() && s.Source != "-" {
			c.live++
		}
		if c.repeat > 1 && (s.IsLive() || s.Source == "-") {
			return fmt.Errorf("--repeat %d: %s can be played only once, as it is not a file", c.repeat, s.Source)
		}
	}
	switch {
	case !(c.speed > 0 && c.speed <= 1e6): // not a number, too
		return fmt.Errorf("--speed must be more than 0, and 1000000 at most, not %v", c.speed)
	case c.repeat < 1 || c.repeat > maxRepeat:
		return fmt.Errorf("--repeat must lie between 1 and %d, not %d", maxRepeat, c.repeat)
	case c.skipIdle < 0 || c.skipIdle > 0 && c.skipIdle < time.Millisecond:
		return fmt.Errorf("--skip-idle must be at least 1ms, not %v", c.skipIdle)
	case c.skipIdle > 0 && !files:
		return fmt.Errorf("--skip-idle %v: only files have pauses that can be cut", c.skipIdle)
	case c.ramp < 0:
		return fmt.Errorf("--ramp cannot be negative: %v", c.ramp)
	case c.multiply < 1 || c.multiply > maxCopies:
		return fmt.Errorf("--multiply must lie between 1 and %d, not %d", maxCopies, c.multiply)
	case c.wait != "answers" && c.wait != "none":
		return fmt.Errorf("--wait must be answers or none, not %q", c.wait)
	case c.onEarlyClose != "reconnect" && c.onEarlyClose != "stop":
		return fmt.Errorf("--on-early-close must be reconnect or stop, not %q", c.onEarlyClose)
	case c.idleTimeout < time.Second:
		return fmt.Errorf("--idle-timeout must be at least 1s, not %v", c.idleTimeout)
	}
	var err error
	if err = c.picked.complete(); err != nil {
		return err
	}
	if c.sample, err = parseShare(c.sampleFlag); err != nil {
		return err
	}
	if c.clients, err = parseClients(c.clientFlag, c.multiply); err != nil {
		return err
	}
	return c.budget.complete()
}

// parseShare reads "12.5%" or "12.5" as 0.125.
func parseShare(text string) (float64, error) {
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !(n > 0 && n <= 100) {
		return 0, fmt.Errorf("--sample %s: want a percentage of more than 0 and at most 100, such as 10%%", text)
	}
	return n / 100, nil
}

// parseClients reads at most one CIDR of each family, each with room for all
// copies of one client at least.
func parseClients(texts []string, copies int) (prefixes []netip.Prefix, err error) {
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			return nil, fmt.Errorf("--client-ip %s: not a CIDR, such as 10.9.0.0/16", text)
		case p.Addr().Is4In6():
			return nil, fmt.Errorf("--client-ip %s: write an IPv4 range as IPv4", text)
		}
		p = p.Masked()
		last := p.Addr()
		if p.Addr().Is4() { // the one family in which a range may hold addresses that no host can have
			b := last.As4()
			for bit := p.Bits(); bit < 32; bit++ {
				b[bit/8] |= 0x80 >> (bit % 8)
			}
			last = netip.AddrFrom4(b)
		}
		loopback := netip.MustParsePrefix("127.0.0.0/8")
		if p.Overlaps(loopback) || p.Addr().IsMulticast() || !sandbox.Replayable(last, last) || p.Bits() > 0 && !sandbox.Replayable(p.Addr().Next(), p.Addr().Next()) {
			return nil, fmt.Errorf("--client-ip %s: no client can have such an address", text)
		}
		if n := replay.Addresses(p); n < uint64(copies) {
			return nil, fmt.Errorf("--client-ip %s: %d addresses are too few for %d copies of a client", text, n, copies)
		}
		for _, other := range prefixes {
			if other.Addr().Is4() == p.Addr().Is4() {
				return nil, fmt.Errorf("--client-ip %s: one range of each family, and %s is one already", text, other)
			}
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, nil
}

// parseSize reads "512M", "1.5GiB" or "1000000" as bytes; units are powers of
// 1024.
func parseSize(text string) (int64, error) {
	number := strings.ToUpper(text)
	number = strings.TrimSuffix(strings.TrimSuffix(number, "B"), "I")
	unit := 1.0
	if i := strings.IndexAny("KMGT", number[max(0, len(number)-1):]); i >= 0 && number != "" {
		unit = math.Pow(1024, float64(i+1))
		number = number[:len(number)-1]
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n > 0 && n*unit < 1<<62) || strings.ContainsAny(number, "PXIN_") {
		return 0, fmt.Errorf("not a size, such as 512M or 2G")
	}
	return int64(n * unit), nil
}
