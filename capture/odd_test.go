package capture_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tcpsandbox/capture"
	"tcpsandbox/session"
)

// oddCaptures are those of the corpus whose sessions are not, or not only,
// listed as clean: what came out of them, all sessions together.
var oddCaptures = []struct {
	file            string
	sessions        int
	bytes, missing  [2]int64
	ignored, broken uint64 // packets: of no session, malformed
}{
	{"encap/ndpi__6in4tunnel.pcap", 5, [2]int64{4542, 17657}, [2]int64{}, 52, 0},
	{"encap/ndpi__vxlan.pcap", 2, [2]int64{1293, 68583}, [2]int64{}, 10, 0},
	{"encap/suricata-verify__temp1.pcap", 1, [2]int64{111, 2781}, [2]int64{}, 0, 0},
	{"encap/zeek__erspan.pcap", 5, [2]int64{9994, 74071}, [2]int64{0, 161781}, 142, 0},
	{"encap/zeek__vlan-collisions.pcap", 3, [2]int64{3 * 136, 3 * 5007}, [2]int64{}, 0, 0},
	{"encap/zeek__vxlan-overlapping-http-get.pcap", 3, [2]int64{3 * 136, 3 * 5007}, [2]int64{}, 0, 0},
	{"formats/deepflow__nats-nrpc2.pcap", 1, [2]int64{285, 499}, [2]int64{}, 0, 0},
	{"formats/gopacket__test_loopback.pcap", 2, [2]int64{1465, 54866}, [2]int64{}, 0, 0},
	{"formats/pcapplusplus__four_ipv6_http_streams.pcap", 4, [2]int64{3598, 31172}, [2]int64{}, 0, 0},
	{"formats/pcapplusplus__pcapng-example.pcapng", 14, [2]int64{3785, 3504}, [2]int64{32240, 4746}, 4, 0},
	{"formats/pcapplusplus__raw_ip.pcap", 6, [2]int64{6107, 18330}, [2]int64{0, 64994}, 8, 0},
	{"jumbo-snaplen/tcpdump__bigtcp-ipv4.pcap", 1, [2]int64{0, 80000}, [2]int64{}, 0, 0},
	{"jumbo-snaplen/tcpdump__bigtcp-ipv6-hbh.pcap", 1, [2]int64{0, 80000}, [2]int64{}, 0, 0},
	{"jumbo-snaplen/zeek__truncated-header.pcap", 1, [2]int64{}, [2]int64{128, 477}, 0, 0},
	{"malformed/ndpi__fuzz-2006-06-26-2594.pcap", 20, [2]int64{95, 543}, [2]int64{27271, 33964}, 593, 33},
	{"malformed/ndpi__fuzz-2021-10-13.pcap", 0, [2]int64{}, [2]int64{}, 0, 0},
	{"malformed/suricata-verify__bug-76.pcap", 5, [2]int64{238, 8980}, [2]int64{1, 30942}, 14, 1},
	{"malformed/zeek__empty.pcap", 0, [2]int64{}, [2]int64{}, 0, 0},
	{"fragments/pcapplusplus__frag_http_req.pcap", 1, [2]int64{1460, 0}, [2]int64{}, 0, 0},
	{"fragments/zeek__fragmented-4.pcap", 2, [2]int64{69, 0}, [2]int64{}, 0, 0},
	{"dns/ndpi__dns_fragmented.pcap", 2, [2]int64{108, 3464}, [2]int64{}, 39, 0},
}

func TestOddCaptures(t *testing.T) {
	dir := os.Getenv("TCPSANDBOX_CORPUS")
	if dir == "" {
		need(t, "TCPSANDBOX_CORPUS does not name the folder of captures")
	}
	for _, c := range oddCaptures {
		t.Run(c.file, func(t *testing.T) {
			got, _, stats := assemble(t, filepath.Join(dir, c.file), capture.AssemblerConfig{})
			var all, gone [2]int64
			for _, s := range got {
				totals, _ := s.Totals()
				for side := range all {
					all[side] += totals.Bytes[side]
					gone[side] += totals.Missing[side]
				}
				if totals.Last > time.Hour {
					t.Errorf("%v: lasts %v", s.Client, totals.Last)
				}
			}
			if len(got) != c.sessions || all != c.bytes || gone != c.missing || stats.Ignored != c.ignored || stats.Malformed != c.broken {
				t.Errorf("%d sessions, %v bytes, %v missing; %+v", len(got), all, gone, stats)
			}
		})
	}
}

// TestOddCapturesCut feeds the same files cut anywhere, under every setting:
// whatever comes, the counts add up and nothing is left behind.
func TestOddCapturesCut(t *testing.T) {
	dir := os.Getenv("TCPSANDBOX_CORPUS")
	if dir == "" {
		need(t, "TCPSANDBOX_CORPUS does not name the folder of captures")
	}
	every := make([]uint16, 1<<16-1)
	for i := range every {
		every[i] = uint16(i + 1)
	}
	for _, c := range oddCaptures {
		whole, err := os.ReadFile(filepath.Join(dir, c.file))
		if err != nil {
			t.Fatal(err)
		}
		for _, cfg := range []capture.AssemblerConfig{
			{}, {NoTunnels: true}, {UDP: every}, {UDP: every, Ports: every, MaxFlows: 3, MaxSessionBuffered: 2000},
		} {
			for part := range 8 {
				src, err := capture.OpenStream(bytes.NewReader(whole[:len(whole)-part*len(whole)/8]), "cut")
				if err != nil {
					continue // not even a file header
				}
				asm := capture.NewAssembler(cfg)
				live := make(map[*session.Session]bool)
				take := func(touched []*session.Session) {
					for _, s := range touched {
						s.Take(nil)
						_, cause := s.Totals()
						live[s] = cause == session.Live
					}
				}
				if err := capture.Steady(src).Run(context.Background(), func(batch []capture.Packet) error {
					take(asm.Packets(batch))
					return nil
				}); err != nil {
					continue // damaged, and said so
				}
				take(asm.Flush())
				for s, is := range live {
					if is {
						t.Errorf("%s, %+v: %v has not ended", c.file, cfg, s.Client)
					}
				}
				if s := asm.Stats(); s.Live != 0 || s.Buffered != 0 || s.Segments+s.Ignored+s.Malformed+s.Unsupported+s.Fragments < s.Packets {
					t.Errorf("%s: %+v", c.file, s)
				}
			}
		}
	}
}
