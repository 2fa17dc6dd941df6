//go:build amd64 || arm64

package sandbox

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// asked is what the kernel shows a filter, as the interpreter wants it: each
// word big-endian, where the kernel has it in the machine's own order.
func asked(arch, call uint32, args ...uint32) []byte {
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[atCall:], call)
	binary.BigEndian.PutUint32(data[atArch:], arch)
	for i, arg := range args {
		binary.BigEndian.PutUint32(data[atArgs+8*i:], arg)
	}
	return data
}

func TestFilterProgram(t *testing.T) {
	const (
		allowed = unix.SECCOMP_RET_ALLOW
		killed  = unix.SECCOMP_RET_KILL_PROCESS
		eperm   = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
		enosys  = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
		family  = unix.SECCOMP_RET_ERRNO | uint32(unix.EAFNOSUPPORT)
		i386    = unix.AUDIT_ARCH_I386
	)
	own := machine()
	type question struct {
		name       string
		arch, call uint32
		args       []uint32
		want       uint32
	}
	tests := []question{
		{"read", own, unix.SYS_READ, nil, allowed},
		{"execve", own, unix.SYS_EXECVE, nil, allowed},
		{"an unknown call", own, 9999, nil, allowed}, // the kernel answers it
		{"32-bit read", i386, 3, nil, killed},
		{"32-bit ARM", unix.AUDIT_ARCH_ARM, 3, nil, killed},
		{"fork", own, unix.SYS_CLONE, []uint32{unix.CLONE_VFORK | unix.CLONE_VM | uint32(unix.SIGCHLD)}, allowed},
		{"thread", own, unix.SYS_CLONE, []uint32{0x3d0f00}, allowed}, // pthread_create(3)
		{"real-time signal in clone", own, unix.SYS_CLONE, []uint32{0x80}, allowed},
		{"clone user namespace", own, unix.SYS_CLONE, []uint32{unix.CLONE_NEWUSER | uint32(unix.SIGCHLD)}, eperm},
		{"clone network namespace", own, unix.SYS_CLONE, []uint32{unix.CLONE_NEWNET}, eperm},
		{"clone3", own, unix.SYS_CLONE3, nil, enosys},
		{"unshare files", own, unix.SYS_UNSHARE, []uint32{unix.CLONE_FILES | unix.CLONE_FS}, allowed},
		{"unshare user", own, unix.SYS_UNSHARE, []uint32{unix.CLONE_NEWUSER}, eperm},
		{"unshare time", own, unix.SYS_UNSHARE, []uint32{unix.CLONE_NEWTIME}, eperm},
		{"ioctl TIOCGWINSZ", own, unix.SYS_IOCTL, []uint32{1, unix.TIOCGWINSZ}, allowed},
		{"ioctl TIOCSTI", own, unix.SYS_IOCTL, []uint32{1, unix.TIOCSTI}, eperm},
		{"ioctl TIOCLINUX", own, unix.SYS_IOCTL, []uint32{1, unix.TIOCLINUX}, eperm},
		{"ioctl USERFAULTFD_IOC_NEW", own, unix.SYS_IOCTL, []uint32{1, userfaultfdNew}, eperm},
		{"socket AF_INET6", own, unix.SYS_SOCKET, []uint32{unix.AF_INET6}, allowed},
		{"socket AF_UNIX", own, unix.SYS_SOCKET, []uint32{unix.AF_UNIX}, allowed},
		{"socket AF_NETLINK", own, unix.SYS_SOCKET, []uint32{unix.AF_NETLINK}, allowed},
		{"socket AF_VSOCK", own, unix.SYS_SOCKET, []uint32{unix.AF_VSOCK}, family},
		{"socket AF_ALG", own, unix.SYS_SOCKET, []uint32{unix.AF_ALG}, family},
	}
	for _, call := range refusedCalls {
		tests = append(tests, question{"call " + strconv.Itoa(int(call)), own, call, nil, eperm})
	}
	if own == unix.AUDIT_ARCH_X86_64 {
		for _, call := range []uint32{unix.SYS_READ, unix.SYS_SETNS, unix.SYS_CLONE} {
			tests = append(tests, question{"x32 call " + strconv.Itoa(int(call)), own, x32 + call, nil, enosys})
		}
	}
	vm, err := bpf.NewVM(filterProgram(own))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := vm.Run(asked(test.arch, test.call, test.args...))
			if err != nil {
				t.Fatal(err)
			}
			if uint32(got) != test.want {
				t.Errorf("answer %#x, want %#x", got, test.want)
			}
		})
	}
}

// FuzzFilterProgram: whatever is called, nothing of a foreign set is allowed,
// nor any call that is refused.
func FuzzFilterProgram(f *testing.F) {
	own := machine()
	f.Add(own, uint32(unix.SYS_CLONE), uint32(unix.CLONE_NEWUSER), uint32(0))
	f.Add(own, uint32(unix.SYS_IOCTL), uint32(0), uint32(unix.TIOCSTI))
	f.Add(uint32(unix.AUDIT_ARCH_I386), uint32(1), uint32(0), uint32(0))
	vm, err := bpf.NewVM(filterProgram(own))
	if err != nil {
		f.Fatal(err)
	}
	never := make(map[uint32]bool)
	for _, call := range refusedCalls {
		never[call] = true
	}
	f.Fuzz(func(t *testing.T, arch, call, first, second uint32) {
		got, err := vm.Run(asked(arch, call, first, second))
		if err != nil {
			t.Fatal(err)
		}
		namespace := (call == unix.SYS_CLONE || call == unix.SYS_UNSHARE) && first&namespaceFlags != 0
		if uint32(got) == unix.SECCOMP_RET_ALLOW && (arch != own || never[call] || namespace) {
			t.Errorf("call %d of %#x allowed", call, arch)
		}
	})
}

