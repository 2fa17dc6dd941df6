package e2e

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What TCPCopy 1.x and intercept 1.x are told on their command lines and at
// build time, as their sources list it.
var (
	tcpcopyOptions   = strings.Fields("-x -H -c -i -F -B -S -o -a -I -T -n -f -r -g -O -W -t -k -m -M -D -R -U -C -s -p -L -l -d -P -h -v")
	interceptOptions = strings.Fields("-i -F -p -b -s -t -n -c -D -x -q -l -d -P -h -v")
	configureOptions = strings.Fields(`--offline --pcap-capture --pcap-send --with-pfring= --single --disable-combined --set-protocol-module=
		--with-resp-payload --udp --million --dnat --traditional --nfqueue --select --with-tcmalloc --with-detect-memory --with-debug
		--prefix= --sbin-path= --conf-path= --error-log-path= --pid-path= --builddir= --with-cc= --with-cpp= --with-cc-opt= --with-ld-opt=`)
)

// docs/comparison.md leaves out no option of TCPCopy, and promises none that
// tcpsandbox has not. The first cell of a table's row is what TCPCopy has.
func TestComparison(t *testing.T) {
	data, err := os.ReadFile("../docs/comparison.md")
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string][]string{"run": flagsOf(t, "run"), "record": flagsOf(t, "record"), "show": flagsOf(t, "show"), "": flagsOf(t)}
	theirs := map[string]map[string]bool{} // by section
	section := ""
	command := regexp.MustCompile(`tcpsandbox (run|record|show)\b`)
	cell := regexp.MustCompile("`(-[A-Za-z]|--[a-z-]+=?)[^`]*`")
	for line := range strings.Lines(string(data)) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = strings.TrimSpace(title)
			theirs[section] = map[string]bool{}
		}
		if row, ok := strings.CutPrefix(line, "| "); ok {
			first, ours, found := strings.Cut(row, " | ")
			if !found {
				t.Errorf("%s: a row of one cell: %s", section, line)
			}
			for _, m := range cell.FindAllStringSubmatch(first, -1) {
				theirs[section][m[1]] = true
			}
			line = ours
			for _, word := range []string{"`--set-protocol-module`"} { // another row
				line = strings.ReplaceAll(line, word, "")
			}
		}
		for _, m := range flagWord.FindAllStringSubmatch(line, -1) {
			known := slices.Concat(flags["run"], flags[""])
			if c := command.FindStringSubmatch(line); c != nil {
				known = flags[c[1]]
			}
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s: there is no --%s: %s", section, m[1], line)
			}
		}
	}
	for section, want := range map[string][]string{
		"Options of tcpcopy":                 tcpcopyOptions,
		"Options of intercept":               interceptOptions,
		"Built in, instead of at build time": configureOptions,
	} {
		for _, option := range want {
			if !theirs[section][option] {
				t.Errorf("%s lacks %s", section, option)
			}
		}
	}
}
