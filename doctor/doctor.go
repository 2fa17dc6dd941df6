// Package doctor says what of a host `tcpsandbox run` can use, what it will
// miss, and which line mends that.
//
// What flows in is a Host: what was read of it (ReadHost), what was tried
// (Trial) and what its interfaces showed for a moment (Look). What flows out is
// a Result: checks in the order in which run would meet them, and the verdict.
// Examine reads only from its argument, so that a host of any kind can be
// written down in a test.
//
//	h := doctor.ReadHost()
//	h.Here = …
//	r := doctor.Examine(h)
//	r.WriteText(os.Stdout)
//
// In order: machine.go looks at the kernel and what the machine has to give,
// privileges.go at what this process may do, confine.go at who restricts it,
// traffic.go at what can be captured.
package doctor

import "strings"

// Status is the outcome of a check.
type Status string

const (
	OK      Status = "ok"
	Warning Status = "warning" // run works, but not as well as it could, or not in every way
	Missing Status = "missing" // run cannot work here, or not with what was asked for
)

// Check is one line of the result.
type Check struct {
	Name   string `json:"name"`            // what was looked at; a fixed word, see docs/doctor.md
	On     string `json:"on,omitempty"`    // which of several: an interface, a capture source
	Status Status `json:"status"`          //
	Found  string `json:"found"`           // what is there, in a few words
	Means  string `json:"means,omitempty"` // what that is to tcpsandbox
	Fix    string `json:"fix,omitempty"`   // lines to paste; never empty where the status is missing
}

// Result is what Examine found. Its JSON is a promise: fields are added, never
// changed.
type Result struct {
	Version int    `json:"version"` // 1
	Tool    string `json:"tool"`    // the version of tcpsandbox; the caller's to set
	// CanRun: nothing that run needs is missing.
	CanRun bool `json:"can_run"`
	// CanCapture: live captures work, too.
	CanCapture bool    `json:"can_capture"`
	Checks     []Check `json:"checks"`
}

// Examine judges a host. It reads h.Files and calls h.Writable, and nothing
// else.
func Examine(h *Host) *Result {
	r := &Result{Version: 1, CanRun: true, CanCapture: h.PacketSocket == nil && h.OS == "linux"}
	if h.OS != "linux" {
		r.Checks = []Check{{
			Name: "kernel", Status: Missing, Found: h.OS,
			Means: "network namespaces and TUN devices of Linux are what it is made of", Fix: "run tcpsandbox on Linux",
		}}
	} else {
		r.Checks = append(r.Checks,
			h.kernel(), h.namespaces(), h.tun(), h.capabilities(), h.fileCapabilities(), h.sandbox(), h.capture(),
			h.userNamespaces(), h.appArmor(), h.selinux(), h.cgroup(), h.openFiles(), h.backlog(), h.memory(), h.processors(), h.pressure())
		for _, i := range h.Interfaces {
			r.Checks = append(r.Checks, h.offloads(i))
		}
		for _, l := range h.Looks {
			r.Checks = append(r.Checks, h.traffic(l))
		}
	}
	for _, c := range r.Checks {
		if c.Status == Missing {
			r.CanRun = false
		}
	}
	return r
}

// read returns a file's text without white space around it, "" where it cannot
// be read.
func (h *Host) read(path string) string {
	text, _ := h.readFile(path)
	return strings.TrimSpace(text)
}
