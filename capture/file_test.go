package capture_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
)

// patience bounds a wait for something that must happen.
const patience = 20 * time.Second

// readAll returns copies of all packets of a capture.
func readAll(src capture.Source) ([]capture.Packet, error) {
	var all []capture.Packet
	err := src.Run(context.Background(), func(batch []capture.Packet) error {
		for _, p := range batch {
			p.Data = bytes.Clone(p.Data)
			all = append(all, p)
		}
		return nil
	})
	return all, err
}

func stream(b []byte) capture.Source {
	src, err := capture.OpenStream(bytes.NewReader(b), "-")
	if err != nil {
		panic(err)
	}
	return src
}

func zipped(b []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	w.Write(b)
	w.Close()
	return buf.Bytes()
}

// classic builds a pcap file with one packet "data" at 1.000000002 s (or
// 1.000002 s), in a byte order.
func classic(order binary.AppendByteOrder, magic, link uint32, extra int) []byte {
	b := order.AppendUint32(nil, magic)
	b = append(b, make([]byte, 16)...)
	b = order.AppendUint32(b, link)
	for _, v := range []uint32{1, 2, 4, 10} {
		b = order.AppendUint32(b, v)
	}
	return append(append(b, make([]byte, extra)...), "data"...)
}

// block builds a pcapng block.
func block(order binary.AppendByteOrder, kind uint32, body ...any) []byte {
	var b []byte
	for _, v := range body {
		switch v := v.(type) {
		case int:
			b = order.AppendUint32(b, uint32(v))
		case uint16:
			b = order.AppendUint16(b, v)
		case uint64:
			b = order.AppendUint64(b, v)
		case string:
			b = append(b, v...)
		}
	}
	size := uint32(len(b) + 12)
	out := order.AppendUint32(order.AppendUint32(nil, kind), size)
	return order.AppendUint32(append(out, b...), size)
}

func section(order binary.AppendByteOrder) []byte {
	return block(order, 0x0a0d0d0a, 0x1a2b3c4d, uint16(1), uint16(0), uint64(1<<64-1))
}

