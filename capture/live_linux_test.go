package capture_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/session"
)

// collect runs src until a session has ended, and returns all sessions.
func collect(t *testing.T, src capture.Source, ports []uint16, until int) []*session.Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	asm := capture.NewAssembler(capture.AssemblerConfig{Ports: ports})
	known := make(map[*session.Session]bool)
	var all []*session.Session
	ended := 0
	err := src.Run(ctx, func(batch []capture.Packet) error {
		for _, s := range asm.Packets(batch) {
			if !known[s] {
				known[s] = true
				all = append(all, s)
			}
			if _, cause := s.Totals(); cause != session.Live {
				ended++
			}
		}
		if ended >= until {
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if ended < until {
		t.Fatalf("%d sessions ended, want %d; %+v, %+v", ended, until, src.Stats(), asm.Stats())
	}
	return all
}

func TestLive(t *testing.T) {
	for _, c := range []struct {
		name, iface, listen string
		local               bool // client and server in one namespace
		request             int
	}{
		{name: "veth", iface: "a0", listen: "10.77.0.1:0", request: 1 << 20},
		{name: "veth, IPv6", iface: "a0", listen: "[fd77::1]:0", request: 1 << 20},
		{name: "loopback", iface: "lo", listen: "127.0.0.1:0", local: true, request: 1 << 20},
		{name: "loopback, IPv6", iface: "lo", listen: "[::1]:0", local: true, request: 1000},
		{name: "any, loopback", iface: "any", listen: "127.0.0.1:0", local: true, request: 1 << 20},
		{name: "any, veth", iface: "any", listen: "10.77.0.1:0", request: 1 << 20},
		{name: "any, IPv6", iface: "any", listen: "[fd77::1]:0", request: 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			onThread(t, func() {
				w := newWire(t)
				listen := func() (net.Listener, uint16) {
					l, err := net.Listen("tcp", c.listen)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { l.Close() })
					return l, uint16(l.Addr().(*net.TCPAddr).Port)
				}
				l, port := listen()
				other, _ := listen()
				src, err := capture.OpenLive(c.iface, capture.LiveConfig{Ports: []uint16{port}})
				if err != nil {
					t.Fatal(err)
				}
				defer src.Close()
				client := w.far
				if c.local {
					client = w.near
				}
				w.exchange(t, other, client, 10)
				w.exchange(t, l, client, c.request)
				all := collect(t, src, nil, 1)
				if len(all) != 1 || all[0].Server.Port() != port || all[0].Joined {
					t.Fatalf("got %d sessions, first %+v; want one with port %d", len(all), all[0], port)
				}
				totals, cause := all[0].Totals()
				if totals.Bytes != [2]int64{int64(c.request), 7} || totals.Missing != [2]int64{} || cause != session.Closed {
					t.Errorf("got %+v, %v", totals, cause)
				}
				if s := src.Stats(); s.Packets == 0 || s.KernelDrops != 0 || s.Malformed != 0 || s.Cut != 0 {
					t.Errorf("stats %+v", s)
				}
			})
		})
	}
}

// inject sends scripted frames into the far end of the wire.
func (w *wire) inject(t *testing.T, packets []capturetest.Packet) {
	t.Helper()
	fd, to := w.injector(t)
	defer unix.Close(fd)
	for _, p := range packets {
		if err := unix.Sendto(fd, p.Data, 0, to); err != nil {
			t.Fatal(err)
		}
	}
}

// injector returns a socket and where frames are sent that are to come out at
// the near end. It leaves the thread in the far namespace.
func (w *wire) injector(t testing.TB) (fd int, to unix.Sockaddr) {
	t.Helper()
	if err := netns.Set(w.far); err != nil {
		t.Fatal(err)
	}
	b0, err := net.InterfaceByName("b0")
	if err != nil {
		t.Fatal(err)
	}
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd, &unix.SockaddrLinklayer{Ifindex: b0.Index}
}

// TestLiveVLAN sends frames with tags over the wire; the kernel takes the
// outer one off before the capture sees them. On one interface it still tells
// sessions apart; on all of them it does not.
func TestLiveVLAN(t *testing.T) {
	for _, iface := range []string{"a0", "any"} {
		for _, tags := range [][]uint16{nil, {5}, {5, 6}, {5, 6, 7}} {
			t.Run(fmt.Sprint(iface, tags), func(t *testing.T) {
				onThread(t, func() {
					w := newWire(t)
					src, err := capture.OpenLive(iface, capture.LiveConfig{Ports: []uint16{80}})
					if err != nil {
						t.Fatal(err)
					}
					defer src.Close()
					script := capturetest.New("10.1.0.1:4000", "10.1.0.2:80")
					script.VLAN = tags
					w.inject(t, script.Handshake().Client("hello").Close().Packets)
					all := collect(t, src, nil, 1)
					if totals, cause := all[0].Totals(); totals.Bytes[session.Client] != 5 || cause != session.Closed {
						t.Errorf("got %+v, %v", totals, cause)
					}
					want := ""
					for _, tag := range tags {
						want += fmt.Sprint(", vlan ", tag)
					}
					if iface == "any" {
						want = ""
					}
					if via := all[0].Via; via != strings.TrimPrefix(want, ", ") {
						t.Errorf("travelled in %q, want %q", via, want)
					}
				})
			})
		}
	}
}

