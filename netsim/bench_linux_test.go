package netsim

import (
	"io"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkKeepAlive is a request and its answer on one of 64 connections, to the
// kernel's own sockets. On a busy machine look at cpu-ns/op, which is user and
// system time of both sides.
func BenchmarkKeepAlive(b *testing.B) {
	const clients, size = 64, 200
	w := newWorldWith(b, Config{Offload: true})
	w.serve(b, 80, func(c net.Conn) { io.Copy(c, c) })
	var conns []net.Conn
	for i := range clients {
		c, err := w.DialContext(b.Context(), netip.AddrPortFrom(client4.Addr(), uint16(40000+i)), server4)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	request, answer := make([]byte, size), make([]byte, size)
	var before, after unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &before)
	b.ResetTimer()
	for i := 0; i < b.N; i += clients {
		for _, c := range conns {
			if _, err := c.Write(request); err != nil {
				b.Fatal(err)
			}
		}
		for _, c := range conns {
			if _, err := io.ReadFull(c, answer); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.StopTimer()
	unix.Getrusage(unix.RUSAGE_SELF, &after)
	cpu := after.Utime.Nano() - before.Utime.Nano() + after.Stime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(cpu)/float64(b.N), "cpu-ns/op")
}
