package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/compare"
	"tcpsandbox/replay"
)

// keepAlive and productionAnswer are what the sessions of the generated
// captures hold; the answer is the one that the server in the sandbox gives.
const keepAlive = "GET /item HTTP/1.1\r\nHost: shop\r\nUser-Agent: bench\r\n\r\n"

var productionAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 512\r\nContent-Type: text/plain\r\n\r\n" + answerBody

// script begins a captured session, each from a client address of its own.
func script(from *clients, at time.Time) *capturetest.Conn {
	c := capturetest.Between(from.take(), netip.AddrPortFrom(server4, portHTTP))
	c.Now = at
	return c.Handshake()
}

// memory holds many idle sessions and asks what each costs.
func memory() ([]row, error) {
	const n = 10000
	var from clients
	var packets []capturetest.Packet
	for i := range n {
		c := script(&from, capturetest.Epoch.Add(time.Duration(i)*time.Millisecond))
		packets = append(packets, c.Client(keepAlive).Server(productionAnswer).ClientACK().Packets...)
	}
	path := filepath.Join(workDir, "idle.pcap")
	if err := os.WriteFile(path, capturetest.Pcap(packets), 0o600); err != nil {
		return nil, err
	}
	var used idleCost
	if err := runSelf(&used, nil, roleMemory, path, strconv.Itoa(n)); err != nil {
		return nil, err
	}
	return []row{
		{
			Name: "memory of an idle session, resident", Value: used.Resident / n / 1024, Unit: "KiB", Floor: 16, Most: true,
			How: fmt.Sprintf("%.0f MiB for %d: flow, session, player, TCP, garbage", used.Resident/(1<<20), n),
		},
		{
			Name: "memory of an idle session, live heap", Value: used.Heap / n / 1024, Unit: "KiB", Floor: 16, Most: true,
			How: fmt.Sprintf("%.0f MiB after a collection; goroutines %d", used.Heap/(1<<20), used.Goroutines),
		},
	}, nil
}

// idleCost is what memoryMain prints: how much the process grew, in bytes.
type idleCost struct {
	Resident, Heap float64
	Goroutines     int
}

// memoryMain replays a capture of sessions that stay open: file, number. It is
// a process of its own, so that nothing else is in its memory.
func memoryMain(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("%s: want a file and a number", roleMemory)
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	b, err := newBed()
	if err != nil {
		return err
	}
	defer b.close()
	p := newPlay(b, nil)
	defer p.stop()
	residentBefore, heapBefore, err := footprint()
	if err != nil {
		return err
	}
	if err := p.file(args[0]); err != nil {
		return err
	}
	if err := p.until(func(g replay.Progress) bool { return g.Answers >= int64(n) }); err != nil {
		return err
	}
	if live := b.net.Stats().Connections; live != n {
		return fmt.Errorf("%d of %d connections live", live, n)
	}
	resident, heap, err := footprint()
	if err != nil {
		return err
	}
	if g := p.engine.Progress(); g.Different > 0 {
		return fmt.Errorf("%d of %d answers differ from production's", g.Different, g.Answers)
	}
	return json.NewEncoder(os.Stdout).Encode(idleCost{resident - residentBefore, heap - heapBefore, runtime.NumGoroutine()})
}

// footprint returns the bytes that are resident now, garbage and all, and
// those that live in the heap.
func footprint() (resident, heap float64, err error) {
	status, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, 0, err
	}
	var size, pages float64
	if _, err := fmt.Fscan(strings.NewReader(string(status)), &size, &pages); err != nil {
		return 0, 0, fmt.Errorf("read /proc/self/statm: %w", err)
	}
	runtime.GC()
	runtime.GC() // what the first one's finalizers and pools let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return pages * float64(os.Getpagesize()), float64(m.HeapAlloc + m.StackInuse), nil
}

