package main

import (
	"net/netip"
	"testing"

	"tcpsandbox/replay"
	"tcpsandbox/sandbox"
)

func TestStandIns(t *testing.T) {
	for _, tt := range []struct{ client, server, playedBy, playedTo, as string }{
		{"[::1]:40000", "[::1]:80", "[fd74:6370:7363::2]:40000", "[fd74:6370:7363::1]:80", "[fd74:6370:7363::2]:40000"},
		{"[fd74:6370:7362::1]:40000", "[::1]:80", "[fd74:6370:7362::1]:40000", "[fd74:6370:7363::1]:80", ""}, // a copy
		{"127.0.0.1:40000", "127.0.0.1:80", "127.0.0.1:40000", "127.0.0.1:80", ""},
		{"[2001:db8::1]:40000", "[2001:db8::2]:80", "[2001:db8::1]:40000", "[2001:db8::2]:80", ""},
	} {
		c, s := standIns(netip.MustParseAddrPort(tt.client), netip.MustParseAddrPort(tt.server))
		if c.String() != tt.playedBy || s.String() != tt.playedTo {
			t.Errorf("%s to %s is played from %v to %v", tt.client, tt.server, c, s)
		}
		if !sandbox.Replayable(c.Addr(), s.Addr()) {
			t.Errorf("%v to %v cannot be replayed", c, s)
		}
		if as := seenAs(tt.client); as != tt.as {
			t.Errorf("%s is seen as %q", tt.client, as)
		}
	}
	if replay.IsMadeUp(standInClient) || replay.IsMadeUp(standInServer) {
		t.Error("a copy of a session may have a stand-in's address")
	}
	if as := seenAs("nonsense"); as != "" {
		t.Errorf("nonsense is seen as %q", as)
	}
}
