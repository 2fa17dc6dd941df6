package sandbox

import (
	"encoding/binary"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// diag is a netlink socket that was opened inside the namespace, and so tells of
// the sockets there whoever asks (sock_diag(7)). It takes no privilege.
type diag struct {
	file *os.File

	mu  sync.Mutex
	seq uint32
	buf []byte // of answers
}

// openDiag opens one in the namespace of the calling thread.
func openDiag() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, os.NewSyscallError("open netlink socket", err)
	}
	// The kernel answers at once; whatever happens nobody waits for good.
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2})
	return os.NewFile(uintptr(fd), "sock_diag"), nil
}

// ask has the kernel list a protocol's sockets in some states (a bit each), with
// an attribute unless it is 0. msg is valid during the call.
func (d *diag) ask(protocol uint8, states uint32, attribute int, each func(msg []byte)) error {
	raw, err := d.file.SyscallConn()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		// struct nlmsghdr; then struct inet_diag_req_v2: family, protocol,
		// attributes, padding, states, then a socket id that names none.
		d.seq++
		ask := make([]byte, unix.NLMSG_HDRLEN+56)
		binary.NativeEndian.PutUint32(ask, uint32(len(ask)))
		binary.NativeEndian.PutUint16(ask[4:], unix.SOCK_DIAG_BY_FAMILY)
		binary.NativeEndian.PutUint16(ask[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
		binary.NativeEndian.PutUint32(ask[8:], d.seq)
		body := ask[unix.NLMSG_HDRLEN:]
		body[0], body[1] = family, protocol
		if attribute > 0 {
			body[2] = 1 << (attribute - 1)
		}
		binary.NativeEndian.PutUint32(body[4:], states)
		failed := raw.Control(func(fd uintptr) { err = d.dump(int(fd), ask, each) })
		if failed != nil {
			return failed
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dump sends a question and reads the answers to it, which may come in several
// packets of several messages each (netlink(7)).
func (d *diag) dump(fd int, ask []byte, each func(msg []byte)) error {
	if err := unix.Sendto(fd, ask, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	if d.buf == nil {
		d.buf = make([]byte, 64<<10) // the kernel's packets of a dump are 32 KB at most
	}
	for {
		n, _, err := unix.Recvfrom(fd, d.buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if done, err := readDump(d.buf[:n], d.seq, each); done || err != nil {
			return err
		}
	}
}

// readDump reads one packet of the answers to question seq, and reports whether
// it was the last.
func readDump(packet []byte, seq uint32, each func(msg []byte)) (done bool, err error) {
	for len(packet) >= unix.NLMSG_HDRLEN {
		length := int(binary.NativeEndian.Uint32(packet))
		if length < unix.NLMSG_HDRLEN || length > len(packet) {
			return false, unix.EBADMSG
		}
		kind, to := binary.NativeEndian.Uint16(packet[4:]), binary.NativeEndian.Uint32(packet[8:])
		body := packet[unix.NLMSG_HDRLEN:length]
		packet = packet[min(len(packet), (length+3)&^3):]
		switch {
		case to != seq: // an earlier question's, which was given up
		case kind == unix.NLMSG_DONE, kind == unix.NLMSG_ERROR:
			if len(body) >= 4 {
				if errno := -int32(binary.NativeEndian.Uint32(body)); errno != 0 {
					return true, unix.Errno(errno)
				}
			}
			return true, nil
		default:
			each(body)
		}
	}
	return false, nil
}
