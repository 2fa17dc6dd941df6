package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tcpsandbox/capture"
)

// weather is how production is for some seconds: segments a second, the share of
// them that is sent again, with the replay and without, and the pressure on memory
// and processors in per cent.
type weather struct {
	seconds          int
	segments         int
	playing, without float64 // per cent
	memory, cpu      float64
}

func TestWatchdog(t *testing.T) {
	fine := func(s int) weather { return weather{seconds: s, segments: 1000, playing: 1, without: 1} }
	for _, tt := range []struct {
		name     string
		limits   string
		before   []weather // the replay
		weathers []weather
		want     string // a letter a second: p playing, s stopped
	}{
		{name: "all is well", weathers: []weather{fine(30)}, want: "p30"},
		{name: "the replay hurts, and stops, and goes on", weathers: []weather{fine(10), {seconds: 1, segments: 1000, playing: 99}, fine(29)},
			// The window has the bad second for ten, and calm is counted from then on.
			want: "p10 s20 p10"},
		{name: "too few segments to tell", weathers: []weather{{seconds: 30, segments: 9, playing: 50, without: 50}}, want: "p30"},
		{name: "a lossy production is not stopped at once", before: []weather{{seconds: 10, segments: 1000, without: 4}},
			weathers: []weather{{seconds: 30, segments: 1000, playing: 7, without: 4}}, want: "p30"},
		{name: "it is when that becomes twice as much", before: []weather{{seconds: 10, segments: 1000, without: 4}},
			weathers: []weather{{seconds: 20, segments: 1000, playing: 20, without: 20}}, want: "p2 s18"},
		{name: "what does not end without a replay is production's own", weathers: []weather{{seconds: 60, segments: 1000, playing: 8, without: 8}},
			want: "s30 p30"},
		{name: "the replay's doing again and again", weathers: []weather{{seconds: 65, segments: 1000, playing: 30, without: 0}},
			want: "s20 p2 s20 p2 s20 p1"},
		{name: "memory", limits: "memory=10%,cpu=50%", weathers: []weather{fine(3), {seconds: 3, segments: 1000, memory: 20}, {seconds: 4, segments: 1000, memory: 7}, fine(13)},
			want: "p3 s17 p3"},
		{name: "processors", limits: "memory=10%,cpu=50%", weathers: []weather{fine(3), {seconds: 1, segments: 0, cpu: 51}, fine(12)}, want: "p3 s11 p2"},
		{name: "processors, which are not asked for", limits: "memory=10%", weathers: []weather{{seconds: 5, segments: 1000, cpu: 99}}, want: "p5"},
		{name: "nobody tells of memory", limits: "io=1%", weathers: []weather{fine(5)}, want: "p5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.limits == "" {
				tt.limits = "none"
			}
			limits, err := parsePressures(tt.limits)
			if err != nil {
				t.Fatal(err)
			}
			var now weather
			w := &watchdog{retransmissions: 0.05, pressures: limits, read: func(resource string) (string, error) {
				switch resource {
				case "memory":
					return fmt.Sprintf("some avg10=99.00 avg60=0.00\nfull avg10=%.2f avg60=0.00 avg300=0.00 total=0\n", now.memory), nil
				case "cpu":
					return fmt.Sprintf("some avg10=%.2f avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00", now.cpu), nil
				}
				return "", errors.New("not there")
			}}
			clock := time.Unix(1e9, 0)
			var segments, again uint64
			stopped, got := false, ""
			live := func(all []weather, playing bool) {
				for _, now = range all {
					for range now.seconds {
						clock = clock.Add(time.Second)
						share := now.without
						if playing && !stopped {
							share = now.playing
						}
						segments += uint64(now.segments)
						again += uint64(share / 100 * float64(now.segments))
						stopped = w.tick(clock, segments, again, playing)
						if playing {
							got += map[bool]string{false: "p", true: "s"}[stopped]
						}
					}
				}
			}
			w.tick(clock, 0, 0, false)
			live(tt.before, false)
			live(tt.weathers, true)
			var want strings.Builder
			for _, part := range strings.Fields(tt.want) {
				var n int
				fmt.Sscan(part[1:], &n)
				want.WriteString(strings.Repeat(part[:1], n))
			}
			if got != want.String() {
				t.Errorf("got  %s\nwant %s\n%s", got, want.String(), w.why)
			}
		})
	}
}

