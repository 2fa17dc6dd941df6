package tui

import (
	"strings"
	"testing"
	"unicode"
)

func TestFilter(t *testing.T) {
	s := table()
	for text, want := range map[string]string{
		"": "012345678", "   ": "012345678",
		"cart": "1", "CART": "1", "検索": "2", "get /": "0123", "different": "58", "≠": "58", "held": "25", "closed-early": "1", "idle": "4",
		"2001:db8": "27", "[2001:db8::35]:53": "7", "dead:beef": "", "192.0.2.9:1026": "56", "10.9.9.9": "6",
		"-192.0.2": "012", "-held -ended": "1678", "--x": "012345678",
		"client:192.0.2.9": "3456", "client:192.0.2.8/30": "345678", "client:2001:db8:1234::/48": "2", "server:2001": "7", "client:203": "",
		"port:80": "01234568", "id:100000": "56", "id:99990": "0",
		"route:cart": "1", "route:orders,": "", "state:held": "25", "state:answer": "2", "state:open": "2", "state:openi": "67", "state:reset": "38",
		"state:closed": "01", "state:closed-e": "1", "state:port": "5", "verdict:diff": "58", "verdict:=": "0", "-verdict:un": "01358",
		"behind>1s": "12", "behind<1ms": "0345678", "-behind>1s": "0345678", "latency>1ms": "03", "latency<1h": "0", "requests>2": "015",
		"up>1.2M": "1", "up>1k up<2m": "1", "down>12GB": "3", "down<1": "245678",
	} {
		if got := matching(t, s, text); got != want {
			t.Errorf("%q shows %s, want %s", text, got, want)
		}
	}
}

// matching returns the slots that a filter shows, as one digit each.
func matching(t *testing.T, s *sessions, text string) string {
	t.Helper()
	if err := s.filter(text); err != nil {
		t.Errorf("%q: %v", text, err)
	}
	var b strings.Builder
	for _, slot := range s.rows.shown {
		b.WriteByte('0' + byte(slot))
	}
	return b.String()
}

func TestFilterErrors(t *testing.T) {
	for text, want := range map[string]string{
		"latency>x": "latency>x: not a duration", "behind>": "behind>: not a duration", "a latency<20": "latency<20: not a duration",
		"-": "-: nothing to leave out", "requests>1.5": "requests>1.5: not a number", "up>-1": "up>-1: not a size", "down>nan": "down>nan: not a size",
		"port:http": "port:http: not a port", "id:x": "id:x: not a session's number", "client:": "client:: no client given", "client:1/x": "client:1/x: not a network",
		"verdict:bad": "verdict:bad: no such verdict", "state>open": "state>open: want state:…", "latency:5ms": "latency:5ms: want latency>… or latency<…",
		"clinet:10": "clinet:10: no such key; there are " + keyNames, "-sise>10\x1b": `-sise>10\x1b: no such key; there are ` + keyNames,
	} {
		if _, err := parseFilter(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// FuzzFilter: nothing panics, an error is one line that can be shown, words are
// all asked for, and what a minus leaves out is what the word alone shows.
func FuzzFilter(f *testing.F) {
	for _, text := range []string{"", "cart -held", "client:10.0.0.0/8 behind>1s", "latency>x", "up>1e300k", "state:open verdict:=", "[::1]:80", "-", "a\x00b\xff", "İ:x", "down<9e18t"} {
		f.Add(text)
	}
	s := table()
	f.Fuzz(func(t *testing.T, text string) {
		whole, err := parseFilter(text)
		if err != nil {
			if strings.ContainsFunc(err.Error(), unicode.IsControl) {
				t.Errorf("%q: %q", text, err)
			}
			return
		}
		for slot := range s.rows.slots {
			row := s.rows.at(slot)
			all := true
			for _, word := range strings.Fields(text) {
				one, err := parseFilter(word)
				if err != nil {
					t.Fatalf("%q is right and %q is not: %v", text, word, err)
				}
				all = all && one.match(row, epoch)
				other, err := parseFilter("-" + word)
				if strings.HasPrefix(word, "-") {
					continue
				}
				if err != nil || other.match(row, epoch) == one.match(row, epoch) {
					t.Fatalf("%q and its opposite both say %v: %v", word, one.match(row, epoch), err)
				}
			}
			if whole.match(row, epoch) != all {
				t.Errorf("%q: %v, its words %v", text, !all, all)
			}
		}
	})
}
