package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// WriteJSON writes the result as one object.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteText writes a line for each check, below it what it means where that is
// not good, and the lines to paste; and the verdict.
func (r *Result) WriteText(w io.Writer) error {
	width := 0
	for _, c := range r.Checks {
		width = max(width, len([]rune(c.title())))
	}
	var b strings.Builder
	var missing []string
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "%-7s  %-*s  %s\n", c.Status, width, c.title(), c.Found)
		indent := strings.Repeat(" ", len("warning  ")+width+2)
		if c.Means != "" {
			fmt.Fprintf(&b, "%s%s\n", indent, c.Means)
		}
		for i, line := range strings.Split(c.Fix, "\n") {
			if line != "" {
				fmt.Fprintf(&b, "%s%s%s\n", indent, [2]string{"fix: ", "or:  "}[min(i, 1)], line)
			}
		}
		if c.Status == Missing {
			missing = append(missing, c.title())
		}
	}
	b.WriteByte('\n')
	switch {
	case !r.CanRun:
		fmt.Fprintf(&b, "run cannot work here: %s\n", strings.Join(missing, ", "))
	case !r.CanCapture:
		b.WriteString("run can work here with capture files, not with live captures\n")
	default:
		b.WriteString("run can work here\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (c Check) title() string {
	if c.On != "" {
		return c.Name + " " + c.On
	}
	return c.Name
}
