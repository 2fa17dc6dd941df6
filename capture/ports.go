package capture

// portSet has a bit for each port.
type portSet [1 << 16 / 64]uint64

// portSets returns the sets of TCP ports (nil: all) and of UDP ports (nil: none).
func portSets(tcp, udp []uint16) (t, u *portSet) {
	t, u = newPortSet(tcp), newPortSet(udp)
	if t == nil && u != nil {
		t = new(portSet)
	}
	return t, u
}

func newPortSet(ports []uint16) *portSet {
	if len(ports) == 0 {
		return nil
	}
	set := new(portSet)
	for _, p := range ports {
		set[p/64] |= 1 << (p % 64)
	}
	return set
}

func (s *portSet) has(p uint16) bool { return s == nil || s[p/64]&(1<<(p%64)) != 0 }
