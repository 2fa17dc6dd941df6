package findings

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"tcpsandbox/compare"
)

// spot is a place together with how answers differ there, where that matters:
// an old version whose ETag is another one each time does not tell that the
// new one may have none, nor does a number that counts up make null right, nor
// a cache's 304 a 500.
type spot struct {
	compare.Place
	// how is "lost" or "added", the kinds of two JSON values, the status; empty
	// where only the values are other ones. Of a cookie its part stands first.
	how string
}

// spotOf says which spot a difference is in.
func spotOf(d *compare.Difference) spot {
	how := ""
	switch d.Place.Kind {
	case compare.InStatus:
		how = string(d.Application)
	case compare.InHeader, compare.InJSON, compare.InForm, compare.InCookie:
		how = becomes(valueKind(d.Place.Kind, d.Production), valueKind(d.Place.Kind, d.Application))
		if d.Place.Kind == compare.InCookie {
			how = strings.TrimPrefix(d.Path, d.Place.Name) + how
		}
	}
	return spot{d.Place, how}
}

func becomes(production, application string) string {
	switch {
	case production == application:
		return ""
	case application == "nothing":
		return "lost"
	case production == "nothing":
		return "added"
	}
	return production + " to " + application
}

// valueKind is what a value is, as far as another one of its kind may stand
// there. JSON values are told apart by how they begin.
func valueKind(in compare.Kind, v []byte) string {
	switch {
	case v == nil:
		return "nothing"
	case len(v) == 0, in == compare.InJSON && bytes.Equal(v, []byte(`""`)):
		return "empty"
	case in != compare.InJSON:
		return "value"
	case v[0] == '-' || '0' <= v[0] && v[0] <= '9':
		return "number"
	case v[0] == 't' || v[0] == 'f':
		return "bool"
	}
	return string(v[:1])
}

// spotsOf returns where an answer differs, sorted, each spot once; of one that
// is missing, the answer itself.
func spotsOf(res *compare.Result) []spot {
	if len(res.Differences) == 0 {
		return []spot{{Place: compare.Place{Kind: compare.InAnswer}}}
	}
	spots := make([]spot, 0, len(res.Differences))
	for i := range res.Differences {
		spots = append(spots, spotOf(&res.Differences[i]))
	}
	slices.SortFunc(spots, compareSpots)
	return slices.Compact(spots)
}

// placesOf returns the places of sorted spots, each once.
func placesOf(spots []spot) []compare.Place {
	var places []compare.Place
	for _, s := range spots {
		if n := len(places); n == 0 || places[n-1] != s.Place {
			places = append(places, s.Place)
		}
	}
	return places
}

func compareSpots(a, b spot) int {
	return cmp.Or(comparePlaces(a.Place, b.Place), strings.Compare(a.how, b.how))
}
