package doctor

import (
	"net"
	"os"
	"slices"
	"testing"
)

// What was read of this machine is what others read of it.
func TestReadHost(t *testing.T) {
	h := ReadHost()
	if h.OS != "linux" || h.Release == "" || h.Program == "" || h.CPUs < 1 || h.UID != os.Geteuid() {
		t.Errorf("%+v", h)
	}
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if !slices.ContainsFunc(h.Interfaces, func(have Interface) bool { return have.Name == i.Name }) {
			t.Errorf("no interface %s", i.Name)
		}
	}
	// The kernel itself answers for lo: it has GSO, and no driver to refuse.
	at := slices.IndexFunc(h.Interfaces, func(i Interface) bool { return i.Name == "lo" })
	if at >= 0 && (!h.Interfaces[at].Known || !h.Interfaces[at].GSO || h.Interfaces[at].LRO) {
		t.Errorf("lo: %+v", h.Interfaces[at])
	}
	soft, hard := h.fileLimits()
	if soft == "unknown" || hard == "unknown" {
		t.Errorf("open files: %s, at most %s", soft, hard)
	}
	for _, c := range Examine(h).Checks {
		if c.Name == "memory" && (h.meminfo("MemTotal") == 0 || h.meminfo("MemAvailable") == 0) {
			t.Errorf("%+v", c)
		}
	}
	if !h.Writable(t.TempDir()) || h.Writable("/nowhere") {
		t.Error("what is writable is not told apart")
	}
}
