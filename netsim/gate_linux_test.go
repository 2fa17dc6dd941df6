package netsim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tcpsandbox/netsim/netsimtest"
)

// outside is the world beyond the gate: a server on this machine's loopback that
// stands for every destination, and a note of each that was dialed.
type outside struct {
	mu     sync.Mutex
	dialed []string
	tcp    func(c *net.TCPConn) // serves
	udp    netip.AddrPort
	fails  error
}

func (o *outside) dial(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	o.mu.Lock()
	o.dialed = append(o.dialed, network+" "+to.String())
	o.mu.Unlock()
	if o.fails != nil {
		return nil, o.fails
	}
	if network == "udp" {
		return new(net.Dialer).DialContext(ctx, network, o.udp.String())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		c, err := l.Accept()
		l.Close()
		if err == nil {
			o.tcp(c.(*net.TCPConn))
		}
	}()
	c, err := new(net.Dialer).DialContext(ctx, network, l.Addr().String())
	if err != nil {
		l.Close()
	}
	return c, err
}

func (o *outside) all() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.dialed)
}

// call connects from inside the namespace.
func (w *world) call(network string, to string) (c net.Conn, err error) {
	w.in(func() { c, err = net.DialTimeout(network, to, patience) })
	if err == nil {
		c.SetDeadline(time.Now().Add(patience))
	}
	return c, err
}

const patience = 20 * time.Second

func (w *world) mustCall(t testing.TB, network, to string) net.Conn {
	t.Helper()
	c, err := w.call(network, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// wentTo returns the line of what was let through to a destination.
func (w *world) wentTo(t testing.TB, to string) Egress {
	t.Helper()
	for _, e := range w.Egress() {
		if e.Policy == "allow" && netip.AddrPortFrom(e.Dst, e.Port).String() == to {
			return e
		}
	}
	t.Fatalf("nothing went to %s: %+v", to, w.Egress())
	return Egress{}
}

// until waits until a condition holds.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for late := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

func echo(c *net.TCPConn) {
	io.Copy(c, c)
	c.Close()
}

var allowed = []Way{{To: other4, Name: "shop.example"}, {To: other6}}

// Bytes go both ways and end as they end, and the ledger has them.
func TestLetThrough(t *testing.T) {
	eachMode(t, func(t *testing.T, offload bool) {
		for _, to := range []netip.AddrPort{other4, other6} {
			t.Run(to.String(), func(t *testing.T) {
				o := &outside{tcp: echo}
				w := newWorldWith(t, Config{Offload: offload, Dial: o.dial, Ways: allowed})
				c := w.mustCall(t, "tcp", to.String())
				request := "GET / HTTP/1.1\r\nHost: api.example\r\n\r\n" + strings.Repeat("0123456789", 400_000)
				go func() {
					io.WriteString(c, request)
					c.(*net.TCPConn).CloseWrite()
				}()
				got, err := io.ReadAll(c)
				if err != nil || string(got) != request {
					t.Fatalf("%d bytes came back of %d, %v", len(got), len(request), err)
				}
				if got := o.all(); !slices.Equal(got, []string{"tcp " + to.String()}) {
					t.Errorf("dialed %q", got)
				}
				e := w.wentTo(t, to.String())
				if n := uint64(len(request)); e.Bytes < n || e.BytesBack < n || e.Packets < 5 || e.PacketsBack < 5 || e.Bytes > n+n/2 {
					t.Errorf("counted %+v", e)
				}
				if e.Guess != "http" || e.Host != "api.example" || e.Proto != "tcp" || to == other4 && e.Name != "shop.example" {
					t.Errorf("known of it: %+v", e)
				}
				if list := w.Egress(); len(list) != 1 {
					t.Errorf("egress: %+v", list)
				}
			})
		}
	})
}

// A flood of all else reaches nobody while a way is in use, and holds it up not
// for good.
func TestNothingElseIsLetThrough(t *testing.T) {
	o := &outside{tcp: echo}
	w := newWorldWith(t, Config{Offload: true, Refuse: true, Dial: o.dial, Ways: append(allowed, Way{To: dns4, UDP: true})})
	c := w.mustCall(t, "tcp", other4.String())
	elsewhere := []string{
		"198.51.100.1:444", "198.51.100.2:443", "9.9.9.9:53", "[2001:db8:1::1]:80", "[2001:db8:1::2]:443", "169.254.169.254:80",
	}
	const rounds = 50
	for range rounds {
		for _, to := range elsewhere {
			if other, err := w.call("tcp", to); !errors.Is(err, syscall.ECONNREFUSED) {
				if err == nil {
					other.Close()
				}
				t.Fatalf("connecting to %s: %v", to, err)
			}
		}
		for _, to := range []string{other4.String(), other6.String(), "9.9.9.9:54", "9.9.9.8:53"} {
			u := w.mustCall(t, "udp", to)
			u.Write([]byte("anybody?"))
			u.Close()
		}
		if _, err := io.WriteString(c, "still"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
	}
	if got := o.all(); !slices.Equal(got, []string{"tcp " + other4.String()}) {
		t.Errorf("dialed %q", got)
	}
	refused := uint64(0)
	for _, e := range w.Egress() {
		if e.Policy == "refuse" {
			refused += e.Packets
		}
	}
	if want := uint64(rounds * (len(elsewhere) + 4)); refused != want {
		t.Errorf("%d packets refused, want %d: %+v", refused, want, w.Egress())
	}
}

// What becomes of the destination becomes of the application's connection.
func TestEndsGoThrough(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		o := &outside{fails: syscall.ECONNREFUSED}
		w := newWorldWith(t, Config{Offload: true, Dial: o.dial, Ways: allowed})
		if _, err := w.call("tcp", other4.String()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("connect: %v", err)
		}
	})
	t.Run("reset by the destination", func(t *testing.T) {
		o := &outside{tcp: func(c *net.TCPConn) { c.Read(make([]byte, 9)); c.SetLinger(0); c.Close() }}
		w := newWorldWith(t, Config{Offload: true, Dial: o.dial, Ways: allowed})
		c := w.mustCall(t, "tcp", other4.String())
		io.WriteString(c, "x")
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read: %v", err)
		}
	})
	t.Run("reset by the application", func(t *testing.T) {
		ended := make(chan error, 1)
		o := &outside{tcp: func(c *net.TCPConn) { _, err := io.ReadAll(c); ended <- err }}
		w := newWorldWith(t, Config{Offload: true, Dial: o.dial, Ways: allowed})
		c := w.mustCall(t, "tcp", other4.String()).(*net.TCPConn)
		c.SetLinger(0)
		c.Close()
		if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the destination read: %v", err)
		}
	})
	t.Run("closed by the destination first", func(t *testing.T) {
		got := make(chan string, 1)
		o := &outside{tcp: func(c *net.TCPConn) {
			io.WriteString(c, "hello")
			c.CloseWrite()
			all, _ := io.ReadAll(c)
			got <- string(all)
		}}
		w := newWorldWith(t, Config{Offload: true, Dial: o.dial, Ways: allowed})
		c := w.mustCall(t, "tcp", other4.String())
		if all, err := io.ReadAll(c); string(all) != "hello" || err != nil {
			t.Errorf("read %q, %v", all, err)
		}
		io.WriteString(c, "bye")
		c.Close()
		if s := <-got; s != "bye" {
			t.Errorf("the destination got %q", s)
		}
		until(t, "the relay is over", func() bool { return w.gate.relays.Load() == 0 })
	})
}

