package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/creack/pty"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
	"tcpsandbox/report"
	"tcpsandbox/tui"
)

// The screen with a long run behind it: 100,000 sessions that have ended, and
// 5,000 that all change between two snapshots.
const (
	screenEnded  = 100_000
	screenLive   = 5_000
	screenKeys   = 300
	screenColumn = 120
	screenLines  = 40
)

// screenFigures is what screenMain prints.
type screenFigures struct {
	P50, P99 float64 // ms from a key to the screen
	Core     float64 // share of one, while nobody types
	Held     float64 // the same with a key held down, which is 30 frames a second
	Line     float64 // KB/s to the terminal meanwhile
	Row      float64 // bytes of memory a session that has ended
}

// screenRows measures the terminal UI on a pseudo-terminal, in a process of its
// own.
func screenRows() ([]row, error) {
	var f screenFigures
	if err := runSelf(&f, []string{"GOMAXPROCS=1"}, roleScreen); err != nil {
		return nil, err
	}
	how := fmt.Sprintf("%d ended and %d live sessions that change 10 times a second, %dx%d", screenEnded, screenLive, screenColumn, screenLines)
	return []row{
		{Name: "screen: from a key to what it shows, p99", Value: f.P99, Unit: "ms", Floor: 50, Most: true, How: fmt.Sprintf("%s; %d keys, median %.1f ms", how, screenKeys, f.P50)},
		{Name: "screen: share of one core", Value: f.Core, Unit: "", Floor: 0.10, Most: true, How: how},
		{Name: "screen: share of one core, at 30 frames/s", Value: f.Held, Unit: "", Floor: 0.10, Most: true, How: how + "; a key every 33 ms"},
		{Name: "screen: sent to the terminal", Value: f.Line, Unit: "KB/s", Floor: 20, Most: true, How: how},
		{Name: "screen: memory for an ended session", Value: f.Row, Unit: "bytes", Floor: 1024, Most: true, How: "heap after less before"},
	}, nil
}

// screenMain shows a made-up run, types, and watches.
func screenMain() error {
	terminal, tty, err := pty.Open()
	if err != nil {
		return fmt.Errorf("open a pseudo-terminal: %w", err)
	}
	defer terminal.Close()
	defer tty.Close()
	if err := pty.Setsize(terminal, &pty.Winsize{Rows: screenLines, Cols: screenColumn}); err != nil {
		return err
	}
	os.Setenv("TERM", "xterm-256color")
	src := newScreenSource()
	drawn := &drawing{news: make(chan struct{}, 1)}
	go drawn.read(terminal)

	before := heap()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	over := make(chan error, 1)
	go func() { over <- tui.Show(ctx, tui.Options{Source: src, Input: tty, Output: tty}) }()
	<-src.given
	drawn.await()
	if _, err := terminal.WriteString("G"); err != nil { // to where all that is shown changes
		return err
	}
	<-drawn.news
	time.Sleep(time.Second)
	var f screenFigures
	f.Row = float64(heap()-before) / (screenEnded + screenLive)

	cpu, begun, sent := usedCPU(), time.Now(), drawn.sent()
	time.Sleep(5 * time.Second)
	f.Core = (usedCPU() - cpu).Seconds() / time.Since(begun).Seconds()
	f.Line = float64(drawn.sent()-sent) / 1000 / time.Since(begun).Seconds()

	cpu, begun = usedCPU(), time.Now()
	for i := range 150 {
		if _, err := terminal.WriteString([]string{"k", "j"}[i/20%2]); err != nil {
			return err
		}
		time.Sleep(time.Until(begun.Add(time.Duration(i+1) * time.Second / 30)))
	}
	f.Held = (usedCPU() - cpu).Seconds() / time.Since(begun).Seconds()

	var took []float64
	for i := range screenKeys {
		key := "k"
		if i%20 > 9 {
			key = "j"
		}
		time.Sleep(time.Duration(5+i*7%40) * time.Millisecond) // anywhere between two frames
		drawn.await()
		at := time.Now()
		if _, err := terminal.WriteString(key); err != nil {
			return err
		}
		select {
		case <-drawn.news:
			took = append(took, float64(time.Since(at).Microseconds())/1000)
		case <-time.After(5 * time.Second):
			return fmt.Errorf("key %d: the screen does not show what it did", i)
		}
	}
	slices.Sort(took)
	f.P50, f.P99 = took[len(took)/2], took[len(took)*99/100]
	if _, err := terminal.WriteString("q"); err != nil {
		return err
	}
	if err := <-over; err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(f)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// drawing is what comes out at the other end of the terminal.
type drawing struct {
	news chan struct{} // the cursor's sign was drawn since await

	mu      sync.Mutex
	bytes   int
	waiting bool
}

func (d *drawing) read(terminal *os.File) {
	buf := make([]byte, 64<<10)
	for {
		n, err := terminal.Read(buf)
		if err != nil {
			return
		}
		d.mu.Lock()
		d.bytes += n
		if d.waiting && bytes.Contains(buf[:n], []byte("▸")) {
			d.waiting = false
			d.news <- struct{}{}
		}
		d.mu.Unlock()
	}
}

func (d *drawing) await() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = true
}

