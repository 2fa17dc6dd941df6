package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netns"
)

// DroppedDatagrams returns how many UDP datagrams the namespace's kernel threw
// away because the socket that they were for had no room, since New. What the
// application sent to itself counts, too.
func (s *Sandbox) DroppedDatagrams() (n int64, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock() // Close waits, and leaves the handle alone
	if s.closed {
		return 0, fmt.Errorf("read the namespace's UDP counters: %w", os.ErrClosed)
	}
	done := make(chan struct{})
	onThread(func() {
		defer close(done)
		if err = netns.Set(s.ns); err == nil {
			n, err = readDropped("/proc/thread-self/net/")
		}
	})
	<-done
	if err != nil {
		return 0, fmt.Errorf("read the namespace's UDP counters: %w", err)
	}
	return n, nil
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
