package expr

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// Packets, from the inside out.

func transportHeader(src, dst uint16) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b, src)
	binary.BigEndian.PutUint16(b[2:], dst)
	b[12], b[13] = 5<<4, 0x02
	return b
}

func ipv4(protocol byte, payload []byte) []byte {
	b := make([]byte, 20, 20+len(payload))
	b[0], b[8], b[9] = 0x45, 64, protocol
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	copy(b[12:], []byte{10, 0, 0, 1, 192, 168, 0, 2})
	return append(b, payload...)
}

func ipv6(next byte, payload []byte) []byte {
	b := make([]byte, 40, 40+len(payload))
	b[0], b[6] = 0x60, next
	src, dst := netip.MustParseAddr("2001:db8::1").As16(), netip.MustParseAddr("fe80::2").As16()
	copy(b[8:], src[:])
	copy(b[24:], dst[:])
	return append(b, payload...)
}

func frame(kind uint16, payload []byte, tags ...uint16) []byte {
	b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}
	for _, tag := range tags {
		b = append(b, 0x81, 0x00, byte(tag>>8), byte(tag))
	}
	b = binary.BigEndian.AppendUint16(b, kind)
	return append(b, payload...)
}

// under puts a link-layer header before an IP packet.
func under(link uint16, ip []byte) []byte {
	kind, bsd := uint16(etherIP), byte(2)
	if ip[0]>>4 == 6 {
		kind, bsd = etherIP6, 30
	}
	var b []byte
	switch layoutOf(link).form {
	case ethernet:
		return frame(kind, ip)
	case cooked:
		b = binary.BigEndian.AppendUint16(make([]byte, 14), kind)
	case cooked2:
		b = make([]byte, 20)
		binary.BigEndian.PutUint16(b, kind)
	case family:
		b = []byte{bsd, 0, 0, 0}
	case familyBig:
		b = []byte{0, 0, 0, bsd}
	}
	return append(b, ip...)
}

func fragment(ip []byte) []byte {
	ip[6], ip[7] = 0x00, 0x10
	return ip
}

func TestMatch(t *testing.T) {
	tcp4 := frame(etherIP, ipv4(6, transportHeader(1234, 80)))
	udp6 := frame(etherIP6, ipv6(17, transportHeader(53, 5353)))
	tagged := frame(etherIP, ipv4(6, transportHeader(1234, 80)), 0x2005)
	twice := frame(etherIP, ipv4(6, transportHeader(1234, 80)), 5, 6)
	arp := frame(etherARP, append(make([]byte, 14), 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 9))
	for _, c := range []struct {
		name string
		data []byte
		yes  []string
		no   []string
	}{
		{"TCP over IPv4", tcp4,
			[]string{"", "ip", "tcp", "port 80", "port http", "dst port 80", "src 10.0.0.1", "net 10", "net 192.168.0.0/16",
				"host 10.0.0.1 and 192.168.0.2", "src host 10.0.0.1 and dst host 192.168.0.2", "tcp port 443 or 80", "tcp port (443 or 80)",
				"not port 443", "tcp[13] & 2 != 0", "tcp[2:2] = 80", "ip[8] = 64", "len = 54", "greater 54", "less 54", "portrange 70-90",
				"ether host 02:00:00:00:00:01", "ether[12:2] = 0x800", "port 9 or (host 10.0.0.1) and 80",
				"udp or tcp and src port 1234", "not vlan and len > 3", "vlan or len > 3", "len ^ 1 + 2 = 53"},
			[]string{"ip6", "udp", "port 81", "src port 80", "udp port 80", "host 10.0.0.2", "net 11", "not tcp", "arp", "vlan", "icmp",
				"not (host 10.0.0.1)", "src and dst port 80", "len > 54", "port domain", "tcp[100] = 0", "not tcp[100] = 0",
				"not vlan and ip", "vlan or ip"}},
		{"UDP over IPv6", udp6,
			[]string{"ip6", "udp", "port 53", "port domain", "port mdns", "net fe80::/10", "src host 2001:db8::1", "ip6[6] = 17", "ip6 proto 17", `proto \udp`},
			[]string{"ip", "tcp port 53", "host 10.0.0.1", "net 2001:db8::/127 and net ::/128", "udp[0:2] = 53", "dst net 2001:db8::/32"}},
		{"a later fragment", frame(etherIP, fragment(ipv4(6, transportHeader(1234, 80)))),
			[]string{"tcp", "ip", "not port 80"},
			[]string{"port 80", "tcp[13] != 0"}},
		{"one VLAN tag", tagged,
			[]string{"vlan", "vlan 5", "vlan and tcp", "vlan 5 and tcp port 80 and host 10.0.0.1", "not ip and vlan and ip",
				"vlan 6 or port 80", "len = 58"},
			[]string{"tcp", "port 80", "vlan 6", "vlan and vlan", "port 80 and vlan", "host 10.0.0.1", "vlan and not port 80"}},
		{"two VLAN tags", twice,
			[]string{"vlan", "vlan 5 and vlan 6", "vlan and vlan and port 80", "vlan and (vlan and tcp)"},
			[]string{"vlan 6", "vlan and tcp", "vlan and vlan and vlan"}},
		{"ARP", arp,
			[]string{"arp", "host 10.0.0.1", "arp host 10.0.0.9", "dst 10.0.0.9", "net 10", "not ip"},
			[]string{"ip host 10.0.0.1", "rarp", "tcp", "src 10.0.0.9", "not arp[100] = 1"}},
		{"nothing", nil, []string{"", "len = 0"}, []string{"ip", "not ip", "vlan or len = 0"}},
	} {
		for i, list := range [][]string{c.yes, c.no} {
			for _, text := range list {
				f, err := Parse(text)
				if err != nil {
					t.Errorf("%q: %v", text, err)
					continue
				}
				if got, err := f.Match(c.data, len(c.data), 1); err != nil || got != (i == 0) {
					t.Errorf("%s: %q: %v, %v", c.name, text, got, err)
				}
			}
		}
	}
}

