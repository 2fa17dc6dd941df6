package main

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The streams that the oracle reads out of other people's captures are the
// ones that a third tool found in them.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("TCPSANDBOX_CORPUS")
	if dir == "" {
		why := "TCPSANDBOX_CORPUS does not name the folder of captures"
		if os.Getenv("TCPSANDBOX_NEED") == "all" {
			t.Fatal("TCPSANDBOX_NEED=all, but: " + why)
		}
		t.Skip(why)
	}
	f, err := os.Open(filepath.Join(dir, "SESSIONS.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma = '\t'
	lines, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range lines[0] {
		column[name] = i
	}
	known := map[string][]*script{}
	clean := 0
	for _, line := range lines[1:] {
		get := func(name string) string { return line[column[name]] }
		name := get("file")
		if _, read := known[name]; !read {
			if known[name], err = readScripts(filepath.Join(dir, name)); err != nil {
				t.Error(err)
			}
		}
		if get("state") != "clean" || get("syn") != "1" {
			continue
		}
		clean++
		var near []string
		found := false
		for i, s := range known[name] {
			if end(s.client.String()) != get("client") || end(s.server.String()) != get("server") {
				continue
			}
			heard, said, whole := s.streams[client], s.streams[server], s.whole
			if get("synack") == "0" && get("bytes_s2c") == "0" {
				// The oracle makes up what the client acknowledged.
				said, whole = nil, true
			}
			has := strings.Join([]string{count(heard), digest(heard), count(said), digest(said)}, " ")
			near = append(near, has)
			if whole && has == strings.Join([]string{get("bytes_c2s"), get("sha256_16_c2s"), get("bytes_s2c"), get("sha256_16_s2c")}, " ") {
				found = true
				known[name] = append(known[name][:i:i], known[name][i+1:]...)
				break
			}
		}
		if !found {
			t.Errorf("%s: %s to %s: want %s %s %s %s, have %q", name, get("client"), get("server"),
				get("bytes_c2s"), get("sha256_16_c2s"), get("bytes_s2c"), get("sha256_16_s2c"), near)
		}
	}
	if clean == 0 {
		t.Error("SESSIONS.tsv has no clean session")
	}
	t.Logf("%d clean sessions", clean)
}

func count(p []byte) string { return strconv.Itoa(len(p)) }

func digest(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:8])
}

// end writes an endpoint as SESSIONS.tsv does.
func end(addrPort string) string {
	i := strings.LastIndexByte(addrPort, ':')
	return strings.Trim(addrPort[:i], "[]") + "|" + addrPort[i+1:]
}
