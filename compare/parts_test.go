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

// The beginning of an HTTP answer is compared as HTTP: that its Date is another
// one says nothing.
func TestPartsOfHTTP(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
	// The spelling of the reason stands for what the rules allow.
	const same = "HTTP/1.1 200 Fine\r\nContent-Length: 10\r\n\r\n"
	large := strings.Repeat("x", 2*HeadLimit)
	const largeHead = "HTTP/1.1 200 OK\r\n" + binaryType + "Content-Length: 300000\r\n\r\n"
	const largeSame = "HTTP/1.1 200 Fine\r\n" + binaryType + "Content-Length: 300000\r\n\r\n"
	for _, tt := range []struct {
		name, production, application string
		cut                           bool
		want                          Verdict
		difference                    string
	}{
		{"as far", head + "abc", same + "abc", false, Equivalent, ""},
		{"more", head + "abc", same + "abcd", false, Uncompared, ""},
		{"whole", head + "abc", same + "abcdefghij", false, Uncompared, ""},
		{"less", head + "abc", same + "ab", false, Different, "end: cut short after 2 bytes of the body, production sent 3"},
		{"less, cut", head + "abc", same + "ab", true, Uncompared, ""},
		{"another", head + "abc", same + "aXcd", true, Different, `body at byte 1: production "abc", application "aXcd", cut short`},
		{"another status", head + "abc", "HTTP/1.1 404 No\r\nContent-Length: 10\r\n\r\nabc", true, Different, "status: 200 → 404"},
		{"in the head", head[:20], same, false, Uncompared, ""},
		{"the application's is no head", head + "abc", "HTTP/1.1 200 OK\r\nSet-Cookie: a", false, Different,
			`at byte 17: production "TTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", application "TTP/1.1 200 OK\r\nSet-Cookie: *", cut short`},
		{"as far, large", largeHead + large, largeSame + large, false, Equivalent, ""},
		{"more, large", largeHead + large, largeSame + large + "y", false, Uncompared, ""},
		{"less, large", largeHead + large, largeSame + large[1:], false, Different, "end: cut short after 131071 bytes of the body, production sent 131072"},
		{"another, large", largeHead + large, largeSame + large[:70_000] + "y" + large[70_001:] + large, true, Different,
			"body at or after byte 65536 and before 131072: production sent 131155 bytes, the application 262229, cut short"},
	} {
		x := Exchange{Part: true, Cut: tt.cut, Production: httpAnswer(tt.production, false), Application: httpAnswer(tt.application, false)}
		got := x.Judge(Question{HTTP: true}, nil)
		text := ""
		if got.First() != nil {
			text = got.First().String()
		}
		if got.Verdict != tt.want || text != tt.difference {
			t.Errorf("%s: %v, %s\nwant %v, %s", tt.name, got.Verdict, text, tt.want, tt.difference)
		}
	}
}
