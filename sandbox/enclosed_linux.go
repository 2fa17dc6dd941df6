package sandbox

import (
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Enclosed asks the kernel what the namespace consists of at this moment. It is an
// error if anything but the TUN device could carry a packet out of it: another
// interface that is up, a route through one, a default route that is not the TUN
// device's. Interfaces that are down are not: where the tunnel modules are
// loaded, every new namespace has some (tunl0, sit0), which nobody can delete.
func (s *Sandbox) Enclosed() (Enclosure, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return Enclosure{}, fmt.Errorf("look at the sandbox's interfaces: %w", os.ErrClosed)
	}
	told, _, err := s.keeper.ask(request{Enclosed: true})
	return told.Enclosure, err
}

// enclosed is Enclosed by a netlink socket of the namespace. only is the TUN device.
func enclosed(route *netlink.Handle, only netlink.Link) (e Enclosure, err error) {
	links, err := route.LinkList()
	if err != nil {
		return e, fmt.Errorf("list the sandbox's interfaces: %w", err)
	}
	names := make(map[int]string)
	for _, l := range links {
		a := l.Attrs()
		names[a.Index] = a.Name
		if a.Flags&net.FlagUp == 0 {
			continue
		}
		e.Interfaces = append(e.Interfaces, a.Name)
		switch {
		case a.Index == only.Attrs().Index:
			if a.Statistics != nil {
				e.Dropped = a.Statistics.TxDropped
			}
		case a.Flags&net.FlagLoopback == 0:
			err = fmt.Errorf("the sandbox has another interface than lo and %s that is up: %s", only.Attrs().Name, a.Name)
		}
	}
	if err != nil {
		return e, err
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		// The filter's table is "any", where without a filter it is "main".
		routes, err := route.RouteListFiltered(family, new(netlink.Route), netlink.RT_FILTER_TABLE)
		if err != nil {
			return e, fmt.Errorf("list the sandbox's routes: %w", err)
		}
		for i := range routes {
			if err := leadsNowhere(&routes[i], only, names); err != nil {
				return e, err
			}
		}
	}
	return e, nil
}

// leadsNowhere returns an error for a route that goes elsewhere than to the TUN
// device, or to the namespace itself.
func leadsNowhere(r *netlink.Route, only netlink.Link, names map[int]string) error {
	hops := []int{r.LinkIndex}
	for _, h := range r.MultiPath {
		hops = append(hops, h.LinkIndex)
	}
	ones := -1
	if r.Dst != nil {
		ones, _ = r.Dst.Mask.Size()
	}
	for _, index := range hops {
		switch {
		case index == only.Attrs().Index, index == 0: // of a route with several hops, or that refuses
		case names[index] != "lo", ones <= 0 && r.Type == unix.RTN_UNICAST:
			return fmt.Errorf("the sandbox has a route that is not through %s: %v through %s", only.Attrs().Name, r.Dst, names[index])
		}
	}
	return nil
}
