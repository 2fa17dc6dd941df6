package main

import (
	"os"
	"strings"
)

// A run is set up with all the rights it was given, and goes on with those that
// it still needs: from then on it reads what strangers sent to production. The
// sandbox has a keeper of its own, and asks for nothing.

// errands are what a run does when it has been set up for which it may need a
// right.
type errands struct {
	live  bool     // captures are opened again when their interface is back
	read  []string // files
	write []string // files that are made, or replaced by what is made beside them
	make  []string // directories in which files are made
}

// errands returns those of a run.
func (o *runOptions) errands() errands {
	var e errands
	for _, s := range o.specs {
		switch {
		case s.IsLive():
			e.live = true
		case s.Source != "-":
			e.read = append(e.read, s.Source)
		}
	}
	e.write = append(e.write, o.reports...)
	if o.learn != "" {
		e.write = append(e.write, o.learn)
		e.read = append(e.read, o.learn)
	}
	if o.saveFailures != "" {
		e.make = append(e.make, o.saveFailures)
	}
	if o.screen {
		e.make = append(e.make, ".") // see saveSession
	}
	return e
}

// settle gives up what the errands do not need.
func (e errands) settle(con *console) {
	kept, why, err := giveUpRights(e)
	if err != nil {
		con.warn("tcpsandbox keeps the rights that it was started with: %v", err)
		return
	}
	if why != "" {
		con.say("keeping %s: %s is another user's", strings.Join(kept, ", "), why)
	}
}

// tellUser says that the application is root, where nobody asked for that.
func (o *runOptions) tellUser(con *console) {
	sudo := os.Getenv("SUDO_UID")
	if os.Geteuid() == 0 && o.user == "" && (sudo == "" || sudo == "0") {
		rights := "without capabilities"
		if len(o.keepCaps) > 0 {
			rights = "with no capabilities but those of --keep-caps"
		}
		con.say("%s runs as root %s: it can still write what root owns; --user names another", o.command[0], rights)
	}
}
