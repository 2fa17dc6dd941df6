package sandbox

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The keeper is this program again, between us and what needs privileges:
//
//	parent ──── requests ────▶ keeper ──── starts ────▶ init ── application
//	       ◀─ answers, files ─ its namespace            (see init_linux.go)
//
// It is born in the network namespace, so each of its threads is there, and the
// namespace needs no name. The parent may then give up all that it may do. In
// order: it hears its first request and makes the network, and answers
// requests until the parent is gone. When it ends, for whatever reason, the
// kernel kills the init processes that it started, and nothing holds the
// namespace any more.
//
// It takes 2.1 MB of memory, beside 16 MB of the program's own pages that it
// shares with us, and 10 ms of CPU for its start and end. A new address by it
// took as long as without it, 0.3 to 0.6 ms on busy cores.
const (
	// keeperName is its argv[0]. It takes the socket besides to be the keeper.
	keeperName = "tcpsandbox-keeper"
	keeperFD   = 3
)

type keeperState struct {
	parent *line
	net    *network // nil before the first request
	// rootless: it is in a user namespace in which one user exists.
	rootless bool
	warnings []string // for the next reply
	origins  origins  // of the host's processes
	tun      *os.File // of the network; see holdOpen
	stands   bool     // the run stands aside, or back
	aside    *asideGroup

	mu    sync.Mutex
	inits map[int]*exec.Cmd // that run, by process id
	fared map[int]outcome   // of those with limits that have ended, until asked for
}

// runKeeper returns when the parent is gone.
func runKeeper() error {
	// What our parent's parent left open, such as a pipe, is not ours to hold.
	// Before Linux 5.9 it stays.
	unix.CloseRange(keeperFD+1, ^uint(0), 0)
	unix.CloseOnExec(keeperFD)
	// The kernel forgot it if the exec gave capabilities. The end of the socket
	// tells, too, but not while an answer is made.
	unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
	parent, err := newLine(os.NewFile(keeperFD, "parent"), true)
	if err != nil {
		return fmt.Errorf("open the parent's socket: %w", err)
	}
	k := &keeperState{parent: parent, rootless: loneUser(), inits: make(map[int]*exec.Cmd), fared: make(map[int]outcome)}
	defer func() { k.aside.leave() }()
	ppid := os.Getppid()
	k.origins.look("/proc")
	if err := keepNeeded(); err != nil {
		return err
	}
	for {
		var what request
		if _, err := parent.receive(&what); err != nil {
			k.outlive(ppid)
			return nil
		}
		if what.End {
			return nil
		}
		k.warnings = nil
		told, files, err := k.answer(&what)
		told.Failed, told.Warnings = faultOf(err), k.warnings
		err = parent.send(told, files...)
		closeAll(files)
		if err != nil {
			return nil
		}
	}
}

// loneUser reports whether one user exists in our user namespace: a privileged
// one has a map for all (user_namespaces(7)).
func loneUser() bool {
	lines, err := os.ReadFile("/proc/self/uid_map")
	var inside, outside, count uint64
	if _, scanned := fmt.Sscan(string(lines), &inside, &outside, &count); err != nil || scanned != nil {
		return false
	}
	return count == 1 && strings.Count(string(lines), "\n") == 1
}

func (k *keeperState) warn(format string, args ...any) {
	k.warnings = append(k.warnings, fmt.Sprintf(format, args...))
}

