package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long somebody gets to answer: whoever is there does so at once.
const patience = 400 * time.Millisecond

// errSent: it went out, as far as one can see from here, and nobody answered.
var errSent = errors.New("sent, and nobody answered")

// sendAll tries to reach all of them at the same time. Each is a protocol and an
// address, such as "tcp 192.0.2.1:80", with % in place of an interface's name.
func sendAll(targets []string, marker string) {
	var all sync.WaitGroup
	results := make([]error, len(targets))
	for i, target := range targets {
		all.Go(func() { results[i] = send(target, marker) })
	}
	all.Wait()
	for i, target := range targets {
		if errors.Is(results[i], errSent) {
			fmt.Println("sent", target)
			continue
		}
		say("send "+target, results[i])
	}
}

// send returns nil if somebody has answered.
func send(target, marker string) error {
	proto, address, _ := strings.Cut(target, " ")
	to, err := netip.ParseAddrPort(strings.Replace(address, "%", "%"+device(), 1))
	if err != nil {
		return err
	}
	switch proto {
	case "tcp":
		return sendTCP(to, marker)
	case "udp":
		return sendPacket(unix.SOCK_DGRAM, unix.IPPROTO_UDP, to, []byte(marker))
	case "udplite":
		return sendPacket(unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE, to, []byte(marker))
	case "dns":
		return sendPacket(unix.SOCK_DGRAM, unix.IPPROTO_UDP, to, dnsQuery(marker+".example"))
	case "icmp":
		echo := append([]byte{8, 0, 0, 0, 0, 1, 0, 1}, marker...)
		kind := unix.IPPROTO_ICMP
		if to.Addr().Is6() {
			echo[0], kind = 128, unix.IPPROTO_ICMPV6
		} else {
			sum := checksum(echo)
			echo[2], echo[3] = byte(sum>>8), byte(sum)
		}
		return sendPacket(unix.SOCK_RAW, kind, to, echo)
	}
	return fmt.Errorf("no such protocol: %s", proto)
}

// device is the interface that is not lo.
func device() string {
	all, _ := net.Interfaces()
	for _, i := range all {
		if i.Flags&net.FlagLoopback == 0 && i.Flags&net.FlagUp != 0 {
			return i.Name
		}
	}
	return "lo"
}

func sendTCP(to netip.AddrPort, marker string) error {
	c, err := net.DialTimeout("tcp", to.String(), patience)
	if err == nil {
		defer c.Close()
		c.Write([]byte(marker))
		return nil
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return errSent
	}
	return err
}

// sendPacket sends on a socket of its own, and waits for an answer.
func sendPacket(kind, proto int, to netip.AddrPort, p []byte) error {
	family := unix.AF_INET
	var sa unix.Sockaddr = &unix.SockaddrInet4{Port: int(to.Port())}
	if to.Addr().Is6() {
		six := &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
		if i, err := net.InterfaceByName(to.Addr().Zone()); err == nil {
			six.ZoneId = uint32(i.Index)
		}
		family, sa = unix.AF_INET6, six
	} else {
		sa.(*unix.SockaddrInet4).Addr = to.Addr().As4()
	}
	if kind == unix.SOCK_RAW { // its address has no port
		switch sa := sa.(type) {
		case *unix.SockaddrInet4:
			sa.Port = 0
		case *unix.SockaddrInet6:
			sa.Port = 0
		}
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	late := unix.NsecToTimeval(int64(patience))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &late); err != nil {
		return err
	}
	// Connected, so that it is told if somebody refuses.
	if err := unix.Connect(fd, sa); err != nil {
		return err
	}
	if _, err := unix.Write(fd, p); err != nil {
		return err
	}
	answer := make([]byte, 1<<16)
	for {
		_, err := unix.Read(fd, answer)
		switch err {
		case unix.EINTR:
		case unix.EAGAIN:
			return errSent
		default:
			return err
		}
	}
}

func checksum(p []byte) uint16 {
	var sum uint32
	for i, b := range p {
		sum += uint32(b) << (8 * (1 - i&1))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// dnsQuery asks for a name's IPv4 address (RFC 1035 §4.1).
func dnsQuery(name string) []byte {
	q := []byte{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for label := range strings.SplitSeq(name, ".") {
		q = append(append(q, byte(len(label))), label...)
	}
	return append(q, 0, 0, 1, 0, 1)
}

// flood sends to all of them as fast as it can, and says how far it has got.
func flood(targets []string, marker string) {
	var sent atomic.Int64
	for _, target := range targets {
		go func() {
			for {
				if err := floodOnce(target, marker); err != nil && !errors.Is(err, syscall.EAGAIN) {
					fmt.Println("UNCLEAR flood", target, err)
					return
				}
				if n := sent.Add(1); n%200 == 0 {
					fmt.Println("flooding", n)
				}
			}
		}()
	}
}

// floodOnce sends one packet to one of them, and waits for nothing.
func floodOnce(target, marker string) error {
	proto, address, _ := strings.Cut(target, " ")
	if proto == "udp" {
		c, err := net.Dial("udp", address)
		if err != nil {
			return err
		}
		defer c.Close()
		for range 64 {
			c.Write([]byte(marker)) // what the device does not take is lost
		}
		return nil
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != unix.EINPROGRESS {
		return err
	}
	return nil
}
