package e2e

import (
	"encoding/binary"
	"os"
	"os/exec"
	"syscall"
	"time"

	"tcpsandbox/capture/capturetest"
)

// Rows of TestCaptureFaults: what happens to capture files and streams, and to
// the clock that stamped them.

// paced writes the connection log of sessions at a moderate pace, and returns
// their capture and where its packets end.
func (f *faulty) paced(sessions int, length time.Duration) (capture []byte, ends []int) {
	f.Helper()
	packets, err := pacedSessions(f.path("sent.log"), sessions, length)
	f.must(err)
	capture = capturetest.Pcap(packets)
	for at := 24; at < len(capture); {
		at += 16 + int(binary.LittleEndian.Uint32(capture[at+8:]))
		ends = append(ends, at)
	}
	return capture, ends
}

// append writes at the end of a file, which it makes if need be.
func (f *faulty) append(name string, data []byte) {
	f.Helper()
	out, err := os.OpenFile(f.path(name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err == nil {
		_, err = out.Write(data)
		out.Close()
	}
	f.must(err)
}

// fileGrows follows a file from before it exists until it is removed, while it
// grows in pieces that end within packets.
func (f *faulty) fileGrows() {
	capture, _ := f.paced(100, time.Second)
	box := f.sandbox("--capture", "shop.pcap:80", "--follow")
	f.says(box, "shop.pcap is not there yet: waiting for it")
	const pieces = 40
	for i := range pieces {
		f.append("shop.pcap", capture[len(capture)*i/pieces:len(capture)*(i+1)/pieces])
		time.Sleep(5 * time.Millisecond) // the writer's pace; any will do
	}
	f.entries("app.log", 100)
	f.must(os.Remove(f.path("shop.pcap")))
	f.ends(box, false, "sessions.finished == 100", "answers.identical == 500", "client_bytes.delivered == client_bytes.captured",
		`ended == "capture-end"`, "warnings.# == 0", "capture.malformed == 0")
	f.has("shop.pcap was removed: the capture ends")
	f.sameAs("sent.log")
}

// tcpdumpWrites follows what tcpdump writes at that moment.
func (f *faulty) tcpdumpWrites() {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		lack(f.T, err.Error())
	}
	f.production()
	box := f.sandbox("--capture", "shop.pcap:80", "--follow")
	dump := f.begin("dump", "prod", "tcpdump", "-i", "eth0", "-U", "-s", "0", "-Z", "root", "-w", "shop.pcap", "tcp port 80")
	f.says(dump, "listening on eth0")
	f.must(f.load("sent", 4, 20).expect("0"))
	f.entries("app.log", 4)
	f.must(dump.signal("INT"))
	f.must(dump.expect("0"))
	f.ends(box, true, "sessions.finished == 4", "answers.identical == 80", "client_bytes.delivered == client_bytes.captured",
		`ended == "signal"`, "warnings.# == 0", "release.timeout == 0")
	f.sameAs("sent.log")
}

// fileReplaced renames another file over the one that is followed.
func (f *faulty) fileReplaced() {
	capture, _ := f.paced(20, time.Second)
	f.write("shop.pcap", capture)
	f.write("new.pcap", capture)
	box := f.sandbox("--capture", "shop.pcap:80", "--follow")
	f.entries("app.log", 20)
	f.must(os.Rename(f.path("new.pcap"), f.path("shop.pcap")))
	f.ends(box, false, "sessions.finished == 20", "answers.identical == 100", "client_bytes.delivered == client_bytes.captured",
		`ended == "capture-end"`, "warnings.# == 1", `warnings.0 ~ "the capture is cut off: another file took its name"`)
	f.sameAs("sent.log")
}

// fileTruncated cuts the file that is followed.
func (f *faulty) fileTruncated() {
	capture, ends := f.paced(20, time.Second)
	f.write("shop.pcap", capture)
	box := f.sandbox("--capture", "shop.pcap:80", "--follow")
	f.entries("app.log", 20)
	f.must(os.Truncate(f.path("shop.pcap"), int64(ends[10])))
	f.ends(box, false, "sessions.finished == 20", "answers.identical == 100", "client_bytes.delivered == client_bytes.captured",
		`ended == "capture-end"`, "warnings.# == 1", `warnings.0 ~ "the capture is cut off: it was truncated while it was followed"`)
	f.sameAs("sent.log")
}

// fileRemoved removes it within a packet.
func (f *faulty) fileRemoved() {
	capture, ends := f.paced(20, time.Second)
	half := ends[len(ends)-60] + 20
	f.write("shop.pcap", capture[:half])
	box := f.sandbox("--capture", "shop.pcap:80", "--follow")
	f.must(await("sessions are played", func() bool { return readText(f.path("app.log")) != "" || !box.running() }))
	f.must(os.Remove(f.path("shop.pcap")))
	f.ends(box, false, "sessions.seen == 20", "answers.different == 0", "client_bytes.delivered == client_bytes.captured",
		`ended == "capture-end"`, "warnings.# == 1", `warnings.0 ~ "the capture is cut off: the last record lacks "`)
	f.has("shop.pcap was removed: the capture ends")
}

// fileCutWhileRead truncates a file that is played at its pace: it is read ahead
// by a second, and lasts for four.
func (f *faulty) fileCutWhileRead() {
	capture, ends := f.paced(400, 4*time.Second)
	f.write("shop.pcap", capture)
	box := f.sandbox("--capture", "shop.pcap:80")
	f.must(os.Truncate(f.path("shop.pcap"), int64(ends[len(ends)*3/4]+20)))
	f.ends(box, false, "sessions.seen == 400", "sessions.complete < 400", "answers.different == 0", "client_bytes.delivered == client_bytes.captured",
		`ended == "capture-end"`, "warnings.# == 1", `warnings.0 ~ "the capture is cut off: the last record lacks "`)
}

// fileSwappedWhileRead renames another file over one that is played: what was
// opened is what is played.
func (f *faulty) fileSwappedWhileRead() {
	capture, _ := f.paced(400, 2*time.Second)
	f.write("shop.pcap", capture)
	f.write("new.pcap", []byte("no capture at all"))
	box := f.sandbox("--capture", "shop.pcap:80")
	f.must(os.Rename(f.path("new.pcap"), f.path("shop.pcap")))
	f.ends(box, false, "sessions.finished == 400", "answers.identical == 2000", "client_bytes.delivered == client_bytes.captured", "warnings.# == 0")
	f.sameAs("sent.log")
}

// piped starts a run that reads a pipe, of which it returns the other end.
func (f *faulty) piped() (box *process, in *os.File) {
	f.Helper()
	f.must(syscall.Mkfifo(f.path("pipe"), 0o600))
	box = f.begin("box", "prod", "sh", "-c", "exec tcpsandbox run --capture -:80 --report box.json -- testapp -listen :80 -record app.log <pipe")
	in, err := os.OpenFile(f.path("pipe"), os.O_RDWR, 0) // does not wait for the reader
	f.must(err)
	f.Cleanup(func() { in.Close() })
	f.says(box, "listens on")
	return box, in
}

// stdinStalls gives half of a capture, which ends within a packet, and the rest
// when all of that was played.
func (f *faulty) stdinStalls() {
	capture, ends := f.paced(40, time.Second)
	box, in := f.piped()
	half := ends[len(ends)-60] + 30
	_, err := in.Write(capture[:half])
	f.must(err)
	f.entries("app.log", 1)
	f.must(box.signal("STOP"))
	f.must(box.signal("CONT"))
	_, err = in.Write(capture[half:])
	f.must(err)
	f.must(in.Close())
	f.ends(box, false, "sessions.finished == 40", "answers.identical == 200", "client_bytes.delivered == client_bytes.captured",
		`ended == "capture-end"`, "warnings.# == 0")
	f.sameAs("sent.log")
}

// stdinBreaks ends the input within a packet, as an ssh that dies does.
func (f *faulty) stdinBreaks() {
	capture, ends := f.paced(40, time.Second)
	box, in := f.piped()
	_, err := in.Write(capture[:ends[len(ends)-60]+30])
	f.must(err)
	f.must(in.Close())
	f.ends(box, false, "sessions.seen == 40", "answers.different == 0", "client_bytes.delivered == client_bytes.captured",
		`ended == "capture-end"`, "warnings.# == 1", `warnings.0 ~ "the capture is cut off: the last record lacks "`)
}

// stdinClosed starts a run without an input.
func (f *faulty) stdinClosed() {
	box := f.begin("box", "prod", "sh", "-c", "exec tcpsandbox run --capture - --report box.json -- testapp -listen :80 <&-")
	f.must(box.expect("3"))
	f.has("tcpsandbox: read -: ")
}

// clockSteps plays captures of a host whose clock was set while it captured: all
// is delivered, and nobody waits for an hour.
func (f *faulty) clockSteps() {
	packets, err := pacedSessions(f.path("sent.log"), 50, 2*time.Second)
	f.must(err)
	// Between two requests, when none waits for production's answer: that would have
	// taken as long as the step.
	half := len(packets) / 2
	for packets[half].Time.Sub(packets[half-1].Time) < time.Millisecond {
		half++
	}
	for _, c := range []struct {
		name string
		step time.Duration
		args []string
	}{
		{"back, asap", -time.Hour, []string{"--pace", "asap"}},
		{"back, paced", -time.Hour, nil},
		{"far back, paced", -1000 * time.Hour, nil},
		{"ahead, asap", time.Hour, []string{"--pace", "asap"}},
		{"ahead, paced", time.Hour, []string{"--skip-idle", "100ms"}},
		{"far ahead, paced", 1000 * time.Hour, []string{"--skip-idle", "100ms"}},
	} {
		stepped := make([]capturetest.Packet, len(packets))
		for i, p := range packets {
			if i >= half {
				p.Time = p.Time.Add(c.step)
			}
			stepped[i] = p
		}
		f.write("shop.pcap", capturetest.Pcap(stepped))
		box := f.sandbox(append([]string{"--capture", "shop.pcap:80"}, c.args...)...)
		f.ends(box, false, "sessions.finished == 50", "sessions.joined == 0", "answers.identical == 250", "client_bytes.delivered == client_bytes.captured",
			"duration_s < 60", "latency.production.max_ms < 1000", "warnings.# == 0")
		f.sameAs("sent.log")
		if f.Failed() {
			f.Fatal(c.name)
		}
	}
}
