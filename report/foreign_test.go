package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"tcpsandbox/compare"
	"tcpsandbox/findings"
)

// Whatever bytes come from the network, each form stays what it is: the page has
// the elements of its template, the XML is well-formed, the JSON is JSON, and
// the text steers no terminal.
func FuzzForeign(f *testing.F) {
	f.Add("GET /a", "$.price", []byte("12"), []byte("12.5"), "{\n  \"price\": 12\n}", "{\n  \"price\": 12.5\n}")
	f.Add("</script><img src=x onerror=alert(1)>", `"'><svg onload=x>`, []byte("]]>"), []byte("<!--"), "\x00\xff\x1b[31m", "{{.}} ${x} `")
	f.Add("</style>", "</title>", []byte("\ufffe\uffff"), []byte("&#x1b;"), "\r\n\r\n", "\u202e")
	f.Fuzz(func(t *testing.T, route, name string, production, application []byte, left, right string) {
		place := compare.Place{Kind: compare.InJSON, Name: name}
		r := quiet()
		r.SetFindings(&findings.Summary{
			Excused: []findings.Excused{{Excuse: compare.Excuse{Place: place, Why: name}, Answers: 1}},
			Groups: []findings.Group{{Route: route, Places: []compare.Place{place}, Answers: 1, Example: findings.Example{Client: name, Request: route,
				Differences: []compare.Difference{{Place: place, Path: name, Production: production, Application: application}},
				Production:  &findings.Body{Head: right, Text: left}, Application: &findings.Body{Head: left, Text: right}}}},
			Noise:  []findings.Noise{{Route: route, Place: place}},
			Routes: []findings.Route{{Name: route, Verdicts: findings.Verdicts{compare.Different: 1}}},
		})
		var page, junit, data, text bytes.Buffer
		if err := errors.Join(r.WriteHTML(&page), r.WriteJUnit(&junit), r.WriteJSON(&data), r.Text(&text)); err != nil {
			t.Fatal(err)
		}
		elements := strings.Fields("html head meta title style body header div span h1 dl dt dd nav a b main section h2 small ul li i p input button output details summary code table thead tbody tr th td mark h3 footer script")
		scripts := 0
		for tokens := html.NewTokenizer(&page); ; {
			kind := tokens.Next()
			if kind == html.ErrorToken {
				if tokens.Err() != io.EOF {
					t.Fatal(tokens.Err())
				}
				break
			}
			if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
				if kind == html.CommentToken {
					t.Errorf("a comment is in the page")
				}
				continue
			}
			token := tokens.Token()
			if !slices.Contains(elements, token.Data) {
				t.Errorf("<%s> is in the page", token.Data)
			}
			if token.Data == "script" {
				scripts++
			}
			for _, a := range token.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "href" && !strings.HasPrefix(a.Val, "#") {
					t.Errorf("<%s %s=%q> is in the page", token.Data, a.Key, a.Val)
				}
			}
		}
		if scripts != 1 {
			t.Errorf("%d scripts", scripts)
		}
		for d := xml.NewDecoder(&junit); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if !json.Valid(data.Bytes()) {
			t.Error("the JSON is none")
		}
		if i := strings.IndexFunc(text.String(), func(c rune) bool { return c < ' ' && c != '\n' || c == 0x7f || c == '\u202e' }); i >= 0 {
			t.Errorf("%q is in the text", text.String()[i:min(i+20, text.Len())])
		}
	})
}
