package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"tcpsandbox/e2e/apps/connlog"
)

// TestCaptureFaults plays what the capture's side can suffer: each fault is
// survived, or ends the run with a clear error, and in every report each
// captured byte has one fate.
func TestCaptureFaults(t *testing.T) {
	lookAtSources(t)
	if os.Geteuid() != 0 {
		lack(t, "network namespaces need root")
	}
	for _, f := range []struct {
		name string
		play func(*faulty)
	}{
		{"interface down and up under load", (*faulty).interfaceDown},
		{"interface deleted and made again", (*faulty).interfaceGone},
		{"interface renamed", (*faulty).interfaceRenamed},
		{"interface gone for good", (*faulty).interfaceNeverBack},
		{"interface gone while recording", (*faulty).recordThroughOutage},
		{"doctor looks at an interface that is down", (*faulty).doctorLooks},
		{"stopped under load", (*faulty).stoppedUnderLoad},
		{"file grows", (*faulty).fileGrows},
		{"file grows by tcpdump", (*faulty).tcpdumpWrites},
		{"growing file replaced", (*faulty).fileReplaced},
		{"growing file truncated", (*faulty).fileTruncated},
		{"growing file removed", (*faulty).fileRemoved},
		{"file truncated while it is read", (*faulty).fileCutWhileRead},
		{"file replaced while it is read", (*faulty).fileSwappedWhileRead},
		{"standard input stalls", (*faulty).stdinStalls},
		{"standard input ends within a packet", (*faulty).stdinBreaks},
		{"standard input closed", (*faulty).stdinClosed},
		{"clock steps in a file", (*faulty).clockSteps},
	} {
		t.Run(f.name, func(t *testing.T) {
			dir, err := os.MkdirTemp(root, "fault-")
			if err != nil {
				t.Fatal(err)
			}
			w, err := newWorld(t, dir)
			if err != nil {
				t.Fatal(err)
			}
			if w.namespaces, w.wire, err = join(""); err != nil {
				lack(t, err.Error())
			}
			f.play(&faulty{T: t, world: w})
		})
	}
}

// faulty is a test of one fault.
type faulty struct {
	*testing.T
	*world
}

func (f *faulty) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *faulty) path(name string) string { return filepath.Join(f.dir, name) }

// begin starts a program in a namespace.
func (f *faulty) begin(name, ns string, args ...string) *process {
	f.Helper()
	p, err := f.start(name, ns, f.dir, os.Getenv, args)
	f.must(err)
	return p
}

// sandbox starts a run of the application, which is production's testapp, and
// waits until that listens.
func (f *faulty) sandbox(args ...string) *process {
	f.Helper()
	box := f.begin("box", "prod", append(append([]string{"tcpsandbox", "run", "--report", "box.json"}, args...),
		"--", "testapp", "-listen", ":80", "-record", "app.log")...)
	f.says(box, "listens on")
	return box
}

// says waits until a program has said something on its standard error.
func (f *faulty) says(p *process, text string) {
	f.Helper()
	said := func() bool { return strings.Contains(readText(f.path(p.name+".err")), text) }
	if err := await(p.name+" says "+text, func() bool { return said() || !p.running() }); err != nil || !said() {
		f.Fatal(err, p.lastWords())
	}
}

// production starts the server whose traffic is captured.
func (f *faulty) production() {
	f.Helper()
	f.begin("prod", "prod", "testapp", "-listen", ":80", "-record", "prod.log")
	f.must(await("production listens", func() bool {
		found, err := f.namespaces["prod"].listens(80, false)
		return found && err == nil
	}))
}

// load starts connections to production with so many requests each, of which it
// waits for the first few.
func (f *faulty) load(name string, connections, requests int, more ...string) *process {
	f.Helper()
	p := f.begin(name, "client", append(append([]string{"load", "-to", "10.77.0.1:80", "-from", "10.77.0.2,10.77.0.3",
		"-connections", fmt.Sprint(connections), "-requests", fmt.Sprint(requests), "-first-part", "5",
		"-ready", name + ".ready", "-record", name + ".log"}, more...), "http")...)
	f.exists(name + ".ready")
	return p
}

// exists waits for a file.
func (f *faulty) exists(name string) {
	f.Helper()
	f.must(await(name+" exists", func() bool { _, err := os.Stat(f.path(name)); return err == nil }))
}

func (f *faulty) write(name string, data []byte) {
	f.Helper()
	f.must(os.WriteFile(f.path(name), data, 0o644))
}

// entries waits until a log has so many connections.
func (f *faulty) entries(log string, want int) {
	f.Helper()
	got := 0
	err := await(fmt.Sprintf("%s has %d connections", log, want), func() bool {
		all, err := connlog.Read(f.path(log))
		got = len(all)
		return err == nil && got >= want
	})
	if err != nil {
		f.Fatalf("%v, it has %d", err, got)
	}
}

// link changes an interface of a namespace.
func (f *faulty) link(ns, name string, change func(*netlink.Handle, netlink.Link) error) {
	f.Helper()
	h, err := netlink.NewHandleAt(f.namespaces[ns].fd)
	f.must(err)
	defer h.Close()
	l, err := h.LinkByName(name)
	f.must(err)
	f.must(change(h, l))
}

func (f *faulty) down(ns, name string) { f.link(ns, name, (*netlink.Handle).LinkSetDown) }
func (f *faulty) up(ns, name string)   { f.link(ns, name, (*netlink.Handle).LinkSetUp) }

// rewire makes the wire between the namespaces again, after it was deleted.
func (f *faulty) rewire() {
	f.Helper()
	f.must(addVeth(f.namespaces["prod"], f.namespaces["client"]))
	for name, addrs := range addresses {
		f.must(f.namespaces[name].configure(addrs))
	}
}

// ends stops a run by SIGINT, if it has not ended itself, and checks its report.
func (f *faulty) ends(box *process, stop bool, conditions ...string) {
	f.Helper()
	if stop {
		f.must(box.signal("INT"))
	}
	f.must(box.expect("0"))
	f.report(conditions...)
}

func (f *faulty) report(conditions ...string) {
	f.Helper()
	if err := checkReport(f.path("box.json"), "box.json", append(conditions, "defects.# == 0")); err != nil {
		f.Error(err, "\n", readText(f.path("box.out")))
	}
}

// has checks that a run's result, or what it said, holds a text.
func (f *faulty) has(text string) {
	f.Helper()
	if !strings.Contains(readText(f.path("box.out"))+readText(f.path("box.err")), text) {
		f.Errorf("nowhere in what it said: %q; %s", text, f.processes["box"].lastWords())
	}
}

// sameAs compares what clients sent with what the application received.
func (f *faulty) sameAs(logs ...string) {
	f.Helper()
	var lines [2][]string
	for i, name := range append(logs, "app.log") {
		entries, err := connlog.Read(f.path(name))
		f.must(err)
		for _, e := range entries {
			i := min(1, max(0, i-len(logs)+1)) // the last is the application's
			lines[i] = append(lines[i], fmt.Sprintf("%s %d bytes sha256 %.12s", e.Client, e.Bytes, e.SHA256))
		}
	}
	if err := sameSet([]string{strings.Join(logs, ","), "app.log"}, lines); err != nil {
		f.Error(err)
	}
}
