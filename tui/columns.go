package tui

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
)

// column is one of the session table.
type column struct {
	title string
	right bool // aligned
	// from is the width of the terminal from which on the column is shown. What
	// is shown at a width has room there at min cells each, and one between.
	from, min int
	// want is what it gets before others get more than they want; 0: min.
	want int
	// grows: gets what nobody else wants, up to its widest text. The last column
	// gets all that is left then.
	grows bool
	down  bool // what is large is of interest, and comes first
	timed bool // time alone changes it
	cell  func(r *sessionRow, now time.Time) string
	key   func(r *sessionRow, now time.Time) entry
	// routes: key has the beginning of the first route, and which list it is of.
	routes bool
	style  func(r *sessionRow, st *styles) *brush
}

// The columns, from left to right.
const (
	numberColumn = iota
	clientColumn
	serverColumn
	portColumn
	stateColumn
	productionColumn
	requestsColumn
	verdictColumn
	behindColumn
	latencyColumn
	inProductionColumn
	upColumn
	downColumn
	protoColumn
	asColumn
	routesColumn
)

// verdictWidth is that of the longest verdict with its sign.
const verdictWidth = 12

// columns is the table's make-up. The first column has a cell for the cursor.
var columns = [...]column{
	numberColumn: {title: "#", right: true, min: 7, grows: true, cell: numberCell, key: func(r *sessionRow, _ time.Time) entry {
		return entry{hi: r.view.ID, lo: uint64(r.view.Copy)}
	}},
	clientColumn: {title: "client", from: 35, min: 14, want: 20, grows: true,
		cell: func(r *sessionRow, _ time.Time) string { return r.text[:r.client] },
		key:  func(r *sessionRow, _ time.Time) entry { return addressKey(r.view.Client) }},
	serverColumn: {title: "server", from: 162, min: 21, grows: true,
		cell: func(r *sessionRow, _ time.Time) string { return r.text[r.client+1 : r.server] },
		key:  func(r *sessionRow, _ time.Time) entry { return addressKey(r.view.Server) }},
	portColumn: {title: "port", right: true, from: 48, min: 5,
		cell: func(r *sessionRow, _ time.Time) string { return strconv.Itoa(int(r.view.Server.Port())) },
		key:  func(r *sessionRow, _ time.Time) entry { return entry{hi: uint64(r.view.Server.Port())} }},
	stateColumn: {title: "application", min: 10, want: 20, cell: stateCell, key: stateKey, style: stateStyle},
	productionColumn: {title: "production", from: 99, min: 10, cell: productionCell,
		key: func(r *sessionRow, _ time.Time) entry { return entry{hi: uint64(r.view.Production)} }},
	requestsColumn: {title: "req", right: true, from: 53, min: 4, down: true,
		cell: func(r *sessionRow, _ time.Time) string { return countCell(int64(r.view.Requests)) },
		key:  func(r *sessionRow, _ time.Time) entry { return signedKey(int64(r.view.Requests)) }},
	verdictColumn: {title: "verdict", min: 1, want: verdictWidth, down: true, cell: verdictCell,
		key: func(r *sessionRow, _ time.Time) entry { return entry{hi: verdictRanks[r.view.Verdict]} }, style: verdictStyle},
	behindColumn: {title: "behind", right: true, from: 42, min: 6, down: true, timed: true,
		cell: func(r *sessionRow, now time.Time) string { return timeCell(r.behind(now)) },
		key:  func(r *sessionRow, now time.Time) entry { return signedKey(int64(r.behind(now))) }},
	latencyColumn: {title: "latency", right: true, from: 88, min: 7, down: true,
		cell: func(r *sessionRow, _ time.Time) string { return measuredCell(r.view.FirstApplication) },
		key:  func(r *sessionRow, _ time.Time) entry { return signedKey(int64(r.view.FirstApplication)) }},
	inProductionColumn: {title: "in prod", right: true, from: 119, min: 7, down: true,
		cell: func(r *sessionRow, _ time.Time) string { return measuredCell(r.view.FirstProduction) },
		key:  func(r *sessionRow, _ time.Time) entry { return signedKey(int64(r.view.FirstProduction)) }},
	upColumn: {title: "up", right: true, from: 105, min: 5, down: true,
		cell: func(r *sessionRow, _ time.Time) string { return countCell(r.up()) },
		key:  func(r *sessionRow, _ time.Time) entry { return signedKey(r.up()) }},
	downColumn: {title: "down", right: true, from: 111, min: 5, down: true,
		cell: func(r *sessionRow, _ time.Time) string { return countCell(r.down()) },
		key:  func(r *sessionRow, _ time.Time) entry { return signedKey(r.down()) }},
	protoColumn: {title: "proto", from: 190, min: 5,
		cell: func(r *sessionRow, _ time.Time) string { return r.view.Proto.String() },
		key:  func(r *sessionRow, _ time.Time) entry { return entry{hi: uint64(r.view.Proto)} }},
	asColumn: {title: "as", from: 184, min: 21, grows: true, cell: asCell,
		key: func(r *sessionRow, _ time.Time) entry { return addressKey(r.view.As) }},
	routesColumn: {title: "routes", from: 140, min: 20, cell: routesCell, key: routesKey, routes: true},
}

