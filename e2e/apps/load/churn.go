package main

import (
	"fmt"
	"time"
)

// churn comes and goes for as long as -lasting says, -rate sessions a second by
// all connections together. Of 20 sessions
//
//	11 are one request with a close behind it
//	 5 ask 2 to 6 times and leave
//	 2 upload -size bytes
//	 1 is reset by the client after its answer
//	 1 is idle for two seconds between two requests
func (w *work) churn(c *client) error {
	for i := 0; time.Since(w.begun) < w.lasting; i++ {
		c.due(i)
		if err := c.dial(); err != nil {
			return err
		}
		err := c.stay((i + c.number) % 20)
		if err == errReset {
			err = c.rst()
		}
		if err != nil {
			return err
		}
		if err := c.close(); err != nil {
			return err
		}
	}
	return nil
}

// errReset asks for a session that ends by an RST.
var errReset = fmt.Errorf("reset it")

// stay plays one session to its last answer.
func (c *client) stay(kind int) error {
	switch {
	case kind < 11:
		return c.exchange(c.mixture(3*kind, "Connection: close\r\n"))
	case kind < 16:
		for i := range kind - 9 {
			if err := c.exchange(c.mixture(i, "")); err != nil {
				return err
			}
		}
		return nil
	case kind < 18:
		return c.exchange(post(content(c.size, c.number, kind), false))
	case kind < 19:
		if err := c.exchange(c.mixture(1, "")); err != nil {
			return err
		}
		return errReset
	default:
		if err := c.exchange(c.mixture(0, "")); err != nil {
			return err
		}
		time.Sleep(2 * time.Second)
		return c.exchange(c.mixture(2, ""))
	}
}
