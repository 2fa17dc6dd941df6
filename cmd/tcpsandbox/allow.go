package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"tcpsandbox/capture"
	"tcpsandbox/netsim"
	"tcpsandbox/sandbox"
)

// egressFlags say what the application may reach, of which nothing is the
// default. Names are looked up once, at the start, with the host's resolver.
type egressFlags struct {
	egress   string
	allow    []string // HOST:PORT[/udp]
	allowDNS bool
	maps     []string // ADDRESS:PORT=HOST:PORT

	targets []target  // of allow
	mapped  []mapping // of maps
}

// target is a destination as the user named it, and as it was resolved.
type target struct {
	text  string // as it was written
	host  string
	port  uint16
	udp   bool
	addrs []netip.Addr // nil before resolve
}

// mapping is a listener inside the sandbox and where its connections go.
type mapping struct {
	text string
	at   netip.AddrPort
	to   target
}

func (e *egressFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&e.egress, "egress", "drop", "drop or refuse what the application sends elsewhere")
	f.StringArrayVar(&e.allow, "allow", nil, "let the application through to HOST:PORT, or HOST:PORT/udp, in spite of --egress (may repeat)")
	f.BoolVar(&e.allowDNS, "allow-dns", false, "answer the application's DNS queries: names of --allow have their addresses, no other exists")
	f.StringArrayVar(&e.maps, "map", nil, "127.0.0.1:PORT=HOST:PORT: listen there inside the sandbox, and let its connections through to HOST (may repeat)")
}

// complete reads what can be read without asking anybody.
func (e *egressFlags) complete() error {
	for _, text := range e.allow {
		t, err := parseTarget(text)
		if err != nil {
			return fmt.Errorf("--allow %s: %w", text, err)
		}
		e.targets = append(e.targets, t)
	}
	for _, text := range e.maps {
		m := mapping{text: text}
		at, to, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("--map %s: want ADDRESS:PORT=HOST:PORT, such as 127.0.0.1:5432=db.test:5432", text)
		}
		var err error
		if m.at, err = netip.ParseAddrPort(at); err != nil || !m.at.Addr().IsLoopback() || m.at.Port() == 0 {
			return fmt.Errorf("--map %s: %q is no loopback address and port, such as 127.0.0.1:5432", text, at)
		}
		if m.to, err = parseTarget(to); err != nil {
			return fmt.Errorf("--map %s: %w", text, err)
		}
		if m.to.udp {
			return fmt.Errorf("--map %s: UDP cannot be mapped", text)
		}
		for _, other := range e.mapped {
			if other.at == m.at {
				return fmt.Errorf("--map %s: %v goes to two places", text, m.at)
			}
		}
		e.mapped = append(e.mapped, m)
	}
	if e.allowDNS && len(e.allow) == 0 {
		return errors.New("--allow-dns needs --allow: its names are those that are answered")
	}
	return nil
}

// parseTarget reads HOST:PORT[/udp].
func parseTarget(text string) (t target, err error) {
	t.text = text
	end, udp := strings.CutSuffix(text, "/udp")
	t.udp = udp
	host, port, err := net.SplitHostPort(end)
	if err != nil || host == "" {
		return t, fmt.Errorf("%q is not HOST:PORT, such as db.test:5432 or [2001:db8::1]:53/udp", text)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return t, fmt.Errorf("%q is no port: 1 to 65535", port)
	}
	t.host, t.port = host, uint16(n)
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			return t, fmt.Errorf("%s is nobody's address alone", host)
		}
		t.addrs = []netip.Addr{a.Unmap()}
	}
	return t, nil
}

// name is the host's, "" if it was given by its address.
func (t *target) name() string {
	if _, err := netip.ParseAddr(t.host); err == nil {
		return ""
	}
	return t.host
}

// resolveTimeout bounds all look-ups together: no resolver's own is longer than
// 2 × 5 s (resolv.conf(5)).
const resolveTimeout = 10 * time.Second

// resolve looks the names up and refuses what would lead back to production.
func (e *egressFlags) resolve(ctx context.Context, specs []capture.Spec, lookUp func(ctx context.Context, host string) ([]netip.Addr, error), own []netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	find := func(flag string, t *target) error {
		if t.addrs != nil {
			return nil
		}
		addrs, err := lookUp(ctx, t.host)
		if err != nil {
			return fmt.Errorf("%s: resolve %s: %w", flag, t.host, err)
		}
		for _, a := range addrs {
			t.addrs = append(t.addrs, a.Unmap().WithZone(""))
		}
		return nil
	}
	for i := range e.targets {
		t := &e.targets[i]
		flag := "--allow " + t.text
		if err := find(flag, t); err != nil {
			return err
		}
		for _, a := range t.addrs {
			if a.IsLoopback() {
				return hinted{fmt.Errorf("%s: %v is the application's own loopback", flag, a),
					fmt.Sprintf("--map %s=%s", netip.AddrPortFrom(a, t.port), net.JoinHostPort(t.host, strconv.Itoa(int(t.port))))}
			}
			if slices.Contains(own, a) && slices.ContainsFunc(specs, capture.Spec.IsLive) {
				return hinted{fmt.Errorf("%s: %v is an address of this host, whose sessions are captured: it would write into production", flag, a),
					fmt.Sprintf("for something else on this host: --map 127.0.0.1:%d=127.0.0.1:%d", t.port, t.port)}
			}
		}
	}
	for i := range e.mapped {
		m := &e.mapped[i]
		flag := "--map " + m.text
		if err := find(flag, &m.to); err != nil {
			return err
		}
		for _, a := range m.to.addrs {
			if (a.IsLoopback() || slices.Contains(own, a)) && captures(specs, m.to.port) {
				return fmt.Errorf("%s: port %d of %v is captured on this host: it would write into production", flag, m.to.port, a)
			}
		}
	}
	return nil
}

