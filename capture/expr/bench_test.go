package expr

import "testing"

var benchmarks = []struct{ name, text string }{
	{"ports", "tcp port 80 or 443 or 8080"},
	{"net", "tcp port 80 and not net 172.16.0.0/12"},
	{"flags", "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0"},
	{"arithmetic", "tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420"},
}

func BenchmarkMatch(b *testing.B) {
	data := frame(etherIP, ipv4(6, append(transportHeader(1234, 80), "GET / HTTP/1.1"...)))
	for _, c := range benchmarks {
		b.Run(c.name, func(b *testing.B) {
			f, err := Parse(c.text)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Match(data, len(data), 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, c := range benchmarks {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Parse(c.text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkKernel(b *testing.B) {
	for _, c := range benchmarks {
		b.Run(c.name, func(b *testing.B) {
			f, err := Parse(c.text)
			if err != nil {
				b.Fatal(err)
			}
			var n int
			for b.Loop() {
				program, ok := f.Kernel(1)
				if n = len(program); !ok {
					b.Fatal("no program")
				}
			}
			b.ReportMetric(float64(n), "instructions")
		})
	}
}
