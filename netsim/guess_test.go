package netsim

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// hello is what a TLS client begins with.
func hello(t testing.TB, name string) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		tls.Client(theirs, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
		theirs.Close()
	}()
	defer ours.Close()
	var record [5]byte
	if _, err := ours.Read(record[:]); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint16(record[3:]))
	if _, err := ours.Read(body); err != nil {
		t.Fatal(err)
	}
	return append(record[:], body...)
}

// inRecords cuts a handshake record into several of n bytes.
func inRecords(record []byte, n int) (all []byte) {
	for part := range slices.Chunk(record[5:], n) {
		all = append(append(all, 22, 3, 1), byte(len(part)>>8), byte(len(part)))
		all = append(all, part...)
	}
	return all
}

func TestGuess(t *testing.T) {
	h := hello(t, "shop.example")
	for _, tt := range []struct {
		name, bytes string
		want        guess
		more        bool
	}{
		{"TLS", string(h), guess{"tls", "shop.example"}, false},
		{"TLS in small records", string(inRecords(h, 10)), guess{"tls", "shop.example"}, false},
		{"TLS without a name", string(hello(t, "")), guess{"tls", ""}, false},
		{"TLS to an address", string(hello(t, "192.0.2.1")), guess{"tls", ""}, false},
		{"half a hello", string(h[:len(h)/2]), guess{"tls", ""}, true},
		{"TLS, but no hello", "\x16\x03\x01\x00\x04\x02\x00\x00\x00", guess{"tls", ""}, false},
		{"HTTP", "POST /x HTTP/1.1\r\nA: b\r\nhOST:  api.example:8080 \r\n\r\n", guess{"http", "api.example:8080"}, false},
		{"HTTP without Host", "GET / HTTP/1.0\r\n\r\nHost: body", guess{"http", ""}, false},
		{"HTTP, headers to come", "GET / HTTP/1.1\r\nHost: api.exa", guess{"http", ""}, true},
		{"HTTP, evil Host", "GET / HTTP/1.1\r\nHost: a\x1b[31m\r\n\r\n", guess{"http", "a?[31m"}, false},
		{"HTTP, half a line", "GET /", guess{}, true},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", guess{"http2", ""}, false},
		{"SSH", "SSH-2.0-OpenSSH\r\n", guess{"ssh", ""}, false},
		{"PostgreSQL", "\x00\x00\x00\x20\x00\x03\x00\x00user\x00x", guess{"postgresql", ""}, false},
		{"PostgreSQL, TLS asked for", "\x00\x00\x00\x08\x04\xd2\x16\x2f", guess{"postgresql", ""}, false},
		{"Redis", "*1\r\n$4\r\nPING\r\n", guess{"redis", ""}, false},
		{"text", "HELLO all of you\r\n", guess{}, false},
		{"nothing", "", guess{}, true},
		{"noise", "\x00\x01\x02\x03\x04", guess{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, more := guessOf([]byte(tt.bytes)); got != tt.want || more != tt.more {
				t.Errorf("%+v, more %v; want %+v, %v", got, more, tt.want, tt.more)
			}
		})
	}
}

func printable(t *testing.T, s string) {
	t.Helper()
	if len(s) > 255 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		t.Errorf("a name that may not be shown: %q", s)
	}
}

// What was guessed of a beginning stays true of what goes on.
func FuzzGuess(f *testing.F) {
	h := hello(f, "shop.example")
	f.Add(h)
	f.Add(inRecords(h, 100))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"))
	f.Add([]byte("*1\r\n$4\r\nPING\r\n"))
	f.Add([]byte("\x00\x00\x00\x08\x04\xd2\x16\x2f"))
	f.Fuzz(func(t *testing.T, p []byte) {
		whole, more := guessOf(p)
		printable(t, whole.host)
		if half, again := guessOf(p[:len(p)/2]); half.host != "" && !again && half != whole {
			t.Errorf("half: %+v, whole: %+v, more %v", half, whole, more)
		}
	})
}

// gopacket reads what we answer as we mean it.
func TestAnswerQuery(t *testing.T) {
	names := map[string][]netip.Addr{"db.example": {other4.Addr(), other6.Addr()}, "many.example": manyAddresses(100)}
	ask := func(name string, kind uint16) []byte {
		q := query(name)
		binary.BigEndian.PutUint16(q[len(q)-4:], kind)
		return q
	}
	for _, tt := range []struct {
		name    string
		query   []byte
		code    layers.DNSResponseCode
		known   bool
		answers int
		cut     bool
	}{
		{"A", ask("db.example", 1), layers.DNSResponseCodeNoErr, true, 1, false},
		{"AAAA", ask("DB.example", 28), layers.DNSResponseCodeNoErr, true, 1, false},
		{"MX of a known name", ask("db.example", 15), layers.DNSResponseCodeNoErr, true, 0, false},
		{"AAAA of a name without", ask("many.example", 28), layers.DNSResponseCodeNoErr, true, 0, false},
		{"too many", ask("many.example", 1), layers.DNSResponseCodeNoErr, true, 30, true},
		{"unknown", ask("other.example", 1), layers.DNSResponseCodeNXDomain, false, 0, false},
		{"part of a known name", ask("example", 1), layers.DNSResponseCodeNXDomain, false, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer, known := answerQuery(tt.query, names, dnsUDPMax)
			var m layers.DNS
			if err := m.DecodeFromBytes(answer, gopacket.NilDecodeFeedback); err != nil {
				t.Fatal(err)
			}
			if m.ID != 0x1234 || !m.QR || m.ResponseCode != tt.code || known != tt.known || len(m.Answers) != tt.answers || m.TC != tt.cut || len(answer) > dnsUDPMax {
				t.Errorf("known %v, %d bytes: %+v", known, len(answer), m)
			}
			for _, a := range m.Answers {
				if !strings.EqualFold(string(a.Name), string(m.Questions[0].Name)) || a.TTL != dnsTTL {
					t.Errorf("answer %+v", a)
				}
			}
		})
	}
	q := query("db.example")
	answer, _ := answerQuery(q, names, dnsUDPMax)
	for name, p := range map[string][]byte{"an answer": answer, "cut short": q[:len(q)-1], "nothing": nil, "two questions": append([]byte{0, 1, 1, 0, 0, 2}, q[6:]...)} {
		if got, _ := answerQuery(p, names, dnsUDPMax); got != nil {
			t.Errorf("%s was answered: % x", name, got)
		}
	}
}

