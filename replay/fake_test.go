package replay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// network stands for netsim and the application behind it, in memory. Each
// connection is a peer, whose application side runs serve in a goroutine.
type network struct {
	serve func(*peer)
	// dialed, if set, decides on the n-th Dial, from 0.
	dialed func(n int) error
	wire   wire

	mu    sync.Mutex
	dials int
	peers []*peer
}

// wire says how connections behave on the way.
type wire struct {
	connect  time.Duration // until the handshake is over
	fails    error         // what the handshake ends with
	never    bool          // the handshake never ends
	stays    bool          // the connection is not gone when it has been closed
	perWrite int           // bytes that Write takes at most; 0: all
	room     int           // bytes unread by the application that Write takes at most; 0: any number
	ackAfter time.Duration // from Write to Acked
	noAcks   bool
	failsAt  int  // bytes after which Write fails; 0: never
	forgets  bool // the kernel answers a FIN to a closed application with RST
}

func (n *network) dial(client, server netip.AddrPort, wake func()) (Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials++
	if n.dialed != nil {
		if err := n.dialed(n.dials - 1); err != nil {
			return nil, err
		}
	}
	p := &peer{net: n, wire: n.wire, wake: wake, client: client, began: time.Now()}
	p.changed.L = &p.mu
	n.peers = append(n.peers, p)
	if !p.wire.never {
		go p.run()
	}
	return p, nil
}

// peer is a connection: its methods in upper case are what the player sees of
// it, those in lower case what the application sees.
type peer struct {
	net    *network
	wire   wire
	wake   func()
	client netip.AddrPort
	began  time.Time

	mu          sync.Mutex
	changed     sync.Cond
	established bool
	failed      error

	received []byte // all that the application's kernel has
	read     int    // of that, by the application
	acked    uint64
	fin      bool // from the client
	aborted  bool
	closed   bool

	out      []byte // the application's, not yet read by the player
	shut     bool   // the application closed its direction
	dead     bool   // the application closed both
	wasReset bool   // the application, or its kernel, reset the connection
	flushes  int
	misuse   string // the first call that makes no sense
	order    []byte // 'c' and 's': who spoke, in runs
	at       []time.Duration
	starved  bool // a Write took less than it was given
}

func (p *peer) run() {
	time.Sleep(p.wire.connect) // this and the other sleeps here are of the bubble
	p.mu.Lock()
	p.established, p.failed = p.wire.fails == nil, p.wire.fails
	p.mu.Unlock()
	p.wake()
	if p.wire.fails == nil && p.net.serve != nil {
		p.net.serve(p)
	}
}

func (p *peer) note(who byte) {
	if n := len(p.order); n == 0 || p.order[n-1] != who {
		p.order = append(p.order, who)
		p.at = append(p.at, time.Since(p.began))
	}
}

func (p *peer) check(call string) {
	if p.misuse == "" && (p.aborted || p.closed) {
		p.misuse = call + " after the end"
	}
}

func (p *peer) Established() (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.established, p.failed
}

func (p *peer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.check("write")
	if p.fin || !p.established {
		p.misuse = "write without a connection, or after FIN"
	}
	if p.wasReset {
		return 0, errors.New("write: connection reset")
	}
	n := len(b)
	if p.wire.room > 0 {
		n = min(n, p.wire.room-(len(p.received)-p.read))
	}
	p.starved = n < len(b)
	if p.wire.perWrite > 0 && p.wire.perWrite < n {
		n = p.wire.perWrite
		time.AfterFunc(time.Microsecond, p.wake)
	}
	if f := p.wire.failsAt; f > 0 && len(p.received)+n >= f {
		n = f - len(p.received)
		p.wasReset = true
		p.received = append(p.received, b[:n]...)
		p.acked = uint64(len(p.received))
		return n, errors.New("write: connection reset")
	}
	if n == 0 {
		return 0, nil
	}
	if p.dead { // there is nobody: RFC 9293 §3.5.2
		p.wasReset = true
		defer p.wake()
		return n, nil
	}
	p.note('c')
	p.received = append(p.received, b[:n]...)
	if to := uint64(len(p.received)); p.wire.ackAfter > 0 {
		time.AfterFunc(p.wire.ackAfter, func() {
			p.mu.Lock()
			p.acked = max(p.acked, to)
			p.mu.Unlock()
		})
	} else if !p.wire.noAcks {
		p.acked = to
	}
	p.changed.Broadcast()
	return n, nil
}

func (p *peer) Read(fn func([]byte)) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.check("read")
	switch {
	case p.wasReset:
		return 0, errors.New("read: connection reset")
	case len(p.out) == 0 && p.shut:
		return 0, io.EOF
	case len(p.out) == 0:
		return 0, nil
	}
	// In two pieces, valid during the call only.
	n := len(p.out)
	piece := append([]byte(nil), p.out[:(n+1)/2]...)
	fn(piece)
	clear(piece)
	if rest := append([]byte(nil), p.out[(n+1)/2:]...); len(rest) > 0 {
		fn(rest)
		clear(rest)
	}
	p.out = p.out[:0]
	return n, nil
}

func (p *peer) Acked() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acked
}

func (p *peer) CloseWrite() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.check("half-close")
	if p.fin {
		p.misuse = "half-close twice"
	}
	p.fin = true
	p.note('f')
	p.changed.Broadcast()
	if p.wire.forgets && p.dead {
		p.wasReset = true
		go p.wake()
	} else if p.wasReset {
		return errors.New("close: connection reset")
	}
	return nil
}

