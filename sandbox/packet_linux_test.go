package sandbox

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// syn writes a client's first packet into the TUN file.
func syn(t testing.TB, box *Sandbox, client, server netip.AddrPort) {
	t.Helper()
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(client.Port()), DstPort: layers.TCPPort(server.Port()),
		Seq: 1000, SYN: true, Window: 65535,
	}
	var ip gopacket.SerializableLayer
	if client.Addr().Is4() {
		v4 := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: client.Addr().AsSlice(), DstIP: server.Addr().AsSlice()}
		tcp.SetNetworkLayerForChecksum(v4)
		ip = v4
	} else {
		v6 := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: client.Addr().AsSlice(), DstIP: server.Addr().AsSlice()}
		tcp.SetNetworkLayerForChecksum(v6)
		ip = v6
	}
	out := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(out, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, tcp); err != nil {
		t.Fatal(err)
	}
	packet := out.Bytes()
	if box.Offload() {
		packet = append(make([]byte, vnetHeader), packet...)
	}
	if _, err := box.TUN().Write(packet); err != nil {
		t.Fatal(err)
	}
}

// next reads the next packet that leaves the namespace, as "from > to FLAGS".
func next(t testing.TB, box *Sandbox) string {
	t.Helper()
	buf := make([]byte, 1<<16+vnetHeader)
	box.TUN().SetReadDeadline(time.Now().Add(soon))
	n, err := box.TUN().Read(buf)
	if err != nil {
		t.Fatal("no packet: ", err)
	}
	packet := buf[:n]
	if box.Offload() {
		packet = packet[vnetHeader:]
	}
	kind := layers.LayerTypeIPv4
	if packet[0]>>4 == 6 {
		kind = layers.LayerTypeIPv6
	}
	decoded := gopacket.NewPacket(packet, kind, gopacket.Default)
	tcp, ok := decoded.TransportLayer().(*layers.TCP)
	if !ok {
		t.Fatalf("not TCP: %v", decoded)
	}
	flags := ""
	if tcp.SYN {
		flags += " SYN"
	}
	if tcp.ACK {
		flags += " ACK"
	}
	if tcp.RST {
		flags += " RST"
	}
	flow := decoded.NetworkLayer().NetworkFlow()
	return fmt.Sprintf("%v:%d > %v:%d%s", flow.Src(), tcp.SrcPort, flow.Dst(), tcp.DstPort, flags)
}

// wantAnswer says that the next packet is the SYN+ACK for this session.
func wantAnswer(t testing.TB, box *Sandbox, client, server netip.AddrPort) {
	t.Helper()
	want := fmt.Sprintf("%v:%d > %v:%d SYN ACK", server.Addr(), server.Port(), client.Addr(), client.Port())
	if got := next(t, box); got != want {
		t.Errorf("packet %s, want %s", got, want)
	}
}

func listening(t testing.TB, box *Sandbox) {
	t.Helper()
	app, _ := start(t, box, AppConfig{}, "listen", "0.0.0.0:80", "[::]:80")
	for {
		found, err := app.WaitListen(t.Context(), soon, TCP(80))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 2 {
			return
		}
	}
}

func TestHandshake(t *testing.T) {
	for _, plain := range []bool{false, true} {
		t.Run(fmt.Sprintf("plain=%v", plain), func(t *testing.T) {
			box := newBox(t, Config{Plain: plain})
			if box.Offload() == plain {
				t.Fatalf("offload is %v", box.Offload())
			}
			listening(t, box)
			for _, test := range []struct{ client, server string }{
				{"203.0.113.5:40000", "198.51.100.7:80"},
				{"10.0.0.5:80", "198.51.100.7:80"},
				{"[2001:db8:1::5]:40000", "[2001:db8::7]:80"},
				{"[fe80::5]:40000", "[fe80::7]:80"},
				{"[fd00::5]:40000", "[2001:db8::7]:80"},
			} {
				client, server := netip.MustParseAddrPort(test.client), netip.MustParseAddrPort(test.server)
				if !Replayable(client.Addr(), server.Addr()) {
					t.Errorf("%v to %v is not replayable", client, server)
				}
				if err := box.AddServer(server.Addr()); err != nil {
					t.Fatal(err)
				}
				syn(t, box, client, server)
				wantAnswer(t, box, client, server) // and nothing else ever came out
			}
		})
	}
}

