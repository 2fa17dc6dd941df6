//go:build !linux

package capture

import (
	"errors"
	"runtime"
)

// OpenLive refuses: live capture needs Linux' packet sockets.
func OpenLive(iface string, _ LiveConfig) (Source, error) {
	return nil, &liveError{
		iface: iface,
		err:   errors.New("live capture needs Linux, this is " + runtime.GOOS),
		hint:  "capture with tcpdump and read its file: tcpdump -i " + iface + " -s 0 -w shop.pcap",
	}
}
