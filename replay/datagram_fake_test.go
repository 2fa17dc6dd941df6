package replay

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// endpoint stands for netsim and an application that takes datagrams. Each
// datagram is given to serve, which answers after some time.
type endpoint struct {
	serve  func(p string) reply
	refuse func(p string) bool
	fails  func(p string) bool // Send does
	dialed func(n int) error   // decides on the n-th dial, from 0

	mu      sync.Mutex
	dials   int
	sockets []*socket
}

type socket struct {
	at   *endpoint
	wake func()

	mu             sync.Mutex
	received       []string
	times          []time.Duration
	began          time.Time
	due            []arrival // the application's datagrams, in the order of sending
	refused, bytes uint64
	closed         bool
}

func (e *endpoint) dial(client, server netip.AddrPort, wake func()) (Datagrams, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dials++
	if e.dialed != nil {
		if err := e.dialed(e.dials - 1); err != nil {
			return nil, err
		}
	}
	s := &socket{at: e, wake: wake, began: time.Now()}
	e.sockets = append(e.sockets, s)
	return s, nil
}

func (s *socket) Send(p []byte) error {
	text := string(p)
	if s.at.fails != nil && s.at.fails(text) {
		return errors.New("no buffer space available")
	}
	s.mu.Lock()
	s.received = append(s.received, text)
	s.times = append(s.times, time.Since(s.began))
	s.mu.Unlock()
	if s.at.refuse != nil && s.at.refuse(text) {
		time.AfterFunc(time.Millisecond, func() {
			s.mu.Lock()
			s.refused++
			s.bytes += uint64(len(text))
			s.mu.Unlock()
			s.wake()
		})
		return nil
	}
	r := s.at.serve(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, answer := range r.pieces {
		after := r.after + time.Duration(i)*r.pause
		s.due = append(s.due, arrival{time.Now().Add(after), answer})
		time.AfterFunc(after, s.wake)
	}
	return nil
}

// arrival is a datagram on its way.
type arrival struct {
	at   time.Time
	text string
}

func (s *socket) Receive(fn func(p []byte)) int {
	s.mu.Lock()
	var out []arrival
	s.due = slices.DeleteFunc(s.due, func(a arrival) bool {
		here := !a.at.After(time.Now())
		if here {
			out = append(out, a)
		}
		return here
	})
	s.mu.Unlock()
	slices.SortStableFunc(out, func(a, b arrival) int { return a.at.Compare(b.at) })
	for _, a := range out {
		fn([]byte(a.text))
	}
	return len(out)
}

func (s *socket) Refused() (datagrams, bytes uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused, s.bytes
}

func (s *socket) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}
