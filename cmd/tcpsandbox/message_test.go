package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"tcpsandbox/sandbox"
)

// Nothing that an application writes acts on the terminal; in a file it stays as
// it is.
func TestConsoleForeign(t *testing.T) {
	for _, tt := range []struct{ said, shown string }{
		{"plain, 世界, a\ttab", "plain, 世界, a\ttab"},
		{"\x1b[31mred\x1b[0m", "red"},
		{"a\x1b[2Jb\x1b[13;37Hc", "abc"},
		{"\x1b]0;title\x07a\x1b]52;c;b3duZWQ=\x1b\\b", "ab"},
		{"a\u009b2Jb", "a\ufffd2Jb"},
		{"a\x07\rb\x7f", "a\ufffd\ufffdb\ufffd"},
		{"a\r\nb\r", "a\nb"},
		{"a\u202eb", "a\ufffdb"},
		{"\x1b]0;no end\nnext", "\nnext"},
	} {
		for _, terminal := range []bool{true, false} {
			var out bytes.Buffer
			c := &console{err: &out, terminal: terminal}
			c.app("app", []byte(tt.said))
			c.hold(func(string, string) {}, nil)
			c.warn("%s", tt.said)
			c.release(true)
			want := "app: " + tt.said + "\ntcpsandbox: warning: " + tt.said + "\n"
			if terminal {
				want = "app: " + tt.shown + "\ntcpsandbox: warning: " + tt.shown + "\n"
			}
			if out.String() != want {
				t.Errorf("terminal %t: %q was printed for %q, want %q", terminal, &out, tt.said, want)
			}
		}
	}
	for _, raw := range []string{"a\x9b2Jb", "\x90q\x9c", "\x1b\x9b2J"} {
		for _, r := range []byte(harmless(raw)) {
			if r == 0x1b {
				t.Errorf("%q becomes %q", raw, harmless(raw))
			}
		}
	}
}

// What an application writes is passed on without taking memory for it: a gigabyte
// of long lines at once took 125 MB until the collector came.
func TestOutputTakesNothing(t *testing.T) {
	log, err := os.Create(filepath.Join(t.TempDir(), "app.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	line := bytes.Repeat([]byte("x"), 8<<10)
	for name, s := range map[string]*stand{
		"to a file":     {con: &console{err: io.Discard}, tag: "app", log: log, warn: func(string) {}},
		"to the stderr": {con: &console{err: io.Discard}, tag: "app"},
	} {
		take := s.output()
		if n := testing.AllocsPerRun(100, func() { take(sandbox.Stdout, line) }); n > 0 {
			t.Errorf("%s: %v allocations for a line", name, n)
		}
	}
	all, err := os.ReadFile(log.Name())
	if want := bytes.Repeat(append(line, '\n'), 101); err != nil || !bytes.Equal(all, want) {
		t.Errorf("the file has %d bytes, want %d; %v", len(all), len(want), err)
	}
}

// A terminal that can erase nothing gets no escape sequence for its progress.
func TestConsoleDumb(t *testing.T) {
	var out bytes.Buffer
	c := &console{err: &out, terminal: true, dumb: true}
	c.progress("10 sessions")
	c.say("on its way")
	c.done()
	if want := "tcpsandbox: 10 sessions\ntcpsandbox: on its way\n"; out.String() != want {
		t.Errorf("it got %q, want %q", &out, want)
	}
}