func TestLocalClient(t *testing.T) {
	box := newBox(t, Config{})
	listening(t, box)
	for _, ip := range []string{"198.51.100.7", "2001:db8::7"} {
		if err := box.AddServer(netip.MustParseAddr(ip)); err != nil {
			t.Fatal(err)
		}
	}
	sessions := []struct{ client, server, marker string }{
		{"127.0.0.1:40000", "127.0.0.1:80", "203.0.113.5:41001"},
		{"127.9.9.9:40000", "127.0.0.1:80", "203.0.113.5:41002"},
		{"127.0.0.1:80", "127.0.0.1:80", "203.0.113.5:41003"},
		{"198.51.100.7:40000", "198.51.100.7:80", "203.0.113.5:41004"},
		{"192.0.0.8:40000", "198.51.100.7:80", "203.0.113.5:41005"},
		{"[2001:db8::7]:40000", "[2001:db8::7]:80", "203.0.113.5:41006"},
	}
	marked := netip.MustParseAddrPort("198.51.100.7:80")
	for _, s := range sessions {
		client, server, marker := netip.MustParseAddrPort(s.client), netip.MustParseAddrPort(s.server), netip.MustParseAddrPort(s.marker)
		if !box.IsLocal(client.Addr()) {
			t.Errorf("%v is not local", client)
		}
		// The local client's answer stays inside, so the one after comes first.
		syn(t, box, client, server)
		syn(t, box, marker, marked)
		wantAnswer(t, box, marker, marked)
	}
	for range 2 {
		if err := box.AllowLocalClient(Port{Number: 80}); err != nil {
			t.Fatal(err)
		}
	}
	if err := box.AllowLocalClient(Port{Number: 8080}); err != nil {
		t.Fatal(err)
	}
	for _, s := range sessions {
		client, server := netip.MustParseAddrPort(s.client), netip.MustParseAddrPort(s.server)
		// Another port: the kernel may still resend the answer that stayed.
		if client.Port() != 80 {
			client = netip.AddrPortFrom(client.Addr(), 50000)
		}
		syn(t, box, client, server)
		wantAnswer(t, box, client, server)
	}
	if box.IsLocal(netip.MustParseAddr("203.0.113.5")) {
		t.Error("a stranger is local")
	}
}

// TestQueue shows that answers wait in the device while nobody reads it.
func TestQueue(t *testing.T) {
	box := newBox(t, Config{})
	listening(t, box)
	server := netip.MustParseAddrPort("198.51.100.7:80")
	if err := box.AddServer(server.Addr()); err != nil {
		t.Fatal(err)
	}
	const burst = 2000
	for i := range burst {
		syn(t, box, netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, 5}), uint16(10000+i)), server)
	}
	// A SYN+ACK that was dropped is sent again a second later, and others
	// before it: then some are here twice.
	seen := map[string]bool{}
	for range burst {
		seen[next(t, box)] = true
	}
	if len(seen) != burst {
		t.Errorf("%d of %d answers", len(seen), burst)
	}
}

func TestCloseEndsRead(t *testing.T) {
	for _, plain := range []bool{false, true} {
		box := newBox(t, Config{Plain: plain})
		failed := make(chan error)
		go func() {
			_, err := box.TUN().Read(make([]byte, 2000))
			failed <- err
		}()
		box.Close()
		if err := <-failed; err == nil {
			t.Error("read a packet")
		}
		if err := box.AddServer(netip.MustParseAddr("198.51.100.9")); err == nil {
			t.Error("added an address after close")
		}
		if err := box.AllowLocalClient(Port{Number: 80}); err == nil {
			t.Error("added a rule after close")
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, mtu := range []int{-1, 67, 65536} {
		if box, err := New(Config{MTU: mtu}); err == nil {
			box.Close()
			t.Errorf("MTU %d was taken", mtu)
		}
	}
	needNamespace(t)
	if box, err := New(Config{Name: "a name too long for it"}); err == nil {
		box.Close()
		t.Error("a name too long was taken")
	}
}

func TestSmallMTU(t *testing.T) {
	box := newBox(t, Config{MTU: 600})
	if box.ipv6 || len(box.Warnings()) == 0 {
		t.Errorf("IPv6 is %v at MTU 600, warnings %q", box.ipv6, box.Warnings())
	}
	if err := box.AddServer(netip.MustParseAddr("2001:db8::7")); err == nil {
		t.Error("added an IPv6 address")
	}
	listening4, server := netip.MustParseAddrPort("203.0.113.5:40000"), netip.MustParseAddrPort("198.51.100.7:80")
	if err := box.AddServer(server.Addr()); err != nil {
		t.Fatal(err)
	}
	app, _ := start(t, box, AppConfig{}, "listen", "0.0.0.0:80")
	if _, err := app.WaitListen(t.Context(), soon, nil); err != nil {
		t.Fatal(err)
	}
	syn(t, box, listening4, server)
	wantAnswer(t, box, listening4, server)
}

func BenchmarkAddServerKnown(b *testing.B) {
	box := newBox(b, Config{})
	ip := netip.MustParseAddr("198.51.100.7")
	for b.Loop() {
		if err := box.AddServer(ip); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAddServerNew asks the keeper.
func BenchmarkAddServerNew(b *testing.B) {
	box := newBox(b, Config{})
	n := 0
	for b.Loop() {
		n++
		if err := box.AddServer(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkListening(b *testing.B) {
	box := newBox(b, Config{})
	app, _ := start(b, box, AppConfig{}, "listen", "0.0.0.0:80")
	if _, err := app.WaitListen(b.Context(), soon, nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := app.Listening(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNewClose is a sandbox made and given up, without an application.
func BenchmarkNewClose(b *testing.B) {
	needNamespace(b)
	for b.Loop() {
		box, err := New(Config{})
		if err != nil {
			b.Fatal(err)
		}
		box.Close()
	}
}
