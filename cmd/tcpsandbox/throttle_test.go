package main

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/replay"
)

// interfaceOf is an interface on which packets come faster than anyone can
// take them.
type interfaceOf struct {
	batches [][]capture.Packet
}

func (i *interfaceOf) Run(ctx context.Context, fn func([]capture.Packet) error) error {
	for _, b := range i.batches {
		if err := fn(b); err != nil {
			return err
		}
	}
	return nil
}
func (*interfaceOf) Stats() capture.Stats { return capture.Stats{} }
func (*interfaceOf) Close() error         { return nil }
func (*interfaceOf) Live() bool           { return true }
func (*interfaceOf) Name() string         { return "eth0" }

// What an interface gives waits until the players have taken what came before,
// when that is near the limit on memory; also what it still gives when the capture is
// to end.
func TestLiveCaptureStaysBelowTheLimit(t *testing.T) {
	t.Run("goes on", func(t *testing.T) { testBelowTheLimit(t, t.Context()) })
	ended, end := context.WithCancel(t.Context())
	end()
	t.Run("ends", func(t *testing.T) { testBelowTheLimit(t, ended) })
}

func testBelowTheLimit(t *testing.T, captured context.Context) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // as in a run; and players do not keep up by chance
	const limit, size, batch = 4 << 20, 64 << 20, 64
	c := capturetest.New("10.0.0.1:4000", "10.0.0.2:80")
	c.MSS = 16 << 10
	c.Handshake().Client(fmt.Sprintf("POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n", size))
	c.Client(strings.Repeat("u", size))
	live, all := &interfaceOf{}, []capture.Packet(nil)
	for _, p := range c.Packets {
		all = append(all, capture.Packet{Data: p.Data, Time: p.Time.UnixNano(), OrigLen: len(p.Data), Link: capture.LinkEthernet})
	}
	for ; len(all) > 0; all = all[min(batch, len(all)):] {
		live.batches = append(live.batches, all[:min(batch, len(all))])
	}

	p := &pipeline{opt: &runOptions{}}
	p.world.now = t.Context()
	p.players = replay.NewTee(replay.New(replay.Config{
		MaxHeld: limit, Hold: true, // nobody listens yet
		Dial: func(client, server netip.AddrPort, wake func()) (replay.Conn, error) { return nil, replay.ErrRefused },
	}))
	f, err := newFeed("eth0", func() (capture.Source, *capture.Assembler, error) {
		return live, capture.NewAssembler(capture.AssemblerConfig{}), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var playing sync.WaitGroup
	playing.Go(func() { p.players.Run(ctx) })
	p.follow(captured, f)
	p.flush(f)
	stop()
	playing.Wait()
	res := p.players.Finish()[0]
	// A batch is handed over before it is counted.
	if most := int64(limit + 2*batch*(c.MSS+512)); res.PeakHeld > most {
		t.Errorf("%d bytes were held, want %d at most", res.PeakHeld, most)
	}
	if res.Captured < size || len(res.Defects) > 0 {
		t.Errorf("%d bytes are in the books, %d were sent; defects %q", res.Captured, size, res.Defects)
	}
}

// A run that is to end at once reads nothing of what is left.
func TestLiveCaptureEndsAtOnce(t *testing.T) {
	now, end := context.WithCancel(t.Context())
	end()
	p := &pipeline{opt: &runOptions{}}
	p.world.now = now
	live := &interfaceOf{batches: make([][]capture.Packet, 3)}
	read := 0
	f, err := newFeed("eth0", func() (capture.Source, *capture.Assembler, error) {
		return counting{live, &read}, capture.NewAssembler(capture.AssemblerConfig{}), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p.players = replay.NewTee(replay.New(replay.Config{}))
	p.follow(t.Context(), f)
	if read > 1 || f.err != nil {
		t.Errorf("%d batches were read, error %v", read, f.err)
	}
}

// counting counts the batches that are read.
type counting struct {
	capture.Source
	batches *int
}

func (c counting) Run(ctx context.Context, fn func([]capture.Packet) error) error {
	return c.Source.Run(ctx, func(b []capture.Packet) error { *c.batches++; return fn(b) })
}
