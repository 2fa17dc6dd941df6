package expr

import (
	"errors"
	"testing"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// TestKernelItself has the running kernel decide: the program is attached to
// one end of a pair of Unix datagram sockets, and what is sent to it arrives
// or does not. That needs no privilege and no network.
func TestKernelItself(t *testing.T) {
	files := captures(t)
	var sent, passed int
	for _, text := range expressions {
		f, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range []uint16{0, 1, 101} {
			program, ok := f.Kernel(link)
			if !ok {
				continue
			}
			pair := attach(t, program)
			buffer := make([]byte, 1<<18)
			for _, c := range files {
				if c.link != link {
					continue
				}
				for i := 0; i < len(c.packets); i += 7 {
					data := c.packets[i].data
					if len(data) == 0 {
						continue
					}
					if err := unix.Send(pair[0], data, unix.MSG_DONTWAIT); err != nil {
						t.Fatalf("send: %v", err)
					}
					_, _, err := unix.Recvfrom(pair[1], buffer, unix.MSG_DONTWAIT)
					if err != nil && !errors.Is(err, unix.EAGAIN) {
						t.Fatalf("receive: %v", err)
					}
					want := f.kernelMatch(data, link, -1)
					if got := err == nil; got != want {
						t.Errorf("%q, %s packet %d: kernel %v, Match %v", text, c.path, i+1, got, want)
					}
					sent++
					if want {
						passed++
					}
				}
			}
			unix.Close(pair[0])
			unix.Close(pair[1])
		}
	}
	t.Logf("%d packets sent, %d passed", sent, passed)
}

func attach(t *testing.T, program []bpf.Instruction) [2]int {
	t.Helper()
	raw, err := bpf.Assemble(program)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	err = unix.SetsockoptSockFprog(pair[1], unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{
		Len:    uint16(len(raw)),
		Filter: (*unix.SockFilter)(unsafe.Pointer(&raw[0])),
	})
	if err != nil {
		t.Fatalf("attach %d instructions: %v", len(raw), err)
	}
	return [2]int{pair[0], pair[1]}
}
