package tui

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
)

// filter tells which sessions are shown: those that all its terms let pass. The
// zero value lets all pass.
type filter struct {
	terms []term
	timed bool // time alone can change what matches
}

// term is one word of a filter.
type term struct {
	not  bool
	test func(r *sessionRow, now time.Time) bool
}

func (f *filter) match(r *sessionRow, now time.Time) bool {
	for i := range f.terms {
		if t := &f.terms[i]; t.test(r, now) == t.not {
			return false
		}
	}
	return true
}

// textKeys take key:text.
var textKeys = map[string]func(text string) (func(r *sessionRow, now time.Time) bool, error){
	"client": func(text string) (func(r *sessionRow, now time.Time) bool, error) {
		return address(text, func(r *sessionRow) string { return r.text[:r.client] }, func(r *sessionRow) netip.AddrPort { return r.view.Client })
	},
	"server": func(text string) (func(r *sessionRow, now time.Time) bool, error) {
		return address(text, func(r *sessionRow) string { return r.text[r.client+1 : r.server] }, func(r *sessionRow) netip.AddrPort { return r.view.Server })
	},
	"port": func(text string) (func(r *sessionRow, now time.Time) bool, error) {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return nil, errors.New("not a port")
		}
		return func(r *sessionRow, _ time.Time) bool { return r.view.Server.Port() == uint16(port) }, nil
	},
	"id": func(text string) (func(r *sessionRow, now time.Time) bool, error) {
		id, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, errors.New("not a session's number")
		}
		return func(r *sessionRow, _ time.Time) bool { return r.view.ID == id }, nil
	},
	"route": func(text string) (func(r *sessionRow, now time.Time) bool, error) {
		return func(r *sessionRow, _ time.Time) bool { return r.passes(text) }, nil
	},
	"state":   func(text string) (func(r *sessionRow, now time.Time) bool, error) { return state(text), nil },
	"verdict": verdict,
}

// numberKeys take key>number and key<number. What was not measured is neither.
var numberKeys = map[string]struct {
	parse func(text string) (int64, error)
	value func(r *sessionRow, now time.Time) (n int64, known bool)
	timed bool
}{
	"behind": {parseDuration, func(r *sessionRow, now time.Time) (int64, bool) {
		d := r.behind(now)
		return int64(d), d >= 0
	}, true},
	"latency": {parseDuration, func(r *sessionRow, _ time.Time) (int64, bool) {
		return int64(r.view.FirstApplication), r.view.FirstApplication > 0
	}, false},
	"requests": {parseNumber, func(r *sessionRow, _ time.Time) (int64, bool) { return int64(r.view.Requests), true }, false},
	"up":       {parseSize, func(r *sessionRow, _ time.Time) (int64, bool) { return r.up(), true }, false},
	"down":     {parseSize, func(r *sessionRow, _ time.Time) (int64, bool) { return r.down(), true }, false},
}

const keyNames = "client: server: port: state: verdict: route: id: behind> latency> requests> up> down>"

// parseFilter reads a line of words. All of them must match:
//
//	text               somewhere in the addresses, states, verdict or routes
//	client:10.0.0.0/8  client, server, port, state, verdict, route or id
//	behind>100ms       behind, latency, requests, up or down; or < instead
//	-word              what does not match the word
//
// Capitals do not matter. The error says in a few words what cannot be read.
func parseFilter(line string) (filter, error) {
	var f filter
	for _, word := range strings.Fields(strings.ToLower(line)) {
		t, timed, err := parseTerm(word)
		if err != nil {
			return filter{}, fmt.Errorf("%s: %w", visible(word), err)
		}
		f.terms = append(f.terms, t)
		f.timed = f.timed || timed
	}
	return f, nil
}

func parseTerm(word string) (t term, timed bool, err error) {
	word, t.not = strings.CutPrefix(word, "-")
	if word == "" {
		return t, false, errors.New("nothing to leave out")
	}
	at := strings.IndexAny(word, ":<>")
	if at <= 0 {
		t.test = plainWord(word)
		return t, false, nil
	}
	key, operator, value := word[:at], word[at], word[at+1:]
	if parse := textKeys[key]; parse != nil {
		switch {
		case operator != ':':
			return t, false, fmt.Errorf("want %s:…", key)
		case value == "":
			return t, false, fmt.Errorf("no %s given", key)
		}
		t.test, err = parse(value)
		return t, false, err
	}
	number, ok := numberKeys[key]
	if !ok {
		if strings.Trim(key, "abcdefghijklmnopqrstuvwxyz") == "" && strings.Trim(key, "abcdef") != "" {
			return t, false, fmt.Errorf("no such key; there are %s", keyNames)
		}
		t.test = plainWord(word) // an address, or whatever
		return t, false, nil
	}
	if operator == ':' {
		return t, false, fmt.Errorf("want %s>… or %s<…", key, key)
	}
	limit, err := number.parse(value)
	if err != nil {
		return t, false, err
	}
	t.test = func(r *sessionRow, now time.Time) bool {
		n, known := number.value(r, now)
		return known && (operator == '>' && n > limit || operator == '<' && n < limit)
	}
	return t, number.timed, nil
}

