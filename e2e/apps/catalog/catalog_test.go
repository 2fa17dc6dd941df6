package catalog

import (
	"slices"
	"strings"
	"testing"
)

func TestCycleAsksForEverything(t *testing.T) {
	asked, users := map[string]int{}, map[string]bool{}
	for k := range 4 * Cycle {
		target, form := Request(k)
		if (form != nil) != (target == "/basket") {
			t.Errorf("request %d for %s has the form %v", k, target, form)
		}
		if id, ok := strings.CutPrefix(target, "/users/"); ok {
			if users[id] {
				t.Errorf("user %s is asked for twice", id)
			}
			users[id] = true
			continue
		}
		if k < Cycle {
			asked[target]++
		}
	}
	for _, p := range slices.Concat(Paths(), []string{"/help/delivery", "/help/contact", "/page/home", "/page/about", "/basket"}) {
		if asked[p] == 0 {
			t.Errorf("%s is not asked for", p)
		}
	}
	if n := len(asked); n != 200+5+5+1 || len(users) != 4*Cycle/5*2/5 {
		t.Errorf("%d paths, %d users", n, len(users))
	}
}
