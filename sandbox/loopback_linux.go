package sandbox

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A client may have an address that is the namespace's own: 127.0.0.1 when
// production was captured on lo, or the production host's address when it
// talked to itself. The application's answers to such a client would stay
// inside, because the kernel asks the table of local addresses first:
//
//	before: 0 local table  32766 main  32767 default
//	after:  0 from port P  10 local table  32766 main  32767 default
//	          └▶ table 100: default dev tun0
const (
	divertTable   = 100
	localPriority = 10
)

// IsLocal reports whether ip is an address of the namespace itself, so that
// sessions of a client with this address need AllowLocalClient.
func (s *Sandbox) IsLocal(ip netip.Addr) bool {
	ip = ip.Unmap()
	if ip.IsLoopback() {
		return true
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.local[ip.WithZone("")]
}

// AllowLocalClient sends everything that leaves a port, on which the
// application listens, through the TUN device, even what goes to an address of
// the namespace itself. Without it a client for whom IsLocal holds gets no
// answer. Its price: the application cannot connect to itself on that port any
// more, the answers leave too. So call it when the first such client is seen.
// Called again it costs a map lookup under a read lock.
func (s *Sandbox) AllowLocalClient(port Port) error {
	s.mu.RLock()
	known := s.diverted[port] && !s.closed
	s.mu.RUnlock()
	if known {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("divert answers from port %v: %w", port, os.ErrClosed)
	}
	if s.diverted[port] {
		return nil
	}
	asked := port
	if _, _, err := s.keeper.ask(request{Divert: &asked}); err != nil {
		return err
	}
	s.diverted[port] = true
	return nil
}

// divert sends the answers from a port through the TUN device, see
// AllowLocalClient.
func (n *network) divert(port Port) error {
	if n.diverted[port] {
		return nil
	}
	families := map[int]netip.Addr{unix.AF_INET: netip.IPv4Unspecified()}
	if n.ipv6 {
		families[unix.AF_INET6] = netip.IPv6Unspecified()
	}
	for family, zero := range families {
		if len(n.diverted) == 0 {
			if err := n.demoteLocal(family, zero); err != nil {
				return err
			}
		}
		rule := netlink.NewRule()
		rule.Family = family
		rule.Priority = 0
		rule.Table = divertTable
		rule.IPProto = unix.IPPROTO_TCP
		if port.UDP {
			rule.IPProto = unix.IPPROTO_UDP
		}
		rule.Sport = netlink.NewRulePortRange(port.Number, port.Number)
		// Only what is sent from here: a packet from the TUN device whose
		// client uses the same port number is for us.
		rule.IifName = "lo"
		if err := n.route.RuleAdd(rule); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("divert answers from port %v: %w", port, err)
		}
	}
	n.diverted[port] = true
	return nil
}

// demoteLocal makes room before the rule for local addresses and fills the
// table that comes first then. The rule is added before the old one is
// deleted: there is no moment without.
func (n *network) demoteLocal(family int, zero netip.Addr) error {
	if err := n.defaultRoute(zero, divertTable); err != nil {
		return err
	}
	rule := netlink.NewRule()
	rule.Family = family
	rule.Table = unix.RT_TABLE_LOCAL
	rule.Priority = localPriority
	if err := n.route.RuleAdd(rule); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add rule for local addresses: %w", err)
	}
	rule.Priority = 0
	if err := n.route.RuleDel(rule); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("delete rule for local addresses: %w", err)
	}
	return nil
}
