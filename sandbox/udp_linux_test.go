package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func FuzzParseQueue(f *testing.F) {
	msg := make([]byte, 72)
	binary.BigEndian.PutUint16(msg[4:], 53)
	msg = binary.NativeEndian.AppendUint16(msg, 5) // an attribute of one byte, padded
	msg = append(msg, 8, 0, 1, 0, 0, 0)
	msg = binary.NativeEndian.AppendUint16(msg, 12)
	msg = binary.NativeEndian.AppendUint16(msg, skMemInfo)
	msg = binary.NativeEndian.AppendUint32(msg, 832)
	msg = binary.NativeEndian.AppendUint32(msg, 212992)
	f.Add(msg)
	if port, used, most, ok := parseQueue(msg); !ok || port != 53 || used != 832 || most != 212992 {
		f.Errorf("port %d, %d of %d bytes used, %v", port, used, most, ok)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		if _, used, most, ok := parseQueue(msg); ok && (used < 0 || used >= 1<<32 || most < 0 || most >= 1<<32) {
			t.Errorf("%d of %d bytes used in %x", used, most, msg)
		}
	})
}

func TestParseSNMP(t *testing.T) {
	table := "Ip: Forwarding RcvbufErrors\nIp: 2 64\n" +
		"Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors\n" +
		"Udp: 83 1 12 95 7 9 0 0 5\n" +
		"UdpLite: InDatagrams RcvbufErrors\nUdpLite: 0 100\n"
	for _, tt := range []struct {
		table string
		want  int64
	}{
		{table, 12},
		{"", 0},
		{"Udp:\nUdp: 5\n", 0},
		{"Udp: RcvbufErrors MemErrors\nUdp: 3\n", 3},
		{"Udp: RcvbufErrors\nUdp: many\n", 0},
	} {
		if got := parseSNMP(tt.table); got != tt.want {
			t.Errorf("%q: %d, want %d", tt.table, got, tt.want)
		}
	}
	if got := parseSNMP6("Ip6InReceives 5\nUdp6RcvbufErrors \t 7\nUdp6MemErrors 2\nUdpLite6RcvbufErrors 100\nUdp6RcvbufErrors\n"); got != 9 {
		t.Errorf("IPv6: %d, want 9", got)
	}
}

// An application that does not read loses what its socket has no room for.
func TestDroppedDatagrams(t *testing.T) {
	box := newBox(t, Config{})
	if box.Rootless() {
		t.Skip("the test cannot enter a user namespace: its process has threads")
	}
	app, _ := start(t, box, AppConfig{}, "listen", "udp:127.0.0.1:53", "udp:[::1]:54")
	for _, port := range []uint16{53, 54} {
		if _, err := app.WaitListen(t.Context(), soon, UDP(port)); err != nil {
			t.Fatal(err)
		}
	}
	all := UDP(53, 54)
	empty, waiting, err := box.DatagramQueues(all)
	if err != nil || empty < 1<<16 || waiting != 0 {
		t.Fatalf("room for %d bytes, %d wait, %v", empty, waiting, err)
	}
	if _, _, err := box.DatagramQueues(UDP(55)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("room of no socket: %v", err)
	}
	if n, err := box.DroppedDatagrams(); n != 0 || err != nil {
		t.Fatalf("%d, %v before anything was sent", n, err)
	}
	before := int64(0)
	for _, to := range []string{"127.0.0.1:53", "[::1]:54"} {
		failed := make(chan error)
		onThread(func() {
			err := enterBox(box)
			if err == nil {
				var c net.Conn
				if c, err = net.Dial("udp", to); err == nil {
					defer c.Close()
					for range 100 { // 40 times what a socket has room for by default
						c.Write(make([]byte, 60000))
					}
				}
			}
			failed <- err
		})
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
		n, err := box.DroppedDatagrams()
		if err != nil {
			t.Fatal(err)
		}
		if n <= before || n >= before+100 {
			t.Errorf("%d dropped of 100 to %s, %d before", n, to, before)
		}
		before = n
		if room, waiting, err := box.DatagramQueues(all); err != nil || room > empty/2 || waiting < empty/2 {
			t.Errorf("room for %d bytes where a socket is full, %d wait, %v; there was room for %d", room, waiting, err, empty)
		}
	}
	box.Close()
	if _, err := box.DroppedDatagrams(); err == nil {
		t.Error("a closed sandbox has counters")
	}
}

// enterBox puts the calling thread into the sandbox's network namespace.
func enterBox(box *Sandbox) error {
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", box.keeper.cmd.Process.Pid))
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Setns(int(f.Fd()), unix.CLONE_NEWNET)
}
