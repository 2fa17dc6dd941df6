package doctor

import (
	"encoding/binary"
	"net"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ReadHost reads what there is to read of this machine and this process. It
// makes nothing and changes nothing. Trials and looks are the caller's to add.
func ReadHost() *Host {
	h := &Host{
		Files: os.DirFS("/"), Writable: func(path string) bool { return unix.Access(path, unix.W_OK) == nil },
		OS: runtime.GOOS, Arch: runtime.GOARCH, UID: os.Geteuid(), Parent: os.Getppid(), CPUs: runtime.NumCPU(),
		OpenTUN: openTUN(), PacketSocket: openPacketSocket(),
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		h.Release = unix.ByteSliceToString(name.Release[:])
	}
	h.Program, _ = os.Executable()
	h.FileCaps = fileCapabilities(h.Program)
	h.Interfaces = interfaces()
	return h
}

// openTUN opens the device's file and closes it: there is no device before
// TUNSETIFF.
func openTUN() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// openPacketSocket opens one that hears nothing, for want of a protocol.
func openPacketSocket() error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// fileCapabilities returns what a program's file permits, a bit each: struct
// vfs_cap_data, little endian: magic, then permitted and inheritable, the lower
// 32 bits of each first.
func fileCapabilities(path string) uint64 {
	data := make([]byte, 64)
	n, err := unix.Getxattr(path, "security.capability", data)
	if err != nil || n < 12 {
		return 0
	}
	permitted := uint64(binary.LittleEndian.Uint32(data[4:]))
	if n >= 20 {
		permitted |= uint64(binary.LittleEndian.Uint32(data[12:])) << 32
	}
	return permitted
}

// Bits of ETHTOOL_GFLAGS (linux/ethtool.h).
const (
	flagRXVLAN = 1 << 8
	flagLRO    = 1 << 15
)

// interfaces lists those of this network namespace, by index.
func interfaces() (all []Interface) {
	found, _ := net.Interfaces()
	slices.SortFunc(found, func(a, b net.Interface) int { return a.Index - b.Index })
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
	}
	for _, f := range found {
		i := Interface{Name: f.Name, Up: f.Flags&net.FlagUp != 0}
		if gro, ok := ethtool(fd, f.Name, unix.ETHTOOL_GGRO); ok && err == nil {
			i.Known, i.GRO = true, gro != 0
			tso, _ := ethtool(fd, f.Name, unix.ETHTOOL_GTSO)
			gso, _ := ethtool(fd, f.Name, unix.ETHTOOL_GGSO)
			flags, _ := ethtool(fd, f.Name, unix.ETHTOOL_GFLAGS)
			i.TSO, i.GSO = tso != 0, gso != 0
			i.LRO, i.RXVLAN = flags&flagLRO != 0, flags&flagRXVLAN != 0
		}
		all = append(all, i)
	}
	return all
}

// ethtool asks a driver for one number (SIOCETHTOOL with a struct
// ethtool_value), which needs no privilege.
func ethtool(fd int, name string, command uint32) (uint32, bool) {
	value := struct{ command, data uint32 }{command: command}
	request := struct { // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [24 - unsafe.Sizeof(uintptr(0))]byte
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(&value)
	return value.data, errno == 0
}
