package compare

import (
	"fmt"
	"strings"
	"testing"
)

// apiAnswer is an answer as API servers send it, of some size.
func apiAnswer(b *testing.B, date, coding string, size int) string {
	body := encode(b, coding, strings.Repeat(`{"id":17,"name":"The quick brown fox","price":12.50},`, size/53), 6)
	if coding != "" {
		coding = "Content-Encoding: " + coding + "\r\n"
	}
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nServer: nginx/1.26.0\r\nDate: %s\r\nContent-Type: application/json; charset=utf-8\r\n"+
		"%sContent-Length: %d\r\nConnection: keep-alive\r\nVary: Accept-Encoding\r\nCache-Control: private, max-age=0\r\n"+
		"X-Frame-Options: DENY\r\nX-Content-Type-Options: nosniff\r\n\r\n%s", date, coding, len(body), body)
}

// BenchmarkHTTP is the everyday case, answers that differ in nothing but their
// Date, as MB/s of one side; what is added and reset is in it.
func BenchmarkHTTP(b *testing.B) {
	for _, bb := range []struct {
		name, coding string
		size         int
	}{{"2K", "", 2 << 10}, {"50K", "", 50 << 10}, {"gzip/2K", "gzip", 2 << 10}, {"gzip/50K", "gzip", 50 << 10}, {"1M", "", 1 << 20}} {
		b.Run(bb.name, func(b *testing.B) {
			x := []byte(apiAnswer(b, "Mon, 01 Jan 2024 00:00:00 GMT", bb.coding, bb.size))
			y := []byte(apiAnswer(b, "Mon, 01 Jan 2024 00:00:01 GMT", bb.coding, bb.size))
			p, a := Answer{HTTP: true}, Answer{HTTP: true}
			b.SetBytes(int64(len(x)))
			b.ReportAllocs()
			for b.Loop() {
				p.Reset()
				a.Reset()
				p.Add(x)
				a.Add(y)
				p.Complete, a.Complete = true, true
				if r := Answers(&p, &a, Question{HTTP: true, Method: "GET"}, nil); len(r.Differences) != 1 {
					b.Fatal(told(r))
				}
			}
		})
	}
}

// BenchmarkDecode compares bodies that were compressed otherwise, as MB/s of
// one side's content.
func BenchmarkDecode(b *testing.B) {
	var records strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&records, `{"id":%d,"name":"The quick brown fox","price":%d.50},`, i*i*7919, i*31%97)
	}
	text := records.String()
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		b.Run(coding, func(b *testing.B) {
			p, a := httpAnswer(coded(b, coding, text, 1), true), httpAnswer(coded(b, coding, text, 9), true)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if r := judged(p, a, Question{HTTP: true, Method: "GET"}, nil); r.Verdict != Equivalent {
					b.Fatal(told(r))
				}
			}
		})
	}
}

// BenchmarkLarge is what it costs to add an answer of 1 GiB that is not kept.
func BenchmarkLarge(b *testing.B) {
	const size = 1 << 30
	var p [64 << 10]byte
	for _, chunked := range []bool{false, true} {
		head, piece := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size), p[:]
		if chunked {
			head, piece = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", []byte(fmt.Sprintf("%x\r\n%s\r\n", len(p), p[:]))
		}
		b.Run(fmt.Sprintf("chunked=%v", chunked), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				a := httpAnswer(head, true)
				for range size / len(p) {
					a.Add(piece)
				}
				if a.large.body.len != size {
					b.Fatal("body is not known")
				}
				a.Reset()
			}
		})
	}
}
