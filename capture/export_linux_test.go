package capture

import (
	"testing"

	"golang.org/x/sys/unix"
)

// KernelPassed returns how many packets the kernel's filter has let through to
// a source of OpenLive so far. It may be called once.
func KernelPassed(t *testing.T, src Source) (packets int) {
	t.Helper()
	if m, ok := src.(*matching); ok {
		src = m.Source
	}
	err := src.(*live).conn.Control(func(fd uintptr) {
		s, err := unix.GetsockoptTpacketStatsV3(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
		if err != nil {
			t.Error(err)
			return
		}
		packets = int(s.Packets)
	})
	if err != nil {
		t.Error(err)
	}
	return packets
}

// FilteredLive is what OpenLive puts behind an interface.
var FilteredLive = filtered