// up is how many bytes reached the application, of a capture that nobody plays
// the server; -1: it is not known.
func (r *sessionRow) up() int64 {
	if r.view.Application == replay.Unplayed {
		return r.view.Captured
	}
	return r.view.Delivered
}

// down is how many bytes the client was answered, as up.
func (r *sessionRow) down() int64 {
	if r.view.Application == replay.Unplayed {
		return r.view.Served
	}
	return r.view.Answered
}

// signedKey orders numbers.
func signedKey(n int64) entry { return entry{hi: uint64(n) ^ 1<<63} }

// addressKey orders by address, then by port. An IPv4 address stands where the
// IPv6 one does that it is mapped to.
func addressKey(a netip.AddrPort) entry {
	if !a.IsValid() {
		return entry{}
	}
	b := a.Addr().As16()
	return entry{hi: binary.BigEndian.Uint64(b[:8]), lo: binary.BigEndian.Uint64(b[8:]), low: uint32(a.Port())}
}

// prefixKey orders texts by their first 16 bytes.
func prefixKey(s string) entry {
	var b [16]byte
	copy(b[:], s)
	return entry{hi: binary.BigEndian.Uint64(b[:8]), lo: binary.BigEndian.Uint64(b[8:])}
}

func numberCell(r *sessionRow, _ time.Time) string {
	n := strconv.FormatUint(r.view.ID, 10)
	if r.view.Copy > 0 {
		n += "." + strconv.Itoa(r.view.Copy)
	}
	return n
}

func asCell(r *sessionRow, _ time.Time) string {
	if len(r.text) > int(r.server) {
		return r.text[r.server+1:]
	}
	return ""
}

// stateCell says how far the session has come, and why not further: "held:
// answer", "failed: reset".
func stateCell(r *sessionRow, _ time.Time) string {
	state, why := r.view.Application.String(), r.view.Held.String()
	switch r.view.Application {
	case replay.Failed:
		why = r.view.State
	case replay.Ended:
		if why = r.view.State; why == "finished" {
			why = ""
		}
	}
	if why == "" {
		return state
	}
	return state + ": " + why
}

// stateKey orders by how far it has come, then by why not further.
func stateKey(r *sessionRow, _ time.Time) entry {
	e := prefixKey(r.view.State)
	e.low = uint32(e.lo)
	e.lo = e.hi<<32 | e.lo>>32
	e.hi = uint64(r.view.Application)<<40 | uint64(r.view.Held)<<32 | e.hi>>32
	return e
}

func stateStyle(r *sessionRow, st *styles) *brush {
	switch r.view.Application {
	case replay.Failed:
		return &st.Bad
	case replay.Open, replay.Connecting, replay.Closing:
		return &st.Good
	case replay.Held:
		switch r.view.Held {
		case replay.ForStart, replay.ForPause, replay.ForTime: // nothing is wrong
		default:
			return &st.Warn
		}
	}
	return &st.Faint
}

