package findings

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tcpsandbox/compare"
)

// sides of an answer.
const (
	production = iota
	oldVersion
	newVersion
)

// server is a hostile one: it makes the answer of a side to request i.
type server struct{ *rand.Rand }

func (s *server) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.Uint32())
	}
	return b
}

func (s *server) hex(n int) string    { return hex.EncodeToString(s.bytes(n)) }
func (s *server) base64(n int) string { return base64.StdEncoding.EncodeToString(s.bytes(n)) }

func (s *server) time() string {
	return time.Unix(1_800_000_000, s.Int64N(1e12)).UTC().Format(time.RFC3339Nano)
}

func (s *server) list(items ...string) string {
	s.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	return "[" + strings.Join(items, ",") + "]"
}

func (s *server) gzip(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Comment = s.hex(s.IntN(20)) // pads it, as a defence against BREACH does
	w.Write([]byte(text))
	w.Close()
	return b.String()
}

func answer(status int, body string, headers ...string) string {
	return fmt.Sprintf("HTTP/1.1 %d X\r\n%sContent-Length: %d\r\n\r\n%s", status, strings.Join(append(headers, ""), "\r\n"), len(body), body)
}

func json(format string, args ...any) string {
	return answer(200, fmt.Sprintf(format, args...), "Content-Type: application/json")
}

func html(format string, args ...any) string {
	return answer(200, fmt.Sprintf(format, args...), "Content-Type: text/html")
}

func text(format string, args ...any) string {
	return answer(200, fmt.Sprintf(format, args...), "Content-Type: text/plain")
}

// prices are a list in random order, with ids made anew, and more such lists in
// it.
func (s *server) prices(wrong bool) string {
	var items []string
	for k := range 8 {
		price := k * 10
		if wrong && k == 3 {
			price++
		}
		var parts []string
		for n := range 3 {
			parts = append(parts, fmt.Sprintf(`{"uid":%q,"n":%d}`, s.hex(8), n))
		}
		items = append(items, fmt.Sprintf(`{"id":%q,"price":%d,"parts":%s}`, s.hex(8), price, s.list(parts...)))
	}
	return json(`{"items":%s}`, s.list(items...))
}

