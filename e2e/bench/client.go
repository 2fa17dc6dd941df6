package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The client on kernel sockets, a process of its own in the namespace at the
// other end of the veth pair: each connection is a goroutine, as one would
// write it. Short connections come from a client address and port of their
// own, like the replayed ones.

// request asks for a small answer and the end of the connection.
const request = "GET /item HTTP/1.1\r\nHost: shop\r\nUser-Agent: bench\r\nConnection: close\r\n\r\n"

// inFlight is how many short connections are open at once.
const inFlight = 64

// Kinds of load.
const (
	loadShort = "short" // connections per second
	loadUp    = "up"    // bytes per second in one stream
	loadDown  = "down"
)

// clientMain runs one load: kind, host, duration. It prints the rate.
func clientMain(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("client: want a kind, a host and a duration")
	}
	d, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	address := func(port int) string { return net.JoinHostPort(args[1], strconv.Itoa(port)) }
	var rate float64
	switch args[0] {
	case loadShort:
		rate, err = kernelShort(address(portHTTP), d)
	case loadUp:
		rate, err = kernelUp(address(portSink), d)
	case loadDown:
		rate, err = kernelDown(address(portSource), d)
	default:
		err = fmt.Errorf("client: no load is called %q", args[0])
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(rate)
}

func kernelShort(server string, d time.Duration) (float64, error) {
	var count atomic.Int64
	var from clients
	var taking sync.Mutex
	next := func() net.TCPAddr {
		taking.Lock()
		defer taking.Unlock()
		return *net.TCPAddrFromAddrPort(from.take())
	}
	var wg sync.WaitGroup
	failed := make(chan error, inFlight)
	begun := time.Now()
	end := begun.Add(d)
	for range inFlight {
		wg.Go(func() {
			buf := make([]byte, 4096)
			for time.Now().Before(end) {
				if err := kernelVisit(next(), server, buf); err != nil {
					failed <- err
					return
				}
				count.Add(1)
			}
		})
	}
	wg.Wait()
	took := time.Since(begun)
	select {
	case err := <-failed:
		return 0, err
	default:
	}
	return float64(count.Load()) / took.Seconds(), nil
}

func kernelVisit(from net.TCPAddr, server string, buf []byte) error {
	dialer := net.Dialer{LocalAddr: &from, KeepAlive: -1}
	c, err := dialer.Dial("tcp", server)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		return err
	}
	total := 0
	for {
		n, err := c.Read(buf)
		total += n
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if total < len(answerBody) {
		return fmt.Errorf("answer of %d bytes is too short", total)
	}
	return nil
}

func kernelUp(server string, d time.Duration) (float64, error) {
	c, err := net.Dial("tcp", server)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	buf := make([]byte, bulk)
	begun := time.Now()
	for end := begun.Add(d); time.Now().Before(end); {
		if _, err := c.Write(buf); err != nil {
			return 0, err
		}
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return 0, err
	}
	said, err := io.ReadAll(c)
	if err != nil {
		return 0, err
	}
	return received(string(said), time.Since(begun))
}

// received turns what the sink said into a rate.
func received(said string, took time.Duration) (float64, error) {
	n, err := strconv.Atoi(strings.TrimSpace(said))
	if err != nil {
		return 0, fmt.Errorf("answer of the sink: %w", err)
	}
	return float64(n) / took.Seconds(), nil
}

func kernelDown(server string, d time.Duration) (float64, error) {
	c, err := net.Dial("tcp", server)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	begun := time.Now()
	if _, err := fmt.Fprintln(c, d); err != nil {
		return 0, err
	}
	buf := make([]byte, bulk)
	total := 0
	for {
		n, err := c.Read(buf)
		total += n
		if err == io.EOF {
			return float64(total) / time.Since(begun).Seconds(), nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// clients hands out client addresses, each once.
type clients struct {
	next uint32
	v6   bool
}

func (c *clients) take() netip.AddrPort {
	i := c.next
	c.next++
	port := 20000 + uint16(i%30000)
	if c.v6 {
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 12: byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)}), port)
}
