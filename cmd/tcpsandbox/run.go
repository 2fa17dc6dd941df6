package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tcpsandbox/capture"
	"tcpsandbox/replay"
	"tcpsandbox/report"
	"tcpsandbox/sandbox"
)

// runOptions is what the command line of run says.
type runOptions struct {
	captures []string
	specs    []capture.Spec
	command  []string
	baseline string // a command for the shell; "": none

	appPortFlag string
	allPorts    uint16                  // the application's port, whatever the captured one; 0: see portMap
	portMap     map[sandbox.Port]uint16 // captured port → the application's
	paceFlag    string
	controls
	followFlags
	restartFlags
	guardFlags
	verdictFlags
	egressFlags
	limitFlags
	answerTimeout time.Duration
	listenTimeout time.Duration
	duration      time.Duration
	drain         time.Duration
	grace         time.Duration
	maxSessions   int
	user          string
	keepCaps      []string
	noSeccomp     bool
	hide          []string // "none": not what is hidden by itself
	show          []string
	env           []string
	appLog        string
	mtu           int
	reports       []string
	saveFailures  string   // a directory; "": none
	replayGiven   []string // the flags that a replay of one session needs as well
	failOn        string
	noTUI, quiet  bool
	screen        bool // the run is shown on one
	standBack     bool // all of the run, behind what else is on the host
	cpuProfile    string
	vitalsFile    string // "": none

	appLogFile, baselineLogFile *os.File // nil: none
}

