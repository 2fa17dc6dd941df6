package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"tcpsandbox/report"
)

// demoGrace is how long a program of the demo gets to end in order: run drains
// its sessions and stops the application within it.
const demoGrace = 10 * time.Second

// demo makes the demo and returns the exit code.
func demo(out io.Writer, duration time.Duration, noTUI bool) (int, error) {
	if os.Geteuid() != 0 {
		return exitCannot, cannot(notRootError{})
	}
	ctx, stop := interruptible(newConsole(false))
	defer stop()
	d := &demonstration{out: out, program: os.Args[0], noTUI: noTUI}
	defer d.close()
	r, err := d.play(ctx, duration)
	var sig signalError
	switch {
	case errors.As(context.Cause(ctx), &sig):
		code := exitSignal + int(sig.Signal.(syscall.Signal))
		return code, exitError{code, fmt.Errorf("demo %w; everything is cleaned up", sig)}
	case err != nil:
		return exitCannot, cannot(err)
	}
	if err := judgeDemo(out, r); err != nil {
		return exitDifferent, exitError{exitDifferent, err}
	}
	return exitOK, nil
}

// notRootError is a demo that lacks root.
type notRootError struct{}

func (notRootError) Error() string {
	return "make the demo's network namespaces: " + syscall.EPERM.Error()
}

// Hint returns the line to paste.
func (notRootError) Hint() string { return "sudo " + commandLine(os.Args) }

// demonstration is a demo under way.
type demonstration struct {
	out     io.Writer
	program string   // as the user typed it
	noTUI   bool     // run does not open its screen, though there may be a terminal
	outs    [2]*gate // the background programs' output and errors
	spaces  map[string]*demoNamespace
	running []*demoProcess
}

// play shows everything and returns the result of run.
func (d *demonstration) play(ctx context.Context, duration time.Duration) (*report.Result, error) {
	fmt.Fprint(d.out, demoPicture)
	d.outs = [2]*gate{{out: d.out}, {out: os.Stderr}}
	var err error
	if d.spaces, err = buildDemoNetwork(); err != nil {
		return nil, err
	}
	for _, line := range demoNetwork() {
		fmt.Fprintln(d.out, "$", line)
	}
	if _, err := d.start(demoServerStep(), d.outs[0], nil, true); err != nil {
		return nil, err
	}
	open := &firstLine{out: d.outs[0], seen: make(chan struct{})}
	clients, err := d.start(demoClientsStep(), open, nil, true)
	if err != nil {
		return nil, err
	}
	select {
	case <-open.seen:
	case <-clients.ended:
		return nil, fmt.Errorf("start the demo's clients: %w", clients.failure())
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	r, err := d.run(ctx, duration)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(d.out, "\n$", demoCleanUp)
	if err := clients.stop(); err != nil {
		return nil, fmt.Errorf("demo clients: %w", err)
	}
	return r, nil
}

// run makes the main job and returns its result, which it also shows.
func (d *demonstration) run(ctx context.Context, duration time.Duration) (*report.Result, error) {
	reports, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	if d.onScreen() {
		for _, g := range d.outs {
			g.shut()
			defer g.open()
		}
	}
	p, err := d.start(demoRunStep(d.program, duration, d.noTUI), d.out, theirs, false)
	theirs.Close()
	if err != nil {
		reports.Close()
		return nil, err
	}
	var r report.Result
	decoded := make(chan error, 1)
	go func() { // even if nobody waits for it: run shall not write into a broken pipe
		defer reports.Close()
		decoded <- json.NewDecoder(reports).Decode(&r)
	}()
	select {
	case <-p.ended:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	switch code := p.cmd.ProcessState.ExitCode(); {
	case code != exitOK && code != exitDifferent:
		return nil, fmt.Errorf("tcpsandbox run: %w", p.failure())
	default:
		if err := <-decoded; err != nil {
			return nil, fmt.Errorf("read the report of tcpsandbox run: %w", err)
		}
		return &r, nil
	}
}

// onScreen reports whether run may open its screen.
func (d *demonstration) onScreen() bool { return !d.noTUI && hasTerminal() }

// demoProcess is a program of the demo. It dies with the demo.
type demoProcess struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // of Wait, once ended is closed
}

// start shows a step's command and runs it in its namespace. If result is not
// nil, run writes its result to it as JSON.
func (d *demonstration) start(step demoStep, out io.Writer, result *os.File, background bool) (*demoProcess, error) {
	line := step.line(d.program)
	if background {
		line += " &"
	}
	fmt.Fprintln(d.out, "$", line)
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Args = append([]string{d.program}, step.args...)
	if result != nil {
		cmd.ExtraFiles = []*os.File{result} // becomes 3
		cmd.Args = append([]string{d.program, "run", "--report", "/dev/fd/3"}, step.args[1:]...)
	}
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if background {
		cmd.Stderr = d.outs[1]
	}
	// A process group of its own: Ctrl-C is for the demo to answer, by ending
	// run first and production last.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if result != nil && d.onScreen() { // it reads the terminal, which is for the group in the foreground
		cmd.SysProcAttr.Setpgid, cmd.Stdin = false, os.Stdin
	}
	if err := d.spaces[step.where].call(cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", step.args[0], err)
	}
	p := &demoProcess{cmd: cmd, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	d.running = append(d.running, p)
	return p, nil
}

// failure says how a process that has ended did so.
func (p *demoProcess) failure() error {
	if p.err != nil {
		return p.err
	}
	return errors.New("it ended too early")
}

// stop ends the process, with SIGKILL if it has to be. It returns nil if the
// process ended in order, and may be called again.
func (p *demoProcess) stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM) // it may be gone already
	timer := time.AfterFunc(demoGrace, func() { p.cmd.Process.Kill() })
	defer timer.Stop()
	<-p.ended
	return p.err
}

// close ends everything, the latest first. The namespaces have no names, so that they are gone
// with the last process in them.
func (d *demonstration) close() {
	for i := len(d.running) - 1; i >= 0; i-- {
		d.running[i].stop()
	}
	for _, n := range d.spaces {
		n.close()
	}
}

// gate passes on what is written, and keeps it while it is shut: what others
// write to a terminal stays on the screen that is open there. Its methods may be
// called by any goroutine.
type gate struct {
	out    io.Writer
	mu     sync.Mutex
	closed bool
	kept   bytes.Buffer
}

// Write implements io.Writer.
func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return g.kept.Write(p)
	}
	return g.out.Write(p)
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// open passes on what was kept.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = false
	g.kept.WriteTo(g.out)
}

// firstLine passes on what is written and tells of the first whole line.
type firstLine struct {
	out  io.Writer
	once sync.Once
	seen chan struct{}
}

func (f *firstLine) Write(p []byte) (int, error) {
	n, err := f.out.Write(p)
	if bytes.IndexByte(p, '\n') >= 0 {
		f.once.Do(func() { close(f.seen) })
	}
	return n, err
}