func TestFormats(t *testing.T) {
	le, be := binary.LittleEndian, binary.BigEndian
	micro := capture.Packet{Data: []byte("data"), Time: 1e9 + 2000, OrigLen: 10, Link: 1}
	nano := capture.Packet{Data: []byte("data"), Time: 1e9 + 2, OrigLen: 10, Link: 1}
	at := func(ns int64, link capture.LinkType) capture.Packet {
		return capture.Packet{Data: []byte("data"), Time: ns, OrigLen: 4, Link: link}
	}
	packet := func(order binary.AppendByteOrder, id int, units uint64) []byte {
		return block(order, 6, id, int(units>>32), int(units&0xffffffff), 4, 4, "data")
	}
	ng := func(order binary.AppendByteOrder) []byte {
		return bytes.Join([][]byte{
			section(order),
			block(order, 1, uint16(1), uint16(0), 0), // microseconds
			block(order, 1, uint16(113), uint16(0), 0, uint16(9), uint16(1), "\x09\x00\x00\x00"),    // nanoseconds
			block(order, 1, uint16(101), uint16(0), 0, uint16(9), uint16(1), "\x8a\x00\x00\x00", 0), // 1/1024 s
			block(order, 1, uint16(276), uint16(0), 0, uint16(14), uint16(8), uint64(1000), 0),      // 1000 s later
			block(order, 1, uint16(1), uint16(0), 2, uint16(2), uint16(3), "eth\x00", 0),            // snap length 2, a name
			block(order, 1, uint16(1), uint16(0), 0, uint16(9), uint16(1), "\x0c\x00\x00\x00"),      // picoseconds
			block(order, 0x0bad, "whatever"), // unknown
			packet(order, 0, 5), packet(order, 1, 5), packet(order, 2, 512), packet(order, 3, 7), packet(order, 5, 3000),
			block(order, 3, 4, "data"),                                    // simple
			block(order, 2, uint16(1), uint16(0), 0, 9, 4, 4, "data"),     // the old packet block
			block(order, 5, 0, 0, 0, uint16(5), uint16(8), uint64(17), 0), // statistics: 17 dropped
			section(order), block(order, 1, uint16(101), uint16(0), 0), packet(order, 0, 1),
		}, nil)
	}
	ngWant := []capture.Packet{
		at(5000, 1), at(5, 113), at(5e8, 101), at(1000e9+7000, 276), at(3, 1), at(0, 1), at(9, 113), at(1000, 101),
	}
	for _, c := range []struct {
		name string
		data []byte
		want []capture.Packet
	}{
		{"microseconds", classic(le, 0xa1b2c3d4, 1, 0), []capture.Packet{micro}},
		{"microseconds, big-endian", classic(be, 0xa1b2c3d4, 1, 0), []capture.Packet{micro}},
		{"nanoseconds", classic(le, 0xa1b23c4d, 1, 0), []capture.Packet{nano}},
		{"nanoseconds, big-endian", classic(be, 0xa1b23c4d, 1, 0), []capture.Packet{nano}},
		{"modified", classic(le, 0xa1b2cd34, 1, 8), []capture.Packet{micro}},
		{"frame check sequence noted", classic(le, 0xa1b2c3d4, 0x24000001, 0), []capture.Packet{micro}},
		{"pcapng", ng(le), ngWant},
		{"pcapng, big-endian", ng(be), ngWant},
		{"pcapng sections of both orders", append(ng(be), ng(le)...), append(ngWant[:len(ngWant):len(ngWant)], ngWant...)},
		{"no packets", classic(le, 0xa1b2c3d4, 1, 0)[:24], nil},
	} {
		for _, way := range []string{"plain", "gzip", "byte by byte", "file"} {
			t.Run(c.name+"/"+way, func(t *testing.T) {
				src := stream(c.data)
				switch way {
				case "gzip":
					src = stream(zipped(c.data))
				case "byte by byte":
					src, _ = capture.OpenStream(&oneByte{c.data}, "-")
				case "file":
					path := filepath.Join(t.TempDir(), "x")
					os.WriteFile(path, c.data, 0o600)
					var err error
					if src, err = capture.OpenFile(path); err != nil {
						t.Fatal(err)
					}
				}
				defer src.Close()
				got, err := readAll(src)
				if err != nil {
					t.Fatal(err)
				}
				if len(got) != len(c.want) {
					t.Fatalf("%d packets, want %d", len(got), len(c.want))
				}
				for i, w := range c.want {
					if g := got[i]; string(g.Data) != string(w.Data) || g.Time != w.Time || g.OrigLen != w.OrigLen || g.Link != w.Link {
						t.Errorf("packet %d: %+v, want %+v", i, g, w)
					}
				}
				s := src.Stats()
				if int(s.Packets) != len(c.want) || s.Truncated != "" || s.Malformed != 0 {
					t.Errorf("stats %+v", s)
				}
				if strings.HasPrefix(c.name, "pcapng") && s.KernelDrops%17 != 0 || c.name == "pcapng" && s.KernelDrops != 17 {
					t.Errorf("%d kernel drops", s.KernelDrops)
				}
			})
		}
	}
}

// oneByte yields one byte a read.
type oneByte struct{ b []byte }

func (r *oneByte) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	p[0], r.b = r.b[0], r.b[1:]
	return 1, nil
}

