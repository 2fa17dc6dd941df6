package sandbox

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestEnclosed(t *testing.T) {
	box := newBox(t, Config{})
	for _, ip := range []string{"198.51.100.7", "2001:db8::7"} {
		if err := box.AddServer(netip.MustParseAddr(ip)); err != nil {
			t.Fatal(err)
		}
	}
	if err := box.AllowLocalClient(Port{Number: 80}); err != nil { // rules, and a table of its own
		t.Fatal(err)
	}
	e, err := box.Enclosed()
	if want := []string{"lo", "tun0"}; err != nil || !slices.Equal(e.Interfaces, want) || e.Dropped != 0 {
		t.Errorf("%+v, want the interfaces %v: %v", e, want, err)
	}
}

// A namespace that has been tampered with is none that encloses.
func TestEnclosedFinds(t *testing.T) {
	if needNamespace(t); os.Geteuid() != 0 {
		t.Skip("an ordinary user cannot make the namespace by hand")
	}
	var route *netlink.Handle
	made := make(chan error)
	onThread(func() {
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			route, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		}
		made <- err
	})
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	defer route.Close()
	link := func(l netlink.Link) netlink.Link {
		t.Helper()
		if l.Type() != "device" {
			if err := route.LinkAdd(l); err != nil {
				t.Fatal(err)
			}
		}
		l, err := route.LinkByName(l.Attrs().Name)
		if err == nil {
			err = route.LinkSetUp(l)
		}
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	lo := link(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: "lo"}})
	tun := link(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "tun0"}, PeerName: "tun1"}) // stands for it
	closed := func(t *testing.T) {
		t.Helper()
		e, err := enclosed(route, tun)
		if want := []string{"lo", "tun0"}; err != nil || !slices.Equal(e.Interfaces, want) {
			t.Errorf("interfaces %v, want %v: %v", e.Interfaces, want, err)
		}
	}
	closed(t)
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "out0"}, PeerName: "out1"}
	network := &net.IPNet{IP: net.IPv4(203, 0, 113, 0).To4(), Mask: net.CIDRMask(24, 32)}
	all6 := &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}

	if err := route.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	closed(t) // down it can do nothing
	for _, tt := range []struct {
		name     string
		do, undo func() error
		want     string
	}{
		{"another interface is up",
			func() error { return route.LinkSetUp(veth) },
			func() error { return route.LinkSetDown(veth) },
			"another interface than lo and tun0 that is up: out0"},
		{"the default route is another's",
			func() error {
				return route.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: all6, Table: 7})
			},
			func() error {
				return route.RouteDel(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: all6, Table: 7})
			},
			"a route that is not through tun0"},
		{"a route through another, in a table of its own",
			func() error {
				if err := route.LinkSetUp(veth); err != nil {
					return err
				}
				return route.RouteAdd(&netlink.Route{LinkIndex: veth.Attrs().Index, Dst: network, Table: 7, Scope: unix.RT_SCOPE_LINK})
			},
			func() error { return route.LinkDel(veth) },
			"out0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.do(); err != nil {
				t.Fatal(err)
			}
			if _, err := enclosed(route, tun); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err := tt.undo(); err != nil {
				t.Fatal(err)
			}
			closed(t)
		})
	}
}

// A route is judged by each of its hops, also where its interface is not up.
func TestLeadsNowhere(t *testing.T) {
	tun := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "tun0", Index: 2}}
	names := map[int]string{1: "lo", 2: "tun0", 3: "eth0"}
	one := &net.IPNet{IP: net.IPv4(192, 0, 2, 1).To4(), Mask: net.CIDRMask(32, 32)}
	for _, tt := range []struct {
		name  string
		route netlink.Route
		ok    bool
	}{
		{"default", netlink.Route{LinkIndex: 2, Type: unix.RTN_UNICAST}, true},
		{"an address of its own", netlink.Route{LinkIndex: 1, Dst: one, Type: unix.RTN_LOCAL}, true},
		{"one that refuses", netlink.Route{Type: unix.RTN_UNREACHABLE}, true},
		{"another interface", netlink.Route{LinkIndex: 3, Dst: one, Type: unix.RTN_UNICAST}, false},
		{"an interface nobody knows", netlink.Route{LinkIndex: 4, Dst: one, Type: unix.RTN_UNICAST}, false},
		{"default by lo", netlink.Route{LinkIndex: 1, Type: unix.RTN_UNICAST}, false},
		{"several hops", netlink.Route{MultiPath: []*netlink.NexthopInfo{{LinkIndex: 2}, {LinkIndex: 2}}}, true},
		{"one hop of several", netlink.Route{MultiPath: []*netlink.NexthopInfo{{LinkIndex: 2}, {LinkIndex: 3}}}, false},
	} {
		if err := leadsNowhere(&tt.route, tun, names); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