func TestParsePressures(t *testing.T) {
	for text, want := range map[string]string{
		"memory=10%": "map[memory:0.1]", "cpu=50%,memory=10,io=30%": "map[cpu:0.5 io:0.3 memory:0.1]", "none": "map[]",
		"": "not cpu", "disk=5%": "not cpu", "cpu": "not cpu", "cpu=0%": "not a percentage", "cpu=101%": "not a percentage", "cpu=NaN": "not a percentage", "none,cpu=1%": "not cpu",
	} {
		got, err := parsePressures(text)
		if err == nil && fmt.Sprint(got) != "map["+strings.TrimPrefix(want, "map[") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %s", text, got, err, want)
		}
	}
}

// What a kernel may tell is read, and all else is an error.
func FuzzStalled(f *testing.F) {
	f.Add("some avg10=1.53 avg60=0.87 avg300=0.31 total=58761\nfull avg10=0.50 avg60=0.13 avg300=0.05 total=33117\n")
	f.Add("full avg10=NaN\n")
	f.Add("full\nfull avg10=")
	f.Fuzz(func(t *testing.T, text string) {
		for resource := range resources {
			if share, err := stalled(resource, text); err == nil && !(share >= 0 && share <= 1) {
				t.Errorf("%q: %v of %s", text, share, resource)
			}
		}
	})
}

func TestStalled(t *testing.T) {
	const text = "some avg10=1.50 avg60=0.87 avg300=0.31 total=58761\nfull avg10=0.50 avg60=0.13 avg300=0.05 total=33117\n"
	for resource, want := range map[string]float64{"cpu": 0.015, "memory": 0.005, "io": 0.005} {
		if got, err := stalled(resource, text); err != nil || got != want {
			t.Errorf("%s: %v, %v", resource, got, err)
		}
	}
	for _, text := range []string{"", "full", "full avg10=x", "full avg10=-1", "full avg10=1000", "full avg60=1"} {
		if got, err := stalled("memory", text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestGuardFlags(t *testing.T) {
	for _, tt := range []struct {
		source  string
		flags   guardFlags
		given   bool
		wrong   string
		retrans float64
	}{
		{source: "eth0", retrans: 0.05},
		{source: "any", retrans: 0},
		{source: "any", given: true, retrans: 0.05},
		{source: "eth0", flags: guardFlags{retransmitFlag: "none"}, given: true},
		{source: "eth0", flags: guardFlags{retransmitFlag: "0.5%"}, given: true, retrans: 0.005},
		{source: "eth0", flags: guardFlags{retransmitFlag: "0"}, given: true, wrong: "--max-retransmissions"},
		{source: "eth0", flags: guardFlags{pressureFlag: "cpu"}, wrong: "--max-pressure"},
		{source: "eth0", flags: guardFlags{maxCPU: 0.01}, wrong: "--max-cpu"},
		{source: "eth0", flags: guardFlags{maxCPU: -1}, wrong: "--max-cpu"},
		{source: "eth0", flags: guardFlags{maxCPU: 2000}, wrong: "--max-cpu"},
	} {
		g := tt.flags
		if g.maxCPU == 0 {
			g.maxCPU = 1
		}
		if g.retransmitFlag == "" {
			g.retransmitFlag = "5%"
		}
		if g.pressureFlag == "" {
			g.pressureFlag = "memory=10%"
		}
		err := g.complete([]capture.Spec{{Source: tt.source}}, tt.given)
		if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) || err == nil && g.maxRetransmissions != tt.retrans {
			t.Errorf("%s, %+v: %v", tt.source, g, err)
		}
	}
	for cpu, want := range map[float64]int{0.05: 1, 1: 1, 1.5: 2, 4: 4} {
		if g := (guardFlags{maxCPU: cpu}); g.threads() != want {
			t.Errorf("%v: %d threads", cpu, g.threads())
		}
	}
}