func TestBrokenFiles(t *testing.T) {
	le := binary.LittleEndian
	good := classic(le, 0xa1b2c3d4, 1, 0)
	record := good[24:]
	huge := le.AppendUint32(le.AppendUint32(make([]byte, 8), 0xfffffff0), 0xfffffff0)
	ng := append(section(le), block(le, 1, uint16(1), uint16(0), 0)...)
	one := block(le, 6, 0, 0, 0, 4, 4, "data")
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name      string
		data      []byte
		packets   int
		err       string // of Run
		truncated bool
	}{
		{"cut in a packet", join(good, record[:18]), 1, "", true},
		{"cut in a record's header", join(good, record[:3]), 1, "", true},
		{"cut in the file's header", good[:20], 0, "", true},
		{"record of 4 GB", join(good, huge), 1, "read -: record 3: claims 4294967280 bytes", false},
		{"gzip cut", zipped(join(good, record))[:40], -1, "", false},
		{"pcapng cut", join(ng, one, one[:20]), 1, "", true},
		{"pcapng, unknown block cut", join(ng, one, block(le, 77, "0123456789abcdef")[:16]), 1, "", true},
		{"pcapng, packet of no interface", join(ng, one, block(le, 6, 9, 0, 0, 4, 4, "data")), 1, "read -: record 4: packet of an interface that was not described", false},
		{"pcapng, packet longer than its block", join(ng, block(le, 6, 0, 0, 0, 5, 5, "data")), 0, "read -: record 3: claims 5 bytes", false},
		{"pcapng, block of 4 GB", join(ng, one, le.AppendUint32(le.AppendUint32(nil, 6), 0xfffffffc), make([]byte, 8)), 1, "read -: record 4: block of 4294967292 bytes", false},
		{"pcapng, unknown block of 4 GB", join(ng, one, le.AppendUint32(le.AppendUint32(nil, 99), 0xfffffffc), make([]byte, 8)), 1, "", true},
		{"pcapng, block of 8 bytes", join(ng, le.AppendUint32(le.AppendUint32(nil, 6), 8), make([]byte, 8)), 0, "read -: record 3: block of 8 bytes", false},
		{"pcapng, lengths differ", join(ng, one[:len(one)-4], make([]byte, 4)), 0, "read -: record 3: its two lengths differ", false},
		{"text", []byte("GET / HTTP/1.1\r\n\r\n"), 0, "read -: not a pcap or pcapng file", false},
		{"empty", nil, 0, "read -: not a pcap or pcapng file", false},
		{"three bytes", good[:3], 0, "read -: not a pcap or pcapng file", false},
		{"gzipped text", zipped([]byte("hello, world")), 0, "read -: not a pcap or pcapng file", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			src := stream(c.data)
			defer src.Close()
			got, err := readAll(src)
			runtime.ReadMemStats(&after)
			if text := errorText(err); text != c.err {
				t.Errorf("error %q, want %q", text, c.err)
			}
			if c.packets >= 0 && len(got) != c.packets {
				t.Errorf("%d packets, want %d", len(got), c.packets)
			}
			if s := src.Stats(); (s.Truncated != "") != c.truncated && c.packets >= 0 {
				t.Errorf("truncated: %q", s.Truncated)
			} else if t.Log(s.Truncated); err != nil && c.packets > 0 && s.Malformed != 1 {
				t.Errorf("stats %+v", s)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
				t.Errorf("%d bytes were allocated", grown)
			}
		})
	}
	t.Run("hints and names", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "notes.txt")
		os.WriteFile(path, []byte("not packets"), 0o600)
		_, err := capture.OpenFile(path)
		var h interface{ Hint() string }
		if errorText(err) != "open "+path+": not a pcap or pcapng file" || !errors.As(err, &h) || !strings.Contains(h.Hint(), "tcpdump") {
			t.Errorf("%v", err)
		}
		if _, err := capture.OpenFile(path + "x"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v", err)
		}
		if _, err := capture.OpenFile(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "is a directory") {
			t.Errorf("%v", err)
		}
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestStreamDeliversAtOnce writes packet by packet into a pipe, plain and
// gzipped, and wants each before it writes the next.
func TestStreamDeliversAtOnce(t *testing.T) {
	packets := script().Handshake().Client("ab").Close().Packets
	for _, form := range []string{"pcap", "gzip"} {
		t.Run(form, func(t *testing.T) {
			r, w := io.Pipe()
			src, err := capture.OpenStream(r, "-")
			if err != nil {
				t.Fatal(err)
			}
			got, done := make(chan int), make(chan error, 1)
			go func() {
				done <- src.Run(context.Background(), func(batch []capture.Packet) error { got <- len(batch); return nil })
			}()
			next := make(chan []byte)
			go func() {
				var out io.Writer = w
				flush := func() error { return nil }
				if form == "gzip" {
					z := gzip.NewWriter(w)
					out, flush = z, z.Flush
				}
				for b := range next {
					out.Write(b)
					flush()
				}
				w.Close()
			}()
			head := capturetest.Pcap(nil)
			next <- head
			sent := 0
			for _, p := range packets {
				next <- capturetest.Pcap([]capturetest.Packet{p})[len(head):]
				select {
				case n := <-got:
					sent += n
				case <-time.After(patience):
					t.Fatalf("packet %d does not come", sent)
				}
			}
			close(next)
			if err := <-done; err != nil || sent != len(packets) {
				t.Errorf("%d packets, %v", sent, err)
			}
		})
	}
}

