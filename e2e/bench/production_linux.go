package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What a run on its own host costs production: a server, its clients, tcpsandbox
// with the application it plays into, all on the same processors. The clients ask at
// half of what production can bear, with tcpsandbox and without by turns, and what
// counts is the ratio of the medians.
//
// Half is meant twice. With requests enough a processor never sleeps, and what costs
// most at a moderate rate, to wake everybody up, costs nothing: half of the requests
// take far more than half of the processors' time. So production is measured where
// half of the processors' time is taken, and where half of the requests come, which
// leaves the replay too little: it lags, and says so.
//
// The control says what of that is the machine's: tcpsandbox captures nothing, and its
// application is loops that do nothing. With them each processor is as busy as it can
// be, and the kernel has only to take it from them.

const (
	productionRounds = 6 // of six turns each
	productionLength = 2 * time.Second
)

func production() ([]row, error) {
	binary := filepath.Join(workDir, "tcpsandbox")
	build := exec.Command("go", "build", "-o", binary, "tcpsandbox/cmd/tcpsandbox")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build tcpsandbox: %w\n%s", err, out)
	}
	v, err := newVeth()
	if err != nil {
		return nil, err
	}
	defer v.close()
	var all []float64
	for range 3 {
		f, err := v.steady(0, 2*time.Second)
		if err != nil {
			return nil, err
		}
		all = append(all, f.Rate)
	}
	most := median(all)
	half, err := v.halfBusy(most)
	if err != nil {
		return nil, err
	}
	rows, err := v.cost(binary, half, "half of the processors' time")
	if err != nil {
		return nil, err
	}
	more, err := v.cost(binary, most/2, "half of its most requests/s")
	return append(rows, more...), err
}

// halfBusy returns the rate at which production and its clients take half of the
// processors' time.
func (v *veth) halfBusy(most float64) (float64, error) {
	low, high := 0.0, most
	for range 5 {
		at := (low + high) / 2
		f, err := v.steady(at, 2*time.Second)
		if err != nil {
			return 0, err
		}
		if f.Busy < 0.5 {
			low = at
		} else {
			high = at
		}
	}
	return (low + high) / 2, nil
}

// cost measures production at a rate, with tcpsandbox and without.
func (v *veth) cost(binary string, at float64, load string) ([]row, error) {
	const without, with, control = 0, 1, 2
	var rate, p50, p99, busy [3][]float64
	var results []beside
	for range productionRounds {
		for _, kind := range []int{without, with, control, control, with, without} {
			var r *beside
			var err error
			switch kind {
			case with:
				r, err = v.beside(binary, portHTTP, roleServe)
			case control:
				r, err = v.beside(binary, portSink, roleSpin)
			}
			if err != nil {
				return nil, err
			}
			f, err := v.steady(at, productionLength)
			if r != nil {
				err = errors.Join(err, r.end())
			}
			if err != nil {
				return nil, err
			}
			if kind == with {
				results = append(results, *r)
			}
			rate[kind], p50[kind], p99[kind] = append(rate[kind], f.Rate), append(p50[kind], f.P50), append(p99[kind], f.P99)
			busy[kind] = append(busy[kind], f.Busy)
		}
	}
	var seen, delivered, captured, cpu, wall float64
	for _, r := range results {
		seen += r.Sessions.Seen
		delivered, captured = delivered+r.ClientBytes.Delivered, captured+r.ClientBytes.Captured
		cpu, wall = cpu+r.CPU, wall+r.Duration
	}
	if seen == 0 {
		return nil, errors.New("tcpsandbox has captured nothing")
	}
	line := func(what string, of [3][]float64, kind int, floor float64) row {
		by := map[int]string{with: "with", control: "control"}[kind]
		a, b := median(of[without]), median(of[kind]) // which sort
		return row{
			Name: fmt.Sprintf("production, %s: %s, %s ÷ without", load, what, by), Value: b / a, Floor: floor, Most: what != "requests/s",
			How: fmt.Sprintf("%.2f (%.2f–%.2f) ÷ %.2f (%.2f–%.2f)", b, of[kind][0], of[kind][len(of[kind])-1], a, of[without][0], of[without][len(of[without])-1]),
		}
	}
	rows := []row{
		line("requests/s", rate, with, 0.97),
		line("p99 in ms", p99, with, 1.25), line("median in ms", p50, with, 0),
		line("p99 in ms", p99, control, 0), line("median in ms", p50, control, 0),
	}
	rows[0].How += fmt.Sprintf("; the processors are busy for %.0f %% without, %.0f %% with; medians of %d turns; %.0f %% of the client bytes were played, at %.2f processors",
		100*median(busy[without]), 100*median(busy[with]), 2*productionRounds, 100*delivered/max(captured, 1), cpu/wall)
	return rows, nil
}

