package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tcpsandbox/capture"
	"tcpsandbox/report"
)

func recordCommand() *cobra.Command {
	var source, output string
	var pick picked
	var duration time.Duration
	var quiet bool
	cmd := &cobra.Command{
		Use:   "record --capture SOURCE[:PORT[/udp],…] -o FILE.pcapng",
		Short: "Write what is captured to a file, to be replayed later",
		Long: `Captures packets as run does and writes them to a pcapng file, until it is
interrupted. -o - writes to the standard output:

  sudo tcpsandbox record --capture eth0:80 -o shop.pcapng
  ssh prod sudo tcpsandbox record --capture eth0:80 -o - | tcpsandbox run --capture - -- ./testapp`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if source == "" {
				return misuse(cmd, "no --capture: name an interface, such as --capture eth0:80")
			}
			if output == "" {
				return misuse(cmd, "no output: name a file, such as -o shop.pcapng")
			}
			spec, err := capture.ParseSpec(source)
			if err != nil {
				return usageError{cmd.CommandPath(), err}
			}
			if err := pick.complete(); err != nil {
				return usageError{cmd.CommandPath(), err}
			}
			return record(spec, &pick, output, duration, newConsole(quiet))
		},
	}
	f := cmd.Flags()
	f.StringVar(&source, "capture", "", "where the packets come from, and the server's ports")
	f.StringVarP(&output, "output", "o", "", "the pcapng file to write, - for the standard output")
	pick.flags(f)
	f.DurationVar(&duration, "duration", 0, "stop after this long")
	f.BoolVar(&quiet, "quiet", false, "only warnings and errors")
	return cmd
}

func record(spec capture.Spec, pick *picked, output string, duration time.Duration, con *console) error {
	giveWay()
	src, err := pick.openWatched(spec, false, func(text string) { con.warn("%s", text) })
	if err != nil {
		return cannot(err)
	}
	defer src.Close()
	file := &recording{File: os.Stdout, begun: true}
	if output != "-" {
		if in, err := os.Stat(spec.Source); err == nil {
			if out, err := os.Stat(output); err == nil && os.SameFile(in, out) {
				return exitError{exitUsage, fmt.Errorf("%s is what is to be read: it cannot be written to as well", output)}
			}
		}
		if err := report.CheckLink(output); err != nil {
			return cannot(fmt.Errorf("open %s: %w", output, err))
		}
		file.begun = false
		if file.File, err = os.OpenFile(output, os.O_CREATE|os.O_WRONLY, private); err != nil {
			return cannot(err)
		}
	}
	errands{live: spec.IsLive()}.settle(con)
	ctx, stop := interruptible(con)
	defer stop()
	if duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, duration)
		defer cancel()
	}
	con.say("capturing from %s into %s", src.Name(), output)
	w := capture.NewWriter(file, "tcpsandbox "+version())
	var mu sync.Mutex // of w
	var packets, bytes uint64
	any := false
	stopFlushing := every(200*time.Millisecond, func() {
		mu.Lock()
		defer mu.Unlock()
		if any {
			w.Flush() // somebody may be reading along; Write tells the error
		}
	})
	keep := func(batch []capture.Packet) []capture.Packet { return batch }
	if len(spec.Ports)+len(spec.UDP) > 0 && !spec.IsLive() { // on an interface the kernel does it
		keep = spec.Selector(pick.intoTunnels(spec)).Keep
	}
	err = src.Run(ctx, func(batch []capture.Packet) error {
		mu.Lock()
		defer mu.Unlock()
		any = true
		batch = keep(batch)
		packets += uint64(len(batch))
		for _, p := range batch {
			bytes += uint64(len(p.Data))
		}
		return w.Write(batch)
	})
	stopFlushing()
	if err == nil {
		err = w.Flush()
	}
	if e := file.Close(); err == nil && output != "-" {
		err = e
	}
	stats := src.Stats()
	con.say("%s packets, %s bytes", number(packets), number(bytes))
	if stats.KernelDrops > 0 {
		con.warn("%s packets were dropped by the kernel", number(stats.KernelDrops))
	}
	if stats.Blind > 0 {
		con.warn("%s", blindWords(stats.Blind))
	}
	if stats.Truncated != "" {
		con.warn("the input is cut off: %s", stats.Truncated)
	}
	if err != nil {
		return cannot(fmt.Errorf("%s: %w", output, err))
	}
	return nil
}

// recording is a file that loses what it held when the first bytes come, not
// before: the input may turn out to be no capture at all.
type recording struct {
	*os.File
	begun bool
}

func (r *recording) Write(p []byte) (int, error) {
	if !r.begun {
		r.begun = true
		if err := r.Truncate(0); err != nil && !errors.Is(err, syscall.EINVAL) { // a device, a pipe
			return 0, err
		}
	}
	return r.File.Write(p)
}
