package expr

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestProgramsOfTcpdump writes random expressions, right and wrong ones, and
// compares Match, packet by packet, with the program that tcpdump compiles.
// TCPSANDBOX_SEED and TCPSANDBOX_ROUNDS ask for others and for more.
func TestProgramsOfTcpdump(t *testing.T) {
	files := captures(t)
	files = append(derived(files), files...)
	rounds := 120
	if n, err := strconv.Atoi(os.Getenv("TCPSANDBOX_ROUNDS")); err == nil {
		rounds = n
	}
	seed, _ := strconv.ParseUint(os.Getenv("TCPSANDBOX_SEED"), 10, 64)
	w := newWriter(seed)
	empty := make(map[uint16]string)
	for _, link := range links {
		empty[link] = emptyFile(t, link)
	}
	var programs, refused, compared, changed int
	for range rounds {
		text := w.expr(3)
		if w.IntN(4) == 0 {
			text = w.noise(text)
		}
		f, err := Parse(text)
		if err != nil {
			if _, complaint := compile(empty[1], text, false); complaint == "" && !stricter(err.Error()) {
				t.Errorf("%q: %v; tcpdump takes it", text, err)
			}
			refused++
			continue
		}
		for _, link := range links {
			plain, complaint := compile(empty[link], text, false)
			complaint = strings.TrimPrefix(complaint, "tcpdump: ")
			if stricter(complaint) {
				continue // libpcap takes an index for the divisor and refuses "len / tcp[0]"
			}
			if complaint == "expression rejects all packets" {
				complaint = ""
			}
			if checked := f.Check(link); (checked != nil) != (complaint != "") {
				t.Errorf("%q on %d: %v; tcpdump: %s", text, link, checked, complaint)
				continue
			} else if checked != nil {
				continue
			}
			optimized, _ := compile(empty[link], text, true)
			programs++
			for _, c := range files {
				if c.link != link {
					continue
				}
				for i, p := range c.packets {
					got, err := f.Match(p.data, p.wire, link)
					want := plain != nil && interpret(plain, p.data, uint32(p.wire), -1)
					final := optimized != nil && interpret(optimized, p.data, uint32(p.wire), -1)
					compared++
					if want != final {
						changed++
					}
					if err != nil || got != final && got != want {
						t.Fatalf("%q: %s, link type %d, packet %d (%d of %d bytes): match %v, %v; tcpdump -O %v, without %v",
							text, c.path, link, i+1, len(p.data), p.wire, got, err, want, final)
					}
				}
			}
		}
	}
	t.Logf("%d programs agreed over %d packets; %d expressions refused; the optimizer changed %d answers",
		programs, compared, refused, changed)
}

// stricter reports a complaint about constants, where neither side's check is
// the other's.
func stricter(complaint string) bool {
	return strings.HasSuffix(complaint, " by zero") || strings.HasSuffix(complaint, "31 bits")
}
