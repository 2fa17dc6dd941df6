// Package catalog is what the shop of the end-to-end tests sells: the requests
// that its server (apps/shop) answers and its clients (load shop) make. All of
// it follows from the numbers of the requests.
package catalog

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
)

var (
	departments = []string{
		"books", "music", "films", "games", "toys", "garden", "kitchen", "bath", "office", "shoes",
		"coats", "hats", "bikes", "tents", "tea", "coffee", "wine", "cheese", "lamps", "tools",
	}
	listings = []string{"new", "popular", "offers", "gifts", "returns", "reviews", "brands", "archive", "local", "premium"}
	topics   = []string{"delivery", "payment", "returns", "privacy", "contact"}
	pages    = []string{"home", "login", "basket", "checkout", "about"}
)

// Paths returns the 200 paths that are answered in JSON: "/shop/books/new" …
func Paths() []string {
	var all []string
	for _, d := range departments {
		for _, l := range listings {
			all = append(all, "/shop/"+d+"/"+l)
		}
	}
	return all
}

// Cycle is how many requests in a row ask for every path of the shop.
const Cycle = 250

// Request returns the k-th request, from 0: four in five are for JSON, each
// path in its turn; the others for /users/ID, of which no two are the same,
// /help/TOPIC, /page/NAME and, with a form as body, /basket. Form is nil for
// a GET.
func Request(k int) (target string, form url.Values) {
	if k%5 != 4 {
		all := len(departments) * len(listings)
		i := (k/5*4 + k%5) % all
		return "/shop/" + departments[i/len(listings)] + "/" + listings[i%len(listings)], nil
	}
	other := k / 5
	turn := other / 5
	switch other % 5 {
	case 2:
		return "/help/" + topics[turn%len(topics)], nil
	case 3:
		return "/page/" + pages[turn%len(pages)], nil
	case 4:
		return "/basket", url.Values{"article": {departments[turn%len(departments)]}, "quantity": {fmt.Sprint(1 + turn%9)}}
	}
	return fmt.Sprintf("/users/%d", 10_000+rand.New(rand.NewPCG(uint64(k), 7)).IntN(1_000_000_000)), nil
}

// HasListing reports whether the shop has such a list of articles.
func HasListing(department, listing string) bool {
	return slices.Contains(departments, department) && slices.Contains(listings, listing)
}

// HasTopic reports whether there is help on a topic.
func HasTopic(name string) bool { return slices.Contains(topics, name) }

// HasPage reports whether the shop has a page for people.
func HasPage(name string) bool { return slices.Contains(pages, name) }
