package compare

import (
	"strings"
	"testing"
)

func TestParts(t *testing.T) {
	head := strings.Repeat("h", HeadLimit)
	for _, tt := range []struct {
		name                    string
		production, application string
		cut                     bool
		want                    Verdict
		difference              string
	}{
		{"the same", "hello", "hello", false, Identical, ""},
		{"the same, cut", "hello", "hello", true, Identical, ""},
		{"the same, beyond the head", head + "a", head + "a", false, Identical, ""},
		{"more", "hel", "hello", false, Uncompared, ""},
		{"more, beyond the head", head + "a", head + "bc", false, Uncompared, ""},
		{"less", "hello", "hel", false, Different, `at byte 3: production "hello", application "hel", cut short`},
		{"less, cut", "hello", "hel", true, Uncompared, ""},
		{"nothing", "hello", "", false, Missing, ""},
		{"nothing, cut", "hello", "", true, Uncompared, ""},
		{"another", "hello", "hullo, world", false, Different, `at byte 1: production "hello", application "hullo, world", cut short`},
		{"another, cut", "hello", "hu", true, Different, `at byte 1: production "hello", application "hu", cut short`},
		{"another, beyond the head", head + "a", head + "b", true, Different,
			"at or after byte 65536: production sent 65537 bytes, the application 65537, cut short"},
	} {
		got := Parts(answer(tt.production, false), answer(tt.application, false), tt.cut)
		text := ""
		if got.First() != nil {
			text = got.First().String()
		}
		if got.Verdict != tt.want || text != tt.difference {
			t.Errorf("%s: %v, %s\nwant %v, %s", tt.name, got.Verdict, text, tt.want, tt.difference)
		}
	}
}
