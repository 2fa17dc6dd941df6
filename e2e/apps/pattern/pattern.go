// Package pattern is bulk data for the end-to-end tests: bytes that look like
// chance and are known at both ends, so that checking them costs a comparison
// and no digest. At 400 MiB/s on two cores SHA-256 at three places would be the
// most of what is measured.
package pattern

import (
	"bytes"
	"fmt"
	"math/rand/v2"
)

// Period is after how many bytes the pattern begins again. It is a prime, so
// that no packet, buffer or message size divides it: what is lost, doubled or
// moved does not fit.
const Period = 1<<20 + 7

var twice = make([]byte, 2*Period)

func init() {
	rand.NewChaCha8([32]byte{7}).Read(twice[:Period])
	copy(twice[Period:], twice)
}

// Bytes returns up to n bytes of the pattern from an offset on, read-only:
// Period bytes at most.
func Bytes(from int64, n int) []byte {
	at := int(from % Period)
	return twice[at : at+min(n, Period)]
}

// Place returns where the body of a client's request begins, different for
// each.
func Place(client, request int) int64 {
	return (int64(client)*7919 + int64(request)*104729) % Period
}

// Checker compares what is written to it with the pattern from Next on.
type Checker struct {
	Next int64
	Len  int64 // written so far
	err  error
}

// Write never fails; Err tells.
func (c *Checker) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		want := Bytes(c.Next, len(p))
		if c.err == nil && !bytes.Equal(p[:len(want)], want) {
			i := 0
			for p[i] == want[i] {
				i++
			}
			c.err = fmt.Errorf("damaged at byte %d", c.Len+int64(i))
		}
		c.Next += int64(len(want))
		c.Len += int64(len(want))
		p = p[len(want):]
	}
	return n, nil
}

// Err returns the first difference, if there was one.
func (c *Checker) Err() error { return c.err }
