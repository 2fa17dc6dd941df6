package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tcpsandbox/e2e/apps/catalog"
)

// object is a JSON object whose keys have an order.
type object []member

type member struct {
	key   string
	value any // also an object, or a []object
}

// answer finds what is said to a request.
//
//	/shop/DEPARTMENT/LISTING  JSON: articles and their prices
//	/users/ID                 JSON: somebody
//	/account                  JSON with secrets in it
//	/help/TOPIC               plain text
//	/page/NAME                HTML with a form and its CSRF token
//	/basket                   a form, and to a form
//	/session                  a form with secrets in it
func (s *shop) answer(r *http.Request, body []byte) *answer {
	c := s.chance()
	a := &answer{status: "200 OK", gzip: strings.Contains(r.Header.Get("Accept-Encoding"), "gzip"), last: r.Close}
	a.header = []field{
		{"Server", "shop/1.0"},
		{"Cache-Control", "private, max-age=60"},
		{"X-Request-Id", c.uuid()},
		{"Set-Cookie", "visit=" + s.secret + "." + c.token() + "; Path=/; HttpOnly; SameSite=Lax"},
		{"Vary", "Accept-Encoding"},
	}
	if s.noise {
		a.header = append(a.header, field{"Date", c.date(0)}, field{"Expires", c.date(time.Minute)}, field{"ETag", `"` + c.token() + `"`})
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case len(parts) == 3 && parts[0] == "shop" && catalog.HasListing(parts[1], parts[2]):
		a.json(s.listing(c, r.URL.Path, parts[1], parts[2]), c)
	case len(parts) == 2 && parts[0] == "users":
		a.json(user(c, r.URL.Path, parts[1]), c)
	case len(parts) == 2 && parts[0] == "help" && catalog.HasTopic(parts[1]):
		a.text("text/plain; charset=utf-8", help(c, parts[1]))
	case len(parts) == 2 && parts[0] == "page" && catalog.HasPage(parts[1]):
		a.text("text/html; charset=utf-8", page(c, parts[1]))
	case r.URL.Path == "/basket":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			a.status = "400 Bad Request"
		}
		a.text("application/x-www-form-urlencoded", url.Values{
			"article": form["article"], "quantity": form["quantity"], "total": {"24.00"}, "order": {c.uuid()}, "placed": {c.stamp()},
		}.Encode())
	case r.URL.Path == "/account":
		plan := "gold"
		if s.bug == r.URL.Path {
			plan = "silver"
		}
		a.json(object{{"name", "Ada"}, {"plan", plan}, {"api_key", s.secret}, {"authorization", r.Header.Get("Authorization")}}, c)
	case r.URL.Path == "/session":
		state := "open"
		if s.bug == r.URL.Path {
			state = "closed"
		}
		a.text("application/x-www-form-urlencoded", "state="+state+"&api_key="+url.QueryEscape(s.secret))
	default:
		a.status = "404 Not Found"
		a.text("text/plain; charset=utf-8", "no such page\n")
	}
	return a
}

// listing is a list of articles, which differs from path to path. One of them
// costs 12.
func (s *shop) listing(c chance, path, department, listing string) object {
	h := fnv.New64a()
	h.Write([]byte(path))
	fixed := rand.New(rand.NewPCG(h.Sum64(), 0))
	var items []object
	for i := range 6 + fixed.IntN(6) {
		price := json.Number(fmt.Sprintf("%d.%02d", 1+fixed.IntN(90), 5*fixed.IntN(20)))
		if i == 2 {
			price = "12"
			if s.bug == path {
				price = "12.5"
			}
		}
		items = append(items, object{
			{"id", fmt.Sprintf("%s-%s-%d", department, listing, i+1)},
			{"title", fmt.Sprintf("%s number %d of %s", department, i+1, listing)},
			{"price", price},
			{"stock", fixed.IntN(40)},
			{"available", fixed.IntN(5) > 0},
			{"tags", []string{department, listing, []string{"blue", "red", "green"}[fixed.IntN(3)]}},
			{"shop", object{{"name", "shop.test"}, {"country", []string{"DE", "FR", "NL"}[fixed.IntN(3)]}, {"rating", json.Number(fmt.Sprintf("4.%d", fixed.IntN(10)))}}},
		})
	}
	return object{
		{"path", path},
		{"department", department},
		{"listing", listing},
		{"currency", "EUR"},
		{"count", len(items)},
		{"items", shuffled(c, items)},
		{"next", nil},
		{"meta", object{{"request_id", c.uuid()}, {"generated_at", c.stamp()}, {"served_unix", c.now().Unix()}, {"token", c.token()}}},
	}
}

func user(c chance, path, id string) object {
	return object{
		{"path", path},
		{"id", id},
		{"name", "user " + id},
		{"address", object{{"street", "Main street " + id[len(id)-1:]}, {"city", "Köln"}, {"zip", "50667"}}},
		{"roles", shuffled(c, []string{"buyer", "reviewer", "seller"})},
		{"session", c.uuid()},
		{"seen_at", c.stamp()},
	}
}

func help(c chance, topic string) string {
	return fmt.Sprintf("Help on %s\n\nWrite to help@shop.test, or call us from nine to five.\nWe answer within two days.\n\nYour ticket: %s\n", topic, c.token())
}

func page(c chance, name string) string {
	return fmt.Sprintf(`<!doctype html>
<html lang="en">
<head><title>shop: %[1]s</title></head>
<body>
<h1>%[1]s</h1>
<form method="post" action="/%[1]s">
<input type="hidden" name="csrf" value="%[2]s">
<input name="q"><button>Search</button>
</form>
<p>Twelve articles are on offer today.
<footer>page %[3]s</footer>
</body>
</html>
`, name, c.token(), c.token())
}