func manyAddresses(n int) (all []netip.Addr) {
	for i := range n {
		all = append(all, netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}))
	}
	return all
}

func TestAnsweredNames(t *testing.T) {
	// www is an alias of web, which has the address.
	alias := append([]byte{0x12, 0x34, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0}, query("www.example")[12:]...)
	alias = append(alias, 0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 6, 3, 'w', 'e', 'b', 0xc0, 16)
	alias = append(alias, 3, 'w', 'e', 'b', 0xc0, 16, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 80)
	loop := append([]byte{0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0}, 0xc0, 12, 0, 1, 0, 1)
	for name, tt := range map[string]struct {
		packet []byte
		want   string
	}{
		"alias":   {alias, "www.example 192.0.2.80"},
		"a query": {query("www.example"), ""},
		"a loop":  {loop, ""},
		"cut":     {alias[:len(alias)-1], ""},
	} {
		got := ""
		answeredNames(tt.packet, func(name string, a netip.Addr) { got += name + " " + a.String() })
		if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func FuzzDNS(f *testing.F) {
	names := map[string][]netip.Addr{"db.example": {other4.Addr(), other6.Addr()}, "": {other4.Addr()}}
	f.Add(query("db.example"))
	answer, _ := answerQuery(query("db.example"), names, dnsUDPMax)
	f.Add(answer)
	f.Add(append(query("db.example")[:12], 0xc0, 12, 0, 1, 0, 1))
	f.Fuzz(func(t *testing.T, p []byte) {
		printable(t, queryName(p))
		answeredNames(p, func(name string, a netip.Addr) {
			printable(t, name)
			if !a.IsValid() {
				t.Error("no address")
			}
		})
		a, known := answerQuery(p, names, 1<<16-1)
		if a == nil {
			return
		}
		if a[2]&0x80 == 0 || a[0] != p[0] || a[1] != p[1] || len(a) > len(p)+2*28 {
			t.Errorf("query % x, answer % x", p, a)
		}
		if again, _ := answerQuery(a, names, 1<<16-1); again != nil {
			t.Error("an answer is answered")
		}
		found := 0
		answeredNames(a, func(string, netip.Addr) { found++ })
		if found > 0 && !known {
			t.Error("addresses of a name that is not known")
		}
	})
}

// Whatever comes on a DNS connection, each whole query in it has its answer, in
// order, until something comes that is no query; then the connection ends.
func FuzzServeNames(f *testing.F) {
	framed := func(messages ...[]byte) (all []byte) {
		for _, m := range messages {
			all = append(binary.BigEndian.AppendUint16(all, uint16(len(m))), m...)
		}
		return all
	}
	f.Add(framed(query("db.example")))
	f.Add(framed(query("db.example"), query("other.example"), []byte("?"), query("db.example")))
	f.Add(framed(query("db.example"))[:20])
	f.Add([]byte{0, 0, 0})
	names := map[string][]netip.Addr{"db.example": {other4.Addr(), other6.Addr()}}
	f.Fuzz(func(t *testing.T, p []byte) {
		var want []byte
		for rest := p; len(rest) >= 2; {
			length := int(binary.BigEndian.Uint16(rest))
			if rest = rest[2:]; length > len(rest) {
				break
			}
			answer, _ := answerQuery(rest[:length], names, maxPacket-1)
			if answer == nil {
				break
			}
			want = append(want, framed(answer)...)
			rest = rest[length:]
		}
		g := &gate{names: names, ctx: t.Context()}
		ours, theirs := net.Pipe()
		ended := make(chan struct{})
		go func() { g.serveNames(ours); close(ended) }()
		expected, rest := make(chan []byte), make(chan []byte)
		go func() {
			first := make([]byte, len(want))
			n, _ := io.ReadFull(theirs, first)
			expected <- first[:n]
			more, _ := io.ReadAll(theirs)
			rest <- more
		}()
		theirs.Write(p) // what the other end does not want any more is lost
		got := <-expected
		theirs.Close()
		<-ended
		if more := <-rest; !bytes.Equal(got, want) || len(more) > 0 {
			t.Errorf("% x is answered by % x and % x, want % x", p, got, more, want)
		}
	})
}
