package sandbox

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hex32 is how the kernel prints an address: each 32 bits as a number in the
// machine's byte order.
func hex32(ip string) string {
	raw := netip.MustParseAddr(ip).AsSlice()
	text := ""
	for i := 0; i < len(raw); i += 4 {
		n := binary.BigEndian.AppendUint32(nil, binary.NativeEndian.Uint32(raw[i:]))
		for _, b := range n {
			text += string("0123456789ABCDEF"[b>>4]) + string("0123456789ABCDEF"[b&15])
		}
	}
	return text
}

func TestParseListening(t *testing.T) {
	table := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n" +
		"   0: " + hex32("0.0.0.0") + ":0050 00000000:0000 0A 00000000:00000000\n" +
		"   1: " + hex32("198.51.100.7") + ":1F90 00000000:0000 0A 00000000:00000000\n" +
		"   2: " + hex32("10.0.0.1") + ":0016 0100007F:0000 01 00000000:00000000\n" +
		"   3: " + hex32("2001:db8::7") + ":01BB 0:0000 0A 0\n" +
		"   4: junk 0 0A\n   5: 00:00 0 0A 0\n   6: 0000000:50 0 0A 0\n   7: 00000000:99999 0 0A 0\n"
	got, err := parseListening(strings.NewReader(table), stateListen)
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.AddrPort{
		netip.MustParseAddrPort("0.0.0.0:80"), netip.MustParseAddrPort("198.51.100.7:8080"), netip.MustParseAddrPort("[2001:db8::7]:443"),
	}
	if !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
	table = "   0: " + hex32("0.0.0.0") + ":0035 00000000:0000 07 0\n   1: " + hex32("0.0.0.0") + ":0036 00000000:0000 01 0\n"
	got, err = parseListening(strings.NewReader(table), stateClose)
	if want := netip.MustParseAddrPort("0.0.0.0:53"); err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("of UDP found %v, %v, want %v", got, err, want)
	}
}

// TestListeningAgree compares what the kernel answers with what /proc shows.
func TestListeningAgree(t *testing.T) {
	box := newBox(t, Config{})
	app, out := start(t, box, AppConfig{}, "listen", "127.0.0.1:81", "0.0.0.0:82", "[::]:83", "[::1]:84",
		"udp:127.0.0.1:81", "udp:0.0.0.0:85", "udp:[::]:86", "udp:[::1]:87")
	out.want(t, "stdout: listening")
	for _, kind := range transports {
		asked, err := box.askListening(kind)
		if err != nil {
			t.Fatal(err)
		}
		read, err := readListening(app.init, kind)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(asked, netip.AddrPort.Compare)
		slices.SortFunc(read, netip.AddrPort.Compare)
		if !slices.Equal(asked, read) || len(asked) != 4 {
			t.Errorf("of %s the kernel answers %v, /proc shows %v", kind.tables[0], asked, read)
		}
	}
}

func FuzzParseListening(f *testing.F) {
	f.Add([]byte("   0: 0100007F:0050 00000000:0000 0A 0\n"))
	f.Add([]byte("0: 00000000000000000000000000000000:0050 0 0A"))
	f.Fuzz(func(t *testing.T, table []byte) {
		found, _ := parseListening(bytes.NewReader(table), stateListen)
		for _, addr := range found {
			if !addr.IsValid() {
				t.Errorf("invalid address from %q", table)
			}
		}
	})
}

func FuzzParseDiag(f *testing.F) {
	f.Add([]byte{unix.AF_INET, stateListen, 0, 0, 0, 80, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, msg []byte) {
		if addr, ok := parseDiag(msg, stateListen); ok && !addr.IsValid() {
			t.Errorf("invalid address from %x", msg)
		}
	})
}

// FuzzOutput: the lines are the input cut at newlines, and never longer than
// the limit.
func FuzzOutput(f *testing.F) {
	f.Add([]byte("one\ntwo\r\n\nthree"), 0)
	f.Add([]byte("x\n"), lineLimit-1)
	f.Add([]byte("\n\n"), lineLimit)
	f.Fuzz(func(t *testing.T, tail []byte, pad int) {
		input := append(bytes.Repeat([]byte("x"), max(0, pad%(3*lineLimit))), tail...)
		var got []byte
		o := output{each: func(_ Stream, line []byte) {
			if len(line) > lineLimit {
				t.Errorf("a line of %d bytes", len(line))
			}
			got = append(got, line...)
		}}
		o.read(Stdout, bytes.NewReader(input))
		flat := func(b []byte) []byte {
			return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\n"), nil), []byte("\r"), nil)
		}
		if !bytes.Equal(flat(got), flat(input)) {
			t.Errorf("%q became %q", input, got)
		}
		if len(o.last()) > keptLines {
			t.Errorf("kept %d lines", len(o.last()))
		}
	})
}

