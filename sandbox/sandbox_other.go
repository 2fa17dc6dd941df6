//go:build !linux

package sandbox

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

var errLinux = &SetupError{Op: "make a network namespace", Err: errors.ErrUnsupported, Fix: "run tcpsandbox on Linux"}

// Main does nothing here.
func Main() {}

// CheckCaps knows none here.
func CheckCaps([]string) error { return nil }

// Sandbox exists on Linux only.
type Sandbox struct{}

// New refuses.
func New(Config) (*Sandbox, error) { return nil, errLinux }

func (s *Sandbox) TUN() *os.File                                       { return nil }
func (s *Sandbox) Offload() bool                                       { return false }
func (s *Sandbox) MTU() int                                            { return 0 }
func (s *Sandbox) Rootless() bool                                      { return false }
func (s *Sandbox) Warnings() []string                                  { return nil }
func (s *Sandbox) AddServer(netip.Addr) error                          { return errLinux }
func (s *Sandbox) IsLocal(netip.Addr) bool                             { return false }
func (s *Sandbox) AllowLocalClient(Port) error                         { return errLinux }
func (s *Sandbox) DatagramQueues([]Port) (int, int, error)             { return 0, 0, errLinux }
func (s *Sandbox) DroppedDatagrams() (int64, error)                    { return 0, errLinux }
func (s *Sandbox) Start(context.Context, AppConfig) (*App, error)      { return nil, errLinux }
func (s *Sandbox) Listen(netip.AddrPort) (net.Listener, error)         { return nil, errLinux }
func (s *Sandbox) ListenPacket(netip.AddrPort) (net.PacketConn, error) { return nil, errLinux }
func (s *Sandbox) Enclosed() (Enclosure, error)                        { return Enclosure{}, errLinux }
func (s *Sandbox) Close() error                                        { return nil }
func (s *Sandbox) StandAside() error                                   { return errLinux }
func (s *Sandbox) StandBack() error                                    { return errLinux }

// App exists on Linux only.
type App struct{}

func (a *App) Pid() int                               { return 0 }
func (a *App) Listening() ([]Listener, error)         { return nil, errLinux }
func (a *App) Exited() <-chan struct{}                { return nil }
func (a *App) Status() ExitStatus                     { return ExitStatus{} }
func (a *App) Stop(time.Duration) (ExitStatus, error) { return ExitStatus{}, errLinux }
func (a *App) LastLines() []string                    { return nil }
func (a *App) WaitListen(context.Context, time.Duration, []Port) ([]Listener, error) {
	return nil, errLinux
}
