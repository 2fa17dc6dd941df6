package findings

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tcpsandbox/compare"
)

// httpAnswer is a whole answer with this body.
func httpAnswer(head, body string) *compare.Answer {
	a := &compare.Answer{HTTP: true, Keep: compare.MaxHead}
	a.Add(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", head, len(body), body))
	a.Complete = true
	return a
}

func exchangeOf(production, application *compare.Answer) *compare.Exchange {
	return &compare.Exchange{
		Session: 1, Client: netip.MustParseAddrPort("192.0.2.1:5000"), Request: "GET /items/17 HTTP/1.1", HTTP: true, First: true,
		Production: production, Application: application, At: time.Unix(1, 0),
		ProductionTimes:  compare.Times{First: time.Millisecond, Whole: time.Millisecond},
		ApplicationTimes: compare.Times{First: time.Millisecond, Whole: time.Millisecond},
	}
}

// items is JSON of some size, all of whose elements have this time.
func items(size int, at string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"at":%q,"items":[`, at)
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, `{"id":%d,"name":"thing %d","price":%d.5},`, i, i, i)
	}
	return strings.TrimSuffix(b.String(), ",") + "]}"
}

// page is HTML of some size with a token in it.
func page(size int, token string) string {
	return `<html><form><input name="csrf" value="` + token + `"></form>` + "\n" +
		strings.Repeat("<p class=\"item\">Something that is for sale, name: thing, for 12.50</p>\n", size/70) + "</html>\n"
}

// BenchmarkAnswers is what judging one answer costs: the player has no time for
// anything else meanwhile.
func BenchmarkAnswers(b *testing.B) {
	for _, size := range []int{2 << 10, 50 << 10} {
		json, html := items(size, "2026-01-01T00:00:00Z"), page(size, "aaaa1111bbbb2222")
		const asJSON, asHTML = "Content-Type: application/json\r\n", "Content-Type: text/html\r\n"
		date := func(s string) string { return "Date: Thu, 01 Jan 2026 00:00:0" + s + " GMT\r\n" }
		for _, c := range []struct{ name, ph, p, ah, a string }{
			{"identical", asJSON, json, asJSON, json},
			{"date", asJSON + date("1"), json, asJSON + date("2"), json},
			{"json-time", asJSON, json, asJSON, items(size, "2026-01-01T00:00:01Z")},
			{"html-token", asHTML, html, asHTML, page(size, "cccc3333dddd4444")},
		} {
			b.Run(fmt.Sprintf("%s/%dKB", c.name, size>>10), func(b *testing.B) {
				r := New(Config{Rules: compare.Default()})
				x := exchangeOf(httpAnswer(c.ph, c.p), httpAnswer(c.ah, c.a))
				x.Told = []int{r.Judge(x).Finding} // a session's later answers
				b.ReportAllocs()
				for b.Loop() {
					r.Judge(x)
				}
			})
		}
	}
}

func gzipped(body string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(body))
	w.Close()
	return b.String()
}

// BenchmarkWorst is the longest that one answer takes, which is what a paced
// run may be late by: each is the first of its kind, so that an example is made.
func BenchmarkWorst(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	numbers := func(n int, key string) string {
		var s strings.Builder
		s.WriteString(`{"` + key + `":[`)
		for range n {
			fmt.Fprintf(&s, "%d,", rng.Int64())
		}
		return s.String() + "1]}"
	}
	objects := func(size int) string {
		var s strings.Builder
		s.WriteByte('[')
		for s.Len() < size {
			fmt.Fprintf(&s, `{"k%d":%d,"v":"%x"},`, rng.IntN(1000), rng.Int(), rng.Int64())
		}
		return s.String() + "1]"
	}
	lines := func(n int) string {
		var s strings.Builder
		for range n {
			fmt.Fprintf(&s, "%x %x %x %x\n", rng.Int64(), rng.Int64(), rng.Int64(), rng.Int64())
		}
		return s.String()
	}
	const asJSON, asHTML, asGzip = "Content-Type: application/json\r\n", "Content-Type: text/html\r\n", "Content-Encoding: gzip\r\n"
	long := strings.Repeat("k", 500<<10)
	secret := func(c string) string { return strings.Repeat(`cookie="`+c+`" `, 1000<<10/12) }
	for _, c := range []struct{ name, head, p, a string }{
		{"json-1MB-numbers", asJSON, numbers(50_000, "n"), numbers(50_000, "n")},
		{"json-1MB-objects", asJSON, objects(1000 << 10), objects(1000 << 10)},
		{"json-long-key", asJSON, numbers(25_000, long), numbers(25_000, long)},
		{"json-gzip-4MB", asJSON + asGzip, gzipped(items(4000<<10, "1")), gzipped(items(4000<<10, "2"))},
		{"json-gzip-4MB-all", asJSON + asGzip, gzipped(`["` + strings.Repeat(`a","`, 900<<10) + `"]`), gzipped(`["` + strings.Repeat(`b","`, 900<<10) + `"]`)},
		{"gzip-bomb", asHTML + asGzip, gzipped(strings.Repeat("a", 60<<20)), gzipped(strings.Repeat("a", 30<<20) + "b")},
		{"lines-2000", asHTML, lines(2000), lines(2000)},
		{"lines-15000", asHTML, lines(15000), lines(15000)},
		{"lines-short-500000", asHTML, strings.Repeat("a\n", 500_000), strings.Repeat("b\n", 500_000)},
		{"one-line-1MB", asHTML, strings.Repeat("a ", 500_000), strings.Repeat("b ", 500_000)},
		{"form-1MB", "Content-Type: application/x-www-form-urlencoded\r\n", strings.Repeat("a=1&", 250_000), strings.Repeat("a=2&", 250_000)},
		{"secrets", asHTML, secret("a"), secret("b")},
		{"secrets-open", asHTML, strings.Repeat(`<cookie `, 120_000) + "a", strings.Repeat(`<cookie `, 120_000) + "b"},
		{"secrets-json", asJSON, `["` + strings.Repeat(`cookie=1&`, 110_000) + `a"]`, `["` + strings.Repeat(`cookie=1&`, 110_000) + `b"]`},
		{"secrets-lines", asHTML, strings.Repeat("set-cookie: abcd1\nx1 ", 40_000), strings.Repeat("set-cookie: bcde1\nx2 ", 40_000)},
		{"urls", asHTML, strings.Repeat("http://a:b", 100_000), strings.Repeat("http://a:c", 100_000)},
		{"fields", strings.Repeat("X: 1\r\n", 1000), "a", "b"},
	} {
		b.Run(c.name, func(b *testing.B) {
			x := exchangeOf(httpAnswer(c.head, c.p), httpAnswer(c.head, c.a))
			b.ReportAllocs()
			for b.Loop() {
				r := New(Config{Rules: compare.Default()})
				r.Judge(x)
			}
		})
	}
}
