package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Containment is the proof that nothing of the application's left unseen: all
// that its kernel sent came by one device, what was read there has one fate each,
// and there was no other way out. Of a packet that was let through only the bytes
// go on, by a connection of tcpsandbox's own.
type Containment struct {
	Packets int64 `json:"packets"` // read from the TUN device; those from Delivered to Malformed add up to it

	Delivered    int64 `json:"delivered"`    // to replayed sessions: the application's answers
	Late         int64 `json:"late"`         // of sessions that had ended
	Swallowed    int64 `json:"swallowed"`    // egress with the policy "drop"
	Refused      int64 `json:"refused"`      // egress with the policy "refuse"
	Allowed      int64 `json:"allowed"`      // egress with the policy "allow", but for what Egress.Loopback tells of
	Answered     int64 `json:"answered"`     // egress with the policy "answer", likewise
	Housekeeping int64 `json:"housekeeping"` // its kernel's own: neighbour discovery, multicast membership
	Malformed    int64 `json:"malformed"`    // cut short, or not of IP; dropped

	Dropped    int64    `json:"dropped"`    // beside them: by the device, which had no room for more
	Interfaces []string `json:"interfaces"` // that were up in the sandbox when the run ended
}

// bins lists the fates in the order of the text.
func (c *Containment) bins() []bin {
	return []bin{
		{word: "to its clients", n: c.Delivered},
		{word: "swallowed", n: c.Swallowed},
		{word: "refused", n: c.Refused},
		{word: "let through", n: c.Allowed},
		{word: "answered here", n: c.Answered},
		{word: "of ended sessions", n: c.Late},
		{word: "of its kernel's own", n: c.Housekeeping},
		{word: "malformed", n: c.Malformed},
	}
}

// Check returns a line for each contradiction: fates that do not add up to the
// packets, or to what the ledger of egress says.
func (c *Containment) Check(egress []Egress) (wrong []string) {
	var sum int64
	for _, b := range c.bins() {
		if b.n < 0 {
			wrong = append(wrong, fmt.Sprintf("%d packets are %s", b.n, b.word))
		}
		sum += b.n
	}
	if sum != c.Packets {
		wrong = append(wrong, fmt.Sprintf("%d packets from the application have a fate, %d were read", sum, c.Packets))
	}
	listed := make(map[string]int64)
	for i := range egress {
		if e := &egress[i]; !e.Loopback {
			listed[e.Policy] += e.Packets
		}
	}
	for _, of := range []struct {
		policy string
		n      int64
	}{{"drop", c.Swallowed}, {"refuse", c.Refused}, {"allow", c.Allowed}, {"answer", c.Answered}} {
		if listed[of.policy] != of.n {
			wrong = append(wrong, fmt.Sprintf("%d packets from the application have the policy %s, the egress ledger lists %d", of.n, of.policy, listed[of.policy]))
		}
	}
	return wrong
}

// ContainmentWords say in two sentences what became of the application's packets, and what that
// proves; empty where it is not known.
func (r *Result) ContainmentWords() (packets, proof string) {
	c := r.Containment
	if c == nil {
		return "", ""
	}
	packets = count(c.Packets, "packet") + " from the application"
	if fates := nonZero(c.bins()...); fates != "" {
		packets += ": " + strings.TrimPrefix(fates, ", ")
	}
	if c.Dropped > 0 {
		packets += fmt.Sprintf("; and %s dropped by the device", number(c.Dropped))
	}
	proof = "interfaces " + cmp.Or(printableString(strings.Join(c.Interfaces, ", ")), "not known") + ": "
	byLoopback := slices.ContainsFunc(r.Egress, func(e Egress) bool { return e.Loopback && e.Policy == "allow" })
	switch {
	case len(r.Defects) > 0 || len(c.Interfaces) == 0 || len(c.Check(r.Egress)) > 0:
		proof += "whether anything else left is not proven"
	case byLoopback:
		proof += "nothing left but what was let through, also by --map"
	case c.Allowed > 0:
		proof += "nothing left but what was let through"
	default:
		proof += "nothing left"
	}
	return packets, proof
}
