package capture_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"tcpsandbox/capture"
)

func TestParseSpec(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"shop.pcap", "odd:80", "a:b.pcap"} {
		os.WriteFile(name, nil, 0o600)
	}
	for _, c := range []struct{ in, want, err string }{
		{"eth0:80,443", "eth0 [80 443]", ""},
		{"eth0:80,80", "eth0 [80]", ""},
		{"lo", "lo []", ""},
		{"any:65535", "any [65535]", ""},
		{"-", "- []", ""},
		{"-:80", "- [80]", ""},
		{"shop.pcap", "shop.pcap []", ""},
		{"shop.pcap:80", "shop.pcap [80]", ""},
		{"odd:80", "odd:80 []", ""},
		{"odd:80:81", "odd:80 [81]", ""},
		{"a:b.pcap", "a:b.pcap []", ""},
		{"", "", `capture source "": it is empty`},
		{":80", "", `capture source ":80": nothing stands before the colon`},
		{"eth0:", "", `capture source "eth0:": no port follows the colon`},
		{"eth0:0", "", `capture source "eth0:0": port 0 is not in 1-65535`},
		{"eth0:65536", "", `capture source "eth0:65536": port 65536 is not in 1-65535`},
		{"eth0:80,,81", "", `capture source "eth0:80,,81": port "" is not a number`},
		{"eth0:http", "", `capture source "eth0:http": port "http" is not a number`},
		{"c:d.pcap", "", `capture source "c:d.pcap": open c:d.pcap: file does not exist`},
	} {
		spec, err := capture.ParseSpec(c.in)
		if errorText(err) != c.err {
			t.Errorf("%q: error %q, want %q", c.in, errorText(err), c.err)
		}
		if got := fmt.Sprint(spec.Source, " ", spec.Ports); err == nil && got != c.want {
			t.Errorf("%q: %s, want %s", c.in, got, c.want)
		}
		if err != nil {
			var own *capture.SpecError
			if !errors.As(err, &own) || own.Hint() == "" {
				t.Errorf("%q: no hint", c.in)
			}
		} else if again, err := capture.ParseSpec(spec.String()); err != nil || again.Source != spec.Source {
			t.Errorf("%q: its string %q reads as %+v, %v", c.in, spec.String(), again, err)
		}
	}
}

func TestParseSpecUDP(t *testing.T) {
	for _, c := range []struct{ in, ports, text, err string }{
		{"eth0:53/udp", "[] [53]", "eth0:53/udp", ""},
		{"eth0:53/udp,80,443/tcp,53/udp", "[80 443] [53]", "eth0:80,443,53/udp", ""},
		{"shop.pcap:53/udp,53", "[53] [53]", "shop.pcap:53,53/udp", ""},
		{"eth0:0/udp", "", "", `capture source "eth0:0/udp": port 0 is not in 1-65535`},
		{"eth0:70000/udp", "", "", `capture source "eth0:70000/udp": port 70000 is not in 1-65535`},
		{"eth0:dns/udp", "", "", `capture source "eth0:dns/udp": port "dns/udp" is not a number`},
	} {
		spec, err := capture.ParseSpec(c.in)
		if errorText(err) != c.err {
			t.Errorf("%q: error %q, want %q", c.in, errorText(err), c.err)
		}
		if got := fmt.Sprint(spec.Ports, spec.UDP); err == nil && (got != c.ports || spec.String() != c.text) {
			t.Errorf("%q: %s, %s", c.in, got, spec)
		}
	}
}
