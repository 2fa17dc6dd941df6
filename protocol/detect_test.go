package protocol

import (
	"strings"
	"testing"
)

func TestDetect(t *testing.T) {
	long := "GET /" + strings.Repeat("a", detectLimit)
	for _, tt := range []struct{ first, want string }{
		{"", ""},
		{"\r", ""},
		{"\r\n", ""},
		{"G", ""},
		{"GET / HTTP/1.1\r", ""},
		{"GET / HTTP/1.1\r\n", "http1"},
		{"\r\n\nGET / HTTP/1.0\n", "http1"},
		{"VERSION-CONTROL /a HTTP/1.1\r\nHost: a\r\n", "http1"},
		{"OPTIONS * HTTP/1.1\r\n", "http1"},
		{"GET http://a/ HTTP/1.1\r\n", "http1"},
		{"CONNECT a:443 HTTP/1.1\r\n", "http1"},
		{long[:detectLimit], ""},
		{long, "raw"},
		{long + " HTTP/1.1\r\n", "http1"}, // the whole line is here: no need to guess
		{"GET /\r\n", "raw"},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "raw"},
		{"OPTIONS rtsp://a/ RTSP/1.0\r\n", "raw"},
		{"INVITE sip:a@b SIP/2.0\r\n", "raw"},
		{"EHLO a\r\n", "raw"},
		{"SSH-2.0-OpenSSH_9.6\r\n", "raw"},
		{"*1\r\n$4\r\nPING\r\n", "raw"},
		{"\x16\x03\x01", "raw"},
		{"\x00\x00\x00\x08\x04\xd2\x16\x2f", "raw"},
		{"\rGET / HTTP/1.1\r\n", "raw"},
		{" GET / HTTP/1.1\r\n", "raw"},
	} {
		got := ""
		if f, decided := Detect([]byte(tt.first)); decided != (f != nil) {
			t.Errorf("Detect(%.40q): framer %v, decided %v", tt.first, f, decided)
		} else if decided {
			got = f.Name()
		}
		if got != tt.want {
			t.Errorf("Detect(%.40q) = %q, want %q", tt.first, got, tt.want)
		}
	}
}

// What is decided for some bytes stays decided when more come.
func FuzzDetect(f *testing.F) {
	for _, s := range []string{get, "\r\n" + get, "PRI * HTTP/2.0\r\n\r\n", "EHLO a\r\n", "\x16\x03"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, first []byte) {
		if len(first) > detectLimit {
			return
		}
		var was string
		for n := range len(first) + 1 {
			framer, decided := Detect(first[:n])
			switch {
			case decided != (framer != nil):
				t.Fatalf("%q: framer %v, decided %v", first[:n], framer, decided)
			case !decided && was != "":
				t.Fatalf("%q: no longer decided", first[:n])
			case decided && was != "" && framer.Name() != was:
				t.Fatalf("%q: %s, was %s", first[:n], framer.Name(), was)
			case decided:
				was = framer.Name()
			}
		}
	})
}

func TestRaw(t *testing.T) {
	f := NewRaw()
	for s := range streams {
		if n, m := f.Feed(s, []byte(get)); n != len(get) || m != More {
			t.Errorf("Feed = %d, %d", n, m)
		}
		if f.InSync(s) || f.Open(s) || f.Close(s) != More {
			t.Errorf("stream %d: raw claims to know something", s)
		}
	}
	if got := f.Start([]byte(get)); got != -1 {
		t.Errorf("Start = %d", got)
	}
}

func TestStart(t *testing.T) {
	for _, tt := range []struct {
		name, p string // '|' stands where the message starts; without one: nowhere
	}{
		{"at the beginning", "|" + get},
		{"line end at the end", "|GET / HTTP/1.1\r\n"},
		{"bare line feed", "|GET / HTTP/1.1\nHost: a\n"},
		{"after a line", "tail of a body\r\n|" + get},
		{"after an empty line", "\r\n|" + get},
		{"behind a body without line end", `{"a":1}|` + get},
		{"behind binary", "\x00\xffPOS\x80|POST /a HTTP/1.1\r\n"},
		{"behind lower case", "a=b&c=d|" + get},
		{"behind digits", "0123|" + get},
		{"the first of two", "x|" + get + get},
		{"long before short", "|PROPPATCH /a HTTP/1.1\r\n"},
		{"unlock", "|UNLOCK /a HTTP/1.1\r\n"},
		{"url", "|GET http://a/b HTTP/1.0\r\n"},
		{"server", "|OPTIONS * HTTP/1.1\r\n"},
		{"connect", "|CONNECT a:443 HTTP/1.1\r\n"},
		{"half a field name", "|GET / HTTP/1.1\r\nHos"},
		{"a false one first", "GET of HTTP/1.1\r\nbla|" + get},
		{"line not whole", "GET / HTTP/1.1"},
		{"version not whole", "GET / HTTP/1."},
		{"line end not whole", "GET / HTTP/1.1\r"},
		{"part of a word", "FORGET / HTTP/1.1\r\n"},
		{"another method", "FETCH / HTTP/1.1\r\n"},
		{"log line", `1.2.3.4 - - "GET / HTTP/1.1" 200 17` + "\r\n"},
		{"answer", "HTTP/1.1 200 OK\r\n"},
		{"prose behind", "GET / HTTP/1.1\r\nis what a client sends"},
		{"prose before", "a GET of HTTP/1.1\r\n"},
		{"no target", "GET  HTTP/1.1\r\n"},
		{"star without options", "GET * HTTP/1.1\r\n"},
		{"connect to a path", "CONNECT /a HTTP/1.1\r\n"},
		{"control in target", "GET /a\tb HTTP/1.1\r\n"},
		{"another version", "PRI * HTTP/2.0\r\n\r\n"},
		{"nothing", ""},
		{"version alone", " HTTP/1.1\r\n"},
		{"target too long", "GET /" + strings.Repeat("a", targetLimit) + " HTTP/1.1\r\n"},
	} {
		p, want := strings.Replace(tt.p, "|", "", 1), strings.Index(tt.p, "|")
		if got := NewHTTP1().Start([]byte(p)); got != want {
			t.Errorf("%s: Start = %d, want %d", tt.name, got, want)
		}
	}
}

func FuzzStart(f *testing.F) {
	f.Add([]byte("tail" + get))
	f.Add([]byte("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello" + get))
	f.Fuzz(func(t *testing.T, p []byte) {
		framer := NewHTTP1()
		start := framer.Start(p)
		if start < -1 || start >= len(p) {
			t.Fatalf("Start = %d of %d", start, len(p))
		}
		if start < 0 {
			return
		}
		if d, decided := Detect(p[start:]); !decided || d.Name() != "http1" {
			t.Fatalf("Start = %d, where Detect sees no request", start)
		}
		line := strings.IndexByte(string(p[start:]), '\n') + 1
		feed(t, framer, Requests, string(p[start:start+line]), 1<<20)
		if !framer.InSync(Requests) {
			t.Fatalf("Start = %d, where Feed loses sync", start)
		}
	})
}

func BenchmarkStart(b *testing.B) {
	p := []byte(strings.Repeat("some text of an upload that goes on, ", 2000))
	f := NewHTTP1()
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		f.Start(p)
	}
}
