package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// attempt is one way out; an error is that it is shut.
type attempt struct {
	name string
	try  func() error
}

// attempts returns all of them. host is a process outside, hidden a folder that
// the sandbox hides. None does harm where it succeeds, but inside.
func attempts(host int, hidden string) []attempt {
	return []attempt{
		{"enter the namespace of process 1", func() error { return enter("/proc/1/ns/net") }},
		{"enter the namespace of a host's process", func() error { return enter(fmt.Sprintf("/proc/%d/ns/net", host)) }},
		{"enter a network namespace at all", func() error { return enter("/proc/self/ns/net") }},
		{"enter the mounts of process 1", func() error { return enterAs("/proc/1/ns/mnt", unix.CLONE_NEWNS) }},
		{"enter the user namespace of process 1", func() error { return enterAs("/proc/1/ns/user", unix.CLONE_NEWUSER) }},
		{"enter the process namespace of process 1", func() error { return enterAs("/proc/1/ns/pid", unix.CLONE_NEWPID) }},
		{"enter another namespace by its process", enterByProcess},
		{"kill process 1", func() error { return outlive(unix.SIGKILL) }},
		{"stop process 1", func() error { return outlive(unix.SIGSTOP) }},
		{"signal a host's process", func() error { return unix.Kill(host, 0) }},
		{"be root of a user namespace by unshare", func() error { return unix.Unshare(unix.CLONE_NEWUSER) }},
		{"be root of a user namespace by clone", cloneUser},
		{"be root of a user namespace by clone3", func() error { return call(unix.SYS_CLONE3, 0, 0, 0) }},
		{"a network of its own", func() error { return unix.Unshare(unix.CLONE_NEWNET) }},

		{"trace process 1", func() error { return unix.PtraceAttach(1) }},
		{"read the memory of process 1", readMemory},
		{"take a file of process 1", takeFile},
		{"write to the memory of process 1", func() error { return openToWrite("/proc/1/mem") }},
		{"look at a file of process 1", func() error { _, err := os.Readlink("/proc/1/fd/0"); return err }},
		{"the root of process 1", func() error { _, err := os.ReadDir("/proc/1/root/"); return err }},

		{"mount", func() error { return unix.Mount("tmpfs", "/mnt", "tmpfs", 0, "") }},
		{"mount by fsopen", func() error {
			name, _ := unix.BytePtrFromString("tmpfs")
			return call(unix.SYS_FSOPEN, ptr(name), 0, 0)
		}},
		{"unmount what hides a folder", func() error { return unix.Unmount(hidden, unix.MNT_DETACH) }},
		{"find something in a hidden folder", func() error { return find(hidden) }},
		{"write to a hidden folder", func() error { return os.WriteFile(hidden+"/new", nil, 0o600) }},
		{"open a file by its handle", openByHandle},

		{"a TUN device", tunDevice},
		{"an address", func() error { return onLink(addAddress) }},
		{"a route", addRoute},
		{"a link set down", func() error { return onLink(netlink.LinkSetDown) }},
		{"the link in a host's namespace", func() error { return onLink(func(l netlink.Link) error { return netlink.LinkSetNsPid(l, host) }) }},
		{"the loopback set up again", func() error {
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				return err
			}
			return netlink.LinkSetUp(lo)
		}},
		{"a device of the host", func() error { return socketOn("eth0") }},
		{"another link", func() error {
			return netlink.LinkAdd(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "hostile0"}})
		}},
		{"a raw socket", func() error { return socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) }},
		{"a raw IPv6 socket", func() error { return socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6) }},
		{"a packet socket", func() error { return socket(unix.AF_PACKET, unix.SOCK_RAW, 0) }},
		{"a packet socket of datagrams", func() error { return socket(unix.AF_PACKET, unix.SOCK_DGRAM, 0x300) }},
		{"a socket of the kernel's ciphers", func() error { return socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0) }},
		{"a socket of Bluetooth", func() error { return socket(unix.AF_BLUETOOTH, unix.SOCK_RAW, 1) }},
		{"a socket of the kernel's audit", func() error { return auditSocket() }},
		{"a socket to the hypervisor", func() error { return socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0) }},

		// Opened, not written: these are the machine's.
		{"what the kernel runs after a crash", func() error { return openToWrite("/proc/sys/kernel/core_pattern") }},
		{"the kernel's emergency keys", func() error { return openToWrite("/proc/sysrq-trigger") }},
		{"a setting of the kernel's memory", func() error { return openToWrite("/sys/kernel/mm/transparent_hugepage/enabled") }},
		{"a control group", func() error { return openToWrite("/sys/fs/cgroup/cgroup.procs") }},
		{"what the kernel runs when a control group is empty", func() error { return openToWrite("/sys/fs/cgroup/release_agent") }},
		{"what the kernel runs to load a module", func() error { return openToWrite("/proc/sys/kernel/modprobe") }},
		{"forwarding between interfaces", func() error { return openToWrite("/proc/sys/net/ipv4/ip_forward") }},
		{"the kernel's memory", func() error { return openToWrite("/dev/mem") }},
		{"the machine's ports", func() error { return openToWrite("/dev/port") }},
		{"a device of its own making", makeDevice},
		{"another root", func() error { return unix.Chroot("/proc/1/root") }},

		{"bpf", func() error { return call(unix.SYS_BPF, 0, 0, 0) }},
		{"io_uring", func() error { var p [120]byte; return call(unix.SYS_IO_URING_SETUP, 1, ptr(&p[0]), 0) }},
		{"userfaultfd", func() error { return call(unix.SYS_USERFAULTFD, 1, 0, 0) }},
		{"userfaultfd by its device", faultsByDevice},
		{"perf events", perfEvents},
		{"a keyring", func() error {
			_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_KEYRING, true)
			return err
		}},
		{"load a module", func() error { return call(unix.SYS_FINIT_MODULE, ^uintptr(0), 0, 0) }},
		{"load another kernel", func() error { return call(unix.SYS_KEXEC_FILE_LOAD, ^uintptr(0), ^uintptr(0), 0) }},
		{"press a key", func() error { key := byte('x'); return call(unix.SYS_IOCTL, 0, unix.TIOCSTI, ptr(&key)) }},
	}
}

