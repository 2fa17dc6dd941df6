package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/session"
)

// captureRate is what captureMain prints.
type captureRate struct{ Bytes, Packets float64 } // per second of one core's time

// captureRows reads generated HTTP captures on one core: small messages, where
// packets count, and downloads, where bytes do.
func captureRows() ([]row, error) {
	loads := []struct {
		name string
		load capturetest.Load
	}{
		{"small", capturetest.Load{Sessions: 20000, Requests: 4, Request: 546, Answer: 546}},
		{"download", capturetest.Load{Sessions: 200, Requests: 2, Answer: 256 << 10}},
	}
	var rows []row
	for _, l := range loads {
		path := filepath.Join(workDir, l.name+".pcap")
		packets := capturetest.HTTP(l.load)
		if err := os.WriteFile(path, capturetest.Pcap(packets), 0o600); err != nil {
			return rows, err
		}
		var rate captureRate
		if err := runSelf(&rate, []string{"GOMAXPROCS=1"}, roleCapture, path); err != nil {
			return rows, err
		}
		how := fmt.Sprintf("%s: %.0f MB and %.2f M packets per second of CPU time, GOMAXPROCS=1", l.name, rate.Bytes/1e6, rate.Packets/1e6)
		// Small packets cannot fill the bytes' floor nor large ones the
		// packets': 1 M packets/s of 1,514 bytes are three times 500 MB/s.
		if l.name == "small" {
			rows = append(rows, row{Name: "capture file to sessions, small messages", Value: rate.Packets / 1e6, Unit: "M packets/s", Floor: 1, How: how})
		}
		rows = append(rows, row{Name: "capture file to sessions, " + l.name, Value: rate.Bytes / 1e6, Unit: "MB/s", Floor: 500, How: how})
	}
	return rows, nil
}

// captureMain reads a file again and again and prints the median rate.
func captureMain(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s: want a file", roleCapture)
	}
	info, err := os.Stat(args[0])
	if err != nil {
		return err
	}
	var seconds []float64
	var packets uint64
	begun := time.Now()
	for len(seconds) < 5 || time.Since(begun) < 2*time.Second {
		start := usedCPU()
		if packets, err = readCapture(args[0]); err != nil {
			return err
		}
		seconds = append(seconds, (usedCPU() - start).Seconds())
	}
	m := median(seconds)
	return json.NewEncoder(os.Stdout).Encode(captureRate{float64(info.Size()) / m, float64(packets) / m})
}

// usedCPU returns this process' CPU time, user and system. With one processor
// it is what the clock would say if nobody else used the machine.
func usedCPU() time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

func readCapture(path string) (packets uint64, err error) {
	src, err := capture.OpenFile(path)
	if err != nil {
		return 0, err
	}
	defer src.Close()
	asm := capture.NewAssembler(capture.AssemblerConfig{Ports: []uint16{portHTTP}})
	var buf []session.Event
	take := func(touched []*session.Session) {
		for _, s := range touched {
			buf, _ = s.Take(buf)
		}
	}
	err = src.Run(context.Background(), func(batch []capture.Packet) error {
		take(asm.Packets(batch))
		return nil
	})
	take(asm.Flush())
	return src.Stats().Packets, err
}

// runSelf runs this program in a role and decodes what it prints.
func runSelf(result any, env []string, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	if err := json.Unmarshal(out, result); err != nil {
		return fmt.Errorf("%s printed %q: %w", args[0], out, err)
	}
	return nil
}
