package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tcpsandbox/capture"
	"tcpsandbox/netsim"
)

func TestEgressFlags(t *testing.T) {
	for _, tt := range []struct {
		allow, maps []string
		dns         bool
		want        string // in the error; "": none
	}{
		{allow: []string{"db.test:5432", "192.0.2.1:53/udp", "[2001:db8::1]:443"}, maps: []string{"127.0.0.1:5432=db.test:5432", "[::1]:80=192.0.2.1:80"}, dns: true},
		{allow: []string{"db.test"}, want: `--allow db.test: "db.test" is not HOST:PORT`},
		{allow: []string{":80"}, want: "not HOST:PORT"},
		{allow: []string{"db.test:0"}, want: `"0" is no port`},
		{allow: []string{"db.test:65536"}, want: "is no port"},
		{allow: []string{"db.test:80/tcp"}, want: "is no port"},
		{allow: []string{"0.0.0.0:80"}, want: "nobody's address"},
		{allow: []string{"224.0.0.1:80/udp"}, want: "nobody's address"},
		{allow: []string{"255.255.255.255:80/udp"}, want: "nobody's address"},
		{allow: []string{"[fe80::1%eth0]:80"}, want: "nobody's address"},
		{maps: []string{"127.0.0.1:5432"}, want: "want ADDRESS:PORT=HOST:PORT"},
		{maps: []string{"10.0.0.1:5432=db.test:5432"}, want: "no loopback address"},
		{maps: []string{"localhost:5432=db.test:5432"}, want: "no loopback address"},
		{maps: []string{"127.0.0.1:0=db.test:5432"}, want: "no loopback address"},
		{maps: []string{"127.0.0.1:53=db.test:53/udp"}, want: "UDP cannot be mapped"},
		{maps: []string{"127.0.0.1:1=a:1", "127.0.0.1:1=b:1"}, want: "goes to two places"},
		{dns: true, want: "--allow-dns needs --allow"},
	} {
		e := egressFlags{allow: tt.allow, maps: tt.maps, allowDNS: tt.dns}
		switch err := e.complete(); {
		case tt.want == "" && err != nil, tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%q %q: %v, want %q", tt.allow, tt.maps, err, tt.want)
		}
	}
}

// Nothing that is let through may lead back to what is captured.
func TestNoWayIntoProduction(t *testing.T) {
	hosts := map[string][]netip.Addr{
		"db.test":    {netip.MustParseAddr("192.0.2.5"), netip.MustParseAddr("::ffff:192.0.2.6")},
		"self.test":  {netip.MustParseAddr("192.0.2.5"), netip.MustParseAddr("10.0.0.1")},
		"local.test": {netip.MustParseAddr("127.0.0.1")},
	}
	own := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1")}
	for _, tt := range []struct {
		capture, allow, maps string
		want, hint           string
	}{
		{capture: "eth0:80", allow: "db.test:80"},
		{capture: "eth0:80", allow: "unknown.test:80", want: "resolve unknown.test"},
		{capture: "eth0:80", allow: "10.0.0.1:80", want: "would write into production"},
		{capture: "eth0:80", allow: "10.0.0.1:5432", want: "would write into production", hint: "--map 127.0.0.1:5432=127.0.0.1:5432"},
		{capture: "eth0:80", allow: "self.test:5432", want: "10.0.0.1 is an address of this host"},
		{capture: "eth0:80", allow: "[2001:db8::1]:443", want: "would write into production"},
		{capture: "eth0:80", allow: "[::ffff:10.0.0.1]:443", want: "would write into production"},
		{capture: "-:80", allow: "10.0.0.1:5432"},
		{capture: "-:80", allow: "127.0.0.1:5432", want: "own loopback", hint: "--map 127.0.0.1:5432=127.0.0.1:5432"},
		{capture: "-:80", allow: "local.test:5432", want: "own loopback", hint: "--map 127.0.0.1:5432=local.test:5432"},
		{capture: "eth0:80", maps: "127.0.0.1:5432=127.0.0.1:5432"},
		{capture: "eth0:80", maps: "127.0.0.1:80=127.0.0.1:80", want: "port 80 of 127.0.0.1 is captured"},
		{capture: "eth0:80", maps: "127.0.0.1:5432=127.1.2.3:80", want: "would write into production"},
		{capture: "eth0:80", maps: "127.0.0.1:5432=self.test:80", want: "port 80 of 10.0.0.1 is captured"},
		{capture: "eth0", maps: "127.0.0.1:5432=local.test:5432", want: "would write into production"},
		{capture: "eth0:53/udp", maps: "127.0.0.1:5432=local.test:53"},
	} {
		t.Run(strings.TrimSpace(tt.capture+" "+tt.allow+" "+tt.maps), func(t *testing.T) {
			spec, err := capture.ParseSpec(tt.capture)
			if err != nil {
				t.Fatal(err)
			}
			var e egressFlags
			if tt.allow != "" {
				e.allow = []string{tt.allow}
			}
			if tt.maps != "" {
				e.maps = []string{tt.maps}
			}
			if err := e.complete(); err != nil {
				t.Fatal(err)
			}
			err = e.resolve(context.Background(), []capture.Spec{spec}, func(_ context.Context, host string) ([]netip.Addr, error) {
				if a, ok := hosts[host]; ok {
					return a, nil
				}
				return nil, fmt.Errorf("no such host")
			}, own)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Fatalf("%v, want %q", err, tt.want)
			}
			var h hinter
			if errors.As(err, &h); tt.hint != "" && (h == nil || !strings.Contains(h.Hint(), tt.hint)) {
				t.Errorf("hint of %v, want %q", err, tt.hint)
			}
		})
	}
}

func TestWaysOfAllow(t *testing.T) {
	e := egressFlags{egress: "refuse", allow: []string{"DB.test:5432", "192.0.2.1:53/udp"}, allowDNS: true}
	if err := e.complete(); err != nil {
		t.Fatal(err)
	}
	a, b := netip.MustParseAddr("192.0.2.5"), netip.MustParseAddr("2001:db8::5")
	err := e.resolve(context.Background(), nil, func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{a, b}, nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	var cfg netsim.Config
	e.network(&cfg)
	want := []netsim.Way{
		{To: netip.AddrPortFrom(a, 5432), Name: "DB.test"}, {To: netip.AddrPortFrom(b, 5432), Name: "DB.test"},
		{To: netip.MustParseAddrPort("192.0.2.1:53"), UDP: true},
	}
	same := cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
	if diff := cmp.Diff(want, cfg.Ways, same); diff != "" || !cfg.Refuse || cfg.Dial == nil {
		t.Errorf("refuse %v, ways (-want +got):\n%s", cfg.Refuse, diff)
	}
	if len(cfg.Names) != 1 || len(cfg.Names["db.test"]) != 2 {
		t.Errorf("names %v", cfg.Names)
	}
	cfg = netsim.Config{}
	new(egressFlags).network(&cfg)
	if cfg.Dial != nil || cfg.Names != nil || cfg.Ways != nil || cfg.Refuse {
		t.Errorf("let through by default: %+v", cfg)
	}
}

func TestLoopbackResolvers(t *testing.T) {
	conf := "# nameserver 127.0.0.1\nnameserver 127.0.0.53\nnameserver\nnameserver 192.0.2.1\n nameserver ::1 # x\nnameserver 127.0.0.53\noptions edns0\nnameserver nonsense\n"
	if got := fmt.Sprint(loopbackResolvers(conf)); got != "[127.0.0.53:53 [::1]:53]" {
		t.Errorf("%s", got)
	}
}
