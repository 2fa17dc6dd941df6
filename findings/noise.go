package findings

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tcpsandbox/compare"
)

// Noise is what the old version's answers differ in from production's, too,
// though nothing is wrong with it: times, random tokens, the order of a list.
// It is counted by route and place. In such a place the application may differ
// as well, unless it does so much more often than the old version: then that
// was chance, and this is a change.
//
// Times and random tokens are not held to that. A time in seconds differs as
// often as a second ends between two answers, which depends on how far one is
// behind the other; and where there are only a few answers, it may differ in
// none of the old version's. So where both values look like that, one place
// where the old version differed is enough, be it that of the same name in
// another route.

// noises decides about places, when the run is over.
type noises struct {
	leaves map[string]bool // names of places where the old version differs, whatever the route
}

func newNoises(byRoute map[string]*route) *noises {
	n := &noises{leaves: map[string]bool{}}
	for _, rt := range byRoute {
		for p, c := range rt.places {
			if c.baseline > 0 {
				n.leaves[leaf(p)] = true
			}
		}
	}
	return n
}

// often is the share of the old version's answers from which on a place is
// noise however often the application differs there.
const often = 0.1

// is reports whether a place is noise in the answers of a route.
func (n *noises) is(rt *route, p compare.Place) bool {
	c := rt.places[p]
	if c == nil {
		return false
	}
	if c.baseline == 0 {
		return n.leaves[leaf(p)] && c.volatile
	}
	if c.volatile || float64(c.baseline) >= often*float64(rt.baselineCompared) {
		return true
	}
	return !exceeds(c.application, rt.compared(), c.baseline, rt.baselineCompared)
}

// noiseForSure reports whether a place is noise whatever else comes.
func (rt *route) noiseForSure(p compare.Place) bool {
	c := rt.places[p]
	return c != nil && c.baseline > 0 && c.volatile
}

// exceeds reports whether a of n is so much more than b of m that chance does
// not explain it: by four standard deviations of the difference of two counts.
func exceeds(a, n, b, m int64) bool {
	if n == 0 || m == 0 {
		return a > 0
	}
	scaled := float64(a) * float64(m) / float64(n)
	return scaled-float64(b) > 4*math.Sqrt(scaled+float64(b))
}

// compared is the number of the application's answers that were compared.
func (rt *route) compared() (n int64) {
	for v, count := range rt.verdicts {
		if compare.Verdict(v) != compare.Uncompared {
			n += count
		}
	}
	return n
}

// leaf is what places of one meaning have in common in all routes: the header's
// name, the last key of a JSON path.
func leaf(p compare.Place) string {
	name := p.Name
	if p.Kind == compare.InJSON {
		name = strings.TrimRight(name, "[*]")
		name = name[strings.LastIndexAny(name, ".[")+1:]
	}
	return p.Kind.String() + " " + name
}

// sample returns what the two sides have in a place.
func sample(res *compare.Result, p compare.Place) (production, application string) {
	for i := range res.Differences {
		if d := &res.Differences[i]; d.Place == p {
			return string(d.Production), string(d.Application)
		}
	}
	return "", ""
}

var (
	uuid  = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
	token = regexp.MustCompile(`^[0-9A-Za-z_+/=.-]{16,}$`)
)

// volatile reports whether both values look like ones that are another every
// time: times that are less than a year apart, UUIDs, random tokens of one
// length.
func volatile(a, b string) bool {
	a, b = strings.Trim(a, `"`), strings.Trim(b, `"`)
	if x, ok := moment(a); ok {
		y, ok := moment(b)
		return ok && x.Sub(y).Abs() < 365*24*time.Hour
	}
	if uuid.MatchString(a) && uuid.MatchString(b) {
		return true
	}
	return len(a) == len(b) && random(a) && random(b)
}

// random reports whether a value looks like a random token: long, and of
// letters and digits in turn.
func random(s string) bool {
	if !token.MatchString(s) {
		return false
	}
	changes, digits := 0, 0
	for i := range len(s) {
		if class(s[i]) == 0 {
			digits++
		}
		if i > 0 && class(s[i]) != class(s[i-1]) {
			changes++
		}
	}
	return digits >= 2 && changes*4 >= len(s)
}

func class(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return 0
	case 'a' <= c && c <= 'z':
		return 1
	case 'A' <= c && c <= 'Z':
		return 2
	}
	return 3
}

// layouts in which times are written.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00",
	time.RFC1123, time.RFC1123Z, time.RFC850, time.ANSIC, "15:04:05.999999999",
}

// moment reads a time, also as seconds, milliseconds, microseconds or
// nanoseconds since 1970, of the years 2001 to 2100.
func moment(s string) (time.Time, bool) {
	if s == "" || len(s) > 40 {
		return time.Time{}, false
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return time.Time{}, false
	}
	for _, unit := range []float64{1, 1e3, 1e6, 1e9} {
		if seconds := f / unit; seconds >= 1e9 && seconds < 4.1e9 {
			return time.Unix(0, int64(seconds*1e9)), true
		}
	}
	return time.Time{}, false
}
