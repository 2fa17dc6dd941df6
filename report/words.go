package report

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// number writes 1234567 as "1,234,567".
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// count writes a number with its noun, which takes an s unless it is one.
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// nonZero continues a list with those that are not nought.
func nonZero(bins ...bin) string {
	var b strings.Builder
	for _, x := range bins {
		if x.n != 0 {
			fmt.Fprintf(&b, ", %s %s", number(x.n), x.word)
		}
	}
	return b.String()
}

// size writes a number of bytes with three digits and a decimal unit.
func size(n int64) string {
	if n < 1000 {
		return count(n, "byte")
	}
	f := float64(n)
	for _, unit := range []string{"kB", "MB", "GB", "TB"} {
		if f /= 1000; f < 999.5 || unit == "TB" {
			return threeDigits(f) + " " + unit
		}
	}
	panic("unreachable")
}

// duration writes a time with three digits and a unit.
func duration(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return threeDigits(float64(d)/float64(time.Millisecond)) + " ms"
	case d < 2*time.Minute:
		return threeDigits(d.Seconds()) + " s"
	}
	return d.Round(time.Second).String()
}

func threeDigits(f float64) string {
	switch {
	case f < 9.995:
		return strconv.FormatFloat(f, 'f', 2, 64)
	case f < 99.95:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 0, 64)
}

// percent writes a share of a whole; only all of it is "100", and only none of
// it "0".
func percent(part, whole int64) string {
	if part == whole {
		return "100"
	}
	if part == 0 {
		return "0"
	}
	p := min(max(100*float64(part)/float64(whole), 0.01), 99.99)
	return strconv.FormatFloat(p, 'f', 2, 64)
}

// columns aligns rows of cells.
func columns(rows [][]string) []string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush() // bytes.Buffer does not fail
	var lines []string
	for line := range strings.Lines(b.String()) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return lines
}
