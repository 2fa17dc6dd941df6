//go:build !linux

package netsim

import (
	"errors"
	"fmt"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	virtioHeader = 10
	smallPacket  = 2048
	maxPacket    = 1 << 16
)

// link exists on Linux only.
type link struct {
	stack.LinkEndpoint
	gate  *gate
	stack stack.NetworkDispatcher
	tun   interface{ Read([]byte) (int, error) }
}

func newLink(*Net, Config) (*link, error) {
	return nil, fmt.Errorf("attach to a TUN device: %w", errors.ErrUnsupported)
}

func (l *link) read() error           { return errors.ErrUnsupported }
func (l *link) interrupt()            {}
func (l *link) writeRaw([]byte) error { return errors.ErrUnsupported }
