package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"tcpsandbox/capture"
	"tcpsandbox/report"
	"tcpsandbox/tui"
)

// onTerminal shows a screen until the user leaves it, and terminals reports
// whether that is possible; tests have none.
var onTerminal, terminals = onGuardedTerminal, hasTerminal

// onGuardedTerminal gives the terminal back whatever happens.
func onGuardedTerminal(ctx context.Context, opt tui.Options) error {
	tty, err := keyboard()
	if err != nil {
		return err
	}
	defer tty.Close()
	guard, err := guardTerminal(tty)
	if err != nil {
		return err
	}
	defer guard.release()
	opt.Input = tty
	return tui.Show(ctx, opt)
}

// browse shows a capture file or a report on the terminal.
func browse(cmd *cobra.Command, name string, spec capture.Spec, pick *picked) error {
	switch {
	case spec.Source == "-":
		return hinted{misuse(cmd, "--tui cannot browse the standard input: that is where the keys come from, and it can be read only once"),
			"write it to a file first: … > shop.pcapng; tcpsandbox show --tui shop.pcapng"}
	case !terminals():
		return hinted{misuse(cmd, "--tui needs a terminal on the standard output, and one to read keys from"),
			"without --tui the sessions are listed as text, with --json as JSON"}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if isReport(spec.Source) {
		return browseReport(ctx, spec.Source)
	}
	screen, err := newFileScreen(name, spec, pick)
	if err != nil {
		return cannot(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	read := make(chan error, 1)
	go func() { read <- screen.read(ctx) }()
	err = onTerminal(ctx, tui.Options{Source: screen, Keeper: screen})
	cancel()
	if readErr := <-read; readErr != nil && !errors.Is(readErr, context.Canceled) {
		err = errors.Join(err, fmt.Errorf("%s: %w", name, readErr))
	}
	if err != nil {
		return cannot(err)
	}
	return nil
}

// browseReport shows what is left of a run.
func browseReport(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return cannot(err)
	}
	defer f.Close()
	r, err := report.Read(f)
	if err != nil {
		return cannot(hinted{fmt.Errorf("%s: %w", path, err), "a report is written by: tcpsandbox run --report run.json"})
	}
	screen := newReportScreen(r)
	if err := onTerminal(ctx, tui.Options{Source: screen, Keeper: screen}); err != nil {
		return cannot(err)
	}
	return nil
}
