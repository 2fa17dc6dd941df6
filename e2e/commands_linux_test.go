package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"tcpsandbox/e2e/apps/connlog"
)

// commands are what the scripts can say besides testscript's own. NS is prod
// or client.
//
//	need PROGRAM…               skips without them
//	fullspeed                   skips under the race detector, which makes programs many
//	                            times as slow and as large: claims on rates and memory
//	topology                    both namespaces, each with lo and eth0: 10.77.0.1 and
//	                            fd77::1 (prod), 10.77.0.2–4 and fd77::2–3 (client)
//	topology lossy              the same on a wire that loses, doubles and reorders
//	topology narrow             on a good wire that has packets of 1,500 bytes at most
//	topology unwatched          without a capture for inspection, which would cost bulk
//	                            data a fifth of the CPU
//	start NAME NS COMMAND…      in the background; output in NAME.out and NAME.err
//	signal NAME SIGNAL          INT, TERM, KILL …
//	ends NAME CODE|SIGNAL       waits for it and all that stems from it, and checks
//	in NS COMMAND…              in the foreground; must exit with 0
//	fails CODE NS COMMAND…      in the foreground; must exit with CODE
//	waitlisten NS PORT[/udp]    a TCP socket listens, or a UDP socket is there
//	waitunix FILE               a Unix socket listens
//	waitfor FILE [REGEXP]       the file exists, and has a line that matches
//	waitprocess NAME TEXT       something that stems from it has TEXT in its command
//	rights NAME CAP…            each of its threads has these capabilities, or none, and no others
//	spent NAME SHARE            so much of a processor it has used itself since its start, at most
//	waitentries FILE N          N connections of the log have ended
//	sandbox NAME ARG…           tcpsandbox run ARG… in prod, in the background, with
//	                            NAME.json as report and NAME.app as --app-log; waits
//	                            until the application listens
//	report FILE CONDITION…      such as 'answers.different == 1'; see report_test.go
//	sameclients SENT RECEIVED   two connection logs agree on addresses, bytes, ends;
//	                            FROM=TO behind them: the server's port is another
//	beginnings SENT RECEIVED    each received stream is the beginning of the one that
//	                            its client sent (with load -content)
//	entry FILE N CONDITION…     conditions on the N-th line of a connection log
//	samelines FILE FILE         the same lines, in any order
//	tally FILE CONDITION…       conditions on the sums of a connection log; see tally_test.go
//	paced SESSIONS TIME CAPTURE SENT
//	                            makes a capture that lasts so long, and its clients' log
//	loses PERCENT               the narrow wire loses so many TCP segments from now on
//	lose PERCENT SEED IN OUT    copies a capture without some of its packets; which, is in OUT.lost
//	recovered KIND IN OUT MESSAGES REPORT
//	                            what a run of such a capture should deliver; see loss_test.go
//	figures FILE PATH…          prints what a report has there
//	groups FILE GROUP…          a report's groups of differences are these, such as
//	                            'GET /cart: $.items[*].price, header etag'
//	again NAME FILE N           runs the command that a report gives for its N-th group,
//	                            from 0, in prod, in the background, with NAME.json as report
//	sample NAME                 measures the process once a second from now on
//	steady FILE                 memory and open files since then, and goroutines by its
//	                            --vitals FILE, do not grow
//	sent FILE                   a report accounts for all that load's churn has sent
//	junit FILE NAME…            the test cases that failed in a JUnit file are these
var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"need":        command(1, -1, cmdNeed),
	"fullspeed":   command(0, 0, cmdFullSpeed),
	"topology":    command(0, 1, cmdTopology),
	"start":       command(3, -1, cmdStart),
	"signal":      command(2, 2, cmdSignal),
	"ends":        command(2, 2, cmdEnds),
	"in":          command(2, -1, cmdIn),
	"fails":       command(3, -1, cmdFails),
	"waitlisten":  command(2, 2, cmdWaitListen),
	"waitunix":    command(1, 1, cmdWaitUnix),
	"waitfor":     command(1, 2, cmdWaitFor),
	"waitprocess": command(2, 2, cmdWaitProcess),
	"rights":      command(2, -1, cmdRights),
	"spent":       command(2, 2, cmdSpent),
	"waitentries": command(2, 2, cmdWaitEntries),
	"sandbox":     command(2, -1, cmdSandbox),
	"report":      command(2, -1, cmdReport),
	"sameclients": command(2, 3, cmdSameClients),
	"beginnings":  command(2, 2, cmdBeginnings),
	"entry":       command(3, -1, cmdEntry),
	"samelines":   command(2, 2, cmdSameLines),
	"tally":       command(2, -1, cmdTally),
	"paced":       command(4, 4, cmdPaced),
	"loses":       command(1, 1, cmdLoses),
	"lose":        command(4, 4, cmdLose),
	"recovered":   command(5, 5, cmdRecovered),
	"figures":     command(2, -1, cmdFigures),
	"groups":      command(1, -1, cmdGroups),
	"again":       command(3, 3, cmdAgain),
	"sample":      command(1, 1, cmdSample),
	"steady":      command(1, 1, cmdSteady),
	"sent":        command(1, 1, cmdSent),
	"junit":       command(1, -1, cmdJUnit),
}

// command checks the number of arguments; most < 0 means any.
func command(least, most int, run func(ts *testscript.TestScript, w *world, args []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this command knows no !")
		}
		if len(args) < least || most >= 0 && len(args) > most {
			ts.Fatalf("wrong number of arguments: %d", len(args))
		}
		ts.Check(run(ts, worldOf(ts), args))
	}
}

func cmdNeed(ts *testscript.TestScript, w *world, programs []string) error {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			lack(w.t, err.Error())
		}
	}
	return nil
}

