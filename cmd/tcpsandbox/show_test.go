package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/report"
)

var update = flag.Bool("update", false, "write testdata/*.golden anew")

const (
	request = "GET /cart HTTP/1.1\r\nHost: shop\r\n\r\n"
	upload  = "PUT /photo HTTP/1.1\r\nHost: shop\r\nContent-Length: 300\r\n\r\n"
	answer  = "HTTP/1.1 204 No Content\r\n\r\n"
)

// clean are sessions of which nothing is missing.
func clean() []capturetest.Packet {
	web := capturetest.New("10.0.0.1:40000", "10.0.0.9:80").Handshake().Client(request).Server(answer).Close()
	db := capturetest.New("[2001:db8::1]:40001", "[2001:db8::9]:5432").Handshake().Client("login\n").Server("hello\n").ClientRST()
	db.Now = db.Now.Add(time.Second)
	return capturetest.Merge(web, db)
}

// ugly are sessions that lack something each, or cannot be replayed.
func ugly() []capturetest.Packet {
	whole := capturetest.New("10.0.0.1:40000", "10.0.0.9:80").Handshake().Client(request).Server(answer).Close()
	broken := capturetest.New("10.0.0.2:40000", "10.0.0.9:80").Handshake().
		Client(request).Server(answer).
		Client(upload + strings.Repeat("a", 100)).Client(strings.Repeat("b", 100)).Client(strings.Repeat("c", 100)).Server(answer).
		Client(request).Server(answer).Close()
	broken.Drop(6) // the upload's middle, which production acknowledged
	joined := capturetest.New("10.0.0.3:40000", "10.0.0.9:80").
		Client(strings.Repeat("d", 50)).Server(answer).Client(request).Server(answer).Close()
	loopback := capturetest.New("[::1]:40000", "[::1]:80").Handshake().Client(request).Server(answer).Close()
	refused := capturetest.New("10.0.0.4:40000", "10.0.0.9:81").SYN().ServerRST()
	all := capturetest.Merge(whole, broken, joined, loopback, refused)
	query := capturetest.Packet{Time: capturetest.Epoch.Add(time.Second), Data: capturetest.UDPFrame(whole.Ends[0], whole.Ends[1], nil, []byte("query"))}
	cut := capturetest.Packet{Time: query.Time, Data: whole.Packets[0].Data[:40]} // in the middle of the TCP header
	return append(all, query, cut)
}

// dropping writes packets as pcapng, with the word of the capturing program
// that its kernel dropped some.
func dropping(t *testing.T, packets []capturetest.Packet, dropped uint64) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := pcapgo.NewNgWriter(&buf, layers.LinkTypeEthernet)
	for _, p := range packets {
		if err == nil {
			err = w.WritePacket(gopacket.CaptureInfo{Timestamp: p.Time, CaptureLength: len(p.Data), Length: len(p.Data)}, p.Data)
		}
	}
	if err == nil {
		err = w.WriteInterfaceStats(0, pcapgo.NgInterfaceStatistics{LastUpdate: capturetest.Epoch, PacketsReceived: uint64(len(packets)), PacketsDropped: dropped})
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestShow(t *testing.T) {
	for _, tt := range []struct {
		name   string
		file   []byte
		ports  string
		filter string
	}{
		{name: "clean", file: capturetest.Pcap(clean())},
		{name: "ugly", file: dropping(t, ugly(), 17), ports: ":80,81,80/udp"},
		{name: "filtered", file: capturetest.Pcap(ugly()), filter: "host 10.0.0.2 or host 10.0.0.3"},
		{name: "nothing", file: capturetest.Pcap(nil)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "shop.pcap")
			if err := os.WriteFile(path, tt.file, 0o644); err != nil {
				t.Fatal(err)
			}
			l := listFile(t, path+tt.ports, tt.filter)
			l.Tool, l.Capture.Source = "tcpsandbox 1.0.0", "shop.pcap"+tt.ports
			var text, doc bytes.Buffer
			if err := l.Text(&text); err != nil {
				t.Fatal(err)
			}
			if err := l.WriteJSON(&doc); err != nil {
				t.Fatal(err)
			}
			golden(t, "show_"+tt.name+".txt", text.Bytes())
			golden(t, "show_"+tt.name+".json", doc.Bytes())
		})
	}
}

// A datagram whose fragments did not all come is told of, also if the capture
// ended before anyone gave up waiting.
func TestShowTellsOfMissingFragments(t *testing.T) {
	c := capturetest.New("10.0.0.1:40000", "10.0.0.9:80").Handshake().Client(strings.Repeat("x", 1000))
	last := len(c.Packets) - 1
	fragments := capturetest.Fragments(c.Packets[last].Data, 400)
	for _, tt := range []struct {
		name    string
		come    [][]byte
		warning string
	}{
		{"all", fragments, ""},
		{"the first", fragments[:1], "1 fragmented IP packet lacked a fragment"},
	} {
		packets := c.Packets[:last:last]
		for _, data := range tt.come {
			packets = append(packets, capturetest.Packet{Time: c.Packets[last].Time, Data: data})
		}
		path := filepath.Join(t.TempDir(), "shop.pcap")
		if err := os.WriteFile(path, capturetest.Pcap(packets), 0o644); err != nil {
			t.Fatal(err)
		}
		if said := strings.Join(listFile(t, path, "").Warnings, "\n"); tt.warning == "" && said != "" || !strings.Contains(said, tt.warning) {
			t.Errorf("%s: warnings %q, want %q", tt.name, said, tt.warning)
		}
	}
}

func listFile(t *testing.T, name, filterText string) *report.Listing {
	t.Helper()
	spec, err := capture.ParseSpec(name)
	if err != nil {
		t.Fatal(err)
	}
	pick := picked{filterText: filterText, tunnels: "auto"}
	if err := pick.complete(); err != nil {
		t.Fatal(err)
	}
	src, err := capture.OpenFile(spec.Source)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	l := &report.Listing{}
	if err := list(l, capture.Filtered(src, pick.filter, true), spec, false); err != nil {
		t.Fatal(err)
	}
	return l
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// Whatever the capture, the bins of each session and of all add up.
func TestShowAddsUp(t *testing.T) {
	folder := os.Getenv("TCPSANDBOX_CORPUS")
	if folder == "" {
		if os.Getenv("TCPSANDBOX_NEED") == "all" {
			t.Fatal("TCPSANDBOX_CORPUS is not set")
		}
		t.Skip("TCPSANDBOX_CORPUS is not set: no captures to read")
	}
	paths, err := filepath.Glob(filepath.Join(folder, "*", "*.pcap*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%v: no captures in %s", err, folder)
	}
	sessions := 0
	for _, path := range paths {
		src, err := capture.OpenFile(path)
		if err != nil {
			continue // some are no captures at all
		}
		l := &report.Listing{}
		list(l, src, capture.Spec{UDP: []uint16{53}}, false) // one that breaks off has sessions as well
		src.Close()
		if len(l.Defects) > 0 {
			t.Errorf("%s: %q", path, l.Defects)
		}
		sessions += len(l.Detail)
		c := l.ClientBytes
		if c.Captured != c.Deliverable+c.Gap+c.BeforeJoin+c.Unsupported {
			t.Errorf("%s: %+v", path, c)
		}
		if int64(len(l.Detail)) != l.Sessions.Seen {
			t.Errorf("%s: %d sessions of %d are listed", path, len(l.Detail), l.Sessions.Seen)
		}
	}
	if sessions == 0 {
		t.Error("no session in all of them")
	}
}
