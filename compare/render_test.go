package compare

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
)

func TestAnswerText(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte(`{"a":[1,2]}`))
	z.Close()
	const indented = "{\n  \"a\": [\n    1,\n    2\n  ]\n}"
	for _, tt := range []struct {
		name, answer          string
		http                  bool
		head, mediaType, text string
		cut                   bool
	}{
		{"raw text", "+OK\r\n", false, "", "", "+OK\r\n", false},
		{"raw bytes", "\x00\x01A", false, "", "", "00000000  00 01 41                                          |..A|\n", false},
		{"JSON", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"a\":[1,2]}", true,
			"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11", "application/json", indented, false},
		{"gzip, in chunks", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(packed.String()) + "0\r\n\r\n", true,
			"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked", "application/json", indented, false},
		{"no body", "HTTP/1.1 204 No Content\r\n\r\n", true, "HTTP/1.1 204 No Content", "", "", false},
		{"no HTTP after all", "Set-Cookie: sid=abc\r\nhello", true, "", "", "Set-Cookie: *******\r\nhello", false},
		{"cut in a character", strings.Repeat("a", 99) + "é", false, "", "", strings.Repeat("a", 99), true},
		{"nothing", "", false, "", "", "", false},
	} {
		head, mediaType, text, cut := answer(tt.answer, true).Text(Question{HTTP: tt.http, Method: "GET"}, 100, nil)
		if head != tt.head || mediaType != tt.mediaType || text != tt.text || cut != tt.cut {
			t.Errorf("%s: %q, %q, %q, %v", tt.name, head, mediaType, text, cut)
		}
	}
}

// What is secret stands neither in the digits of a hex dump nor in its text.
func TestAnswerTextHexSecret(t *testing.T) {
	a := answer("\x00\x01token=abcdefgh&x\x00Set-Cookie: sid=ijkl\r\nz", true)
	_, _, text, _ := a.Text(Question{}, 1000, NewSecrets("token"))
	for _, secret := range []string{"61 62 63", "65 66 67", "abc", "fgh", "69 6a", "ijkl"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in\n%s", secret, text)
		}
	}
	if !strings.Contains(text, "&x.Set-Cookie") {
		t.Error(text)
	}
}

func chunk(s string) string {
	const digits = "0123456789abcdef"
	n := ""
	for v := len(s); v > 0; v /= 16 {
		n = digits[v%16:v%16+1] + n
	}
	return n + "\r\n" + s + "\r\n"
}
