package findings

import (
	"fmt"
	"strings"
	"testing"

	"tcpsandbox/compare"
)

func TestRoute(t *testing.T) {
	var r router
	r.init()
	for _, tt := range []struct{ request, want string }{
		{"GET / HTTP/1.1", "GET /"},
		{"GET /cart?id=17 HTTP/1.1", "GET /cart"},
		{"GET /users/17 HTTP/1.1", "GET /users/{id}"},
		{"POST /users/17/orders/4 HTTP/1.0", "POST /users/{id}/orders/{id}"},
		{"GET /v2/items HTTP/1.1", "GET /v2/items"},
		{"GET /a/123e4567-e89b-12d3-a456-426614174000/b HTTP/1.1", "GET /a/{uuid}/b"},
		{"GET /commits/9fceb02d0ae598e95dc970b74767f19372d61af8 HTTP/1.1", "GET /commits/{id}"},
		{"GET /jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV HTTP/1.1", "GET /jobs/{id}"},
		{"GET /log/2024-03-01 HTTP/1.1", "GET /log/{date}"},
		{"GET /people/jane@example.org HTTP/1.1", "GET /people/{email}"},
		{"GET /static/app.3f2a1b9c.js HTTP/1.1", "GET /static/app.3f2a1b9c.js"},
		{"GET /facade HTTP/1.1", "GET /facade"}, // letters a to f, but a word
		{"GET /the-10-best-books-of-2024 HTTP/1.1", "GET /the-10-best-books-of-2024"},
		{"GET http://shop.example/cart?x HTTP/1.1", "GET /cart"},
		{"GET http://shop.example HTTP/1.1", "GET /"},
		{"OPTIONS * HTTP/1.1", "OPTIONS *"},
		{"CONNECT db.example:443 HTTP/1.1", "CONNECT db.example:443"},
		{"GET /search?q=a b HTTP/1.1", "GET /search"},
		{"GET /a//b/ HTTP/1.1", "GET /a//b/"},
		{"GET /cut?off=in-the-que", "GET /cut"},
		{"GET /" + strings.Repeat("a/", 20) + " HTTP/1.1", "GET /" + strings.Repeat("a/", 16) + "…"},
		{"garbage", "garbage"},
	} {
		if _, got := r.route(tt.request, true); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.request, got, tt.want)
		}
		if got := r.final(tt.want); got != tt.want {
			t.Errorf("%s became %s", tt.want, got)
		}
	}
	for request, want := range map[string]string{"turn 3": "turn 3", "greeting": "greeting", "turn 20": "turn 20", "answer 21": "answer 21 and later", "turn 4000": "turn 21 and later"} {
		if method, got := r.route(request, false); got != want || method != "" {
			t.Errorf("%s: %s, want %s", request, got, want)
		}
	}
}

// Words that are too many to be words are names, also those met before; 200
// routes are no reason for that.
func TestRouteNames(t *testing.T) {
	var r router
	r.init()
	word := func(i int) string {
		return "w" + strings.Map(func(c rune) rune { return c - '0' + 'a' }, fmt.Sprint(i))
	}
	for i := range 200 {
		want := "GET /" + word(i)
		if _, got := r.route(want+" HTTP/1.1", true); got != want {
			t.Fatalf("%s: %s", want, got)
		}
	}
	early := make([]string, 0, 1000)
	for i := range 1000 {
		_, got := r.route("GET /users/"+word(i)+"/posts HTTP/1.1", true)
		early = append(early, got)
	}
	if early[0] == early[1] || early[998] != "GET /users/{name}/posts" {
		t.Errorf("%s, %s … %s", early[0], early[1], early[998])
	}
	for _, route := range early {
		if got := r.final(route); got != "GET /users/{name}/posts" {
			t.Fatalf("%s became %s", route, got)
		}
	}
	if got := r.final("GET /" + word(7)); got != "GET /"+word(7) {
		t.Errorf("another place changed, too: %s", got)
	}
	r.route("GET /login HTTP/1.1", true)
	// Bounded, whatever comes.
	for i := range 3 * maxKnown {
		r.route(fmt.Sprintf("GET /%s/%s/%s HTTP/1.1", word(i%250), word(i/250), word(i%7)), true)
	}
	for i := range 3 * maxNodes {
		r.route(fmt.Sprintf("GET /{%d}/%d/%s HTTP/1.1", i, i, word(i)), true)
	}
	// What was known by then is not thrown together.
	for path, want := range map[string]string{"/login": "/login", "/never-seen": "/{name}"} {
		if _, got := r.route("GET "+path+" HTTP/1.1", true); got != "GET "+want {
			t.Errorf("%s is %s", path, got)
		}
	}
	if len(r.known) > maxKnown || r.nodes > maxNodes+maxDepth*1000 {
		t.Errorf("%d requests are known, %d segments", len(r.known), r.nodes)
	}
}

// However many routes there are, connections' ends are not among their answers.
func TestClosesBesideManyRoutes(t *testing.T) {
	r := New(Config{})
	for i := range maxRoutes + 1 {
		r.feed(fmt.Sprint("turn of ", i), 1, &same, nil)
	}
	x := exchange(compare.CloseRoute, "", "")
	x.Closing, x.ProductionEnd, x.ApplicationEnd = true, compare.ClosedAfter, compare.EndReset
	r.Judge(x)
	s := r.Summary()
	if len(s.Groups) != 1 || s.Groups[0].Route != compare.CloseRoute || s.Closes[compare.Different] != 1 {
		t.Errorf("%v, %s", s.Closes, groupWords(s))
	}
}
