package doctor

import (
	"fmt"
	"strings"
)

// pressure looks for what the watchdog of a live run reads (pressure stall
// information, Linux 4.20 and newer): how long the host's tasks wait for what they
// need. Distributions may have it built in and switched off.
func (h *Host) pressure() Check {
	c := Check{Name: "pressure", Status: OK}
	var words, lack []string
	for _, resource := range []string{"cpu", "memory", "io"} {
		kind := "full"
		if resource == "cpu" {
			kind = "some" // of a whole host there is no other
		}
		share := ""
		for line := range strings.Lines(h.read("proc/pressure/" + resource)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == kind {
				share = strings.TrimPrefix(f[1], "avg10=")
			}
		}
		if share == "" {
			lack = append(lack, resource)
			continue
		}
		words = append(words, fmt.Sprintf("%s %s%%", resource, share))
	}
	c.Found = strings.Join(words, ", ")
	if len(lack) > 0 {
		c.Status = Warning
		c.Found = strings.TrimPrefix(c.Found+"; the kernel does not tell of "+strings.Join(lack, ", "), "; ")
		c.Means = "a live run cannot stop the replay when the host is under pressure (--max-pressure)"
		c.Fix = "boot with psi=1, if the kernel has CONFIG_PSI"
	}
	return c
}