func productionCell(r *sessionRow, _ time.Time) string { return r.view.Production.String() }

// verdictSigns tell verdicts apart where there is no room, nor colours.
var verdictSigns = [...]string{
	compare.Identical: "=", compare.Equivalent: "≈", compare.Different: "≠", compare.Missing: "∅", compare.Uncompared: "·",
}

// verdictRanks order verdicts by how bad they are.
var verdictRanks = [...]uint64{
	compare.Uncompared: 0, compare.Identical: 1, compare.Equivalent: 2, compare.Different: 3, compare.Missing: 4,
}

func verdictCell(r *sessionRow, _ time.Time) string {
	return verdictSigns[r.view.Verdict] + " " + r.view.Verdict.String()
}

func verdictStyle(r *sessionRow, st *styles) *brush {
	switch r.view.Verdict {
	case compare.Different:
		return &st.Warn
	case compare.Missing:
		return &st.Bad
	case compare.Uncompared:
		return &st.Faint
	}
	return &st.Good
}

// behind is how much later than captured the latest chunk was, or the one that
// is held is already; negative: not known.
func (r *sessionRow) behind(now time.Time) time.Duration {
	if r.view.Due.IsZero() || !now.After(r.view.Due) {
		return r.view.Behind
	}
	return max(r.view.Behind, now.Sub(r.view.Due))
}

func routesCell(r *sessionRow, _ time.Time) string {
	texts := make([]string, len(r.routes.routes))
	for i, route := range r.routes.routes {
		texts[i] = route.text
	}
	return strings.Join(texts, ", ")
}

// routesKey has the beginning of the first route, and which list it is.
func routesKey(r *sessionRow, _ time.Time) entry {
	var e entry
	if len(r.routes.routes) > 0 {
		e = prefixKey(r.routes.routes[0].text)
	}
	e.low = r.routes.number
	return e
}

// countCell writes a number in four cells: 9999, 10k, 1.2M.
func countCell(n int64) string {
	if n < 0 { // not known
		return none
	}
	if n < 10_000 {
		return strconv.FormatInt(n, 10)
	}
	for i := 0; ; i++ {
		rest := n % 1000
		if n /= 1000; n < 10 {
			return strconv.FormatInt(n, 10) + "." + strconv.FormatInt(rest/100, 10) + "kMGTPE"[i:i+1]
		}
		if n < 1000 {
			return strconv.FormatInt(n, 10) + "kMGTPE"[i:i+1]
		}
	}
}

// timeCell writes a duration in six cells: 1.23ms, 12.3s, 12m05s. A negative
// one is not known.
func timeCell(d time.Duration) string {
	decimal := func(unit time.Duration, name string) string {
		switch n := d * 100 / unit; {
		case n < 1000:
			return strconv.FormatFloat(float64(n)/100, 'f', 2, 64) + name
		case n < 10_000:
			return strconv.FormatFloat(float64(n/10)/10, 'f', 1, 64) + name
		}
		return strconv.Itoa(int(d/unit)) + name
	}
	two := func(n time.Duration) string { return strconv.Itoa(int(n/10)) + strconv.Itoa(int(n%10)) }
	switch {
	case d < 0:
		return ""
	case d == 0:
		return "0"
	case d < time.Millisecond:
		return strconv.Itoa(int(d/time.Microsecond)) + "µs"
	case d < time.Second:
		return decimal(time.Millisecond, "ms")
	case d < 100*time.Second:
		return decimal(time.Second, "s")
	case d < 100*time.Minute:
		return strconv.Itoa(int(d/time.Minute)) + "m" + two(d%time.Minute/time.Second) + "s"
	case d < 100*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h" + two(d%time.Hour/time.Minute) + "m"
	}
	return strconv.Itoa(int(d/(24*time.Hour))) + "d"
}

// measuredCell is timeCell of what is 0 if it was not measured.
func measuredCell(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return timeCell(d)
}
