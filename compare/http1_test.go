package compare

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// told writes down what was found: the differences, then behind "~" what may
// differ.
func told(r Result) (lines []string) {
	for i := range r.Differences {
		lines = append(lines, r.Differences[i].String())
	}
	for _, e := range r.Excused {
		lines = append(lines, "~ "+e.Place.String())
	}
	return lines
}

// httpAnswer makes an answer as its owner does.
func httpAnswer(text string, complete bool) *Answer {
	a := &Answer{HTTP: true, Complete: complete}
	a.Add([]byte(text))
	return a
}

// binaryType is a type of which nothing is known but the bytes.
const binaryType = "Content-Type: application/octet-stream\r\n"

var httpTests = []struct {
	name, method            string
	production, application string // a last "…" says that the end did not come
	verdict                 Verdict
	want                    []string
}{
	{"the same", "", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", Identical, nil},
	{"status", "", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Different,
		[]string{"status: 200 → 404"}},
	{"reason phrase", "", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 Fine\r\nContent-Length: 0\r\n\r\n", Equivalent,
		[]string{"~ reason phrase"}},
	{"version and persistence", "", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", Different,
		[]string{`header connection: "keep-alive" → "close"`, "~ version"}},
	{"version", "", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", Equivalent,
		[]string{"~ version"}},
	{"connection", "", "HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: te, close\r\nContent-Length: 0\r\n\r\n", Different,
		[]string{`header connection: "keep-alive" → "close"`}},
	{"hints about the connection", "", "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Equivalent,
		[]string{"~ connection"}},

	{"header", "", "HTTP/1.1 204 No\r\nETag: \"a\"\r\n\r\n", "HTTP/1.1 204 No\r\nETag: \"b\"\r\n\r\n", Different,
		[]string{`header etag: "\"a\"" → "\"b\""`}},
	{"header lost", "", "HTTP/1.1 204 No\r\nETag: a\r\nX: 1\r\n\r\n", "HTTP/1.1 204 No\r\nX: 1\r\n\r\n", Different,
		[]string{`header etag: production "a", application has none`}},
	{"header added, empty", "", "HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 204 No\r\nX:\r\n\r\n", Different,
		[]string{`header x: production has none, application ""`}},
	{"order, case and white space", "", "HTTP/1.1 204 No\r\nAge: 1\r\nX-A: b\r\n\r\n", "HTTP/1.1 204 No\r\nx-a:  b\t\r\nage:1\r\n\r\n", Equivalent,
		[]string{"~ header order", "~ header case"}},
	{"order with one more", "", "HTTP/1.1 204 No\r\nA: 1\r\nB: 2\r\n\r\n", "HTTP/1.1 204 No\r\nX: 3\r\nA: 1\r\nB: 2\r\n\r\n", Different,
		[]string{`header x: production has none, application "3"`}},
	{"list in several lines", "", "HTTP/1.1 204 No\r\nVary: a\r\nVary: b\r\n\r\n", "HTTP/1.1 204 No\r\nVary: a, b\r\n\r\n", Equivalent,
		[]string{"~ header lines"}},
	{"list in another order", "", "HTTP/1.1 204 No\r\nVia: a\r\nVia: b\r\n\r\n", "HTTP/1.1 204 No\r\nVia: b\r\nVia: a\r\n\r\n", Different,
		[]string{`header via: "a, b" → "b, a"`}},
	{"folded", "", "HTTP/1.1 204 No\r\nX: a\r\n b\r\n\tc\r\n\r\n", "HTTP/1.1 204 No\r\nX: a b c\r\n\r\n", Equivalent, nil},
	{"no field", "", "HTTP/1.1 204 No\r\nnonsense\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n", Different,
		[]string{`header: production "nonsense", application has none`}},
	{"values are cut", "", "HTTP/1.1 204 No\r\nX: " + strings.Repeat("x", 300) + "\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n", Different,
		[]string{`header x: production "` + strings.Repeat("x", 200) + `…", application has none`}},

	{"cookie value", "", "HTTP/1.1 204 No\r\nSet-Cookie: sid=1; Path=/\r\n\r\n", "HTTP/1.1 204 No\r\nSet-Cookie: sid=2; Path=/\r\n\r\n", Different,
		[]string{`cookie sid value: "1" → "2"`}},
	{"cookie attributes", "", "HTTP/1.1 204 No\r\nSet-Cookie: sid=1; Path=/; HttpOnly; Max-Age=5\r\n\r\n", "HTTP/1.1 204 No\r\nSet-Cookie: sid=1; max-age=6; path=/\r\n\r\n", Different,
		[]string{`cookie sid HttpOnly: production "HttpOnly", application has none`, `cookie sid Max-Age: "5" → "6"`}},
	{"cookie spelling", "", "HTTP/1.1 204 No\r\nSet-Cookie: sid=1; Path=/; SameSite=Lax; Domain=.a.b\r\n\r\n", "HTTP/1.1 204 No\r\nSet-Cookie: sid=1;domain=a.b; samesite=lax;path=/\r\n\r\n", Equivalent,
		[]string{"~ cookie"}},
	{"cookies in another order", "", "HTTP/1.1 204 No\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n", "HTTP/1.1 204 No\r\nSet-Cookie: b=2\r\nSet-Cookie: a=1\r\n\r\n", Equivalent,
		[]string{"~ header order"}},
	{"cookie lost and added", "", "HTTP/1.1 204 No\r\nSet-Cookie: a=secret; Path=/\r\n\r\n", "HTTP/1.1 204 No\r\nSet-Cookie: b=secret\r\n\r\n", Different,
		[]string{`cookie a: production "Path=/", application has none`, `cookie b: production has none, application ""`}},
	{"a cookie twice", "", "HTTP/1.1 204 No\r\nSet-Cookie: a=1; Path=/x\r\nSet-Cookie: a=2\r\n\r\n", "HTTP/1.1 204 No\r\nSet-Cookie: a=1; Path=/x\r\nSet-Cookie: a=3\r\n\r\n", Different,
		[]string{`cookie a value: "2" → "3"`}},

	{"interim answers", "", "HTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 103 Hints\r\nLink: b\r\n\r\nHTTP/1.1 204 Nil\r\n\r\n", Equivalent,
		[]string{"~ reason phrase"}},
	{"interim answer lost", "", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n", Different,
		[]string{`status interim: production 100, 103, application has none`}},

	{"body", "", "HTTP/1.1 200 OK\r\n" + binaryType + "Content-Length: 8\r\n\r\nprice 17", "HTTP/1.1 200 OK\r\n" + binaryType + "Content-Length: 8\r\n\r\nprice 18", Different,
		[]string{`at byte 7: production "price 17", application "price 18"`}},
	{"body in two places", "", "HTTP/1.1 200 OK\r\n" + binaryType + "Content-Length: 12\r\n\r\na.b......c.d", "HTTP/1.1 200 OK\r\n" + binaryType + "Content-Length: 12\r\n\r\nX.X......X.d", Different,
		[]string{`at byte 0: production "a.b......c.d", application "X.X......X.d"`, `at byte 9: production "a.b......c.d", application "X.X......X.d"`}},
	{"body of another length", "", "HTTP/1.1 200 OK\r\n" + binaryType + "Content-Length: 4\r\n\r\nabcd", "HTTP/1.1 200 OK\r\n" + binaryType + "Content-Length: 5\r\n\r\nabXcd", Different,
		[]string{`at byte 2: production "abcd", application "abXcd"`}},
	{"chunks", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2;x=y\r\ncd\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", Equivalent,
		[]string{"~ chunking"}},
	{"chunks and length", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd", Equivalent,
		[]string{"~ chunking"}},
	{"length and close", "", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nabcd", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcd", Equivalent,
		[]string{"~ chunking"}},
	{"body in other chunks", "", "HTTP/1.1 200 OK\r\n" + binaryType + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\n" + binaryType + "Content-Length: 4\r\n\r\nabcX", Different,
		[]string{`at byte 3: production "abcd", application "abcX"`, "~ chunking"}},
	{"trailers", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nSum: a\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nSum: b\r\n\r\n", Different,
		[]string{`header sum: "a" → "b"`, "~ chunking"}},
	{"head, lengths", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Different,
		[]string{`header content-length: "4" → "5"`}},
	{"head, length not told", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Equivalent,
		[]string{"~ chunking"}},
	{"no content, length", "", "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n", Equivalent,
		[]string{"~ chunking"}},
	{"not modified", "", "HTTP/1.1 304 No\r\nContent-Length: 9\r\nX: 1\r\n\r\n", "HTTP/1.1 304 No\r\nContent-Length: 9\r\nX: 2\r\n\r\n", Different,
		[]string{`header x: "1" → "2"`}},

	{"cut in the body", "", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab…", Different,
		[]string{"end: cut short after 2 bytes of the body, production sent 4"}},
	{"cut, and another one", "", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX: 1\r\n\r\nabcd", "HTTP/1.1 500 OK\r\nContent-Length: 4\r\nX: 2\r\n\r\nxb…", Different,
		[]string{"status: 200 → 500", `header x: "1" → "2"`, `body at byte 0: production "abcd", application "xb", cut short`, "end: cut short after 2 bytes of the body, production sent 4"}},
	{"cut in chunks", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n…", Different,
		[]string{"end: cut short after 4 bytes of the body, production sent 4"}},
	{"close did not come", "", "HTTP/1.1 200 OK\r\n\r\nabcd", "HTTP/1.1 200 OK\r\n\r\nabcd…", Different,
		[]string{"end: cut short after 4 bytes of the body, production sent 4"}},
	{"cut in the head", "", "HTTP/1.1 200 OK\r\nX: 1\r\n\r\n", "HTTP/1.1 200 OK\r\nX…", Different,
		[]string{`at byte 18: production "TP/1.1 200 OK\r\nX: 1\r\n\r\n", application "TP/1.1 200 OK\r\nX", cut short`}},

	{"no HTTP", "", "HTTP/1.1 200 OK\r\n\r\n", "220 ready\r\n", Different,
		[]string{`at byte 0: production "HTTP/1.1 200 OK\r\n\r\n", application "220 ready\r\n"`}},
	{"lengths that contradict", "", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", Different,
		[]string{`at byte 36: production "tent-Length: 1\r\n\r\na", application "tent-Length: 1\r\nContent-Length: 2\r\n\r\na"`}},
	{"bytes behind the end", "", "HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 204 No\r\n\r\nx", Different,
		[]string{`at byte 19: production "P/1.1 204 No\r\n\r\n", application "P/1.1 204 No\r\n\r\nx"`}},
	{"secrets in no HTTP", "", "HTTP/1.1 200 OK\r\nSet-Cookie: sid=abc\r\n", "HTTP/1.1 200 OK\r\nset-cookie: sid=xyz\r\n", Different,
		[]string{`at byte 17: production "TTP/1.1 200 OK\r\nSet-Cookie: *******\r\n", application "TTP/1.1 200 OK\r\nset-cookie: *******\r\n"`,
			`at byte 33: production "Set-Cookie: *******\r\n", application "set-cookie: *******\r\n"`}},
}

func TestHTTP(t *testing.T) {
	for _, tt := range httpTests {
		t.Run(tt.name, func(t *testing.T) {
			application, cut := strings.CutSuffix(tt.application, "…")
			got := Answers(httpAnswer(tt.production, true), httpAnswer(application, !cut), Question{HTTP: true, Method: tt.method}, nil)
			if d := cmp.Diff(tt.want, told(got)); got.Verdict != tt.verdict || d != "" {
				t.Errorf("%v, want %v (-want +got):\n%s", got.Verdict, tt.verdict, d)
			}
		})
	}
}

// What differs here is not what is asked for: the same bytes need no parser.
func TestHTTPNotAsked(t *testing.T) {
	got := Answers(answer("HTTP/1.1 200 OK\r\n\r\n", true), answer("HTTP/1.1 200 No\r\n\r\n", true), Question{}, nil)
	if got.Verdict != Different || got.First().Place.Kind == InStatus {
		t.Errorf("%v: %v", got.Verdict, got.First())
	}
}

// Places are the same for all answers to requests of one kind.
func TestPlaces(t *testing.T) {
	p := "HTTP/1.1 200 OK\r\nSet-Cookie: sid=1; Path=/\r\nETag: a\r\n" + binaryType + "Content-Length: 8\r\n\r\nabcdefgh"
	a := "HTTP/1.1 201 OK\r\nSet-Cookie: sid=2; Path=/b\r\nETag: b\r\n" + binaryType + "Content-Length: 8\r\n\r\nabcdEFgh"
	r := Answers(httpAnswer(p, true), httpAnswer(a, false), Question{HTTP: true}, nil)
	type place struct {
		Place
		Path string
	}
	var got []place
	for _, d := range r.Differences {
		got = append(got, place{d.Place, d.Path})
	}
	want := []place{
		{Place{InStatus, ""}, ""}, {Place{InCookie, "sid"}, "sid value"}, {Place{InCookie, "sid"}, "sid Path"},
		{Place{InHeader, "etag"}, ""}, {Place{InBody, ""}, ""}, {Place{InEnd, ""}, ""},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	r = Answers(httpAnswer(p, true), httpAnswer(a, true), Question{HTTP: true}, nil)
	if d := r.Differences[len(r.Differences)-1]; d.Place != (Place{InBytes, "4-6"}) || d.Offset != 4 || d.Until != 6 {
		t.Errorf("%+v", d)
	}
}

// What is told outlives the answers, and the memory that comparing used.
func TestHTTPOwnsItsBytes(t *testing.T) {
	for _, tt := range httpTests {
		p, a := httpAnswer(tt.production, true), httpAnswer(strings.TrimSuffix(tt.application, "…"), true)
		got := Answers(p, a, Question{HTTP: true, Method: tt.method}, nil)
		before := told(got)
		for _, x := range []*Answer{p, a} {
			clear(x.Head)
			x.Reset()
		}
		junk := "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("J", 1000) + "\r\n J\r\n\r\n" + strings.Repeat("J", 1000)
		Answers(httpAnswer(junk, true), httpAnswer(junk+"K", true), Question{HTTP: true}, nil)
		if d := cmp.Diff(before, told(got)); d != "" {
			t.Errorf("%s (-before +after):\n%s", tt.name, d)
		}
	}
}

// A hostile head costs no more than its length asks for.
func TestManyFields(t *testing.T) {
	head := func(fields int, value string) *Answer {
		return httpAnswer("HTTP/1.1 204 No\r\n"+strings.Repeat("a:"+value+"\r\n", fields)+"\r\n", true)
	}
	got := Answers(head(fieldLimit, "1"), head(fieldLimit, "2"), Question{HTTP: true}, nil)
	if len(got.Differences) != 1 || got.First().Place != (Place{InHeader, "a"}) {
		t.Errorf("at the limit: %q", told(got))
	}
	got = Answers(head(fieldLimit+1, "1"), head(fieldLimit+1, "2"), Question{HTTP: true}, nil)
	if got.First().Place.Kind != InBytes {
		t.Errorf("over the limit: %q", told(got))
	}
}
