package capture

// Selector keeps the packets of some ports, as the kernel's filter does
// for a live source: for writing part of a file to another.
type Selector struct {
	ports *portSet
	udp   *portSet
	seg   segment
	ip    ipInfo
}

// Selector returns a selector of the spec's ports, inside tunnels too if those
// are wanted; without any port all TCP is kept.
func (s Spec) Selector(tunnels bool) *Selector {
	tcp, udp := portSets(s.Ports, s.UDP)
	return &Selector{ports: tcp, udp: udp, ip: ipInfo{plain: !tunnels}}
}

// Keep moves the packets to keep to the front of the batch and returns them.
// IP fragments are kept whatever their port, which only the first has.
// It is not safe for concurrent use.
func (s *Selector) Keep(batch []Packet) []Packet {
	kept := batch[:0]
	for _, p := range batch {
		_, v := decode(p.Data, p.OrigLen, p.Link, &s.seg, &s.ip)
		if v == isFragment ||
			v == isTCP && (s.ports.has(s.seg.srcPort) || s.ports.has(s.seg.dstPort)) ||
			v == isUDP && s.udp != nil && (s.udp.has(s.seg.srcPort) || s.udp.has(s.seg.dstPort)) {
			kept = append(kept, p)
		}
	}
	return kept
}
