package capture_test

import (
	"context"
	"net/netip"
	"syscall"
	"testing"

	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
)

// BenchmarkFiltered asks an expression of packets that match, and that do not.
func BenchmarkFiltered(b *testing.B) {
	all := batch(capturetest.HTTP(capturetest.Load{Sessions: 200}))
	for _, text := range []string{"tcp port 80", "tcp port 81", "host 10.9.0.1 and not net 192.168"} {
		b.Run(text, func(b *testing.B) {
			src := capture.Filtered(repeated{packetList{all, 0}, b.N}, mustParse(b, text), true)
			b.ReportAllocs()
			b.ResetTimer()
			if err := src.Run(context.Background(), func([]capture.Packet) error { return nil }); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(all)), "ns/packet")
		})
	}
}

type repeated struct {
	packetList
	n int
}

func (r repeated) Run(_ context.Context, fn func([]capture.Packet) error) error {
	for range r.n {
		if err := fn(r.packets); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkLiveFilter sends packets over a wire past captures of port 80 and
// reports the CPU time of all that happens to one, whoever captures.
func BenchmarkLiveFilter(b *testing.B) {
	tcp := capturetest.Frame(netip.MustParseAddrPort("10.1.0.1:4000"), netip.MustParseAddrPort("10.1.0.2:80"), nil, layers.TCP{ACK: true}, make([]byte, 1000))
	quic := capturetest.UDPFrame(netip.MustParseAddrPort("10.1.0.1:4000"), netip.MustParseAddrPort("10.1.0.2:443"), nil, make([]byte, 1000))
	overlay := capturetest.VXLAN(7)(capturetest.Frame(netip.MustParseAddrPort("10.1.0.1:4000"), netip.MustParseAddrPort("10.1.0.2:81"), nil, layers.TCP{ACK: true}, make([]byte, 1000)))
	host := mustParse(b, "host 10.1.0.9")
	for _, c := range []struct {
		name  string
		frame []byte
		cfg   *capture.LiveConfig
		user  bool // the expression is asked in user space only
	}{
		{"UDP, no capture", quic, nil, false},
		{"UDP, port 80", quic, &capture.LiveConfig{}, false},
		{"UDP, port 80, tunnels", quic, &capture.LiveConfig{Tunnels: true}, false},
		{"VXLAN of port 81, no capture", overlay, nil, false},
		{"VXLAN of port 81, port 80", overlay, &capture.LiveConfig{}, false},
		{"VXLAN of port 81, port 80, tunnels", overlay, &capture.LiveConfig{Tunnels: true}, false},
		{"TCP of port 80, no capture", tcp, nil, false},
		{"TCP of port 80, all wanted", tcp, &capture.LiveConfig{Tunnels: true}, false},
		{"TCP of port 80, another host in the kernel", tcp, &capture.LiveConfig{Tunnels: true, Filter: host}, false},
		{"TCP of port 80, another host in user space", tcp, &capture.LiveConfig{Tunnels: true}, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			onThread(b, func() {
				w := newWire(b)
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan struct{})
				var src capture.Source
				if c.cfg == nil {
					close(done)
				} else {
					cfg := *c.cfg
					cfg.Ports = []uint16{80}
					var err error
					if src, err = capture.OpenLive("a0", cfg); err != nil {
						b.Fatal(err)
					}
					defer src.Close()
					read := src
					if c.user {
						read = capture.Filtered(src, host, true)
					}
					go func() {
						defer close(done)
						read.Run(ctx, func([]capture.Packet) error { return nil })
					}()
				}
				send, stop := w.sender(b)
				defer stop()
				var before, after syscall.Rusage
				syscall.Getrusage(syscall.RUSAGE_SELF, &before)
				b.ResetTimer()
				for range b.N {
					send(c.frame)
				}
				b.StopTimer()
				cancel()
				<-done
				syscall.Getrusage(syscall.RUSAGE_SELF, &after)
				cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
				b.ReportMetric(float64(cpu)/float64(b.N), "CPU-ns/packet")
				if src != nil {
					b.ReportMetric(float64(src.Stats().Packets)/float64(b.N)*100, "%copied")
				}
			})
		})
	}
}

// sender returns a function that sends a frame into the far end of the wire.
func (w *wire) sender(b *testing.B) (send func([]byte), stop func()) {
	fd, to := w.injector(b)
	return func(frame []byte) {
		if err := unix.Sendto(fd, frame, 0, to); err != nil {
			b.Error(err)
		}
	}, func() { unix.Close(fd) }
}
