package sandbox

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Sandbox is a network namespace with a TUN device. Its methods may be called
// concurrently.
type Sandbox struct {
	mtu     int
	offload bool
	tun     *os.File
	ns      netns.NsHandle
	link    netlink.Link
	ipv6    bool
	// route changes the namespace's addresses, routes and rules from any
	// thread: its sockets were opened inside.
	route *netlink.Handle
	diag  *nl.SocketHandle // tells of sockets inside

	mu       sync.RWMutex
	local    map[netip.Addr]bool // addresses that are the namespace's own
	diverted map[Port]bool       // ports for which AllowLocalClient was called
	ours     []Listener          // those of Listen and ListenPacket
	warnings []string
	apps     []*App
	closed   bool
}

// New makes a namespace with a TUN device in it, all interfaces up, and
// default routes through the device. Nothing of it shows on the host. Errors
// that the user can mend are a *SetupError. The caller closes it.
func New(cfg Config) (*Sandbox, error) {
	if cfg.MTU == 0 {
		cfg.MTU = defaultMTU
	}
	if cfg.Name == "" {
		cfg.Name = defaultName
	}
	if cfg.MTU < 68 || cfg.MTU > 65535 { // RFC 791 §3.2: every host takes 68 bytes
		return nil, fmt.Errorf("set MTU %d: it must be 68 to 65535 bytes", cfg.MTU)
	}
	s := &Sandbox{
		mtu: cfg.MTU, ns: netns.None(),
		local: make(map[netip.Addr]bool), diverted: make(map[Port]bool),
	}
	done := make(chan error)
	onThread(func() { done <- s.setUp(cfg) })
	if err := <-done; err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// setUp runs on a thread that ends with it.
func (s *Sandbox) setUp(cfg Config) (err error) {
	if s.ns, err = netns.New(); err != nil {
		s.ns = netns.None()
		refused := &SetupError{Op: "make a network namespace", Err: err}
		if errors.Is(err, unix.EPERM) {
			refused.Err = fmt.Errorf("%w (it needs CAP_SYS_ADMIN and CAP_NET_ADMIN)", err)
			refused.Fix = privilegeFix()
		}
		return refused
	}
	if s.tun, s.offload, err = openTUN(cfg.Name, cfg.Plain); err != nil {
		return err
	}
	if s.route, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	diag, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_INET_DIAG)
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	s.diag = &nl.SocketHandle{Socket: diag}
	if err := s.loopbackUp(); err != nil {
		return err
	}
	if s.link, err = s.route.LinkByName(cfg.Name); err != nil {
		return fmt.Errorf("find %s: %w", cfg.Name, err)
	}
	if err := s.route.LinkSetMTU(s.link, cfg.MTU); err != nil {
		return fmt.Errorf("set MTU %d of %s: %w", cfg.MTU, cfg.Name, err)
	}
	if err := s.route.LinkSetTxQLen(s.link, tunQueue); err != nil {
		s.warn("set queue length of %s: %v", cfg.Name, err)
	}
	if _, err := os.Stat("/proc/sys/net/ipv6/conf/" + cfg.Name); err == nil {
		s.ipv6 = true
	} else {
		s.warn("no IPv6 here: the kernel has none, or the MTU is below 1280")
	}
	s.setSysctls(cfg.Name)
	if err := s.route.LinkSetUp(s.link); err != nil {
		return fmt.Errorf("set %s up: %w", cfg.Name, err)
	}
	return s.setRoutes(cfg.Name)
}

func (s *Sandbox) loopbackUp() error {
	lo, err := s.route.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := s.route.LinkSetUp(lo); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}

// setSysctls sets what the kernel would do otherwise and a replay cannot
// have. None is essential, so a refusal is a warning.
func (s *Sandbox) setSysctls(name string) {
	if err := writableSysctls(); err != nil {
		s.warn("%v", err)
	}
	settings := [][2]string{
		// Sessions come as fast as production's, and faster.
		{"net/core/somaxconn", "65535"},
		{"net/ipv4/tcp_max_syn_backlog", "65535"},
		// A replayed client port must not meet the TIME_WAIT of the session before.
		{"net/ipv4/tcp_max_tw_buckets", "0"},
		// Whoever sends a datagram to a port that nobody listens on is told each
		// time, not six times and then once a second. Bit 3 of the mask is
		// "destination unreachable" (icmp(7)); without it there is no limit.
		{"net/ipv4/icmp_ratemask", "0"},
		// Clients come from everywhere.
		{"net/ipv4/conf/all/rp_filter", "0"},
		{"net/ipv4/conf/default/rp_filter", "0"},
		{"net/ipv4/conf/" + name + "/rp_filter", "0"},
		// Clients from 127.0.0.0/8 and from production's own address.
		{"net/ipv4/conf/" + name + "/route_localnet", "1"},
		{"net/ipv4/conf/" + name + "/accept_local", "1"},
		// The application may bind production's address before the first
		// session brings it, and port 80 without privileges.
		{"net/ipv4/ip_nonlocal_bind", "1"},
		{"net/ipv4/ip_unprivileged_port_start", "0"},
	}
	if s.ipv6 {
		settings = append(settings, [][2]string{
			{"net/ipv6/conf/" + name + "/disable_ipv6", "0"},
			{"net/ipv6/conf/lo/disable_ipv6", "0"},
			{"net/ipv6/ip_nonlocal_bind", "1"},
			{"net/ipv6/icmp/ratemask", "0"}, // no limit but for type 0, which does not exist
			{"net/ipv6/conf/" + name + "/accept_dad", "0"},
			// No link-local address, no router solicitations: what leaves the
			// device is the application's.
			{"net/ipv6/conf/" + name + "/addr_gen_mode", "1"},
			{"net/ipv6/conf/" + name + "/accept_ra", "0"},
			{"net/ipv6/conf/" + name + "/router_solicitations", "0"},
		}...)
	}
	for _, setting := range settings {
		if err := sysctl(setting[0], setting[1]); err != nil {
			s.warn("set %s to %s: %v", setting[0], setting[1], errors.Unwrap(err))
		}
	}
}

