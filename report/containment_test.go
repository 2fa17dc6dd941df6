package report

import (
	"bytes"
	"strings"
	"testing"
)

// contained is a run whose packets are all accounted for.
func contained() *Result {
	return &Result{
		Egress: []Egress{
			{Proto: "tcp", Dst: "10.0.0.5", Port: 5432, Packets: 30, Policy: "drop"},
			{Proto: "udp", Dst: "10.0.0.6", Port: 53, Packets: 4, Policy: "drop"},
			{Proto: "udp", Dst: "10.0.0.6", Port: 53, Packets: 5, Policy: "refuse"},
			{Proto: "tcp", Dst: "10.0.0.7", Port: 443, Packets: 6, Policy: "allow"},
			{Proto: "tcp", Dst: "10.0.0.8", Port: 443, Packets: 100, Policy: "allow", Loopback: true},
			{Proto: "udp", Dst: "10.0.0.9", Port: 53, Packets: 7, Policy: "answer"},
			{Proto: "udp", Dst: "127.0.0.53", Port: 53, Packets: 200, Policy: "answer", Loopback: true},
		},
		Containment: &Containment{
			Packets: 1262, Delivered: 1200, Late: 8, Swallowed: 34, Refused: 5, Allowed: 6, Answered: 7, Housekeeping: 1, Malformed: 1,
			Interfaces: []string{"lo", "tun0"},
		},
	}
}

// Whatever counter is off, and in whatever direction, it is a defect.
func TestContainmentIsChecked(t *testing.T) {
	if got := contained().Check(); got != nil {
		t.Fatalf("%q", got)
	}
	for name, counter := range map[string]func(*Result) *int64{
		"packets":      func(r *Result) *int64 { return &r.Containment.Packets },
		"delivered":    func(r *Result) *int64 { return &r.Containment.Delivered },
		"late":         func(r *Result) *int64 { return &r.Containment.Late },
		"swallowed":    func(r *Result) *int64 { return &r.Containment.Swallowed },
		"refused":      func(r *Result) *int64 { return &r.Containment.Refused },
		"allowed":      func(r *Result) *int64 { return &r.Containment.Allowed },
		"answered":     func(r *Result) *int64 { return &r.Containment.Answered },
		"housekeeping": func(r *Result) *int64 { return &r.Containment.Housekeeping },
		"malformed":    func(r *Result) *int64 { return &r.Containment.Malformed },
		"the ledger":   func(r *Result) *int64 { return &r.Egress[1].Packets },
	} {
		for _, off := range []int64{-1, 1} {
			r := contained()
			*counter(r) += off
			got := r.Check()
			if len(got) == 0 {
				t.Errorf("%s is off by %d, and nobody noticed", name, off)
			}
			var b bytes.Buffer
			if err := r.Text(&b); err != nil {
				t.Fatal(err)
			}
			if text := b.String(); strings.Contains(text, "nothing left") {
				t.Errorf("%s is off by %d, and the text says:\n%s", name, off, text)
			}
		}
	}
	// What moves from one fate to another is noticed by the ledger.
	r := contained()
	r.Containment.Swallowed--
	r.Containment.Delivered++
	if got := r.Check(); len(got) != 1 || !strings.Contains(got[0], "33 packets from the application have the policy drop, the egress ledger lists 34") {
		t.Errorf("%q", got)
	}
}

func TestContainmentWords(t *testing.T) {
	for _, tt := range []struct {
		name           string
		r              *Result
		packets, proof string
	}{
		{"not known", &Result{}, "", ""},
		{"everything", contained(),
			"1,262 packets from the application: 1,200 to its clients, 34 swallowed, 5 refused, 6 let through, 7 answered here, 8 of ended sessions, 1 of its kernel's own, 1 malformed",
			"interfaces lo, tun0: nothing left but what was let through, also by --map"},
		{"nothing was sent", &Result{Containment: &Containment{Interfaces: []string{"lo", "tun0"}}},
			"0 packets from the application", "interfaces lo, tun0: nothing left"},
		{"nobody could look", &Result{Containment: &Containment{Packets: 1, Delivered: 1}},
			"1 packet from the application: 1 to its clients", "interfaces not known: whether anything else left is not proven"},
		{"let through", &Result{Egress: []Egress{{Packets: 6, Policy: "allow"}}, Containment: &Containment{Packets: 6, Allowed: 6, Dropped: 3, Interfaces: []string{"lo", "tun0"}}},
			"6 packets from the application: 6 let through; and 3 dropped by the device", "interfaces lo, tun0: nothing left but what was let through"},
		{"contradicted elsewhere", &Result{Containment: &Containment{Interfaces: []string{"lo", "eth0"}}, Defects: []string{"another interface"}},
			"0 packets from the application", "interfaces lo, eth0: whether anything else left is not proven"},
		{"nobody could tell", &Result{Containment: &Containment{Packets: 4, Delivered: 4}, Defects: []string{"the sandbox's keeper ended"}},
			"4 packets from the application: 4 to its clients", "interfaces not known: whether anything else left is not proven"},
	} {
		if packets, proof := tt.r.ContainmentWords(); packets != tt.packets || proof != tt.proof {
			t.Errorf("%s:\n%s\n%s\nwant\n%s\n%s", tt.name, packets, proof, tt.packets, tt.proof)
		}
	}
}
