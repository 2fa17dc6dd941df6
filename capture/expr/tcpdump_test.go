package expr

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestProgramsOfTcpdump writes random expressions, right and wrong ones, and
// compares Match, packet by packet, with the program that tcpdump compiles.
func TestProgramsOfTcpdump(t *testing.T) {
	files := captures(t)
	rounds := 400
	if n, err := strconv.Atoi(os.Getenv("TCPSANDBOX_ROUNDS")); err == nil {
		rounds = n
	}
	seed, _ := strconv.ParseUint(os.Getenv("TCPSANDBOX_SEED"), 10, 64)
	w := newWriter(seed)
	empty := make(map[uint16]string)
	for _, link := range links {
		empty[link] = emptyFile(t, link)
	}
	var agreed, refused, compared, reordered, differed int
	for range rounds {
		text := w.expr(3)
		if w.IntN(4) == 0 {
			text = w.noise(text)
		}
		f, err := Parse(text)
		if err != nil {
			_, complaint := compile(empty[1], text, false)
			if complaint == "" && !strings.HasSuffix(err.Error(), "by zero") && !strings.HasSuffix(err.Error(), "31 bits") {
				t.Errorf("%q: %v; tcpdump takes it", text, err)
			}
			refused++
			continue
		}
		start := differed
		for _, link := range links {
			checked := f.Check(link)
			plain, complaint := compile(empty[link], text, false)
			if complaint == "tcpdump: expression rejects all packets" {
				complaint = ""
			}
			if strings.HasSuffix(complaint, " by zero") || strings.HasPrefix(complaint, "tcpdump: shift by") {
				// libpcap looks at the first constant in the right operand,
				// even if it is an index, and refuses "len / tcp[0]".
				continue
			}
			if (checked != nil) != (complaint != "") {
				t.Errorf("%q on %d: %v; tcpdump: %s", text, link, checked, complaint)
				continue
			}
			optimized, _ := compile(empty[link], text, true)
			if checked != nil {
				continue
			}
			for _, c := range files {
				if c.link != link {
					continue
				}
				for i, p := range c.packets {
					got, err := f.Match(p.data, p.wire, link)
					want := plain != nil && interpret(plain, p.data, uint32(p.wire))
					final := optimized != nil && interpret(optimized, p.data, uint32(p.wire))
					compared++
					if want != final {
						reordered++
					}
					if got != final {
						if differed == start { t.Logf("%q: %s packet %d (%d of %d bytes): match %v, optimized %v", text, c.path, i+1, len(p.data), p.wire, got, final)}
						differed++
					}
					if err != nil || got != final && got != want {
						t.Fatalf("%q: %s packet %d (%d of %d bytes): match %v, %v; tcpdump %v, optimized %v",
							text, c.path, i+1, len(p.data), p.wire, got, err, want, final)
					}
				}
			}
			agreed++
		}
	}
	t.Logf("%d programs agreed over %d packets, %d expressions refused by both; "+
		"libpcap's optimizer changed %d answers, %d differ from what it made of them",
		agreed, compared, refused, reordered, differed)
}
