package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/replay"
)

// files writes captures and returns what --capture would.
func files(t *testing.T, captures ...[]capturetest.Packet) (specs []capture.Spec) {
	t.Helper()
	for i, packets := range captures {
		path := filepath.Join(t.TempDir(), fmt.Sprintf("%d.pcap", i))
		if err := os.WriteFile(path, capturetest.Pcap(packets), 0o600); err != nil {
			t.Fatal(err)
		}
		specs = append(specs, capture.Spec{Source: path})
	}
	return specs
}

// feeds opens files.
func feeds(t *testing.T, specs []capture.Spec) (all []*feed) {
	t.Helper()
	for _, spec := range specs {
		f, err := newFeed(spec.Source, func() (capture.Source, *capture.Assembler, error) {
			src, err := spec.Open(capture.LiveConfig{})
			return src, capture.NewAssembler(capture.AssemblerConfig{}), err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.close)
		all = append(all, f)
	}
	return all
}

// visits is a session of a client every so often.
func visits(client string, n int, first, every time.Duration) []capturetest.Packet {
	var conns []*capturetest.Conn
	for i := range n {
		addr := netip.AddrPortFrom(netip.MustParseAddr(client), uint16(2000+i))
		c := capturetest.Between(addr, netip.MustParseAddrPort("10.9.0.1:80"))
		conns = append(conns, c.Wait(first+time.Duration(i)*every).Handshake().Client("hello").Server("you").Close())
	}
	return capturetest.Merge(conns...)
}

func TestMerge(t *testing.T) {
	for _, captures := range [][][]capturetest.Packet{
		{visits("10.0.0.1", 2000, 0, time.Millisecond)},
		{visits("10.0.0.1", 3000, 0, time.Millisecond), visits("10.0.0.2", 20, 500*time.Microsecond, 7*time.Millisecond), visits("10.0.0.3", 1, time.Hour, 0)},
		{visits("10.0.0.1", 100, time.Hour, time.Millisecond), visits("10.0.0.2", 100, 0, time.Millisecond)},
		{visits("10.0.0.1", 10, 0, time.Millisecond), nil},
		{nil, nil},
	} {
		var want []int64
		for _, packets := range captures {
			for _, p := range packets {
				want = append(want, p.Time.UnixNano())
			}
		}
		slices.Sort(want)
		all := feeds(t, files(t, captures...))
		var got []int64
		merge(t.Context(), all, func(f *feed, batch []capture.Packet) error {
			for _, p := range batch {
				got = append(got, p.Time)
			}
			return nil
		})
		if !slices.Equal(got, want) {
			t.Errorf("%d packets, or in another order; want %d", len(got), len(want))
		}
		for _, f := range all {
			if f.err != nil {
				t.Error(f.err)
			}
		}
	}
}

// merge ends when it is told to, wherever it stands.
func TestMergeEnds(t *testing.T) {
	broken := fmt.Errorf("broken")
	for n := range 5 {
		for _, cancelled := range []bool{false, true} {
			all := feeds(t, files(t, visits("10.0.0.1", 50, 0, time.Millisecond), visits("10.0.0.2", 50, 0, time.Millisecond)))
			ctx, cancel := context.WithCancel(t.Context())
			calls := 0
			merge(ctx, all, func(*feed, []capture.Packet) error {
				if calls++; calls <= n {
					return nil
				}
				if cancelled {
					cancel()
					return ctx.Err()
				}
				return broken
			})
			cancel()
			failed := all[0].err == broken || all[1].err == broken
			if calls != n+1 || failed == cancelled {
				t.Errorf("%d calls, errors %v, %v", calls, all[0].err, all[1].err)
			}
		}
	}
}

// Files that are played again give the same sessions again, with numbers and
// counts that go on.
func TestPlayFilesAgain(t *testing.T) {
	for _, speed := range []float64{0, 1000} {
		all := feeds(t, files(t, visits("10.0.0.1", 30, 0, 20*time.Millisecond), visits("10.0.0.2", 20, 0, 30*time.Millisecond)))
		p := &pipeline{opt: &runOptions{controls: controls{repeat: 3, multiply: 1, budget: budget{memory: 1 << 30}}}}
		cfg := replay.Config{Dial: func(netip.AddrPort, netip.AddrPort, func()) (replay.Conn, error) { return nil, replay.ErrRefused }}
		if speed > 0 {
			p.pace = replay.NewPace(speed)
			cfg.Pace = p.pace
		}
		p.players = replay.NewTee(replay.New(cfg))
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { p.players.Run(ctx); close(ran) }()
		p.playFiles(ctx, all)
		for _, f := range all {
			p.flush(f)
		}
		if err := p.players.Drain(ctx); err != nil {
			t.Error(err)
		}
		stop()
		<-ran
		res := p.players.Finish()[0]
		if res.Seen != 3*50 || res.Captured != 3*50*int64(len("hello")) || len(res.Defects) > 0 {
			t.Errorf("speed %v: %+v", speed, res)
		}
		packets, segments := all[0].stats()
		if packets.Packets != 3*30*8 || segments.Segments != packets.Packets {
			t.Errorf("speed %v: %+v, %+v", speed, packets, segments)
		}
	}
}

func TestWholeSessions(t *testing.T) {
	between := func(port uint16) *capturetest.Conn {
		return capturetest.Between(netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port), netip.MustParseAddrPort("10.9.0.1:80"))
	}
	whole := between(1).Handshake().Client("hello").Server("you").Close()
	reset := between(2).Handshake().Client("hello").ServerRST()
	open := between(3).Handshake().Client("hello").Server("you")
	holed := between(4).Handshake().Client("hello").Client("again").Server("you").Close()
	holed.Drop(3)
	joined := between(5)
	joined.Handshake().Client("hello").Server("you").Close()
	joined.Drop(0).Drop(0).Drop(0)
	spec := files(t, capturetest.Merge(whole, reset, open, holed, joined))[0]
	var w wholeSessions
	src, err := spec.Open(capture.LiveConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if err := w.read(t.Context(), src, capture.NewAssembler(capture.AssemblerConfig{})); err != nil {
		t.Fatal(err)
	}
	var ports []uint16
	seen := map[uint16]bool{}
	f := feeds(t, []capture.Spec{spec})[0]
	err = f.src.Run(t.Context(), func(batch []capture.Packet) error {
		for _, s := range f.asm.Packets(batch) {
			if seen[s.Client.Port()] = true; w.has(s) {
				ports = append(ports, s.Client.Port())
			}
		}
		return nil
	})
	slices.Sort(ports)
	if ports = slices.Compact(ports); err != nil || !slices.Equal(ports, []uint16{1, 2}) || len(seen) != 5 {
		t.Errorf("whole are the sessions from ports %v of %v, %v", ports, seen, err)
	}
}
