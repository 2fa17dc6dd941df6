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
	"strings"
	"syscall"
	"time"
)

// What a run on its own host costs production: a server, its clients, tcpsandbox
// with the application it plays into, all on the same processors. The clients ask
// at half of what production can do, with tcpsandbox and without by turns
// (A B B A …), and what counts is the ratio of the medians.

const (
	productionRounds = 3 // of four turns each
	productionLength = 4 * time.Second
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
	var most []float64
	for range 3 {
		f, err := v.steady(0, 2*time.Second)
		if err != nil {
			return nil, err
		}
		most = append(most, f.Rate)
	}
	half := median(most) / 2

	var rate, p50, p99 [2][]float64 // without, with
	var results []beside
	for range productionRounds {
		for _, with := range []int{0, 1, 1, 0} {
			var r *beside
			if with == 1 {
				if r, err = v.beside(binary); err != nil {
					return nil, err
				}
			}
			f, err := v.steady(half, productionLength)
			if r != nil {
				err = errors.Join(err, r.end())
				results = append(results, *r)
			}
			if err != nil {
				return nil, err
			}
			rate[with], p50[with], p99[with] = append(rate[with], f.Rate), append(p50[with], f.P50), append(p99[with], f.P99)
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
	spread := func(v []float64) string { // median has sorted it
		return fmt.Sprintf("%.2f–%.2f", v[0], v[len(v)-1])
	}
	a, b := median(rate[0]), median(rate[1])
	how := fmt.Sprintf("%.0f requests/s, half of what it can do alone; medians of %d turns; %.0f %% of the client bytes were played, at %.2f processors",
		half, 2*productionRounds, 100*delivered/max(captured, 1), cpu/wall)
	rows := []row{{Name: "production: requests/s with tcpsandbox ÷ without", Value: b / a, Floor: 0.97, How: fmt.Sprintf("%.0f ÷ %.0f; %s", b, a, how)}}
	a, b = median(p99[0]), median(p99[1])
	rows = append(rows, row{Name: "production: p99 with ÷ without", Value: b / a, Floor: 1.25, Most: true,
		How: fmt.Sprintf("%.2f ms (%s) ÷ %.2f (%s)", b, spread(p99[1]), a, spread(p99[0]))})
	a, b = median(p50[0]), median(p50[1])
	return append(rows, row{Name: "production: median with ÷ without", Value: b / a, Most: true,
		How: fmt.Sprintf("%.2f ms (%s) ÷ %.2f (%s)", b, spread(p50[1]), a, spread(p50[0]))}), nil
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
	if err := inNamespace(v.client, cmd.Start); err != nil {
		return f, fmt.Errorf("start clients: %w", err)
	}
	if err := cmd.Wait(); err != nil {
		return f, fmt.Errorf("clients: %w", err)
	}
	return f, json.Unmarshal(out.Bytes(), &f)
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
func (v *veth) beside(binary string) (*beside, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(workDir, "run")
	if err != nil {
		return nil, err
	}
	app := filepath.Join(dir, "app.log")
	args := []string{binary, "run", "--no-tui", "--capture", fmt.Sprint("eth0:", portHTTP), "--report", filepath.Join(dir, "run.json"), "--app-log", app,
		"--fail-on", "never", "--drain", "2s", "--", self, roleServe}
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
