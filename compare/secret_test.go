package compare

import (
	"strings"
	"testing"
)

var someSecrets = NewSecrets("token", "X-Api-Key", " csrf ", "passwort")

func TestHide(t *testing.T) {
	for _, tt := range []struct {
		d                       *Difference
		production, application string
	}{
		{differs(InHeader, "authorization", "", "Bearer a", "Bearer b"), "***", "*** (another value)"},
		{differs(InHeader, "authorization", "", "Bearer a", "none"), "***", "none"},
		{differs(InHeader, "x-api-key", "", "none", "b"), "none", "***"},
		{differs(InHeader, "cookie", "", "a=1; b=2", "a=1; b=3"), "a=***; b=***", "a=***; b=*** (another value)"},
		{differs(InHeader, "set-cookie", "", "a=1; Path=/; HttpOnly", "a=1; Path=/x"), "a=***; Path=/; HttpOnly", "a=***; Path=/x"},
		{differs(InHeader, "location", "", "/cb?token=abc&x=1", "/cb?x=1&%74oken=abd"), "/cb?token=***&x=1", "/cb?x=1&%74oken=***"},
		{differs(InHeader, "location", "", "https://bob:pw@host/", "https://host/"), "https://***@host/", "https://host/"},
		{differs(InHeader, "etag", "", `"a"`, `"b"`), `"a"`, `"b"`},
		{differs(InCookie, "sid", "sid value", "abc", "def"), "***", "*** (another value)"},
		{differs(InCookie, "sid", "", "sid=abc; Path=/", "none"), "***", "none"},
		{differs(InCookie, "sid", "sid Path", "/", "/shop"), "/", "/shop"},
		{differs(InCookie, "Path", "Path", "abc", "none"), "***", "none"},
		{differs(InJSON, "$.token", "", `"abc"`, `"abd"`), "***", "*** (another value)"},
		{differs(InJSON, "$.Token[*].id", "$.Token[1].id", "1", "2"), "***", "*** (another value)"},
		{differs(InJSON, `$.a["x-api-key"]`, "", "1", "none"), "***", "none"},
		{differs(InJSON, "$.user", "", `{"name":"bob","token":"abc"}`, "null"), `{"name":"bob","token":"***"}`, "null"},
		{differs(InJSON, "$.user", "", `{"name":"bob","token":"abc"}`, `{"name":"bob","token":"abd"}`), `{"name":"bob","token":"***"}`, `{"name":"bob","token":"***"} (another value)`},
		{differs(InJSON, "$.user", "", `{"name":"bob","token":"ab…`, `[{"token":123},{"a":{"csrf":[1,2]}}]`), `{"name":"bob","token":"***…`, `[{"token":"***"},{"a":{"csrf":"***"}}]`},
		{differs(InJSON, "$.price", "", "12", "12.5"), "12", "12.5"},
		{differs(InJSON, "$.url", "", `"https://bob:pw@h/?token=a"`, `"https:\/\/bob:pw@h"`), `"https://***@h/?token=***"`, `"https:\/\/***@h"`},
		{differs(InOrder, "$.items", "", `{"csrf":"a"}`, `{"csrf":"a","x":1}`), `{"csrf":"***"}`, `{"csrf":"***","x":1}`},
		{differs(InForm, "csrf", "", "a", "b"), "***", "*** (another value)"},
		{differs(InForm, "user[token]", "", "a", "b"), "***", "*** (another value)"},
		{differs(InForm, "user", "", "bob", "eve"), "bob", "eve"},
		{differs(InText, "line 3", "", "token=abc; x", "X-API-Key: abc def"), "token=***; x", "X-API-Key: ***"},
		{differs(InText, "line 3", "", `<input name="csrf" value="abc">`, `<input value='abd' name=csrf>`), `<input name="csrf" value="***">`, `<input value='***' name=csrf>`},
		{differs(InText, "line 3", "", `<a:token>abc</a:token>`, `<meta content=abc name="csrf"><p>`), `<a:token>***</a:token>`, `<meta content=*** name="csrf"><p>`},
		{differs(InBytes, "3-5", "", "Cookie: a=b\r\nX: y", "x\r\n"), "Cookie: ***\r\nX: y", "x\r\n"},
		{differs(InStatus, "", "", "200", "500"), "200", "500"},
	} {
		someSecrets.Hide(tt.d)
		side := func(v []byte) string {
			if v == nil {
				return "none"
			}
			return string(v)
		}
		if p, a := side(tt.d.Production), side(tt.d.Application); p != tt.production || a != tt.application {
			t.Errorf("%v %s:\n     %s, %s\nwant %s, %s", tt.d.Place, tt.d.Path, p, a, tt.production, tt.application)
		}
	}
}

