package compare

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// encode compresses text in a content coding's own words, at a level of 1 to 9.
func encode(t testing.TB, coding, text string, level int) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch coding {
	case "":
		return text
	case "gzip", "x-gzip":
		w, err = gzip.NewWriterLevel(&b, level)
	case "deflate":
		w, err = zlib.NewWriterLevel(&b, level)
	case "deflate, raw":
		w, err = flate.NewWriter(&b, level)
	case "br":
		w = brotli.NewWriterLevel(&b, level)
	case "zstd":
		w, err = zstd.NewWriter(&b, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)))
	}
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// coded is an answer with a body in a content coding.
func coded(t testing.TB, coding, text string, level int) string {
	name, _, _ := strings.Cut(coding, ", raw")
	if name != "" {
		name = "Content-Encoding: " + name + "\r\n"
	}
	body := encode(t, coding, text, level)
	return fmt.Sprintf("HTTP/1.1 200 OK\r\n%s%sContent-Length: %d\r\n\r\n%s", name, binaryType, len(body), body)
}

func TestCodings(t *testing.T) {
	text := strings.Repeat("The quick brown fox. ", 500)
	other := strings.Replace(text, "quick", "quack", 1)
	codings := []string{"", "gzip", "x-gzip", "deflate", "deflate, raw", "br", "zstd"}
	for _, p := range codings {
		for _, a := range codings {
			ask := func(application string) Result {
				return Answers(httpAnswer(coded(t, p, text, 1), true), httpAnswer(coded(t, a, application, 9), true), Question{HTTP: true}, nil)
			}
			got := ask(text)
			if got.Verdict != Identical && (got.Verdict != Equivalent || got.Excused[0].Place.Name != "content coding") {
				t.Errorf("%s and %s: %v, %v", p, a, got.Verdict, told(got))
			}
			if got = ask(other); got.Verdict != Different || got.First().Offset != 6 {
				t.Errorf("%s and %s, a letter: %v, %v", p, a, got.Verdict, told(got))
			}
		}
	}
}

// A list of codings is undone from its end.
func TestCodingsInTurn(t *testing.T) {
	text := strings.Repeat("The quick brown fox. ", 500)
	twice := encode(t, "br", encode(t, "gzip", text, 1), 1)
	p := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Encoding: identity, br\r\nContent-Length: %d\r\n\r\n%s", len(twice), twice)
	a := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
	got := Answers(httpAnswer(p, true), httpAnswer(a, true), Question{HTTP: true}, nil)
	if d := cmp.Diff([]string{"~ content coding"}, told(got)); d != "" {
		t.Error(d)
	}
}