// The old version's noise must neither be an alarm nor hide one.
func TestHostileServers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		n     int    // requests
		want  string // places of the first group; empty: no alarm
		serve func(s *server, side, i int) string
	}{
		{"no time any more", 50, "[$.at]", func(s *server, side, i int) string {
			if side == newVersion {
				return json(`{"a":1}`)
			}
			return json(`{"a":1,"at":%q}`, s.time())
		}},
		{"null for a time, in three answers", 3, "[$.at]", func(s *server, side, i int) string {
			if side == newVersion {
				return json(`{"at":null}`)
			}
			return json(`{"at":%q}`, s.time())
		}},
		{"a string for a counter", 50, "[$.n]", func(s *server, side, i int) string {
			if side == newVersion {
				return json(`{"n":"%d"}`, s.Int())
			}
			return json(`{"n":%d}`, s.Int())
		}},
		{"an empty token", 50, "[$.t]", func(s *server, side, i int) string {
			if side == newVersion {
				return json(`{"t":""}`)
			}
			return json(`{"t":%q}`, s.hex(16))
		}},
		{"no ETag", 50, "[header etag]", func(s *server, side, i int) string {
			if side == newVersion {
				return answer(200, "x")
			}
			return answer(200, "x", `ETag: "`+s.hex(8)+`"`)
		}},
		{"no HttpOnly beside a random Path", 50, "[cookie sid]", func(s *server, side, i int) string {
			cookie := "Set-Cookie: sid=" + s.hex(8) + "; Path=/" + s.hex(8)
			if side != newVersion {
				cookie += "; HttpOnly"
			}
			return answer(200, "x", cookie)
		}},
		{"an optional field", 50, "", func(s *server, side, i int) string {
			if s.IntN(30) == 0 {
				return json(`{"next":null}`)
			}
			return json(`{"next":%q}`, s.hex(8))
		}},
		{"forty optional fields", 200, "", func(s *server, side, i int) string {
			var members []string
			for k := range 40 {
				if s.IntN(40) < k {
					members = append(members, fmt.Sprintf(`"f%d":1`, k))
				}
			}
			return json(`{%s}`, strings.Join(members, ","))
		}},
		{"500 for 200 or 304", 50, "[status]", func(s *server, side, i int) string {
			switch {
			case side == newVersion:
				return answer(500, "")
			case s.IntN(2) == 0:
				return answer(304, "")
			}
			return answer(200, "")
		}},
		{"200 or 304", 50, "", func(s *server, side, i int) string {
			return answer([]int{200, 304}[s.IntN(2)], "")
		}},
		{"500 always for an eighth", 200, "[status]", func(s *server, side, i int) string {
			if side == newVersion || side == oldVersion && i%8 == 0 {
				return answer(500, "")
			}
			return answer(200, "")
		}},
		{"500 in a hundredth for a thousandth", 1000, "[status]", func(s *server, side, i int) string {
			if side == newVersion && i%100 == 0 || side == oldVersion && i == 500 {
				return answer(500, "")
			}
			return answer(200, "")
		}},
		{"500 in an eighth of both", 200, "", func(s *server, side, i int) string {
			if side != production && s.IntN(8) == 0 {
				return answer(500, "")
			}
			return answer(200, "")
		}},
		{"a token in lines of HTML", 100, "", func(s *server, side, i int) string {
			return html("<html>\n<form><input name=\"csrf\" value=\"%s\">\n<p>price 12.00</p></form></html>", s.hex(24))
		}},
		{"a price beside a time", 100, "[line 1 word 7]", func(s *server, side, i int) string {
			return html("<p>price 12.%02d at %s</p>", side/newVersion*50, s.time()[:19])
		}},
		{"lists in random order", 50, "", func(s *server, side, i int) string { return s.prices(false) }},
		{"a price in lists in random order", 50, "[$.items[*].price]", func(s *server, side, i int) string { return s.prices(side == newVersion) }},
		{"a list of random length", 100, "", func(s *server, side, i int) string {
			var items []string
			for k := range 3 + s.IntN(5) {
				items = append(items, fmt.Sprintf(`{"id":%d,"price":%d}`, k, k*10))
			}
			return json(`{"items":%s}`, s.list(items...))
		}},
		{"gzip with random padding", 50, "", func(s *server, side, i int) string {
			return answer(200, s.gzip("<p>12</p>"), "Content-Type: text/html", "Content-Encoding: gzip")
		}},
		{"a cookie that rotates", 50, "", func(s *server, side, i int) string {
			expires := time.Unix(1_800_000_000+s.Int64N(1e6), 0).UTC().Format(time.RFC1123)
			return answer(200, "x", "Set-Cookie: sid="+s.hex(8)+"; Expires="+expires+"; HttpOnly")
		}},
		{"cut beside a token", 50, "[line 1 end]", func(s *server, side, i int) string {
			a := json(`{"t":%q,"a":1}`, s.hex(16))
			if side == newVersion {
				return a[:len(a)-4]
			}
			return a
		}},
		{"a counter in text", 50, "", func(s *server, side, i int) string { return text("visits: %d", s.IntN(20000)) }},
		{"a list of text", 100, "", func(s *server, side, i int) string {
			var b strings.Builder
			for k := range 5 + s.IntN(10) {
				fmt.Fprintf(&b, "item %d %s\n", k, s.hex(4))
			}
			return text("%s", b.String())
		}},
		{"random bytes", 500, "", func(s *server, side, i int) string {
			return answer(200, "\x00\x01\x02"+string(s.bytes(32))+"\xff", "Content-Type: application/octet-stream")
		}},
		{"a byte beside random ones", 50, "[bytes 45-46]", func(s *server, side, i int) string {
			return answer(200, "\x00\x01\x02"+string(s.bytes(32))+"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"+string(rune('a'+side/newVersion))+"\xff", "Content-Type: application/octet-stream")
		}},
		{"random keys", 100, "", func(s *server, side, i int) string {
			return json(`{"sessions":{%q:{"n":1},%q:{"n":2}}}`, s.hex(8), s.hex(8))
		}},
		{"a token in HTML in one line", 500, "", func(s *server, side, i int) string {
			return html(`<html><input name="csrf" value="%s"><p>price 12.00</p></html>`, s.base64(24))
		}},
		{"a price behind a token in one line", 500, "[line 1 word 23]", func(s *server, side, i int) string {
			return html(`<html><input name="csrf" value="%s"><p>price 12.%d</p></html>`, s.base64(25), 10+side/newVersion)
		}},
		{"an empty list for one of random length", 50, "[$.items]", func(s *server, side, i int) string {
			items := []string{"1", "2", "3", "4", "5"}[:1+s.IntN(4)]
			if side == newVersion {
				items = nil
			}
			return json(`{"items":%s}`, s.list(items...))
		}},
	} {
		s := &server{rand.New(rand.NewPCG(1, 2))}
		r := New(Config{Rules: compare.Default()})
		for i := range tt.n {
			x := exchange("GET /x HTTP/1.1", tt.serve(s, production, i), tt.serve(s, oldVersion, i))
			x.HTTP = true
			r.Baseline(x)
			*x.Application = compare.Answer{}
			x.Application.Add([]byte(tt.serve(s, newVersion, i)))
			x.Application.Complete = true
			r.Judge(x)
		}
		sum := r.Summary()
		got, differ := "", int64(0)
		for _, g := range sum.Groups {
			differ += g.Answers
		}
		if len(sum.Groups) > 0 {
			got = fmt.Sprint(sum.Groups[0].Places)
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q; %d groups, noise %v", tt.name, got, tt.want, len(sum.Groups), sum.Noise)
		}
		if v := sum.Verdicts; differ != v[compare.Different]+v[compare.Missing] || v.sum() != int64(tt.n) || sum.Routes[0].Verdicts != v || sum.Series.Points[0].Verdicts != v {
			t.Errorf("%s: %d in groups, verdicts %v, of the route %v, in the series %v", tt.name, differ, v, sum.Routes[0].Verdicts, sum.Series.Points[0].Verdicts)
		}
	}
}
