package netsim

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What the kernel makes of what netsim sends, and the other way round.

func TestClientAddressIsKept(t *testing.T) {
	eachMode(t, func(t *testing.T, offload bool) {
		w := newWorld(t, offload, false)
		w.serve(t, 80, func(c net.Conn) {
			fmt.Fprintf(c, "%s %s\n", c.RemoteAddr(), c.LocalAddr())
			c.Close()
		})
		for _, tt := range []struct{ client, server string }{
			{"192.0.2.7:40000", "10.9.0.1:80"},
			{"8.8.8.8:53", "10.9.0.1:80"},
			{"223.255.255.254:65535", "10.9.0.1:80"},
			{"[2001:db8::7]:40000", "[fd00:9::1]:80"},
		} {
			c, err := w.DialContext(t.Context(), netip.MustParseAddrPort(tt.client), netip.MustParseAddrPort(tt.server))
			if err != nil {
				t.Fatalf("%s: %v", tt.client, err)
			}
			got, _ := io.ReadAll(c)
			c.Close()
			if want := tt.client + " " + tt.server + "\n"; string(got) != want {
				t.Errorf("application saw %q, want %q", got, want)
			}
		}
	})
}

func TestBulkBothWays(t *testing.T) {
	eachMode(t, func(t *testing.T, offload bool) {
		w := newWorld(t, offload, false)
		w.serve(t, 80, func(c net.Conn) {
			io.Copy(c, c)
			c.Close()
		})
		for i, server := range []netip.AddrPort{server4, server6} {
			client := netip.MustParseAddrPort("192.0.2.7:40000")
			if i == 1 {
				client = netip.MustParseAddrPort("[2001:db8::7]:40000")
			}
			c, err := w.DialContext(t.Context(), client, server)
			if err != nil {
				t.Fatal(err)
			}
			data := make([]byte, 8<<20)
			for i := range data {
				data[i] = byte(i * 7 >> 3)
			}
			go func() {
				c.Write(data)
				c.(interface{ CloseWrite() error }).CloseWrite()
			}()
			start := time.Now()
			got, err := io.ReadAll(c)
			t.Logf("%d bytes echoed in %v", len(got), time.Since(start))
			if err != nil || string(got) != string(data) {
				t.Errorf("%s: %d bytes came back of %d, equal %v: %v", server, len(got), len(data), string(got) == string(data), err)
			}
			c.Close()
		}
	})
}

func TestRefused(t *testing.T) {
	w := newWorld(t, true, false)
	for _, ends := range [][2]netip.AddrPort{{client4, server4}, {client6, server6}} {
		if _, err := w.DialContext(t.Context(), ends[0], ends[1]); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: got %v, want refused", ends[1], err)
		}
	}
	if e := w.Egress(); len(e) > 0 {
		t.Errorf("the refusal is counted as egress: %+v", e)
	}
}

func TestAddressInUse(t *testing.T) {
	w := newWorld(t, true, false)
	conns := make(chan net.Conn, 2)
	w.serve(t, 80, func(c net.Conn) { conns <- c })
	first := dial(t, w.Net, client4, server4)
	first.established()
	first.Flush()
	theirs := <-conns
	if _, err := w.Dial(client4, server4, func() {}); !errors.Is(err, ErrInUse) {
		t.Fatalf("the same 4-tuple again: %v, want %v", err, ErrInUse)
	}
	// Closed by us, but not yet by the application.
	first.Close()
	if _, err := w.Dial(client4, server4, func() {}); !errors.Is(err, ErrInUse) {
		t.Fatalf("half-closed: %v, want %v", err, ErrInUse)
	}
	theirs.Close()
	first.until("the end", func() bool { return w.Stats().Connections == 0 })
	again := dial(t, w.Net, client4, server4)
	again.established()
	again.Flush()
	(<-conns).Close()
	again.Abort()
}

// A connection that is given up before the application's kernel has answered:
// the next from the same address is not refused, whenever it comes.
func TestDialAfterAbort(t *testing.T) {
	w := newWorld(t, true, false)
	w.serve(t, 80, func(c net.Conn) { io.Copy(c, c); c.Close() })
	for i := range 200 {
		client := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.7"), uint16(20000+i))
		c, err := w.Dial(client, server4, func() {})
		if err != nil {
			t.Fatal(err)
		}
		c.Abort()
		woken := make(chan struct{}, 1)
		wake := func() {
			select {
			case woken <- struct{}{}:
			default:
			}
		}
		deadline := time.After(10 * time.Second)
		for c, err = w.Dial(client, server4, wake); errors.Is(err, ErrInUse); c, err = w.Dial(client, server4, wake) {
			select {
			case <-deadline:
				t.Fatal(err)
			case <-time.After(100 * time.Microsecond):
			}
		}
		for ok := false; err == nil && !ok; ok, err = c.Established() {
			select {
			case <-woken:
			case <-deadline:
				t.Fatal("not connected")
			}
		}
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		c.Abort()
	}
	if e := w.Egress(); len(e) > 0 {
		t.Errorf("counted as egress: %+v", e)
	}
}