// pacing replays 1,000 sessions at their captured times.
func pacing() ([]row, error) {
	const (
		sessions = 1000
		requests = 10
		think    = 400 * time.Millisecond
	)
	b, err := newBed()
	if err != nil {
		return nil, err
	}
	defer b.close()
	var from clients
	random := rand.New(rand.NewPCG(1, 2)) // the same schedule in each run
	var scripts []*capturetest.Conn
	for range sessions {
		c := script(&from, capturetest.Epoch.Add(time.Duration(random.Int64N(int64(think)))))
		for range requests {
			c.Client(keepAlive).Server(productionAnswer).ClientACK()
			c.Wait(think/2 + time.Duration(random.Int64N(int64(think))))
		}
		scripts = append(scripts, c.Close())
	}
	path := filepath.Join(workDir, "paced.pcap")
	if err := os.WriteFile(path, capturetest.Pcap(capturetest.Merge(scripts...)), 0o600); err != nil {
		return nil, err
	}
	pace := replay.NewPace(1)
	p := newPlay(b, pace)
	defer p.stop()
	bare := watchTimers()
	pace.Start(capturetest.Epoch, time.Now().Add(500*time.Millisecond))
	if err := p.file(path); err != nil {
		return nil, err
	}
	p.engine.Feed(p.asm.Flush())
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := p.engine.Drain(ctx); err != nil {
		return nil, fmt.Errorf("sessions that do not end: %w", err)
	}
	r := p.engine.Result()
	if r.Finished != sessions || r.Verdicts[compare.Different]+r.Verdicts[compare.Missing] > 0 {
		return nil, fmt.Errorf("%d of %d sessions finished, answers %v", r.Finished, sessions, r.Verdicts)
	}
	late, timer := r.Lateness, bare()
	return []row{{
		Name: "release error, 1,000 sessions, p99", Value: float64(late.P99) / 1e6, Unit: "ms", Floor: 2, Most: true,
		How: fmt.Sprintf("p50 %v, p90 %v of %d chunks; a bare timer beside it: p99 %v", late.P50, late.P90, late.Count, timer.Round(time.Microsecond)),
	}}, nil
}

// watchTimers measures how late the machine itself wakes a sleeper, until the
// function that it returns is called: that returns the 99th percentile.
func watchTimers() func() time.Duration {
	const every = 5 * time.Millisecond
	stop := make(chan struct{})
	result := make(chan []time.Duration)
	go func() {
		var late []time.Duration
		for {
			due := time.Now().Add(every)
			select {
			case <-time.After(every):
				late = append(late, time.Since(due))
			case <-stop:
				result <- late
				return
			}
		}
	}()
	return func() time.Duration {
		close(stop)
		late := <-result
		if len(late) == 0 {
			return 0
		}
		slices.Sort(late)
		return late[len(late)*99/100]
	}
}

// play is a replay of a file: assembler and engine around a bed.
type play struct {
	asm    *capture.Assembler
	engine *replay.Engine
	paced  bool
	cancel context.CancelFunc
	ended  chan struct{}
}

func newPlay(b *bed, pace *replay.Pace) *play {
	p := &play{
		asm:    capture.NewAssembler(capture.AssemblerConfig{Ports: []uint16{portHTTP}}),
		engine: replay.New(replay.Config{Dial: b.dial, Pace: pace}),
		paced:  pace != nil,
		ended:  make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go func() {
		p.engine.Run(ctx)
		close(p.ended)
	}()
	return p
}

// file feeds a capture file's sessions. Without a pace it lets the players
// keep up, as tcpsandbox run does.
func (p *play) file(path string) error {
	src, err := capture.OpenFile(path)
	if err != nil {
		return err
	}
	defer src.Close()
	return src.Run(context.Background(), func(batch []capture.Packet) error {
		p.engine.Feed(p.asm.Packets(batch))
		if p.paced {
			return nil
		}
		return p.until(func(replay.Progress) bool {
			_, busy := p.engine.Active()
			return busy < 512
		})
	})
}

// until waits for the engine to get somewhere.
func (p *play) until(there func(replay.Progress) bool) error {
	for end := time.Now().Add(30 * time.Second); !there(p.engine.Progress()); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("the replay does not get on: " + fmt.Sprintf("%+v", p.engine.Progress()))
		}
	}
	return nil
}

func (p *play) stop() {
	p.cancel()
	<-p.ended
	p.engine.Finish()
}