// TestFilterInPlace: the kernel took the filter, and without it there is none.
func TestFilterInPlace(t *testing.T) {
	box := newBox(t, Config{})
	for _, test := range []struct {
		cfg  AppConfig
		mode string
	}{{AppConfig{}, "2"}, {AppConfig{NoFilter: true}, "0"}} {
		if mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0); test.mode == "0" && (err != nil || mode != 0) {
			continue // this process has a filter already, such as a container's
		}
		f := inspect(t, box, test.cfg)
		if f.Status["Seccomp"] != test.mode {
			t.Errorf("with NoFilter %v the mode is %q, want %q", test.cfg.NoFilter, f.Status["Seccomp"], test.mode)
		}
	}
}

// tiny386 is a program of i386 that ends at once, by int 0x80.
func tiny386() []byte {
	const base, headers = 0x08048000, 52 + 32
	code := []byte{0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80} // exit(0)
	size := uint32(headers + len(code))
	le := binary.LittleEndian
	file := []byte("\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	for _, half := range []uint16{2, 3} { // ET_EXEC, EM_386
		file = le.AppendUint16(file, half)
	}
	for _, word := range []uint32{1, base + headers, 52, 0, 0} { // version, entry, program headers, no sections
		file = le.AppendUint32(file, word)
	}
	for _, half := range []uint16{52, 32, 1, 0, 0, 0} {
		file = le.AppendUint16(file, half)
	}
	for _, word := range []uint32{1, 0, base, base, size, size, 5, 4096} { // PT_LOAD, readable, executable
		file = le.AppendUint32(file, word)
	}
	return append(file, code...)
}

// TestFilterOtherABI: system calls of another set end the program that makes
// them, and the message names the flag.
func TestFilterOtherABI(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the program is one of i386")
	}
	box := newBox(t, Config{})
	program := filepath.Join(t.TempDir(), "tiny")
	if err := os.WriteFile(program, tiny386(), 0o755); err != nil {
		t.Fatal(err)
	}
	end := func(cfg AppConfig) ExitStatus {
		cfg.Command, cfg.User = []string{program}, ownUser(box)
		app, err := box.Start(t.Context(), cfg)
		if errors.Is(err, unix.ENOEXEC) {
			t.Skip("this kernel runs no program of i386")
		}
		if err != nil {
			t.Fatal(err)
		}
		<-app.Exited()
		return app.Status()
	}
	if status := end(AppConfig{NoFilter: true}); status.Code != 0 {
		t.Errorf("without the filter it ended by %v", status)
	}
	status := end(AppConfig{})
	if status.Signal != "SIGSYS" || !strings.Contains(status.Hint(), "--no-seccomp") {
		t.Errorf("ended by %v, hint %q", status, status.Hint())
	}
}

// BenchmarkStart: the way of a short program from Start to its end, with and
// without the filter.
func BenchmarkStart(b *testing.B) {
	box := newBox(b, Config{})
	for name, cfg := range map[string]AppConfig{
		"all":        {},
		"no filter":  {NoFilter: true},
		"no hiding":  {OnlyNamed: true},
		"without it": {NoFilter: true, OnlyNamed: true},
	} {
		b.Run(name, func(b *testing.B) {
			cfg.Command = []string{"true"}
			for b.Loop() {
				app, err := box.Start(b.Context(), cfg)
				if err != nil {
					b.Fatal(err)
				}
				<-app.Exited()
			}
		})
	}
}

// BenchmarkFilter: a call with and without the filter, and what putting it on
// takes. getppid is known to be allowed; of ioctl an argument decides.
func BenchmarkFilter(b *testing.B) {
	calls := map[string]func(){
		"getppid": func() { unix.Getppid() },
		"ioctl":   func() { unix.IoctlGetInt(0, unix.TIOCGPGRP) },
	}
	for name, call := range calls {
		b.Run(name, func(b *testing.B) { onThrowaway(b, nil, call) })
		b.Run(name+" filtered", func(b *testing.B) { onThrowaway(b, filterCalls, call) })
	}
}

// onThrowaway measures a call on a thread that nobody uses afterwards, and
// reports how long it took to prepare it.
func onThrowaway(b *testing.B, prepare func() error, call func()) {
	done := make(chan error)
	onThread(func() {
		var err error
		var took time.Duration
		if prepare != nil {
			err = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
			start := time.Now()
			if err == nil {
				err = prepare()
			}
			took = time.Since(start)
		}
		for b.Loop() {
			call()
		}
		b.ReportMetric(float64(took.Microseconds()), "µs/install")
		done <- err
	})
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