// TestLiveTunnels has the kernel look for the port inside of tunnels.
func TestLiveTunnels(t *testing.T) {
	for _, iface := range []string{"a0", "any"} {
		for name, wrap := range map[string]capturetest.Wrap{
			"vxlan 7": capturetest.VXLAN(7), "geneve 7": capturetest.GENEVE(7, 8), "gre 7": capturetest.GREKey(7),
			"erspan 7": capturetest.ERSPAN(3, 7), "ipip": capturetest.IPIP(), "gtp 7": capturetest.GTP(7, true),
		} {
			t.Run(iface+", "+name, func(t *testing.T) {
				onThread(t, func() {
					w := newWire(t)
					src, err := capture.OpenLive(iface, capture.LiveConfig{Ports: []uint16{80}, UDP: []uint16{53}, Tunnels: true})
					if err != nil {
						t.Fatal(err)
					}
					defer src.Close()
					talk := func(server string) []capturetest.Packet {
						script := capturetest.New("10.1.0.1:4000", server)
						script.Wrap = [2]capturetest.Wrap{wrap, wrap}
						return script.Handshake().Client("hello").Close().Packets
					}
					w.inject(t, append(talk("10.1.0.2:81"), talk("10.1.0.2:80")...))
					all := collect(t, src, []uint16{80}, 1)
					if totals, cause := all[0].Totals(); len(all) != 1 || totals.Bytes[session.Client] != 5 || cause != session.Closed || all[0].Via != name {
						t.Errorf("got %d, first in %q, %+v, %v", len(all), all[0].Via, totals, cause)
					}
				})
			})
		}
	}
}

// TestLiveUDP captures datagrams of one port.
func TestLiveUDP(t *testing.T) {
	onThread(t, func() {
		w := newWire(t)
		src, err := capture.OpenLive("a0", capture.LiveConfig{UDP: []uint16{53}})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		client := netip.MustParseAddrPort("10.1.0.1:4000")
		var frames []capturetest.Packet
		for _, port := range []uint16{54, 53, 53} {
			frames = append(frames, capturetest.Packet{Data: capturetest.UDPFrame(client, netip.AddrPortFrom(netip.MustParseAddr("10.1.0.2"), port), nil, []byte("question"))})
		}
		w.inject(t, frames)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		asm := capture.NewAssembler(capture.AssemblerConfig{UDP: []uint16{53}})
		got := 0
		if err := src.Run(ctx, func(batch []capture.Packet) error {
			for _, s := range asm.Packets(batch) {
				events, _ := s.Take(nil)
				got += len(events)
				if s.Server.Port() != 53 || s.Proto != session.UDP {
					t.Errorf("session %+v", s)
				}
			}
			if got == 2 {
				cancel()
			}
			return nil
		}); err != nil || got != 2 {
			t.Errorf("%d datagrams, %+v, %v", got, src.Stats(), err)
		}
	})
}

func TestLiveTun(t *testing.T) {
	onThread(t, func() {
		newWire(t)
		tun := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tun7"}, Mode: netlink.TUNTAP_MODE_TUN, Flags: netlink.TUNTAP_NO_PI, Queues: 1}
		if err := netlink.LinkAdd(tun); err != nil {
			need(t, "needs /dev/net/tun: "+err.Error())
		}
		defer tun.Fds[0].Close()
		if err := netlink.LinkSetUp(tun); err != nil {
			t.Fatal(err)
		}
		src, err := capture.OpenLive("tun7", capture.LiveConfig{Ports: []uint16{80}})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		script := capturetest.New("10.1.0.1:4000", "10.1.0.2:80").Handshake().Client("hello").Close()
		for _, p := range script.Packets {
			if _, err := tun.Fds[0].Write(p.Data[14:]); err != nil {
				t.Fatal(err)
			}
		}
		all := collect(t, src, nil, 1)
		if totals, cause := all[0].Totals(); totals.Bytes[session.Client] != 5 || cause != session.Closed {
			t.Errorf("got %+v, %v", totals, cause)
		}
	})
}

