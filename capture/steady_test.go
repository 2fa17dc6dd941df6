package capture_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/session"
)

// scripted is a source of given packets. As an interface, it gives each of them
// when its arrival says.
type scripted struct {
	packets  []capture.Packet
	arrivals []int64 // nil: at once
	now      *int64
	size     int // of a batch
	live     bool
}

func (s *scripted) Run(_ context.Context, fn func([]capture.Packet) error) error {
	for i := 0; i < len(s.packets); {
		n := min(s.size, len(s.packets)-i)
		if s.arrivals != nil {
			*s.now = s.arrivals[i+n-1]
		}
		if err := fn(s.packets[i : i+n]); err != nil {
			return err
		}
		i += n
	}
	return nil
}
func (s *scripted) Stats() capture.Stats { return capture.Stats{} }
func (s *scripted) Close() error         { return nil }
func (s *scripted) Live() bool           { return s.live }
func (s *scripted) Name() string         { return "script" }

// steadied returns the times, in seconds after a first one, that Steady makes of
// others, which it is given in batches.
func steadied(t *testing.T, size int, arrivals, times []float64) (got []float64) {
	t.Helper()
	base := capturetest.Epoch.UnixNano()
	at := func(s float64) int64 { return base + int64(s*1e9) }
	src := &scripted{size: size}
	for i, s := range times {
		p := capture.Packet{Time: at(s)}
		if s < -1e9 {
			p.Time = 0
		}
		src.packets = append(src.packets, p)
		if arrivals != nil {
			src.arrivals = append(src.arrivals, at(arrivals[i]))
		}
	}
	var steady capture.Source
	if arrivals == nil {
		steady = capture.Steady(src)
	} else {
		var now int64
		src.now = &now
		steady = capture.SteadyAt(src, func() int64 { return now })
	}
	err := steady.Run(t.Context(), func(batch []capture.Packet) error {
		for _, p := range batch {
			got = append(got, float64((p.Time-base)/1e6)/1e3)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSteadyFile(t *testing.T) {
	const hour, none = 3600, -2e9
	never := float64(-capturetest.Epoch.UnixMilli()) / 1e3
	for _, c := range []struct {
		name        string
		times, want []float64
		lone        []float64 // in batches of one, where nobody can look ahead; nil: the same
	}{
		{name: "even", times: []float64{0, 1, 2, 3}, want: []float64{0, 1, 2, 3}},
		{name: "pause", times: []float64{0, 1, hour, hour + 1}, want: []float64{0, 1, hour, hour + 1}},
		{name: "out of order", times: []float64{0, 5, 4, 6, 5.5, 7}, want: []float64{0, 5, 4, 6, 5.5, 7}},
		{name: "back by an hour", times: []float64{0, 1, 1 - hour, 2 - hour, 4 - hour}, want: []float64{0, 1, 1, 2, 4}},
		{name: "back twice", times: []float64{0, 9, 10, 0, 1, -9, -8}, want: []float64{0, 9, 10, 10, 11, 11, 12}},
		{name: "back and ahead again", times: []float64{0, 9, 10, -90, -89, 12, 13}, want: []float64{0, 9, 10, 10, 11, 112, 113}},
		{name: "ahead and back again", times: []float64{0, 1, hour, hour + 1, 2, 3}, want: []float64{0, 1, hour, hour + 1, hour + 1, hour + 2}},
		{name: "one far behind", times: []float64{0, 1, -hour, 2, 3}, want: []float64{0, 1, 1, 2, 3}},
		{name: "one far ahead", times: []float64{0, 1, hour, 2, 3}, want: []float64{0, 1, 1, 2, 3}, lone: []float64{0, 1, hour, 2, 3}},
		{name: "one years ahead", times: []float64{0, 1, 1e9, 2, 3}, want: []float64{0, 1, 1, 2, 3}},
		{name: "years ahead", times: []float64{0, 1, 1e9, 1e9 + 1, 1e9 + 2}, want: []float64{0, 1, 1e9, 1e9 + 1, 1e9 + 2}, lone: []float64{0, 1, 1, 1e9 + 1, 1e9 + 2}},
		{name: "no time at first", times: []float64{none, none, 1, 2}, want: []float64{1, 1, 1, 2}, lone: []float64{never, never, 1, 2}},
		{name: "no time", times: []float64{0, 1, none, 2}, want: []float64{0, 1, 1, 2}},
	} {
		for _, size := range []int{100, 1} {
			want := c.want
			if size == 1 && c.lone != nil {
				want = c.lone
			}
			if got := steadied(t, size, nil, c.times); !slices.Equal(got, want) {
				t.Errorf("%s, batches of %d: got %v, want %v", c.name, size, got, want)
			}
		}
	}
}

// TestSteadyLive steps the clock that stamps an interface's packets.
func TestSteadyLive(t *testing.T) {
	const hour = 3600
	for _, c := range []struct {
		name                  string
		arrivals, times, want []float64
	}{
		{"even", []float64{0, 1, 2}, []float64{0, 1, 2}, []float64{0, 1, 2}},
		{"late", []float64{5, 5, 6}, []float64{0, 1, 6}, []float64{0, 1, 6}},
		{"ahead by an hour", []float64{0, 1, 2, 3}, []float64{0, 1, 2 + hour, 3 + hour}, []float64{0, 1, 2, 3}},
		{"ahead by a second", []float64{0, 1, 2, 3}, []float64{0, 1, 3, 4}, []float64{0, 1, 2, 3}},
		{"ahead by years", []float64{0, 1, 2, 3}, []float64{0, 1, 2e9, 2e9 + 1}, []float64{0, 1, 2, 3}},
		{"back by an hour", []float64{0, 1, 2, 3}, []float64{0, 1, 2 - hour, 3 - hour}, []float64{0, 1, 1, 2}},
		{"ahead, and back again", []float64{0, 1, 2, 3, 4}, []float64{0, 1 + hour, 2 + hour, 3, 4}, []float64{0, 1, 2, 2, 3}},
		{"back, and ahead again", []float64{0, 1, 2, 3, 4}, []float64{0, 1 - hour, 2 - hour, 3, 4}, []float64{0, 0, 1, 3, 4}},
	} {
		if got := steadied(t, 1, c.arrivals, c.times); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// TestSteadyAlways: whatever the times are, those of an interface are never
// later than now, and nowhere do they go back by more than packets may be out of
// order.
func TestSteadyAlways(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		live := rapid.Bool().Draw(r, "live")
		size := 1000
		if live {
			size = rapid.IntRange(1, 3).Draw(r, "size")
		}
		var now, latest, last int64
		now = capturetest.Epoch.UnixNano()
		src := &scripted{size: size, now: &now}
		clock := now
		for range rapid.IntRange(1, 30).Draw(r, "packets") {
			passed := rapid.Int64Range(0, 3e9).Draw(r, "passed")
			clock += passed
			latest = max(latest, now) + passed
			if rapid.IntRange(0, 4).Draw(r, "steps") == 0 {
				clock += rapid.Int64Range(-4e15, 4e15).Draw(r, "by") // 46 days
			}
			src.packets = append(src.packets, capture.Packet{Time: max(clock, 0)})
			src.arrivals = append(src.arrivals, latest)
		}
		steady := capture.Steady(src)
		if live {
			steady = capture.SteadyAt(src, func() int64 { return now })
		}
		if err := steady.Run(t.Context(), func(batch []capture.Packet) error {
			for _, p := range batch {
				if live && p.Time > now+100e6 {
					r.Fatalf("%v ahead of now", time.Duration(p.Time-now))
				}
				if !live && p.Time < last-2e9 {
					r.Fatalf("back by %v", time.Duration(last-p.Time))
				}
				last = max(last, p.Time)
			}
			return nil
		}); err != nil {
			r.Fatal(err)
		}
	})
}

// TestClockSteps has the clock step within a session, and within one that says
// nothing meanwhile: both go on, no time goes back, and what is idle afterwards
// still ends.
func TestClockSteps(t *testing.T) {
	for name, step := range map[string]time.Duration{"none": 0, "ahead": time.Hour, "far ahead": 100 * time.Hour, "back": -time.Hour, "far back": -100 * time.Hour} {
		for _, size := range []int{1, 1000} {
			quiet := capturetest.New("10.0.0.1:4000", "10.0.0.2:80").Handshake().Client("before")
			busy := capturetest.New("10.0.0.1:4001", "10.0.0.2:80").Handshake()
			ended := capturetest.New("10.0.0.1:4002", "10.0.0.2:80").Handshake().Client("forgotten")
			for range 60 {
				busy.Wait(time.Second).Client("a").Server("b")
			}
			quiet.Wait(70 * time.Second).Client("after").Server("x")
			busy.Wait(11 * time.Second)
			for range 700 {
				busy.Wait(time.Second).Client("a").Server("b")
			}
			quiet.Wait(300 * time.Second).Client("end").Close()
			busy.Close()
			src := &scripted{size: size}
			for _, p := range capturetest.Merge(quiet, busy, ended) {
				if p.Time.Sub(capturetest.Epoch) > 65*time.Second {
					p.Time = p.Time.Add(step)
				}
				src.packets = append(src.packets, capture.Packet{Data: p.Data, Time: p.Time.UnixNano(), OrigLen: len(p.Data), Link: capture.LinkEthernet})
			}
			asm := capture.NewAssembler(capture.AssemblerConfig{LongestSilence: time.Minute})
			all := map[uint16]*session.Session{}
			var last time.Duration
			idle := 0
			err := capture.Steady(src).Run(t.Context(), func(batch []capture.Packet) error {
				for _, s := range asm.Packets(batch) {
					if all[s.Client.Port()] != nil && all[s.Client.Port()] != s {
						t.Errorf("%s: port %d has a second session", name, s.Client.Port())
					}
					all[s.Client.Port()] = s
					events, cause := s.Take(nil)
					for _, e := range events {
						if e.At < 0 || s.Client.Port() == 4001 && e.At < last {
							t.Errorf("%s: an event %v after the session's start, and the one before after %v", name, e.At, last)
						}
						if s.Client.Port() == 4001 {
							last = e.At
						}
					}
					if cause == session.Idle {
						idle++
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			for port, want := range map[uint16][2]int64{4000: {6 + 5 + 3, 1}, 4001: {760, 760}, 4002: {9, 0}} {
				totals, cause := all[port].Totals()
				if totals.Bytes != want || totals.Missing != [2]int64{} {
					t.Errorf("%s, batches of %d: session from port %d has %+v", name, size, port, totals)
				}
				if wantCause := map[uint16]session.Cause{4000: session.Closed, 4001: session.Closed, 4002: session.Idle}[port]; cause != wantCause {
					t.Errorf("%s, batches of %d: session from port %d ended by %v, want %v", name, size, port, cause, wantCause)
				}
			}
		}
	}
}

// TestClockStepsInPieces gives what was read at once to the assembler packet by
// packet, as a paced run does: an answer behind a leap comes as soon after its
// request as it was captured.
func TestClockStepsInPieces(t *testing.T) {
	for name, step := range map[string]time.Duration{"ahead": time.Hour, "far ahead": 1000 * time.Hour, "back": -time.Hour, "far back": -1000 * time.Hour} {
		c := capturetest.New("10.0.0.1:4000", "10.0.0.2:80").Handshake().Client("a").Server("b").Wait(step).Client("a").Server("b").Client("a").Server("b")
		src := &scripted{size: 1000}
		for _, p := range c.Packets {
			src.packets = append(src.packets, capture.Packet{Data: p.Data, Time: p.Time.UnixNano(), OrigLen: len(p.Data), Link: capture.LinkEthernet})
		}
		asm := capture.NewAssembler(capture.AssemblerConfig{LongestSilence: time.Minute})
		var answered int
		var asked time.Duration
		err := capture.Steady(src).Run(t.Context(), func(batch []capture.Packet) error {
			for i := range batch {
				for _, s := range asm.Packets(batch[i : i+1]) {
					events, _ := s.Take(nil)
					for _, e := range events {
						switch {
						case e.Kind != session.Data:
						case e.Side == session.Client:
							asked = e.At
						default:
							answered++
							if took := e.At - asked; took < 0 || took > 10*time.Millisecond {
								t.Errorf("%s: answer %d took %v", name, answered, took)
							}
						}
					}
				}
			}
			return nil
		})
		if err != nil || answered != 3 {
			t.Errorf("%s: %d answers, error %v", name, answered, err)
		}
	}
}
