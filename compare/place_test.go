package compare

import (
	"fmt"
	"strings"
	"testing"
)

// What names places comes from the network: it is cut, and where it was cut
// nobody knows whether it was secret.
func TestNamesAreCut(t *testing.T) {
	long := strings.Repeat("kä", 10_000)
	deep := strings.Repeat(`{"below":`, 900) + "1" + strings.Repeat("}", 900)
	field := func(name string) string { return "HTTP/1.1 200 OK\r\n" + name + "\r\nContent-Length: 1\r\n\r\na" }
	jsonAnswer := func(body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	for _, tt := range []struct{ what, production, application string }{
		{"key", jsonAnswer(`{"` + long + `":{"a":[1,"b"]}}`), jsonAnswer(`{"` + long + `":{"a":[2,"c"]}}`)},
		{"escaped key", jsonAnswer(`{"` + strings.Repeat(`\\\u0041`, 3000) + `":1}`), jsonAnswer(`{"` + strings.Repeat(`\\\u0041`, 3000) + `":2}`)},
		{"depth", jsonAnswer(deep), jsonAnswer(strings.Replace(deep, "1", "2", 1))},
		{"header", field(long + ": 1"), field(long + ": 2")},
		{"cookie", field("Set-Cookie: " + long + "=1"), field("Set-Cookie: other=1")},
	} {
		r := Answers(httpAnswer(tt.production, true), httpAnswer(tt.application, true), Question{HTTP: true, Method: "GET"}, nil)
		if r.Verdict != Different {
			t.Fatalf("%s: %v", tt.what, r.Verdict)
		}
		d := r.Differences[0]
		if n := len(d.Place.Name); n > nameLimit || n < nameLimit/2 || len(d.Path) > nameLimit || !strings.HasSuffix(d.Place.Name, nameCut) {
			t.Errorf("%s: name of %d bytes, path of %d", tt.what, n, len(d.Path))
		}
		NewSecrets().Hide(&d)
		if p := string(d.Production); p != hidden && p != "" {
			t.Errorf("%s: shows %q", tt.what, p)
		}
	}
	if name := strings.Repeat("a", nameLimit); shortName(name) != name || shortName(shortName(name+"a")) != shortName(name+"a") {
		t.Error("a name that is short enough was cut")
	}
}
