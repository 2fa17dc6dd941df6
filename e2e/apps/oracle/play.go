package main

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tcpsandbox/e2e/apps/connlog"
)

// theater serves connections by their scripts.
type theater struct {
	log       *connlog.Log
	listeners []*net.TCPListener

	mu      sync.Mutex
	scripts map[[2]netip.AddrPort][]*script // by client and server
	playing map[*play]struct{}
	closing bool
	ended   sync.WaitGroup
}

// portOfNone is where to listen when no session of the capture needs it: an
// application that never listens would be at fault.
const portOfNone = 9 // discard

// serve listens on all ports that the scripts' servers accepted connections on.
func serve(scripts []*script, log *connlog.Log) (*theater, error) {
	t := &theater{log: log, scripts: map[[2]netip.AddrPort][]*script{}, playing: map[*play]struct{}{}}
	ports := map[uint16]bool{}
	for _, s := range scripts {
		if s.accepted {
			k := [2]netip.AddrPort{s.client, s.server}
			t.scripts[k] = append(t.scripts[k], s)
			ports[s.server.Port()] = true
		}
	}
	if len(ports) == 0 {
		ports[portOfNone] = true
	}
	for port := range ports {
		l, err := net.Listen("tcp", ":"+strconv.Itoa(int(port)))
		if err != nil {
			t.close()
			return nil, err
		}
		t.listeners = append(t.listeners, l.(*net.TCPListener))
	}
	for _, l := range t.listeners {
		go func() {
			for {
				c, err := l.AcceptTCP()
				if err != nil {
					return
				}
				t.begin(c)
			}
		}()
	}
	return t, nil
}

// begin plays a connection's script, in a goroutine of its own.
func (t *theater) begin(c *net.TCPConn) {
	p := &play{theater: t, conn: c, entry: t.log.Connection(c.RemoteAddr(), c.LocalAddr())}
	p.cond.L = &p.mu
	p.script, p.aligned = t.next(c)
	t.mu.Lock()
	t.playing[p] = struct{}{}
	if t.closing {
		c.CloseRead()
	}
	t.ended.Add(1)
	t.mu.Unlock()
	go func() {
		defer t.ended.Done()
		p.run()
		t.mu.Lock()
		delete(t.playing, p)
		t.mu.Unlock()
	}()
}

// next returns the script of a connection: of several with the same addresses,
// such as in two tunnels or one after the other, the next. One that may be
// entered in the middle serves any number of connections; where each begins,
// its first bytes tell.
func (t *theater) next(c *net.TCPConn) (s *script, fromBeginning bool) {
	k := [2]netip.AddrPort{plain(c.RemoteAddr()), plain(c.LocalAddr())}
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.scripts[k]
	if len(all) == 0 {
		return &script{}, true // hears all, says nothing
	}
	if s = all[0]; s.whole || len(all) > 1 {
		t.scripts[k] = all[1:]
	}
	fromBeginning = s.begins && !s.played
	s.played = true
	return s, fromBeginning
}

// standIns are the addresses that sessions on ::1 are played between, since no
// kernel takes ::1 from a device.
var standIns = netip.MustParsePrefix("fd74:6370:7363::/48")

// plain returns an address as the capture has it.
func plain(a net.Addr) netip.AddrPort {
	p := a.(*net.TCPAddr).AddrPort()
	if standIns.Contains(p.Addr()) {
		return netip.AddrPortFrom(netip.IPv6Loopback(), p.Port())
	}
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// close ends all connections, after they have read what is there for them: the
// kernel may be ahead of the goroutines.
func (t *theater) close() {
	for _, l := range t.listeners {
		t.acceptRest(l)
		l.Close()
	}
	t.mu.Lock()
	t.closing = true
	for p := range t.playing {
		p.mu.Lock()
		p.curtain = true
		p.cond.Broadcast()
		p.mu.Unlock()
		p.conn.CloseRead() // what has come is still read, then comes the end
	}
	t.mu.Unlock()
	t.ended.Wait()
}

// acceptRest accepts the connections that have waited for it until now. A
// deadline would make Accept pass over them.
func (t *theater) acceptRest(l *net.TCPListener) {
	raw, err := l.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		for {
			n, _, err := unix.Accept4(int(fd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if err != nil {
				return
			}
			f := os.NewFile(uintptr(n), "connection")
			if c, err := net.FileConn(f); err == nil {
				t.begin(c.(*net.TCPConn))
			}
			f.Close()
		}
	})
}

// play is one connection.
type play struct {
	theater *theater
	conn    *net.TCPConn
	script  *script
	entry   *connlog.Connection

	mu      sync.Mutex
	cond    sync.Cond
	aligned bool   // it is known where in the script the connection begins
	got     cause  // of the client's stream, from its beginning on
	mute    int    // the server's bytes that come before the connection
	end     string // how the client's side ended; one of connlog's words
	curtain bool   // the whole theater closes
}

// run reads and plays until both sides are at their end.
func (p *play) run() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.act()
	}()
	p.listen()
	<-done
	p.conn.Close()
	p.entry.End(p.end)
}

// listen reads what the client sends.
func (p *play) listen() {
	for buf := make([]byte, 64<<10); ; {
		n, err := p.conn.Read(buf)
		p.entry.Write(buf[:n])
		p.mu.Lock()
		if n > 0 && !p.aligned {
			p.aligned = true
			begins := p.script.align(buf[:n])
			p.got.bytes, p.mute = begins.at, begins.bytes
		}
		p.got.bytes += n
		switch {
		case err == nil:
		case p.curtain:
			p.end = connlog.Open
		case errors.Is(err, io.EOF):
			p.got.fin, p.end = true, connlog.EOF
		default:
			p.end = connlog.Reset
		}
		p.cond.Broadcast()
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// act does what production's server did.
func (p *play) act() {
	said := 0
	for _, m := range p.script.moves {
		if !p.await(m.cause) {
			return
		}
		if data := m.data[min(len(m.data), max(0, p.mute-said)):]; len(data) > 0 {
			if _, err := p.conn.Write(data); err != nil {
				return
			}
		}
		said += len(m.data)
		if m.rst {
			sent(p.conn)
			p.conn.SetLinger(0)
			p.mu.Lock()
			p.end = connlog.Reset
			p.mu.Unlock()
			p.conn.Close()
			return
		}
		if m.fin {
			p.conn.CloseWrite()
		}
	}
}

// await waits until the client has sent so much, or nothing more will come;
// it reports whether to go on.
func (p *play) await(c cause) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for (!p.aligned || c.after(p.got)) && p.end == "" && !p.curtain {
		p.cond.Wait()
	}
	return p.aligned && !c.after(p.got) && p.end != connlog.Reset
}

// sent waits until all that was written has been acknowledged: a reset takes
// back what has not.
func sent(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	for err == nil {
		left, failed := 0, 0
		err = raw.Control(func(fd uintptr) {
			left, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
			failed, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		})
		if left == 0 || failed != 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
