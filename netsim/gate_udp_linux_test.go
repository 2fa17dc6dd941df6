package netsim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestDatagramsAreLetThrough(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			server.WriteTo(buf[:n], from)
		}
	}()
	o := &outside{udp: server.LocalAddr().(*net.UDPAddr).AddrPort()}
	eachMode(t, func(t *testing.T, offload bool) {
		for _, to := range []netip.AddrPort{other4, other6} {
			w := newWorldWith(t, Config{Offload: offload, Dial: o.dial, Ways: []Way{{To: other4, UDP: true}, {To: other6, UDP: true}}})
			c := w.mustCall(t, "udp", to.String())
			for i, n := range []int{0, 1, 1400, 1473, 9000, 60000} {
				text := bytes.Repeat([]byte{byte('a' + i)}, n)
				if _, err := c.Write(text); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 1<<16)
				m, err := c.Read(got)
				if err != nil || !bytes.Equal(got[:m], text) {
					t.Fatalf("%v: %d bytes came back of %d, %v", to, m, n, err)
				}
			}
			if e := w.wentTo(t, to.String()); e.Proto != "udp" || e.Bytes < 71_000 || e.BytesBack < 71_000 || e.PacketsBack != 6 {
				t.Errorf("counted %+v", e)
			}
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		gone, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		gone.Close()
		o := &outside{udp: gone.LocalAddr().(*net.UDPAddr).AddrPort()}
		w := newWorldWith(t, Config{Offload: true, Dial: o.dial, Ways: []Way{{To: other4, UDP: true}}})
		c := w.mustCall(t, "udp", other4.String())
		c.Write([]byte("x"))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("read: %v", err)
		}
	})
	t.Run("more sockets than exchanges", func(t *testing.T) {
		w := newWorldWith(t, Config{Offload: true, Dial: o.dial, Ways: []Way{{To: other4, UDP: true}}})
		for range maxExchanges + 20 {
			c := w.mustCall(t, "udp", other4.String())
			c.Write([]byte("x"))
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
		until(t, "the table is bounded", func() bool {
			w.gate.datagrams.mu.Lock()
			defer w.gate.datagrams.mu.Unlock()
			return len(w.gate.datagrams.m) <= maxExchanges
		})
	})
}

// Names that are let through resolve, others do not exist, over UDP and TCP.
func TestNamesAreAnswered(t *testing.T) {
	o := &outside{tcp: echo}
	w := newWorldWith(t, Config{Offload: true, Dial: o.dial, Ways: allowed, Names: map[string][]netip.Addr{
		"shop.example": {other4.Addr(), other6.Addr()}, "many.example": manyAddresses(200),
	}})
	for _, network := range []string{"udp", "tcp"} {
		r := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return w.call(network, dns4.String()) }}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		got, err := r.LookupNetIP(ctx, "ip", "Shop.Example.")
		slices.SortFunc(got, netip.Addr.Compare)
		if err != nil || !slices.Equal(got, []netip.Addr{other4.Addr(), other6.Addr()}) {
			t.Errorf("%s: shop.example is %v, %v", network, got, err)
		}
		got, err = r.LookupNetIP(ctx, "ip4", "many.example.")
		if network == "tcp" && (err != nil || len(got) != 200) {
			t.Errorf("%s: many.example has %d addresses, %v", network, len(got), err)
		}
		_, err = r.LookupNetIP(ctx, "ip", "other.example.")
		if no := new(net.DNSError); !errors.As(err, &no) || !no.IsNotFound {
			t.Errorf("%s: other.example: %v", network, err)
		}
	}
	if len(o.all()) != 0 {
		t.Errorf("dialed %q", o.all())
	}
	policies := map[string]string{}
	for _, e := range w.Egress() {
		policies[e.Proto+" "+e.Policy] = strings.ToLower(e.Name)
	}
	for policy, name := range map[string]string{"udp answer": "shop.example", "udp refuse": "other.example", "tcp answer": ""} {
		if got, ok := policies[policy]; !ok || got != name {
			t.Errorf("%s: %q, want %q", policy, got, name)
		}
	}
}

// A resolver on the namespace's loopback is stood in for.
func TestNamesOnLoopback(t *testing.T) {
	w := newWorldWith(t, Config{Offload: true, Names: map[string][]netip.Addr{"shop.example": {other4.Addr()}}})
	const at = "127.0.0.53:53"
	var c net.PacketConn
	var l net.Listener
	var err error
	w.in(func() {
		if c, err = net.ListenPacket("udp", at); err == nil {
			l, err = net.Listen("tcp", at)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ServeNames(c, l); err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"udp", "tcp"} {
		r := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return w.call(network, at) }}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if got, err := r.LookupNetIP(ctx, "ip4", "shop.example."); err != nil || len(got) != 1 || got[0] != other4.Addr() {
			t.Errorf("%s: shop.example is %v, %v", network, got, err)
		}
		_, err = r.LookupNetIP(ctx, "ip4", "other.example.")
		if no := new(net.DNSError); !errors.As(err, &no) || !no.IsNotFound {
			t.Errorf("%s: other.example: %v", network, err)
		}
	}
	var got []string
	for _, e := range w.Egress() {
		got = append(got, fmt.Sprintf("%s %v %d %s %s", e.Proto, e.Dst, e.Port, e.Policy, e.Name))
	}
	slices.Sort(got)
	if want := []string{"tcp 127.0.0.53 53 answer ", "udp 127.0.0.53 53 answer shop.example", "udp 127.0.0.53 53 refuse other.example"}; !slices.Equal(got, want) {
		t.Errorf("egress %q, want %q", got, want)
	}
	w.Close()
	if err := w.ServeNames(c, l); !errors.Is(err, ErrClosed) {
		t.Errorf("ServeNames after Close: %v", err)
	}
}

// An answer that was let through names what the application then tries.
func TestNamesOfAnswers(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		buf := make([]byte, 1<<16)
		n, from, err := server.ReadFrom(buf)
		if err != nil {
			return
		}
		answer, _ := answerQuery(buf[:n], map[string][]netip.Addr{"mail.example": {other4.Addr()}}, 512)
		server.WriteTo(answer, from)
	}()
	o := &outside{udp: server.LocalAddr().(*net.UDPAddr).AddrPort()}
	w := newWorldWith(t, Config{Offload: true, Refuse: true, Dial: o.dial, Ways: []Way{{To: dns4, UDP: true}}})
	c := w.mustCall(t, "udp", dns4.String())
	c.Write(query("mail.example"))
	if _, err := c.Read(make([]byte, 512)); err != nil {
		t.Fatal(err)
	}
	w.call("tcp", netip.AddrPortFrom(other4.Addr(), 25).String())
	if e := w.wentTo(t, dns4.String()); e.Guess != "dns" || e.Host != "mail.example" {
		t.Errorf("the query: %+v", e)
	}
	for _, e := range w.Egress() {
		if e.Port == 25 && (e.Name != "mail.example" || e.Policy != "refuse") {
			t.Errorf("the destination: %+v", e)
		}
	}
}
