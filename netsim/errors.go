package netsim

import (
	"errors"
	"fmt"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// What can become of a connection. Dial and the methods of Conn return errors
// that wrap one of these.
var (
	ErrInUse   = errors.New("client address is still in use by an earlier connection to the same server")
	ErrRefused = errors.New("connection refused by the application")
	ErrReset   = errors.New("connection reset by the application")
	ErrTimeout = errors.New("connection timed out")
	ErrClosed  = errors.New("connection closed")
)

func translate(op string, err tcpip.Error) error {
	var cause error
	switch err.(type) {
	case *tcpip.ErrConnectionRefused:
		cause = ErrRefused
	case *tcpip.ErrConnectionReset, *tcpip.ErrConnectionAborted:
		cause = ErrReset
	case *tcpip.ErrTimeout:
		cause = ErrTimeout
	case *tcpip.ErrPortInUse, *tcpip.ErrBadLocalAddress, *tcpip.ErrDuplicateAddress:
		cause = ErrInUse
	case *tcpip.ErrClosedForSend, *tcpip.ErrClosedForReceive, *tcpip.ErrNotConnected, *tcpip.ErrAborted, *tcpip.ErrInvalidEndpointState:
		cause = ErrClosed
	default:
		cause = errors.New(err.String())
	}
	return fmt.Errorf("%s: %w", op, cause)
}
