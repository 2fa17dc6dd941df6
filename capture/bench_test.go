package capture_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/google/gopacket/pcapgo"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/session"
)

// The captures that the benchmarks read, made once.
var (
	httpLoad = sync.OnceValue(func() []byte { // packets of 600 bytes and acknowledgements, 20,000 sessions
		return capturetest.Pcap(capturetest.HTTP(capturetest.Load{Sessions: 20000, Requests: 4, Request: 546, Answer: 546}))
	})
	fullSize = sync.OnceValue(func() []byte { // downloads in packets of 1514 bytes
		return capturetest.Pcap(capturetest.HTTP(capturetest.Load{Sessions: 200, Requests: 2, Answer: 256 << 10}))
	})
	jumbo = sync.OnceValue(func() []byte { // the same as offloads show it: packets of 64 KB
		return capturetest.Pcap(capturetest.HTTP(capturetest.Load{Sessions: 200, Requests: 2, Answer: 256 << 10, MSS: 65000}))
	})
)

func BenchmarkFileToSessions(b *testing.B) {
	for _, c := range []struct {
		name string
		make func() []byte
		kept bool // by a Store
		told bool // with facts of the packets
	}{{"600B", httpLoad, false, false}, {"1500B", fullSize, false, false}, {"64KB", jumbo, false, false},
		{"600B-kept", httpLoad, true, false}, {"1500B-kept", fullSize, true, false},
		{"600B-facts", httpLoad, false, true}, {"1500B-facts", fullSize, false, true}} {
		b.Run(c.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "load.pcap")
			if err := os.WriteFile(path, c.make(), 0o600); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(c.make())))
			b.ReportAllocs()
			b.ResetTimer()
			var packets uint64
			var buf []session.Event
			for range b.N {
				src, err := capture.OpenFile(path)
				if err != nil {
					b.Fatal(err)
				}
				cfg := capture.AssemblerConfig{Ports: []uint16{80}, Facts: c.told}
				var store *capture.Store
				if c.kept {
					store = capture.NewStore(capture.StoreConfig{})
					cfg.Tap = store
				}
				asm := capture.NewAssembler(cfg)
				drop := func(touched []*session.Session) {
					for _, s := range touched {
						var cause session.Cause
						if buf, cause = s.Take(buf); c.kept && cause != session.Live {
							store.Done(s.ID)
						}
					}
				}
				err = src.Run(context.Background(), func(batch []capture.Packet) error {
					drop(asm.Packets(batch))
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
				drop(asm.Flush())
				packets += src.Stats().Packets
				src.Close()
			}
			b.ReportMetric(float64(packets)/b.Elapsed().Seconds()/1e6, "Mpackets/s")
		})
	}
}

// BenchmarkReadFile is the reading alone, beside gopacket's.
func BenchmarkReadFile(b *testing.B) {
	data := httpLoad()
	b.Run("capture", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for range b.N {
			src, _ := capture.OpenStream(bytes.NewReader(data), "load")
			n := 0
			if err := src.Run(context.Background(), func(batch []capture.Packet) error { n += len(batch); return nil }); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mpackets/s")
		}
	})
	b.Run("pcapgo", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for range b.N {
			r, err := pcapgo.NewReader(bytes.NewReader(data))
			if err != nil {
				b.Fatal(err)
			}
			n := 0
			for {
				if _, _, err := r.ReadPacketData(); err == io.EOF {
					break
				} else if err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mpackets/s")
		}
	})
}

// BenchmarkIdleSession shows what a session costs here that was opened and is
// silent, its own record included.
func BenchmarkIdleSession(b *testing.B) {
	for _, facts := range []bool{false, true} {
		b.Run(fmt.Sprint("facts=", facts), func(b *testing.B) { benchmarkIdle(b, facts) })
	}
}

func benchmarkIdle(b *testing.B, facts bool) {
	const sessions = 20000
	packets := batch(capturetest.HTTP(capturetest.Load{Sessions: sessions}))
	for range b.N {
		asm := capture.NewAssembler(capture.AssemblerConfig{Facts: facts})
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var buf []session.Event
		for _, p := range packets {
			if p.Data[47]&1 == 0 { // no FIN
				for _, s := range asm.Packets([]capture.Packet{p}) {
					buf, _ = s.Take(buf)
				}
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(asm.Stats().Live), "B/session")
	}
}
