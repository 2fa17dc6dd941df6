package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tcpsandbox/capture/capturetest"
)

// fault is a row of the matrix: an application, or a surrounding, that fails in
// one way, and what is to come of the run.
type fault struct {
	name string
	// script in testdata that shows it; the rest is empty then.
	script string

	packets  func() []capturetest.Packet // nil: visits
	args     []string                    // of run
	app      []string
	shell    string // runs the command, which is its "$@"; "": nothing does
	during   func(*testing.T, *world, *process)
	exit     string   // code, or the signal's name
	says     []string // regular expressions of what it writes to the standard error
	result   []string // of what it writes to the standard output
	report   []string // conditions; besides, each has to add up
	noReport bool
	memory   int64 // that it may have taken at most, in bytes; 0: no matter
	after    func(*testing.T, *world)
}

// visits is a capture of 20 clients with 5 requests each, within 100 ms.
func visits() []capturetest.Packet { return visitors(20, 5) }

func visitors(clients, requests int) []capturetest.Packet {
	var conns []*capturetest.Conn
	for i := range clients {
		c := capturetest.New(fmt.Sprintf("10.78.%d.%d:20000", i>>8, i&255), "10.77.0.1:80").Wait(time.Duration(i) * time.Millisecond).Handshake()
		for n := range requests {
			body := fmt.Sprintf("item %d-%d\n", i, n)
			c.Wait(10 * time.Millisecond).Client(fmt.Sprintf("GET /item/%d-%d HTTP/1.1\r\nHost: shop.test\r\n\r\n", i, n))
			c.Server(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s", len(body), body)).ClientACK()
		}
		conns = append(conns, c.Close())
	}
	return capturetest.Merge(conns...)
}

// uploads is a capture of 4 clients that send 4 MB each.
func uploads() []capturetest.Packet {
	var conns []*capturetest.Conn
	for i := range 4 {
		c := capturetest.New(fmt.Sprintf("10.78.0.%d:20000", i), "10.77.0.1:80").Handshake()
		body := strings.Repeat("x", 4<<20)
		c.Client(fmt.Sprintf("POST /item/%d HTTP/1.1\r\nHost: shop.test\r\nContent-Length: %d\r\n\r\n", i, len(body)))
		for rest := body; len(rest) > 0; rest = rest[min(len(rest), 64<<10):] {
			c.Client(rest[:min(len(rest), 64<<10)]).ServerACK()
		}
		c.Server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ClientACK()
		conns = append(conns, c.Close())
	}
	return capturetest.Merge(conns...)
}

// TestFaults is the matrix of what may go wrong on the application's side, and
// around it. Whatever it is, the run ends with the exit code and the words that
// tell, the report's books add up, and nothing is left: see world.close.
func TestFaults(t *testing.T) {
	lookAtSources(t)
	if os.Geteuid() != 0 {
		lack(t, "network namespaces need root")
	}
	seen := map[string]bool{}
	for _, f := range append(applicationFaults(), surroundingFaults()...) {
		if seen[f.name] {
			t.Errorf("%s is there twice", f.name)
		}
		seen[f.name] = true
		t.Run(strings.ReplaceAll(f.name, " ", "-"), func(t *testing.T) {
			if f.script != "" {
				if _, err := os.Stat(filepath.Join("testdata", f.script+".txtar")); err != nil {
					t.Errorf("what shows it is not there: %v", err)
				}
				return
			}
			t.Parallel()
			f.happen(t)
		})
	}
}

// happen makes the run of a row.
func (f *fault) happen(t *testing.T) {
	w := bareWorld(t, "fault-")
	all := []string{"tcpsandbox", "run", "--capture", f.write(t, w), "--report", w.dir + "/run.json"}
	all = append(append(append(append(all, forbearing(f.args)...), f.args...), "--"), f.app...)
	if f.shell != "" {
		all = append([]string{"/bin/sh", "-c", f.shell, "sh"}, all...)
	}
	p := w.background("run", "prod", all...)
	if f.during != nil {
		f.during(t, w, p)
	}
	if err := p.expect(f.exit); err != nil {
		t.Fatal(err)
	}
	for file, all := range map[string][]string{"run.err": f.says, "run.out": f.result} {
		for _, want := range all {
			if !regexp.MustCompile("(?m)" + want).MatchString(readText(filepath.Join(w.dir, file))) {
				t.Errorf("%s has no line that matches %q%s", file, want, p.lastWords())
			}
		}
	}
	if !f.noReport {
		if err := checkReport(filepath.Join(w.dir, "run.json"), "run.json", append(f.report, "defects.# == 0")); err != nil {
			t.Errorf("%v%s", err, p.lastWords())
		}
		f.checkMemory(t, w)
	}
	if f.after != nil {
		f.after(t, w)
	}
}

// write makes the capture file, and returns its path.
func (f *fault) write(t *testing.T, w *world) string {
	packets, path := f.packets, filepath.Join(w.dir, "clients.pcap")
	if packets == nil {
		packets = visits
	}
	if err := os.WriteFile(path, capturetest.Pcap(packets()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkMemory compares what the run took at most with what it may.
func (f *fault) checkMemory(t *testing.T, w *world) {
	var r struct {
		Peak     int64   `json:"peak_memory_bytes"`
		Duration float64 `json:"duration_s"`
	}
	if err := json.Unmarshal([]byte(readText(filepath.Join(w.dir, "run.json"))), &r); err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f s, %.0f MB", r.Duration, float64(r.Peak)/1e6)
	if f.memory > 0 && r.Peak > f.memory && !raceDetector { // which takes several times as much
		t.Errorf("%d bytes of memory, want %d at most", r.Peak, f.memory)
	}
}

// bareWorld is a world without a production, in a folder whose name begins with prefix.
func bareWorld(t *testing.T, prefix string) *world {
	t.Helper()
	dir, err := os.MkdirTemp(root, prefix)
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWorld(t, dir)
	if err == nil {
		w.namespaces, w.wire, err = join("unwatched")
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// has waits until a file of the world has a line that matches.
func (w *world) has(file, pattern string) {
	w.t.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	w.await(file+" has "+pattern, func() bool { return re.MatchString(readText(filepath.Join(w.dir, file))) })
}

// applicationFaults are those of the application.
func applicationFaults() []fault {
	gigabyte := "1073741824"
	if raceDetector {
		gigabyte = "67108864"
	}
	quick := []string{"--answer-timeout", "300ms", "--drain", "500ms"}
	chatter := func(more ...string) []string {
		return append([]string{"faulty", "-mode", "chatter", "-bytes", gigabyte}, more...)
	}
	patient := []string{"--answer-timeout", "5m", "--drain", "5m"}
	return []fault{
		{name: "none", app: []string{"faulty"}, exit: "0", report: []string{"answers.identical == 100", "client_bytes.delivered == client_bytes.captured"}},
		{name: "never reads", packets: uploads, args: append(quick, "--pace", "asap"), app: []string{"faulty", "-mode", "deaf"}, exit: "1",
			report: []string{"client_bytes.pending > 0", "client_bytes.delivered > 0", "answers.identical == 0"}, result: []string{"^lost: "}, memory: 120e6},
		{name: "never accepts", args: quick, app: []string{"faulty", "-mode", "asleep"}, exit: "1",
			report: []string{"sessions.finished == 0", "answers.identical == 0", "answers.missing > 0"}},
		{name: "answers nothing", script: "mute"},
		{name: "closes at random", app: []string{"faulty", "-mode", "closes"}, exit: "1",
			report: []string{"answers.missing > 0", "answers.identical > 50", "sessions.seen == 20", "sessions.pending == 0"}},
		{name: "resets at random", app: []string{"faulty", "-mode", "resets"}, exit: "1",
			report: []string{"answers.missing > 0", "answers.identical > 50", "sessions.seen == 20", "sessions.pending == 0"}},
		{name: "resets each connection", script: "closes_early"},
		{name: "dies", script: "crash"},
		{name: "dies and is restarted", args: []string{"--restart", "on-failure"}, app: []string{"testapp", "-listen", ":80", "-crash-after", "60", "-crash", "kill"}, exit: "4",
			says:   []string{"testapp died: SIGKILL; it is started again at once", "^tcpsandbox: testapp died during the replay: SIGKILL"},
			result: []string{"^the application died once in the middle of the run", "SIGKILL, having listened for"},
			report: []string{`ended == "capture-end"`, "app.died == 1", "app.restarts == 1", `app.deaths.0.signal == "SIGKILL"`, "answers.identical > 75", "sessions.seen == 20"}},
		{name: "dies in a loop", packets: func() []capturetest.Packet {
			var all []capturetest.Packet
			for i := range 10 {
				all = append(all, visitorsAt(time.Duration(i)*200*time.Millisecond, i, 1)...)
			}
			return all
		}, args: []string{"--restart", "on-failure"}, app: []string{"faulty", "-mode", "dies"}, exit: "4",
			says:   []string{"faulty died 5 times during the replay, in the end: exit code 3; .* not started again"},
			report: []string{`ended == "app-exited"`, "app.died == 5", "app.restarts == 4", "app.deaths.# == 5", "answers.identical == 0"}},
		{name: "does not listen", script: "bad_application"},
		{name: "listens elsewhere", script: "bad_application"},
		{name: "listens late", app: []string{"faulty", "-mode", "late"}, exit: "0", report: []string{"answers.identical == 100"}},
		{name: "closes its listener", app: []string{"faulty", "-mode", "gone", "-after", "30"}, packets: func() []capturetest.Packet {
			later := visitorsAt(time.Second, 100, 5)
			return append(visits(), later...)
		}, exit: "1", report: []string{`ended == "capture-end"`, "sessions.refused == 5", "app.exit_code == 0", "answers.identical == 100"}},
		{name: "prints a gigabyte", args: append(patient, "--app-log", "/dev/null"), app: chatter(), exit: "0",
			report: []string{"answers.identical == 100"}, memory: 120e6},
		{name: "prints a gigabyte to stderr in one line", args: append(patient, "--app-log", "/dev/null"), app: chatter("-to", "stderr", "-lines=false"), exit: "0",
			report: []string{"answers.identical == 100"}, memory: 120e6},
		{name: "prints a gigabyte to the console", args: patient, app: chatter(), shell: `exec "$@" 2>/dev/null`, exit: "0",
			report: []string{"answers.identical == 100"}, memory: 120e6},
		{name: "prints into a file", args: append(patient, "--app-log", "app.log"), app: []string{"faulty", "-mode", "chatter", "-bytes", "67108864"}, exit: "0",
			report: []string{"answers.identical == 100"}, after: func(t *testing.T, w *world) {
				info, err := os.Stat(filepath.Join(w.dir, "app.log"))
				if err != nil || info.Size() != 64<<20 {
					t.Errorf("%v, %v", info, err)
				}
			}},
		{name: "leaves daemons behind", app: []string{"faulty", "-mode", "daemons"}, exit: "4",
			says: []string{"faulty died during the replay: exit code 0"}, report: []string{"app.exit_code == 0", "answers.identical > 0"}},
		{name: "leaves a child behind", script: "nothing_left"},
		{name: "ignores SIGTERM", script: "nothing_left"},
		{name: "fills the disk", app: []string{"faulty", "-mode", "disk"},
			shell: `mkdir small && exec unshare -m sh -c 'mount -t tmpfs -o size=1m none small && cd small && exec "$@"' sh "$@"`,
			exit:  "0", says: []string{"app: the disk is full: .*no space left on device"}, report: []string{"answers.identical == 100"}},
		{name: "eats memory", args: []string{"--answer-timeout", "60s"}, app: []string{"faulty", "-mode", "memory"}, exit: "4",
			says: []string{"faulty died during the replay"}, report: []string{`ended == "app-exited"`}, memory: 120e6},
		{name: "forks without end", args: []string{"--user", "64117", "--answer-timeout", "60s", "--drain", "60s"}, app: []string{"faulty", "-mode", "forks"}, exit: "0",
			shell: `chmod 777 . && exec "$@"`, says: []string{"^app: no more processes: "}, report: []string{"answers.identical == 100"}},
		{name: "has no files left", args: []string{"--answer-timeout", "60s"}, app: []string{"faulty", "-mode", "files"}, exit: "0", packets: func() []capturetest.Packet {
			return visitors(100, 3)
		}, says: []string{"too many open files"}, report: []string{"answers.identical == 300"}},
	}
}

// visitorsAt are others, who come later.
func visitorsAt(at time.Duration, from, clients int) []capturetest.Packet {
	var conns []*capturetest.Conn
	for i := from; i < from+clients; i++ {
		c := capturetest.New(fmt.Sprintf("10.78.0.%d:20000", i), "10.77.0.1:80").Wait(at).Handshake()
		c.Client("GET /item/late HTTP/1.1\r\nHost: shop.test\r\n\r\n")
		c.Server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nitem late\n").ClientACK()
		conns = append(conns, c.Close())
	}
	return capturetest.Merge(conns...)
}
