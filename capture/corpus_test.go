package capture_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tcpsandbox/capture"
	"tcpsandbox/session"
)

// seenSession is what came out of a session.
type seenSession struct {
	*session.Session
	sum [2]hash.Hash
}

// assemble runs a capture file through an assembler and returns its sessions
// in order of appearance, with digests of both streams.
func assemble(t testing.TB, path string, cfg capture.AssemblerConfig) ([]*seenSession, capture.Stats, capture.AssemblerStats) {
	t.Helper()
	src, err := capture.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	asm := capture.NewAssembler(cfg)
	known := make(map[*session.Session]*seenSession)
	var all []*seenSession
	take := func(touched []*session.Session) {
		for _, s := range touched {
			k := known[s]
			if k == nil {
				k = &seenSession{s, [2]hash.Hash{sha256.New(), sha256.New()}}
				known[s] = k
				all = append(all, k)
			}
			events, _ := s.Take(nil)
			for _, e := range events {
				k.sum[e.Side].Write(e.Data)
				if e.At < 0 {
					t.Errorf("%v: event at %v", s.Client, e.At)
				}
			}
		}
	}
	if err := capture.Steady(src).Run(context.Background(), func(batch []capture.Packet) error {
		take(asm.Packets(batch))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	take(asm.Flush())
	return all, src.Stats(), asm.Stats()
}

// need skips a test that cannot run here, or fails it where everything must.
func need(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("TCPSANDBOX_NEED") == "all" {
		t.Fatal("TCPSANDBOX_NEED=all: " + why)
	}
	t.Skip(why)
}

// corpusIgnored are sessions listed as clean that consist of a packet which no
// kernel would take.
var corpusIgnored = map[string]string{
	"malformed/suricata-verify__bug-76.pcap 8": "a SYN whose TCP header is longer than the packet",
}

func TestCorpus(t *testing.T) {
	dir := os.Getenv("TCPSANDBOX_CORPUS")
	if dir == "" {
		need(t, "TCPSANDBOX_CORPUS does not name the folder of captures")
	}
	f, err := os.Open(filepath.Join(dir, "SESSIONS.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	type row struct{ n, client, server, syn, synack, c2s, s2c, sumC, sumS string }
	var files []string
	rows := make(map[string][]row)
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		v := strings.Split(sc.Text(), "\t")
		if v[0] == "file" || v[11] != "clean" {
			continue
		}
		if rows[v[0]] == nil {
			files = append(files, v[0])
		}
		rows[v[0]] = append(rows[v[0]], row{v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[12], v[13]})
	}
	if err := sc.Err(); err != nil || len(files) == 0 {
		t.Fatalf("read SESSIONS.tsv: %d files, %v", len(files), err)
	}
	checked := 0
	for _, name := range files {
		t.Run(name, func(t *testing.T) {
			got, _, stats := assemble(t, filepath.Join(dir, name), capture.AssemblerConfig{})
			t.Logf("%d sessions, %+v", len(got), stats)
			used := make([]bool, len(got))
		rows:
			for _, r := range rows[name] {
				if r.syn == "0" && r.synack == "0" && r.c2s == "0" && r.s2c == "0" {
					continue // acknowledgements alone make no session
				}
				if why := corpusIgnored[name+" "+r.n]; why != "" {
					t.Logf("session %s: %s", r.n, why)
					continue
				}
				var near []string
				for i, s := range got {
					if used[i] || end(s.Client.String()) != r.client || end(s.Server.String()) != r.server {
						continue
					}
					totals, cause := s.Totals()
					c, sv := strconv.FormatInt(totals.Bytes[0], 10), strconv.FormatInt(totals.Bytes[1], 10)
					sumC, sumS := hex.EncodeToString(s.sum[0].Sum(nil)[:8]), hex.EncodeToString(s.sum[1].Sum(nil)[:8])
					if c == r.c2s && sv == r.s2c && sumC == r.sumC && sumS == r.sumS {
						used[i] = true
						checked++
						if totals.Missing[0] != 0 || totals.Missing[1] != 0 {
							t.Logf("%s → %s: gaps %v", r.client, r.server, totals.Missing)
						}
						continue rows
					}
					near = append(near, c+"+"+sv+" "+sumC+" "+sumS+" "+cause.String())
				}
				t.Errorf("%s → %s: want %s+%s bytes %s %s, got %q", r.client, r.server, r.c2s, r.s2c, r.sumC, r.sumS, near)
			}
		})
	}
	t.Logf("%d clean sessions are right", checked)
}

// end writes an endpoint as SESSIONS.tsv does.
func end(addrPort string) string {
	i := strings.LastIndexByte(addrPort, ':')
	return strings.Trim(addrPort[:i], "[]") + "|" + addrPort[i+1:]
}