// A word or an excerpt in the middle of a secret: the name is in the answers
// only.
func TestHideWithAnswers(t *testing.T) {
	production := []byte("<p>total 17</p>\n<input name=csrf value=9f8e7d-6c5b4a39>\n")
	application := []byte(`{"total":17,"token":"0a1b2c3d4e5f"}`)
	for _, tt := range []struct{ excerpt, want string }{
		{"9f8e7d", "***"}, {"6c5b4a39", "***"}, {"total", "total"}, {"17", "17"},
		{"8e7d-6c5b4a39>\nx", "***>\nx"}, {"value=9f8e7d-6c", "value=***"}, {`,"token":"0a1b2`, `,"token":"***`}, {"b2c3d4e5f\"}", "***\"}"},
	} {
		d := differs(InText, "line 2 word 3", "", tt.excerpt, "other")
		someSecrets.Hide(d, production, application)
		if string(d.Production) != tt.want {
			t.Errorf("%s: %s, want %s", tt.excerpt, d.Production, tt.want)
		}
	}
}

func TestSecretRequest(t *testing.T) {
	for line, want := range map[string]string{
		"GET /cart?id=1 HTTP/1.1":                           "GET /cart?id=1 HTTP/1.1",
		"GET /cart?Token=abc&id=1 HTTP/1.1":                 "GET /cart?Token=***&id=1 HTTP/1.1",
		"GET /cart?id=1&token=abc":                          "GET /cart?id=1&token=***",
		"GET /a;token=abc/b?x HTTP/1.1":                     "GET /a;token=***",
		"GET /cb?next=%2Fa%3Ftoken%3Dabc&x=1 HTTP/1.1":      "GET /cb?next=%2Fa%3Ftoken%3D***&x=1 HTTP/1.1",
		"GET /?user%5Btoken%5D=abc HTTP/1.1":                "GET /?user%5Btoken%5D=*** HTTP/1.1",
		"GET /?user[token]=abc HTTP/1.1":                    "GET /?user[token]=*** HTTP/1.1",
		"GET /?authorization=Bearer+abc HTTP/1.1":           "GET /?authorization=*** HTTP/1.1",
		"GET http://bob:pw@host/x HTTP/1.1":                 "GET http://***@host/x HTTP/1.1",
		"GET http://bob:p":                                  "GET http://***",
		"CONNECT host:443 HTTP/1.1":                         "CONNECT host:443 HTTP/1.1",
		"GET http://host:8080":                              "GET http://host:8080",
		"GET /tokens?tokens=1&my-token=2&token2=3 HTTP/1.1": "GET /tokens?tokens=1&my-token=2&token2=3 HTTP/1.1",
		"turn 3": "turn 3",
	} {
		got := someSecrets.Request(line)
		if strings.Contains(line, ";token") { // more than the value is hidden
			got, _, _ = strings.Cut(got, "***")
			got += "***"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	if got := (*Secrets)(nil).Request("GET /?token=a&authorization=b HTTP/1.1"); got != "GET /?token=a&authorization=*** HTTP/1.1" {
		t.Errorf("nil: %s", got)
	}
}

func TestSecretHead(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\nServer: nginx\r\nSet-Cookie: sid=abc; Path=/; HttpOnly\r\nset-cookie: a=\"x;y\"\r\nX-Api-Key : abc\r\n\tdef\r\nLocation: /x?token=abc\r\nCookie: a=1; b=2; abc\r\nAuthorization:Basic abc\r\nCookie: YWJj==\r\nSet-Cookie: sid=ab"
	want := "HTTP/1.1 200 OK\r\nServer: nginx\r\nSet-Cookie: sid=***; Path=/; HttpOnly\r\nset-cookie: ***\r\nX-Api-Key : ***\r\n ***\r\nLocation: /x?token=***\r\nCookie: a=***; b=***; ***\r\nAuthorization:***\r\nCookie: ***\r\nSet-Cookie: sid=***"
	if got := someSecrets.Head(head); got != want {
		t.Errorf("%q\nwant\n%q", got, want)
	}
}

func TestSecretBody(t *testing.T) {
	for _, tt := range []struct{ kind, text, want string }{
		{"application/json", `{"a":1,"token":"x\"y","b":[{"TOKEN":12.5,"c":"d"}]}`, `{"a":1,"token":"***","b":[{"TOKEN":"***","c":"d"}]}`},
		{"application/json", "{\n  \"token\": {\"a\": \"]\"},\n  \"b\": 2\n}", "{\n  \"token\": \"***\",\n  \"b\": 2\n}"},
		{"application/json", `{"\u0074oken":"abc"}`, `{"\u0074oken":"***"}`},
		{"application/json", `{"a":{"token":"abc`, `{"a":{"token":"***`},
		{"application/json", `{"token":tr`, `{"token":"***"`},
		{"application/json", `{"token"`, `{"token"`},
		{"", ` [{"msg":"Authorization: Bearer abc","b":1}]`, ` [{"msg":"Authorization: ***","b":1}]`},
		{"", `{"body":"{\"token\":\"abc\",\"b\":1}"}`, `{"body":"{\"token\":\"***\",\"b\":1}"}`},
		{"", `{"next":"/x?a=b\u0026token=abc\u0026c=d"}`, `{"next":"/x?a=b\u0026token=***"}`},
		{"", `{"html":"\u003cinput name=\"csrf\" value=\"abc\"\u003e"}`, `{"html":"\u003cinput name=\"csrf\" value=\"***\"\u003e"}`},
		{"", `broken {"token": "abc", "b": 1}`, `broken {"token": "***", "b": 1}`},
		{"", `broken {"token": 123, "b": 1}`, `broken {"token": ***, "b": 1}`},
		{"application/x-www-form-urlencoded", "a=1&token=a%20b&c=2", "a=1&token=***&c=2"},
		{"application/x-www-form-urlencoded", "t%6Fken=abc", "t%6Fken=***"},
		{"text/html", "<p>\n<form><input type=hidden name=csrf value=\"a>b\"><input name=q value=1></form>", "<p>\n<form><input type=hidden name=csrf value=\"***\"><input name=q value=1></form>"},
		{"text/xml", "<a><token x='1'>abc</token><b>c</b></a>", "<a><token x='1'>***</token><b>c</b></a>"},
		{"text/html", "<form name='x'><textarea\n name=\"csrf\" rows=2>a\nb</textarea><p>c</p>", "<form name='x'><textarea\n name=\"csrf\" rows=2>***</textarea><p>c</p>"},
		{"text/html", "<form name='csrf'><p>c</p></form>", "<form name='csrf'><p>c</p></form>"},
		{"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"token\"\r\nA: b\r\n\r\na\r\nb\r\n--x\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nc\r\n--x--",
			"--x\r\nContent-Disposition: form-data; name=\"token\"\r\nA: b\r\n\r\n***\r\n--x\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nc\r\n--x--"},
		{"text/plain", "Passwort: abc\nName: bob\n", "Passwort: ***\nName: bob\n"},
		{"text/plain", "Token:\n abc\nName: bob\n", "Token:***\nName: bob\n"},
		{"text/plain", "token=cookie: abc\n", "token=*** ***\n"},
		{"text/plain", "the tokens of token bearers", "the tokens of token bearers"},
	} {
		if got := someSecrets.Body(tt.kind, tt.text); got != tt.want {
			t.Errorf("%s:\n     %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

func TestHideWords(t *testing.T) {
	for _, tt := range []struct{ words, want string }{
		{"./app|-v|--port|80|token", "./app|-v|--port|80|token"},
		{"./app|--token|abc|x", "./app|--token|***|x"},
		{"./app|-token=abc|--csrf=b", "./app|-token=***|--csrf=***"},
		{"env|TOKEN=abc|X=Authorization: Bearer abc|app", "env|TOKEN=***|X=Authorization: ***|app"},
		{"--baseline|old --token abc -x|--|new", "--baseline|old --token *** -x|--|new"},
		{"--db|postgres://bob:pw@db/shop", "--db|postgres://***@db/shop"},
	} {
		if got := strings.Join(someSecrets.Words(strings.Split(tt.words, "|")), "|"); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.words, got, tt.want)
		}
	}
}

// Names are found in any case, those with other letters than ASCII's as well.
func TestSecretsSearch(t *testing.T) {
	for _, s := range []*Secrets{NewSecrets("api_key", "key"), NewSecrets("api_key", "key", "schlüssel")} {
		if got, want := s.Body("text/plain", "API_Key=a&KEY=b&monkey=c&Authorization=d"), "API_Key=***&KEY=***&monkey=c&Authorization=***"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got, want := NewSecrets("schlüssel").Body("text/plain", "SCHLÜSSEL=a"), "SCHLÜSSEL=***"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// An excerpt that was cut in the middle of a secret shows none of it.
func TestHideCutExcerpt(t *testing.T) {
	secret := strings.Repeat("0123456789abcdef", 40)
	answer := "v token=" + secret + " end"
	for _, tt := range []struct{ excerpt, want string }{
		{secret[:200] + "…", "***…"},
		{"…" + secret[100:300] + "…", "…***…"},
		{"…" + secret[600:] + " end", "…*** end"},
		{"v token=" + secret[:100] + "…", "v token=***"},
	} {
		d := differs(InText, "line 1 word 4", "", tt.excerpt, "x")
		someSecrets.Hide(d, []byte(answer))
		if got := string(d.Production); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.excerpt, got, tt.want)
		}
	}
}

// plants are the forms in which a value is told to be secret.
var plants = []struct{ before, after string }{
	{"\r\nAuthorization: Bearer ", "\r\n"}, {"\r\nSet-Cookie: token=", "; Path=/\r\n"}, {"\nCookie: a=b; c=", "\r\n"}, {"\nX-Api-Key:", "\n"},
	{`"token":"`, `"`}, {`"token": `, `,`}, {`{"Token" : ["a", "`, `"]}`}, {`{\"token\":\"`, `\"}`}, {`{"a":{"csrf":{"b":"`, `"}}}`},
	{"?token=", "&"}, {"&token=", ""}, {"?x%3Ftoken%3D", "&"}, {";csrf=", ";"}, {"\ntoken='", "'"},
	{"<token>", "</token>"}, {"<input name='csrf' value='", "'>"}, {`<input value="`, `" name="csrf">`}, {" https://bob:", "@host/"},
	{"\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n", "\r\n--x"}, {"<textarea name='csrf'>", "</textarea>"},
}

// FuzzSecrets plants a secret in text of any kind, cuts that anywhere, and
// looks for it.
func FuzzSecrets(f *testing.F) {
	for i := range plants {
		f.Add(uint8(i), "HTTP/1.1 200 OK\r\nA: b", "\r\n\r\n", uint16(400))
		f.Add(uint8(i), `{"a":"b",`, `,"c":1}`, uint16(400))
		f.Add(uint8(i), "<p class=\"", "\">", uint16(60))
		f.Add(uint8(i), "[\"\\", "\"]", uint16(40))
	}
	const secret = "S3cr37Zq9Wv8Xk7Y"
	f.Fuzz(func(t *testing.T, which uint8, before, after string, cut uint16) {
		plant := plants[int(which)%len(plants)]
		if strings.Contains(plant.before, "<") && strings.ContainsAny(before, "<") || strings.Contains(plant.before, "input value") && cut < 400 {
			return // a tag is looked for by its beginning; one without its name says nothing
		}
		text := before + plant.before + secret + plant.after + after
		if strings.HasPrefix(plant.before, " http") && int(cut) < len(text) && !strings.Contains(text[:cut], "@host") {
			return // cut, a password may be a port
		}
		text = text[:min(len(text), int(cut))]
		look := func(how, got string) {
			for at := 0; at+6 <= len(secret); at++ {
				if strings.Contains(got, secret[at:at+6]) {
					t.Fatalf("%s of\n%q\nshows it:\n%q", how, text, got)
				}
			}
		}
		for _, kind := range []string{"", "application/json", "application/x-www-form-urlencoded", "text/html"} {
			look("Body "+kind, someSecrets.Body(kind, text))
		}
		if !strings.Contains(plant.before, "form-data") { // which goes over lines, and is in no head
			look("Head", someSecrets.Head(text))
		}
		look("Request", someSecrets.Request(text))
		for kind := range Spelling {
			d := differs(kind, "$.x", "", text, text+"!")
			someSecrets.Hide(d, []byte(text))
			look(kind.String(), string(d.Production)+string(d.Application))
		}
		at := min(len(before)+len(plant.before)+4, len(text))
		d := differs(InBytes, "4-", "", text[at:], text[at:])
		someSecrets.Hide(d, []byte(text))
		look("excerpt", string(d.Production))
	})
}
