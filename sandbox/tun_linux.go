package sandbox

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/songgao/water"
	"golang.org/x/sys/unix"
)

const (
	tunPath = "/dev/net/tun"
	// vnetHeader is the length of struct virtio_net_hdr, in bytes: flags,
	// gso_type, hdr_len, gso_size, csum_start, csum_offset.
	vnetHeader = 10
	// tunQueue is how many packets the device holds while the reader is busy;
	// what comes beyond is dropped. With the kernel's default of 500 a burst
	// of 2,000 SYNs lost 1,500 of its SYN+ACKs (TestQueue). At 12,000 short
	// connections/s, some 48,000 packets/s, 8,192 is 170 ms of a busy reader.
	tunQueue = 8192
)

// openTUN makes a TUN device in the calling thread's network namespace. The
// file is non-blocking and registered with the netpoller. offload tells that
// packets carry a virtio-net header and may be up to 64 KB long; it is false
// if plain was asked for or the kernel knows nothing better.
func openTUN(name string, plain bool) (f *os.File, offload bool, err error) {
	if !plain {
		f, err = openOffload(name)
		if err == nil {
			return f, true, nil
		}
		if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTTY) {
			return nil, false, tunRefused(err)
		}
	}
	f, err = openPlain(name)
	if err != nil {
		return nil, false, tunRefused(err)
	}
	return f, false, nil
}

// openOffload opens the device so that the kernel leaves checksums and
// segmentation to us and takes unfinished packets from us. It was worth 8 times
// the throughput.
func openOffload(name string) (_ *os.File, err error) {
	fd, err := unix.Open(tunPath, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	req, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return nil, fmt.Errorf("make the device: %w", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, vnetHeader); err != nil {
		return nil, fmt.Errorf("set the header length: %w", err)
	}
	const features = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6
	if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, features); err != nil {
		return nil, fmt.Errorf("set offload: %w", err)
	}
	// Only now: a TUN file without a device reports an error to epoll.
	return os.NewFile(uintptr(fd), tunPath), nil
}

func openPlain(name string) (*os.File, error) {
	config := water.Config{DeviceType: water.TUN}
	config.Name = name
	// The library opens without O_CLOEXEC: no fork may happen in between.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	device, err := water.New(config)
	if err != nil {
		return nil, err
	}
	f, ok := device.ReadWriteCloser.(*os.File)
	if !ok {
		device.Close()
		return nil, fmt.Errorf("the device is a %T and not a file", device.ReadWriteCloser)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	err = raw.Control(func(fd uintptr) { unix.CloseOnExec(int(fd)) })
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// tunRefused looks into why there is no device and says what to do.
func tunRefused(err error) error {
	refused := &SetupError{Op: "open " + tunPath, Err: err}
	switch {
	case errors.Is(err, unix.ENOENT):
		refused.Fix = "sudo modprobe tun\nsudo mkdir -p /dev/net && sudo mknod -m 666 /dev/net/tun c 10 200\ndocker run --device /dev/net/tun …    # in a container"
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		refused.Fix = "sudo modprobe tun"
	case errors.Is(err, unix.EACCES):
		refused.Fix = "sudo chmod 666 /dev/net/tun    # opens nothing: a device needs CAP_NET_ADMIN besides"
	case errors.Is(err, unix.EPERM):
		refused.Fix = "docker run --device /dev/net/tun …    # in a container"
	}
	return refused
}
