package doctor

import (
	"fmt"
	"strings"
)

// offloads tells what an interface does to packets before they are captured.
func (h *Host) offloads(i Interface) Check {
	c := Check{Name: "interface", On: i.Name, Status: OK, Found: "up"}
	if !i.Up {
		c.Found = "down"
	}
	if !i.Known {
		c.Found += "; its offload settings cannot be read"
		return c
	}
	var on []string
	for _, f := range []struct {
		name string
		set  bool
	}{{"GRO", i.GRO}, {"LRO", i.LRO}, {"TSO", i.TSO}, {"GSO", i.GSO}, {"RXVLAN", i.RXVLAN}} {
		if f.set {
			on = append(on, f.name)
		}
	}
	if len(on) > 0 {
		c.Found += ", " + strings.Join(on, ", ")
	} else {
		c.Found += ", no offloads"
	}
	var means []string
	if i.GRO || i.TSO || i.GSO {
		means = append(means, "packets are captured as large as 64 KB, which is expected")
	}
	if i.RXVLAN {
		means = append(means, "VLAN tags beside them, too")
	}
	c.Means = strings.Join(means, "; ")
	if i.LRO {
		c.Status = Warning
		c.Means = "LRO merges packets of different acknowledgements: what a client had seen when it asked is known less exactly"
		c.Fix = "sudo ethtool -K " + quote(i.Name) + " lro off"
	}
	return c
}

// traffic judges what a source showed.
func (h *Host) traffic(l Look) Check {
	c := Check{Name: "traffic", On: l.Source, Status: OK}
	if l.Failed != "" {
		c.Status, c.Found, c.Means, c.Fix = Missing, l.Failed, "run --capture "+l.Source+" fails", l.Fix
		if l.Denied {
			c.Fix = h.privilegeFix()
		}
		if c.Fix == "" {
			c.Fix = "ip link    # lists the interfaces"
		}
		return c
	}
	c.Found = fmt.Sprintf("%d packets, %d sessions, %d bytes to and %d from the server in %v", l.Packets, l.Sessions, l.ToServer, l.ToClient, l.For)
	port, any := "", "any"
	if name := interfaceOf(l.Source); name != l.Source {
		port = l.Source[len(name)+1:]
		any += ":" + port
	}
	switch {
	case l.Packets == 0:
		c.Status = Warning
		c.Means = "nobody spoke, or the traffic is elsewhere: on another interface or port, or in another network namespace"
		c.Fix = "sudo tcpdump -c 10 -n -i any    # which interface and port is it?"
		if port != "" && !strings.HasPrefix(l.Source, "any") {
			c.Fix = "sudo tcpsandbox doctor --capture " + quote(any) + "    # is it on another interface?"
		}
	case l.Sessions == 0:
		c.Status = Warning
		c.Means = "none of them belongs to a connection that a server accepted"
		c.Fix = "sudo tcpsandbox doctor --capture " + quote(interfaceOf(l.Source)) + "    # all of TCP there"
	case l.TLS > 0:
		c.Status = Warning
		c.Found += fmt.Sprintf("; %d sessions are TLS", l.TLS)
		c.Means = "TLS is replayed as the bytes it is, and the application's handshake fails"
		c.Fix = "sudo tcpsandbox run --capture lo:8080 …    # behind the proxy that ends TLS: its interface and port"
	case l.Drops > 0:
		c.Status = Warning
		c.Found += fmt.Sprintf("; the kernel dropped %d packets", l.Drops)
		c.Means = "more comes than can be taken here; what is dropped is counted, and lost to the replay"
		c.Fix = "tcpsandbox run --max-cpu 2 …, or a part of it by --filter 'src net 10.0.0.0/9'"
	case !l.Servers && l.Clients:
		c.Status = Warning
		c.Means = "only the clients' direction passes here: it can be replayed, but there are no answers to compare with"
		c.Fix = "mirror both directions of the port, or capture on the server itself"
	case l.Servers && !l.Clients:
		c.Status = Warning
		c.Means = "only the server's direction passes here: there is nothing to replay"
		c.Fix = "mirror both directions of the port, or capture on the server itself"
	}
	return c
}

// interfaceOf returns a source without its ports: a name may have colons.
func interfaceOf(source string) string {
	if colon := strings.LastIndexByte(source, ':'); colon >= 0 {
		return source[:colon]
	}
	return source
}
