package sandbox

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
)

// Sandbox is a network namespace with a TUN device. Its methods may be called
// concurrently.
//
// The namespace is held by the keeper, this program again, which alone has the
// rights to change it. What is here is what need not ask.
type Sandbox struct {
	mtu     int
	offload bool
	ipv6    bool
	keeper  *keeper
	tun     *os.File
	diag    *diag // tells of sockets inside

	mu       sync.RWMutex
	local    map[netip.Addr]bool // addresses that are the namespace's own
	diverted map[Port]bool       // ports for which AllowLocalClient was called
	ours     []Listener          // those of Listen and ListenPacket
	warnings []string
	apps     []*App
	closed   bool
}

// New makes a namespace with a TUN device in it, all interfaces up, and
// default routes through the device. Nothing of it shows on the host. It takes
// CAP_SYS_ADMIN and CAP_NET_ADMIN; who has not got them gets a user namespace,
// in which only their own user exists, see Rootless. Once New has returned,
// neither this Sandbox nor what it starts needs any privilege of this process.
// Errors that the user can mend are a *SetupError. The caller closes it.
func New(cfg Config) (*Sandbox, error) {
	if cfg.MTU == 0 {
		cfg.MTU = defaultMTU
	}
	if cfg.Name == "" {
		cfg.Name = defaultName
	}
	if cfg.MTU < 68 || cfg.MTU > 65535 { // RFC 791 §3.2: every host takes 68 bytes
		return nil, fmt.Errorf("set MTU %d: it must be 68 to 65535 bytes", cfg.MTU)
	}
	s := &Sandbox{
		mtu: cfg.MTU, diverted: make(map[Port]bool),
		local: map[netip.Addr]bool{ownAddr4: true},
	}
	var err error
	if s.keeper, err = startKeeper(); err != nil {
		return nil, err
	}
	told, files, err := s.keeper.ask(request{Network: &cfg})
	if err == nil && len(files) != 2 {
		err = fmt.Errorf("make the sandbox: %d files came from the keeper, not 2", len(files))
	}
	if err != nil {
		closeAll(files)
		s.keeper.end()
		return nil, s.keeper.restricted(err)
	}
	s.tun, s.diag = files[0], &diag{file: files[1]}
	s.offload, s.ipv6, s.warnings = told.Offload, told.IPv6, told.Warnings
	if s.ipv6 {
		s.local[ownAddr6] = true
	}
	return s, nil
}

// Rootless reports whether the sandbox is in a user namespace, for want of
// privileges: the application runs as the invoking user, and no other exists.
func (s *Sandbox) Rootless() bool { return s.keeper.rootless }

// StandAside gives this process, and all that it starts from now on, a tenth of the
// share of the processors that another control group has, until StandBack or Close. It
// is a courtesy: the error says why the host does not let it.
func (s *Sandbox) StandAside() error { return s.stand(standAside) }

// StandBack leaves the processors to whoever else wants them: this process, and all
// that it starts from now on, and has started since StandAside, gets the time that
// nobody does, until StandAside or Close. The kernel then prefers whoever wakes up
// elsewhere to all of it, which a niceness does not bring about between sessions or
// control groups. An application is best started before. Errors are StandAside's.
func (s *Sandbox) StandBack() error { return s.stand(standBack) }

func (s *Sandbox) stand(where string) error {
	_, _, err := s.keeper.ask(request{Stand: where})
	return err
}

// AddServer makes ip, a production server's address, the namespace's own, so
// that the application answers from it and getsockname shows it. For an
// address that is there already it costs a map lookup under a read lock; call
// it for each session. 127.0.0.0/8 is always there. An address that cannot be
// a server's here (see Replayable) is an error.
func (s *Sandbox) AddServer(ip netip.Addr) error {
	ip = ip.Unmap().WithZone("")
	s.mu.RLock()
	known := s.local[ip] && !s.closed
	s.mu.RUnlock()
	if known || ip.Is4() && ip.IsLoopback() {
		return nil
	}
	if !unicast(ip) {
		return fmt.Errorf("add address %v: the kernel takes no packet to it from a TUN device", ip)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("add address %v: %w", ip, os.ErrClosed)
	}
	if s.local[ip] {
		return nil
	}
	if ip.Is6() && !s.ipv6 {
		return fmt.Errorf("add address %v: no IPv6 in the sandbox", ip)
	}
	asked := ip // the copy is on the heap; ip must not be, for those that are known
	if _, _, err := s.keeper.ask(request{Server: &asked}); err != nil {
		return err
	}
	s.local[ip] = true
	return nil
}

// TUN returns the device's file, non-blocking and registered with the
// netpoller. Each Read is one packet the application sent, each Write one that
// it gets, with the header that Offload tells of. The sandbox owns it: Close
// closes it, which ends a Read that waits.
func (s *Sandbox) TUN() *os.File { return s.tun }

// Offload reports whether each packet in the TUN file carries a 10-byte
// virtio-net header (native byte order) and may be up to 64 KB long with its
// checksum unfinished, in both directions. If not there is no header, no
// packet is longer than the MTU, and checksums are complete.
func (s *Sandbox) Offload() bool { return s.offload }

// MTU returns the device's MTU in bytes.
func (s *Sandbox) MTU() int { return s.mtu }

// Warnings returns what this host did not let us set, which may make the
// replay less faithful.
func (s *Sandbox) Warnings() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.warnings)
}

func (s *Sandbox) isClosed() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.closed
}

func (s *Sandbox) warn(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warnings = append(s.warnings, fmt.Sprintf(format, args...))
}

// Close kills the applications that still run, ends the keeper and closes the
// TUN file: nothing holds the namespace then. It may race with every other
// method; later calls do nothing.
func (s *Sandbox) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	apps := s.apps
	s.mu.Unlock()

	var errs []error
	for _, a := range apps {
		if _, err := a.Stop(0); err != nil {
			errs = append(errs, err)
		}
	}
	// Not before the application's end: it shall not see a network that is gone.
	s.keeper.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	errs = append(errs, s.tun.Close(), s.diag.file.Close())
	return errors.Join(errs...)
}
