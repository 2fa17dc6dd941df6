package compare

import (
	"regexp"
	"sync"
)

// Rules say in what answers may differ. They are made by Default, ParseRules
// and Learned, and put together by With. Nil allows nothing. Rules are not
// changed once they are used, so that many may use them at once.
type Rules struct {
	rules []rule
	// noDefault: the default rules are not wanted.
	noDefault bool

	// What follows is made from rules by compiled.

	exact    map[subject]string // why; those of one place of one route, or of all
	patterns []allowed          // those that are decided by route and place
	precise  []allowed          // those that look at the very place, or at the values
	masks    []masking

	mu    sync.RWMutex
	cache map[subject]decision // of patterns; maxDecisions at most
}

// rule is one entry of a rules file.
type rule struct {
	route   glob
	why     string // "": where it is written
	builtin bool   // one of the default rules
	allows  []allowance
}

// allowance is one thing that a rule allows.
type allowance struct {
	key   string // of the rules file: "headers", "json"
	text  string // as written there, in the list
	value string // of tolerance
	at    string // where: "rules.yaml:12"

	name  glob                   // headers, cookies, fields
	path  jsonPath               // json, unordered, tolerance
	lines lineRange              // lines
	bytes byteRange              // bytes
	mask  *regexp.Regexp         // mask
	limit tolerance              // tolerance
	when  func(*Difference) bool // default rules that look closer
}

// subject is what patterns are asked about.
type subject struct {
	route string // "" in exact: all
	place Place
}

type decision struct {
	why string
	ok  bool
}

type allowed struct {
	route glob
	why   string
	allowance
}

type masking struct {
	route glob
	why   string
	expr  *regexp.Regexp
}

// maxDecisions bounds what is remembered. Places may be named by the traffic,
// such as the keys of a JSON object; what is beyond is decided anew each time,
// which takes some 0.1 µs for each pattern.
const maxDecisions = 4096

// With returns rules that allow what these do and what each of more does. If
// one of them says so, the default rules are not among them. Nil is fine on
// both sides; none of them is changed.
func (r *Rules) With(more ...*Rules) *Rules {
	sum := &Rules{}
	for _, one := range append([]*Rules{r}, more...) {
		if one != nil {
			sum.rules = append(sum.rules, one.rules...)
			sum.noDefault = sum.noDefault || one.noDefault
		}
	}
	return sum.compiled()
}

// compiled makes the rules ready for use. What people wrote goes before the
// default rules, so that it is their words that reports show.
func (r *Rules) compiled() *Rules {
	r.exact, r.cache = make(map[subject]string), make(map[subject]decision)
	for _, builtin := range []bool{false, true} {
		for i := range r.rules {
			if one := &r.rules[i]; one.builtin == builtin && !(builtin && r.noDefault) {
				r.add(one)
			}
		}
	}
	return r
}

func (r *Rules) add(one *rule) {
	for _, a := range one.allows {
		why := one.why
		if why == "" {
			why = a.at
		}
		if a.mask != nil {
			r.masks = append(r.masks, masking{one.route, why, a.mask})
			continue
		}
		route, fixed := one.route.fixed()
		if place, ok := a.place(); ok && (fixed || one.route.all()) {
			key := subject{route, place}
			if _, known := r.exact[key]; !known {
				r.exact[key] = why
			}
			continue
		}
		entry := allowed{one.route, why, a}
		if a.precise() {
			r.precise = append(r.precise, entry)
		} else {
			r.patterns = append(r.patterns, entry)
		}
	}
}

// excuse returns which of the rules allows a difference in an answer to a
// request of this route, if one does.
func (r *Rules) excuse(route string, d *Difference) (why string, ok bool) {
	if r == nil {
		return "", false
	}
	if why, ok = r.exact[subject{route, d.Place}]; ok {
		return why, true
	}
	if why, ok = r.exact[subject{"", d.Place}]; ok {
		return why, true
	}
	if why, ok = r.byPattern(subject{route, d.Place}); ok {
		return why, true
	}
	for i := range r.precise {
		if a := &r.precise[i]; a.match(d) && a.route.match(route) {
			return a.why, true
		}
	}
	return "", false
}

// byPattern asks the patterns, once for each route and place.
func (r *Rules) byPattern(s subject) (why string, ok bool) {
	if len(r.patterns) == 0 {
		return "", false
	}
	r.mu.RLock()
	known, found := r.cache[s]
	r.mu.RUnlock()
	if found {
		return known.why, known.ok
	}
	for i := range r.patterns {
		if a := &r.patterns[i]; a.match(&Difference{Place: s.place}) && a.route.match(s.route) {
			why, ok = a.why, true
			break
		}
	}
	r.mu.Lock()
	if len(r.cache) < maxDecisions {
		r.cache[s] = decision{why, ok}
	}
	r.mu.Unlock()
	return why, ok
}

// masked is what stands in an answer for what a mask matched. In a JSON string
// it leaves the document valid.
const masked = "***"

// mask replaces what the rules' regular expressions match in an answer, or in
// its body, by a fixed word: where the expression has groups, what they match.
// It says which rule was the first. Where none matches it returns body itself,
// and else memory of its own.
func (r *Rules) mask(route string, body []byte) (result []byte, why string) {
	if r == nil {
		return body, ""
	}
	for i := range r.masks {
		m := &r.masks[i]
		if !m.route.match(route) {
			continue
		}
		found := m.expr.FindAllSubmatchIndex(body, -1)
		if found == nil {
			continue
		}
		if why == "" {
			why = m.why
		}
		body = replaced(body, found)
	}
	return body, why
}

// replaced puts masked in place of what was found: matches with their groups,
// as regexp returns them.
func replaced(body []byte, found [][]int) []byte {
	result := make([]byte, 0, len(body)+len(masked))
	from := 0
	put := func(start, end int) {
		if start >= from { // else a group in a group, or one that matched nothing
			result = append(append(result, body[from:start]...), masked...)
			from = end
		}
	}
	for _, match := range found {
		if len(match) == 2 {
			put(match[0], match[1])
			continue
		}
		for g := 2; g < len(match); g += 2 {
			put(match[g], match[g+1])
		}
	}
	return append(result, body[from:]...)
}
