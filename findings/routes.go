package findings

import (
	"slices"
	"strconv"
	"strings"
	"sync"
)

// router names requests of one kind. Of an HTTP request that is the method and
// the path, without its query, where segments that look like an identifier are
// "{id}" and such. A segment that looks like a word stands for itself, until
// there are more than maxChildren of them in one place (/users/alice,
// /users/bob, …): then they all are "{name}", also those met before, which
// final tells.
type router struct {
	mu    sync.Mutex
	known map[string]string // requests, up to their query, to routes; bounded
	root  *segment
	nodes int
}

// segment is a place in the paths met so far.
type segment struct {
	next map[string]*segment
	any  bool // all that follow are "{name}"
}

const (
	// maxChildren is how many words may follow each other's place before they
	// are taken for names. The largest APIs have some 200 in one place.
	maxChildren = 300
	maxNodes    = 20_000
	maxKnown    = 10_000 // 2 MB with paths of 100 bytes
	maxDepth    = 16     // segments of a route; what follows is "…"
	// maxTurns is how many turns of a session are routes of their own, where no
	// framer knows the requests.
	maxTurns = 20
)

func (r *router) init() {
	r.known, r.root = map[string]string{}, &segment{}
}

// route returns a request's method, if it is HTTP, and its route.
func (r *router) route(request string, http bool) (method, route string) {
	if !http {
		return "", turnRoute(request)
	}
	line, ok := requestTarget(request)
	method, path, spaced := strings.Cut(line, " ")
	if !ok || !spaced {
		return "", request
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if route, ok := r.known[line]; ok {
		return method, route
	}
	route = r.walk(method, path)
	if len(r.known) == maxKnown {
		clear(r.known)
	}
	r.known[strings.Clone(line)] = route
	return method, route
}

// final returns what a route has become since it was given out.
func (r *router) final(route string) string {
	method, path, ok := strings.Cut(route, " ")
	if !ok || !strings.HasPrefix(path, "/") {
		return route
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.walk(method, path)
}

// turnRoute puts late turns together: "turn 21 and later".
func turnRoute(request string) string {
	word, number, ok := strings.Cut(request, " ")
	if n, err := strconv.Atoi(number); ok && err == nil && n > maxTurns {
		return word + " " + strconv.Itoa(maxTurns+1) + " and later"
	}
	return request
}

// requestTarget cuts a request line down to "GET /cart": neither query nor
// version, nor the authority that a proxy is told.
func requestTarget(line string) (string, bool) {
	i := strings.LastIndex(line, " ")
	if i < 0 {
		return line, false
	}
	if !strings.HasPrefix(line[i+1:], "HTTP/") {
		// The line was cut to a readable length, in its target.
		if i = strings.IndexAny(line, "?#"); i < 0 {
			return line, strings.Contains(line, " ")
		}
	}
	line = line[:i]
	if i := strings.IndexAny(line, "?#"); i >= 0 {
		line = line[:i]
	}
	return line, true
}

// walk names the segments of a path, and remembers the words.
func (r *router) walk(method, path string) string {
	if scheme := strings.Index(path, "://"); scheme > 0 && !strings.HasPrefix(path, "/") {
		path = path[scheme+3:]
		if i := strings.IndexByte(path, '/'); i >= 0 {
			path = path[i:]
		} else {
			path = "/"
		}
	}
	if !strings.HasPrefix(path, "/") {
		return method + " " + path // "*", or of CONNECT
	}
	var b strings.Builder
	b.WriteString(method)
	b.WriteByte(' ')
	at := r.child(r.root, method)
	for depth, s := range strings.Split(path[1:], "/") {
		b.WriteByte('/')
		if depth == maxDepth {
			b.WriteString("…")
			break
		}
		name := placeholder(s)
		if name == "" {
			name = s
			if at.any {
				name = "{name}"
			} else if next := r.child(at, s); next == nil {
				name = "{name}"
			}
		}
		b.WriteString(name)
		at = r.child(at, name)
		if at == nil {
			at = &segment{any: true}
		}
	}
	return b.String()
}

// child returns what follows a segment; nil: there are too many to tell apart.
func (r *router) child(at *segment, name string) *segment {
	if next := at.next[name]; next != nil {
		return next
	}
	named := slices.Contains(placeholders, name)
	if r.nodes >= 2*maxNodes || !named && len(at.next) < maxChildren && r.nodes >= maxNodes {
		return nil // the words that are known stay what they are
	}
	if !named && len(at.next) >= maxChildren {
		at.any = true
		for word := range at.next {
			if !slices.Contains(placeholders, word) {
				delete(at.next, word)
			}
		}
		clear(r.known) // they may be named otherwise now
		return nil
	}
	if at.next == nil {
		at.next = map[string]*segment{}
	}
	next := &segment{}
	at.next[strings.Clone(name)] = next
	r.nodes++
	return next
}

var placeholders = []string{"{id}", "{uuid}", "{date}", "{email}", "{name}"}

// placeholder returns what stands for a segment that is an identifier, or "".
func placeholder(s string) string {
	digits, letters, hex, other := 0, 0, true, 0
	for i := range len(s) {
		c := s[i]
		switch {
		case '0' <= c && c <= '9':
			digits++
		case 'a' <= c|0x20 && c|0x20 <= 'z':
			letters++
			hex = hex && c|0x20 <= 'f'
		case c == '-' || c == '_':
			other++
		default:
			hex = false
			other++
		}
	}
	switch {
	case s == "":
		return ""
	case slices.Contains(placeholders, s): // of a route that was given out
		return s
	case digits == len(s):
		return "{id}"
	case len(s) == 36 && hex && strings.Count(s, "-") == 4:
		return "{uuid}"
	case len(s) == 10 && digits == 8 && s[4] == '-' && s[7] == '-':
		return "{date}"
	case hex && other == 0 && digits > 0 && letters > 0 && len(s) >= 8:
		return "{id}"
	case digits >= 3 && letters >= 3 && len(s) >= 16 && strings.IndexByte(s, '.') < 0 && strings.Count(s, "-") < 3:
		return "{id}" // base64url, ULID, …
	case strings.IndexByte(s, '@') > 0:
		return "{email}"
	}
	return ""
}
