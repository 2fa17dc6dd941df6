package e2e

import (
	"encoding/csv"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// corpusFile is a capture as the lists beside it, made with other tools,
// describe it.
type corpusFile struct {
	name     string // below the corpus' folder
	notes    string // of MANIFEST.tsv
	sessions []corpusSession
}

// corpusSession is a row of SESSIONS.tsv.
type corpusSession struct {
	n              string // number in its file
	client, server netip.AddrPort
	// clean: nothing is missing, and nobody can doubt which bytes were sent.
	clean       bool
	syn, synAck bool
	bytes       [2]int64 // client's, server's
	digest      string   // beginning of the SHA-256 of the client's bytes
}

func (s *corpusSession) String() string {
	return fmt.Sprintf("session %s, %v to %v", s.n, s.client, s.server)
}

// whole: the session has to be replayed from its first byte to its last.
func (s *corpusSession) whole() bool { return s.clean && s.syn }

// accepted: production's server took the connection, or the client at least
// went on as if it had.
func (s *corpusSession) accepted() bool { return s.synAck || s.bytes[0]+s.bytes[1] > 0 }

// oneSided: nothing of the server's was captured.
func (s *corpusSession) oneSided() bool { return !s.synAck && s.bytes[1] == 0 }

// readCorpus returns the TCP captures of the corpus, in the order of its list.
func readCorpus(t *testing.T, dir string) (all []*corpusFile) {
	t.Helper()
	byName := map[string]*corpusFile{}
	readTable(t, filepath.Join(dir, "MANIFEST.tsv"), func(get func(string) string) {
		f := &corpusFile{name: get("file"), notes: get("notes")}
		byName[f.name] = f
		all = append(all, f)
	})
	readTable(t, filepath.Join(dir, "SESSIONS.tsv"), func(get func(string) string) {
		f := byName[get("file")]
		if f == nil {
			t.Fatalf("SESSIONS.tsv: %s is not in MANIFEST.tsv", get("file"))
		}
		s := corpusSession{
			n: get("n"), client: corpusEndpoint(t, get("client")), server: corpusEndpoint(t, get("server")),
			clean: get("state") == "clean", syn: get("syn") == "1", synAck: get("synack") == "1",
			digest: get("sha256_16_c2s"),
		}
		for side, column := range []string{"bytes_c2s", "bytes_s2c"} {
			n, err := strconv.ParseInt(get(column), 10, 64)
			if err != nil {
				t.Fatalf("SESSIONS.tsv: %v", err)
			}
			s.bytes[side] = n
		}
		f.sessions = append(f.sessions, s)
	})
	if len(all) == 0 {
		t.Fatal("MANIFEST.tsv names no capture")
	}
	return all
}

// readTable calls f for each row, with what gives a column's value.
func readTable(t *testing.T, path string, f func(get func(column string) string)) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r := csv.NewReader(file)
	r.Comma = '\t'
	r.LazyQuotes = true
	rows, err := r.ReadAll()
	if err != nil || len(rows) == 0 {
		t.Fatalf("read %s: %d rows, %v", path, len(rows), err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, row := range rows[1:] {
		f(func(name string) string {
			i, known := column[name]
			if !known {
				t.Fatalf("%s has no column %s", path, name)
			}
			return row[i]
		})
	}
}

func corpusEndpoint(t *testing.T, text string) netip.AddrPort {
	t.Helper()
	ip, port, _ := strings.Cut(text, "|")
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatalf("SESSIONS.tsv: %s: %v", text, err)
	}
	return netip.AddrPortFrom(netip.MustParseAddr(ip), uint16(n))
}

// packets is how many packets the file holds, as its notes say.
func (f *corpusFile) packets(t *testing.T) int64 {
	t.Helper()
	m := regexp.MustCompile(`packets=(\d+)`).FindAllStringSubmatch(f.notes, -1)
	if len(m) == 0 {
		t.Fatalf("MANIFEST.tsv does not say how many packets %s has", f.name)
	}
	n, err := strconv.ParseInt(m[len(m)-1][1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// onlyWhole: all of the file's sessions have to be replayed whole.
func (f *corpusFile) onlyWhole() bool {
	for i := range f.sessions {
		if !f.sessions[i].whole() {
			return false
		}
	}
	return true
}
