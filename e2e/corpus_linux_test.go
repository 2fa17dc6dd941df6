package e2e

import (
	"encoding/csv"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tcpsandbox/e2e/apps/connlog"
)

// corpusRow is a session as SESSIONS.tsv, made with other tools, has it.
type corpusRow struct {
	client, server netip.AddrPort
	bytes          int64
	digest         string // beginning of the SHA-256 of the client's bytes
}

// TestCorpus plays captures that nobody here made into an application that
// only listens: of each clean session captured from its SYN on, the client's
// bytes reach it whole, from the client's address.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("TCPSANDBOX_CORPUS")
	if dir == "" {
		lack(t, "TCPSANDBOX_CORPUS does not name the folder of captures")
	}
	if os.Geteuid() != 0 {
		lack(t, "network namespaces need root")
	}
	for name, rows := range readCorpus(t, dir) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			playCapture(t, filepath.Join(dir, name), rows)
		})
	}
}

// readCorpus returns the clean sessions that begin with a SYN and in which the
// client sends anything, by capture file.
func readCorpus(t *testing.T, dir string) map[string][]corpusRow {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "SESSIONS.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma = '\t'
	lines, err := r.ReadAll()
	if err != nil || len(lines) == 0 {
		t.Fatalf("read SESSIONS.tsv: %d lines, %v", len(lines), err)
	}
	column := make(map[string]int)
	for i, name := range lines[0] {
		column[name] = i
	}
	endpoint := func(text string) netip.AddrPort {
		ip, port, _ := strings.Cut(text, "|")
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			t.Fatalf("SESSIONS.tsv: %s: %v", text, err)
		}
		return netip.AddrPortFrom(netip.MustParseAddr(ip), uint16(n))
	}
	all := make(map[string][]corpusRow)
	for _, line := range lines[1:] {
		get := func(name string) string { return line[column[name]] }
		n, err := strconv.ParseInt(get("bytes_c2s"), 10, 64)
		if err != nil {
			t.Fatalf("SESSIONS.tsv: %v", err)
		}
		if get("state") != "clean" || get("syn") != "1" || n == 0 {
			continue
		}
		all[get("file")] = append(all[get("file")], corpusRow{endpoint(get("client")), endpoint(get("server")), n, get("sha256_16_c2s")})
	}
	if len(all) == 0 {
		t.Fatal("SESSIONS.tsv has no clean session")
	}
	return all
}

func playCapture(t *testing.T, path string, rows []corpusRow) {
	dir, err := os.MkdirTemp(root, "corpus-")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{dir: dir, t: t, processes: make(map[string]*process), namespaces: make(map[string]*namespace)}
	t.Cleanup(func() {
		w.close()
		if t.Failed() {
			t.Logf("left for inspection: %s", dir)
			return
		}
		os.RemoveAll(dir)
	})
	if w.namespaces, w.wire, err = join(""); err != nil {
		t.Fatal(err)
	}
	// The application never answers, so that every turn ends with the time-out;
	// the longest session has 133 turns. It serves all ports on one.
	p, err := w.start("box", "prod", dir, os.Getenv, []string{"tcpsandbox", "run", "--capture", path, "--pace", "asap", "--fail-on", "never",
		"--answer-timeout", "60ms", "--drain", "1m", "--app-port", "7", "--report", "box.json",
		"--", "testapp", "-protocol", "sink", "-record", "app.log", "-listen", ":7"})
	if err == nil {
		err = p.expect("0")
	}
	if err != nil {
		t.Fatal(err)
	}
	entries, err := connlog.Read(filepath.Join(dir, "app.log"))
	if err != nil {
		t.Fatal(err)
	}
	pairs := make(map[string]int)
	for _, r := range rows {
		pairs[r.client.String()+r.server.Addr().String()]++
	}
	for _, r := range rows {
		if r.client.Addr() == netip.IPv6Loopback() {
			continue // the kernel takes ::1 from no device but lo: reported as unsupported
		}
		if pairs[r.client.String()+r.server.Addr().String()] > 1 {
			continue // with all of the server's ports made one, they are in each other's way
		}
		server := netip.AddrPortFrom(r.server.Addr(), 7)
		i := slices.IndexFunc(entries, func(e connlog.Entry) bool {
			return e.Client == r.client.String() && e.Server == server.String() && e.Bytes == r.bytes && strings.HasPrefix(e.SHA256, r.digest)
		})
		if i < 0 {
			t.Errorf("%v to %v: the application has not received these %d bytes", r.client, r.server, r.bytes)
			for _, e := range entries {
				if e.Client == r.client.String() {
					t.Logf("it has %+v", e)
				}
			}
			continue
		}
		entries = slices.Delete(entries, i, i+1)
	}
	if t.Failed() {
		t.Log(p.lastWords())
	}
}
