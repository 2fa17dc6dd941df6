package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
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
		{"signal a host's process", func() error { return unix.Kill(host, 0) }},
		{"be root of a user namespace by unshare", func() error { return unix.Unshare(unix.CLONE_NEWUSER) }},
		{"be root of a user namespace by clone", cloneUser},
		{"be root of a user namespace by clone3", func() error { return call(unix.SYS_CLONE3, 0, 0, 0) }},
		{"a network of its own", func() error { return unix.Unshare(unix.CLONE_NEWNET) }},

		{"trace process 1", func() error { return unix.PtraceAttach(1) }},
		{"read the memory of process 1", readMemory},
		{"take a file of process 1", takeFile},
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
		{"another link", func() error {
			return netlink.LinkAdd(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "hostile0"}})
		}},
		{"a raw socket", func() error { return socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) }},
		{"a raw IPv6 socket", func() error { return socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6) }},
		{"a packet socket", func() error { return socket(unix.AF_PACKET, unix.SOCK_RAW, 0) }},
		{"a socket to the hypervisor", func() error { return socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0) }},

		// Opened, not written: these are the machine's.
		{"what the kernel runs after a crash", func() error { return openToWrite("/proc/sys/kernel/core_pattern") }},
		{"the kernel's emergency keys", func() error { return openToWrite("/proc/sysrq-trigger") }},
		{"a setting of the kernel's memory", func() error { return openToWrite("/sys/kernel/mm/transparent_hugepage/enabled") }},
		{"a control group", func() error { return openToWrite("/sys/fs/cgroup/cgroup.procs") }},

		{"bpf", func() error { return call(unix.SYS_BPF, 0, 0, 0) }},
		{"io_uring", func() error { var p [120]byte; return call(unix.SYS_IO_URING_SETUP, 1, ptr(&p[0]), 0) }},
		{"userfaultfd", func() error { return call(unix.SYS_USERFAULTFD, 1, 0, 0) }},
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
