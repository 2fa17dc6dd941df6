package main

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"tcpsandbox/capture"
)

// followFlags is what the command line of run says about files that grow.
//
// A followed file is a live source that has a past: what is in it already is
// played as fast as answers allow, as from the standard input, and what is
// written then is played as it comes. To play the past at its pace would mean to
// stay as far behind as the file is long, for ever.
type followFlags struct {
	follow bool
}

func (o *followFlags) flags(f *pflag.FlagSet) {
	f.BoolVar(&o.follow, "follow", false, "read on at the end of a capture file that grows, as tcpdump -U -w writes it, until it is removed or replaced")
}

// complete checks that there is something to follow, and nothing that takes an
// end.
func (o *followFlags) complete(specs []capture.Spec, c *controls) error {
	if !o.follow {
		return nil
	}
	files := false
	for _, s := range specs {
		files = files || isFileSpec(s)
	}
	switch {
	case !files:
		return errors.New("--follow: no --capture is a file")
	case c.repeat > 1:
		return fmt.Errorf("--follow: a file that grows has no end after which --repeat %d could begin", c.repeat)
	case c.onlyComplete:
		return errors.New("--follow: --only-complete reads a file to its end first, and one that grows has none")
	}
	return nil
}

// isFileSpec reports whether a source is a file.
func isFileSpec(s capture.Spec) bool { return !s.IsLive() && s.Source != "-" }