// TestLinkTypes asks the same of the same packet under every link header.
func TestLinkTypes(t *testing.T) {
	f, err := Parse("tcp dst port 80 and (src host 10.0.0.1 or ip6 host fe80::2) and tcp or ip6")
	if err != nil {
		t.Fatal(err)
	}
	for _, where := range linkTypes {
		link := where.link
		for version, ip := range map[int][]byte{4: ipv4(6, transportHeader(1, 80)), 6: ipv6(6, transportHeader(1, 80))} {
			// On 229 every packet counts as IPv6, and this one passes the last "or ip6".
			want := where.form != alwaysIP || version == 4
			data := under(link, ip)
			if got, err := f.Match(data, len(data), link); err != nil || got != want {
				t.Errorf("link type %d, IPv%d: %v, %v", link, version, got, err)
			}
		}
	}
	null, _ := Parse("ip and tcp")
	if ok, _ := null.Match(append([]byte{0, 0, 0, 2}, ipv4(6, nil)...), 24, 0); !ok {
		t.Error("the null header of a machine of the other byte order is not understood")
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		text   string
		link   uint16
		offset int
	}{
		{"tcp and vlan 5", 113, 8},
		{"ip or ether host 1:2:3:4:5:6", 101, 17},
		{"multicast", 0, 0},
		{"tcp", 147, -1},
	} {
		f, err := Parse(c.text)
		if err != nil {
			t.Fatal(err)
		}
		var e *LinkError
		if err := f.Check(c.link); !errors.As(err, &e) || e.Offset != c.offset || e.Hint() == "" {
			t.Errorf("%q on %d: %v", c.text, c.link, err)
		}
		if ok, err := f.Match(nil, 0, c.link); ok || err == nil {
			t.Errorf("%q on %d: Match %v, %v", c.text, c.link, ok, err)
		}
	}
}

