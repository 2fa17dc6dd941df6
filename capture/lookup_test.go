package capture_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/session"
)

// sessionsOf assembles packets and writes each session as a line, with what it
// travelled in.
func sessionsOf(t *testing.T, packets []capture.Packet, cfg capture.AssemblerConfig) []string {
	t.Helper()
	asm := capture.NewAssembler(cfg)
	var r record
	for part := range slices.Chunk(packets, 3) {
		r.take(asm.Packets(part))
	}
	r.take(asm.Flush())
	var all []string
	for i, s := range r.sessions {
		line := r.text(i)
		if s.Via != "" {
			line = s.Via + ": " + line
		}
		all = append(all, line)
	}
	if s := asm.Stats(); s.Live != 0 || s.Buffered != 0 {
		t.Errorf("at the end: %+v", s)
	}
	return all
}

// mixed has the packets of several scripts one from each in turn.
func mixed(conns ...*capturetest.Conn) []capture.Packet {
	var all []capturetest.Packet
	for i := 0; ; i++ {
		n := len(all)
		for _, c := range conns {
			if i < len(c.Packets) {
				all = append(all, c.Packets[i])
			}
		}
		if len(all) == n {
			return batch(all)
		}
	}
}

// TestPaths says what is one session and what are two.
func TestPaths(t *testing.T) {
	const whole = `Copen Sopen C"ab" S"xyz" C"cd"@3 CFIN@3 SFIN closed`
	in := func(there, back capturetest.Wrap) *capturetest.Conn {
		c := script()
		c.Wrap = [2]capturetest.Wrap{there, back}
		return c
	}
	talk := func(c *capturetest.Conn) *capturetest.Conn {
		return c.Handshake().Client("ab").Server("xyz").Client("cd").Close()
	}
	vlan := func(tags ...uint16) *capturetest.Conn {
		c := script()
		c.VLAN = tags
		return c
	}
	other := func(c *capturetest.Conn) *capturetest.Conn { // with numbers of its own
		c.Seq = [2]uint32{3e9, 4e9}
		return c
	}
	vx, gtp := capturetest.VXLAN, func(id uint32) capturetest.Wrap { return capturetest.GTP(id, true) }
	for _, c := range []struct {
		name    string
		packets []capture.Packet
		cfg     capture.AssemblerConfig
		want    []string
	}{
		{"copies untagged, in a VLAN, in QinQ", mixed(talk(vlan()), talk(vlan(42)), talk(vlan(10, 20))), capture.AssemblerConfig{},
			[]string{whole, "vlan 42: " + whole, "vlan 10, vlan 20: " + whole}},
		{"one after the other", append(batch(talk(vlan()).Packets), batch(talk(vlan(42)).Packets)...), capture.AssemblerConfig{},
			[]string{whole, "vlan 42: " + whole}},
		{"two tenants", mixed(talk(in(vx(1), vx(1))), talk(other(in(vx(2), vx(2))))), capture.AssemblerConfig{},
			[]string{"vxlan 1: " + whole, "vxlan 2: " + whole}},
		{"a priority tag is no VLAN", mixed(talk(vlan()), talk(vlan(0))), capture.AssemblerConfig{}, []string{whole}},
		{"tunnels are not looked into on demand", mixed(talk(vlan()), talk(in(vx(2), vx(2)))), capture.AssemblerConfig{NoTunnels: true},
			[]string{whole}},

		{"one direction tagged", batch(talk(in(vx(1), nil)).Packets), capture.AssemblerConfig{}, []string{"vxlan 1: " + whole}},
		{"each direction has its id", batch(talk(in(gtp(1), gtp(2))).Packets), capture.AssemblerConfig{}, []string{"gtp 1: " + whole}},
		{"each direction has its id, twice", mixed(talk(in(gtp(1), gtp(2))), talk(other(in(gtp(3), gtp(4))))), capture.AssemblerConfig{},
			[]string{"gtp 1: " + whole, "gtp 3: " + whole}},
		{"and the same numbers", mixed(talk(in(gtp(1), gtp(2))), talk(in(gtp(3), gtp(4)))), capture.AssemblerConfig{},
			[]string{"gtp 1: " + whole, "gtp 3: " + whole}},
		{"the numbers say whose answer it is", mixed(script().SYN(), talk(other(in(vx(1), nil)))), capture.AssemblerConfig{},
			[]string{"Copen capture-end", "vxlan 1: " + whole}},
		{"joined, each direction has its id", batch(in(gtp(1), gtp(2)).Client("ab").Server("xyz").Client("cd").Packets), capture.AssemblerConfig{},
			[]string{`gtp 1: joined C"ab" S"xyz" C"cd"@3 capture-end`}},
		{"refused on another path", batch(in(gtp(1), gtp(2)).SYN().ServerRST().Packets), capture.AssemblerConfig{}, []string{"gtp 1: Copen SRST reset"}},
		{"joined on two paths with other numbers", mixed(in(vx(1), vx(1)).Client("ab").Server("xyz"), other(in(vx(2), vx(2))).Client("AB").Server("XYZ")), capture.AssemblerConfig{},
			[]string{`vxlan 1: joined C"ab" S"xyz" capture-end`, `vxlan 2: joined C"AB" S"XYZ" capture-end`}},
		{"joined, captured twice", mixed(vlan().Client("ab").Server("xyz").Client("cd"), vlan(42).Client("ab").Server("xyz").Client("cd")), capture.AssemblerConfig{},
			[]string{`joined C"ab" S"xyz" C"cd"@3 capture-end`, `vlan 42: joined C"ab" S"xyz" C"cd"@3 capture-end`}},
		{"the path changes", func() []capture.Packet {
			c := in(gtp(1), gtp(2)).Handshake().Client("ab").Server("xyz")
			late := c.Packets[4]
			c.Wrap = [2]capturetest.Wrap{gtp(1), gtp(5)}
			c.ServerACK().Server("uvw")
			c.Wrap[0] = gtp(6)
			c.Client("cd").Close()
			c.Packets = append(c.Packets, late)
			return batch(c.Packets)
		}(), capture.AssemblerConfig{}, []string{`gtp 1: Copen Sopen C"ab" S"xyz" S"uvw" C"cd"@6 CFIN@6 SFIN closed`}},
		{"a new connection on the old path", append(batch(talk(vlan(5)).Packets), batch(talk(other(vlan(5))).Packets)...), capture.AssemblerConfig{},
			[]string{"vlan 5: " + whole, "vlan 5: " + whole}},
		{"outgoing connections on another path", batch(talk(in(gtp(1), gtp(2))).Packets), capture.AssemblerConfig{Ports: []uint16{4000}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := sessionsOf(t, c.packets, c.cfg); !slices.Equal(got, c.want) {
				t.Errorf("got %q\nwant %q", got, c.want)
			}
		})
	}
}

