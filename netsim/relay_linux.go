package netsim

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// segments returns the TCP segments that came and went on a connection of the
// kernel's (TCP_INFO, tcp(7)); not ok: it does not tell.
func segments(c net.Conn) (in, out uint32, ok bool) {
	socket, is := c.(syscall.Conn)
	if !is {
		return 0, 0, false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, 0, false
	}
	raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			in, out, ok = info.Segs_in, info.Segs_out, true
		}
	})
	return in, out, ok
}
