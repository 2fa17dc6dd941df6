package netsim

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// With less memory fewer connections are let through at a time, and never so few
// that an application cannot do with them.
func TestCapacity(t *testing.T) {
	for _, tt := range []struct {
		memory    int64
		relays    int64
		exchanges int
	}{
		{0, maxRelays, maxExchanges}, {GateMemory, maxRelays, maxExchanges}, {1 << 40, maxRelays, maxExchanges},
		{GateMemory / 2, maxRelays / 2, maxExchanges / 2}, {1, 4, 4},
	} {
		relays, exchanges := capacity(tt.memory)
		if relays != tt.relays || exchanges != tt.exchanges {
			t.Errorf("%d bytes: %d connections, %d exchanges", tt.memory, relays, exchanges)
		}
	}
	for memory := int64(16 << 20); memory < GateMemory; memory *= 2 {
		if relays, exchanges := capacity(memory); relays*relayCost+int64(exchanges)*exchangeCost > memory {
			t.Errorf("%d bytes: %d connections and %d exchanges may hold more", memory, relays, exchanges)
		}
	}
}

// A connection over the bound is refused; when another has ended there is room.
func TestGateIsBounded(t *testing.T) {
	o := &outside{tcp: echo}
	w := newWorldWith(t, Config{Offload: true, Dial: o.dial, Ways: allowed, GateMemory: 1})
	var open []net.Conn
	for range 4 {
		c := w.mustCall(t, "tcp", other4.String())
		c.Write([]byte("x"))
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	if c, err := w.call("tcp", other4.String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a fifth connection: %v, %v", c, err)
	}
	open[0].Close()
	until(t, "there is room again", func() bool {
		c, err := w.call("tcp", other4.String())
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	for _, c := range open[1:] {
		c.Close()
	}
}
