package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"tcpsandbox/e2e/apps/connlog"
)

// serveDatagrams answers each datagram by its first word.
//
//	echo …    the same datagram
//	twice …   two datagrams
//	quiet …   nothing
//	else      its length and digest
func (b *behaviour) serveDatagrams(addr string) {
	l, err := net.ListenPacket("udp", addr)
	check(err)
	c := l.(*net.UDPConn)
	clients := map[netip.AddrPort]*connlog.Connection{}
	buf := make([]byte, 1<<16)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if errors.Is(err, syscall.ECONNREFUSED) { // of an answer
			continue
		}
		check(err)
		p := buf[:n]
		if b.log != nil {
			if clients[from] == nil {
				clients[from] = b.log.Connection(net.UDPAddrFromAddrPort(from), c.LocalAddr())
			}
			clients[from].Datagram(p)
		}
		b.count()
		if b.delay > 0 {
			time.Sleep(b.delay)
		}
		if b.deafTo != "" && bytes.HasPrefix(p, []byte(b.deafTo)) {
			continue
		}
		digest := fmt.Sprintf("%d %x", n, sha256.Sum256(p))
		answers := [][]byte{[]byte(digest)}
		word, _, _ := bytes.Cut(p, []byte(" "))
		switch string(word) {
		case "echo":
			answers[0] = p
		case "twice":
			answers = [][]byte{[]byte("first " + digest), []byte("second " + digest)}
		case "quiet":
			answers = nil
		}
		if b.plant != "" && string(p) == b.plant {
			answers[0] = []byte("a planted bug")
		}
		if b.chatty {
			answers = append(answers, []byte("by the way"))
		}
		for i, a := range answers {
			if i > 0 {
				time.Sleep(b.pause) // as -pause asks
			}
			if _, err := c.WriteToUDPAddrPort(a, from); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
				check(err)
			}
		}
	}
}