// steady runs the clients once.
func (v *veth) steady(rate float64, d time.Duration) (f steadyFigures, err error) {
	self, err := os.Executable()
	if err != nil {
		return f, err
	}
	cmd := exec.Command(self, steadyArgs(vethServer, rate, d)...)
	cmd.Stderr = os.Stderr
	var out bytes.Buffer
	cmd.Stdout = &out
	busy, all, err := processorTime()
	if err != nil {
		return f, err
	}
	if err := inNamespace(v.client, cmd.Start); err != nil {
		return f, fmt.Errorf("start clients: %w", err)
	}
	if err := cmd.Wait(); err != nil {
		return f, fmt.Errorf("clients: %w", err)
	}
	if err := json.Unmarshal(out.Bytes(), &f); err != nil {
		return f, err
	}
	busyNow, allNow, err := processorTime()
	f.Busy = (busyNow - busy) / (allNow - all)
	return f, err
}

// processorTime returns for how long the machine's processors were busy, what others
// on its host took of them included, and how long that could have been
// (proc_stat(5)), in ticks.
func processorTime() (busy, all float64, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	for i, word := range strings.Fields(line)[1:] {
		n, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read /proc/stat: %w", err)
		}
		if i >= 8 {
			break // of guests, which user time holds already
		}
		all += n
		if i != 3 && i != 4 { // idle, and idle while a disk works
			busy += n
		}
	}
	return busy, all, nil
}

// beside is a run of tcpsandbox in production's namespace, and of its report what
// is used here.
type beside struct {
	cmd      *exec.Cmd
	dir      string
	log      *bytes.Buffer
	Sessions struct {
		Seen float64 `json:"seen"`
	} `json:"sessions"`
	ClientBytes struct {
		Captured  float64 `json:"captured"`
		Delivered float64 `json:"delivered"`
	} `json:"client_bytes"`
	CPU      float64 `json:"cpu_s"`
	Duration float64 `json:"duration_s"`
}

// beside starts it, and returns when it captures and its application listens.
func (v *veth) beside(binary string, port int, role string) (*beside, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(workDir, "run")
	if err != nil {
		return nil, err
	}
	app := filepath.Join(dir, "app.log")
	args := []string{binary, "run", "--no-tui", "--capture", fmt.Sprint("eth0:", port), "--report", filepath.Join(dir, "run.json"), "--app-log", app,
		"--fail-on", "never", "--drain", "2s", "--", self, role}
	// BENCH_BEFORE, such as "nice -n 1", comes before the command.
	args = append(strings.Fields(os.Getenv("BENCH_BEFORE")), args...)
	r := &beside{cmd: exec.Command(args[0], args[1:]...), dir: dir, log: new(bytes.Buffer)}
	r.cmd.Stderr = r.log
	if err := inNamespace(v.server, r.cmd.Start); err != nil {
		return nil, fmt.Errorf("start tcpsandbox: %w", err)
	}
	for ctx, stop := context.WithTimeout(context.Background(), 20*time.Second); ; time.Sleep(20 * time.Millisecond) {
		if text, _ := os.ReadFile(app); bytes.Contains(text, []byte("ready")) {
			stop()
			return r, nil
		}
		if ctx.Err() != nil {
			stop()
			r.cmd.Process.Kill()
			r.cmd.Wait()
			return nil, fmt.Errorf("start tcpsandbox: its application is not ready:\n%s", r.log)
		}
	}
}

// end ends it, and reads its report.
func (r *beside) end() error {
	r.cmd.Process.Signal(syscall.SIGINT)
	if err := r.cmd.Wait(); err != nil {
		return fmt.Errorf("tcpsandbox: %w\n%s", err, r.log)
	}
	text, err := os.ReadFile(filepath.Join(r.dir, "run.json"))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, r)
}