func ptr(p *byte) uintptr { return uintptr(unsafe.Pointer(p)) }

// call is a system call; what it opens stays open, and dies with the process.
func call(number, a, b, c uintptr) error {
	if _, _, errno := unix.Syscall(number, a, b, c); errno != 0 {
		return errno
	}
	return nil
}

func openToWrite(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		f.Close()
	}
	return err
}

func enter(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Setns(fd, unix.CLONE_NEWNET)
}

func enterAs(path string, kind int) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Setns(fd, kind)
}

// enterByProcess enters by a file that stands for a process, which needs no /proc.
func enterByProcess() error {
	pidfd, err := unix.PidfdOpen(1, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	return unix.Setns(pidfd, unix.CLONE_NEWNET|unix.CLONE_NEWNS)
}

// outlive sends a signal to process 1. The kernel takes it and gives it to nobody,
// where 1 is the sender's own.
func outlive(sig syscall.Signal) error {
	if err := unix.Kill(1, sig); err != nil {
		return err
	}
	stat, err := os.ReadFile("/proc/1/stat")
	if err != nil {
		return nil // it is dead, and so are we
	}
	if i := bytes.LastIndexByte(stat, ')'); i > 0 && bytes.IndexByte([]byte("TtZX"), stat[i+2]) < 0 {
		return unix.EPERM
	}
	return nil
}

// inherited looks for files that whoever started us left open, and returns the
// first. The Go runtime has some of its own, which it opens anew.
func inherited() (file string, err error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		own := strings.HasPrefix(target, "/proc/") || strings.HasPrefix(target, "/sys/fs/cgroup/") ||
			target == "anon_inode:[eventpoll]" || target == "anon_inode:[eventfd]"
		if number, _ := strconv.Atoi(e.Name()); err == nil && number > 2 && !own {
			return target, nil
		}
	}
	return "", unix.EBADF
}