func parseDuration(s string) (int64, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, errors.New("not a duration")
	}
	return int64(d), nil
}

func parseNumber(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, errors.New("not a number")
	}
	return n, nil
}

// parseSize reads 1500, 10k, 1.5m: the table's units, which are decimal.
func parseSize(s string) (int64, error) {
	number, unit := strings.TrimSuffix(s, "b"), 1.0
	for i, name := range []string{"k", "m", "g", "t"} {
		if rest, ok := strings.CutSuffix(number, name); ok {
			number = rest
			for range i + 1 {
				unit *= 1000
			}
			break
		}
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || !(f >= 0 && f*unit < 1<<62) {
		return 0, errors.New("not a size")
	}
	return int64(f * unit), nil
}

// address matches a network, or a piece of the text.
func address(text string, shown func(r *sessionRow) string, real func(r *sessionRow) netip.AddrPort) (func(r *sessionRow, now time.Time) bool, error) {
	if strings.Contains(text, "/") {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, errors.New("not a network")
		}
		return func(r *sessionRow, _ time.Time) bool { return network.Contains(real(r).Addr()) }, nil
	}
	return func(r *sessionRow, _ time.Time) bool { return strings.Contains(shown(r), text) }, nil
}

// verdict matches a verdict by a piece of its word, or by its sign.
func verdict(text string) (func(r *sessionRow, now time.Time) bool, error) {
	yes, some := verdictsLike(text)
	if !some {
		return nil, errors.New("no such verdict")
	}
	return func(r *sessionRow, _ time.Time) bool { return yes[r.view.Verdict] }, nil
}

func verdictsLike(text string) (yes [len(verdictSigns)]bool, some bool) {
	for i := range yes {
		yes[i] = strings.Contains(compare.Verdict(i).String(), text) || verdictSigns[i] == text
		some = some || yes[i]
	}
	return yes, some
}

// states says which states of a session a text means.
type states struct {
	production  [replay.ProductionUnknown + 1]bool
	application [replay.Unplayed + 1]bool
	held        [replay.ForAccept + 1]bool
	record      func(state string) bool
}

// statesThat are the ones whose words are asked for.
func statesThat(asked func(word string) bool) *states {
	s := &states{record: asked}
	for i := range s.production {
		s.production[i] = asked(replay.ProductionState(i).String())
	}
	for i := range s.application {
		s.application[i] = asked(replay.ApplicationState(i).String())
	}
	for i := range s.held {
		s.held[i] = i > 0 && asked(replay.Holding(i).String())
	}
	return s
}

func (s *states) match(r *sessionRow) bool {
	v := &r.view
	return s.production[v.Production] || s.application[v.Application] || s.held[v.Held] || v.State != "" && s.record(v.State)
}

// state matches the word of a state; if there is no such, those that have it in
// them: "open" is not opening, but "read" is "not read".
func state(text string) func(r *sessionRow, now time.Time) bool {
	exact := false
	statesThat(func(word string) bool {
		exact = exact || word == text
		return false
	})
	s := statesThat(func(word string) bool { return word == text || !exact && strings.Contains(word, text) })
	return func(r *sessionRow, _ time.Time) bool { return s.match(r) }
}

// plainWord matches text anywhere in a row.
func plainWord(text string) func(r *sessionRow, now time.Time) bool {
	verdicts, _ := verdictsLike(text)
	s := statesThat(func(word string) bool { return strings.Contains(word, text) })
	return func(r *sessionRow, _ time.Time) bool {
		return verdicts[r.view.Verdict] || s.match(r) || strings.Contains(r.text, text) || r.passes(text)
	}
}

// passes tells whether a route has a text, in small letters, in it.
func (r *sessionRow) passes(text string) bool {
	for _, route := range r.routes.routes {
		if strings.Contains(route.lower, text) {
			return true
		}
	}
	return false
}

// filterHelp tells what can be written there.
const filterHelp = "Filter: words that must all be in a session's addresses, states, verdict or routes, such as /cart different. " +
	"-word leaves out. client: server: port: state: verdict: route: and id: look there only; client: and server: take networks, too. " +
	"behind>100ms latency<20ms requests>3 up>10k down>1.5M compare."
