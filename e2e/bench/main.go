// Command bench measures what tcpsandbox must reach and prints it as a table,
// a line for each value beside its floor.
//
//	go run ./e2e/bench                       # as root; about six minutes
//	BENCH_JSON=bench.json go run ./e2e/bench
//	go run ./e2e/bench memory pacing         # only these
//	BENCH_PROFILE=cpu.out go run ./e2e/bench streams     # where our own time goes
//
// What depends on the machine is measured as a ratio: the same load, to the
// same server program, once through the sandbox and once through the kernel's
// own sockets over a veth pair, by turns (A B A B …), as the ratio of the two
// medians. Absolute numbers of two runs on a shared machine do not compare.
//
// The files, in the order in which a measurement goes:
//
//	table.go               rows, floors, the table and the JSON
//	server.go              the application: small HTTP answers, a sink, a source
//	client.go              the client on kernel sockets
//	veth_linux.go          two namespaces, a veth pair, server and client in them
//	bed_linux.go           a sandbox with the same server in it, and netsim
//	visit_linux.go         the client on netsim: many short connections
//	stream_linux.go        the client on netsim: one long one
//	injector_linux.go      the rows about both clients
//	replay_linux.go        the rows about the whole replay: memory, pacing
//	capture.go             the rows about reading captures
//	screen_linux.go        the rows about the terminal UI
//	steady_linux.go        production's clients, at a fixed rate
//	production_linux.go    the rows about what a run costs production
//
// Servers and kernel clients are this program again, as processes of their
// own. The exit code is 1 if something could not be measured; a value below
// its floor is marked and is no failure.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"syscall"
	"time"

	"tcpsandbox/sandbox"
)

// The roles in which this program starts itself.
const (
	roleServe   = "serve"
	roleClient  = "client"
	roleMemory  = "memory-process"
	roleCapture = "capture-process"
	roleScreen  = "screen-process"
	roleSteady  = "steady"
	roleSpin    = "spin"
)

// measurement makes some rows of the table.
type measurement struct {
	name string
	run  func() ([]row, error)
}

func init() {
	// Threads that enter a namespace end there. The main thread cannot end, so
	// it must never be one of them: it stays with main.
	runtime.LockOSThread()
}

func main() {
	sandbox.Main()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // as tcpsandbox run does
	}
	done := make(chan error, 1)
	go func() { done <- act(os.Args[1:]) }()
	if err := <-done; err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		var hinted interface{ Hint() string }
		if errors.As(err, &hinted) {
			fmt.Fprintln(os.Stderr, "  try:", hinted.Hint())
		}
		os.Exit(1)
	}
}

func act(args []string) error {
	role := ""
	if len(args) > 0 {
		role = args[0]
	}
	switch role {
	case roleServe:
		return serve(slices.Contains(args, "stdin"))
	case roleSpin:
		return spin()
	case roleClient:
		return clientMain(args[1:])
	case roleMemory:
		return memoryMain(args[1:])
	case roleCapture:
		return captureMain(args[1:])
	case roleScreen:
		return screenMain()
	case roleSteady:
		return steadyMain(args[1:])
	}
	return measure(args)
}

// measure runs the named measurements, or all.
func measure(names []string) error {
	runtime.GOMAXPROCS(1) // as tcpsandbox run does
	for _, name := range names {
		if !slices.ContainsFunc(measurements, func(m measurement) bool { return m.name == name }) {
			return fmt.Errorf("measure %q: there is no such measurement", name)
		}
	}
	// A signal ends the process, and with it the pipes that keep the servers
	// and namespaces alive; only the temporary directory must be seen to.
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	workDir = dir
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		os.RemoveAll(dir)
		os.Exit(1)
	}()

	if path := os.Getenv("BENCH_PROFILE"); path != "" {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	printFacts(os.Stdout)
	begun := time.Now()
	var rows []row
	var failed []error
	for _, m := range measurements {
		if len(names) > 0 && !slices.Contains(names, m.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %s\n", m.name)
		some, err := m.run()
		if err != nil {
			failed = append(failed, fmt.Errorf("measure %s: %w", m.name, err))
		}
		rows = append(rows, some...)
	}
	printTable(os.Stdout, rows)
	fmt.Fprintf(os.Stderr, "bench: took %v\n", time.Since(begun).Round(time.Second))
	if path := os.Getenv("BENCH_JSON"); path != "" {
		failed = append(failed, writeJSON(path, rows))
	}
	return errors.Join(failed...)
}

// workDir holds captures made for this run.
var workDir string
