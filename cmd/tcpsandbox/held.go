package main

import (
	"fmt"
	"os"
	"slices"
)

// Kinds of messages; the lines of an application have its tag for a kind, such
// as "app".
const (
	kindSay     = "say"
	kindWarning = "warning"
	kindError   = "error"
)

// holder is what a console has to know of a full screen that owns the terminal.
// The zero value is none. The console's lock guards it.
type holder struct {
	sink    func(kind, text string) // nil: nothing owns the terminal
	leave   func()                  // gives the terminal back at once; may be nil
	missed  []string                // warnings and errors since, the latest
	dropped int                     // that were before them
}

// missedMax is how many warnings and errors are printed again: what a person
// reads. More of them are in the report.
const missedMax = 200

// takes hands a message to what owns the terminal, if anything does.
func (h *holder) takes(kind, prefix, text string) bool {
	if h.sink == nil {
		return false
	}
	h.sink(kind, text)
	if kind == kindWarning || kind == kindError {
		if len(h.missed) == missedMax {
			h.missed = slices.Delete(h.missed, 0, 1)
			h.dropped++
		}
		h.missed = append(h.missed, prefix+text)
	}
	return true
}

// hold tells that a full screen owns the terminal. Until release every message
// goes to sink, in order, without the prefix that it has on a terminal; text may
// have several lines, and those of applications hold whatever they wrote. A
// standard error that is no terminal gets all messages besides, as ever.
// Progress is not passed on.
//
// sink is called by any goroutine, by one at a time. It must not wait for
// another goroutine and must not print. leave, which may be nil, stops the
// screen and gives the terminal back at once; it is called if the process must
// end at once, by any goroutine, and must return in bounded time.
func (c *console) hold(sink func(kind, text string), leave func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
	c.screen = holder{sink: sink, leave: leave}
}

// release tells that the terminal was given back. With reprint the warnings and
// errors that came meanwhile are printed, if the terminal has not had them. It
// does nothing where there was no hold.
func (c *console) release(reprint bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.screen
	c.screen = holder{}
	if !reprint || !c.terminal {
		return
	}
	if was.dropped > 0 {
		fmt.Fprintf(c.err, "tcpsandbox: %s before these are not shown again\n", count(was.dropped, "message"))
	}
	for _, text := range was.missed {
		c.write(text)
	}
}

// shown passes on an application's line that has another place of its own.
func (c *console) shown(who string, line []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.screen.sink != nil {
		c.screen.takes(who, "", string(line))
	}
}

// exit ends the process at once, with an error that says why. The terminal is
// given back before.
func (c *console) exit(code int, why error) {
	c.abandon()
	c.fail(why)
	os.Exit(code)
}

// abandon gives the terminal back at once.
func (c *console) abandon() {
	c.mu.Lock()
	leave := c.screen.leave
	c.screen.leave = nil
	c.mu.Unlock()
	if leave != nil {
		leave() // without the lock: what stops may be printing
	}
	c.release(true)
}
