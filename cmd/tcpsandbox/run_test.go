package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tcpsandbox/compare"
	"tcpsandbox/report"
)

// The caret under a filter points at what is wrong with it.
func TestHintPointsAtTheFilter(t *testing.T) {
	p := picked{filterText: "port foo bar", tunnels: "auto"}
	var said bytes.Buffer
	(&console{err: &said}).fail(usageError{"tcpsandbox run", p.complete()})
	lines := strings.Split(said.String(), "\n")
	if len(lines) < 3 || strings.Index(lines[2], "^") != strings.Index(lines[1], "foo") {
		t.Errorf("said\n%s", said.String())
	}
}

// A value that is empty, as of a shell's variable that is not set, does not take
// the flag away.
func TestEmptyFlags(t *testing.T) {
	for _, name := range wantText {
		for _, value := range []string{"", " "} {
			code := 0
			cmd := runCommand(&code)
			cmd.SetArgs([]string{"--capture", "eth0:80", "--baseline", "old", "--" + name, value, "--", "app"})
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			err := cmd.Execute()
			var misused usageError
			if !errors.As(err, &misused) || !strings.Contains(err.Error(), "--"+name) || !strings.Contains(err.Error(), "empty") {
				t.Errorf("--%s %q: %v", name, value, err)
			}
		}
	}
}

// A value that can never be right is a wrong command line, before anything is
// opened.
func TestWrongFlags(t *testing.T) {
	for flag, want := range map[string]string{
		"--keep-caps fly": "no such capability", "--keep-caps setuid,cap_sys_admin": "opens the sandbox",
		"--mtu 1": "1280", "--env FOO": "K=V", "--egress allow": "drop or refuse", "--pace fast": "live or asap",
		"--allow db.test": "HOST:PORT", "--map 5432": "--map", "--memory 1x": "size", "--cpus 0": "0.01", "--pids -1": "--pids",
		"--max-cpu 0": "--max-cpu", "--max-memory 1": "--max-memory", "--max-pressure 200": "--max-pressure",
		"--restart always": "--restart", "--report run.docx": "run.docx", "--filter port": "expected",
	} {
		code := 0
		cmd := runCommand(&code)
		name, value, _ := strings.Cut(flag, " ")
		cmd.SetArgs([]string{"--capture", "nowhere.pcap:80", name, value, "--", "app"})
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		err := cmd.Execute()
		var misused usageError
		if !errors.As(err, &misused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", flag, err, want)
		}
	}
}

// A result that contradicts itself ends with exit code 3 and says so on the
// standard error and in the report, whatever the answers were and whatever
// --fail-on asks for.
func TestAuditHidesNothing(t *testing.T) {
	for _, tt := range []struct {
		name  string
		found []string // by the engine
		edit  func(*report.Result)
		want  string // empty: all is well
	}{
		{name: "all is well"},
		{name: "the engine found a session", found: []string{"session 7 (192.0.2.1:4): ledger holds 1 bytes, captured were 2"}, want: "session 7"},
		{name: "the sum is off", edit: func(r *report.Result) { r.ClientBytes.Shed++ }, want: "in all"},
		{name: "a packet is off", edit: func(r *report.Result) { r.Containment.Delivered++ }, want: "have a fate"},
		{name: "the sandbox has a hole", found: []string{"the sandbox has another interface"}, want: "another interface"},
		{name: "a session is off", edit: func(r *report.Result) { r.Detail[0].ClientBytes.Delivered-- }, want: "session 1"},
	} {
		for _, failOn := range []string{"different", "loss", "never"} {
			r := &report.Result{ClientBytes: report.ClientBytes{Captured: 10, Delivered: 10}}
			r.Containment = &report.Containment{Packets: 5, Delivered: 5, Interfaces: []string{"lo", "tun0"}}
			r.AddDetail(report.Detail{ID: 1, State: "finished", ClientBytes: report.ClientBytes{Captured: 10, Delivered: 10}})
			r.Answers.Count(compare.Identical, 1)
			if tt.edit != nil {
				tt.edit(r)
			}
			path := filepath.Join(t.TempDir(), "run.json")
			o := &runOptions{failOn: failOn, reports: []string{path}}
			var said bytes.Buffer
			con := &console{err: &said, quiet: true}
			r.ExitCode = o.exitCode(r)
			audit(con, r, tt.found)
			code, err := o.publish(con, r)
			if err != nil {
				t.Fatal(err)
			}
			var written struct {
				ExitCode int      `json:"exit_code"`
				Defects  []string `json:"defects"`
			}
			data, err := os.ReadFile(path)
			if err == nil {
				err = json.Unmarshal(data, &written)
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				if code != exitOK || said.Len() > 0 || len(written.Defects) > 0 {
					t.Errorf("%s, --fail-on %s: exit code %d, %q, %q", tt.name, failOn, code, said.String(), written.Defects)
				}
				continue
			}
			if code != exitCannot || written.ExitCode != exitCannot {
				t.Errorf("%s, --fail-on %s: exit code %d, in the report %d", tt.name, failOn, code, written.ExitCode)
			}
			if !strings.Contains(said.String(), "defect of tcpsandbox") || !strings.Contains(said.String(), tt.want) ||
				len(written.Defects) != 1 || !strings.Contains(written.Defects[0], tt.want) {
				t.Errorf("%s, --fail-on %s: said %q, wrote %q", tt.name, failOn, said.String(), written.Defects)
			}
		}
	}
}

func TestHidden(t *testing.T) {
	for _, test := range []struct {
		given, want []string
		none        bool
	}{
		{nil, nil, false},
		{[]string{"/run/a", "b"}, []string{"/run/a", "b"}, false},
		{[]string{"none"}, nil, true},
		{[]string{"/run/a", "none"}, []string{"/run/a"}, true},
		{[]string{"./none"}, []string{"./none"}, false},
	} {
		opt := &runOptions{hide: test.given}
		if paths, none := opt.hidden(); !slices.Equal(paths, test.want) || none != test.none {
			t.Errorf("--hide %q: %q, %v", test.given, paths, none)
		}
	}
}
