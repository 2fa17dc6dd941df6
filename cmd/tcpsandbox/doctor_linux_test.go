package main

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"tcpsandbox/doctor"
	"tcpsandbox/session"
)

// doctor's verdict is one object, and what it tried is gone: no interface, no
// file of this process, no child.
func TestDoctorLeavesNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("TCPSANDBOX_NEED") == "all" {
			t.Fatal("TCPSANDBOX_NEED=all, but network namespaces need root")
		}
		t.Skip("network namespaces need root")
	}
	run := func() {
		t.Helper()
		var out bytes.Buffer
		code, err := examine(&out, nil, true)
		if err != nil {
			t.Fatal(err)
		}
		var r doctor.Result
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatalf("%v in %s", err, out.Bytes())
		}
		if code != exitOK || !r.CanRun || r.Version != 1 || r.Tool == "" {
			t.Errorf("exit code %d: %s", code, out.Bytes())
		}
	}
	run() // what Go opens once, such as its poller, it keeps
	before := present(t)
	for range 3 {
		run()
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		after := present(t)
		if slices.Equal(before, after) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("before: %v\nafter: %v", before, after)
		}
	}
}

// present lists the interfaces, and what the files and children of this process
// are.
func present(t *testing.T) (all []string) {
	t.Helper()
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		all = append(all, l.Attrs().Name)
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil { // not the directory's own
			all = append(all, f.Name()+" "+to)
		}
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		if children, err := os.ReadFile("/proc/self/task/" + thread.Name() + "/children"); err == nil && len(children) > 0 {
			all = append(all, "children "+string(children))
		}
	}
	return all
}

func TestSpeaksTLS(t *testing.T) {
	data := func(side session.Side, text string) session.Event {
		return session.Event{Kind: session.Data, Side: side, Data: []byte(text)}
	}
	for _, test := range []struct {
		name   string
		events []session.Event
		want   bool
	}{
		{"nothing", nil, false},
		{"a ClientHello", []session.Event{{Kind: session.Open}, data(session.Client, "\x16\x03\x01\x02\x00")}, true},
		{"joined later", []session.Event{data(session.Server, "x"), data(session.Client, "\x17\x03\x03\x00\x20")}, true},
		{"only the server", []session.Event{data(session.Server, "\x16\x03\x03\x00\x20")}, false},
		{"HTTP", []session.Event{data(session.Client, "GET / HTTP/1.1\r\n")}, false},
		{"another version", []session.Event{data(session.Client, "\x16\x05\x01")}, false},
		{"too short", []session.Event{data(session.Client, "\x16\x03")}, false},
		{"the first counts", []session.Event{data(session.Client, "STARTTLS\r\n"), data(session.Client, "\x16\x03\x01")}, false},
	} {
		if got := speaksTLS(test.events); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
