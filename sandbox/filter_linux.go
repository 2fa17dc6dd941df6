//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The filter of system calls (seccomp(2)) is the second lock on doors that
// missing capabilities keep shut already, and the only one on those that an
// ordinary user may open: user namespaces, in which everybody is root, the
// kernel's younger and wider interfaces, and sockets that no network namespace
// holds. What it refuses fails as on a kernel or for a user without it, so a
// program that has another way takes that.

// Where the kernel puts what the program looks at: struct seccomp_data. Of the
// arguments it reads the low halves, which come first on these machines; the
// kernel itself looks at no more of them.
const (
	atCall = 0
	atArch = 4
	atArgs = 16
)

// userfaultfdNew is USERFAULTFD_IOC_NEW of linux/userfaultfd.h, _IO(0xAA, 0).
const userfaultfdNew = 0xaa00

// x32 marks the calls of amd64's third set.
const x32 = 0x40000000

// namespaceFlags of clone(2) and unshare(2). CLONE_NEWTIME is one of unshare's
// only: to clone it is a part of the signal's number.
const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// refusedCalls fail with EPERM, whatever their arguments are.
var refusedCalls = []uint32{
	// Another namespace, another's memory, another's files.
	unix.SYS_SETNS, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV,
	unix.SYS_PIDFD_GETFD, unix.SYS_KCMP, unix.SYS_OPEN_BY_HANDLE_AT,
	// Mounts, behind which hidden paths would come to light.
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE,
	unix.SYS_OPEN_TREE_ATTR, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
	// The kernel itself.
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
	unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT,
	unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD,
	// Keyrings belong to users, not to namespaces.
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	// A ring opens sockets that this filter would not see.
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
}

// families of sockets that the network namespace holds, and that servers use.
// Others, such as AF_VSOCK, which talks to the hypervisor, know of no namespace.
var families = []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK, unix.AF_PACKET}

// filterProgram returns the filter for one machine, by its AUDIT_ARCH number.
// It is a plain list: of a call that it allows whatever the arguments are the
// kernel knows so from Linux 5.11 on, and does not run it.
func filterProgram(arch uint32) []bpf.Instruction {
	refuse := func(errno unix.Errno) bpf.Instruction {
		return bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(errno)}
	}
	load := func(offset uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: offset, Size: 4} }
	allow := bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}

	// A foreign set of calls has other numbers: a 32-bit program ends at its
	// first. An error instead would leave it running astray.
	program := []bpf.Instruction{
		load(atArch),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arch, SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_PROCESS},
		load(atCall),
	}
	if arch == unix.AUDIT_ARCH_X86_64 {
		program = append(program,
			bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: x32, SkipFalse: 1},
			refuse(unix.ENOSYS))
	}
	for _, call := range refusedCalls {
		program = append(program,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: call, SkipFalse: 1},
			refuse(unix.EPERM))
	}
	// Its flags are in memory, where no filter can look. The C library takes
	// clone instead.
	program = append(program,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_CLONE3, SkipFalse: 1},
		refuse(unix.ENOSYS))

	// Calls of which an argument decides: each block ends in an answer.
	block := func(call uint32, body ...bpf.Instruction) {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: call, SkipFalse: uint8(len(body))})
		program = append(program, body...)
	}
	withoutFlags := func(flags uint32) []bpf.Instruction { // in the first argument
		return []bpf.Instruction{
			load(atArgs),
			bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: flags, SkipFalse: 1},
			refuse(unix.EPERM),
			allow,
		}
	}
	block(unix.SYS_CLONE, withoutFlags(namespaceFlags)...)
	block(unix.SYS_UNSHARE, withoutFlags(namespaceFlags|unix.CLONE_NEWTIME)...)
	// Keys pressed in somebody's terminal; and userfaultfd(2) by its device, which
	// the user root may open.
	block(unix.SYS_IOCTL,
		load(atArgs+8),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.TIOCSTI, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: userfaultfdNew, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.TIOCLINUX, SkipFalse: 1},
		refuse(unix.EPERM),
		allow)
	socket := []bpf.Instruction{load(atArgs)}
	for _, family := range families {
		socket = append(socket, bpf.JumpIf{Cond: bpf.JumpEqual, Val: family, SkipFalse: 1}, allow)
	}
	block(unix.SYS_SOCKET, append(socket, refuse(unix.EAFNOSUPPORT))...)
	return append(program, allow)
}

// machine is what the kernel calls the one this program was built for.
func machine() uint32 {
	if runtime.GOARCH == "arm64" {
		return unix.AUDIT_ARCH_AARCH64
	}
	return unix.AUDIT_ARCH_X86_64
}

// filterCalls puts the filter on the calling thread, and so on whatever it
// forks. no_new_privs must be set. It takes 0.13 to 0.23 ms, of the 16 to 25
// that a start does; getppid, and ioctl of which an argument decides, took no
// longer with the filter than without, on two cores that were busy.
func filterCalls() error {
	raw, err := bpf.Assemble(filterProgram(machine()))
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	install := func(flags uintptr) error {
		_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)))
		runtime.KeepAlive(code)
		if errno != 0 {
			return errno
		}
		return nil
	}
	// Before Linux 5.16 a filter turns speculation off for whoever has it, and
	// the application would be slower than production for it. The flag is there
	// from 4.17 on.
	err = install(unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW)
	if errors.Is(err, unix.EINVAL) {
		err = install(0)
	}
	return err
}

// filterKnown: this machine's system calls are known here.
const filterKnown = true
