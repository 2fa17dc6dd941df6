package expr

import (
	"encoding/binary"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// inNamespace runs fn on a thread in a network namespace of its own, whose lo is
// up. What fn starts is there, too.
func inNamespace(t *testing.T, fn func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		need(t, "needs root for a network namespace")
	}
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock: the thread is thrown away
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return
		}
		if err = upLoopback(); err == nil {
			fn()
		}
	}()
	<-done
	if err != nil {
		need(t, "network namespace: "+err.Error())
	}
}

func upLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}

// liveFrame is a frame as a packet socket sees it.
type liveFrame struct {
	data []byte
	tag  int
}

// liveFrames are frames of the corpus without a tag, with one and two tags in
// the frame, and with the outer one taken off; whole and cut off.
func liveFrames(files []capture) []liveFrame {
	var all []liveFrame
	for n, c := range files {
		if c.link != 1 {
			continue
		}
		for i, p := range c.packets[:min(4, len(c.packets))] {
			if len(p.data) <= 14 {
				continue
			}
			kind, rest := binary.BigEndian.Uint16(p.data[12:]), p.data[14:]
			for _, f := range []liveFrame{
				{p.data, -1}, {p.data, 1}, {p.data, 0x2000 | 100}, {p.data, 0},
				{frame(kind, rest, 100), -1}, {frame(kind, rest, 7), 100}, {frame(kind, rest, 1, 100), -1}, {frame(kind, rest, 1, 100), 7},
			} {
				all = append(all, f, liveFrame{f.data[:(n*5+i*7)%len(f.data)], f.tag})
			}
		}
	}
	return all
}

// TestLiveProgramsOfTcpdump compares MatchLive and the kernel's program with
// what tcpdump compiles for an interface.
func TestLiveProgramsOfTcpdump(t *testing.T) {
	frames := liveFrames(captures(t))
	texts := []string{
		"vlan", "vlan 100", "not vlan", "not vlan 100", "tcp port 80 and vlan 1", "vlan 1 and tcp", "tcp and vlan or udp",
		"(vlan or tcp) and port 80", "port 80 or (vlan and port 80)", "(vlan and port 80) or port 80", "vlan and vlan", "vlan 1 or vlan 7",
		"vlan and not vlan", "not (vlan 1 and tcp) and ip", "tcp or vlan and (udp or vlan 7 or icmp) or ip6", "vlan and vlan and tcp or arp",
		"greater 60 and (vlan 100 or ip[9] = 6) and len != 70", "tcp",
	}
	rounds := 60
	if n, err := strconv.Atoi(os.Getenv("TCPSANDBOX_ROUNDS")); err == nil {
		rounds = n
	}
	seed, _ := strconv.ParseUint(os.Getenv("TCPSANDBOX_SEED"), 10, 64)
	for w := newWriter(seed); len(texts) < rounds; {
		text := w.expr(4)
		if f, err := Parse(text); err == nil && f.vlan && f.Check(1) == nil {
			texts = append(texts, text)
		}
	}
	inNamespace(t, func() {
		if out, err := exec.Command("tcpdump", "-i", "lo", "-d", "vlan").CombinedOutput(); !strings.Contains(string(out), "[vlanp]") {
			need(t, "tcpdump does not ask the kernel for tags: "+string(out)+", "+errText(err))
			return
		}
		var compared, programs, overwritten int
		for _, text := range texts {
			f, err := Parse(text)
			if err != nil {
				t.Errorf("%q: %v", text, err)
				continue
			}
			plain, complaint := compileOn([]string{"-i", "lo"}, text, false)
			if plain == nil && !strings.Contains(complaint, "rejects all packets") {
				if !stricter(complaint) {
					t.Errorf("%q: tcpdump: %s", text, complaint)
				}
				continue
			}
			if overwritesOffset(plain) {
				overwritten++
				continue
			}
			optimized, _ := compileOn([]string{"-i", "lo"}, text, true)
			kernel, inKernel := f.Kernel(1)
			if inKernel {
				programs++
			}
			m := &machine{link: 1, program: kernel}
			for i, p := range frames {
				got, err := f.MatchLive(p.data, len(p.data), p.tag)
				want := plain != nil && interpret(plain, p.data, uint32(len(p.data)), p.tag)
				final := optimized != nil && interpret(optimized, p.data, uint32(len(p.data)), p.tag)
				compared++
				if err != nil || got != final && got != want {
					t.Errorf("%q, frame %d, tag %d, % x: match %v, %v; tcpdump -O %v, without %v", text, i, p.tag, p.data[:min(40, len(p.data))], got, err, want, final)
					break
				}
				if !inKernel {
					continue
				}
				if own, ok, err := m.runTagged(p.data, p.tag); err != nil || ok && own != got {
					t.Errorf("%q, frame %d, tag %d: program %v, %v; match %v", text, i, p.tag, own, err, got)
					break
				}
			}
		}
		t.Logf("%d expressions agreed in %d questions, %d of them also as programs for the kernel; %d more have arithmetic before vlan, which tcpdump compiles wrongly",
			len(texts)-overwritten, compared, programs, overwritten)
		if overwritten > len(texts)/2 {
			t.Errorf("%d of %d programs of tcpdump were not used", overwritten, len(texts))
		}
	})
}

// overwritesOffset reports a defect of libpcap (1.10.3). A program begins by
// setting to zero the scratch words in which it counts how far vlan has moved
// the offsets. Arithmetic that is written before vlan may have been given one
// of those words for its own, and leaves a length or an address in it.
func overwritesOffset(program []bpf.RawInstruction) bool {
	const loadZero, store, loadWord, addConstant = 0x00, 0x02, 0x60, 0x04
	offsets := make(map[uint32]bool)
	pc := 0
	for ; pc < len(program) && (program[pc].Op == store || program[pc] == bpf.RawInstruction{Op: loadZero}); pc++ {
		if program[pc].Op == store {
			offsets[program[pc].K] = true
		}
	}
	for ; pc < len(program); pc++ {
		if word := program[pc].K; program[pc].Op == store && offsets[word] &&
			(program[pc-1] != bpf.RawInstruction{Op: addConstant, K: 4} || program[pc-2] != bpf.RawInstruction{Op: loadWord, K: word}) {
			return true
		}
	}
	return false
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
