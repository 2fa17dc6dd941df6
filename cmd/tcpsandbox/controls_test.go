package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"tcpsandbox/capture"
)

// parse gives flags to the run command and returns what became of them.
func parse(t *testing.T, source string, args ...string) (*controls, error) {
	t.Helper()
	c := &controls{}
	cmd := &cobra.Command{Use: "run"}
	c.flags(cmd.Flags())
	if err := cmd.Flags().Parse(args); err != nil {
		return nil, err
	}
	return c, c.complete([]capture.Spec{{Source: source}})
}

func TestControls(t *testing.T) {
	const file = "shop.pcapng"
	for _, args := range [][]string{
		{"--sample", "0.1%"}, {"--sample", "50"}, {"--sample", "100%"}, {"--ramp", "1m"}, {"--multiply", "1000"},
		{"--client-ip", "10.9.0.0/16"}, {"--client-ip", "10.9.0.0/16,2001:db8::/64"}, {"--client-ip", "fd00::/8"}, {"--client-ip", "10.9.0.1/32"},
		{"--client-ip", "10.9.0.0/29", "--multiply", "6"}, {"--skip-idle", "1s"}, {"--repeat", "10"}, {"--wait", "none"}, {"--on-early-close", "stop"},
		{"--idle-timeout", "1h"}, {"--max-memory", "64M"}, {"--speed", "0.5"}, {"--only-complete"},
	} {
		if _, err := parse(t, file, args...); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
	for _, tt := range []struct {
		source string
		args   []string
		want   string // in the error, beside the flag's name
	}{
		{file, []string{"--sample", "0"}, "percentage"},
		{file, []string{"--sample", "-5%"}, "percentage"},
		{file, []string{"--sample", "101%"}, "percentage"},
		{file, []string{"--sample", "nan"}, "percentage"},
		{file, []string{"--sample", "half"}, "percentage"},
		{file, []string{"--ramp", "-1s"}, "negative"},
		{file, []string{"--ramp", "soon"}, "invalid duration"},
		{file, []string{"--multiply", "0"}, "between 1 and 1000"},
		{file, []string{"--multiply", "1001"}, "between 1 and 1000"},
		{file, []string{"--client-ip", "10.9.0.0"}, "not a CIDR"},
		{file, []string{"--client-ip", "10.9.0.0/33"}, "not a CIDR"},
		{file, []string{"--client-ip", "::ffff:10.9.0.0/112"}, "as IPv4"},
		{file, []string{"--client-ip", "127.0.0.0/16"}, "no client can have"},
		{file, []string{"--client-ip", "64.0.0.0/2"}, "no client can have"},
		{file, []string{"--client-ip", "0.0.0.0/0"}, "no client can have"},
		{file, []string{"--client-ip", "0.1.0.0/16"}, "no client can have"},
		{file, []string{"--client-ip", "224.0.1.0/24"}, "no client can have"},
		{file, []string{"--client-ip", "240.0.0.0/8"}, "no client can have"},
		{file, []string{"--client-ip", "::/0"}, "no client can have"},
		{file, []string{"--client-ip", "ff02::/16"}, "no client can have"},
		{file, []string{"--client-ip", "10.9.0.0/29", "--multiply", "7"}, "6 addresses are too few for 7"},
		{file, []string{"--client-ip", "10.9.0.0/16,10.8.0.0/16"}, "one range of each family"},
		{file, []string{"--skip-idle", "-1s"}, "at least 1ms"},
		{file, []string{"--skip-idle", "1us"}, "at least 1ms"},
		{"eth0", []string{"--skip-idle", "1s"}, "only files"},
		{file, []string{"--repeat", "0"}, "between 1 and"},
		{"eth0", []string{"--repeat", "2"}, "eth0 can be played only once"},
		{"-", []string{"--repeat", "2"}, "- can be played only once"},
		{file, []string{"--wait", "all"}, `answers or none, not "all"`},
		{file, []string{"--on-early-close", "retry"}, `reconnect or stop, not "retry"`},
		{file, []string{"--idle-timeout", "0"}, "at least 1s"},
		{file, []string{"--max-memory", "lots"}, "not a size"},
		{file, []string{"--max-memory", "-1G"}, "not a size"},
		{file, []string{"--max-memory", "1X"}, "not a size"},
		{file, []string{"--max-memory", "0x1p9M"}, "not a size"},
		{file, []string{"--max-memory", "infinity"}, "not a size"},
		{file, []string{"--max-memory", "1M"}, "at least 64M"},
		{"eth0", []string{"--max-memory", "127M"}, "at least 128M"},
		{file, []string{"--speed", "0"}, "more than 0"},
		{file, []string{"--speed", "NaN"}, "more than 0"},
		{file, []string{"--speed", "-1"}, "more than 0"},
		{file, []string{"--tunnels", "yes"}, `auto, on or off, not "yes"`},
	} {
		_, err := parse(t, tt.source, tt.args...)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.args[0]) {
			t.Errorf("%s, %q: %v, want something about %q", tt.source, tt.args, err, tt.want)
		}
	}
}

func TestControlsDefaults(t *testing.T) {
	c, err := parse(t, "eth0")
	if err != nil {
		t.Fatal(err)
	}
	if c.sample != 1 || c.multiply != 1 || c.repeat != 1 || c.speed != 1 || c.clients != nil || c.idleTimeout != 10*time.Minute {
		t.Errorf("%+v", c)
	}
	if c.memory < c.minMemory() || c.heldLimit() <= 0 || c.heldLimit() >= c.memory || c.bufferLimit() <= 0 {
		t.Errorf("memory %d of %d, held %d, buffered %d", c.memory, machineMemory(), c.heldLimit(), c.bufferLimit())
	}
	c, err = parse(t, "a.pcap", "--sample", "12.5%", "--client-ip", "10.9.1.7/16", "--client-ip", "2001:db8::/64", "--max-memory", "1.5GiB")
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16"), netip.MustParsePrefix("2001:db8::/64")}
	if c.sample != 0.125 || !slices.Equal(c.clients, want) || c.memory != 3<<29 {
		t.Errorf("%+v", c)
	}
}

// A baseline's engine and the application's share what there is.
func TestControlsWithBaseline(t *testing.T) {
	one := budget{memory: 1 << 30, live: 1}
	two := one
	two.twice = true
	if both := 2 * two.heldLimit(); both > one.heldLimit() || both < one.heldLimit()-baselineMemory {
		t.Errorf("two engines may hold %d bytes each, one %d", two.heldLimit(), one.heldLimit())
	}
	if two.minMemory() != one.minMemory()+baselineMemory {
		t.Errorf("at least %d bytes, without a baseline %d", two.minMemory(), one.minMemory())
	}
}

func TestTunnels(t *testing.T) {
	for _, tt := range []struct {
		flag, source string
		want         bool
	}{
		{"auto", "eth0", true}, {"auto", "shop.pcap", true}, {"auto", "-", true}, {"auto", "any", false},
		{"on", "any", true}, {"off", "eth0", false}, {"off", "shop.pcap", false},
	} {
		c, err := parse(t, tt.source, "--tunnels", tt.flag)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.intoTunnels(capture.Spec{Source: tt.source}); got != tt.want {
			t.Errorf("--tunnels %s, %s: %v", tt.flag, tt.source, got)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "1000": 1000, "2k": 2 << 10, "512M": 512 << 20, "512MB": 512 << 20, "512MiB": 512 << 20, "2g": 2 << 30, "1.5G": 3 << 29, "1T": 1 << 40,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "M", "B", "iB", "KB", "1MM", "1e400", "1 M", "0", "-1", "1_000", "99999999T"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}