func TestMatchIP(t *testing.T) {
	ip := ipv4(6, transportHeader(1234, 80))
	for text, want := range map[string]bool{
		"": true, "tcp port 80": true, "ip": true, "ip6": false, "len = 40": true, "host 10.0.0.1": true,
		"vlan": false, "not vlan": true, "vlan and tcp": false, "vlan or tcp": true, "ether[0] = 0x45": false,
		"not ether[0] = 0x45": true, "ether host 1:2:3:4:5:6 or tcp": true, "broadcast": false, "arp": false,
	} {
		f, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.MatchIP(ip, len(ip)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestString gives the full form of abbreviations.
func TestString(t *testing.T) {
	for text, want := range map[string]string{
		"  ":                            "",
		"tcp port 80 or 443":            "tcp port 80 or tcp port 443",
		"port http or https or 22":      "tcp port 80 or port 443 or port 22",
		"host (10.0.0.1 or ::1)":        "host 10.0.0.1 or host ::1",
		"!tcp && (udp||icmp)":           "not tcp and (udp or icmp)",
		"a":                             "", // an error
		"src or dst net 10.1":           "net 10.1.0.0 mask 255.255.0.0",
		"dst and src host 1":            "src and dst host 0.0.0.1",
		"ip proto \\tcp":                "ip proto 6",
		"ether src 1-2-3-4-5-6":         "ether src host 01:02:03:04:05:06",
		"multicast":                     "ether multicast",
		"tcp[tcpflags]&tcp-syn!=0":      "(tcp[13] & 2) != 0",
		"ip[2:2]-4*2<<1>len":            "((ip[2:2] - (4 * 2)) << 1) > len",
		"len ^ 1 + 2 % 3 = - len":       "(len ^ (1 + (2 % 3))) = (- len)",
		"less 10 or portrange 9-5":      "len <= 10 or portrange 5-9",
		"portrange 0x50 or ftp-http":    "portrange 80-80 or tcp portrange 21-80",
		"not (port 1 or 2)":             "not (port 1 or port 2)",
		"vlan 010":                      "vlan 8",
		"port 1 or (host 1.2.3.4) or 2": "port 1 or host 1.2.3.4 or port 2",
		"net ff02::/16 and not ::/0":    "net ff02::/16 and not net ::/0",
	} {
		f, err := Parse(text)
		if err != nil {
			if want != "" {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if got := f.String(); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestErrors gives the place of what is wrong or not supported.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		text   string
		offset int
		says   string
	}{
		{"tcp and", 7, "expected"},
		{"tcp udp", 4, "expected and, or"},
		{"1.2.3.4", 0, "Write the word before it"},
		{"tcp or 80", 7, "Nothing before it says so"},
		{"host example.com", 5, "names are not looked up"},
		{"port nosuch", 5, "not known"},
		{"udp port http", 9, "not one of udp"},
		{"port 70000", 5, "at most 65535"},
		{"portrange 010-90", 10, "decimal"},
		{"portrange http", 10, "dash"},
		{"portrange 1-70000", 10, "at most 65535"},
		{"ip port 80", 8, "does not go with a port"},
		{"tcp host 1.2.3.4", 9, "does not go with an address"},
		{"host 10.0.0.0/8", 5, "needs \"net\""},
		{"net 10.1.0.0/8", 4, "bits set"},
		{"net 10.0.0.0/33", 13, "0 to 32"},
		{"host 1.2.3.300", 5, "not an IPv4 address"},
		{"ip host ::1", 8, "does not go"},
		{"ether host 1.2.3.4", 11, "Ethernet address"},
		{"tcp and gateway gw", 8, "\"gateway\" is not supported"},
		{"tcp and inbound", 8, "\"inbound\" is not supported"},
		{"mpls 5", 0, "\"mpls\" is not supported"},
		{"pppoes and tcp", 0, "\"pppoes\" is not supported"},
		{"ip protochain 6", 3, "\"protochain\" is not supported"},
		{"ip broadcast", 3, "netmask"},
		{"vlan 4096", 5, "at most 4095"},
		{"proto http", 6, "not known"},
		{"ip6 proto tcp", 10, "expected"},
		{"tcp[0:3] = 1", 6, "1, 2 or 4"},
		{"ah[0] = 1", 0, "fields"},
		{"tcp[-1] = 1", 4, "before the header"},
		{"len / (1 - 1) = 1", 6, "division by zero"},
		{"len << 32 = 1", 7, "31 bits"},
		{"len > ", 6, "expected"},
		{"(tcp", 4, "\")\""},
		{"tcp)", 3, "expected"},
		{"port 080", 5, "octal"},
		{"len > 4294967296", 6, "2^32"},
		{"tcp # comment", 4, "no meaning"},
		{"host ((1.2.3.4 or 1.2.3.5))", 6, "group"},
		{"ether proto 0x809b", 12, "AppleTalk"},
		{strings.Repeat("(", 5000), 1000, "deep"},
	} {
		_, err := Parse(c.text)
		var e *SyntaxError
		if !errors.As(err, &e) {
			t.Errorf("%.40q: %v", c.text, err)
			continue
		}
		if e.Offset != c.offset || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.40q: offset %d, %v; want offset %d, %q", c.text, e.Offset, err, c.offset, c.says)
		}
		lines := strings.Split(e.Hint(), "\n")
		if len(lines) != 2 || !strings.HasSuffix(lines[1], "^") {
			t.Errorf("%.40q: hint %q", c.text, e.Hint())
		}
	}
}