func runCommand(code *int) *cobra.Command {
	opt := &runOptions{grace: 5 * time.Second}
	cmd := &cobra.Command{
		Use:   "run --capture SOURCE[:PORT[/udp],…] [flags] -- COMMAND [ARG…]",
		Short: "Replay captured sessions into an application in its own network namespace",
		Long: `Runs COMMAND in a network namespace of its own and plays every captured TCP
session into it, and the UDP flows to ports such as 53/udp, from the original
client's IP address and port. Nothing that the command sends leaves this
process, but to destinations named by --allow and --map. Its answers are
compared with those of production.

SOURCE is an interface (eth0, lo, any), a capture file (pcap or pcapng, either
gzipped) or - for a capture on the standard input:

  sudo tcpsandbox run --capture eth0:80 -- ./testapp
  sudo tcpsandbox run --capture eth0:53,53/udp -- ./resolver
  tcpsandbox run --capture growing.pcap --follow -- ./testapp
  tcpsandbox run --capture shop.pcapng --pace asap --report run.json -- ./testapp
  ssh prod sudo tcpdump -U -w - tcp port 80 | tcpsandbox run --capture - -- ./testapp
  sudo tcpsandbox run --capture eth0:80 --baseline ./testapp-1.0 -- ./testapp-1.1

The result goes to the standard output, all else to the standard error.
Exit: 0 all compared answers match, 1 they differ (see --fail-on), 2 misuse,
3 cannot run here, or its own books do not balance, 4 the application or the
baseline never listened, or the application died; 128 and the signal's number
if a signal came before there was a result.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opt.complete(cmd, args); err != nil {
				return err
			}
			c, err := replayInto(opt)
			*code = c
			return err
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&opt.captures, "capture", nil, "where the packets come from, and the server's ports (may repeat)")
	f.StringVar(&opt.appPortFlag, "app-port", "", "where the application listens: PORT, or FROM[/udp]=TO,… (default: the captured port)")
	f.StringVar(&opt.paceFlag, "pace", "live", "live: not before its captured time; asap: as soon as the application has answered")
	opt.controls.flags(f)
	opt.followFlags.flags(f)
	opt.restartFlags.flags(f)
	opt.guardFlags.flags(f)
	opt.verdictFlags.flags(f)
	f.DurationVar(&opt.answerTimeout, "answer-timeout", 5*time.Second, "count an answer as missing after this long a silence")
	f.DurationVar(&opt.listenTimeout, "listen-timeout", 30*time.Second, "give the application this long until it listens")
	f.DurationVar(&opt.duration, "duration", 0, "stop the capture after this long")
	f.IntVar(&opt.maxSessions, "max-sessions", 0, "replay the first N sessions, then stop")
	f.DurationVar(&opt.drain, "drain", 10*time.Second, "give sessions under way this long when the capture has ended")
	opt.egressFlags.flags(f)
	f.StringVar(&opt.baseline, "baseline", "", "run the old version beside the new one, by /bin/sh -c COMMAND in a namespace of its own: where its answers differ, too, is noise")
	f.StringVar(&opt.user, "user", "", "run the application as this user (default: the one behind sudo, else the invoking one)")
	f.StringSliceVar(&opt.keepCaps, "keep-caps", nil, "capabilities that the application keeps besides net_bind_service, such as setuid,setgid")
	opt.limitFlags.flags(f)
	f.BoolVar(&opt.noSeccomp, "no-seccomp", false, "do not filter the application's system calls: for debuggers, 32-bit programs and io_uring")
	f.StringArrayVar(&opt.hide, "hide", nil, "hide this file, socket or folder from the application, besides the host's Unix sockets; none: not those (may repeat)")
	f.StringArrayVar(&opt.show, "show", nil, "do not hide this Unix socket of the host, or those in this folder (may repeat)")
	f.StringArrayVar(&opt.env, "env", nil, "K=V in the application's environment, which is this one without what leads to the host's services, such as DOCKER_HOST (may repeat)")
	f.StringVar(&opt.appLog, "app-log", "", "write the application's output to this file, and the baseline's to FILE.baseline (default: to the standard error)")
	f.IntVar(&opt.mtu, "mtu", 1500, "MTU of the application's network, in bytes")
	f.StringArrayVar(&opt.reports, "report", nil, "write the result to a file, too: FILE.html, FILE.xml (JUnit) or FILE.json (may repeat)")
	f.StringVar(&opt.saveFailures, "save-failures", "", "write a session of each group of differences to DIR/1.pcapng, DIR/2.pcapng, …, to be replayed alone")
	f.StringVar(&opt.failOn, "fail-on", "different", "exit with 1 on different answers, on loss as well, or never")
	f.StringVar(&opt.cpuProfile, "cpuprofile", "", "write a CPU profile of tcpsandbox to this file")
	f.MarkHidden("cpuprofile")
	f.StringVar(&opt.vitalsFile, "vitals", "", "write the number of goroutines and the size of the live heap to this file each second")
	f.MarkHidden("vitals")
	f.BoolVar(&opt.noTUI, "no-tui", false, "no screen: plain progress on the standard error (default without a terminal)")
	f.BoolVar(&opt.quiet, "quiet", false, "only warnings, errors and the result")
	return cmd
}

// complete checks what cobra cannot.
func (o *runOptions) complete(cmd *cobra.Command, args []string) error {
	dash := cmd.ArgsLenAtDash()
	if dash < 0 && len(args) > 0 || dash > 0 {
		return misuse(cmd, "unexpected argument %q: the application's command comes after --", args[0])
	}
	o.command = args
	if len(o.captures) == 0 {
		return misuse(cmd, "no --capture: name an interface, a capture file or -, such as --capture eth0:80")
	}
	if len(o.command) == 0 {
		return misuse(cmd, "no command: name the application after --, such as -- ./testapp")
	}
	stdin := 0
	for _, c := range o.captures {
		spec, err := capture.ParseSpec(c)
		if err != nil {
			return usageError{cmd.CommandPath(), err}
		}
		if spec.Source == "-" {
			stdin++
		}
		o.specs = append(o.specs, spec)
	}
	if stdin > 1 {
		return misuse(cmd, "--capture - can be given only once")
	}
	if err := o.parseAppPort(); err != nil {
		return usageError{cmd.CommandPath(), err}
	}
	for flag, ok := range map[string]bool{
		"--pace must be live or asap, not " + strconv.Quote(o.paceFlag):                 o.paceFlag == "live" || o.paceFlag == "asap",
		"--egress must be drop or refuse, not " + strconv.Quote(o.egress):               o.egress == "drop" || o.egress == "refuse",
		"--fail-on must be different, loss or never, not " + strconv.Quote(o.failOn):    o.failOn == "different" || o.failOn == "loss" || o.failOn == "never",
		fmt.Sprintf("--mtu must lie between 1280 and 65535, not %d", o.mtu):             o.mtu >= 1280 && o.mtu <= 65535,
		fmt.Sprintf("--max-sessions must not be negative: %d", o.maxSessions):           o.maxSessions >= 0,
		"--answer-timeout, --listen-timeout, --duration and --drain cannot be negative": min(o.answerTimeout, o.listenTimeout, o.duration, o.drain) >= 0,
	} {
		if !ok {
			return misuse(cmd, "%s", flag)
		}
	}
	if o.twice = cmd.Flags().Changed("baseline"); o.twice && strings.TrimSpace(o.baseline) == "" {
		return misuse(cmd, "--baseline: no command: name the old version, such as --baseline ./testapp-1.0")
	}
	if name := emptyFlag(cmd.Flags()); name != "" {
		return misuse(cmd, "--%s: it is empty, as of a variable that is not set", name)
	}
	o.replayGiven = givenFlags(cmd.Flags(), replayFlags)
	o.idleGiven = cmd.Flags().Changed("idle-timeout")
	o.gated = len(o.allow)+len(o.maps) > 0
	if err := o.controls.complete(o.specs); err != nil {
		return usageError{cmd.CommandPath(), err}
	}
	if err := o.followFlags.complete(o.specs, &o.controls); err != nil {
		return usageError{cmd.CommandPath(), err}
	}
	if err := o.restartFlags.complete(); err != nil {
		return usageError{cmd.CommandPath(), err}
	}
	if err := o.guardFlags.complete(o.specs, cmd.Flags().Changed("max-retransmissions")); err != nil {
		return usageError{cmd.CommandPath(), err}
	}
	if o.learn != "" && !o.twice {
		return misuse(cmd, "--learn needs --baseline: what the old version differs in is learned")
	}
	if err := o.verdictFlags.complete(); err != nil {
		return usageError{cmd.CommandPath(), err}
	}
	if err := o.egressFlags.complete(); err != nil {
		return usageError{cmd.CommandPath(), err}
	}
	if err := o.limitFlags.complete(cmd.Flags().Changed); err != nil {
		return usageError{cmd.CommandPath(), err}
	}
	if err := sandbox.CheckCaps(o.keepCaps); err != nil {
		return usageError{cmd.CommandPath(), err}
	}
	for _, e := range o.env {
		if k, _, ok := strings.Cut(e, "="); !ok || k == "" {
			return misuse(cmd, "--env %s: want K=V", e)
		}
	}
	for _, path := range o.reports {
		if err := report.CheckName(path); err != nil {
			return usageError{cmd.CommandPath(), err}
		}
	}
	return nil
}

// hidden returns the paths that --hide names, and whether none is among them.
func (o *runOptions) hidden() (paths []string, none bool) {
	for _, path := range o.hide {
		if path == "none" {
			none = true
			continue
		}
		paths = append(paths, path)
	}
	return paths, none
}

// wantText are the flags whose absence changes what a run gives without anybody
// noticing: a threshold that does not hold, a secret that is shown.
var wantText = []string{"max-different", "max-slowdown", "mask", "rules", "learn", "save-failures", "report", "app-log", "hide", "show", "allow", "map"}

// emptyFlag returns the name of one of them that was given without a value, if
// there is one.
func emptyFlag(flags *pflag.FlagSet) string {
	for _, name := range wantText {
		f := flags.Lookup(name)
		if f == nil || !f.Changed {
			continue
		}
		given := []string{f.Value.String()}
		if all, ok := f.Value.(pflag.SliceValue); ok {
			given = all.GetSlice()
		}
		if len(given) == 0 || slices.ContainsFunc(given, func(v string) bool { return strings.TrimSpace(v) == "" }) {
			return name
		}
	}
	return ""
}

// loopback reports whether sessions may come to a loopback address.
func (o *runOptions) loopback() bool {
	for _, s := range o.specs {
		if s.Source == "lo" || s.Source == "any" || !s.IsLive() {
			return true
		}
	}
	return false
}

// newPace returns nil where sessions are played as they come.
func (o *runOptions) newPace() *replay.Pace {
	if o.paceFlag == "asap" || o.follow {
		return nil
	}
	for _, s := range o.specs {
		if s.IsLive() || s.Source == "-" {
			return nil
		}
	}
	pace := replay.NewPace(o.speed)
	if o.skipIdle > 0 {
		pace.SkipIdle(o.skipIdle)
	}
	return pace
}

// longestSilence is how much of a silence of the whole capture counts towards
// the idle time-out: with 10 minutes of that, a clock that leaps by an hour ends
// no session, and ten such silences, with nothing else in between, do.
const longestSilence = time.Minute

// assembler says how packets of a source become sessions.
func (o *runOptions) assembler(spec capture.Spec, nextID func() uint64) capture.AssemblerConfig {
	cfg := capture.AssemblerConfig{
		Ports: spec.Ports, UDP: spec.UDP, NoTunnels: !o.intoTunnels(spec),
		IdleTimeout: o.idleTimeout, LongestSilence: longestSilence, MaxBuffered: o.bufferLimit(), NextID: nextID, Facts: o.screen,
	}
	if o.idleGiven {
		cfg.UDPIdleTimeout = o.idleTimeout
	}
	return cfg
}

// private is the mode of new files: what is captured, and what the application
// makes of it, is for its owner only.
const private = 0o600

// openLogs opens the files of --app-log.
func (o *runOptions) openLogs() (close func(), err error) {
	close = func() {
		for _, f := range []*os.File{o.appLogFile, o.baselineLogFile} {
			f.Close() // of none it is nothing but an error
		}
	}
	if o.appLog == "" {
		return close, nil
	}
	open := func(path string) (*os.File, error) {
		if err := report.CheckLink(path); err != nil {
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
		return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, private)
	}
	if o.appLogFile, err = open(o.appLog); err == nil && o.baseline != "" {
		o.baselineLogFile, err = open(o.appLog + ".baseline")
	}
	return close, err
}

// replayInto makes a run and returns the exit code.
func replayInto(o *runOptions) (int, error) {
	con := newConsole(o.quiet)
	o.screen = !o.noTUI && !o.quiet && hasTerminal()
	if (o.speed != 1 || o.skipIdle > 0) && o.newPace() == nil {
		con.warn("--speed and --skip-idle have no effect: only files are played at a pace, with --pace live and without --follow")
	}
	// A connection costs some 10 KB of short-lived memory. Collecting at four
	// times what lives, instead of twice, halves the collector's share of the
	// CPU at 4,000 connections/s, for some 30 MB.
	//
	// With a screen much more lives: rows, stories and packets of sessions that
	// are over. Four times that is 260 MB in place of 170 after 14,000 sessions,
	// and 730 in place of 610 at 3,000/s, for no less CPU; and a key waits for as
	// long as a collection takes.
	if os.Getenv("GOGC") == "" {
		percent := 400
		if o.screen {
			percent = 100
		}
		debug.SetGCPercent(percent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(o.heapLimit())
	}
	// Between a packet and its answer lie several hand-overs from one goroutine
	// to another. On one processor they cost nothing; with two the runtime wakes
	// a second thread for each, which finds little to do: measured with
	// production and load on the same two cores, a quarter more CPU per
	// connection, a third more per request, and a worse p99 for production.
	runtime.GOMAXPROCS(o.threads())
	yieldMemory()
	o.standBack = !giveWay() && slices.ContainsFunc(o.specs, capture.Spec.IsLive)
	if o.cpuProfile != "" {
		f, err := os.OpenFile(o.cpuProfile, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, private)
		if err != nil {
			return exitCannot, cannot(err)
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return exitCannot, cannot(err)
		}
		defer pprof.StopCPUProfile()
	}
	stopVitals, err := vitals(o.vitalsFile)
	if err != nil {
		return exitCannot, cannot(err)
	}
	defer stopVitals()
	closeLogs, err := o.openLogs()
	defer closeLogs()
	if err != nil {
		return exitCannot, cannot(err)
	}
	for _, path := range o.reports {
		if err := report.CheckPlace(path); err != nil {
			return exitCannot, cannot(err)
		}
	}
	if o.saveFailures != "" {
		if err := checkFailures(o.saveFailures); err != nil {
			return exitCannot, cannot(err)
		}
	}
	ctx, stop := interruptible(con)
	defer stop()

	p := newPipeline(o, con)
	defer p.close()
	ctx, release := p.world.steered(ctx)
	defer release()
	begun := time.Now()
	if err := o.egressFlags.open(ctx, o.specs); err != nil {
		return exitCannot, cannot(err)
	}
	if err := p.open(); err != nil {
		return exitCannot, err
	}
	o.tellUser(con)
	if o.standBack && p.stays != nil {
		text := p.stays.Error()
		if hint := hintOf(p.stays); hint != "" {
			text += "; " + hint
		}
		con.say("gives way to production by niceness only: %s", text)
	}
	con.say("capturing from %s, starting %s", strings.Join(o.captures, ", "), p.lines())
	play := func() outcome {
		// Not before the terminal's guard was started: it is this program again, and
		// if that is a user's own only, root executes it by a right.
		o.errands().settle(con)
		return o.play(ctx, con, p, begun)
	}
	var out outcome
	if o.screen {
		out = o.watchOnScreen(ctx, con, p, play)
	} else {
		out = play()
	}
	if out.result == nil {
		return out.code, out.err
	}
	return o.publish(con, out.result)
}

// yieldMemory makes this process, and the application with it, the first that
// the kernel ends when memory runs out: production must not be. Who has been told to
// go earlier still does; see proc(5). Where it fails nothing is lost.
func yieldMemory() {
	const file, first = "/proc/self/oom_score_adj", 500
	text, _ := os.ReadFile(file)
	if own, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && own < first {
		os.WriteFile(file, strconv.AppendInt(nil, first, 10), 0)
	}
}
