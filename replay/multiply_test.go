package replay

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// 20 sessions a hundred times are 2,000, each from its own address.
func TestMultiply(t *testing.T) {
	for _, live := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const sessions, copies = 20, 100
			c := crowd{live: live, serve: web(say(ok("one")), say(ok("two")), say(ok("three"))), config: Config{Multiply: copies, Shards: 3}}
			originals := map[netip.AddrPort]bool{}
			for i := range sessions {
				client := clientNumber(i / 2) // some clients have two sessions, from different ports
				client = netip.AddrPortFrom(client.Addr(), uint16(50000+i))
				originals[client] = true
				c.add(client, time.Duration(i)*3*time.Millisecond, keepAlive())
			}
			res, records, net := c.run(t)
			each := int64(len(keepAlive().stream()))
			if res.Seen != sessions*copies || res.Finished != res.Seen || res.Complete != res.Seen || res.Copies != sessions*(copies-1) {
				t.Errorf("%+v", res)
			}
			if want := each * sessions * copies; res.Captured != want || res.Bytes[session.Delivered] != want {
				t.Errorf("delivered %d of %d, want %d", res.Bytes[session.Delivered], res.Captured, want)
			}
			if got := res.Verdicts[compare.Identical]; got != 3*sessions*copies {
				t.Errorf("%v", res.Verdicts)
			}
			clients := map[netip.AddrPort]int{}
			for _, p := range net.peers {
				clients[p.client]++
				if string(p.received) != string(keepAlive().stream()) {
					t.Fatalf("%s received %q", p.client, p.received)
				}
			}
			kept := 0
			for client, n := range clients {
				if n > 1 {
					t.Errorf("%d sessions came from %s", n, client)
				}
				if originals[client] {
					kept++
				} else if !IsMadeUp(client.Addr()) {
					t.Errorf("a copy came from %s", client)
				}
			}
			if len(clients) != sessions*copies || kept != sessions {
				t.Errorf("%d clients, %d of them original", len(clients), kept)
			}
			for _, r := range records {
				if (r.As == "") != (r.Copy == 0) || r.Copy < 0 || r.Copy >= copies {
					t.Fatalf("%+v", r)
				}
			}
		})
	}
}

// What is appended after the last Feed reaches the copies as well.
func TestMultiplyFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{serve: web()}
		e := New(Config{Dial: n.dial, Multiply: 3})
		s := &session.Session{ID: 1, Client: clientAddr, Server: serverAddr, Start: time.Now()}
		s.Append(record().client(get(1)).events...)
		e.Feed([]*session.Session{s})
		s.Append(session.Event{Kind: session.Data, Data: []byte(get(2))})
		res := e.Finish()
		if want := int64(3 * len(get(1)+get(2))); res.Captured != want || res.Bytes[session.Pending] != want || len(res.Defects) > 0 {
			t.Errorf("%+v", res)
		}
	})
}