// socketOn opens a socket that sends by an interface, whatever the routes are.
func socketOn(device string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.BindToDevice(fd, device)
}

// auditSocket writes to the kernel's log of security events, which no namespace
// holds.
func auditSocket() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	const status, acknowledge = 1000, unix.NLM_F_REQUEST | unix.NLM_F_ACK // AUDIT_GET
	request := make([]byte, 16)
	binary.NativeEndian.PutUint32(request, 16)
	binary.NativeEndian.PutUint16(request[4:], status)
	binary.NativeEndian.PutUint16(request[6:], acknowledge)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 256)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	if n >= 20 && binary.NativeEndian.Uint16(answer[4:]) == unix.NLMSG_ERROR {
		if errno := int32(binary.NativeEndian.Uint32(answer[16:])); errno != 0 {
			return syscall.Errno(-errno)
		}
	}
	return nil
}

func faultsByDevice() error {
	fd, err := unix.Open("/dev/userfaultfd", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	const create = 0xaa00 // USERFAULTFD_IOC_NEW
	return call(unix.SYS_IOCTL, uintptr(fd), create, unix.O_CLOEXEC)
}

// makeDevice makes a name for the kernel's memory.
func makeDevice() error {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("hostile-device-%d", os.Getpid()))
	err := unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 1)))
	if err == nil {
		os.Remove(path)
	}
	return err
}

func cloneUser() error {
	c := exec.Command("/bin/true")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
	return c.Run()
}

func readMemory() error {
	var word [8]byte
	here := []unix.Iovec{{Base: &word[0], Len: 8}}
	there := []unix.RemoteIovec{{Base: 0x400000, Len: 8}}
	_, err := unix.ProcessVMReadv(1, here, there, 0)
	return err
}

func takeFile() error {
	pidfd, err := unix.PidfdOpen(1, 0)
	if err != nil {
		return err
	}
	_, err = unix.PidfdGetfd(pidfd, 3, 0)
	return err
}

func find(folder string) error {
	entries, err := os.ReadDir(folder)
	if err == nil && len(entries) == 0 {
		return unix.ENOENT
	}
	return err
}

func openByHandle() error {
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, "/etc", 0)
	if err != nil { // a file system without handles
		handle = unix.NewFileHandle(1, make([]byte, 8))
	}
	at, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	_, err = unix.OpenByHandleAt(at, handle, unix.O_RDONLY)
	return err
}

func tunDevice() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	request, err := unix.NewIfreq("hostile%d")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	return unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
}

// onLink does something to the sandbox's device.
func onLink(deed func(netlink.Link) error) error {
	link, err := netlink.LinkByName("tun0")
	if err != nil {
		return fmt.Errorf("no tun0: %v", err) // unclear, not refused
	}
	return deed(link)
}

func addAddress(link netlink.Link) error {
	return netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(192, 0, 2, 9).To4(), Mask: net.CIDRMask(32, 32)}})
}

func addRoute() error {
	return onLink(func(link netlink.Link) error {
		return netlink.RouteAdd(&netlink.Route{
			LinkIndex: link.Attrs().Index,
			Dst:       &net.IPNet{IP: net.IPv4(192, 0, 2, 0).To4(), Mask: net.CIDRMask(24, 32)},
		})
	})
}

func socket(family, kind, protocol int) error {
	_, err := unix.Socket(family, kind, protocol)
	return err
}

func perfEvents() error {
	attr := &unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})), Bits: unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv}
	_, err := unix.PerfEventOpen(attr, 0, -1, -1, 0)
	return err
}
