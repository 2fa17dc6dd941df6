package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// series is what was measured of a process, once a second.
type series struct {
	name   string
	values []float64
}

// thirds returns the means of the middle third and of the last one. The first
// is for what fills up: caches, tables, the reports' lists.
func (s *series) thirds() (middle, last float64) {
	n := len(s.values) / 3
	mean := func(part []float64) (sum float64) {
		for _, v := range part {
			sum += v
		}
		return sum / float64(len(part))
	}
	if n == 0 {
		return 0, 0
	}
	return mean(s.values[len(s.values)-2*n : len(s.values)-n]), mean(s.values[len(s.values)-n:])
}

// low returns the series' lower part: of each half minute the least. It does not
// see what a busy machine's bursts add, and a leak raises it as it raises all.
func (s *series) low() *series {
	low := &series{name: s.name + ", the least of 30 s"}
	for part := range slices.Chunk(s.values, 30) {
		for range part {
			low.values = append(low.values, slices.Min(part))
		}
	}
	return low
}

// flat tells why a series is not: its last third is more than a twentieth, and
// more than some slack, above its middle one.
func (s *series) flat(slack float64) error {
	const least = 90 // seconds: after 40 the heap has not found its size yet
	if len(s.values) < least {
		return fmt.Errorf("%s: %d measurements are too few to tell, want %d", s.name, len(s.values), least)
	}
	if middle, last := s.thirds(); last > max(1.05*middle, middle+slack) {
		return fmt.Errorf("%s grows: %.0f on average in the last third, %.0f in the middle one", s.name, last, middle)
	}
	return nil
}

// sampler measures a process until it ends or stop is called.
type sampler struct {
	memory, files series
	quit          chan struct{}
	done          sync.WaitGroup
}

func (s *sampler) run(pid int) {
	for tick := time.NewTicker(time.Second); ; {
		select {
		case <-tick.C:
		case <-s.quit:
			tick.Stop()
			return
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		files, e := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil || e != nil {
			continue // it ended
		}
		_, line, _ := strings.Cut(string(status), "\nVmRSS:")
		line, _, _ = strings.Cut(line, " kB")
		if kB, err := strconv.ParseFloat(strings.TrimSpace(line), 64); err == nil {
			s.memory.values = append(s.memory.values, kB)
			s.files.values = append(s.files.values, float64(len(files)))
		}
	}
}

// cmdSample measures a process of the script once a second, until steady.
func cmdSample(ts *testscript.TestScript, w *world, args []string) error {
	p, err := w.process(args[0])
	if err != nil {
		return err
	}
	s := &sampler{memory: series{name: args[0] + "'s resident memory (kB)"}, files: series{name: args[0] + "'s open files"}, quit: make(chan struct{})}
	s.done.Go(func() { s.run(p.cmd.Process.Pid) })
	w.t.Cleanup(s.stop)
	w.sampled = s
	return nil
}

func (s *sampler) stop() {
	select {
	case <-s.quit:
	default:
		close(s.quit)
	}
	s.done.Wait()
}

// cmdSteady checks that what was measured since sample, and the goroutines that
// the process itself has counted in a file (see --vitals), did not grow.
func cmdSteady(ts *testscript.TestScript, w *world, args []string) error {
	s := w.sampled
	if s == nil {
		return fmt.Errorf("nothing was sampled")
	}
	s.stop()
	goroutines, heap := series{name: "goroutines"}, series{name: "live heap (bytes)"}
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		var n, bytes float64
		if _, err := fmt.Sscan(line, &n, &bytes); err == nil {
			goroutines.values, heap.values = append(goroutines.values, n), append(heap.values, bytes)
		}
	}
	for _, of := range []*series{&s.memory, heap.low(), s.files.low(), goroutines.low()} {
		middle, last := of.thirds()
		ts.Logf("%s: %.1f in the middle third, %.1f in the last, of %d s", of.name, middle, last, len(of.values))
	}
	for _, of := range []*series{&s.files, &goroutines} {
		if err := of.low().flat(2); err != nil {
			return err
		}
	}
	// Where the application falls behind for a moment, sessions queue, and what the
	// heap grew by then goes back to the kernel minutes later: a claim about the
	// machine. A leak is in the live heap as well.
	err := s.memory.flat(0)
	if live := heap.low().flat(1 << 20); err != nil && live == nil && len(heap.values) > 0 {
		ts.Logf("%v, but nothing of it is in use: the machine was busy", err)
		return nil
	}
	return err
}

// cmdSent checks that what clients have sent, by the last line of load's output,
// is what a report has as captured and as seen to be missing. What the kernel
// dropped may have been sessions of which nothing is known: then less is right.
func cmdSent(ts *testscript.TestScript, w *world, args []string) error {
	var sent, connections float64
	outs, _ := filepath.Glob(filepath.Join(w.dir, "*-load.out"))
	for _, path := range outs {
		var n, bytes float64
		if _, err := fmt.Sscanf(readText(path), "%f connections, %f bytes", &n, &bytes); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		sent, connections = sent+bytes, connections+n
	}
	var doc any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &doc); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	var found []float64
	for _, path := range []string{"client_bytes.captured", "client_bytes.not_captured", "sessions.seen", "capture.kernel_drops"} {
		v, err := lookup(doc, path)
		n, ok := v.(float64)
		if err != nil || !ok {
			return fmt.Errorf("%s: %s is %v: %v", args[0], path, v, err)
		}
		found = append(found, n)
	}
	ts.Logf("sent %.0f bytes in %.0f connections; captured %.0f in %.0f, not captured %.0f, %.0f packets dropped",
		sent, connections, found[0], found[2], found[1], found[3])
	switch known := found[0] + found[1]; {
	case found[3] == 0 && (known != sent || found[2] != connections), known > sent:
		return fmt.Errorf("%.0f bytes are unexplained", sent-known)
	}
	return nil
}

func TestSeries(t *testing.T) {
	line := func(n int, at func(i int) float64) (values []float64) {
		for i := range n {
			values = append(values, at(i))
		}
		return values
	}
	for _, test := range []struct {
		name   string
		values []float64
		slack  float64
		flat   bool
	}{
		{"constant", line(90, func(int) float64 { return 100 }), 0, true},
		{"none", nil, 0, false},
		{"too few", line(89, func(int) float64 { return 100 }), 0, false},
		{"it grows", line(90, func(i int) float64 { return 100 + float64(i) }), 0, false},
		{"it grew at first", line(90, func(i int) float64 { return 100 + float64(min(i, 30)) }), 0, true},
		{"a step late", line(90, func(i int) float64 { return 100 + float64(i/60*6) }), 0, false},
		{"a small step late", line(90, func(i int) float64 { return 100 + float64(i/60*4) }), 0, true},
		{"one more of a few", line(90, func(i int) float64 { return 10 + float64(i/60) }), 2, true},
		{"saw teeth", line(90, func(i int) float64 { return 100 + float64(i%10) }), 0, true},
		{"it shrinks", line(90, func(i int) float64 { return 100 - float64(i) }), 0, true},
	} {
		s := series{test.name, test.values}
		if err := s.flat(test.slack); (err == nil) != test.flat {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