func TestAddresses(t *testing.T) {
	prefixes := func(texts ...string) (all []netip.Prefix) {
		for _, text := range texts {
			all = append(all, netip.MustParsePrefix(text))
		}
		return all
	}
	for _, tt := range []struct {
		name   string
		copies int
		from   []netip.Prefix
		client string
		want   []string // of the copies of the first client
		next   string   // of the second copy of another client
	}{
		{"copies", 3, nil, "198.51.100.7:1", []string{"198.51.100.7:1", "240.0.0.1:1", "240.0.0.2:1"}, "240.0.0.3:9"},
		{"copies, IPv6", 3, nil, "[2001:db8::7]:1", []string{"[2001:db8::7]:1", "[fd74:6370:7362::1]:1", "[fd74:6370:7362::2]:1"}, "[fd74:6370:7362::3]:9"},
		{"copies, IPv4 in IPv6", 2, nil, "[::ffff:198.51.100.7]:1", []string{"[::ffff:198.51.100.7]:1", "240.0.0.1:1"}, "240.0.0.2:9"},
		{"a range", 1, prefixes("10.9.0.0/16"), "198.51.100.7:1", []string{"10.9.0.1:1"}, ""},
		{"a range and copies", 2, prefixes("10.9.0.0/16"), "198.51.100.7:1", []string{"10.9.0.1:1", "10.9.0.2:1"}, "10.9.0.4:9"},
		{"a range not from its beginning", 1, prefixes("10.9.1.7/16"), "198.51.100.7:1", []string{"10.9.0.1:1"}, ""},
		{"a range of the other family", 1, prefixes("10.9.0.0/16"), "[2001:db8::7]:1", []string{"[2001:db8::7]:1"}, ""},
		{"ranges of both", 2, prefixes("10.9.0.0/16", "2001:db8:9::/64"), "[2001:db8::7]:1", []string{"[2001:db8:9::1]:1", "[2001:db8:9::2]:1"}, "[2001:db8:9::4]:9"},
		{"one address", 1, prefixes("10.9.0.5/32"), "198.51.100.7:1", []string{"10.9.0.5:1"}, ""},
		{"a server in the range", 2, prefixes("203.0.113.0/24"), "198.51.100.7:1", []string{"203.0.113.2:1", "203.0.113.3:1"}, "203.0.113.5:9"},
	} {
		a := newAddresses(tt.copies, tt.from)
		a.server(serverAddr.Addr()) // 203.0.113.1
		client := netip.MustParseAddrPort(tt.client)
		other := netip.AddrPortFrom(client.Addr().Next(), 9)
		for range 2 { // and again
			for i, want := range tt.want {
				if got := a.of(client, i); got.String() != want {
					t.Errorf("%s: copy %d is %s, want %s", tt.name, i, got, want)
				}
			}
			if got := a.of(other, 1); tt.next != "" && got.String() != tt.next {
				t.Errorf("%s: then %s, want %s", tt.name, got, tt.next)
			}
		}
	}
}

// However many clients and copies, no address is given out twice, and none
// beyond the range.
func TestAddressesAreDistinct(t *testing.T) {
	for _, tt := range []struct {
		prefix          string
		copies, clients int
	}{{"10.9.0.0/24", 7, 36}, {"10.9.0.0/30", 1, 2}, {"10.9.0.0/31", 2, 1}, {"2001:db8::/120", 1, 254}, {"10.9.0.0/20", 1000, 4}, {"2001:db8::fff0/124", 3, 4}} {
		prefix := netip.MustParsePrefix(tt.prefix)
		a := newAddresses(tt.copies, []netip.Prefix{prefix})
		given := map[netip.Addr]bool{}
		client := netip.MustParseAddr("198.51.100.1")
		if prefix.Addr().Is6() {
			client = netip.MustParseAddr("2001:db8:1::")
		}
		for range tt.clients {
			client = client.Next()
			for i := range tt.copies {
				got := a.of(netip.AddrPortFrom(client, 5), i)
				if !prefix.Contains(got.Addr()) || given[got.Addr()] || got.Port() != 5 {
					t.Fatalf("%s: %s was given to copy %d of %s", tt.prefix, got, i, client)
				}
				given[got.Addr()] = true
			}
		}
		if got := a.of(netip.AddrPortFrom(client.Next(), 5), 0); got.IsValid() {
			t.Errorf("%s: %s after all were given out", tt.prefix, got)
		}
	}
}

// Sessions for whose clients no address is left are unsupported.
func TestAddressesRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := crowd{serve: web(say(ok("one")), say(ok("two")), say(ok("three")))}
		c.config.Clients = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/30")}
		for i := range 3 {
			c.add(clientNumber(i), 0, keepAlive())
		}
		res, records, _ := c.run(t)
		if res.Finished != 2 || res.Bytes[session.Unsupported] != int64(len(keepAlive().stream())) || res.Failed != 1 {
			t.Errorf("%+v, %+v", res, records)
		}
	})
}

func TestIsMadeUp(t *testing.T) {
	for addr, want := range map[string]bool{
		"239.255.255.255": false, "240.0.0.1": true, "255.255.255.254": true, "255.255.255.255": false,
		"fd74:6370:7362::1": true, "fd74:6370:7363::1": false,
	} {
		if got := IsMadeUp(netip.MustParseAddr(addr)); got != want {
			t.Errorf("IsMadeUp(%s) is %v", addr, got)
		}
	}
}
