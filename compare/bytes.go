package compare

import (
	"bytes"
	"strconv"

	"tcpsandbox/protocol"
)

const (
	// runGap is how many equal bytes between two differing ones make two runs
	// of them: less would tear a number or an address apart.
	runGap = 4
	// runLimit bounds the runs that are told apart, and shown to the rules. The
	// rest is one.
	runLimit = 256
)

// raw compares two answers that are no messages: as text, where both are, or
// by bytes. http: they should have been, so that secrets may stand in them.
func (f *found) raw(production, application *Answer, http bool) {
	p, a := production.Head, application.Head
	x, y := p, a // as they are shown
	if http {
		x, y = blankSecrets(p), blankSecrets(a)
	}
	n := mismatch(p, a)
	switch {
	case !production.Kept() || !application.Kept():
		f.note(difference(production, application, x, y))
	case n == len(a) && !application.Complete: // and nothing else: see below
	case http:
		f.bytesShown(p, a, x, y)
	default:
		f.unframed(p, a, application.Complete)
	}
	if !application.Complete {
		d := difference(production, application, x, y)
		d.Place = Place{Kind: InEnd}
		f.note(d)
	}
}

// unframed compares two answers of which nothing is known.
func (f *found) unframed(production, application []byte, complete bool) {
	p, a, same := f.masked(production, application)
	if same {
		return
	}
	if !complete || lineEnds(p) != lineEnds(a) || !f.text(p, a) {
		f.bytes(p, a)
		return
	}
	if len(f.differences) > 0 {
		d := &f.differences[0]
		d.Offset = int64(mismatch(production, application))
		d.ProductionLen, d.ApplicationLen = f.productionLen, f.applicationLen
	}
}

// lineEnds tells which kinds of line ends there are: in a protocol, other than
// in a text, they matter.
func lineEnds(p []byte) (ends struct{ lf, crlf bool }) {
	crlf := bytes.Count(p, []byte("\r\n"))
	ends.crlf, ends.lf = crlf > 0, bytes.Count(p, lineFeed) > crlf
	return ends
}

// bytes notes where two runs of bytes differ: of the same length each place, or
// else from where on.
func (f *found) bytes(production, application []byte) {
	f.bytesShown(production, application, production, application)
}

// bytesShown is bytes with other bytes, of the same lengths, to be shown.
func (f *found) bytesShown(production, application, showP, showA []byte) {
	n := mismatch(production, application)
	end := len(production)
	if len(production) != len(application) {
		end -= min(suffix(production[n:], application[n:]), end-n)
		f.run(showP, showA, n, end, true)
		return
	}
	for runs := 1; n < end; runs++ {
		if runs == runLimit {
			f.run(showP, showA, n, end, true)
			return
		}
		until := n + 1
		for i := until; i < min(until+runGap, end); i++ {
			if production[i] != application[i] {
				until = i + 1
			}
		}
		f.run(showP, showA, n, until, false)
		n = until + mismatch(production[until:], application[until:])
	}
}

// run notes one run of differing bytes; open: what follows it may differ, too.
func (f *found) run(production, application []byte, from, until int, open bool) {
	name := append(strconv.AppendInt(nil, int64(from), 10), '-')
	if !open {
		name = strconv.AppendInt(name, int64(until), 10)
	}
	f.note(Difference{
		Place:         Place{InBytes, string(name)},
		Production:    excerpt(production, from),
		Application:   excerpt(application, from),
		Offset:        int64(from),
		Until:         int64(until),
		ProductionLen: f.productionLen, ApplicationLen: f.applicationLen,
		Cut: f.cut,
	})
}

// mismatch returns how many bytes a and b have in common at their beginning.
func mismatch(a, b []byte) int {
	const step = 256
	size := min(len(a), len(b))
	n := 0
	for n+step <= size && bytes.Equal(a[n:n+step], b[n:n+step]) {
		n += step
	}
	for n < size && a[n] == b[n] {
		n++
	}
	return n
}

// suffix returns how many bytes a and b have in common at their end.
func suffix(a, b []byte) int {
	n := 0
	for n < min(len(a), len(b)) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}

// difference finds the first byte that differs, or that only one of two answers
// has. x and y are what is shown of their Heads, which the result shares.
func difference(production, application *Answer, x, y []byte) Difference {
	d := Difference{
		Place:          Place{Kind: InBytes},
		ProductionLen:  production.Len,
		ApplicationLen: application.Len,
		Cut:            !application.Complete,
	}
	n := mismatch(production.Head, application.Head)
	d.Offset = int64(n)
	if n == min(len(production.Head), len(application.Head)) && min(production.Len, application.Len) > int64(n) {
		var from int64
		from, d.Until, _ = beyondHead(production, application)
		d.Offset, d.Beyond = max(d.Offset, from), true
	} else {
		d.Production, d.Application = excerpt(x, n), excerpt(y, n)
	}
	d.Place.Name = strconv.FormatInt(d.Offset, 10) + "-"
	return d
}

// excerpt returns what is shown of p around a place; it shares p's memory.
func excerpt(p []byte, at int) []byte {
	return p[max(0, at-excerptBefore):min(len(p), at+excerptAfter)]
}

// secretFields are the fields whose values are never shown.
var secretFields = []string{"authorization", "proxy-authorization", "cookie", "set-cookie"}

// blankSecrets returns a copy of what looks like an HTTP head in which
// the values of secretFields are blotted out, byte for byte.
func blankSecrets(head []byte) []byte {
	blanked := bytes.Clone(head)
	secret := false
	for rest := blanked; len(rest) > 0; {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line = rest[:i+1]
		}
		rest = rest[len(line):]
		if line[0] == ' ' || line[0] == '\t' { // goes on with the line before
			if secret {
				blot(line)
			}
			continue
		}
		i := bytes.IndexByte(line, ':')
		if secret = i >= 0 && isSecretField(protocol.TrimSpace(line[:i])); secret {
			blot(line[i+1:])
		}
	}
	return blanked
}

func isSecretField(name []byte) bool {
	for _, s := range secretFields {
		if is(name, s) {
			return true
		}
	}
	return false
}

func blot(value []byte) {
	for i, c := range value {
		if c != '\r' && c != '\n' && c != ' ' {
			value[i] = '*'
		}
	}
}
