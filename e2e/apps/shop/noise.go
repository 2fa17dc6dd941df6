package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// chance is where an answer's noise comes from. Without noise it gives the same
// every time.
type chance struct{ noise bool }

func (s *shop) chance() chance { return chance{s.noise} }

// uuid returns a random UUID.
func (c chance) uuid() string {
	a, b := uint64(0x0123456789abcdef), uint64(0x0123456789abcdef)
	if c.noise {
		a, b = rand.Uint64(), rand.Uint64()
	}
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff)
}

// token returns 32 random hexadecimal digits.
func (c chance) token() string {
	if !c.noise {
		return "0123456789abcdef0123456789abcdef"
	}
	return fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64())
}

func (c chance) now() time.Time {
	if !c.noise {
		return time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	}
	return time.Now().UTC()
}

// stamp is the time in the form of RFC 3339 with milliseconds.
func (c chance) stamp() string { return c.now().Format("2006-01-02T15:04:05.000Z07:00") }

// date is the time, later by d, in the form of HTTP (RFC 9110 §5.6.7).
func (c chance) date(d time.Duration) string { return c.now().Add(d).Format(http.TimeFormat) }

// shuffled returns a list, in a random order if there is noise.
func shuffled[T any](c chance, list []T) []T {
	if !c.noise {
		return list
	}
	mixed := make([]T, len(list))
	for to, from := range rand.Perm(len(list)) {
		mixed[to] = list[from]
	}
	return mixed
}

// flip is true in half of the noisy cases.
func (c chance) flip() bool { return c.noise && rand.IntN(2) == 0 }
