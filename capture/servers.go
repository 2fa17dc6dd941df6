package capture

// endpoint is an address and a port, of one transport protocol.
type endpoint struct{ hi, lo, port uint64 }

// maxServers bounds what is remembered of servers. A scan leaves its targets
// there too; then all is forgotten, and learned again.
const maxServers = 1 << 16

// learn notes that a flow's server is one, for connections to it that have no
// SYN in the capture.
func (a *Assembler) learn(f *flow) {
	e := f.key.end(!f.clientHi)
	if e == a.learned {
		return
	}
	a.learned = e
	if _, ok := a.servers[e]; ok {
		return
	}
	if a.servers == nil || len(a.servers) >= maxServers {
		a.servers = make(map[endpoint]struct{})
	}
	a.servers[e] = struct{}{}
}

// end returns the higher or the lower endpoint.
func (k *flowKey) end(higher bool) endpoint {
	if higher {
		return endpoint{k.hiHi, k.hiLo, k.ports &^ 0xffff0000}
	}
	return endpoint{k.loHi, k.loLo, k.ports>>16&0xffff | k.ports&udpKey}
}

// toServer guesses the direction of a segment whose connection's beginning was
// not captured: by the ports that are asked for, else by what was learned of
// its endpoints, else the lower port is the server's. An equal one makes the
// receiver the server.
func (a *Assembler) toServer(s *segment, ports *portSet) bool {
	if ports != nil {
		if src, dst := ports.has(s.srcPort), ports.has(s.dstPort); src != dst {
			return dst
		}
	}
	_, src := a.servers[s.key.end(s.flipped)]
	_, dst := a.servers[s.key.end(!s.flipped)]
	if src != dst {
		return dst
	}
	return s.dstPort <= s.srcPort
}
