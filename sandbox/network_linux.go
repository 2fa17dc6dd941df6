package sandbox

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// network is the namespace as the keeper sees it: from inside. It is for one
// goroutine.
type network struct {
	link     netlink.Link // the TUN device
	route    *netlink.Handle
	ipv6     bool
	diverted map[Port]bool
	warn     func(format string, args ...any)
}

// makeNetwork fills the namespace that this process is in: the TUN device, whose
// file is the caller's, settings, addresses, and default routes through the
// device.
func makeNetwork(cfg Config, warn func(format string, args ...any)) (_ *network, tun *os.File, offload bool, err error) {
	n := &network{diverted: make(map[Port]bool), warn: warn}
	if tun, offload, err = openTUN(cfg.Name, cfg.Plain); err != nil {
		return nil, nil, false, err
	}
	if err := n.setUp(cfg); err != nil {
		tun.Close()
		return nil, nil, false, err
	}
	return n, tun, offload, nil
}

func (n *network) setUp(cfg Config) (err error) {
	if n.route, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	if err := n.loopbackUp(); err != nil {
		return err
	}
	if n.link, err = n.route.LinkByName(cfg.Name); err != nil {
		return fmt.Errorf("find %s: %w", cfg.Name, err)
	}
	if err := n.route.LinkSetMTU(n.link, cfg.MTU); err != nil {
		return fmt.Errorf("set MTU %d of %s: %w", cfg.MTU, cfg.Name, err)
	}
	if err := n.route.LinkSetTxQLen(n.link, tunQueue); err != nil {
		n.warn("set queue length of %s: %v", cfg.Name, err)
	}
	if _, err := os.Stat("/proc/sys/net/ipv6/conf/" + cfg.Name); err == nil {
		n.ipv6 = true
	} else {
		n.warn("no IPv6 here: the kernel has none, or the MTU is below 1280")
	}
	// On a thread of its own: a /proc that it may have to mount is nobody
	// else's.
	done := make(chan struct{})
	onThread(func() {
		defer close(done)
		n.setSysctls(cfg.Name)
	})
	<-done
	if err := n.route.LinkSetUp(n.link); err != nil {
		return fmt.Errorf("set %s up: %w", cfg.Name, err)
	}
	return n.setRoutes()
}

func (n *network) loopbackUp() error {
	lo, err := n.route.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := n.route.LinkSetUp(lo); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}

// setSysctls sets what the kernel would do otherwise and a replay cannot
// have. None is essential, so a refusal is a warning.
func (n *network) setSysctls(name string) {
	if err := writableSysctls(); err != nil {
		n.warn("%v", err)
	}
	n.raiseBacklog()
	settings := [][2]string{
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
	if n.ipv6 {
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
			n.warn("set %s to %s: %v", setting[0], setting[1], errors.Unwrap(err))
		}
	}
}

// enoughBacklog is what a network namespace has since Linux 5.4; before it was 128.
const enoughBacklog = 4096

// raiseBacklog lets more connections wait for the application to accept them, since
// sessions come as fast as production's, and faster. Some kernels keep that from user
// namespaces, such as Debian 12's 6.1.
func (n *network) raiseBacklog() {
	err := sysctl("net/core/somaxconn", "65535")
	if err == nil {
		return
	}
	if most, err := backlog(); err == nil && most >= enoughBacklog {
		return
	}
	n.warn("set net/core/somaxconn to 65535: %v", errors.Unwrap(err))
}

// backlog returns how many connections may wait to be accepted in the calling thread's
// network namespace, whatever a server asks for, as the kernel tells of a listening
// socket (tcpi_sacked; ss(8) shows it as Send-Q).
func backlog() (most int, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if err := unix.Listen(fd, math.MaxInt32); err != nil {
		return 0, err
	}
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, err
	}
	return int(info.Sacked), nil
}

func (n *network) setRoutes() error {
	if err := n.addAddress(ownAddr4); err != nil {
		return err
	}
	if err := n.defaultRoute(netip.IPv4Unspecified(), unix.RT_TABLE_MAIN); err != nil {
		return err
	}
	if !n.ipv6 {
		return nil
	}
	if err := n.addAddress(ownAddr6); err != nil {
		return err
	}
	return n.defaultRoute(netip.IPv6Unspecified(), unix.RT_TABLE_MAIN)
}

func (n *network) defaultRoute(zero netip.Addr, table int) error {
	err := n.route.RouteReplace(&netlink.Route{
		LinkIndex: n.link.Attrs().Index,
		Dst:       &net.IPNet{IP: zero.AsSlice(), Mask: net.CIDRMask(0, zero.BitLen())},
		Scope:     netlink.SCOPE_LINK,
		Table:     table,
	})
	if err != nil {
		return fmt.Errorf("route %v/0 through %s: %w", zero, n.link.Attrs().Name, err)
	}
	return nil
}

// addAddress gives the device an address with no network around it.
func (n *network) addAddress(ip netip.Addr) error {
	host := &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(ip.BitLen(), ip.BitLen())}
	addr := &netlink.Addr{IPNet: host}
	if ip.Is6() {
		addr.Flags = unix.IFA_F_NODAD | unix.IFA_F_NOPREFIXROUTE
		// The kernel takes packets to a new IPv6 address only once a work
		// queue has come round to it; a SYN at once was lost. This route makes
		// it take them from now on.
		err := n.route.RouteReplace(&netlink.Route{
			LinkIndex: n.link.Attrs().Index, Dst: host, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL,
		})
		if err != nil {
			return fmt.Errorf("route %v here: %w", ip, err)
		}
	}
	err := n.route.AddrAdd(n.link, addr)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add address %v to %s: %w", ip, n.link.Attrs().Name, err)
	}
	return nil
}
