package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"tcpsandbox/capture"
	"tcpsandbox/report"
	"tcpsandbox/session"
)

// Showing a difference again. With --save-failures the packets of sessions are
// kept while they may be needed (capture.Store), and in the end those of each
// group's example become a capture of their own. Each group gets the command
// line that plays just its example, from there or from the file that was
// played.

// storeLimit is how much of the heap kept packets may take, in bytes.
func (o *runOptions) storeLimit() int64 {
	if o.saveFailures == "" && !o.screen {
		return 0
	}
	return min(256<<20, o.playLimit()/8)
}

// newStore returns where packets are kept; nil: nowhere.
func (o *runOptions) newStore() *capture.Store {
	if o.saveFailures == "" && !o.screen {
		return nil
	}
	// What an answer is judged by must not be gone by then. An interface gives
	// packets as they come; files and streams are read ahead of what is played.
	share := int64(1 << 20)
	if slices.ContainsFunc(o.specs, func(s capture.Spec) bool { return !s.IsLive() }) {
		share = maxPending
	}
	return capture.NewStore(capture.StoreConfig{Max: o.storeLimit(), MaxSession: share, Copies: o.multiply, Linger: o.screen})
}

// checkFailures returns an error unless captures can be written to the
// directory that --save-failures names, which is made if it is not there. One
// that has captures is refused: nobody could tell which run they are of.
func checkFailures(dir string) error {
	fail := func(err error) error { return fmt.Errorf("save failures: %w", err) }
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fail(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fail(err)
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".pcapng" {
			return hinted{fail(fmt.Errorf("%s holds captures already, such as %s", dir, e.Name())),
				"give --save-failures another directory, or move them away"}
		}
	}
	f, err := os.CreateTemp(dir, ".failures-*")
	if err != nil {
		return fail(err)
	}
	f.Close()
	return os.Remove(f.Name())
}

// saveFailures fills in Capture and Command of groups, and writes the example
// of group n to n.pcapng, counting from 1, if its packets are still there. It
// goes on after an error, with what needs no more writing, and returns it.
func (p *pipeline) saveFailures(groups []report.Group) error {
	var failed error
	for i := range groups {
		g := &groups[i]
		g.Capture, g.Command = "", p.opt.replayFiltered(g.Client, int(p.tags.Load()))
		if p.opt.saveFailures == "" || p.store == nil || failed != nil {
			continue
		}
		kept, ok := p.store.Look(g.Session)
		if !ok {
			continue
		}
		path := filepath.Join(p.opt.saveFailures, strconv.Itoa(i+1)+".pcapng")
		failed = writeNew(path, func(f io.Writer) error {
			w := capture.NewWriter(f, "tcpsandbox "+version())
			w.Comment = exampleOf(g, &kept)
			return errors.Join(p.store.Write(g.Session, w), w.Flush())
		})
		if failed != nil {
			failed = fmt.Errorf("save failures: %w", failed)
			continue
		}
		g.Capture, g.Command = path, p.opt.replaySaved(path, &kept)
	}
	return failed
}

// exampleOf says what a saved capture is, for who opens it later.
func exampleOf(g *report.Group, kept *capture.Kept) string {
	what := "differs in " + strings.Join(g.Places, ", ")
	if len(g.Places) == 0 {
		what = "is missing"
	}
	text := fmt.Sprintf("tcpsandbox: the answer to %s %s. Session %d, client %v, server %v",
		g.Request, what, g.Session, kept.Session.Client, kept.Session.Server)
	if !kept.Whole {
		text += ", in part"
	}
	return text
}

// writeNew makes a file of what write writes. It appears whole or not at all,
// and never in the place of another.
func writeNew(path string, write func(io.Writer) error) (err error) {
	beside := fmt.Sprintf("%s.%d.partial", path, os.Getpid())
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, private)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(beside)
		}
	}()
	// Sync: some file systems find out only then that there is no space.
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	place, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, private)
	if err != nil {
		return err
	}
	place.Close()
	return os.Rename(beside, path)
}