// Who does not read stops who writes; nothing in between grows.
func TestBackPressure(t *testing.T) {
	release := make(chan struct{})
	total := make(chan int64, 1)
	o := &outside{tcp: func(c *net.TCPConn) {
		<-release
		n, _ := io.Copy(io.Discard, c)
		total <- n
	}}
	w := newWorldWith(t, Config{Offload: true, Dial: o.dial, Ways: allowed})
	c := w.mustCall(t, "tcp", other4.String())
	wrote, block := int64(0), make([]byte, 64<<10)
	for {
		c.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := c.Write(block)
		wrote += int64(n)
		if err != nil {
			break
		}
		if wrote > 64<<20 {
			t.Fatal("64 MB were taken that nobody read")
		}
	}
	close(release)
	c.(*net.TCPConn).CloseWrite()
	if n := <-total; n != wrote {
		t.Errorf("%d bytes came of %d", n, wrote)
	}
}

// A way that is shut is shut for what goes through it, too.
func TestShut(t *testing.T) {
	o := &outside{tcp: echo}
	w := newWorldWith(t, Config{Offload: true, Refuse: true, Dial: o.dial, Ways: allowed})
	c := w.mustCall(t, "tcp", other4.String())
	io.WriteString(c, "x")
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if got := w.Shut(netip.AddrPortFrom(other4.Addr(), 80)); !slices.Equal(got, allowed[:1]) {
		t.Errorf("shut %+v", got)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read after that: %v", err)
	}
	if _, err := w.call("tcp", other4.String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connect after that: %v", err)
	}
	if len(o.all()) != 1 {
		t.Errorf("dialed %q", o.all())
	}
	if got := w.Shut(other4); got != nil {
		t.Errorf("shut twice: %+v", got)
	}
}

