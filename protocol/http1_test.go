package protocol

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// met is a mark and the offset in its stream behind which it was met.
type met struct {
	At   int
	Mark Mark
}

// feed gives a stream to the framer in pieces of at most size bytes and
// returns what it met.
func feed(t testing.TB, f Framer, s Stream, stream string, size int) (all []met) {
	t.Helper()
	p := make([]byte, 0, size)
	for at := 0; at < len(stream); {
		p = append(p[:0], stream[at:min(at+size, len(stream))]...)
		n, m := f.Feed(s, p)
		if n < 1 || n > len(p) || m == More && n != len(p) {
			t.Fatalf("Feed(%d bytes) = %d, %d", len(p), n, m)
		}
		at += n
		if m != More {
			all = append(all, met{at, m})
		}
		clear(p[:cap(p)]) // it may keep no reference
	}
	return all
}

// expect returns a stream without its bars, and what the framer should meet:
// End at each '|' and Interim at each '!'.
func expect(marked string) (stream string, want []met) {
	var b strings.Builder
	for _, c := range []byte(marked) {
		switch c {
		case '|':
			want = append(want, met{b.Len(), End})
		case '!':
			want = append(want, met{b.Len(), Interim})
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), want
}

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

var requestTests = []struct {
	name, stream string // '|' stands behind each message
	lost, open   bool
}{
	{name: "nothing"},
	{name: "get", stream: get + "|"},
	{name: "pipelined", stream: get + "|" + get + "|" + get + "|"},
	{name: "bare line feeds", stream: "GET / HTTP/1.1\nHost: a\n\n|GET /b HTTP/1.0\n\n|"},
	{name: "empty lines before", stream: "\r\n\r\n\n" + get + "|\r\n" + get + "|"},
	{name: "empty line behind is outside", stream: get + "|\r\n"},
	{name: "half an empty line is outside", stream: get + "|\r"},
	{name: "half a method", stream: "GE", open: true},
	{name: "half a head", stream: "GET / HTTP/1.1\r\nHost", open: true},
	{name: "length", stream: "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello|" + get + "|"},
	{name: "length in any case", stream: "POST / HTTP/1.1\r\ncONTENT-lENGTH:5  \r\n\r\nhello|" + get + "|"},
	{name: "length nought", stream: "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n|" + get + "|"},
	{name: "body incomplete", stream: "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhell", open: true},
	{name: "expect", stream: "PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi|"},
	{name: "get with body", stream: "GET / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi|"},
	{name: "equal lengths", stream: "POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2, 2\r\n\r\nhi|"},
	{name: "folded length", stream: "POST / HTTP/1.1\r\nContent-Length:\r\n  2\r\nA: b\r\n\tc\r\n\r\nhi|"},
	{name: "different lengths", stream: "POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi", lost: true},
	{name: "length of letters", stream: "POST / HTTP/1.1\r\nContent-Length: two\r\n\r\nhi", lost: true},
	{name: "signed length", stream: "POST / HTTP/1.1\r\nContent-Length: +2\r\n\r\nhi", lost: true},
	{name: "empty length", stream: "POST / HTTP/1.1\r\nContent-Length:\r\n\r\nhi", lost: true},
	{name: "length over 63 bits", stream: "POST / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\nhi", lost: true},
	{name: "length of 63 bits", stream: "POST / HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\nhi", open: true},
	{name: "space before colon", stream: "POST / HTTP/1.1\r\nContent-Length : 2\r\n\r\nhi", lost: true},
	{name: "space before another colon", stream: "GET / HTTP/1.1\r\nX : 2\r\n\r\n|"},
	{name: "no colon", stream: "GET / HTTP/1.1\r\nnonsense\r\n\r\n|"},
	{name: "chunked", stream: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n|" + get + "|"},
	{name: "chunk sizes in hexadecimal", stream: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0F\r\n" + strings.Repeat("x", 15) + "\r\n1a\r\n" + strings.Repeat("x", 26) + "\r\nf\r\n" + strings.Repeat("x", 15) + "\r\n0\r\n\r\n|"},
	{name: "chunk extensions", stream: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b;c=\"d\"\r\nabc\r\n0;x\r\n\r\n|"},
	{name: "trailers", stream: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n000\r\nA: b\r\nContent-Length: 9\r\n\r\n|" + get + "|"},
	{name: "chunked with bare line feeds", stream: "POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n|"},
	{name: "chunked wins over length", stream: "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n|"},
	{name: "gzip, chunked", stream: "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n|"},
	{name: "identity", stream: "POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi|"},
	{name: "chunked, gzip", stream: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", lost: true},
	{name: "chunked twice", stream: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", lost: true},
	{name: "chunked in 1.0", stream: "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", lost: true},
	{name: "chunk size over 63 bits", stream: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\n", lost: true},
	{name: "chunk size of 63 bits", stream: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n07fffffffffffffff\r\n", open: true},
	{name: "chunk size of letters", stream: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", lost: true},
	{name: "no chunk size", stream: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n;a\r\n", lost: true},
	{name: "chunk too long", stream: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", lost: true},
	{name: "half of a chunk too long", stream: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcde", lost: true},
	{name: "chunk line too long", stream: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;" + strings.Repeat("x", chunkLineLimit), lost: true},
	{name: "chunk lines do not add up", stream: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1;"+strings.Repeat("x", 1000)+"\r\na\r\n", 100) + "0\r\n\r\n|"},
	{name: "head at the limit", stream: padded(headLimit) + "|" + padded(headLimit) + "|"},
	{name: "head over the limit", stream: padded(headLimit + 1), lost: true},
	{name: "endless line", stream: "GET /" + strings.Repeat("a", headLimit), lost: true},
	{name: "endless trailers", stream: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("a: b\r\n", headLimit/6+1), lost: true},
	{name: "http/2", stream: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", lost: true},
	{name: "http/0.9", stream: "GET /\r\n", lost: true},
	{name: "no target", stream: "GET  HTTP/1.1\r\n", lost: true},
	{name: "no method", stream: " / HTTP/1.1\r\n", lost: true},
	{name: "any method", stream: "M-SEARCH * HTTP/1.1\r\n\r\n|"},
	{name: "a word without end", stream: strings.Repeat("A", methodLimit+1), lost: true},
	{name: "tls", stream: "\x16\x03\x01", lost: true},
	{name: "websocket frame", stream: get + "|\x81\x85\x01\x02\x03\x04abcde", lost: true},
}

// padded returns a request whose head is size bytes.
func padded(size int) string {
	const head, tail = "GET / HTTP/1.1\r\nA: ", "\r\n\r\n"
	return head + strings.Repeat("a", size-len(head)-len(tail)) + tail
}

func TestRequests(t *testing.T) {
	for _, tt := range requestTests {
		t.Run(tt.name, func(t *testing.T) {
			stream, want := expect(tt.stream)
			for _, size := range []int{1 << 20, 1, 2, 3, 7} {
				f := NewHTTP1()
				got := feed(t, f, Requests, stream, size)
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("in pieces of %d (-want +got):\n%s", size, d)
				}
				if f.InSync(Requests) == tt.lost || f.Open(Requests) != tt.open {
					t.Errorf("in pieces of %d: in sync %v, open %v; want %v, %v", size, f.InSync(Requests), f.Open(Requests), !tt.lost, tt.open)
				}
			}
		})
	}
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

func heads(n int) string { return strings.Repeat("HEAD / HTTP/1.1\r\n\r\n", n) }

var answerTests = []struct {
	name, requests, stream string // '|' stands behind each message, '!' behind interim ones
	lost, open, closes     bool
}{
	{name: "nothing"},
	{name: "length", requests: get, stream: ok + "|"},
	{name: "pipelined", requests: get + get, stream: ok + "|" + ok + "|"},
	{name: "nobody asked", stream: "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n|" + ok + "|"},
	{name: "empty", requests: get, stream: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n|"},
	{name: "head", requests: heads(1) + get, stream: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n|" + ok + "|"},
	{name: "head, chunked", requests: heads(1) + get, stream: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n|" + ok + "|"},
	{name: "get, head, get", requests: get + heads(1) + get, stream: ok + "|HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n|" + ok + "|"},
	{name: "no content", requests: get + get, stream: "HTTP/1.1 204 No\r\n\r\n|HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n|"},
	{name: "continue", requests: "PUT / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", stream: "HTTP/1.1 100 Continue\r\n\r\n!" + ok + "|"},
	{name: "early hints before head", requests: heads(1), stream: "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n!HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n|"},
	{name: "continue before the body", requests: "HEAD / HTTP/1.1\r\nContent-Length: 1\r\n\r\n", stream: "HTTP/1.1 100 Continue\r\n\r\n!HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n|"},
	{name: "chunked", requests: get, stream: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n\r\n|" + ok + "|"},
	{name: "until close", requests: get, stream: "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK", open: true, closes: true},
	{name: "until close, 1.0", requests: get, stream: "HTTP/1.0 200 OK\r\n\r\n", open: true, closes: true},
	{name: "last coding not chunked", requests: get, stream: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhi", open: true, closes: true},
	{name: "length in 1.0", requests: get, stream: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi|"},
	{name: "cut", requests: get, stream: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", open: true},
	{name: "upgrade", requests: get, stream: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: tcp\r\n\r\n|HTTP/1.1 200 OK\r\n\r\n", lost: true},
	{name: "upgrade refused", requests: get, stream: ok + "|" + ok + "|"},
	{name: "connect", requests: "CONNECT a:1 HTTP/1.1\r\n\r\n", stream: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n|\x16\x03", lost: true},
	{name: "connect refused", requests: "CONNECT a:1 HTTP/1.1\r\n\r\n" + get, stream: "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno|" + ok + "|"},
	{name: "different lengths", requests: get, stream: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi", lost: true},
	{name: "different lengths of no body", requests: heads(1), stream: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n|"},
	{name: "chunked in 1.0", requests: get, stream: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", lost: true},
	{name: "spaces before the status", requests: get, stream: "HTTP/1.1  204\r\n\r\n|"},
	{name: "status of letters", requests: get, stream: "HTTP/1.1 2xx OK\r\n\r\n", lost: true},
	{name: "status of four digits", requests: get, stream: "HTTP/1.1 2000 OK\r\n\r\n", lost: true},
	{name: "another version", requests: get, stream: "HTTP/2 200 OK\r\n", lost: true},
	{name: "another protocol", requests: get, stream: "220 ready", lost: true},
}

func TestAnswers(t *testing.T) {
	for _, tt := range answerTests {
		t.Run(tt.name, func(t *testing.T) {
			stream, want := expect(tt.stream)
			for _, size := range []int{1 << 20, 1, 2, 3, 7} {
				for _, s := range []Stream{Production, Application} {
					f := NewHTTP1()
					feed(t, f, Requests, tt.requests, 1<<20)
					got := feed(t, f, s, stream, size)
					if d := cmp.Diff(want, got); d != "" {
						t.Errorf("stream %d in pieces of %d (-want +got):\n%s", s, size, d)
					}
					if f.InSync(s) == tt.lost || f.Open(s) != tt.open {
						t.Errorf("stream %d in pieces of %d: in sync %v, open %v; want %v, %v", s, size, f.InSync(s), f.Open(s), !tt.lost, tt.open)
					}
					m := f.Close(s)
					if (m == End) != tt.closes || tt.closes && f.Open(s) {
						t.Errorf("stream %d: Close = %d, open %v; want end %v", s, m, f.Open(s), tt.closes)
					}
					if n, m := f.Feed(s, []byte(ok)); n != len(ok) || m != More || f.Close(s) != More {
						t.Errorf("stream %d: Feed after Close = %d, %d", s, n, m)
					}
				}
			}
		})
	}
}

// Each stream of answers has its own place in the queue of requests.
func TestAnswersOfTwoSides(t *testing.T) {
	f := NewHTTP1()
	feed(t, f, Requests, get+heads(1)+get, 1<<20)
	headAnswer := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
	all := ok + headAnswer + ok
	want := []met{{len(ok), End}, {len(ok + headAnswer), End}, {len(all), End}}
	for _, s := range []Stream{Production, Application} {
		if d := cmp.Diff(want, feed(t, f, s, all, 1<<20)); d != "" {
			t.Errorf("stream %d (-want +got):\n%s", s, d)
		}
	}
	if h := f.(*http1); len(h.exceptions) != 0 {
		t.Errorf("%d exceptions are left", len(h.exceptions))
	}
}

// The requests follow production into a tunnel, not the application.
func TestTunnel(t *testing.T) {
	const switching = "HTTP/1.1 101 Switching Protocols\r\n\r\n"
	const refused = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
	for _, tt := range []struct {
		name, request, production, application string
		inSync                                 [streams]bool
	}{
		{"both", get, switching, switching, [streams]bool{}},
		{"production alone", get, switching, refused, [streams]bool{Application: true}},
		{"application alone", get, refused, switching, [streams]bool{Requests: true, Production: true}},
		{"connect", "CONNECT a:1 HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n", [streams]bool{Application: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := NewHTTP1()
			feed(t, f, Requests, tt.request, 1<<20)
			feed(t, f, Production, tt.production, 1<<20)
			feed(t, f, Application, tt.application, 1<<20)
			for s := range streams {
				if f.InSync(s) != tt.inSync[s] {
					t.Errorf("stream %d: in sync %v", s, f.InSync(s))
				}
			}
			// What looks like a request inside the tunnel is none.
			if got := feed(t, f, Requests, get, 5); (len(got) > 0) != tt.inSync[Requests] {
				t.Errorf("behind it: %v", got)
			}
		})
	}
}

// A side that was not captured must not make the session grow.
func TestAnswersNeverCome(t *testing.T) {
	f := NewHTTP1()
	feed(t, f, Requests, get, 1<<20)
	feed(t, f, Application, ok, 1<<20)
	for range 3 * exceptionLimit {
		feed(t, f, Requests, heads(1), 1<<20)
		if got := feed(t, f, Application, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", 1<<20); len(got) != 1 {
			t.Fatal("the answer to a HEAD did not end")
		}
	}
	if h := f.(*http1); len(h.exceptions) > exceptionLimit {
		t.Errorf("%d exceptions are kept", len(h.exceptions))
	}
	if f.InSync(Production) || !f.InSync(Application) {
		t.Errorf("in sync: production %v, application %v", f.InSync(Production), f.InSync(Application))
	}
}

func TestIdleMemory(t *testing.T) {
	f := NewHTTP1().(*http1)
	feed(t, f, Requests, padded(20000), 1000)
	if c := cap(f.lanes[Requests].line); c > keepLimit {
		t.Errorf("%d bytes are kept between messages", c)
	}
}

func BenchmarkHTTP1(b *testing.B) {
	request := []byte("GET /cart?id=17 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n")
	answer := []byte("HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 512\r\n\r\n" + strings.Repeat("x", 512))
	f := NewHTTP1()
	b.ReportAllocs()
	for b.Loop() {
		_, a := f.Feed(Requests, request)
		_, c := f.Feed(Production, answer)
		_, d := f.Feed(Application, answer)
		if a != End || c != End || d != End {
			b.Fatal("no end")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(3*b.N), "ns/message")
}

func BenchmarkBody(b *testing.B) {
	for _, size := range []int{1460, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			p := make([]byte, size)
			f := NewHTTP1()
			f.Feed(Requests, []byte("POST / HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\n"))
			b.SetBytes(int64(size))
			for b.Loop() {
				f.Feed(Requests, p)
			}
		})
	}
}
