package main

import (
	"fmt"
	"io"
	"time"

	"tcpsandbox/e2e/apps/pattern"
)

// Loads at a rate, and such that are too big for digests.

// due waits until it is time for request i: with -rate all connections
// together make so many requests a second, evenly, whatever the answers take.
func (c *client) due(i int) {
	if c.rate > 0 {
		at := float64(i*c.connections+c.number) / c.rate
		time.Sleep(time.Until(c.begun.Add(time.Duration(at * float64(time.Second)))))
	}
}

// discard reads to the end, no faster than -throttle allows.
func (c *client) discard(r io.Reader) (n int64, err error) {
	began := time.Now()
	for {
		part, err := io.CopyN(io.Discard, r, 1<<20)
		n += part
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if c.throttle > 0 {
			time.Sleep(time.Until(began.Add(time.Duration(float64(n) / c.throttle * float64(time.Second)))))
		}
	}
}

// bulk uploads bodies of -size bytes of the pattern, each from a place of its
// own.
func (w *work) bulk(c *client) error {
	if err := c.dial(); err != nil {
		return err
	}
	for i := range w.requests {
		c.due(i)
		from := pattern.Place(c.number, i)
		head := fmt.Sprintf("POST /pattern/%d HTTP/1.1\r\nHost: shop.test\r\nContent-Length: %d\r\n\r\n", from, w.size)
		if err := c.send([]byte(head)); err != nil {
			return err
		}
		if err := c.sendPattern(from, w.size); err != nil {
			return err
		}
		if err := c.exchange(request{answer: exactly(fmt.Sprintf("%d intact\n", w.size))}); err != nil {
			return err
		}
	}
	return nil
}

// stream sends -requests times -size bytes of the pattern, closes its half and
// reads the answer.
func (w *work) stream(c *client) error {
	if err := c.dial(); err != nil {
		return err
	}
	for i := range w.requests {
		c.due(i)
		if err := c.sendPattern(int64(i)*int64(w.size), w.size); err != nil {
			return err
		}
	}
	if err := c.conn.CloseWrite(); err != nil {
		return err
	}
	answer, err := io.ReadAll(c.in)
	if err != nil {
		return err
	}
	return exactly(fmt.Sprintf("%d intact\n", int64(w.requests)*int64(w.size)))(answer)
}

func (c *client) sendPattern(from int64, size int) error {
	for size > 0 {
		p := pattern.Bytes(from, size)
		if err := c.send(p); err != nil {
			return err
		}
		from, size = from+int64(len(p)), size-len(p)
	}
	return nil
}
