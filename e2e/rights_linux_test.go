package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// cmdRights checks what each thread of a process may do, and of a user's that the
// user may not look into it: its files are root's then (proc(5)).
func cmdRights(ts *testscript.TestScript, w *world, args []string) error {
	p := w.processes[args[0]]
	if p == nil || !p.running() {
		return fmt.Errorf("%s does not run", args[0])
	}
	var want uint64
	for _, name := range args[1:] {
		number, ok := map[string]uint{
			"net_raw": unix.CAP_NET_RAW, "dac_override": unix.CAP_DAC_OVERRIDE, "fowner": unix.CAP_FOWNER,
		}[name]
		if !ok && name != "none" {
			return fmt.Errorf("no capability %s", name)
		}
		if ok {
			want |= 1 << number
		}
	}
	var environ unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/environ", p.cmd.Process.Pid), &environ); err != nil {
		return err
	}
	if environ.Uid != 0 {
		return fmt.Errorf("user %d may look into %s", environ.Uid, args[0])
	}
	if raceDetector {
		return nil // with C code linked in it cannot give them up, and says so
	}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		return fmt.Errorf("%s has no threads: %v", args[0], err)
	}
	bounding := want
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			continue // it ended
		}
		fields := make(map[string]string)
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(line, ":")
			fields[key] = strings.TrimSpace(value)
		}
		if fields["NoNewPrivs"] != "1" {
			return fmt.Errorf("%s: no_new_privs is %s", thread, fields["NoNewPrivs"])
		}
		if !strings.HasPrefix(fields["Uid"], "0\t") {
			bounding = ^uint64(0) // a user cannot change it, and it gives them nothing
		}
		for name, most := range map[string]uint64{"CapPrm": want, "CapEff": want, "CapInh": 0, "CapAmb": 0, "CapBnd": bounding} {
			set, err := strconv.ParseUint(fields[name], 16, 64)
			if err != nil || set&^most != 0 || most == want && set != want {
				return fmt.Errorf("%s: %s is %s, not %x", thread, name, fields[name], most)
			}
		}
	}
	return nil
}
