package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// row is one measured value. Name, value, unit and floor are what BENCH_JSON
// promises: a list of these.
type row struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Floor float64 `json:"floor"`   // 0: there is none, the row is for information
	Most  bool    `json:"at_most"` // the value must stay below Floor, not above
	How   string  `json:"how"`     // what it was computed from
}

func (r *row) missed() bool {
	if r.Floor == 0 {
		return false
	}
	if r.Most {
		return r.Value > r.Floor
	}
	return r.Value < r.Floor
}

func (r *row) floor() string {
	switch {
	case r.Floor == 0:
		return "-"
	case r.Most:
		return "≤ " + amount(r.Floor)
	}
	return "≥ " + amount(r.Floor)
}

// amount writes a number with about three digits.
func amount(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func printTable(w io.Writer, rows []row) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\tvalue\tfloor\t\tmeasured")
	for i := range rows {
		r := &rows[i]
		mark := "ok"
		switch {
		case r.missed():
			mark = "below floor"
		case r.Floor == 0:
			mark = ""
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s\t%s\n", r.Name, amount(r.Value), r.Unit, r.floor(), mark, r.How)
	}
	t.Flush()
}

func writeJSON(path string, rows []row) error {
	if rows == nil {
		rows = []row{}
	}
	text, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// printFacts says what the numbers were measured on.
func printFacts(w io.Writer) {
	kernel := "unknown kernel"
	if out, err := exec.Command("uname", "-sr").Output(); err == nil {
		kernel = strings.TrimSpace(string(out))
	}
	fmt.Fprintf(w, "%d cores, %s, %s, %s/%s", runtime.NumCPU(), kernel, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Fprintf(w, ", load before %s", strings.Fields(string(load))[0])
	}
	fmt.Fprintln(w)
}

// median returns the middle of some values; it sorts them.
func median(v []float64) float64 {
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