// What a server changes together with the coding, and what is no such thing.
func TestRecoded(t *testing.T) {
	text := strings.Repeat("The quick brown fox. ", 500)
	plain := func(fields string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", fields, len(text), text)
	}
	gzipped := func(fields string) string {
		body := encode(t, "gzip", text, 6)
		return fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", fields, len(body), body)
	}
	for _, tt := range []struct {
		name, production, application string
		want                          []string
	}{
		{"as nginx does", plain("ETag: \"a-1\"\r\nAccept-Ranges: bytes\r\nVary: Cookie\r\n"), gzipped("ETag: W/\"a-1\"\r\nVary: accept-encoding, cookie\r\n"),
			[]string{"~ content coding", "~ chunking"}},
		{"as Apache does", plain("ETag: \"a-1\"\r\n"), gzipped("ETag: \"a-1-gzip\"\r\nVary: Accept-Encoding\r\n"), []string{"~ content coding", "~ chunking"}},
		{"another tag", plain("ETag: \"a-1\"\r\n"), gzipped("ETag: W/\"a-2\"\r\n"), []string{`header etag: "\"a-1\"" → "W/\"a-2\""`, "~ chunking", "~ content coding"}},
		{"varies with more", plain(""), gzipped("Vary: Accept-Encoding, Cookie\r\n"),
			[]string{`header vary: production has none, application "Accept-Encoding, Cookie"`, "~ chunking", "~ content coding"}},
		{"not recoded", plain("ETag: \"a-1\"\r\n"), plain("ETag: W/\"a-1\"\r\n"), []string{`header etag: "\"a-1\"" → "W/\"a-1\""`}},
		{"no such coding", plain(""), strings.Replace(gzipped(""), "gzip", "rot13", 1), nil},
		{"in name only", plain(""), plain("Content-Encoding: gzip\r\n"), []string{`header content-encoding: production has none, application "gzip"`}},
	} {
		got := told(Answers(httpAnswer(tt.production, true), httpAnswer(tt.application, true), Question{HTTP: true}, nil))
		slices.Sort(got)
		slices.Sort(tt.want)
		if tt.want == nil {
			if len(got) < 2 || !strings.HasPrefix(got[0], "at byte 0: ") || !strings.HasPrefix(got[1], "header content-encoding: ") {
				t.Errorf("%s: %q", tt.name, got)
			}
			continue
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

// A bomb ends at the bound: what differs before it is told, what lies behind it
// is not compared.
func TestBomb(t *testing.T) {
	text := strings.Repeat("0", DecodedLimit) + "production"
	same := strings.Repeat("0", DecodedLimit) + "application"
	other := "1" + same[1:]
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		p := httpAnswer(coded(t, coding, text, 9), true)
		got := Answers(p, httpAnswer(coded(t, coding, same, 9), true), Question{HTTP: true}, nil)
		if got.Verdict != Uncompared || got.Why != OverBound {
			t.Errorf("%s: %v, %v, %v", coding, got.Verdict, got.Why, told(got))
		}
		got = Answers(p, httpAnswer(coded(t, coding, other, 9), true), Question{HTTP: true}, nil)
		if got.Verdict != Different || got.First().Place.Kind != InBody || got.First().Offset != 0 {
			t.Errorf("%s, another: %v, %v", coding, got.Verdict, told(got))
		}
	}
}

// Of an answer that was cut short, what came is decoded.
func TestCutCoded(t *testing.T) {
	text := strings.Repeat("The quick brown fox. ", 500)
	whole := coded(t, "gzip", text, 6)
	p := httpAnswer(whole, true)
	got := Answers(p, httpAnswer(whole[:len(whole)-10], false), Question{HTTP: true}, nil)
	if len(got.Differences) != 1 || got.First().Place.Kind != InEnd || !got.First().Cut {
		t.Errorf("%v", told(got))
	}
	other := coded(t, "gzip", "A"+text, 1)
	got = Answers(p, httpAnswer(other[:len(other)-10], false), Question{HTTP: true}, nil)
	if len(got.Differences) != 2 || got.First().Place.Kind != InBody || got.First().Offset != 0 || got.Differences[1].Place.Kind != InEnd {
		t.Errorf("another: %v", told(got))
	}
	// Production's own end is missing just as well: there is no content.
	got = Answers(httpAnswer(whole[:len(whole)-10], true), httpAnswer(whole, true), Question{HTTP: true}, nil)
	if got.Verdict != Different || got.Differences[len(got.Differences)-1].Place.Kind != InEnd {
		t.Errorf("production's: %v", told(got))
	}
}

// inChunks makes a chunked body.
func inChunks(body string, size int) string {
	var b strings.Builder
	for len(body) > 0 {
		n := min(size, len(body))
		fmt.Fprintf(&b, "%x;a=b\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return b.String() + "0\r\nSum: 1\r\n\r\n"
}

// Bodies too large to be kept are compared by their digests, whatever their
// framing and their heads.
func TestLarge(t *testing.T) {
	text := strings.Repeat("0123456789", 50_000)
	changed := func(at int) string { return text[:at] + "X" + text[at+1:] }
	plain := func(fields, body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\n%s%sContent-Length: %d\r\n\r\n%s", fields, binaryType, len(body), body)
	}
	chunked := func(body string, size int) string {
		return "HTTP/1.1 200 OK\r\n" + binaryType + "Transfer-Encoding: chunked\r\n\r\n" + inChunks(body, size)
	}
	p := plain("Date: a\r\n", text)
	for _, tt := range []struct {
		name        string
		application string
		keepP       int
		keepA       int
		cut         bool
		want        []string
	}{
		{"another head", plain("Date: bcd\r\n", text), 0, 0, false, []string{`header date: "a" → "bcd"`}},
		{"another head, one kept", plain("Date: bcd\r\n", text), 0, MaxHead, false, []string{`header date: "a" → "bcd"`}},
		{"chunks", chunked(text, 999), 0, 0, false, []string{`header date: production "a", application has none`, `header sum: production has none, application "1"`, "~ chunking"}},
		{"chunks, one kept", chunked(text, 100_000), MaxHead, 0, false, []string{`header date: production "a", application has none`, `header sum: production has none, application "1"`, "~ chunking"}},
		{"a byte in the head", plain("Date: a\r\n", changed(1000)), 0, 0, false, []string{`body at byte 1000: production "456789012345678901234567890123456789012345678901", application "4567890123456789X1234567890123456789012345678901"`}},
		{"a byte", plain("Date: a\r\n", changed(200_000)), 0, 0, false, []string{"body at or after byte 196608 and before 262144: production sent 500092 bytes, the application 500092"}},
		{"a byte, in chunks", chunked(changed(200_000), 777), 0, 0, false, []string{`header date: production "a", application has none`,
			"body at or after byte 196608 and before 262144: production sent 500092 bytes, the application 507184", `header sum: production has none, application "1"`, "~ chunking"}},
		{"a byte, both kept", plain("Date: a\r\n", changed(200_000)), MaxHead, MaxHead, false, []string{
			`at byte 200000: production "456789012345678901234567890123456789012345678901", application "4567890123456789X1234567890123456789012345678901"`}},
		{"one is small", plain("Date: a\r\n", text[:1000]), 0, 0, false, []string{`body at byte 1000: production "456789012345678901234567890123456789012345678901", application "4567890123456789"`}},
		{"cut", p[:300_000], 0, 0, true, []string{"end: cut short after 299908 bytes of the body, production sent 500000"}},
		{"cut, and a byte", plain("Date: a\r\n", changed(70_000))[:300_000], 0, 0, true, []string{"body at or after byte 65536 and before 131072: production sent 500092 bytes, the application 300000, cut short",
			"end: cut short after 299908 bytes of the body, production sent 500000"}},
		{"gzip", "HTTP/1.1 200 OK\r\nDate: a\r\nContent-Encoding: gzip\r\n" + p[len("HTTP/1.1 200 OK\r\nDate: a\r\n"):], 0, 0, false,
			[]string{`header content-encoding: production has none, application "gzip"`}},
	} {
		production := &Answer{HTTP: true, Complete: true, Keep: tt.keepP}
		production.Add([]byte(p))
		application := &Answer{HTTP: true, Complete: !tt.cut, Keep: tt.keepA}
		for rest := tt.application; len(rest) > 0; {
			n := min(len(rest), 1460)
			application.Add([]byte(rest[:n]))
			rest = rest[n:]
		}
		got := told(Answers(production, application, Question{HTTP: true}, nil))
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
		production.Reset()
		application.Reset()
	}
}

// Large bodies that are compressed, and not the same, are not compared.
func TestLargeCoded(t *testing.T) {
	large := func(c byte, fields string) *Answer {
		return httpAnswer(fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Encoding: gzip\r\nContent-Length: 100000\r\n\r\n%s", fields, bytes.Repeat([]byte{c}, 100_000)), true)
	}
	got := Answers(large('a', ""), large('b', ""), Question{HTTP: true}, nil)
	if got.Verdict != Uncompared || got.Why != OverBound {
		t.Errorf("%v, %v, %v", got.Verdict, got.Why, told(got))
	}
	if got = Answers(large('a', ""), large('b', "X: 1\r\n"), Question{HTTP: true}, nil); got.Verdict != Different || len(got.Differences) != 1 {
		t.Errorf("with a field: %v, %v", got.Verdict, told(got))
	}
	if got = Answers(large('a', ""), large('a', "X: 1\r\n"), Question{HTTP: true}, nil); got.Verdict != Different || len(got.Differences) != 1 {
		t.Errorf("the same, with a field: %v, %v", got.Verdict, told(got))
	}
}

// How much of an answer is kept makes no difference to whether it is the same.
func TestKeep(t *testing.T) {
	for _, size := range []int{HeadLimit - 1, HeadLimit, HeadLimit + 1, 256 << 10, 256<<10 + 1, MaxHead, MaxHead + 1} {
		text := bytes.Repeat([]byte("keep"), size/4+1)[:size]
		for _, keeps := range [][2]int{{0, 1}, {0, 100_000}, {100_000, MaxHead}, {0, MaxHead}, {MaxHead, 2 * MaxHead}} {
			p, a := &Answer{Keep: keeps[0], Complete: true}, &Answer{Keep: keeps[1], Complete: true}
			p.Add(text)
			a.Add(text[:size/3])
			a.Add(text[size/3:])
			if len(a.Head) != min(size, a.keep()) {
				t.Errorf("%d bytes, Keep %d: %d are kept", size, keeps[1], len(a.Head))
			}
			if got := Answers(p, a, Question{}, nil); got.Verdict != Identical {
				t.Errorf("%d bytes, Keep %v: %v", size, keeps, told(got))
			}
			a.Add([]byte("!"))
			if got := Answers(p, a, Question{}, nil); got.Verdict != Different {
				t.Errorf("%d bytes, Keep %v: longer and %v", size, keeps, got.Verdict)
			}
			p.Reset()
			a.Reset()
		}
	}
}
