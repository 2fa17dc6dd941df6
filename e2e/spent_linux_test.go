package e2e

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// clockTicks is the unit of processor time in /proc (USER_HZ, which Linux has had
// at this on all of Go's platforms).
const clockTicks = 100

// cmdSpent checks how much of a processor a process has used since it was started,
// itself and without what it has started: the kernel's word, not its own.
func cmdSpent(ts *testscript.TestScript, w *world, args []string) error {
	p, err := w.process(args[0])
	if err != nil {
		return err
	}
	most, err := strconv.ParseFloat(args[1], 64)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return err
	}
	_, rest, _ := bytes.Cut(text, []byte(") ")) // from the third field on, see proc(5)
	fields := bytes.Fields(rest)
	if len(fields) < 13 {
		return fmt.Errorf("%s: %q is no /proc/PID/stat", p.name, text)
	}
	used := time.Duration(0)
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return err
		}
		used += time.Duration(n) * time.Second / clockTicks
	}
	wall := time.Since(p.began)
	share := used.Seconds() / wall.Seconds()
	ts.Logf("%s has used %.3f processors: %v in %v", p.name, share, used, wall)
	if share > most {
		return fmt.Errorf("%s has used %.3f processors, %v in %v, and may use %v", p.name, share, used, wall, most)
	}
	return nil
}
