package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// DatagramQueues returns how many bytes, as the kernel counts them, the fullest
// of the UDP sockets on these ports has room for, and how many wait in all of them
// until the application reads them. An error, os.ErrNotExist where there is no such
// socket, means that it is not known.
func (s *Sandbox) DatagramQueues(ports []Port) (room, waiting int, err error) {
	found := false
	err = s.askSockets(unix.IPPROTO_UDP, 1<<stateClose|1<<stateEstablished, skMemInfo, func(msg []byte) {
		port, used, most, ok := parseQueue(msg)
		if !ok || !slices.Contains(ports, Port{port, true}) {
			return
		}
		waiting += used
		if room = min(room, most-used); !found {
			room, found = most-used, true
		}
	})
	if err == nil && !found {
		err = os.ErrNotExist
	}
	if err != nil {
		return 0, 0, fmt.Errorf("ask for the application's UDP sockets: %w", err)
	}
	return room, waiting, nil
}

// skMemInfo is INET_DIAG_SKMEMINFO of the kernel's include/uapi/linux/inet_diag.h.
const skMemInfo = 7

// parseQueue reads struct inet_diag_msg, of 72 bytes, for the local port, and the
// attribute behind it that tells of the socket's memory: what its receive queue
// takes, and what it may take.
func parseQueue(msg []byte) (port uint16, used, most int, ok bool) {
	const header = 72
	if len(msg) < header {
		return 0, 0, 0, false
	}
	port = binary.BigEndian.Uint16(msg[4:])
	for rest := msg[header:]; len(rest) >= 4; {
		length, kind := int(binary.NativeEndian.Uint16(rest)), binary.NativeEndian.Uint16(rest[2:])
		if length < 4 || length > len(rest) {
			return 0, 0, 0, false
		}
		if value := rest[4:length]; kind == skMemInfo && len(value) >= 8 {
			return port, int(binary.NativeEndian.Uint32(value)), int(binary.NativeEndian.Uint32(value[4:])), true
		}
		rest = rest[min(len(rest), (length+3)&^3):]
	}
	return 0, 0, 0, false
}

// DroppedDatagrams returns how many UDP datagrams the namespace's kernel threw
// away because the socket that they were for had no room, since New. What the
// application sent to itself counts, too.
func (s *Sandbox) DroppedDatagrams() (n int64, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return 0, fmt.Errorf("read the namespace's UDP counters: %w", os.ErrClosed)
	}
	told, _, err := s.keeper.ask(request{Dropped: true})
	return told.Dropped, err
}

// readDropped sums up the counters in a directory such as /proc/net.
func readDropped(dir string) (int64, error) {
	data, err := os.ReadFile(dir + "snmp")
	if err != nil {
		return 0, err
	}
	n := parseSNMP(string(data))
	data, err = os.ReadFile(dir + "snmp6")
	if errors.Is(err, fs.ErrNotExist) { // no IPv6 in this kernel
		return n, nil
	}
	return n + parseSNMP6(string(data)), err
}

// parseSNMP reads the format of /proc/net/snmp (proc_net(5)): for each protocol
// a line of names and a line of numbers.
func parseSNMP(table string) (n int64) {
	var names []string
	for line := range strings.Lines(table) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != "Udp:" {
			continue
		}
		for i := range min(len(names), len(words)) {
			n += dropped(names[i], words[i])
		}
		names = words
	}
	return n
}

// parseSNMP6 reads the format of /proc/net/snmp6: a name and a number a line.
func parseSNMP6(table string) (n int64) {
	for line := range strings.Lines(table) {
		if words := strings.Fields(line); len(words) == 2 && strings.HasPrefix(words[0], "Udp6") {
			n += dropped(strings.TrimPrefix(words[0], "Udp6"), words[1])
		}
	}
	return n
}

// dropped returns a counter's number if it counts datagrams for which there was
// no room, in the socket or for all sockets together; else 0.
func dropped(name, number string) int64 {
	if name != "RcvbufErrors" && name != "MemErrors" {
		return 0
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
