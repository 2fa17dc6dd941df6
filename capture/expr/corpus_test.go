package expr

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"sync"
	"testing"
)

// capture is one capture file as tcpdump reads it.
type capture struct {
	path    string
	link    uint16
	packets []packet
}

type packet struct {
	data []byte
	wire int
}

// need skips a test for a reason, or fails it where everything has to run.
func need(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("TCPSANDBOX_NEED") == "all" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

var corpus struct {
	once  sync.Once
	files []capture
	why   string // it is not there
}

// captures returns the files of the corpus, or ends the test without one.
func captures(t testing.TB) []capture {
	t.Helper()
	corpus.once.Do(func() {
		dir := os.Getenv("TCPSANDBOX_CORPUS")
		if dir == "" {
			corpus.why = "TCPSANDBOX_CORPUS does not name the folder of captures"
			return
		}
		if _, err := exec.LookPath("tcpdump"); err != nil {
			corpus.why = err.Error()
			return
		}
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			switch filepath.Ext(path) {
			case ".pcap", ".pcapng", ".cap", ".ntar":
				if c := open(path); c.packets != nil {
					corpus.files = append(corpus.files, c)
				} else {
					t.Logf("%s: tcpdump reads no packet of it", path)
				}
			}
			return err
		})
		if err != nil || len(corpus.files) == 0 {
			corpus.why = "no captures in " + dir
		}
		sort.Slice(corpus.files, func(i, j int) bool { return corpus.files[i].path < corpus.files[j].path })
	})
	if corpus.why != "" {
		need(t, corpus.why)
	}
	return corpus.files
}

// open has tcpdump write the file out again, which makes the old pcap format
// of all formats and stops where tcpdump stops.
func open(path string) capture {
	out, _ := exec.Command("tcpdump", "-r", path, "-w", "-").Output()
	link, packets := packetsOf(out)
	return capture{path, link, packets}
}

// packetsOf reads what tcpdump -w wrote, in this machine's byte order.
func packetsOf(file []byte) (uint16, []packet) {
	const fileHeader, recordHeader = 24, 16
	if len(file) < fileHeader {
		return 0, nil
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if file[0] == 0xa1 {
		order = binary.BigEndian
	}
	link := uint16(order.Uint32(file[20:]))
	var packets []packet
	for file = file[fileHeader:]; len(file) >= recordHeader; {
		n := int(order.Uint32(file[8:]))
		packets = append(packets, packet{file[recordHeader : recordHeader+n], int(order.Uint32(file[12:]))})
		file = file[recordHeader+n:]
	}
	return link, packets
}

// tcpdumpCount returns how many packets of a file tcpdump lets through.
func tcpdumpCount(path, text string) (int, string) {
	cmd := exec.Command("tcpdump", "-r", path, "-w", "-", "--", text)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, _ := cmd.Output()
	_, packets := packetsOf(out)
	return len(packets), stderr.String()
}

// derived puts IP packets of the corpus under every link type's header and
// under VLAN tags, whole and cut off, so that no link type goes without.
func derived(files []capture) []capture {
	const each = 12 // packets of a file
	out := make(map[uint16]*capture)
	add := func(link uint16, data []byte, cut int) {
		if out[link] == nil {
			out[link] = &capture{path: "derived", link: link}
		}
		out[link].packets = append(out[link].packets, packet{data, len(data)}, packet{data[:cut%(len(data)+1)], len(data)})
	}
	cut := 0
	for _, c := range files {
		if c.link != 1 {
			continue
		}
		for i, p := range c.packets[:min(each, len(c.packets))] {
			if len(p.data) <= 14 {
				continue
			}
			kind, rest := binary.BigEndian.Uint16(p.data[12:]), p.data[14:]
			cut += 7
			add(1, frame(kind, rest, uint16(1+i%2*99)), cut)
			add(1, frame(kind, rest, 1, 100), cut)
			if kind != etherIP && kind != etherIP6 {
				continue
			}
			for _, link := range links {
				add(link, under(link, rest), cut)
			}
		}
	}
	var list []capture
	for _, link := range links {
		if out[link] != nil {
			list = append(list, *out[link])
		}
	}
	return list
}