// TestUnanswered: a SYN that nobody answers is sent three times, then the connection
// is over, and nothing is left of it; of one that was given up before as well.
func TestUnanswered(t *testing.T) {
	w := newWorld(t, true, false)
	nowhere := netip.MustParseAddrPort("10.99.0.1:80") // the kernel takes no packet to it
	type call struct {
		*Conn
		woken chan struct{}
	}
	calls := make([]call, 2)
	for i := range calls {
		woken := make(chan struct{}, 100)
		c, err := w.Dial(netip.AddrPortFrom(client4.Addr(), uint16(20000+i)), nowhere, func() { woken <- struct{}{} })
		if err != nil {
			t.Fatal(err)
		}
		calls[i] = call{c, woken}
	}
	calls[1].Abort()
	for i, c := range calls {
		deadline := time.After(60 * time.Second) // without an end it is 127 s
		for !c.Gone() {
			select {
			case <-c.woken:
			case <-deadline:
				t.Fatalf("connection %d is still there", i)
			}
		}
		if ok, err := c.Established(); ok || i == 0 && !errors.Is(err, ErrTimeout) {
			t.Errorf("connection %d: %v, %v", i, ok, err)
		}
		if f := c.Facts(); f.Retransmits != mostSYNs-1 {
			t.Errorf("connection %d: %d SYNs were sent again", i, f.Retransmits)
		}
	}
	calls[0].Abort() // as its player does
	if n := w.Stats().Connections; n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestOnePortToManyServers(t *testing.T) {
	w := newWorld(t, true, false)
	ports := []int{80, 81, 82}
	for _, port := range ports {
		w.serve(t, port, func(c net.Conn) {
			fmt.Fprintf(c, "port %d", port)
			c.Close()
		})
	}
	var users []*user
	for _, port := range ports {
		users = append(users, dial(t, w.Net, client4, netip.AddrPortFrom(server4.Addr(), uint16(port))))
	}
	for i, u := range users {
		u.established()
		u.read(fmt.Sprintf("port %d", ports[i]))
		u.Close()
	}
}

// A client that comes back from the same port as soon as it has left.
func TestPortIsFreeAfterClose(t *testing.T) {
	for _, tt := range []struct {
		name        string
		serverFirst bool
	}{{"the application closes first", true}, {"the client closes first", false}} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, true, false)
			w.serve(t, 80, func(c net.Conn) {
				line, _ := bufio.NewReader(c).ReadString('\n')
				io.WriteString(c, line)
				if !tt.serverFirst {
					io.Copy(io.Discard, c)
				}
				c.Close()
			})
			for i := range 100 {
				u := dial(t, w.Net, client4, server4)
				u.established()
				said := fmt.Sprintf("visit %d\n", i)
				u.write(said)
				u.read(said)
				if !tt.serverFirst {
					if err := u.CloseWrite(); err != nil {
						t.Fatal(err)
					}
				}
				if err := u.end(); err != io.EOF {
					t.Fatalf("visit %d: %v", i, err)
				}
				u.Close()
				u.until("the end", func() bool { return w.Stats().Connections == 0 })
			}
		})
	}
}

func TestHalfClose(t *testing.T) {
	eachMode(t, func(t *testing.T, offload bool) {
		w := newWorld(t, offload, false)
		w.serve(t, 80, func(c net.Conn) { // answers only at the end of the request
			all, _ := io.ReadAll(c)
			fmt.Fprintf(c, "%d bytes", len(all))
			c.Close()
		})
		heard := make(chan string, 1)
		w.serve(t, 81, func(c net.Conn) { // has nothing more to say, but listens
			c.(*net.TCPConn).CloseWrite()
			all, _ := io.ReadAll(c)
			heard <- string(all)
			c.Close()
		})
		u := dial(t, w.Net, client4, server4)
		u.established()
		u.write(strings.Repeat("x", 100_000))
		if err := u.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		u.read("100000 bytes")
		if err := u.end(); err != io.EOF {
			t.Errorf("end: %v", err)
		}
		u.Close()

		u = dial(t, w.Net, client4, netip.AddrPortFrom(server4.Addr(), 81))
		u.established()
		u.Flush()
		if err := u.end(); err != io.EOF {
			t.Errorf("end: %v", err)
		}
		u.write("still talking")
		u.Close()
		if got := <-heard; got != "still talking" {
			t.Errorf("the application heard %q", got)
		}
	})
}

