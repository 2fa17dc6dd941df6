package capture_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/capture/expr"
)

// liveFrames are sent over a wire for filters to choose from: those of which
// the kernel can tell whether they match, and those of which it cannot, being
// later fragments or in tunnels.
func liveFrames() (plain, later []capturetest.Packet) {
	talk := func(client, server string, vlan []uint16, wrap capturetest.Wrap) []capturetest.Packet {
		c := capturetest.New(client, server)
		c.VLAN = vlan
		c.Wrap = [2]capturetest.Wrap{wrap, wrap}
		return c.Handshake().Client("hello").Server("a longer answer than the question was").Close().Packets
	}
	for _, vlan := range [][]uint16{nil, {5}, {5, 6}} {
		plain = append(plain, talk("10.1.0.1:4000", "10.1.0.2:80", vlan, nil)...)
		plain = append(plain, talk("[fd00::1]:4000", "[fd00::2]:80", vlan, nil)...)
	}
	plain = append(plain, talk("10.1.0.3:4000", "10.1.0.2:81", nil, nil)...)
	for _, wrap := range []capturetest.Wrap{capturetest.VXLAN(7), capturetest.GRE(), capturetest.IPIP(), capturetest.GENEVE(7, 8)} {
		later = append(later, talk("10.1.0.1:4001", "10.1.0.2:80", nil, wrap)...)
		later = append(later, talk("10.1.0.3:4001", "10.1.0.2:80", nil, wrap)...)
	}
	for i, client := range []string{"10.1.0.1:4002", "10.1.0.3:4002"} {
		c := capturetest.New(client, "10.1.0.2:80")
		f := capturetest.Fragments(edit16(c.Client(string(make([]byte, 200))).Packets[0].Data, 18, uint16(i+1)), 80)
		plain = append(plain, capturetest.Packet{Data: f[0]})
		for _, f := range f[1:] {
			later = append(later, capturetest.Packet{Data: f})
		}
	}
	return plain, later
}

// unwanted are frames of no port that is captured.
func unwanted() (all []capturetest.Packet) {
	other := capturetest.New("10.1.0.1:4000", "10.1.0.2:9999")
	all = append(all, other.Handshake().Packets...)
	other.Wrap[0] = capturetest.VXLAN(7)
	all = append(all, other.Client("hello").Packets[3:]...)
	quic := capturetest.UDPFrame(netip.MustParseAddrPort("10.1.0.1:4000"), netip.MustParseAddrPort("10.1.0.2:443"), nil, []byte("quic"))
	return append(all, capturetest.Packet{Data: quic})
}

// TestLiveFilter sends the same frames past captures with expressions: what
// comes out is what user space makes of everything, and what does not match is
// not even copied where the kernel can tell.
func TestLiveFilter(t *testing.T) {
	for _, iface := range []string{"a0", "any"} {
		t.Run(iface, func(t *testing.T) {
			onThread(t, func() { testLiveFilter(t, iface) })
		})
	}
}

// quiet ends what the kernel sends over a wire of its own accord, such as IPv6's
// multicast reports.
func (w *wire) quiet(t *testing.T) {
	t.Helper()
	for _, end := range []struct {
		ns   netns.NsHandle
		name string
	}{{w.far, "b0"}, {w.near, "a0"}} {
		if err := netns.Set(end.ns); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+end.name+"/disable_ipv6", []byte("1"), 0); err != nil {
			need(t, "IPv6 cannot be switched off in a namespace: "+err.Error())
		}
	}
}

