package findings

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
	"time"

	"tcpsandbox/compare"
)

// answerOf is an answer of these bytes.
func answerOf(text string) *compare.Answer {
	a := &compare.Answer{HTTP: true, Keep: compare.MaxHead}
	a.Add([]byte(text))
	a.Complete = true
	return a
}

// An exchange can be read again, and that counts nothing.
func TestExplain(t *testing.T) {
	r := New(Config{Rules: compare.Default()})
	x := exchangeOf(
		answerOf("HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:01 GMT\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"a\": 12}"),
		answerOf("HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:02 GMT\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"a\": 13}"))
	r.Judge(x)
	before := r.Counts()
	e := r.Explain(x, []byte("GET /items/17 HTTP/1.1\r\nHost: shop\r\n\r\n"), true)
	if r.Counts() != before {
		t.Errorf("it was counted: %v, before %v", r.Counts(), before)
	}
	if e.Verdict != compare.Different || len(e.Differences) != 1 || e.Differences[0].Place.Name != "$.a" {
		t.Errorf("%v: %v", e.Verdict, e.Differences)
	}
	if len(e.Excused) != 1 || e.Excused[0].Place.Name != "date" {
		t.Errorf("excused: %v", e.Excused)
	}
	if e.Production == nil || e.Application == nil || e.Production.Text != "{\n  \"a\": 12\n}" || e.Application.Text != "{\n  \"a\": 13\n}" {
		t.Errorf("answers: %+v, %+v", e.Production, e.Application)
	}
	if e.Request == nil || e.Request.Head != "GET /items/17 HTTP/1.1\r\nHost: shop" || e.Request.Cut {
		t.Errorf("request: %+v", e.Request)
	}
	if !strings.HasSuffix(string(e.Raw[1]), `{"a": 13}`) || e.Part {
		t.Errorf("raw: %q, part %v", e.Raw[1], e.Part)
	}
}

// Of answers of which only the beginning was kept that is judged, and where it
// ends is no difference.
func TestExplainBeginnings(t *testing.T) {
	long := strings.Repeat("all the same\n", 2000)
	page := func(body string) *compare.Answer {
		return answerOf(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	}
	chunked := func(body string) *compare.Answer {
		return answerOf(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body))
	}
	r := New(Config{Rules: compare.Default()})
	for _, tt := range []struct {
		name                    string
		production, application *compare.Answer
		differs                 int
	}{
		{"the same", page(long), page(long), 0},
		{"behind", page(long + "one"), page(long + "two"), 0},
		{"before", page("one\n" + long), page("two\n" + long), 1},
		{"in chunks", chunked("one\n" + long), chunked("two\n" + long), 1},
		{"one is short", page(long), page("all the same\n"), 2},
	} {
		x := exchangeOf(tt.production.Beginning(16<<10), tt.application.Beginning(16<<10))
		e := r.Explain(x, nil, true)
		if !e.Part || len(e.Differences) < tt.differs || tt.differs == 0 && len(e.Differences) > 0 {
			t.Errorf("%s: part %v, %v", tt.name, e.Part, e.Differences)
		}
		if !strings.Contains(e.Production.Head, "200 OK") || !strings.Contains(e.Production.Text, "all the same") || !e.Production.Cut {
			t.Errorf("%s: %q %.40q, cut %v", tt.name, e.Production.Head, e.Production.Text, e.Production.Cut)
		}
		if e.Request != nil {
			t.Errorf("%s: a request came from nowhere", tt.name)
		}
	}
}

// Whatever the form, a secret is in nothing that is shown.
func TestExplainHidesSecrets(t *testing.T) {
	const secret = "s3cr3tvalue"
	packed := func(text string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write([]byte(text))
		w.Close()
		return b.String()
	}
	whole := func(head, body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
	}
	r := New(Config{Rules: compare.Default(), Secrets: compare.NewSecrets("token")})
	for name, text := range map[string]string{
		"header":             whole("Token: "+secret+"\r\n", "hello"),
		"cookie":             whole("Set-Cookie: sid="+secret+"; Path=/\r\n", "hello"),
		"JSON":               whole("Content-Type: application/json\r\n", `{"token": "`+secret+`"}`),
		"JSON's number":      whole("Content-Type: application/json\r\n", `{"token": ["`+secret+`"]}`),
		"escaped name":       whole("Content-Type: application/json\r\n", `{"to\u006ben": "`+secret+`"}`),
		"form":               whole("Content-Type: application/x-www-form-urlencoded\r\n", `a=1&token=`+secret),
		"encoded name":       whole("Content-Type: application/x-www-form-urlencoded\r\n", `a=1&t%6Fken=`+secret),
		"text":               whole("Content-Type: text/plain\r\n", "the token: "+secret+"\nis"),
		"URL":                whole("Location: http://who:"+secret+"@shop/\r\n", "http://who:"+secret+"@shop/"),
		"bytes":              whole("Content-Type: image/png\r\n", "\x00\x01token="+secret+"\x02"),
		"chunks":             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ntoken=s3\r\n9\r\ncr3tvalue\r\n0\r\n\r\n",
		"chunks of a JSON":   "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"tok\r\n12\r\nen\":\"s3cr3tvalue\"}\r\n0\r\n\r\n",
		"gzip":               whole("Content-Encoding: gzip\r\n", packed("token="+secret)),
		"no message":         "token=" + secret,
		"the answer is less": "HTTP/1.1 200 OK\r\nToken: " + secret,
	} {
		for _, other := range []string{text, strings.ReplaceAll(text, "200 OK", "500 Oh"), "HTTP/1.1 204 No Content\r\n\r\n"} {
			for _, limit := range []int{1 << 20, len(text) - 3, len(text) / 2} {
				x := exchangeOf(answerOf(text).Beginning(limit), answerOf(other).Beginning(limit))
				x.At = time.Unix(1, 0)
				_, body, _ := strings.Cut(text, "\r\n")
				e := r.Explain(x, []byte("PUT /a?token="+secret+" HTTP/1.1\r\n"+body), true)
				shown := fmt.Sprintf("%+v %+v %+v %s %s", e.Request, e.Production, e.Application, e.Raw[0], e.Raw[1])
				for _, d := range e.Differences {
					shown += d.String() + string(d.Production) + string(d.Application)
				}
				for _, part := range []string{secret, "cr3tvalue"} {
					if strings.Contains(shown, part) {
						t.Errorf("%s, %d bytes: %s", name, limit, shown)
					}
				}
				if strings.Contains(name, "gzip") && limit > len(text) && strings.Contains(string(e.Raw[0]), packed("token=" + secret)[10:20]) {
					t.Errorf("%s: the packed secret is there", name)
				}
			}
		}
	}
}

// BenchmarkSummary is what a screen costs that asks how a large run stands: of
// 2,000 signatures and as many routes as there may be.
func BenchmarkSummary(b *testing.B) {
	r := New(Config{Rules: compare.Default()})
	for i := range 2000 {
		x := exchangeOf(httpAnswer("Content-Type: application/json\r\n", fmt.Sprintf(`{"id":%d,"k%d":1}`, i, i)),
			httpAnswer("Content-Type: application/json\r\n", fmt.Sprintf(`{"id":%d,"k%d":2}`, i, i)))
		x.Request = fmt.Sprintf("GET /a%c%c/b%c HTTP/1.1", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26)
		r.Judge(x)
	}
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Summary()
		}
	})
	b.Run("counts", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Counts()
		}
	})
}
