package main

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tcpsandbox/e2e/apps/connlog"
)

// stage serves a script to one client on the loopback and returns the client's
// end, and what the record held in the end: when the connection was over (wait),
// or the oracle had to close.
func stage(t *testing.T, moves []move, change func(*script)) (c *net.TCPConn, record func(wait bool) connlog.Entry) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	log, err := connlog.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	// The client's address is known only when it has connected; so the
	// connection waits in the backlog of a listener that nobody accepts from.
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &script{client: plain(conn.LocalAddr()), server: plain(l.Addr()), begins: true, accepted: true, whole: true, moves: moves}
	if change != nil {
		change(s)
	}
	house := &theater{
		log: log, listeners: []*net.TCPListener{l}, playing: map[*play]struct{}{},
		scripts: map[[2]netip.AddrPort][]*script{{s.client, s.server}: {s}},
	}
	house.acceptRest(l)
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn.(*net.TCPConn), func(wait bool) connlog.Entry {
		if wait {
			house.ended.Wait()
		}
		house.close()
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		entries, err := connlog.Read(path)
		if err != nil || len(entries) != 1 {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		return entries[0]
	}
}

func say(after int, text string) move { return move{cause: cause{bytes: after}, data: []byte(text)} }

func want(t *testing.T, c io.Reader, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("got %q, %v; want %q", got, err, text)
	}
}

func wantEnd(t *testing.T, c io.Reader, end error) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n > 0 || !errors.Is(err, end) {
		t.Fatalf("read %d bytes, %v; want %v", n, err, end)
	}
}

func TestPlay(t *testing.T) {
	t.Run("the server speaks first, and each answer has its cause", func(t *testing.T) {
		c, record := stage(t, []move{say(0, "hello"), say(3, "one"), say(6, "two"), {cause: cause{6, true}, fin: true}}, nil)
		want(t, c, "hello")
		io.WriteString(c, "abcd") // one byte of the next turn, too
		want(t, c, "one")
		io.WriteString(c, "ef")
		want(t, c, "two")
		c.CloseWrite()
		wantEnd(t, c, io.EOF)
		if e := record(true); e.Bytes != 6 || e.End != connlog.EOF {
			t.Errorf("%+v", e)
		}
	})
	t.Run("half-close, and an answer after it", func(t *testing.T) {
		c, record := stage(t, []move{{cause: cause{4, true}, data: []byte("sorted")}, {cause: cause{4, true}, fin: true}}, nil)
		io.WriteString(c, "sort")
		c.CloseWrite()
		want(t, c, "sorted")
		wantEnd(t, c, io.EOF)
		if e := record(true); e.Bytes != 4 || e.End != connlog.EOF {
			t.Errorf("%+v", e)
		}
	})
	t.Run("the server closes first, and still listens", func(t *testing.T) {
		c, record := stage(t, []move{say(0, "bye"), {fin: true}}, nil)
		want(t, c, "bye")
		wantEnd(t, c, io.EOF)
		io.WriteString(c, "thanks")
		c.Close()
		if e := record(true); e.Bytes != 6 || e.End != connlog.EOF {
			t.Errorf("%+v", e)
		}
	})
	t.Run("the server resets once all it said has arrived", func(t *testing.T) {
		long := strings.Repeat("x", 1<<20)
		c, record := stage(t, []move{say(2, long), {cause: cause{bytes: 2}, rst: true}}, nil)
		io.WriteString(c, "go")
		want(t, c, long)
		wantEnd(t, c, syscall.ECONNRESET)
		if e := record(true); e.Bytes != 2 || e.End != connlog.Reset {
			t.Errorf("%+v", e)
		}
	})
	t.Run("the client resets", func(t *testing.T) {
		c, record := stage(t, []move{say(2, "yes"), say(9, "never")}, nil)
		io.WriteString(c, "go")
		want(t, c, "yes")
		c.SetLinger(0)
		c.Close()
		if e := record(true); e.Bytes != 2 || e.End != connlog.Reset {
			t.Errorf("%+v", e)
		}
	})
	t.Run("what has come is read before the end", func(t *testing.T) {
		c, record := stage(t, nil, nil)
		text := strings.Repeat("y", 300_000)
		io.WriteString(c, text)
		sent(c)
		if e := record(false); e.Bytes != int64(len(text)) || e.End != connlog.Open {
			t.Errorf("%+v", e)
		}
	})
	t.Run("entered in the middle", func(t *testing.T) {
		c, record := stage(t, []move{say(0, "hello"), say(3, "one"), say(6, "two")}, func(s *script) {
			s.begins, s.whole = false, false
			s.streams = [2][]byte{[]byte("abcdef"), []byte("helloonetwo")}
			s.seen = []seen{{0, 5}, {3, 8}}
		})
		io.WriteString(c, "def")
		want(t, c, "two")
		c.Close()
		if e := record(true); e.Bytes != 3 {
			t.Errorf("%+v", e)
		}
	})
}