func testLiveFilter(t *testing.T, iface string) {
	w := newWire(t)
	w.quiet(t)
	open := func(filter *expr.Filter) capture.Source {
		src, err := capture.OpenLive(iface, capture.LiveConfig{
			Ports: []uint16{80, 81}, Tunnels: true, Filter: filter, BlockSize: 16 << 10, Blocks: 64,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { src.Close() })
		return src
	}
	// The kernel hands each packet to the socket that was bound last first:
	// what the first one has, all have.
	everything := open(nil)
	type filter struct {
		text   string
		src    capture.Source
		filter *expr.Filter
	}
	var filters []*filter
	for _, text := range []string{
		"tcp", "port 80", "port 81", "tcp dst port 80", "src host 10.1.0.1", "host 10.1.0.3 and tcp", "net 10.1.0.0/30 and not port 81", "ip6",
		"not ip6", "less 80", "greater 81", "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "host 172.16.0.1", "udp port 4789", "proto 47 or proto 4",
		"tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x68656c6c", "ip[6:2] & 0x1fff != 0", "ip[6] & 0x20 != 0", "host 192.0.2.1",
		"len << ip[0] = 7 or tcp", // the kernel's shift is another
		"vlan", "vlan 5 and tcp port 80", "port 80 and vlan 5", "vlan 5 and vlan 6 and ip6", "not vlan", "not vlan 6", "ether src 02:00:00:00:00:01 and ip6",
	} {
		f := mustParse(t, text)
		if iface == "any" && f.Check(101) != nil {
			continue
		}
		filters = append(filters, &filter{text, open(f), f})
	}
	plain, later := liveFrames()
	w.inject(t, append(append(plain, later...), unwanted()...))
	deadline := time.Now().Add(patience)
	expect := len(plain) + len(later)
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	var all []capture.Packet
	err := everything.Run(ctx, func(batch []capture.Packet) error {
		for _, p := range batch {
			p.Data = append([]byte(nil), p.Data...)
			all = append(all, p)
		}
		if len(all) >= expect {
			cancel()
		}
		return nil
	})
	if err != nil || len(all) != expect {
		t.Fatalf("%d packets without a filter, %v; want %d", len(all), err, expect)
	}
	for _, f := range filters {
		passed := capture.KernelPassed(t, f.src)
		var got, want, decided int
		done, stop := context.WithCancel(context.Background())
		stop() // what the kernel has still comes
		if err := f.src.Run(done, func(batch []capture.Packet) error { got += len(batch); return nil }); err != nil {
			t.Errorf("%q: %v", f.text, err)
		}
		match := func(p *capture.Packet) bool {
			tag := -1
			if p.Tagged {
				tag = int(p.VLAN)
			}
			if p.Link != capture.LinkEthernet {
				ok, _ := f.filter.Match(p.Data, p.OrigLen, uint16(p.Link))
				return ok
			}
			ok, _ := f.filter.MatchLive(p.Data, p.OrigLen, tag)
			return ok
		}
		for i := range all[:len(plain)] {
			if match(&all[i]) {
				decided++
			}
		}
		capture.FilteredLive(packetList{all, 10}, f.filter, true, iface != "any").Run(context.Background(), func(batch []capture.Packet) error {
			want += len(batch)
			return nil
		})
		if got != want {
			t.Errorf("%q: %d packets, user space finds %d in everything", f.text, got, want)
		}
		allowed := decided + len(later)
		switch {
		case strings.Contains(f.text, "<<"): // not in the kernel
			allowed = expect
		case iface == "any": // the kernel leaves inner tags to us: of {5, 6}, IPv4 and IPv6
			if passed >= decided+len(later) && passed <= decided+len(later)+2*perTalk {
				allowed = passed
			}
		}
		if passed != allowed {
			t.Errorf("%q: %d packets reach user space, of %d; %d match in the kernel, %d it cannot tell", f.text, passed, expect, decided, len(later))
		}
		if s := f.src.Stats(); s.KernelDrops != 0 {
			t.Errorf("%q: %+v", f.text, s)
		}
	}
}

// perTalk is the number of packets in one of liveFrames' conversations.
const perTalk = 8

// TestLiveFilterRefused: what makes no sense on an interface is said when it is
// opened.
func TestLiveFilterRefused(t *testing.T) {
	onThread(t, func() {
		newWire(t)
		_, err := capture.OpenLive("any", capture.LiveConfig{Filter: mustParse(t, "tcp and vlan 5")})
		var unfit *expr.LinkError
		var hint interface{ Hint() string }
		if !errors.As(err, &unfit) || unfit.Offset != 8 || !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "        ^") {
			t.Fatalf("got %v", err)
		}
		if !strings.HasPrefix(err.Error(), "capture on any: filter: link type 101: column 9, ") {
			t.Errorf("got %v", err)
		}
	})
}