// Gone: a peer goes at once, but not before its handshake is over.
func (p *peer) Gone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.wire.never && !p.wire.stays
}

// goes ends what is left of a connection, as the stack does.
func (p *peer) goes() {
	p.mu.Lock()
	p.wire.never, p.wire.stays = false, false
	p.mu.Unlock()
	p.wake()
}

func (p *peer) Flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.check("flush")
	p.flushes++
}

func (p *peer) Abort() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.check("abort")
	p.aborted = true
	p.note('r')
	p.changed.Broadcast()
}

func (p *peer) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.check("close")
	p.closed = true
	p.changed.Broadcast()
}

// get waits for bytes of the client's and returns all there are, or an error
// when it has closed (io.EOF) or the connection is gone.
func (p *peer) get() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.read == len(p.received) {
		switch {
		case p.aborted || p.wasReset:
			return nil, errors.New("gone")
		case p.fin || p.closed:
			return nil, io.EOF
		}
		p.changed.Wait()
	}
	b := p.received[p.read:]
	p.read = len(p.received)
	if p.starved {
		p.starved = false
		go p.wake()
	}
	return b, nil
}

// filled waits until there is no room for more of the client's bytes.
func (p *peer) filled() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.received)-p.read < p.wire.room && !p.aborted && !p.closed {
		p.changed.Wait()
	}
}

// Reader adapts get for bufio.
type reader struct {
	p    *peer
	rest []byte
}

func (r *reader) Read(b []byte) (n int, err error) {
	if len(r.rest) == 0 {
		if r.rest, err = r.p.get(); err != nil {
			return 0, err
		}
	}
	n = copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (p *peer) send(s string) { p.act(s, "") }

// act sends and then, before anyone can look, closes or resets; see reply.
func (p *peer) act(s, then string) {
	p.mu.Lock()
	if s != "" && !p.aborted && !p.closed && !p.wasReset {
		p.note('s')
		p.out = append(p.out, s...)
	}
	switch then {
	case "close", "shut":
		p.shut, p.dead = true, then == "close"
		if !p.aborted {
			p.note('e')
		}
	case "reset":
		p.wasReset = true
		p.changed.Broadcast()
	}
	p.mu.Unlock()
	p.wake()
}

// end closes the application's direction; both: it does not read any more.
func (p *peer) end(both bool) {
	if both {
		p.act("", "close")
	} else {
		p.act("", "shut")
	}
}

// gone waits until the client has ended the connection.
func (p *peer) gone() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.aborted && !p.closed {
		p.changed.Wait()
	}
}

// reply is what an application does about one request.
type reply struct {
	after  time.Duration // before the first piece
	pieces []string
	pause  time.Duration // between pieces
	then   string        // "", "close" (both directions), "shut" (its own), "reset", "hang"
}

func (r reply) give(p *peer) (on bool) {
	time.Sleep(r.after)
	for i, s := range r.pieces {
		if i > 0 {
			time.Sleep(r.pause)
		}
		if i < len(r.pieces)-1 {
			p.send(s)
		} else {
			p.act(s, r.then)
		}
	}
	if len(r.pieces) == 0 {
		p.act("", r.then)
	}
	if r.then == "hang" {
		p.gone()
	}
	return r.then == ""
}

func say(s string) reply { return reply{pieces: []string{s}} }

// web returns an HTTP application that gives these replies in order and
// closes when the client does.
func web(replies ...reply) func(*peer) {
	return func(p *peer) {
		r := bufio.NewReader(&reader{p: p})
		for i := 0; ; i++ {
			req, err := http.ReadRequest(r)
			if err == nil {
				if req.Header.Get("Expect") != "" {
					time.Sleep(time.Millisecond)
					p.send(interim)
				}
				_, err = io.Copy(io.Discard, req.Body)
			}
			if err != nil {
				if errors.Is(err, io.EOF) {
					p.end(true)
				}
				return
			}
			if i < len(replies) && !replies[i].give(p) {
				return
			}
		}
	}
}

// each returns an application that treats its connections differently: the
// first, the second, … and all others as the last.
func each(serve ...func(*peer)) func(*peer) {
	return func(p *peer) {
		p.net.mu.Lock()
		n := slices.Index(p.net.peers, p)
		p.net.mu.Unlock()
		serve[min(n, len(serve)-1)](p)
	}
}

// turns returns an application of no known protocol: it gives each reply once
// it has the bytes that are said before it.
func turns(script ...any) func(*peer) {
	return func(p *peer) {
		var have string
		for _, s := range script {
			switch s := s.(type) {
			case string:
				for !strings.HasPrefix(have, s) {
					b, err := p.get()
					if err != nil {
						return
					}
					have += string(b)
				}
				have = have[len(s):]
			case reply:
				if !s.give(p) {
					return
				}
			default:
				panic(fmt.Sprintf("turns: %T", s))
			}
		}
		for {
			if _, err := p.get(); err != nil {
				if errors.Is(err, io.EOF) {
					p.end(true)
				}
				return
			}
		}
	}
}

const interim = "HTTP/1.1 100 Continue\r\n\r\n"

func get(n int) string { return fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", n) }

func post(n int, body string) string {
	return fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", n, len(body), body)
}

func ok(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}