func TestAbortResets(t *testing.T) {
	eachMode(t, func(t *testing.T, offload bool) {
		w := newWorld(t, offload, false)
		heard := make(chan error, 1)
		w.serve(t, 80, func(c net.Conn) {
			c.Write([]byte("hello"))
			_, err := c.Read(make([]byte, 1))
			heard <- err
			c.Close()
		})
		u := dial(t, w.Net, client4, server4)
		u.established()
		u.Flush()
		u.read("hello")
		u.Abort()
		if err := <-heard; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the application got %v, want %v", err, syscall.ECONNRESET)
		}
		if e := w.Egress(); len(e) > 0 {
			t.Errorf("egress %+v", e)
		}
	})
}

func TestAckedByTheKernel(t *testing.T) {
	for _, ends := range [][2]netip.AddrPort{{client4, server4}, {client6, server6}} {
		w := newWorld(t, true, false)
		read := make(chan struct{})
		w.serve(t, 80, func(c net.Conn) {
			c.(*net.TCPConn).SetReadBuffer(4096)
			<-read
			n, _ := io.Copy(io.Discard, c)
			fmt.Fprint(c, n)
			c.Close()
		})
		u := dial(t, w.Net, ends[0], ends[1])
		u.established()
		data := make([]byte, 64<<20)
		queued, err := u.Write(data) // more than buffers hold
		if err != nil || queued == 0 || queued == len(data) {
			t.Fatalf("wrote %d: %v", queued, err)
		}
		for u.Acked() == 0 {
			time.Sleep(time.Millisecond) // a poll: acknowledgements alone wake nobody
		}
		if got := u.Acked(); got > uint64(queued) {
			t.Errorf("%d acknowledged of %d", got, queued)
		}
		close(read)
		total := 10 << 20
		for queued < total {
			u.until("room", func() bool {
				n, err := u.Write(data[queued:total])
				if err != nil {
					t.Fatal(err)
				}
				queued += n
				return n > 0
			})
		}
		if err := u.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		u.read(fmt.Sprint(queued))
		if got := u.Acked(); got != uint64(queued) {
			t.Errorf("%d acknowledged after the FIN, want %d", got, queued)
		}
		u.Close()
	}
}

func TestEgressOfTheKernel(t *testing.T) {
	for _, refuse := range []bool{true, false} {
		t.Run(fmt.Sprintf("refuse %v", refuse), func(t *testing.T) {
			eachMode(t, func(t *testing.T, offload bool) {
				w := newWorld(t, offload, refuse)
				for _, tt := range []struct {
					network, to, name string
				}{
					{"udp", "203.0.113.5:9999", ""},
					{"udp", "[2001:db8:5::5]:9999", ""},
					{"udp", "9.9.9.9:53", "db.internal"},
					{"tcp", "203.0.113.6:5432", ""},
					{"tcp", "[2001:db8:5::6]:5432", ""},
				} {
					to := netip.MustParseAddrPort(tt.to)
					err := w.leave(t, tt.network, to, query("db.internal"))
					if refuse && !errors.Is(err, syscall.ECONNREFUSED) {
						t.Errorf("%s %s: %v, want %v", tt.network, to, err, syscall.ECONNREFUSED)
					}
					at := slices.IndexFunc(w.Egress(), func(e Egress) bool {
						return e.Proto == tt.network && e.Dst == to.Addr() && e.Port == to.Port() && e.Packets > 0
					})
					if at < 0 {
						t.Errorf("%s %s: not counted in %+v", tt.network, to, w.Egress())
						continue
					}
					if got := w.Egress()[at].Name; got != tt.name {
						t.Errorf("%s: name %q, want %q", to, got, tt.name)
					}
				}
				for _, e := range w.Egress() {
					if e.Proto == "icmpv6" || !e.Dst.IsValid() {
						t.Errorf("the kernel's own chatter is counted: %+v", e)
					}
				}
			})
		})
	}
}

// leave tries to reach something outside from within until it is refused or,
// where nothing answers, the black hole has seen it.
func (w *world) leave(t *testing.T, network string, to netip.AddrPort, payload []byte) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tried := make(chan error, 1)
	go w.in(func() {
		c, err := new(net.Dialer).DialContext(ctx, network, to.String())
		if err != nil {
			tried <- err
			return
		}
		defer c.Close()
		defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
		if _, err = c.Write(payload); err == nil {
			_, err = c.Read(make([]byte, 1)) // where the ICMP message shows
		}
		tried <- err
	})
	if w.hole.refuse {
		return <-tried
	}
	for !slices.ContainsFunc(w.Egress(), func(e Egress) bool { return e.Proto == network && e.Dst == to.Addr() }) {
		if ctx.Err() != nil {
			break
		}
		time.Sleep(time.Millisecond) // a poll: the black hole wakes nobody
	}
	cancel()
	return <-tried
}