func TestLiveErrors(t *testing.T) {
	hint := func(t *testing.T, err error, want string) {
		t.Helper()
		var h interface{ Hint() string }
		if !errors.As(err, &h) || !strings.Contains(h.Hint(), want) {
			t.Errorf("%v: hint does not contain %q", err, want)
		}
	}
	t.Run("no such interface", func(t *testing.T) {
		onThread(t, func() {
			newWire(t)
			_, err := capture.OpenLive("eth9", capture.LiveConfig{})
			if err == nil || !strings.HasPrefix(err.Error(), "capture on eth9: no such interface") || !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("got %v", err)
			}
			hint(t, err, "a0")
		})
	})
	t.Run("no permission", func(t *testing.T) {
		onThread(t, func() {
			newWire(t)
			head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var none [2]unix.CapUserData
			if err := unix.Capset(&head, &none[0]); err != nil { // this thread only
				t.Fatal(err)
			}
			_, err := capture.OpenLive("lo", capture.LiveConfig{})
			if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "CAP_NET_RAW") {
				t.Fatalf("got %v", err)
			}
			hint(t, err, "setcap cap_net_raw+ep")
		})
	})
}

// small opens a capture of the loopback interface with so many blocks of 128 KiB, and
// a listener there.
func small(t *testing.T, blocks int) (capture.Source, net.Listener) {
	src, err := capture.OpenLive("lo", capture.LiveConfig{BlockSize: 128 << 10, Blocks: blocks})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return src, l
}

// TestLiveDrops fills a small ring whose reader does not come.
func TestLiveDrops(t *testing.T) {
	onThread(t, func() {
		w := newWire(t)
		src, l := small(t, 2)
		w.exchange(t, l, w.near, 4<<20)
		if s := src.Stats(); s.KernelDrops == 0 {
			t.Errorf("stats %+v: 4 MiB fit into a ring of 256 KiB", s)
		}
		if a, b := src.Stats(), src.Stats(); b.KernelDrops < a.KernelDrops {
			t.Errorf("the count went back from %d to %d", a.KernelDrops, b.KernelDrops)
		}
	})
}

// TestLiveDropsAfterwards: what finds no room in a ring that nobody reads any more, as
// while the players still have something to do, was not to be captured.
func TestLiveDropsAfterwards(t *testing.T) {
	onThread(t, func() {
		w := newWire(t)
		src, l := small(t, 2)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := src.Run(ctx, func([]capture.Packet) error { return nil }); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		w.exchange(t, l, w.near, 4<<20)
		if s := src.Stats(); s.KernelDrops != 0 {
			t.Errorf("%d packets are dropped that came after the end", s.KernelDrops)
		}
		src.Close()
		if s := src.Stats(); s.KernelDrops != 0 {
			t.Errorf("%d packets are dropped that came before it was closed", s.KernelDrops)
		}
	})
}

// TestLiveEndsWhileMoreComes: what comes after the end is neither captured nor counted
// as dropped, also while what was captured before it is still read.
func TestLiveEndsWhileMoreComes(t *testing.T) {
	onThread(t, func() {
		w := newWire(t)
		const blocks = 4
		src, l := small(t, blocks)
		w.exchange(t, l, w.near, 64<<10)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		var after int
		var wanted, got capture.Stats
		err := src.Run(ctx, func([]capture.Packet) error {
			if after++; after == 1 {
				wanted = src.Stats()
			}
			if after > 2*blocks {
				return errors.New("it goes on for as long as more comes")
			}
			w.exchange(t, l, w.near, 256<<10)
			return nil
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if got = src.Stats(); after == 0 || got.Bytes > 128<<10 || got.KernelDrops != wanted.KernelDrops {
			t.Errorf("%d batches: %+v, before that %+v", after, got, wanted)
		}
	})
}

// TestLiveEnd closes and cancels a capture that waits.
func TestLiveEnd(t *testing.T) {
	for _, name := range []string{"close", "cancel", "close in fn"} {
		t.Run(name, func(t *testing.T) {
			onThread(t, func() {
				w := newWire(t)
				src, err := capture.OpenLive("lo", capture.LiveConfig{})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				ended := make(chan error, 1)
				go func() {
					ended <- src.Run(ctx, func([]capture.Packet) error {
						if name == "close in fn" {
							src.Close()
						}
						return nil
					})
				}()
				switch name {
				case "close":
					src.Close()
				case "cancel":
					cancel()
				default:
					l, err := net.Listen("tcp", "127.0.0.1:0")
					if err != nil {
						t.Fatal(err)
					}
					defer l.Close()
					w.exchange(t, l, w.near, 1)
				}
				select {
				case err := <-ended:
					if err != nil {
						t.Error(err)
					}
				case <-time.After(patience):
					t.Error("Run did not return")
				}
				src.Stats()
				if err := src.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