func TestReplayable(t *testing.T) {
	for _, test := range []struct {
		client, server string
		want           bool
	}{
		{"203.0.113.5", "198.51.100.7", true},
		{"127.0.0.1", "127.0.0.1", true},
		{"::ffff:203.0.113.5", "198.51.100.7", true},
		{"2001:db8::5", "2001:db8::7", true},
		{"fe80::5", "fe80::7", true},
		{"::1", "::1", false},
		{"2001:db8::5", "198.51.100.7", false},
		{"0.1.2.3", "198.51.100.7", false},
		{"224.0.0.1", "198.51.100.7", false},
		{"198.51.100.7", "255.255.255.255", false},
		{"ff02::1", "2001:db8::7", false},
		{"::", "2001:db8::7", false},
	} {
		if got := Replayable(netip.MustParseAddr(test.client), netip.MustParseAddr(test.server)); got != test.want {
			t.Errorf("Replayable(%s, %s) is %v", test.client, test.server, got)
		}
	}
	if Replayable(netip.Addr{}, netip.Addr{}) {
		t.Error("no address is replayable")
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct {
		err        error
		text, hint string
	}{
		{
			&NotListeningError{Command: "./a", Wanted: TCP(80, 443), Waited: time.Second, Listening: []Listener{
				{Addr: netip.MustParseAddrPort("0.0.0.0:9090")}, {Addr: netip.MustParseAddrPort("[::]:8080")}, {Addr: netip.MustParseAddrPort("0.0.0.0:8080")},
				{Addr: netip.MustParseAddrPort("0.0.0.0:39999"), UDP: true}, // of no interest here
			}},
			"wait for ./a to listen on port 80, 443: not after 1s, it listens on port 8080, 9090; it wrote nothing",
			"it listens on port 8080, 9090: --app-port 8080",
		},
		{
			&NotListeningError{Command: "./a", Wanted: UDP(53), Waited: time.Second, Listening: []Listener{
				{Addr: netip.MustParseAddrPort("0.0.0.0:80")}, {Addr: netip.MustParseAddrPort("[::]:5353"), UDP: true},
			}},
			"wait for ./a to listen on port 53/udp: not after 1s, it listens on port 5353/udp; it wrote nothing",
			"it listens on port 5353/udp: --app-port 5353",
		},
		{
			&NotListeningError{Command: "./a", Wanted: UDP(53), Waited: time.Second, Listening: []Listener{{Addr: netip.MustParseAddrPort("0.0.0.0:53")}}},
			"wait for ./a to listen on port 53/udp: not after 1s, it listens on none; it wrote nothing",
			"it opened no UDP port: give it more time with --listen-timeout, or check its own log",
		},
		{
			&NotListeningError{Command: "./a", Wanted: append(TCP(53), UDP(53)...), Waited: time.Second, Listening: []Listener{
				{Addr: netip.MustParseAddrPort("[::]:54"), UDP: true}, {Addr: netip.MustParseAddrPort("[::]:55")},
			}},
			"wait for ./a to listen on port 53, 53/udp: not after 1s, it listens on port 55, 54/udp; it wrote nothing",
			"it listens on port 55, 54/udp: --app-port 55",
		},
		{
			&ExitedError{Command: "./a", Status: ExitStatus{Code: -1, Signal: "SIGSEGV"}, Lines: []string{"one", "two"}},
			"wait for ./a to listen: it ended first: SIGSEGV; its last output:\n\tone\n\ttwo", "",
		},
		{
			&ExitedError{Command: "nginx", Status: ExitStatus{LeftBehind: true}},
			"wait for nginx to listen: it ended first: exit code 0; it wrote nothing",
			"it went to the background: start it in the foreground (nginx: -g 'daemon off;', many others: -f or --foreground)",
		},
		{
			tunRefused(unix.ENOENT), "open /dev/net/tun: no such file or directory",
			"sudo modprobe tun\nsudo mkdir -p /dev/net && sudo mknod -m 666 /dev/net/tun c 10 200\ndocker run --device /dev/net/tun …    # in a container",
		},
		{tunRefused(unix.ENODEV), "open /dev/net/tun: no such device", "sudo modprobe tun"},
		{tunRefused(unix.ENXIO), "open /dev/net/tun: no such device or address", "sudo modprobe tun"},
	} {
		if got := test.err.Error(); got != test.text {
			t.Errorf("error %q, want %q", got, test.text)
		}
		var hinted interface{ Hint() string }
		if !errors.As(test.err, &hinted) || hinted.Hint() != test.hint {
			t.Errorf("hint of %v is %q, want %q", test.err, hinted.Hint(), test.hint)
		}
	}
}

func TestShellQuote(t *testing.T) {
	for word, want := range map[string]string{
		"eth0:80": "eth0:80", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "--x=y": "--x=y", "a;b": "'a;b'",
	} {
		if got := shellQuote(word); got != want {
			t.Errorf("shellQuote(%q) is %s, want %s", word, got, want)
		}
	}
}

func TestText(t *testing.T) {
	want := launch{Path: "/a\xff", Args: []text{"\x80", "ü"}, Env: []text{"K=\xfe"}}
	wire, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got launch
	if err := json.Unmarshal(wire, &got); err != nil {
		t.Fatal(err)
	}
	if got.Path != want.Path || !slices.Equal(got.Args, want.Args) || !slices.Equal(got.Env, want.Env) {
		t.Errorf("%+v came as %+v", want, got)
	}
}

func TestEnviron(t *testing.T) {
	env := environ([]string{"SANDBOX_A=1", "HOME=/", "SANDBOX_A=2", "SANDBOX_B=x=y", "SANDBOX_A=3"})
	if got := variable(env, "SANDBOX_A"); got != "3" {
		t.Errorf("SANDBOX_A is %q", got)
	}
	if got := variable(env, "SANDBOX_B"); got != "x=y" {
		t.Errorf("SANDBOX_B is %q", got)
	}
	if n := len(env); n != 3 {
		t.Errorf("%d variables: %q", n, env)
	}
}
