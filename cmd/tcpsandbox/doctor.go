package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tcpsandbox/capture"
	"tcpsandbox/doctor"
	"tcpsandbox/sandbox"
	"tcpsandbox/session"
)

// Bounds of what doctor does, so that it ends whatever it meets.
const (
	// lookFor is how long a source is looked at.
	lookFor = 2 * time.Second
	// lookBlocks and lookFlows make a look smaller than a capture: a ring of
	// 16 MiB, which lasts for a tenth of a second at 1 Gbit/s, and some 50 MB.
	lookBlocks = 128
	lookFlows  = 65536
	// trialLimit is for a sandbox and a program in it: 40 ms on an idle machine.
	trialLimit = 20 * time.Second
)

func doctorCommand(code *int) *cobra.Command {
	var sources []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor [--capture INTERFACE[:PORT[/udp],…]]",
		Short: "Say what works here, what does not, and the line that mends it",
		Long: `Looks at all that run needs of this host: kernel, namespaces, the TUN device,
privileges, who restricts them, limits, interfaces. It makes a sandbox as run
does, starts a program in it, and takes it away again; nothing on the host is
changed. It works without root, and so does run: it tells what root would give.

With --capture it also captures for two seconds and tells what it saw there.

Each line begins with ok, warning (run works, but not in every way) or missing
(it cannot work here). The exit code is 0 when run can work here, else 3.
docs/doctor.md lists the checks and the fields of --json.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var specs []capture.Spec
			for _, s := range sources {
				spec, err := capture.ParseSpec(s)
				if err != nil {
					return usageError{cmd.CommandPath(), err}
				}
				if !spec.IsLive() {
					return misuse(cmd, "--capture %s: doctor looks at interfaces; tcpsandbox show tells what is in a file", s)
				}
				specs = append(specs, spec)
			}
			var err error
			*code, err = examine(os.Stdout, specs, asJSON)
			return err
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&sources, "capture", nil, "an interface, and the server's ports, to look at for two seconds; may repeat")
	f.BoolVar(&asJSON, "json", false, "write one JSON object instead of text")
	return cmd
}

// sendToDoctor adds doctor to the hint of an error that is this host's fault.
func sendToDoctor(err error) error {
	hint := "tcpsandbox doctor    # tells all that is missing here"
	if first := hintOf(err); first != "" {
		hint = first + "\n" + hint
	}
	return hinted{err, hint}
}

// examine looks at everything, and writes the result.
func examine(out io.Writer, specs []capture.Spec, asJSON bool) (int, error) {
	ctx, stop := interruptible(newConsole(false))
	defer stop()
	h := doctor.ReadHost()
	h.LinksC, h.ChoseWay = linksC(), choseWay()
	h.Here = try(ctx)
	h.Looks = lookAt(ctx, specs)
	var sig signalError
	if errors.As(context.Cause(ctx), &sig) {
		code := exitSignal + int(sig.Signal.(syscall.Signal))
		return code, exitError{code, sig}
	}
	r := doctor.Examine(h)
	r.Tool = version()
	var text strings.Builder
	if asJSON {
		r.WriteJSON(&text) // a Builder takes all
	} else {
		r.WriteText(&text)
	}
	// Names of interfaces and profiles are anybody's.
	if _, err := io.WriteString(out, harmless(text.String())); err != nil {
		return exitCannot, cannot(err)
	}
	if !r.CanRun {
		return exitCannot, nil
	}
	return exitOK, nil
}

// try makes a sandbox with the privileges of this process, has a program run in
// it, and takes it away.
func try(ctx context.Context) (t doctor.Trial) {
	ctx, cancel := context.WithTimeout(ctx, trialLimit)
	defer cancel()
	failed := func(err error) doctor.Trial {
		t.Failed = err.Error()
		t.Denied = errors.Is(err, os.ErrPermission)
		var setup *sandbox.SetupError
		if errors.As(err, &setup) {
			t.Fix = setup.Fix
		}
		return t
	}
	box, err := sandbox.New(sandbox.Config{})
	if err != nil {
		return failed(err)
	}
	defer box.Close()
	t.Offload, t.Rootless = box.Offload(), box.Rootless()
	if !choseWay() {
		if err := box.StandAside(); err != nil {
			t.Stays, t.StaysFix = err.Error(), hintOf(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return failed(err)
	}
	app, err := box.Start(ctx, sandbox.AppConfig{Command: []string{self, "--version"}})
	t.Warnings = box.Warnings()
	var start *sandbox.StartError
	if errors.As(err, &start) { // the user behind sudo may not execute this file: the sandbox is there all the same
		t.NotStarted = start.Error()
		return t
	}
	if err != nil {
		return failed(err)
	}
	select {
	case <-app.Exited():
	case <-ctx.Done():
		return failed(errors.New("run a program in the sandbox: it did not end"))
	}
	return t
}

// lookAt captures from all sources at once, for a bounded time.
func lookAt(ctx context.Context, specs []capture.Spec) []doctor.Look {
	looks := make([]doctor.Look, len(specs))
	done := make(chan struct{})
	for i, spec := range specs {
		go func() {
			looks[i] = look(ctx, spec)
			done <- struct{}{}
		}()
	}
	for range specs {
		<-done
	}
	return looks
}

func look(ctx context.Context, spec capture.Spec) doctor.Look {
	l := doctor.Look{Source: spec.String(), For: lookFor}
	failed := func(err error) doctor.Look {
		l.Failed, l.Denied, l.Fix = err.Error(), errors.Is(err, os.ErrPermission), hintOf(err)
		return l
	}
	tunnels := (&picked{tunnels: "auto"}).intoTunnels(spec) // as run does
	said := ""
	src, err := spec.Open(capture.LiveConfig{Blocks: lookBlocks, Tunnels: tunnels, Notice: func(text string) { said = text }})
	if err != nil {
		return failed(err)
	}
	defer src.Close()
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	asm := capture.NewAssembler(capture.AssemblerConfig{Ports: spec.Ports, UDP: spec.UDP, MaxFlows: lookFlows, NoTunnels: !tunnels})
	seen := map[*session.Session]bool{} // whether its client speaks TLS
	note := func(batch []*session.Session) {
		for _, s := range batch {
			events, _ := s.Take(nil)
			seen[s] = seen[s] || speaksTLS(events)
		}
	}
	err = src.Run(ctx, func(batch []capture.Packet) error {
		note(asm.Packets(batch))
		return nil
	})
	if err != nil {
		return failed(err)
	}
	note(asm.Flush())
	stats := src.Stats()
	if what, waits := strings.CutSuffix(said, ": waiting for it"); waits { // as run would; who looks wants to know
		return failed(hinted{errors.New(what), "sudo ip link set " + spec.Source + " up"})
	}
	l.Packets, l.Drops, l.Sessions = stats.Packets, stats.KernelDrops, len(seen)
	for s, tls := range seen {
		if tls {
			l.TLS++
		}
		t, _ := s.Totals()
		l.ToServer += t.Bytes[session.Client]
		l.ToClient += t.Bytes[session.Server]
		l.Clients = l.Clients || t.Heard[session.Client]
		l.Servers = l.Servers || t.Heard[session.Server]
	}
	return l
}

// speaksTLS reports whether one of the client's events begins a TLS record: a
// handshake or data of version 3.x (RFC 8446 §5.1).
func speaksTLS(events []session.Event) bool {
	for _, e := range events {
		if e.Side == session.Client && e.Kind == session.Data {
			return len(e.Data) > 2 && (e.Data[0] == 22 || e.Data[0] == 23) && e.Data[1] == 3 && e.Data[2] <= 4
		}
	}
	return false
}