// Close ends what goes through and waits for nobody.
func TestCloseWithOpenWays(t *testing.T) {
	silent := make(chan struct{})
	defer close(silent)
	o := &outside{tcp: func(c *net.TCPConn) { <-silent; c.Close() }}
	hang := func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
		if to == other6 {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return o.dial(ctx, network, to)
	}
	w := newWorldWith(t, Config{Offload: true, Dial: hang, Ways: allowed})
	c := w.mustCall(t, "tcp", other4.String())
	waiting := make(chan error, 1)
	go func() { _, err := w.call("tcp", other6.String()); waiting <- err }()
	until(t, "both are under way", func() bool { return w.gate.relays.Load() == 2 })
	w.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("read after Close: %v", err)
	}
	if err := <-waiting; err == nil {
		t.Error("a connection was made after Close")
	}
}

// A listener on the namespace's loopback leads to the first address that answers.
func TestServe(t *testing.T) {
	o := &outside{tcp: echo}
	dial := func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
		if to == other6 {
			return nil, syscall.ECONNREFUSED
		}
		return o.dial(ctx, network, to)
	}
	w := newWorldWith(t, Config{Offload: true, Dial: dial})
	var l net.Listener
	var err error
	w.in(func() { l, err = net.Listen("tcp", "127.0.0.1:0") })
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Serve(l, []netip.AddrPort{other6, other4}, "db.example"); err != nil {
		t.Fatal(err)
	}
	const conns = 20
	for i := range conns {
		c := w.mustCall(t, "tcp", l.Addr().String())
		text := fmt.Sprintf("SSH-2.0-number-%02d\r\n", i)
		io.WriteString(c, text)
		c.(*net.TCPConn).CloseWrite()
		if got, err := io.ReadAll(c); err != nil || string(got) != text {
			t.Fatalf("read %q, %v", got, err)
		}
	}
	until(t, "all are over", func() bool { return w.gate.relays.Load() == 0 })
	e := w.wentTo(t, other4.String())
	if e.Bytes != conns*19 || e.BytesBack != conns*19 || e.Packets < conns*3 || e.PacketsBack < conns*3 || e.Name != "db.example" || e.Guess != "ssh" {
		t.Errorf("counted %+v", e)
	}
	// Directly nobody gets there: a mapping is no way.
	if n := len(o.all()); n != conns {
		t.Errorf("%d connections made, want %d", n, conns)
	}
	if got := w.Shut(netip.AddrPortFrom(other4.Addr(), 1)); got != nil {
		t.Errorf("shut for another port: %+v", got)
	}
	if got := w.Shut(other4); len(got) != 1 {
		t.Errorf("shut %+v", got)
	}
	if c, err := w.call("tcp", l.Addr().String()); err == nil {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a shut mapping answers")
		}
		c.Close()
	}
	w.Close()
	if _, err := w.call("tcp", l.Addr().String()); err == nil {
		t.Error("the listener is still there after Close")
	}
	if err := w.Serve(l, nil, ""); !errors.Is(err, ErrClosed) {
		t.Errorf("Serve after Close: %v", err)
	}
}

// Hostile packets to an allowed destination lead nowhere.
func TestGateTakesNoNonsense(t *testing.T) {
	o := &outside{tcp: echo}
	wire := netsimtest.NewWire(t, true)
	n, err := New(Config{TUN: wire.TUN, MTU: 1500, Offload: true, Dial: o.dial, Ways: append(allowed, Way{To: other4, UDP: true})})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- n.Run(context.Background()) }()
	segment := netsimtest.TCP(app4, other4, "S", 1, 0, nil)
	fragment := bytes.Clone(segment)
	fragment[6] = 0x20
	wire.Write(fragment)
	wire.Write(netsimtest.TCP(app4, other4, "SFRPA", 1, 1, []byte("x")))
	wire.Write(netsimtest.TCP(app4, other4, "PA", 1, 1, []byte("x")))
	wire.Write(segment[:24])
	datagram := netsimtest.UDP(app4, other4, []byte("x"))
	datagram[25] = 200 // longer than it is
	wire.Write(datagram)
	wire.Write(datagram[:22])
	wire.Barrier()
	if got := o.all(); len(got) != 0 {
		t.Errorf("dialed %q", got)
	}
	n.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
