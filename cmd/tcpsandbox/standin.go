package main

import (
	"fmt"
	"net/netip"
)

// Linux takes packets from or to ::1 from no device but lo (ipv6_rcv drops
// them: RFC 4291 §2.5.3). So a host that talked to itself over ::1 is played by
// two other addresses, of a unique local prefix of our own (RFC 4193 §3.2.2).
var (
	standInServer = netip.MustParseAddr("fd74:6370:7363::1")
	standInClient = netip.MustParseAddr("fd74:6370:7363::2")
)

// standIns puts addresses that a session can be played between in the place of
// ::1.
func standIns(client, server netip.AddrPort) (c, s netip.AddrPort) {
	return standIn(client, standInClient), standIn(server, standInServer)
}

func standIn(a netip.AddrPort, other netip.Addr) netip.AddrPort {
	if a.Addr() == netip.IPv6Loopback() {
		return netip.AddrPortFrom(other, a.Port())
	}
	return a
}

// seenAs is the client that the application saw where it was not the captured
// one, or "".
func seenAs(client string) string {
	a, err := netip.ParseAddrPort(client)
	if err != nil || a.Addr() != netip.IPv6Loopback() {
		return ""
	}
	return standIn(a, standInClient).String()
}

// warnStandIns tells that sessions were played by the stand-ins.
func (s *stand) warnStandIns() {
	if s.stoodIn.Load() {
		s.warn(fmt.Sprintf("sessions on ::1 were played from %v to %v: the kernel takes ::1 from no device but lo", standInClient, standInServer))
	}
}