// TestKernelTag has the kernel take the tag off, as it does for live captures.
func TestKernelTag(t *testing.T) {
	a, b := batch(script().Handshake().Client("ab").Packets), batch(script().Handshake().Client("ab").Packets)
	for i := range b {
		b[i].VLAN = 7
	}
	got := sessionsOf(t, append(a, b...), capture.AssemblerConfig{})
	if want := []string{`Copen Sopen C"ab" capture-end`, `vlan 7: Copen Sopen C"ab" capture-end`}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// TestLearnedServer joins connections whose ports say nothing.
func TestLearnedServer(t *testing.T) {
	server := netip.MustParseAddrPort("10.0.0.2:50000")
	to := func(client string) *capturetest.Conn {
		return capturetest.Between(netip.MustParseAddrPort(client), server)
	}
	joined := func(c *capturetest.Conn) string {
		return fmt.Sprint(sessionsOf(t, append(batch(to("10.0.0.9:60000").SYN().Packets), batch(c.Packets)...), capture.AssemblerConfig{})[1:])
	}
	if got := joined(to("10.0.0.1:40000").Client("ab").Server("xyz")); got != `[joined C"ab" S"xyz" capture-end]` {
		t.Errorf("client's data first: %s", got)
	}
	if got := joined(to("10.0.0.1:40000").Server("xyz").Client("ab")); got != `[joined S"xyz" C"ab"@3 capture-end]` {
		t.Errorf("server's data first: %s", got)
	}
	if got := sessionsOf(t, batch(to("10.0.0.1:40000").Client("ab").Packets), capture.AssemblerConfig{}); got[0] != `joined S"ab" capture-end` {
		t.Errorf("nothing known: %s, want the lower port as the server", got)
	}
}

// udp scripts datagrams: "C…" and "S…".
func udp(wrap capturetest.Wrap, client, server string, data ...string) []capture.Packet {
	c, s := netip.MustParseAddrPort(client), netip.MustParseAddrPort(server)
	var all []capturetest.Packet
	for i, d := range data {
		src, dst := c, s
		if d[0] == 'S' {
			src, dst = s, c
		}
		frame := capturetest.UDPFrame(src, dst, nil, []byte(d[1:]))
		if wrap != nil {
			frame = wrap(frame)
		}
		all = append(all, capturetest.Packet{Time: capturetest.Epoch.Add(time.Duration(i) * time.Second), Data: frame})
	}
	return batch(all)
}

// pieces is a question in two fragments, its answer, and a question more.
func pieces() []capture.Packet {
	p := udp(nil, "10.0.0.1:4000", "10.0.0.2:53", "C0123456789abcdefghij", "Sxyz", "Ccd")
	for i, f := range capturetest.Fragments(p[0].Data, 16) {
		part := p[0]
		part.Data, part.OrigLen = f, len(f)
		p = slices.Insert(p, 1+i, part)
	}
	return p[1:]
}

// late has the last two packets come a minute later, the last one in fragments,
// too.
func late(p []capture.Packet) []capture.Packet {
	last := p[len(p)-1]
	for _, f := range capturetest.Fragments(last.Data, 8) {
		part := last
		f[18] ^= 1 // another datagram
		part.Data, part.OrigLen = f, len(f)
		part.Time += 60e9
		p = append(p, part)
	}
	return p
}

func TestUDP(t *testing.T) {
	dns := capture.AssemblerConfig{UDP: []uint16{53}}
	const cl, sv = "10.0.0.1:4000", "10.0.0.2:53"
	for _, c := range []struct {
		name    string
		packets []capture.Packet
		cfg     capture.AssemblerConfig
		want    []string
	}{
		{"question and answer", udp(nil, cl, sv, "Cab", "Sxyz", "Ccd", "Su"), dns, []string{`C"ab" S"xyz" C"cd"@3 S"u" capture-end`}},
		{"IPv6", udp(nil, "[2001:db8::1]:4000", "[2001:db8::2]:53", "Cab", "Sxyz"), dns, []string{`C"ab" S"xyz" capture-end`}},
		{"boundaries are kept, repetitions too", udp(nil, cl, sv, "Cab", "Cab", "C", "Sx"), dns, []string{`C"ab" C"ab" C"" S"x" capture-end`}},
		{"the answer first", udp(nil, cl, sv, "Sxyz", "Cab"), dns, []string{`joined S"xyz" C"ab"@3 capture-end`}},
		{"from server port to server port", udp(nil, "10.0.0.1:53", sv, "Cab", "Sxyz"), dns, []string{`C"ab" S"xyz" capture-end`}},
		{"each client port a flow", append(udp(nil, cl, sv, "Cab"), udp(nil, "10.0.0.1:4001", sv, "Ccd")...), dns,
			[]string{`C"ab" capture-end`, `C"cd" capture-end`}},
		{"another port", udp(nil, cl, "10.0.0.2:54", "Cab"), dns, nil},
		{"no UDP asked for", udp(nil, cl, sv, "Cab"), capture.AssemblerConfig{}, nil},
		{"no TCP asked for", batch(script().Handshake().Packets), dns, nil},
		{"both", append(udp(nil, cl, sv, "Cab"), batch(script().SYN().Packets)...), capture.AssemblerConfig{UDP: []uint16{53}, Ports: []uint16{80}},
			[]string{`C"ab" capture-end`, `Copen capture-end`}},
		{"TCP on the same ports is another flow", append(udp(nil, cl, sv, "Cab"), batch(capturetest.New(cl, sv).Client("cd").Packets)...),
			capture.AssemblerConfig{UDP: []uint16{53}, Ports: []uint16{53}}, []string{`C"ab" capture-end`, `joined C"cd" capture-end`}},
		{"in a tunnel", udp(capturetest.VXLAN(9), cl, sv, "Cab", "Sxyz"), dns, []string{`vxlan 9: C"ab" S"xyz" capture-end`}},
		{"cut", func() []capture.Packet {
			p := udp(nil, cl, sv, "Cab", "Sxyz", "Ccd")
			p[1].Data = p[1].Data[:14+20+8+2]
			return p
		}(), dns, []string{`C"ab" Sgap3 C"cd"@3 capture-end`}},
		{"in fragments", pieces(), dns, []string{`C"0123456789abcdefghij" S"xyz" C"cd"@3 capture-end`}},
		{"a fragment is lacking", slices.Delete(pieces(), 1, 2), dns, []string{`joined S"xyz" C"cd"@3 Cgap20@3 capture-end`}},
		{"the fragment with the ports is lacking", pieces()[1:], dns, []string{`joined S"xyz" C"cd"@3 capture-end`}},
		{"a fragment is lacking for long", late(slices.Delete(pieces(), 1, 2)), dns, []string{`joined S"xyz" C"cd"@3 Cgap20@3 C"cd"@3 capture-end`}},
		{"idle", udp(nil, cl, sv, "Cab", "Sx", "Ccd"), capture.AssemblerConfig{UDP: []uint16{53}, UDPIdleTimeout: 100 * time.Millisecond},
			[]string{`C"ab" idle`, `joined S"x" idle`, `C"cd" capture-end`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "idle" { // time-outs are exact to the second
				for i := range c.packets {
					c.packets[i].Time += int64(i) * 2e9
				}
			}
			if got := sessionsOf(t, c.packets, c.cfg); !slices.Equal(got, c.want) {
				t.Errorf("got %q\nwant %q", got, c.want)
			}
		})
	}
	t.Run("the record tells", func(t *testing.T) {
		asm := capture.NewAssembler(dns)
		s := asm.Packets(udp(nil, cl, sv, "Cab"))[0]
		totals, cause := s.Totals()
		if s.Proto != session.UDP || s.Joined || s.Opening() != session.OpeningUnseen || totals.Heard != [2]bool{true, false} || cause != session.Live {
			t.Errorf("%+v %+v %v", s, totals, cause)
		}
	})
}

// TestOneSided drops all packets of one side: what it said is in the other's
// acknowledgements, and its FIN is no byte.
func TestOneSided(t *testing.T) {
	const cl, sv = 0, 1
	only := func(side int, c *capturetest.Conn) []capture.Packet {
		var all []capturetest.Packet
		for _, p := range c.Packets {
			if (p.Data[26+3] == 1) == (side == cl) { // the last byte of the sender's address
				all = append(all, p)
			}
		}
		return batch(all)
	}
	for _, c := range []struct {
		name    string
		packets []capture.Packet
		want    string
	}{
		{"client, closes first", only(cl, script().Handshake().Client("ab").Server("xyz").Client("cd").Close()),
			`Copen Sopen C"ab" C"cd"@3 CFIN@3 Sgap3 SFIN closed`},
		{"client, server closes first", only(cl, script().Handshake().Client("ab").Server("xyz").ClientACK().ServerFIN().ClientACK().ClientFIN().ServerACK()),
			`Copen Sopen C"ab" CFIN@3! Sgap3 SFIN closed`},
		{"client, server closes first, its FIN acknowledged with data", only(cl, script().Handshake().Client("ab").Server("xyz").ServerFIN().ClientFIN().ServerACK()),
			`Copen Sopen C"ab" CFIN@4 Sgap3 SFIN closed`},
		{"client, half-closes and reads on", only(cl, script().Handshake().Client("ab").ClientFIN().ServerACK().Server("xyz").ClientACK().Server("uvw").ServerFIN().ClientACK()),
			`Copen Sopen C"ab" CFIN Sgap6 SFIN closed`},
		{"client resets", only(cl, script().Handshake().Client("ab").Server("xyz").ClientRST()), `Copen Sopen C"ab" Sgap3 CRST@3 reset`},
		{"client resets after the server's FIN", only(cl, script().Handshake().Client("ab").Server("xyz").ClientACK().ServerFIN().ClientACK().ClientRST()),
			`Copen Sopen C"ab" Sgap3 SFIN CRST@3! reset`},
		{"client, still open", only(cl, script().Handshake().Client("ab").Server("xyz").ClientACK()), `Copen Sopen C"ab" Sgap3 capture-end`},
		{"client, idle in between", only(cl, script().Handshake().Client("ab").Server("xyz").ClientACK().Wait(time.Minute).Client("cd").Server("uvw").Client("ef")),
			`Copen Sopen C"ab" Sgap2 C"cd"@3 C"ef"@6 Sgap4 capture-end`},
		{"client, without answer", only(cl, script().SYN().Wait(time.Second).Wait(time.Minute)), `Copen capture-end`},
		{"client, joined", only(cl, script().Client("ab").Server("xyz").Client("cd").Close()), `joined C"ab" C"cd"@3 CFIN@3 Sgap3 SFIN closed`},
		{"server, closes first", only(sv, script().Handshake().Client("ab").Server("xyz").ServerFIN().ClientFIN().ServerACK()),
			`Copen Sopen S"xyz" SFIN Cgap2 CFIN closed`},
		{"server, client closes first", only(sv, script().Handshake().Client("ab").Server("xyz").Close()), `Copen Sopen S"xyz" SFIN Cgap2 CFIN closed`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := sessionsOf(t, c.packets, capture.AssemblerConfig{})
			if len(got) != 1 || got[0] != c.want {
				t.Errorf("\n got %q\nwant %q", got, c.want)
			}
		})
	}
}

// TestOpening lets the record tell how a connection began.
func TestOpening(t *testing.T) {
	for _, c := range []struct {
		name  string
		conn  *capturetest.Conn
		want  session.Opening
		heard [2]bool
	}{
		{"accepted", script().Handshake(), session.OpeningAccepted, [2]bool{true, true}},
		{"refused", script().SYN().ServerRST(), session.OpeningRefused, [2]bool{true, true}},
		{"no answer", script().SYN().Wait(time.Second), session.OpeningUnanswered, [2]bool{true, false}},
		{"accepted, the answer not captured", script().Handshake().Drop(1), session.OpeningAccepted, [2]bool{true, false}},
		{"accepted, then reset", script().Handshake().ServerRST(), session.OpeningAccepted, [2]bool{true, true}},
		{"joined", script().Client("ab").ServerACK(), session.OpeningUnseen, [2]bool{true, true}},
	} {
		asm := capture.NewAssembler(capture.AssemblerConfig{})
		s := asm.Packets(batch(c.conn.Packets))[0]
		asm.Flush()
		if totals, _ := s.Totals(); s.Opening() != c.want || totals.Heard != c.heard {
			t.Errorf("%s: %v, heard %v", c.name, s.Opening(), totals.Heard)
		}
	}
}
