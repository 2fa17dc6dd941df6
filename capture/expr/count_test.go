package expr

import (
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// expressions are what people write, and what the corpus can tell apart.
var expressions = []string{
	"",
	"ip", "ip6", "arp", "tcp", "udp", "icmp", "icmp6", "sctp", "igmp", "not ip", "!tcp",
	"port 80", "tcp port 80", "udp port 53", "port http", "port domain", "src port 443", "dst port 443",
	"src or dst port 3306", "src and dst port 53", "tcp port 80 or 443 or 8080", "port (25 or 110 or 143)",
	"port 80 and not host 10.0.0.1", "not port 80", "tcp and not port (80 or 443)",
	"portrange 1-1023", "tcp portrange 5000-7000", "src portrange 32768-65535", "tcp dst portrange 90-80",
	"host 127.0.0.1", "src host 10.0.0.1 or dst host 10.0.0.1", "dst 192.168.1.1", "src net 192.168", "net 10", "net 10.0.0.0/8",
	"net 172.16.0.0 mask 255.240.0.0", "net 0.0.0.0/0", "not net 127", "src and dst net 10", "host 10.1", "ip host 127.0.0.1",
	"arp host 10.0.0.1", "host ::1", "net fe80::/10", "ip6 net 2001::/16", "src net ::/0", "ip6 and tcp port 80",
	"ip proto 6", `ip proto \udp`, "proto 17", "ip6 proto 58", "ip proto 47 or ip proto 4", `ether proto \arp`, "ether proto 0x86dd",
	"ip multicast", "ip6 multicast",
	"less 100", "greater 1000", "len > 1500", "len >= 60 and len <= 100", "len = 66", "len - 40 > 10 * 20",
	"tcp[13] & 2 != 0", "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "tcp[tcpflags] == tcp-syn", "tcp[13] = 0x12",
	"tcp[0:2] = 80", "ip[0] & 0xf != 5", "ip[8] < 64", "ip[2:2] > 576", "ip[6:2] & 0x1fff != 0", "ip[6] & 0x20 != 0",
	"tcp port 80 and ((ip[2:2] - ((ip[0] & 0xf) << 2)) - ((tcp[12] & 0xf0) >> 2)) != 0",
	"tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420", "udp[10] & 0x80 != 0", "icmp[icmptype] = icmp-echo",
	"icmp[icmptype] = icmp-unreach or icmp6[icmp6type] = icmp6-neighborsolicit", "ip6[6] = 44", "ether[0] & 1 = 0",
	"ip[0:4] & 0xffffffff != 0", "len % 2 = 1", "- len = 0 - 66", "-ip[8] + 64 = 0",
	"tcp or udp and len > 100", "tcp and (port 80 or port 443) and not net 10.0.0.0/8", "not (tcp or udp)", "not not tcp",
	"vlan", "vlan and tcp", "tcp or vlan and tcp", "not vlan and port 80", "vlan 1 or vlan 100", "vlan and vlan", "vlan or vlan and ip",
	"(vlan or tcp) and port 80", "vlan 10 and host 10.0.0.1",
	"ether multicast", "broadcast", "multicast and not broadcast", "ether host ff:ff:ff:ff:ff:ff", "ether src 00:00:00:00:00:00",
}

// TestCountsOfTcpdump asks both of every file of the corpus how many packets
// match, for every expression.
func TestCountsOfTcpdump(t *testing.T) {
	files := captures(t)
	var group sync.WaitGroup
	work := make(chan string)
	var mu sync.Mutex
	var runs, packets, matches, refused int
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for text := range work {
				f, err := Parse(text)
				if err != nil {
					t.Errorf("%q: %v", text, err)
					continue
				}
				for _, c := range files {
					got := 0
					for _, p := range c.packets {
						if ok, _ := f.Match(p.data, p.wire, c.link); ok {
							got++
						}
					}
					want, complaint := tcpdumpCount(c.path, text)
					if got != want {
						t.Errorf("%q, %s: %d packets, tcpdump %d: %s", text, c.path, got, want, complaint)
					}
					if needs := strings.Contains(complaint, "no VLAN support") || strings.Contains(complaint, "supported only on ethernet") ||
						strings.Contains(complaint, "not a broadcast link"); needs != (f.Check(c.link) != nil) {
						t.Errorf("%q, %s: %v, tcpdump: %s", text, c.path, f.Check(c.link), complaint)
					} else if needs {
						mu.Lock()
						refused++
						mu.Unlock()
					}
					mu.Lock()
					runs++
					packets += len(c.packets)
					matches += got
					mu.Unlock()
				}
			}
		})
	}
	for _, text := range expressions {
		work <- text
	}
	close(work)
	group.Wait()
	version, _ := exec.Command("tcpdump", "--version").CombinedOutput()
	line, _, _ := strings.Cut(string(version), "\n")
	t.Logf("%d expressions x %d files = %d runs of %s: %d packets asked, %d matched; both refused %d",
		len(expressions), len(files), runs, line, packets, matches, refused)
}
