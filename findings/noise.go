package findings

import (
	"maps"
	"math"
	"regexp"
	"slices"
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
// where the old version differed is enough, and of times be it that of the same
// name in another route. A time that differs by what the clock went on between
// the two answers is noise though the old version's was never asked at such a
// moment: see clock.

// noises decides about places, when the run is over.
type noises struct {
	leaves map[string]bool // names of places where the old version differs, whatever the route
}

func newNoises(byRoute map[string]*route) *noises {
	n := &noises{leaves: map[string]bool{}}
	for _, rt := range byRoute {
		for p, c := range rt.places {
			if c.baseline > 0 {
				n.leaves[leaf(p.Place)] = true
			}
		}
	}
	return n
}

// often is the share of the old version's answers from which on a place is
// noise however often the application differs there.
const often = 0.1

// By how many standard deviations the application must differ more often than
// the old version. It is less where chance is no likely reason: in 1,000
// answers 10 of status 500 are more than 1.
const (
	clearly      = 4
	clearlyGrave = 2.5
)

// is reports whether a spot is noise in the answers of a route.
func (n *noises) is(rt *route, p spot) bool {
	c := rt.places[p]
	switch {
	case c == nil:
		return false
	case c.volatile:
		// Random tokens are never the same by chance: where those of the old
		// version are, they are none.
		return c.baseline > 0 || n.leaves[leaf(p.Place)] && (c.time || rt.baselineCompared == 0) ||
			c.time && !c.own && rt.baselineCompared > 0
	case rt.within(p.Place):
		return true
	case c.baseline == 0:
		// The old version's values are not told how many answers it takes until
		// one of them is null by chance, but that it may be.
		return p.how != "" && p.Kind != compare.InStatus && 2*c.application < rt.compared() &&
			!exceeds(c.application, rt.compared(), 0, rt.baselineCompared, clearlyGrave) && rt.varies(p.Place)
	case p.grave():
		return !exceeds(c.application, rt.compared(), c.baseline, rt.baselineCompared, clearlyGrave)
	}
	return rt.often(p.Place) ||
		!exceeds(c.application, rt.compared(), c.baseline, rt.baselineCompared, clearly)
}

// grave reports whether answers that differ there are not just other ones:
// these differ as often in the old version, or there is a change.
func (p spot) grave() bool { return p.how != "" || p.ofAll() }

// ofAll reports whether p is about an answer as a whole.
func (p spot) ofAll() bool {
	switch p.Kind {
	case compare.InAnswer, compare.InStatus, compare.InEnd, compare.InClose:
		return true
	}
	return false
}

// varies reports whether the old version differs in a place in any way.
func (rt *route) varies(p compare.Place) bool {
	for s, c := range rt.places {
		if s.Place == p && c.baseline > 0 {
			return true
		}
	}
	return false
}

// within reports whether a place is a piece of text or bytes inside another one
// in which the old version differs often: of random bytes some are the same by
// chance, and of lists of random length a line may be there on both sides.
func (rt *route) within(p compare.Place) bool {
	switch p.Kind {
	case compare.InText:
		line, _, word := strings.Cut(p.Name, " word ")
		return word && rt.often(compare.Place{Kind: compare.InText, Name: line})
	case compare.InBytes:
		from, until := bytesOf(p.Name)
		for s := range rt.places {
			if s.Kind == compare.InBytes && s.Place != p && rt.often(s.Place) {
				if f, u := bytesOf(s.Name); f <= from && until <= u {
					return true
				}
			}
		}
	}
	return false
}

func (rt *route) often(p compare.Place) bool {
	c := rt.places[spot{Place: p}]
	return c != nil && c.baseline > 0 && float64(c.baseline) >= often*float64(rt.baselineCompared)
}

// bytesOf reads the name of a place in bytes, "16-20" or "16-".
func bytesOf(name string) (from, until int64) {
	first, last, _ := strings.Cut(name, "-")
	from, _ = strconv.ParseInt(first, 10, 64)
	until, err := strconv.ParseInt(last, 10, 64)
	if err != nil {
		until = math.MaxInt64
	}
	return from, until
}

// of returns the noise of a route by place. An answer that differs in two ways
// in one place is counted for the more frequent one.
func (n *noises) of(rt *route) []Noise {
	byPlace := map[compare.Place]Noise{}
	for p, c := range rt.places {
		if n.is(rt, p) {
			x := byPlace[p.Place]
			byPlace[p.Place] = Noise{rt.name, p.Place, max(x.Baseline, c.baseline), max(x.Application, c.application), rt.baselineCompared}
		}
	}
	return slices.Collect(maps.Values(byPlace))
}

// noiseForSure reports whether a place is noise whatever else comes.
func (rt *route) noiseForSure(p spot) bool {
	c := rt.places[p]
	return c != nil && c.baseline > 0 && c.volatile
}

// exceeds reports whether a of n is so much more than b of m that chance does
// not explain it: by so many standard deviations of the difference of two counts.
func exceeds(a, n, b, m int64, deviations float64) bool {
	if n == 0 || m == 0 {
		return a > 0
	}
	scaled := float64(a) * float64(m) / float64(n)
	return scaled-float64(b) > deviations*math.Sqrt(scaled+float64(b))
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
func sample(res *compare.Result, p spot) (production, application string) {
	for i := range res.Differences {
		if d := &res.Differences[i]; spotOf(d) == p {
			return string(d.Production), string(d.Application)
		}
	}
	return "", ""
}

var (
	uuid  = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
	token = regexp.MustCompile(`^[0-9A-Za-z_+/=.-]{16,}$`)
)

func isTime(value string) bool {
	_, _, ok := moment(strings.Trim(value, `"`))
	return ok
}

// volatile reports whether both values look like ones that are another every
// time: times that are less than a year apart, UUIDs, random tokens of one
// length.
func volatile(a, b string) bool {
	a, b = strings.Trim(a, `"`), strings.Trim(b, `"`)
	if x, _, ok := moment(a); ok {
		y, _, ok := moment(b)
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
	time.RFC1123, time.RFC1123Z, time.RFC850, time.ANSIC, time.UnixDate, "15:04:05.999999999",
	"2006-01-02T15:04:05.999999999Z0700", "20060102T150405Z0700", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05.999999999 MST",
	"2006/01/02 15:04:05", "02/Jan/2006:15:04:05 -0700", "01/02/2006 15:04:05", "1/2/2006 3:04:05 PM",
}

// moment reads a time, also as seconds, milliseconds, microseconds or
// nanoseconds since 1970, of the years 2001 to 2100, and the unit that it is
// written in: a second, or what its decimals leave of it.
func moment(s string) (at time.Time, unit time.Duration, ok bool) {
	if s == "" || len(s) > 40 {
		return time.Time{}, 0, false
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, unitOf(s, time.Second), true
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return time.Time{}, 0, false
	}
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond, time.Nanosecond} {
		if seconds := f * unit.Seconds(); seconds >= 1e9 && seconds < 4.1e9 {
			unit = unitOf(s, unit)
			return time.Unix(0, int64(seconds*1e9)).Round(unit), unit, true
		}
	}
	return time.Time{}, 0, false
}

// unitOf returns what the decimals of a number in s leave of a unit.
func unitOf(s string, unit time.Duration) time.Duration {
	point := strings.LastIndexAny(s, ".,")
	for i := point + 1; point >= 0 && i < len(s) && class(s[i]) == 0; i++ {
		unit = max(unit/10, 1)
	}
	return unit
}
