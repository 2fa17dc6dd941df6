package compare

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzHTTPAnswer holds the parser against net/http: where that accepts an
// answer, ours finds the same status, fields, body and trailers, unless
// mayRefuse excuses it. And an answer equals itself, and compares the same from
// both sides.
func FuzzHTTPAnswer(f *testing.F) {
	for _, tt := range httpTests {
		if len(tt.production)+len(tt.application) < 2000 {
			f.Add([]byte(tt.production), []byte(strings.TrimSuffix(tt.application, "…")), byte(len(tt.method)))
		}
	}
	f.Fuzz(func(t *testing.T, production, application []byte, method byte) {
		if len(production)+len(application) > 16<<10 {
			return
		}
		asked := []string{"GET", "HEAD", "CONNECT"}[method%3]
		checkParser(t, production, asked)
		checkParser(t, application, asked)

		q := Question{HTTP: true, Method: asked}
		p, a := httpAnswer(string(production), true), httpAnswer(string(application), true)
		there, back := judged(p, a, q, nil), judged(a, p, q, nil)
		if there.Verdict != back.Verdict || len(there.Differences) != len(back.Differences) || there.More != back.More {
			t.Errorf("%v and the other way round %v:\n%q\n%q", there.Verdict, back.Verdict, told(there), told(back))
		}
		if same := judged(p, p, q, nil); same.Verdict != Equivalent {
			t.Errorf("with itself: %v, %q", same.Verdict, told(same))
		}
		judged(p, httpAnswer(string(application), false), q, nil)
	})
}

func checkParser(t *testing.T, p []byte, method string) {
	t.Helper()
	want, body, used, whole := readWithNetHTTP(p, method)
	if want == nil || want.ProtoMajor != 1 {
		return
	}
	var s side
	if !s.read(&Answer{Head: p[:used], Len: int64(used), Complete: true}, method) || !s.open() {
		if !mayRefuse.Match(p) && whole {
			t.Errorf("refused: %q", p)
		}
		return
	}
	if s.message.status != want.StatusCode {
		t.Errorf("status %d, want %d", s.message.status, want.StatusCode)
	}
	if s.ended != whole || !bytes.Equal(s.coded, body) {
		t.Errorf("%q: body %q, ended %v; want %q, %v", p, s.coded, s.ended, body, whole)
	}
	if d := cmp.Diff(asHeader(want.Header), header(s.message.fields)); d != "" {
		t.Errorf("%q: fields (-want +got):\n%s", p, d)
	}
	if d := cmp.Diff(asHeader(want.Trailer), header(s.trailers)); d != "" && whole {
		t.Errorf("%q: trailers (-want +got):\n%s", p, d)
	}
}

// mayRefuse is where the framer gives up, too, while net/http goes on: RFC 9112
// §6.1 and §7.1. And net/http reads status codes with a sign.
var mayRefuse = regexp.MustCompile(`(?i)transfer-encoding|HTTP/1\.. +([+-]|0)`)

// readWithNetHTTP reads an answer and the interim ones before it; used is how
// long they are. Nil: net/http does not take it for one.
func readWithNetHTTP(p []byte, method string) (r *http.Response, body []byte, used int, whole bool) {
	rest := bytes.NewReader(p)
	b := bufio.NewReaderSize(rest, 16<<10)
	for range interimLimit {
		for {
			if start, _ := b.Peek(2); bytes.HasPrefix(start, []byte("\n")) {
				b.Discard(1)
			} else if string(start) == "\r\n" {
				b.Discard(2)
			} else {
				break
			}
		}
		var err error
		if r, err = http.ReadResponse(b, &http.Request{Method: method}); err != nil {
			return nil, nil, 0, false
		}
		if r.StatusCode/100 == 1 && r.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		if r.StatusCode == http.StatusSwitchingProtocols || method == "CONNECT" && r.StatusCode/100 == 2 {
			body, _ = io.ReadAll(b) // net/http leaves it to the caller
			return r, body, len(p), true
		}
		body, err = io.ReadAll(r.Body)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, nil, 0, false
		}
		return r, body, len(p) - rest.Len() - b.Buffered(), err == nil
	}
	return nil, nil, 0, false
}

// asHeader leaves out what net/http keeps elsewhere, and what it adds.
func asHeader(h http.Header) map[string]string {
	all := make(map[string]string)
	for name, values := range h {
		// net/http leaves white space before a colon in the name.
		if name = textproto.CanonicalMIMEHeaderKey(strings.TrimRight(name, " \t")); !notInHeader(name) && len(values) > 0 {
			all[name] = strings.Join(trimmed(values), ", ")
		}
	}
	return all
}

// trimmed cuts the white space that net/http leaves behind a value whose
// continuation line is blank; it is no part of the value (RFC 9112 §5).
func trimmed(values []string) (all []string) {
	for _, v := range values {
		all = append(all, strings.TrimRight(v, " \t"))
	}
	return all
}

func header(fields []field) map[string]string {
	h := make(http.Header)
	for _, f := range fields {
		name := textproto.CanonicalMIMEHeaderKey(string(f.name))
		h[name] = append(h[name], string(f.value))
	}
	return asHeader(h)
}

func notInHeader(name string) bool {
	switch name {
	case "Transfer-Encoding", "Trailer", "Content-Length", "Connection", "Cache-Control":
		return true
	}
	return false
}
