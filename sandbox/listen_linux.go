package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// stateListen is TCP_LISTEN of the kernel's include/net/tcp_states.h.
const stateListen = 10

// Listening returns the addresses on which TCP sockets of the namespace
// listen, sorted. That of [::] takes IPv4 too unless the application forbade
// it.
func (a *App) Listening() ([]netip.AddrPort, error) {
	all, err := a.box.askListening()
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) {
		all, err = readListening(a.init) // a kernel without inet_diag
	}
	if err != nil {
		return nil, fmt.Errorf("read the application's sockets: %w", err)
	}
	slices.SortFunc(all, netip.AddrPort.Compare)
	return slices.Compact(all), nil
}

// askListening asks the kernel for listening sockets only (sock_diag(7)):
// 50 µs, where reading /proc/net/tcp took 8 ms, because the kernel then walks
// the table of all connections of all namespaces.
func (s *Sandbox) askListening() ([]netip.AddrPort, error) {
	s.mu.RLock()
	socket, closed := s.diag, s.closed
	s.mu.RUnlock()
	if closed {
		return nil, os.ErrClosed
	}
	var found []netip.AddrPort
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		ask := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
		ask.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_INET_DIAG: socket}
		// struct inet_diag_req_v2: family, protocol, extensions, padding,
		// states, then a socket id that names none.
		body := make([]byte, 56)
		body[0], body[1] = family, unix.IPPROTO_TCP
		binary.NativeEndian.PutUint32(body[4:], 1<<stateListen)
		ask.AddRawData(body)
		answers, err := ask.Execute(unix.NETLINK_INET_DIAG, 0)
		if err != nil {
			return nil, err
		}
		for _, answer := range answers {
			if addr, ok := parseDiag(answer); ok {
				found = append(found, addr)
			}
		}
	}
	return found, nil
}

// parseDiag reads struct inet_diag_msg: family, state, timer, retransmissions,
// then the socket id with both ports and the local address, of 16 bytes for
// either family.
func parseDiag(msg []byte) (addr netip.AddrPort, ok bool) {
	if len(msg) < 24 || msg[1] != stateListen {
		return addr, false
	}
	length := 4
	if msg[0] == unix.AF_INET6 {
		length = 16
	}
	ip, ok := netip.AddrFromSlice(msg[8 : 8+length])
	return netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(msg[4:])), ok
}

// readListening reads the socket tables of a process' namespace.
func readListening(pid int) ([]netip.AddrPort, error) {
	var all []netip.AddrPort
	for _, table := range []string{"tcp", "tcp6"} {
		f, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if table == "tcp6" && errors.Is(err, fs.ErrNotExist) {
			continue // no IPv6 in this kernel
		}
		if err != nil {
			return nil, err
		}
		found, err := parseListening(f)
		f.Close()
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// parseListening reads the format of /proc/net/tcp (proc_net(5)): the second
// column is the local address, the fourth the state in hexadecimal. Lines that look otherwise
// are passed over.
func parseListening(r io.Reader) ([]netip.AddrPort, error) {
	var found []netip.AddrPort
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		columns := bytes.Fields(lines.Bytes())
		if len(columns) < 4 || string(columns[3]) != "0A" {
			continue
		}
		if addr, ok := parseSocketAddr(columns[1]); ok {
			found = append(found, addr)
		}
	}
	return found, lines.Err()
}

// parseSocketAddr reads "0100007F:0050": each 32 bits of the address as a
// number in the machine's byte order, the port as a number.
func parseSocketAddr(text []byte) (addr netip.AddrPort, ok bool) {
	host, port, ok := bytes.Cut(text, []byte(":"))
	if !ok {
		return addr, false
	}
	n, err := strconv.ParseUint(string(port), 16, 16)
	if err != nil {
		return addr, false
	}
	raw, err := hex.DecodeString(string(host))
	if err != nil {
		return addr, false
	}
	for i := 0; i+4 <= len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	ip, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), ok
}

// WaitListen waits until the application listens on one of the ports, or on
// any if none is named, and returns its sockets on those ports. It fails with
// *ExitedError when the application ends first, with *NotListeningError after
// the time-out, and with ctx's error.
func (a *App) WaitListen(ctx context.Context, timeout time.Duration, ports []uint16) ([]Listener, error) {
	expired := time.NewTimer(timeout)
	defer expired.Stop()
	for {
		begin := time.Now()
		listening, err := a.Listening()
		// Where asking is slow, ask less: never for more than a tenth of a CPU.
		again := time.After(max(listenPoll, 10*time.Since(begin)))
		if found := wanted(listening, ports); len(found) > 0 {
			return found, nil
		}
		// A table that cannot be read belongs to an application that ended.
		select {
		case <-a.exited:
			return nil, &ExitedError{Command: a.name, Status: a.Status(), Lines: a.LastLines()}
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %s to listen: %w", a.name, context.Cause(ctx))
		case <-expired.C:
			if err != nil {
				return nil, err
			}
			return nil, &NotListeningError{
				Command: a.name, Wanted: ports, Listening: listening, Waited: timeout, Lines: a.LastLines(),
			}
		case <-again:
		}
	}
}

func wanted(listening []netip.AddrPort, ports []uint16) []Listener {
	var found []Listener
	for _, addr := range listening {
		if len(ports) == 0 || slices.Contains(ports, addr.Port()) {
			found = append(found, Listener{Addr: addr, LoopbackOnly: addr.Addr().IsLoopback()})
		}
	}
	return found
}