// replayFlags are those that bear on what the application answers, or on what
// its answers are held against; not those that say which sessions are played,
// how often, how fast and how long, or what is made of the result.
var replayFlags = []string{
	"app-port", "client-ip", "tunnels", "pace", "wait", "on-early-close", "answer-timeout", "listen-timeout", "idle-timeout",
	"egress", "allow", "allow-dns", "map", "user", "keep-caps", "no-seccomp", "cpus", "memory", "pids", "hide", "show", "env", "mtu", "baseline", "rules", "mask",
}

// givenFlags returns those of some flags that were given, as they can be given
// again.
func givenFlags(flags *pflag.FlagSet, names []string) (words []string) {
	for _, name := range names {
		f := flags.Lookup(name)
		if f == nil || !f.Changed {
			continue
		}
		switch v := f.Value.(type) {
		case pflag.SliceValue:
			for _, one := range v.GetSlice() {
				words = append(words, "--"+name, one)
			}
		default:
			if v.Type() == "bool" {
				words = append(words, "--"+name+"="+v.String())
			} else {
				words = append(words, "--"+name, v.String())
			}
		}
	}
	return words
}

// replay returns a command line that plays some captures as this run did its
// own. What is secret in it is to be put back by who has it.
func (o *runOptions) replay(more ...string) string {
	words := append([]string{"tcpsandbox", "run"}, more...)
	words = append(append(words, o.replayGiven...), "--")
	return commandLine(o.secrets.Words(append(words, o.command...)))
}

// replaySaved plays a saved capture. Its port is named where the capture would
// not tell: of UDP, and of a session whose first packets it has not; and where
// ports were named, since the application is waited for by port.
func (o *runOptions) replaySaved(path string, kept *capture.Kept) string {
	s := kept.Session
	spec := capture.Spec{Source: path}
	named := slices.ContainsFunc(o.specs, func(s capture.Spec) bool { return len(s.Ports)+len(s.UDP) > 0 })
	switch {
	case s.Proto == session.UDP:
		spec.UDP = []uint16{s.Server.Port()}
	case named || s.Joined || !kept.Whole:
		spec.Ports = []uint16{s.Server.Port()}
	}
	return o.replay("--capture", spec.String())
}

// replayFiltered plays the sessions of one client's address and port, from the
// files that this run has read; "" if it has not read files alone. tags is how
// many VLAN tags packets had at most: tcpdump's language sees what is behind
// one only when told to look there.
func (o *runOptions) replayFiltered(client string, tags int) string {
	end, err := netip.ParseAddrPort(client)
	if err != nil {
		return ""
	}
	var words []string
	for i, s := range o.specs {
		if info, err := os.Stat(s.Source); s.IsLive() || err != nil || !info.Mode().IsRegular() { // "-" has no file either
			return ""
		}
		words = append(words, "--capture", o.captures[i])
	}
	one := fmt.Sprintf("host %v and port %d", end.Addr(), end.Port())
	text := one
	if given := strings.TrimSpace(o.filterText); given != "" {
		text = "(" + given + ") and " + one
	} else if tags > 0 {
		text = "(" + one + ")" + strings.Repeat(" or (vlan and "+one+")", tags) // each looks behind one tag more
	}
	return o.replay(append(words, "--filter", text)...)
}

// sawTags notes how many VLAN tags a session's packets have.
func (p *pipeline) sawTags(s *session.Session) {
	tags := vlanTags(s.Via)
	for now := p.tags.Load(); int32(tags) > now && !p.tags.CompareAndSwap(now, int32(tags)); {
		now = p.tags.Load()
	}
}

// vlanTags is how many tags stand around a session, outside of all else; see
// session.Session.Via.
func vlanTags(via string) (tags int) {
	for wrap := range strings.SplitSeq(via, ", ") {
		if !strings.HasPrefix(wrap, "vlan ") {
			break
		}
		tags++
	}
	return tags
}
