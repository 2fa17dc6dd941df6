package compare

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestRequestText(t *testing.T) {
	const host = "Host: shop\r\n"
	for _, tt := range []struct {
		name, request    string
		http, whole      bool
		head, kind, text string
		cut              bool
	}{
		{"no body", "GET / HTTP/1.1\r\n" + host + "\r\n", true, true, "GET / HTTP/1.1\r\n" + "Host: shop", "", "", false},
		{"empty lines before", "\r\n\r\nGET / HTTP/1.1\r\n\r\n", true, true, "\r\n\r\nGET / HTTP/1.1", "", "", false},
		{"JSON", "POST / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}", true, true,
			"POST / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 7", "application/json", "{\n  \"a\": 1\n}", false},
		{"chunks", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", true, true,
			"POST / HTTP/1.1\r\nTransfer-Encoding: chunked", "", "abc", false},
		{"compressed", "POST / HTTP/1.1\r\nContent-Encoding: gzip\r\n\r\n" + encode(t, "gzip", "hello", 5), true, true,
			"POST / HTTP/1.1\r\nContent-Encoding: gzip", "", "hello", false},
		{"half a head", "GET / HTTP/1.1\r\nHost: sh", true, false, "GET / HTTP/1.1\r\nHost: sh", "", "", true},
		{"half a body", "POST / HTTP/1.1\r\n\r\nhel", true, false, "POST / HTTP/1.1", "", "hel", true},
		{"no HTTP", "login me\r\n", false, true, "", "", "login me\r\n", false},
		{"nothing", "", true, true, "", "", "", false},
	} {
		head, kind, text, cut := RequestText([]byte(tt.request), tt.http, tt.whole, 1<<10, nil)
		if head != tt.head || kind != tt.kind || text != tt.text || cut != tt.cut {
			t.Errorf("%s: %q, %q, %q, %v", tt.name, head, kind, text, cut)
		}
	}
	if _, _, text, _ := RequestText([]byte("\x00\x01token=abc"), false, true, 1<<10, NewSecrets("token")); !strings.Contains(text, "74 6f 6b") || strings.Contains(text, "abc") {
		t.Errorf("a dump: %s", text)
	}
}

// FuzzRaw: in whatever chunks a body comes, what is secret in it is not shown,
// and all else stays in its place.
func FuzzRaw(f *testing.F) {
	f.Add("a=1&token=", "&b=2", uint64(0x35), 40)
	f.Add(`{"token":"`, `"}`, uint64(7), 1000)
	f.Add("http://me:", "@shop/", uint64(1), 1000)
	f.Fuzz(func(t *testing.T, before, behind string, cuts uint64, limit int) {
		const secret = "s3cr3tvalue"
		body := before + secret + behind
		if limit < 0 || strings.Contains(before+behind, "s3c") {
			return
		}
		message := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		for rest := body; len(rest) > 0; cuts = cuts>>5 | cuts<<59 {
			n := min(len(rest), int(cuts&31)+1)
			message += fmt.Sprintf("%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		message += "0\r\n\r\n"
		a := &Answer{HTTP: true, Keep: MaxHead, Complete: true}
		a.Add([]byte(message))
		hide := NewSecrets("token")
		raw := a.Raw(Question{HTTP: true}, limit, hide)
		if len(raw) != min(len(a.Head), limit) {
			t.Fatalf("%d bytes of %d, at most %d", len(raw), len(message), limit)
		}
		for i, c := range raw {
			if c != a.Head[i] && c != '*' {
				t.Fatalf("byte %d became %q", i, c)
			}
		}
		if shown := hide.Body("", body); strings.Contains(shown, secret) {
			return // it is none
		}
		whole := &Answer{HTTP: true, Head: raw, Len: int64(len(raw)), Complete: true}
		if len(raw) == len(message) && bytes.Contains(whole.Decoded(Question{HTTP: true}), []byte(secret)) {
			t.Errorf("%q shows %q", body, raw)
		}
	})
}
