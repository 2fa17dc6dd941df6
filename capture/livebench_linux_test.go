package capture_test

import (
	"context"
	"net"
	"syscall"
	"testing"

	"tcpsandbox/capture"
	"tcpsandbox/session"
)

// BenchmarkLive uploads 64 MiB over loopback, with and without a capture that
// makes sessions of it, and reports the CPU time of everything.
func BenchmarkLive(b *testing.B) {
	for _, on := range []bool{false, true} {
		b.Run(map[bool]string{false: "without capture", true: "with capture"}[on], func(b *testing.B) {
			onThread(b, func() {
				w := newWire(b)
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					b.Fatal(err)
				}
				defer l.Close()
				done := make(chan struct{})
				ctx, cancel := context.WithCancel(context.Background())
				var captured int64
				var src capture.Source
				if on {
					src, err = capture.OpenLive("lo", capture.LiveConfig{Ports: []uint16{uint16(l.Addr().(*net.TCPAddr).Port)}})
					if err != nil {
						b.Fatal(err)
					}
					go func() {
						defer close(done)
						asm := capture.NewAssembler(capture.AssemblerConfig{})
						var buf []session.Event
						err := src.Run(ctx, func(batch []capture.Packet) error {
							for _, s := range asm.Packets(batch) {
								buf, _ = s.Take(buf)
								for i := range buf {
									captured += int64(len(buf[i].Data))
								}
							}
							return nil
						})
						if err != nil {
							b.Error(err)
						}
					}()
				} else {
					close(done)
				}
				const size = 64 << 20
				b.SetBytes(size)
				var before, after syscall.Rusage
				syscall.Getrusage(syscall.RUSAGE_SELF, &before)
				b.ResetTimer()
				for range b.N {
					w.exchange(b, l, w.near, size)
				}
				b.StopTimer()
				cancel()
				<-done
				syscall.Getrusage(syscall.RUSAGE_SELF, &after)
				cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
				b.ReportMetric(float64(cpu)/1e6/float64(b.N)/64, "CPU-ms/MiB")
				if on {
					s := src.Stats()
					b.ReportMetric(float64(s.KernelDrops), "drops")
					b.ReportMetric(float64(captured)/float64(b.N)/size*100, "%captured")
					src.Close()
				}
			})
		})
	}
}
