package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tcpsandbox/capture/capturetest"
	"tcpsandbox/e2e/apps/connlog"
)

// pacedRequests is how many requests each session of a paced capture makes.
const pacedRequests = 5

// cmdPaced makes a capture of HTTP sessions that are open from its beginning to
// its end, exactly so many seconds later, each with requests at moments of its
// own; and the connection log that their clients would have kept. Production
// answers as testapp does, within 200 µs.
func cmdPaced(ts *testscript.TestScript, w *world, args []string) error {
	sessions, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	length, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	packets, err := pacedSessions(ts.MkAbs(args[3]), sessions, length)
	if err != nil {
		return err
	}
	return os.WriteFile(ts.MkAbs(args[2]), capturetest.Pcap(packets), 0o644)
}

// pacedSessions makes the packets of a paced capture, and the connection log.
func pacedSessions(path string, sessions int, length time.Duration) ([]capturetest.Packet, error) {
	log, err := connlog.Create(path)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	server := netip.MustParseAddrPort("10.77.0.1:80")
	chance := rand.New(rand.NewPCG(5, 0))
	var conns []*capturetest.Conn
	for i := range sessions {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 78, byte(i >> 8), byte(i)}), uint16(20000+i))
		c := capturetest.Between(client, server)
		entry := log.Connection(net.TCPAddrFromAddrPort(client), net.TCPAddrFromAddrPort(server))
		// The first tenth of the time is for the handshakes, the last for FINs.
		at := func(share float64) { c.Now = capturetest.Epoch.Add(time.Duration(share * float64(length))) }
		place := float64(i) / float64(max(sessions-1, 1))
		at(0.1 * place)
		c.Now = c.Now.Add(-c.Step) // which comes before each packet
		c.Handshake()
		var times []float64
		for range pacedRequests {
			times = append(times, 0.1+0.8*chance.Float64())
		}
		slices.Sort(times)
		for n, share := range times {
			if moment := capturetest.Epoch.Add(time.Duration(share * float64(length))); moment.After(c.Now) {
				c.Now = moment
			}
			request := fmt.Sprintf("GET /item/%d-%d HTTP/1.1\r\nHost: shop.test\r\n\r\n", i, n)
			body := fmt.Sprintf("item %d-%d\n", i, n)
			c.Client(request).Server(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s", len(body), body)).ClientACK()
			entry.Write([]byte(request))
		}
		at(0.9 + 0.1*place)
		c.Now = c.Now.Add(-3 * c.Step)
		conns = append(conns, c.Close())
		if err := entry.End(connlog.EOF); err != nil {
			return nil, err
		}
	}
	return capturetest.Merge(conns...), nil
}
