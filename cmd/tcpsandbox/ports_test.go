package main

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tcpsandbox/capture"
	"tcpsandbox/sandbox"
)

func TestAppPorts(t *testing.T) {
	tcp, udp := func(n uint16) sandbox.Port { return sandbox.Port{Number: n} }, func(n uint16) sandbox.Port { return sandbox.Port{Number: n, UDP: true} }
	for _, tt := range []struct {
		flag     string
		captures []string
		want     []sandbox.Port
		fails    string
	}{
		{"", []string{"eth0:80,443"}, []sandbox.Port{tcp(80), tcp(443)}, ""},
		{"", []string{"eth0:53,53/udp"}, []sandbox.Port{tcp(53), udp(53)}, ""},
		{"", []string{"eth0:53/udp", "lo:53/udp"}, []sandbox.Port{udp(53)}, ""},
		{"", []string{"eth0:53/udp", "eth1"}, nil, ""},
		{"5300", []string{"eth0:53,53/udp"}, []sandbox.Port{tcp(5300), udp(5300)}, ""},
		{"8080", []string{"eth0"}, []sandbox.Port{tcp(8080)}, ""},
		{"8080", []string{"eth0:80,81"}, []sandbox.Port{tcp(8080)}, ""},
		{"53=5300", []string{"eth0:53,53/udp,54/udp"}, []sandbox.Port{tcp(5300), udp(5300), udp(54)}, ""},
		{"53/udp=5301", []string{"eth0:53,53/udp"}, []sandbox.Port{tcp(53), udp(5301)}, ""},
		{"53=5300,53/udp=5301", []string{"eth0:53,53/udp"}, []sandbox.Port{tcp(5300), udp(5301)}, ""},
		{"53/udp=5301,53/udp=5302", nil, nil, "port 53/udp goes to two places"},
		{"53=5301/udp", nil, nil, `"5301/udp" is no port`},
		{"0/udp=1", nil, nil, `"0" is no port`},
		{"53/udp", nil, nil, `"53/udp" is no port`},
	} {
		o := &runOptions{appPortFlag: tt.flag}
		err := o.parseAppPort()
		if tt.fails != "" || err != nil {
			if tt.fails == "" || err == nil || !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("%s: error %v, want %q", tt.flag, err, tt.fails)
			}
			continue
		}
		for _, c := range tt.captures {
			spec, err := capture.ParseSpec(c)
			if err != nil {
				t.Fatal(err)
			}
			o.specs = append(o.specs, spec)
		}
		if got := o.appPorts(); !slices.Equal(got, tt.want) {
			t.Errorf("--app-port %q of %v: %v, want %v", tt.flag, tt.captures, got, tt.want)
		}
	}
}

// What an application opens one after another is waited for; on [::] there is no
// other.
func TestOthers(t *testing.T) {
	for _, test := range []struct {
		ports, listening string
		lacks            string
		more             bool
	}{
		{"80", "[::]:80", "", false},
		{"80", "0.0.0.0:80", "", true},
		{"80", "10.77.0.1:80", "", true},
		{"80", "10.77.0.1:80 [::]:80", "", false},
		{"80 81", "[::]:80", "81", true},
		{"80 81", "[::]:80 [::]:81", "", false},
		{"80 81", "[::]:80 [::1]:81", "", true},
		{"", "[::]:80", "", true},
	} {
		var ports []sandbox.Port
		for _, p := range strings.Fields(test.ports) {
			n, _ := strconv.Atoi(p)
			ports = append(ports, sandbox.Port{Number: uint16(n)})
		}
		var listening []sandbox.Listener
		for _, a := range strings.Fields(test.listening) {
			listening = append(listening, sandbox.Listener{Addr: netip.MustParseAddrPort(a)})
		}
		lacks, more := others(ports, listening)
		if strings.Join(lacks, " ") != test.lacks || more != test.more {
			t.Errorf("%s of %s: lacks %q, more %v", test.listening, test.ports, lacks, more)
		}
	}
}
