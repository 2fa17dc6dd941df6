package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// messages prints one of each kind.
func messages(c *console) {
	c.say("on its way")
	c.progress("10 sessions")
	c.warn("slow")
	c.fail(hinted{errors.New("no such thing"), "make it"})
	c.app("app", []byte("hello \x1b[2J"))
	c.app("baseline", []byte("old"))
}

func TestConsoleHold(t *testing.T) {
	const plain = "tcpsandbox: on its way\ntcpsandbox: 10 sessions\ntcpsandbox: warning: slow\n" +
		"tcpsandbox: no such thing\n  hint: make it\napp: hello \x1b[2J\nbaseline: old\n"
	sunk := []string{"say|on its way", "warning|slow", "error|no such thing\n  hint: make it", "app|hello \x1b[2J", "baseline|old"}
	for _, tt := range []struct {
		name            string
		terminal, quiet bool
		reprint         bool
		sink            []string
		during, after   string
	}{
		{"a terminal", true, false, true, sunk, "", "tcpsandbox: warning: slow\ntcpsandbox: no such thing\n  hint: make it\n"},
		{"not again", true, false, false, sunk, "", ""},
		{"a file", false, false, true, sunk, plain, ""},
		{"quiet", true, true, true, sunk[1:], "", "tcpsandbox: warning: slow\ntcpsandbox: no such thing\n  hint: make it\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			c := &console{err: &out, terminal: tt.terminal, quiet: tt.quiet}
			var got []string
			c.hold(func(kind, text string) { got = append(got, kind+"|"+text) }, nil)
			messages(c)
			if !slices.Equal(got, tt.sink) {
				t.Errorf("the screen got %q, want %q", got, tt.sink)
			}
			if out.String() != tt.during {
				t.Errorf("meanwhile %q was printed, want %q", out.String(), tt.during)
			}
			out.Reset()
			c.release(tt.reprint)
			if out.String() != tt.after {
				t.Errorf("afterwards %q was printed, want %q", out.String(), tt.after)
			}
			out.Reset()
			got = nil
			c.release(true) // once more is nothing
			c.warn("later")
			if want := "tcpsandbox: warning: later\n"; out.String() != want || got != nil {
				t.Errorf("after the release %q was printed and %q went to the screen, want %q", out.String(), got, want)
			}
		})
	}
}

// A progress line that stands on the terminal does not stay there.
func TestConsoleHoldTakesProgressAway(t *testing.T) {
	var out bytes.Buffer
	c := &console{err: &out, terminal: true, line: true}
	c.hold(func(string, string) {}, nil)
	if want := "\r\x1b[K"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestConsoleReprintIsBounded(t *testing.T) {
	var out bytes.Buffer
	c := &console{err: &out, terminal: true}
	c.hold(func(string, string) {}, nil)
	for i := range missedMax + 3 {
		c.warn("number %d", i)
	}
	c.release(true)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if want := "tcpsandbox: 3 messages before these are not shown again"; lines[0] != want || len(lines) != missedMax+1 {
		t.Fatalf("%d lines, first %q; want %d and %q", len(lines), lines[0], missedMax+1, want)
	}
	for i, line := range lines[1:] {
		if want := fmt.Sprintf("tcpsandbox: warning: number %d", i+3); line != want {
			t.Fatalf("line %d is %q, want %q", i, line, want)
		}
	}
}

// An end at once leaves the screen first, once, and then prints.
func TestConsoleAbandon(t *testing.T) {
	var out bytes.Buffer
	c := &console{err: &out, terminal: true}
	c.hold(func(string, string) {}, func() {
		c.warn("stopping") // whatever stops may print
		out.WriteString("<left>")
	})
	c.warn("before")
	c.abandon()
	c.abandon()
	if want := "<left>tcpsandbox: warning: before\ntcpsandbox: warning: stopping\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
