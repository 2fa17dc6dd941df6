package compare

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// LearnedPlace is a place where answers to requests of a route may differ,
// because those of the old version do.
type LearnedPlace struct {
	Route string
	Place Place
	// Differed of Answers of the old version's differ there.
	Differed, Answers int64
}

// Learned returns rules that excuse differences in these places of these
// routes, and no others. Places that no rules file can name are left out: an
// answer that production did not give, and names that are not UTF-8.
func Learned(places []LearnedPlace) *Rules {
	r := &Rules{}
	for _, group := range byRoute(places) {
		one := rule{route: globFor(group[0].Route, true), why: "learned"}
		for _, p := range group {
			a, _ := learned(p)
			one.allows = append(one.allows, a)
		}
		r.rules = append(r.rules, one)
	}
	return r.compiled()
}

// learned returns what allows a difference in that place.
func learned(p LearnedPlace) (a allowance, ok bool) {
	if p.Route == "" || !writable(p.Route) || !writable(p.Place.Name) {
		return a, false
	}
	name := p.Place.Name
	switch p.Place.Kind {
	case InStatus:
		a.key = map[string]string{"": "status", "interim": "interim"}[name]
	case InBody:
		a.key, a.text = "body", wholeBody
	case InEnd:
		a.key = "end"
	case InClose:
		a.key, a.text = "close", name
	case InHeader:
		a.key, a.text = "headers", globFor(name, false).text
	case InCookie:
		a.key, a.text = "cookies", globFor(name, false).text
	case InForm:
		a.key, a.text = "fields", globFor(name, false).text
	case InJSON, InOrder:
		path, err := readPath(name)
		if err != nil {
			return a, false
		}
		a.key = map[Kind]string{InJSON: "json", InOrder: "unordered"}[p.Place.Kind]
		a.text = path.String()
	case InText:
		a.key, a.text = "lines", strings.TrimPrefix(name, "line ")
	case InBytes:
		a.key, a.text = "bytes", name
	}
	if a.key == "" || a.text == "" && slices.Contains([]string{"headers", "cookies", "fields", "close"}, a.key) {
		return a, false
	}
	a.at = "learned"
	return a, a.read() == nil
}

// byRoute sorts places by route and drops those that cannot be written, and
// those that come twice.
func byRoute(places []LearnedPlace) (groups [][]LearnedPlace) {
	at := make(map[string]int)
	seen := make(map[subject]bool)
	for _, p := range places {
		s := subject{p.Route, p.Place}
		if _, ok := learned(p); !ok || seen[s] {
			continue
		}
		seen[s] = true
		n, known := at[p.Route]
		if !known {
			n = len(groups)
			at[p.Route] = n
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], p)
	}
	return groups
}

// learnedBy is the first line of a rules file that is ours to write.
const learnedBy = "# Learned by tcpsandbox --learn, which adds to this file. Edit it as you like, but for this line."

// errForeign is why a file is not added to.
var errForeign = errors.New("it was not written by --learn, and is left as it is")

// WriteLearned returns the text of a rules file that holds the places, each with
// a comment that says how often answers differed there. existing is the file's
// text until now, nil if there is none: it stays as it is, and what it does not
// allow yet is added behind it. The name is for errors, which are *RulesError.
func WriteLearned(name string, existing []byte, places []LearnedPlace) ([]byte, error) {
	text, rest := []byte(learnedBy+"\nversion: 1\nrules:"), places
	old := &Rules{}
	if len(existing) > 0 {
		if !bytes.HasPrefix(existing, []byte(learnedBy)) {
			return nil, &RulesError{File: name, Problem: errForeign.Error(), Fix: "give --learn a file of its own, and both to --rules"}
		}
		var err error
		if old, err = ParseRules(name, existing); err != nil {
			return nil, err
		}
		rest = slices.DeleteFunc(slices.Clone(places), func(p LearnedPlace) bool {
			_, ok := old.excuse(p.Route, &Difference{Place: p.Place})
			return ok
		})
	}
	groups := byRoute(rest)
	if len(old.rules) > 0 {
		text = bytes.TrimRight(existing, "\n")
	}
	if len(old.rules) == 0 && len(groups) == 0 {
		text = append(text, " []"...)
	}
	for _, group := range groups {
		text = append(text, learnedRule(group)...)
	}
	text = append(text, '\n')
	if _, err := ParseRules(name, text); err != nil { // the list of rules was not the last thing in it
		return nil, &RulesError{File: name, Problem: "nothing can be added to it", Fix: "put the list of rules last, indented by two spaces"}
	}
	return text, nil
}

// learnedRule writes a rule for places of one route, each on a line.
func learnedRule(group []LearnedPlace) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n  - route: %s", quoted(globFor(group[0].Route, true).text))
	for _, key := range allowKeys {
		first := true
		for _, p := range group {
			a, _ := learned(p)
			if a.key != key {
				continue
			}
			switch {
			case a.plain() != "":
				fmt.Fprintf(&b, "\n    %s: %s", key, a.plain())
			case first:
				fmt.Fprintf(&b, "\n    %s:", key)
				fallthrough
			default:
				fmt.Fprintf(&b, "\n      - %s", quoted(a.text))
			}
			fmt.Fprintf(&b, " # differed in %d of %d of the baseline's answers", p.Differed, p.Answers)
			first = false
		}
	}
	return b.String()
}

// Marshal writes the rules as a rules file that ParseRules reads to the same
// rules. The default rules are not written.
func (r *Rules) Marshal() []byte {
	var b strings.Builder
	b.WriteString("version: 1\n")
	if r != nil && r.noDefault {
		b.WriteString("default: false\n")
	}
	b.WriteString("rules:")
	none := true
	if r != nil {
		for i := range r.rules {
			if one := &r.rules[i]; !one.builtin {
				none = false
				one.write(&b)
			}
		}
	}
	if none {
		b.WriteString(" []")
	}
	b.WriteByte('\n')
	return []byte(b.String())
}

func (one *rule) write(b *strings.Builder) {
	lead := "\n  - "
	line := func(format string, args ...any) {
		b.WriteString(lead)
		fmt.Fprintf(b, format, args...)
		lead = "\n    "
	}
	if !one.route.all() {
		line("route: %s", quoted(one.route.text))
	}
	if one.why != "" {
		line("why: %s", quoted(one.why))
	}
	key := ""
	for _, a := range one.allows {
		if plain := a.plain(); plain != "" {
			line("%s: %s", a.key, plain)
			continue
		}
		if a.key != key {
			key = a.key
			line("%s:", key)
		}
		if a.key == "tolerance" {
			line("  %s: %s", quoted(a.text), quoted(a.value))
		} else {
			line("  - %s", quoted(a.text))
		}
	}
}

// plain returns the value of a key that has no list.
func (a *allowance) plain() string {
	switch {
	case a.text == "":
		return "true"
	case a.key == "body":
		return a.text
	}
	return ""
}

// writable reports whether a rules file can hold a text.
func writable(text string) bool { return utf8.ValidString(text) }

// quoted writes text as a double-quoted scalar of YAML (YAML 1.2 §7.3.1).
func quoted(text string) string {
	b := []byte{'"'}
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case c < 0x80 && unicode.IsPrint(c), c >= 0xa0 && unicode.IsPrint(c):
			b = utf8.AppendRune(b, c)
		case c < 0x100:
			b = fmt.Appendf(b, `\x%02x`, c)
		case c < 0x10000:
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = fmt.Appendf(b, `\U%08x`, c)
		}
	}
	return string(append(b, '"'))
}