func cmdFullSpeed(ts *testscript.TestScript, w *world, args []string) error {
	if raceDetector {
		w.t.Skip("the race detector makes it too slow or too large for what it claims; it is run without, too")
	}
	return nil
}

func cmdTopology(ts *testscript.TestScript, w *world, args []string) (err error) {
	kind := ""
	if len(args) > 0 {
		kind = args[0]
	}
	if !slices.Contains([]string{"", "lossy", "narrow", "unwatched"}, kind) {
		return fmt.Errorf("no such topology: %s", kind)
	}
	if len(w.namespaces) > 0 {
		return fmt.Errorf("topology was called already")
	}
	w.namespaces, w.wire, err = join(kind)
	if err != nil || kind == "unwatched" {
		return err
	}
	return w.watch()
}

func cmdStart(ts *testscript.TestScript, w *world, args []string) error {
	_, err := w.start(args[0], args[1], ts.MkAbs("."), ts.Getenv, args[2:])
	return err
}

func (w *world) process(name string) (*process, error) {
	if p := w.processes[name]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("no process %s was started", name)
}

func cmdSignal(ts *testscript.TestScript, w *world, args []string) error {
	p, err := w.process(args[0])
	if err != nil {
		return err
	}
	return p.signal(args[1])
}

func cmdEnds(ts *testscript.TestScript, w *world, args []string) error {
	p, err := w.process(args[0])
	if err != nil {
		return err
	}
	return p.expect(args[1])
}

func cmdIn(ts *testscript.TestScript, w *world, args []string) error {
	return w.foreground(ts, "0", args)
}

func cmdFails(ts *testscript.TestScript, w *world, args []string) error {
	return w.foreground(ts, args[0], args[1:])
}

// foreground runs a program to its end. Its output is what the script's stdout
// and stderr commands look at.
func (w *world) foreground(ts *testscript.TestScript, outcome string, args []string) error {
	name := fmt.Sprintf("%02d-%s", len(w.order), filepath.Base(args[1]))
	p, err := w.start(name, args[0], ts.MkAbs("."), ts.Getenv, args[1:])
	if err != nil {
		return err
	}
	err = p.expect(outcome)
	fmt.Fprint(ts.Stdout(), readText(filepath.Join(w.dir, name+".out")))
	fmt.Fprint(ts.Stderr(), readText(filepath.Join(w.dir, name+".err")))
	return err
}

func readText(path string) string {
	data, _ := os.ReadFile(path)
	return string(data)
}

func cmdWaitListen(ts *testscript.TestScript, w *world, args []string) error {
	n := w.namespaces[args[0]]
	number, udp := strings.CutSuffix(args[1], "/udp")
	port, err := strconv.Atoi(number)
	if n == nil || err != nil {
		return fmt.Errorf("want a namespace and a port, not %q", args)
	}
	return await("somebody listens on "+args[1], func() bool {
		found, e := n.listens(port, udp)
		err = e
		return found || e != nil
	})
}

func cmdWaitUnix(ts *testscript.TestScript, w *world, args []string) error {
	return await("somebody listens on "+args[0], func() bool { return listensUnix(ts.MkAbs(args[0])) })
}

func cmdWaitFor(ts *testscript.TestScript, w *world, args []string) error {
	path := ts.MkAbs(args[0])
	if len(args) == 1 {
		return await(args[0]+" exists", func() bool { _, err := os.Stat(path); return err == nil })
	}
	re, err := regexp.Compile("(?m)" + args[1])
	if err != nil {
		return err
	}
	err = await(args[0]+" has a line that matches "+args[1], func() bool { return re.MatchString(readText(path)) })
	if err != nil {
		return fmt.Errorf("%w; it has:\n%s", err, readText(path))
	}
	return nil
}

func cmdWaitProcess(ts *testscript.TestScript, w *world, args []string) error {
	return await(fmt.Sprintf("%s has started %q", args[0], args[1]), func() bool {
		return strings.Contains(describe(w.descendants(args[0])), args[1])
	})
}

func cmdWaitEntries(ts *testscript.TestScript, w *world, args []string) error {
	want, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	var entries []connlog.Entry
	e := await(fmt.Sprintf("%s has %d connections", args[0], want), func() bool {
		entries, err = connlog.Read(ts.MkAbs(args[0]))
		return err != nil || len(entries) >= want
	})
	if e != nil {
		return fmt.Errorf("%w, it has %d", e, len(entries))
	}
	return err
}

// forbearing returns the flags that wait for an application for as long as a busy host
// may hold it up, unless there are others among args.
func forbearing(args []string) (flags []string) {
	for _, f := range []string{"--answer-timeout", "--drain"} {
		if !slices.ContainsFunc(args, func(arg string) bool { return arg == f || strings.HasPrefix(arg, f+"=") }) {
			flags = append(flags, f, "1m")
		}
	}
	return flags
}

// cmdSandbox is how most scripts start the program.
func cmdSandbox(ts *testscript.TestScript, w *world, args []string) error {
	name := args[0]
	all := []string{"tcpsandbox", "run", "--report", name + ".json", "--app-log", name + ".app"}
	p, err := w.start(name, "prod", ts.MkAbs("."), ts.Getenv, append(append(all, forbearing(args)...), args[1:]...))
	if err != nil {
		return err
	}
	log := filepath.Join(w.dir, name+".err")
	listens := func() bool { return strings.Contains(readText(log), " listens on ") }
	err = await("the application listens", func() bool { return !p.running() || listens() })
	if err == nil && !listens() {
		err = fmt.Errorf("%s ended with %s before the application listened", name, p.outcome())
	}
	if err != nil {
		return fmt.Errorf("%w%s", err, p.lastWords())
	}
	return nil
}
