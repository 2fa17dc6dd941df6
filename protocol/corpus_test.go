package protocol

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// Captures that nobody here made: how many messages a whole stream holds, and
// whether it is in sync at its end. TCPSANDBOX_CORPUS names their folder.
func TestCorpus(t *testing.T) {
	folder := os.Getenv("TCPSANDBOX_CORPUS")
	if folder == "" {
		if os.Getenv("TCPSANDBOX_NEED") == "all" {
			t.Fatal("TCPSANDBOX_CORPUS is not set")
		}
		t.Skip("TCPSANDBOX_CORPUS is not set: no captures to read")
	}
	for _, tt := range []struct {
		file              string
		requests, answers int // in all sessions without gaps
		tunnels           int // sessions that production upgraded
		raw               int // sessions that do not begin with a request line
	}{
		{"http1/zeek__get.pcap", 1, 1, 0, 0},
		{"http1/zeek__pipelined-requests.pcap", 5, 5, 0, 0},
		{"http1/zeek__methods.pcap", 9, 9, 0, 40},
		{"http1/pcapplusplus__tcp-reassembly.pcap", 14, 14, 0, 0},
		{"http1/ndpi__webdav.pcap", 16, 16, 0, 0},
		{"http1/zeek__docker-http-upgrade.pcap", 6, 6, 1, 0},
		{"websocket/zeek__jupyter-websocket.pcap", 1, 1, 1, 0},
		{"websocket/suricata-verify__example_websocket.pcap", 1, 1, 1, 0},
	} {
		t.Run(filepath.Base(tt.file), func(t *testing.T) {
			requests, answers, tunnels, raw := 0, 0, 0, 0
			for _, c := range readStreams(t, filepath.Join(folder, tt.file)) {
				if d, decided := Detect(c[Requests]); !decided || d.Name() != "http1" {
					raw++
					continue
				}
				f := NewHTTP1()
				requests += len(feed(t, f, Requests, string(c[Requests]), 1<<20))
				answers += len(feed(t, f, Production, string(c[Production]), 1<<20))
				if f.Close(Production) == End {
					answers++
				}
				if f.InSync(Requests) != f.InSync(Production) {
					t.Errorf("in sync: requests %v, answers %v", f.InSync(Requests), f.InSync(Production))
				}
				if !f.InSync(Production) {
					tunnels++
				} else if f.Open(Requests) || f.Open(Production) {
					t.Errorf("open at the end: requests %v, answers %v", f.Open(Requests), f.Open(Production))
				}
			}
			if requests != tt.requests || answers != tt.answers || tunnels != tt.tunnels || raw != tt.raw {
				t.Errorf("%d requests, %d answers, %d tunnels, %d raw; want %d, %d, %d, %d",
					requests, answers, tunnels, raw, tt.requests, tt.answers, tt.tunnels, tt.raw)
			}
		})
	}
}

// readStreams puts the segments of each connection in the order of their
// sequence numbers. That is all of reassembly that these captures need.
func readStreams(t *testing.T, path string) map[string][2][]byte {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var source gopacket.PacketDataSource
	linkType := layers.LinkTypeEthernet
	if bytes.HasPrefix(file, []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
		r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.DefaultNgReaderOptions)
		if err != nil {
			t.Fatal(err)
		}
		source, linkType = r, r.LinkType()
	} else {
		r, err := pcapgo.NewReader(bufio.NewReader(bytes.NewReader(file)))
		if err != nil {
			t.Fatal(err)
		}
		source, linkType = r, r.LinkType()
	}
	segments := map[string]*[2]map[uint32][]byte{} // by connection and side, by sequence number
	clients := map[string]string{}                 // either direction to the connection
	for {
		data, _, err := source.ReadPacketData()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		p := gopacket.NewPacket(data, linkType, gopacket.Default)
		tcp, _ := p.TransportLayer().(*layers.TCP)
		if tcp == nil || p.NetworkLayer() == nil {
			continue
		}
		there := p.NetworkLayer().NetworkFlow().String() + tcp.TransportFlow().String()
		back := p.NetworkLayer().NetworkFlow().Reverse().String() + tcp.TransportFlow().Reverse().String()
		if tcp.SYN && !tcp.ACK {
			clients[there], clients[back] = there, there
			segments[there] = &[2]map[uint32][]byte{{}, {}}
		}
		connection, side := clients[there], Requests
		if connection != there {
			side = Production
		}
		if s := segments[connection]; s != nil && len(tcp.Payload) > len(s[side][tcp.Seq]) {
			s[side][tcp.Seq] = tcp.Payload
		}
	}
	streams := map[string][2][]byte{}
	for connection, sides := range segments {
		var whole [2][]byte
		for side, bySeq := range sides {
			next := uint32(0)
			for i, seq := range slices.Sorted(maps.Keys(bySeq)) {
				if i > 0 && seq != next {
					t.Fatalf("%s: gap or overlap at %d", connection, seq)
				}
				next = seq + uint32(len(bySeq[seq]))
				whole[side] = append(whole[side], bySeq[seq]...)
			}
		}
		if len(whole[Requests]) > 0 {
			streams[connection] = whole
		}
	}
	return streams
}
