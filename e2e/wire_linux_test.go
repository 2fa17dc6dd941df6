package e2e

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// wire joins two namespaces by TAP devices and a pair of goroutines that carry
// the frames, some of them badly: netem without the kernel module.
type wire struct {
	ends     [2]*os.File
	loses    atomic.Uint64 // bits of the share of TCP segments that a good wire loses, for now
	carriers sync.WaitGroup
}

// What happens to a TCP segment on a bad wire, as shares of all. With more
// loss than this, production's clients spend their time in retransmission
// time-outs of 200 ms and more, and the test with them.
const (
	lost      = 0.01
	doubled   = 0.02
	overtaken = 0.10 // by the one behind it
)

// newWire makes eth0 in both namespaces; they are to be configured as usual. A
// good wire loses nothing. Either kind carries packets of 1,500 bytes at most,
// where a veth pair hands on what the kernel would leave a card to cut.
func newWire(a, b *namespace, good bool) (*wire, error) {
	var w wire
	for i, n := range []*namespace{a, b} {
		err := n.onThread(func() (err error) {
			w.ends[i], err = openTAP("eth0")
			return err
		})
		if err != nil {
			w.close()
			return nil, err
		}
	}
	for i := range w.ends {
		w.carriers.Go(func() { carry(w.ends[i], w.ends[1-i], good, &w.loses, rand.New(rand.NewPCG(1, uint64(i)))) })
	}
	return &w, nil
}

func openTAP(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make TAP device %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// cmdLoses makes a good wire lose a share of the TCP segments from now on.
func cmdLoses(ts *testscript.TestScript, w *world, args []string) error {
	percent, err := strconv.ParseFloat(args[0], 64)
	if err != nil {
		return err
	}
	if w.wire == nil {
		return fmt.Errorf("loses: the topology is none with a wire: narrow")
	}
	w.wire.loses.Store(math.Float64bits(percent / 100))
	return nil
}

// close cuts the wire.
func (w *wire) close() {
	for _, f := range w.ends {
		if f != nil {
			f.Close()
		}
	}
	w.carriers.Wait()
}

// carry takes frames from one end to the other until either is closed.
func carry(from, to *os.File, good bool, loses *atomic.Uint64, chance *rand.Rand) {
	frames := make(chan []byte)
	go func() {
		defer close(frames)
		buf := make([]byte, 1<<16)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			frames <- append([]byte(nil), buf[:n]...)
		}
	}()
	var held []byte // to be overtaken
	late := time.NewTimer(time.Hour)
	for {
		select {
		case f, ok := <-frames:
			if !ok {
				return
			}
			if good && isTCP(f) && chance.Float64() < math.Float64frombits(loses.Load()) {
				continue
			}
			if good || !isTCP(f) {
				to.Write(f)
				continue
			}
			p := chance.Float64()
			switch {
			case p < lost:
				continue
			case p < lost+doubled:
				to.Write(f)
			case p < lost+doubled+overtaken && held == nil:
				held = f
				late.Reset(time.Millisecond)
				continue
			}
			to.Write(f)
		case <-late.C:
		}
		if held != nil {
			to.Write(held)
			held = nil
		}
	}
}

// isTCP reports whether an Ethernet frame holds TCP; the rest (ARP, neighbour
// discovery) is spared.
func isTCP(f []byte) bool {
	if len(f) < 34 {
		return false
	}
	switch binary.BigEndian.Uint16(f[12:]) {
	case unix.ETH_P_IP:
		return f[14+9] == unix.IPPROTO_TCP
	case unix.ETH_P_IPV6:
		return f[14+6] == unix.IPPROTO_TCP
	}
	return false
}