func (s *Sandbox) setRoutes(name string) error {
	if err := s.addAddress(ownAddr4); err != nil {
		return err
	}
	if err := s.defaultRoute(netip.IPv4Unspecified(), unix.RT_TABLE_MAIN); err != nil {
		return err
	}
	if !s.ipv6 {
		return nil
	}
	if err := s.addAddress(ownAddr6); err != nil {
		return err
	}
	return s.defaultRoute(netip.IPv6Unspecified(), unix.RT_TABLE_MAIN)
}

func (s *Sandbox) defaultRoute(zero netip.Addr, table int) error {
	err := s.route.RouteReplace(&netlink.Route{
		LinkIndex: s.link.Attrs().Index,
		Dst:       &net.IPNet{IP: zero.AsSlice(), Mask: net.CIDRMask(0, zero.BitLen())},
		Scope:     netlink.SCOPE_LINK,
		Table:     table,
	})
	if err != nil {
		return fmt.Errorf("route %v/0 through %s: %w", zero, s.link.Attrs().Name, err)
	}
	return nil
}

// addAddress gives the device an address with no network around it.
func (s *Sandbox) addAddress(ip netip.Addr) error {
	host := &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(ip.BitLen(), ip.BitLen())}
	addr := &netlink.Addr{IPNet: host}
	if ip.Is6() {
		addr.Flags = unix.IFA_F_NODAD | unix.IFA_F_NOPREFIXROUTE
		// The kernel takes packets to a new IPv6 address only once a work
		// queue has come round to it; a SYN at once was lost. This route makes
		// it take them from now on.
		err := s.route.RouteReplace(&netlink.Route{
			LinkIndex: s.link.Attrs().Index, Dst: host, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL,
		})
		if err != nil {
			return fmt.Errorf("route %v here: %w", ip, err)
		}
	}
	err := s.route.AddrAdd(s.link, addr)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add address %v to %s: %w", ip, s.link.Attrs().Name, err)
	}
	s.local[ip] = true
	return nil
}

// AddServer makes ip, a production server's address, the namespace's own, so
// that the application answers from it and getsockname shows it. For an
// address that is there already it costs a map lookup under a read lock; call
// it for each session. 127.0.0.0/8 is always there. An address that cannot be
// a server's here (see Replayable) is an error.
func (s *Sandbox) AddServer(ip netip.Addr) error {
	ip = ip.Unmap().WithZone("")
	s.mu.RLock()
	known := s.local[ip] && !s.closed
	s.mu.RUnlock()
	if known || ip.Is4() && ip.IsLoopback() {
		return nil
	}
	if !unicast(ip) {
		return fmt.Errorf("add address %v: the kernel takes no packet to it from a TUN device", ip)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("add address %v: %w", ip, os.ErrClosed)
	}
	if s.local[ip] {
		return nil
	}
	if ip.Is6() && !s.ipv6 {
		return fmt.Errorf("add address %v: no IPv6 in the sandbox", ip)
	}
	return s.addAddress(ip)
}

// TUN returns the device's file, non-blocking and registered with the
// netpoller. Each Read is one packet the application sent, each Write one that
// it gets, with the header that Offload tells of. The sandbox owns it: Close
// closes it, which ends a Read that waits.
func (s *Sandbox) TUN() *os.File { return s.tun }

// Offload reports whether each packet in the TUN file carries a 10-byte
// virtio-net header (native byte order) and may be up to 64 KB long with its
// checksum unfinished, in both directions. If not there is no header, no
// packet is longer than the MTU, and checksums are complete.
func (s *Sandbox) Offload() bool { return s.offload }

// MTU returns the device's MTU in bytes.
func (s *Sandbox) MTU() int { return s.mtu }

// Warnings returns what this host did not let us set, which may make the
// replay less faithful.
func (s *Sandbox) Warnings() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.warnings)
}

func (s *Sandbox) warn(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warnings = append(s.warnings, fmt.Sprintf(format, args...))
}

// Close kills the applications that still run, closes the TUN file and gives
// the namespace up, which ends with the last process in it. It may race with
// every other method; later calls do nothing.
func (s *Sandbox) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	apps := s.apps
	s.mu.Unlock()

	var errs []error
	for _, a := range apps {
		if _, err := a.Stop(0); err != nil {
			errs = append(errs, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tun != nil {
		errs = append(errs, s.tun.Close())
	}
	if s.route != nil {
		s.route.Close()
	}
	if s.diag != nil {
		s.diag.Close()
	}
	if s.ns.IsOpen() {
		errs = append(errs, s.ns.Close())
	}
	return errors.Join(errs...)
}