// captures reports whether TCP sessions to a port are captured live.
func captures(specs []capture.Spec, port uint16) bool {
	return slices.ContainsFunc(specs, func(s capture.Spec) bool {
		return s.IsLive() && (slices.Contains(s.Ports, port) || len(s.Ports)+len(s.UDP) == 0)
	})
}

// ownAddresses returns those of the host's interfaces.
func ownAddresses() (own []netip.Addr, err error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list this host's addresses: %w", err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				own = append(own, ip.Unmap())
			}
		}
	}
	return own, nil
}

// open resolves what was asked for, with the host's own resolver.
func (e *egressFlags) open(ctx context.Context, specs []capture.Spec) error {
	if len(e.targets)+len(e.mapped) == 0 {
		return nil
	}
	own, err := ownAddresses()
	if err != nil {
		return err
	}
	return e.resolve(ctx, specs, func(ctx context.Context, host string) ([]netip.Addr, error) {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}, own)
}

// network says what the sandbox's network lets through. All of it is reached from
// this process' own namespace, the host's.
func (e *egressFlags) network(cfg *netsim.Config) {
	cfg.Refuse = e.egress == "refuse"
	if len(e.targets)+len(e.mapped) == 0 {
		return
	}
	cfg.Dial = func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, to.String())
	}
	if e.allowDNS {
		cfg.Names = make(map[string][]netip.Addr)
	}
	for i := range e.targets {
		t := &e.targets[i]
		for _, a := range t.addrs {
			cfg.Ways = append(cfg.Ways, netsim.Way{To: netip.AddrPortFrom(a, t.port), UDP: t.udp, Name: t.name()})
		}
		if key := strings.ToLower(strings.TrimSuffix(t.name(), ".")); e.allowDNS && key != "" {
			cfg.Names[key] = t.addrs
		}
	}
}

// serve opens the listeners of --map, and with --allow-dns those that stand for
// the host's loopback resolvers, unless the application is a resolver itself.
func (o *runOptions) serve(box *sandbox.Sandbox, n *netsim.Net) error {
	if err := o.serveMaps(box, n); err != nil || !o.allowDNS {
		return err
	}
	for _, port := range o.appPorts() {
		if port.Number == 53 {
			return nil
		}
	}
	conf, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return nil // then programs ask 127.0.0.1, or nobody
	}
	for _, at := range loopbackResolvers(string(conf)) {
		c, err := box.ListenPacket(at)
		if err != nil {
			return fmt.Errorf("--allow-dns: %w", err)
		}
		l, err := box.Listen(at)
		if err != nil {
			c.Close()
			return fmt.Errorf("--allow-dns: %w", err)
		}
		if err := n.ServeNames(c, l); err != nil {
			return err
		}
	}
	return nil
}

// loopbackResolvers returns the name servers of a resolv.conf(5) that are loopback
// addresses, each once.
func loopbackResolvers(conf string) (all []netip.AddrPort) {
	for line := range strings.Lines(conf) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		a, err := netip.ParseAddr(words[1])
		if at := netip.AddrPortFrom(a, 53); err == nil && a.IsLoopback() && !slices.Contains(all, at) {
			all = append(all, at)
		}
	}
	return all
}

// serveMaps opens the listeners of --map.
func (e *egressFlags) serveMaps(box *sandbox.Sandbox, n *netsim.Net) error {
	for i := range e.mapped {
		m := &e.mapped[i]
		l, err := box.Listen(m.at)
		if err != nil {
			return fmt.Errorf("--map %s: %w", m.text, err)
		}
		var to []netip.AddrPort
		for _, a := range m.to.addrs {
			to = append(to, netip.AddrPortFrom(a, m.to.port))
		}
		if err := n.Serve(l, to, m.to.name()); err != nil {
			return err
		}
	}
	return nil
}

// shutServer closes what was let through to a captured server, whose address is
// the application's from now on.
func (s *stand) shutServer(server netip.AddrPort) {
	if len(s.opt.targets)+len(s.opt.mapped) == 0 {
		return
	}
	for _, w := range s.net.Shut(server) {
		s.warn(fmt.Sprintf("nothing is let through to %v any more: it is a captured server, and to send to it would write into production", w.To))
	}
}
