package netsim

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
)

// What the application speaks to whom it is let through to is guessed by the
// first bytes that it sends. They are foreign bytes: nothing in them is believed
// but by its length.

// guess is what a connection's first bytes tell.
type guess struct {
	proto string // "tls", "http", "http2", "ssh", "postgresql", "redis"; "" where nothing fits
	host  string // whom they name: TLS SNI, HTTP Host
}

// guessBytes bounds what is looked at: a ClientHello with a post-quantum key
// has 1.8 KB, and headers of an HTTP request that are longer come after Host.
const guessBytes = 8 << 10

// guessOf looks at the beginning of what a client sends. more tells that further
// bytes may tell more.
func guessOf(p []byte) (g guess, more bool) {
	switch {
	case len(p) < 4:
		return g, true
	case p[0] == 22 && p[1] == 3: // RFC 8446 §5.1: a handshake record
		host, more := serverName(p)
		return guess{"tls", host}, more
	case bytes.HasPrefix(p, []byte("PRI * HTTP/2")):
		return guess{proto: "http2"}, false
	case bytes.HasPrefix(p, []byte("SSH-")):
		return guess{proto: "ssh"}, false
	case p[0] == '*' && p[1] >= '1' && p[1] <= '9' && bytes.Contains(p[:min(len(p), 16)], []byte("\r\n$")):
		return guess{proto: "redis"}, false
	}
	if len(p) >= 8 && p[0] == 0 && p[1] == 0 {
		// A PostgreSQL client begins with a length and the version 3.0 or the
		// number that asks for TLS.
		if v := binary.BigEndian.Uint32(p[4:]); v == 3<<16 || v == 80877103 {
			return guess{proto: "postgresql"}, false
		}
	}
	return httpGuess(p)
}

// httpGuess reads the request line and Host (RFC 9112 §3).
func httpGuess(p []byte) (g guess, more bool) {
	line, rest, whole := bytes.Cut(p, []byte("\n"))
	method, _, spaced := bytes.Cut(line, []byte(" "))
	if len(method) == 0 || len(method) > 20 || bytes.ContainsFunc(method, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		return g, false
	}
	if !whole {
		return g, true
	}
	if fields := bytes.Fields(line); !spaced || len(fields) != 3 || !bytes.HasPrefix(fields[2], []byte("HTTP/1.")) {
		return g, false
	}
	g.proto = "http"
	for {
		if line, rest, whole = bytes.Cut(rest, []byte("\n")); !whole {
			return g, true
		}
		line = bytes.TrimRight(line, "\r")
		if len(line) == 0 {
			return g, false
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && strings.EqualFold(string(name), "host") {
			g.host = printableName(bytes.TrimSpace(value))
			return g, false
		}
	}
}

// serverName reads the name that a ClientHello asks for (RFC 8446 §4.1.2, RFC
// 6066 §3). The message may lie across records.
func serverName(p []byte) (name string, more bool) {
	var hello []byte
	for len(p) >= 5 && p[0] == 22 {
		length := int(binary.BigEndian.Uint16(p[3:]))
		end := min(len(p), 5+length)
		hello, p = append(hello, p[5:end]...), p[end:]
	}
	if len(hello) < 4 {
		return "", true
	}
	if hello[0] != 1 {
		return "", false
	}
	length := int(hello[1])<<16 | int(hello[2])<<8 | int(hello[3])
	hello = hello[4:]
	if len(hello) < length {
		if len(hello) < guessBytes {
			return "", true
		}
		return "", false
	}
	in := fields{hello[:length]}
	in.skip(2 + 32) // version, random
	in.vector(1)    // session
	in.vector(2)    // cipher suites
	in.vector(1)    // compression
	extensions := fields{in.vector(2)}
	for len(extensions.rest) >= 4 {
		kind := binary.BigEndian.Uint16(extensions.rest)
		extensions.skip(2)
		body := fields{extensions.vector(2)}
		if kind != 0 {
			continue
		}
		names := fields{body.vector(2)}
		for len(names.rest) >= 3 {
			kind := names.rest[0]
			names.skip(1)
			if name := names.vector(2); kind == 0 {
				return printableName(name), false
			}
		}
		return "", false
	}
	return "", false
}

// fields takes apart what TLS writes as vectors (RFC 8446 §3.4). What is cut
// short is empty, and so is all behind it.
type fields struct{ rest []byte }

func (f *fields) skip(n int) { f.rest = f.rest[min(n, len(f.rest)):] }

// vector returns what a length of so many bytes stands before.
func (f *fields) vector(size int) []byte {
	if len(f.rest) < size {
		f.rest = nil
		return nil
	}
	n := 0
	for _, b := range f.rest[:size] {
		n = n<<8 | int(b)
	}
	f.rest = f.rest[size:]
	if n > len(f.rest) {
		f.rest = nil
		return nil
	}
	v := f.rest[:n]
	f.rest = f.rest[n:]
	return v
}

// printableName is a name of somebody else's making, as it may be shown.
func printableName(p []byte) string {
	p = slices.Clone(p[:min(len(p), 255)])
	for i, c := range p {
		if c <= ' ' || c >= 0x7f {
			p[i] = '?'
		}
	}
	return string(p)
}
