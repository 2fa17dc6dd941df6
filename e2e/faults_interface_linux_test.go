package e2e

import (
	"strings"

	"github.com/vishvananda/netlink"
)

// Rows of TestCaptureFaults: what happens to the interface that is captured, and
// to the process that captures.

// interfaceDown takes production's interface down while clients are at work. TCP
// brings all to production in the end, and so all is captured.
func (f *faulty) interfaceDown() {
	f.production()
	box := f.sandbox("--capture", "eth0:80")
	clients := f.load("sent", 20, 60, "-pause", "10ms")
	f.down("prod", "eth0")
	f.says(box, "eth0 is down: waiting for it")
	f.up("prod", "eth0")
	f.saysBack(box)
	f.must(clients.expect("0"))
	f.entries("prod.log", 20)
	f.ends(box, true, "sessions.seen == 20", "sessions.finished == 20", "capture.blind_s > 0", "capture.sources.0.blind_s > 0",
		"answers.identical == 1200", "client_bytes.delivered == client_bytes.captured", `ended == "signal"`)
	f.has("eth0:80: the interface was down or gone for ")
	f.has("in which an interface was down or gone")
	f.sameAs("sent.log")
}

// interfaceGone deletes the interface, and makes another of the same name: the
// sessions go on, and new ones come.
func (f *faulty) interfaceGone() {
	f.production()
	box := f.sandbox("--capture", "eth0:80")
	clients := f.load("sent", 6, 20, "-resume", "go on")
	f.link("prod", "eth0", (*netlink.Handle).LinkDel)
	f.says(box, "eth0 is gone: waiting for an interface of that name")
	f.rewire()
	f.saysBack(box)
	f.write("go on", nil)
	f.must(clients.expect("0"))
	f.must(f.load("more", 4, 10).expect("0"))
	f.entries("prod.log", 10)
	f.ends(box, true, "sessions.seen == 10", "sessions.finished == 10", "sessions.joined == 0", "capture.blind_s > 0",
		"answers.identical == 160", "client_bytes.delivered == client_bytes.captured")
	f.sameAs("sent.log", "more.log")
}

// saysBack waits until a program says that its interface is there again.
func (f *faulty) saysBack(p *process) {
	f.Helper()
	f.must(await("the interface is back", func() bool {
		said := readText(f.path(p.name + ".err"))
		return strings.Contains(said, " is up again after ") || strings.Contains(said, " was down for a moment")
	}))
}

// interfaceRenamed takes the interface down, renames it and sets it up again.
func (f *faulty) interfaceRenamed() {
	f.production()
	box := f.sandbox("--capture", "eth0:80")
	clients := f.load("sent", 6, 20, "-resume", "go on")
	f.down("prod", "eth0")
	f.says(box, "eth0 is down: waiting for it")
	f.link("prod", "eth0", func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetName(l, "wan0") })
	f.up("prod", "wan0")
	f.says(box, "it was called eth0 before")
	f.write("go on", nil)
	f.must(clients.expect("0"))
	f.entries("prod.log", 6)
	f.ends(box, true, "sessions.seen == 6", "sessions.finished == 6", "capture.blind_s > 0",
		"answers.identical == 120", "client_bytes.delivered == client_bytes.captured", `capture.source == "eth0:80"`)
	f.sameAs("sent.log")
	f.down("prod", "wan0")
	f.link("prod", "wan0", func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetName(l, "eth0") })
}

// interfaceNeverBack ends a run whose interface does not come back: what was
// captured before counts.
func (f *faulty) interfaceNeverBack() {
	f.production()
	box := f.sandbox("--capture", "eth0:80")
	f.must(f.load("sent", 3, 10).expect("0"))
	f.entries("app.log", 3)
	f.link("prod", "eth0", (*netlink.Handle).LinkDel)
	f.says(box, "eth0 is gone: waiting for an interface of that name")
	f.ends(box, true, "sessions.finished == 3", "answers.identical == 30", "client_bytes.delivered == client_bytes.captured",
		`ended == "signal"`, "capture.blind_s > 0")
	f.has("eth0:80: the interface was down or gone for ")
	f.sameAs("sent.log")
	f.rewire()
}

// recordThroughOutage records on an interface that is deleted and made again.
func (f *faulty) recordThroughOutage() {
	f.production()
	rec := f.begin("rec", "prod", "tcpsandbox", "record", "--capture", "eth0:80", "-o", "shop.pcapng")
	f.says(rec, "capturing from")
	f.must(f.load("sent", 2, 10).expect("0"))
	f.entries("prod.log", 2)
	f.link("prod", "eth0", (*netlink.Handle).LinkDel)
	f.says(rec, "eth0 is gone: waiting for an interface of that name")
	f.rewire()
	f.saysBack(rec)
	f.must(f.load("more", 2, 10).expect("0"))
	f.entries("prod.log", 4)
	f.must(rec.signal("INT"))
	f.must(rec.expect("0"))
	f.says(rec, "the interface was down or gone for ")
	box := f.sandbox("--pace", "asap", "--capture", "shop.pcapng:80")
	f.ends(box, false, "sessions.finished == 4", "answers.identical == 40", "client_bytes.delivered == client_bytes.captured")
	f.sameAs("sent.log", "more.log")
}

// doctorLooks has doctor say that an interface is down: it does not wait.
func (f *faulty) doctorLooks() {
	f.down("prod", "eth0")
	doctor := f.begin("box", "prod", "tcpsandbox", "doctor", "--capture", "eth0:80")
	f.must(await("doctor ends", func() bool { return !doctor.running() }))
	f.has("eth0 is down")
	f.has("sudo ip link set eth0 up")
}

// stoppedUnderLoad stops the process until the kernel's ring has overflowed: the
// kernel's count tells, and the ledger what of which session is missing.
func (f *faulty) stoppedUnderLoad() {
	f.production()
	box := f.sandbox("--capture", "eth0:80")
	f.must(f.load("sent", 3, 10).expect("0"))
	f.entries("app.log", 3)
	f.must(box.signal("STOP"))
	// 108 MB, into a ring of 64, and 36 when it is read again: what is missing
	// lies in the middle.
	flood := f.begin("flood", "client", "load", "-to", "10.77.0.1:80", "-from", "10.77.0.2,10.77.0.3", "-connections", "6", "-requests", "48",
		"-size", "500000", "-pause", "10ms", "-first-part", "36", "-ready", "flood.ready", "-resume", "go on", "-record", "flood.log", "upload")
	f.exists("flood.ready")
	f.must(box.signal("CONT"))
	f.write("go on", nil)
	f.must(flood.expect("0"))
	f.entries("prod.log", 9)
	f.ends(box, true, "sessions.seen <= 9", "sessions.seen >= 3", "capture.kernel_drops > 0", "client_bytes.not_captured > 0", "sessions.lossy > 0",
		"answers.different == 0", "answers.missing == 0", "answers.identical >= 30", `ended == "signal"`)
	f.has("dropped by the kernel")
	f.has("not captured")
}