// TestStreamEnds stops a stream that is blocked in a read.
func TestStreamEnds(t *testing.T) {
	for _, how := range []string{"cancel", "close"} {
		t.Run(how, func(t *testing.T) {
			r, w := io.Pipe()
			defer w.Close()
			src, _ := capture.OpenStream(r, "-")
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			done, seen := make(chan error, 1), make(chan bool, 1)
			go func() {
				done <- src.Run(ctx, func(batch []capture.Packet) error { seen <- true; return nil })
			}()
			w.Write(classic(binary.LittleEndian, 0xa1b2c3d4, 1, 0))
			<-seen
			if how == "cancel" {
				cancel()
			} else {
				src.Close()
			}
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(patience):
				t.Error("Run did not return")
			}
			src.Close()
		})
	}
}

func TestRunReturnsTheErrorOfFn(t *testing.T) {
	stop := errors.New("stop")
	src := stream(classic(binary.LittleEndian, 0xa1b2c3d4, 1, 0))
	defer src.Close()
	if err := src.Run(context.Background(), func([]capture.Packet) error { return stop }); err != stop {
		t.Errorf("got %v", err)
	}
}

// FuzzFile reads arbitrary bytes as a capture, whole and byte by byte, and
// wants the same from both.
func FuzzFile(f *testing.F) {
	le := binary.LittleEndian
	f.Add(classic(le, 0xa1b2c3d4, 1, 0))
	f.Add(classic(binary.BigEndian, 0xa1b23c4d, 1, 0))
	f.Add(append(append(section(le), block(le, 1, uint16(1), uint16(0), 0, uint16(9), uint16(1), "\x8a\x00\x00\x00")...), block(le, 6, 0, 5, 5, 4, 4, "data")...))
	f.Add(append(append(section(le), block(le, 1, uint16(1), uint16(0), 0)...), block(le, 3, 4, "data")...))
	f.Add(zipped(classic(le, 0xa1b2c3d4, 1, 0)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		one, err1 := readAll(stream(data))
		slow, _ := capture.OpenStream(&oneByte{data}, "-")
		two, err2 := readAll(slow)
		if len(one) != len(two) || errorText(err1) != errorText(err2) {
			t.Fatalf("%d packets and %v, byte by byte %d and %v", len(one), err1, len(two), err2)
		}
		for i := range one {
			if !bytes.Equal(one[i].Data, two[i].Data) || one[i].Time != two[i].Time {
				t.Fatalf("packet %d differs", i)
			}
			if one[i].OrigLen < len(one[i].Data) {
				t.Fatalf("packet %d: %d bytes of %d", i, len(one[i].Data), one[i].OrigLen)
			}
		}
		asm := capture.NewAssembler(capture.AssemblerConfig{})
		asm.Packets(one)
		asm.Flush()
	})
}
