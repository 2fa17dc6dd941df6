package capture_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket/pcapgo"

	"tcpsandbox/capture"
)

func TestWriter(t *testing.T) {
	packets := batch(script().Handshake().Client("odd").Server("even").Close().Packets)
	packets[3].Time += 7
	packets[4].OrigLen += 1000
	packets[5].Link, packets[5].Data = capture.LinkRaw, packets[5].Data[14:]
	packets[5].Outgoing = true
	var buf bytes.Buffer
	w := capture.NewWriter(&buf, "test")
	if err := errors.Join(w.Write(packets[:2]), w.Write(packets[2:]), w.Flush()); err != nil {
		t.Fatal(err)
	}
	written := bytes.Clone(buf.Bytes())
	got, err := readAll(stream(written))
	if err != nil || len(got) != len(packets) {
		t.Fatalf("%d packets, %v", len(got), err)
	}
	for i, p := range packets {
		if g := got[i]; !bytes.Equal(g.Data, p.Data) || g.Time != p.Time || g.OrigLen != max(p.OrigLen, len(p.Data)) || g.Link != p.Link {
			t.Errorf("packet %d: %+v, want %+v", i, g, p)
		}
	}
	r, err := pcapgo.NewNgReader(&buf, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range packets {
		data, info, err := r.ReadPacketData()
		if err != nil || !bytes.Equal(data, p.Data) || info.Timestamp.UnixNano() != p.Time {
			t.Errorf("packet %d for gopacket: %v, %v", i, info, err)
		}
	}
	if _, _, err := r.ReadPacketData(); err != io.EOF {
		t.Errorf("at the end gopacket says %v", err)
	}
	var empty bytes.Buffer
	if err := capture.NewWriter(&empty, "").Flush(); err != nil {
		t.Error(err)
	}
	if got, err := readAll(stream(empty.Bytes())); err != nil || len(got) != 0 {
		t.Errorf("an empty capture: %d packets, %v", len(got), err)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestWriterReportsAFullDisk(t *testing.T) {
	w := capture.NewWriter(fullDisk{}, "test")
	err := w.Write([]capture.Packet{{Data: make([]byte, 1<<20)}})
	if !errors.Is(err, io.ErrShortWrite) || !errors.Is(w.Flush(), io.ErrShortWrite) {
		t.Errorf("got %v", err)
	}
}

func TestSelector(t *testing.T) {
	other := script()
	other.Ends[1] = netip.MustParseAddrPort("10.0.0.2:81")
	all := batch(append(script().Handshake().Packets, other.Handshake().Packets...))
	if kept := (capture.Spec{Ports: []uint16{80}}).Selector(true).Keep(slices.Clone(all)); len(kept) != 3 || &kept[2].Data[0] != &all[2].Data[0] {
		t.Errorf("%d packets of port 80", len(kept))
	}
	if kept := (capture.Spec{}).Selector(true).Keep(all); len(kept) != 6 {
		t.Errorf("%d packets of all ports", len(kept))
	}
}

// TestWriterTag puts back the tag that the kernel took off.
func TestWriterTag(t *testing.T) {
	const long = "longer than what Ethernet pads up to, which both would have"
	tagged := script()
	tagged.VLAN = []uint16{300}
	want := batch(tagged.Client(long).Server(long).Packets)
	bare := batch(script().Client(long).Server(long).Packets)
	for i := range bare {
		bare[i].VLAN = 300
	}
	var file bytes.Buffer
	w := capture.NewWriter(&file, "test")
	if err := errors.Join(w.Write(bare), w.Flush()); err != nil {
		t.Fatal(err)
	}
	src, err := capture.OpenStream(&file, "-")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := src.Run(context.Background(), func(batch []capture.Packet) error {
		for _, p := range batch {
			if !bytes.Equal(p.Data, want[n].Data) || p.OrigLen != want[n].OrigLen {
				t.Errorf("packet %d: got %x, want %x", n, p.Data, want[n].Data)
			}
			n++
		}
		return nil
	}); err != nil || n != len(want) {
		t.Errorf("%d packets, %v", n, err)
	}
}

// TestWriterComment: other programs show what the file is.
func TestWriterComment(t *testing.T) {
	for _, comment := range []string{"", "GET /users/{id} differs", strings.Repeat("ä", 4000)} {
		var file bytes.Buffer
		w := capture.NewWriter(&file, "test")
		w.Comment = comment
		if err := errors.Join(w.Write(batch(script().Handshake().Packets)), w.Flush()); err != nil {
			t.Fatal(err)
		}
		r, err := pcapgo.NewNgReader(&file, pcapgo.DefaultNgReaderOptions)
		if err != nil {
			t.Fatal(err)
		}
		got := r.SectionInfo()
		if want := comment[:min(len(comment), 4096)]; got.Comment != want || got.Application != "test" {
			t.Errorf("got %q of %q, want %q", got.Comment, got.Application, want)
		}
	}
}
