package main

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"

	"tcpsandbox/e2e/apps/pattern"
)

// received counts what came of the pattern, for the line at the end.
var received struct{ intact, damaged, brokenOff, bytes atomic.Int64 }

// judge counts a body, or a stream, and returns what to answer.
func judge(c *pattern.Checker, err error) string {
	received.bytes.Add(c.Len)
	switch {
	case c.Err() != nil:
		received.damaged.Add(1)
		return c.Err().Error() + "\n"
	case err != nil:
		received.brokenOff.Add(1)
		return err.Error() + "\n"
	}
	received.intact.Add(1)
	return fmt.Sprintf("%d intact\n", c.Len)
}

// sayReceived prints the counts, if there was anything to count.
func sayReceived() {
	intact, damaged, brokenOff := received.intact.Load(), received.damaged.Load(), received.brokenOff.Load()
	if intact+damaged+brokenOff > 0 {
		fmt.Printf("testapp received %d intact, %d damaged, %d broken off, %d bytes\n", intact, damaged, brokenOff, received.bytes.Load())
	}
}

// servePattern answers POST /pattern/{from}: is the body the pattern from
// there on?
func servePattern(w http.ResponseWriter, r *http.Request) {
	from, err := strconv.ParseInt(r.PathValue("from"), 10, 64)
	if err != nil {
		http.Error(w, "not a number", http.StatusBadRequest)
		return
	}
	c := pattern.Checker{Next: from}
	_, err = io.Copy(&c, r.Body)
	io.WriteString(w, judge(&c, err))
}

// serveStream reads the pattern from its beginning until the client closes its
// half, then answers.
func (b *behaviour) serveStream(conn *recorded) {
	var c pattern.Checker
	_, err := io.Copy(&c, conn)
	b.count()
	io.WriteString(conn, judge(&c, err))
}
