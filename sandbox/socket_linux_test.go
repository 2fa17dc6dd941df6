package sandbox

import (
	"net/netip"
	"os"
	"testing"
)

// What Listen opens is inside, and nobody takes it for the application's.
func TestListenInside(t *testing.T) {
	box := newBox(t, Config{})
	at := netip.MustParseAddrPort("127.0.0.1:5432")
	l, err := box.Listen(at)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := box.Listen(at); err == nil {
		t.Error("listens twice on the same address")
	}
	c, err := box.ListenPacket(at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all := 0
	if err := box.askSockets(transports[0].number, 1<<stateListen, 0, func([]byte) { all++ }); err != nil || all != 1 {
		t.Errorf("%d sockets listen in the namespace, %v", all, err)
	}
	if found, err := (&App{box: box}).Listening(); err != nil || len(found) != 0 {
		t.Errorf("the application listens on %v, %v", found, err)
	}
	box.Close()
	if _, err := box.Listen(netip.MustParseAddrPort("127.0.0.1:1")); err == nil || os.IsExist(err) {
		t.Errorf("Listen after Close: %v", err)
	}
}