// answer does what is asked. The files are to be sent and closed.
func (k *keeperState) answer(what *request) (told reply, files []*os.File, err error) {
	if (what.Network == nil) == (k.net == nil) {
		return told, nil, fmt.Errorf("the network is to be made first, and once")
	}
	switch {
	case what.Network != nil:
		return k.makeNetwork(*what.Network)
	case what.Server != nil:
		return told, nil, k.addServer(*what.Server)
	case what.Divert != nil:
		return told, nil, k.net.divert(*what.Divert)
	case what.Listen != nil:
		f, err := listen(*what.Listen)
		if err != nil {
			return told, nil, err
		}
		return told, []*os.File{f}, nil
	case what.Dropped:
		told.Dropped, err = readDropped("/proc/thread-self/net/")
		return told, nil, err
	case what.Enclosed:
		told.Enclosure, err = enclosed(k.net.route, k.net.link)
		return told, nil, err
	case what.Stand == standAside, what.Stand == standBack:
		return told, nil, k.stand(map[string]int{standAside: asideShare, standBack: backShare}[what.Stand])
	case what.Start != nil:
		return k.start(what.Start)
	case what.Kill != 0:
		k.mu.Lock()
		defer k.mu.Unlock()
		if init := k.inits[what.Kill]; init != nil {
			init.Process.Kill()
		}
		return told, nil, nil
	case what.Fared != 0:
		k.mu.Lock()
		defer k.mu.Unlock()
		if fared, ok := k.fared[what.Fared]; ok {
			told.Fared = &fared
			delete(k.fared, what.Fared)
		}
		return told, nil, nil
	}
	return told, nil, fmt.Errorf("the keeper does not know what is asked of it")
}

// stand has the run stand aside, and then back, or aside again.
func (k *keeperState) stand(percent int) (err error) {
	if !k.stands {
		if k.aside, err = hostGroups(os.Getppid()).standAside(); err != nil {
			return err
		}
		k.stands = true
		k.hearOfDeath(os.Getppid())
	}
	return k.aside.stand(percent)
}

// hearOfDeath has the keeper told that its parent dies, in place of being killed.
func (k *keeperState) hearOfDeath(parent int) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, unix.SIGTERM)
	unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGTERM), 0, 0, 0)
	if os.Getppid() != parent {
		syscall.Exit(1)
	}
	go func() {
		<-told
		k.outlive(parent)
		k.aside.leave()
		signal.Reset(unix.SIGTERM)
		unix.Kill(os.Getpid(), unix.SIGTERM)
	}()
}

// outlive ends all when the parent was killed. Who ends where he gets no processor
// takes seconds for that, and has locks of the kernel's meanwhile; the first of the
// parent's threads that ends gives us word.
func (k *keeperState) outlive(parent int) {
	k.aside.stand(fullShare)
	k.mu.Lock()
	for _, init := range k.inits {
		init.Process.Kill()
	}
	k.mu.Unlock()
	for end := time.Now().Add(groupWait); os.Getppid() == parent && time.Now().Before(end); {
		time.Sleep(2 * time.Millisecond)
	}
}

func (k *keeperState) makeNetwork(cfg Config) (told reply, files []*os.File, err error) {
	var tun *os.File
	if k.net, tun, told.Offload, err = makeNetwork(cfg, k.warn); err != nil {
		return told, nil, err
	}
	told.IPv6 = k.net.ipv6
	sockets, err := openDiag()
	if err != nil {
		tun.Close()
		return told, nil, err
	}
	k.holdOpen(tun)
	return told, []*os.File{tun, sockets}, nil
}

// holdOpen keeps the device open for as long as we live. Whoever closes it last holds
// the lock of all network interfaces, the host's as well, until it is gone: for 1 to
// 4 s in a run that was killed while it stood back on a full host.
func (k *keeperState) holdOpen(tun *os.File) {
	raw, err := tun.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		if n, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			k.tun = os.NewFile(uintptr(n), "tun")
		}
	})
}

func (k *keeperState) addServer(ip netip.Addr) error {
	if !unicast(ip) || ip.Zone() != "" || ip.Is4In6() {
		return fmt.Errorf("add address %v: it is no server's", ip)
	}
	return k.net.addAddress(ip)
}

// listen opens a socket in the namespace.
func listen(at Listener) (*os.File, error) {
	if at.UDP {
		c, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp", at.Addr.String())
		if err != nil {
			return nil, err
		}
		defer c.Close()
		return c.(*net.UDPConn).File()
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", at.Addr.String())
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return l.(*net.TCPListener).File()
}
