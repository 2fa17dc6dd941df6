package compare

import (
	"bytes"
	"strings"
)

// defaultHeaders differ between any two answers to the same request, or between
// any two programs, and say nothing about whether it was answered right.
// docs/verdict.md lists them with the reasons, and why others are not among them.
var defaultHeaders = []string{
	"Date", "Age", "Expires", // times
	"Server-Timing", "X-Runtime", "X-Response-Time", "X-Process-Time", "X-Timer", "X-Envoy-Upstream-Service-Time", "X-Kong-*-Latency", // durations
	"X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit-Remaining", "RateLimit-Reset", // counters
	"X-Request-Id", "Request-Id", "X-Correlation-Id", "Correlation-Id", "X-Trace-Id", // the request's name
	"Traceparent", "Tracestate", "Traceresponse", "X-B3-*", "B3", "Uber-Trace-Id", "X-Cloud-Trace-Context", "Sentry-Trace",
	"X-Amzn-Trace-Id", "X-Amzn-RequestId", "X-Amz-Request-Id", "X-Amz-Id-2", "X-Amz-Cf-Id", "X-Ms-Request-Id", "X-GitHub-Request-Id",
	"CF-Ray", "Fly-Request-Id", "X-Vercel-Id", "X-Varnish", "X-Kong-Request-Id",
	"Server", "X-Powered-By", // the program and its version, which are meant to be others
}

// Default returns the rules that hold unless a rules file turns them off:
// times, durations, ids and the program's name in header fields, and the values
// of cookies, as docs/verdict.md lists them.
func Default() *Rules {
	one := rule{builtin: true}
	for _, name := range defaultHeaders {
		name = strings.ToLower(name)
		a := allowance{key: "headers", text: name, name: newGlob(name, false), at: "default: header " + name}
		if name == "expires" {
			a.when = sameExpiry
		}
		one.allows = append(one.allows, a)
	}
	for _, c := range []struct {
		part string
		when func(*Difference) bool
	}{{"value", sameFilling}, {"Expires", sameExpiry}, {"Max-Age", sameLifetime}} {
		one.allows = append(one.allows, allowance{
			key: "cookies", at: "default: cookie " + c.part, name: newGlob("*", false),
			when: func(d *Difference) bool {
				return d.Place.Kind == InCookie && d.Path == d.Place.Name+" "+c.part && d.Production != nil && d.Application != nil && c.when(d)
			},
		})
	}
	return (&Rules{rules: []rule{one}}).compiled()
}

// sameFilling: both cookies have a value, or neither has. An empty one is how
// a cookie is taken back.
func sameFilling(d *Difference) bool {
	return (len(d.Production) == 0) == (len(d.Application) == 0)
}

// sameExpiry: both sides name a time, and either both or none of them is that
// of an answer, or a cookie, that is not to be kept. Those who mean that write
// the beginning of Unix time.
func sameExpiry(d *Difference) bool {
	if d.Place.Kind != InCookie && d.Place.Kind != InHeader {
		return false
	}
	date := func(v []byte) bool { return bytes.HasSuffix(v, []byte("GMT")) }
	epoch := func(v []byte) bool { return bytes.Contains(v, []byte("1970")) }
	return date(d.Production) && date(d.Application) && epoch(d.Production) == epoch(d.Application)
}

// sameLifetime: both cookies are to be kept for a time, or both to be dropped.
func sameLifetime(d *Difference) bool {
	dropped := func(v []byte) bool { return len(v) == 0 || v[0] == '-' || len(bytes.Trim(v, "0")) == 0 }
	return dropped(d.Production) == dropped(d.Application)
}
