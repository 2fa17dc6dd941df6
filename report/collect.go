package report

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits that keep a result small however long the run.
const (
	// DetailLimit is how many sessions are listed. An entry is 500 to 800
	// bytes of JSON: the file stays under 10 MB.
	DetailLimit = 10_000
	// groupsWritten is how many groups of differences are in the files. Their
	// examples are 64 KiB each at most, and as a rule some 2.
	groupsWritten = 100
)

// written returns a copy of r as it is shown: what is most telling first, no
// more than there is room for, no nil slices.
func (r *Result) written() *Result {
	w := *r
	w.Version = Version
	w.Differences = slices.Clone(r.Differences)
	slices.SortStableFunc(w.Differences, func(a, b Group) int { return cmp.Compare(b.Count, a.Count) })
	for len(w.Differences) > groupsWritten {
		last := len(w.Differences) - 1
		w.DifferencesOmitted += w.Differences[last].Count
		w.Differences = w.Differences[:last]
	}
	w.Detail = slices.Clone(r.Detail)
	slices.SortFunc(w.Detail, func(a, b Detail) int {
		if x, y := a.remarkable(), b.remarkable(); x != y {
			if x {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.ID, b.ID)
	})
	w.Capture.Sources = orEmpty(w.Capture.Sources)
	w.Failed = orEmpty(w.Failed)
	w.Egress, w.Watchdog = orEmpty(w.Egress), orEmpty(w.Watchdog)
	if w.Containment != nil {
		c := *w.Containment
		c.Interfaces = orEmpty(c.Interfaces)
		w.Containment = &c
	}
	w.Warnings = orEmpty(w.Warnings)
	w.Defects = orEmpty(w.Defects)
	w.Differences = orEmpty(w.Differences)
	for i := range w.Differences {
		g := &w.Differences[i]
		g.Places, g.Kinds, g.Differences = orEmpty(g.Places), orEmpty(g.Kinds), orEmpty(g.Differences)
	}
	w.Excused = orEmpty(w.Excused)
	w.Noise = orEmpty(w.Noise)
	w.Routes = orEmpty(w.Routes)
	w.Series.Points = orEmpty(w.Series.Points)
	w.Detail = orEmpty(w.Detail)
	return &w
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// printable writes bytes as text that a terminal and JSON can show. What comes
// from the network may hold escape sequences.
func printable(p []byte) string { return escaped(p, `\`) }

// printableString is printable for text.
func printableString(s string) string { return printable([]byte(s)) }

// printableLines is printable for text of many lines, which keeps its line
// ends, tabs and backslashes. It cannot be read back into the bytes, but is
// what people expect to see.
func printableLines(s string) string { return escaped([]byte(s), "\n\t") }

// escaped writes all that cannot be printed as in a Go string. special are the
// characters that are treated in the other way: the backslash is escaped only
// if it is one of them, line end and tab only if not.
func escaped(p []byte, special string) string {
	var b strings.Builder
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x`)
			b.WriteByte("0123456789abcdef"[p[0]>>4])
			b.WriteByte("0123456789abcdef"[p[0]&15])
		case strings.ContainsRune(special, r) && r == '\\':
			b.WriteString(`\\`)
		case strings.ContainsRune(special, r), unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		p = p[n:]
	}
	return b.String()
}
