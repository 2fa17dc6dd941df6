package tui

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// hostileTexts are what somebody might send to steer or to confuse a screen.
var hostileTexts = map[string]string{
	"escapes":             "\x1b[2J\x1b]0;owned\x07\x1b]52;c;cm0gLXJmIC8=\x07\x1bP+q\x1b\\\u009b31m\x9b31mred\x1b[0m",
	"lines":               "one\ntwo\r\nthree\rfour\tfive\vsix\x00seven\u2028eight",
	"direction":           "user\u202etxt.exe\u2066\u200f\u202d\u061c",
	"wide":                "検索検索👩🏽\u200d🚀हिन्दी🇩🇪🇩e\u0301\u0301\u0301ﾊﾞ ｗｉｄｅ",
	"long":                strings.Repeat("a long line ", 1<<14),
	"one line":            strings.Repeat("x", 1<<18),
	"escapes without end": strings.Repeat("\x1b[31m\n\u202e検", 1<<14),
	"marks without end":   "a" + strings.Repeat("\u0301", 1<<16),
	"spaces":              strings.Repeat(" ", 1<<18),
}

// poison fills all texts of a value, but for those that name what they are in, with
// a hostile one. Values are of what the screen is shown, and are changed in place.
func poison(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString(text)
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			poison(v.Elem(), text)
		}
	case reflect.Struct:
		switch v.Type().PkgPath() {
		case "time", "net/netip":
			return
		}
		for i := range v.NumField() {
			poison(v.Field(i), text)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			if v.CanSet() && v.Len() > 0 {
				v.SetBytes([]byte(text))
			}
			return
		}
		for i := range v.Len() {
			poison(v.Index(i), text)
		}
	case reflect.Array:
		for i := range v.Len() {
			poison(v.Index(i), text)
		}
	}
}

// hostile is a run all of whose texts are foreign.
type hostile struct {
	*fakeSource
	text string
}

func (h hostile) Save(int) (string, error) { return "", errors.New(h.text) }
func (h hostile) Command(int) string       { return h.text }
func (h hostile) Restart() error           { return errors.New(h.text) }
func (h hostile) Faster() string           { return h.text }
func (h hostile) Slower() string           { return h.text }

func hostileRun(text string) hostile {
	f := shopRun()
	ended, state := f.run.Ended, make([]string, len(f.sessions))
	for i := range f.sessions {
		state[i] = f.sessions[i].State
	}
	poison(reflect.ValueOf(&f.run), text)
	f.run.Ended = ended
	poison(reflect.ValueOf(&f.sessions), text)
	for i := range f.sessions {
		if i != 2 { // one has a state that nobody knows
			f.sessions[i].State = state[i]
		}
	}
	poison(reflect.ValueOf(f.findings), text)
	poison(reflect.ValueOf(&f.egress), text)
	poison(reflect.ValueOf(&f.log), text)
	for _, s := range f.stories {
		poison(reflect.ValueOf(s), text)
	}
	for _, e := range f.explained {
		poison(reflect.ValueOf(e), text)
	}
	return hostile{f, text}
}

// hostileWays are the places that a screen can be at, by the keys that lead there.
var hostileWays = [][]string{
	nil, {"down", "enter"}, {"down", "down", "enter"}, {"down", "enter", "enter"}, {"down", "enter", "]", "enter", "i", "a"}, {"down", "enter", "]", "enter", "d"},
	{"down", "enter", "]", "enter", "d", "d"}, {"down", "enter", "]", "enter", "right", "right"}, {"2"}, {"2", "enter"}, {"2", "enter", "a", "d"}, {"3"}, {"4"}, {"4", "up"}, {"5"}, {"5", "end"},
	{"?"}, {"w"}, {"y"}, {"R"}, {"+"}, {"p", "b"}, {"s", "s"}, {"/", "x", "é"}, {"b", "l", "x"},
}

// drawLimit is far more than a screen needs: 7 ms on a machine with nothing else
// to do, ten times that under the race detector. Where a text of a quarter megabyte
// is looked at as a whole, for each of its cells, it takes minutes.
const drawLimit = 2 * time.Second

// Whatever the texts are: no line has a control character, each has its width, and
// a screen takes no longer than a person would notice.
func TestHostile(t *testing.T) {
	for name, text := range hostileTexts {
		for _, size := range [][2]int{{80, 24}, {40, 10}, {200, 60}} {
			if size[0] != 80 && len(text) > 1000 {
				continue // it takes long, and finds nothing more
			}
			src := hostileRun(text)
			m := newModel(Options{Source: src, Control: src, Keeper: src})
			m.st = styles{}
			s := &screen{m, t, src.fakeSource}
			s.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
			s.poll()
			slowest, where := time.Duration(0), ""
			for _, keys := range hostileWays {
				s.press("esc", "esc", "esc", "1", "home")
				s.press(keys...)
				s.text() // and what it lays out once
				if left := steers(s.View().WindowTitle); left != "" {
					t.Errorf("%s: the title has %q", name, left)
				}
				for _, line := range s.draw() {
					if left := steers(line); left != "" {
						t.Fatalf("%s, %v: %q is left in %q", name, keys, left, line)
					}
				}
				began := time.Now()
				s.draw()
				took := time.Since(began)
				if took > slowest {
					slowest, where = took, fmt.Sprint(keys)
				}
			}
			t.Logf("%s at %v: at most %v, at %s", name, size, slowest, where)
			if slowest > drawLimit {
				t.Errorf("%s at %v: %s takes %v to draw, want %v at most", name, size, where, slowest, drawLimit)
			}
		}
	}
}

// What is copied is what is shown, whatever is in it.
func TestCopied(t *testing.T) {
	for name, text := range hostileTexts {
		src := hostileRun(text)
		m := newModel(Options{Source: src, Control: src, Keeper: src})
		s := &screen{m, t, src.fakeSource}
		s.send(tea.WindowSizeMsg{Width: 80, Height: 24})
		s.poll()
		_, cmd := s.Update(keyNamed("y"))
		told, ok := cmd().(doneMsg)
		if !ok || told.copy == "" || steers(told.copy) != "" || told.text != "copied: "+told.copy {
			t.Errorf("%s: %.100q is copied, %.100q is shown", name, told.copy, told.text)
		}
		if c := ansi.SetSystemClipboard(told.copy); strings.ContainsFunc(strings.TrimSuffix(strings.TrimPrefix(c, "\x1b]52;c;"), "\x07"), unicode.IsControl) {
			t.Errorf("%s: the sequence has controls within", name)
		}
	}
}