func (d *drawing) sent() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.bytes
}

// screenSource is the run.
type screenSource struct {
	given chan struct{}
	once  sync.Once
	all   []replay.View
	live  []replay.View
	round int
}

func newScreenSource() *screenSource {
	s := &screenSource{given: make(chan struct{})}
	server := netip.MustParseAddrPort("203.0.113.10:80")
	start := time.Now()
	for i := range screenEnded + screenLive {
		v := replay.View{
			Slot: i, ID: uint64(i + 1), Server: server, Start: start, Requests: 1, Captured: 78, Delivered: 78, Served: 512, Answered: 512,
			Client:     netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), uint16(1024+i%60000)),
			Production: replay.ProductionClosed, Application: replay.Ended, State: "finished", Verdict: compare.Identical, Answers: replay.Verdicts{1},
			FirstProduction: time.Millisecond, FirstApplication: time.Millisecond, Behind: time.Millisecond, Routes: []string{fmt.Sprintf("GET /items/%d", i)},
		}
		v.As = v.Client
		s.all = append(s.all, v)
	}
	s.live = s.all[screenEnded:]
	for i := range s.live {
		s.live[i].Production, s.live[i].Application, s.live[i].State = replay.ProductionOpen, replay.Open, ""
	}
	return s
}

// Poll implements tui.Source. All live sessions have changed.
func (s *screenSource) Poll() tui.Snapshot {
	snap := tui.Snapshot{At: time.Now(), Run: tui.Run{
		Source: "eth0:80", Command: "./testapp", Pid: 4242, State: "listens on :80", Began: s.all[0].Start, Active: screenLive,
		Sessions: report.Sessions{Seen: screenEnded + screenLive}, Answers: report.Answers{Compared: int64(screenEnded + s.round*screenLive), Identical: int64(screenEnded + s.round*screenLive)},
		Packets: int64(s.round) * 20_000,
	}}
	if s.round == 0 {
		snap.Sessions, s.all = s.all, s.all[:1]
		s.live = slices.Clone(s.live)
	} else {
		for i := range s.live {
			v := &s.live[i]
			v.Requests++
			v.Delivered, v.Answered = v.Delivered+78, v.Answered+512
			if (i+s.round)%7 == 0 {
				v.Application, v.Held = replay.Held, replay.ForAnswer
			} else {
				v.Application, v.Held = replay.Open, replay.NotHeld
			}
		}
		snap.Sessions = slices.Clone(s.live)
	}
	if s.round++; s.round == 3 {
		s.once.Do(func() { close(s.given) })
	}
	return snap
}

// Story and Explain implement tui.Source: nothing is opened.
func (s *screenSource) Story(int) *tui.Story              { return nil }
func (s *screenSource) Explain(int, int) *tui.Explanation { return nil }
