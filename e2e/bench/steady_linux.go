package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Production's clients: keep-alive connections of some requests each. They ask as
// fast as answers come, to find out what production can do, or at a fixed rate. At
// that nobody waits for the one before: latency counts from when a request was due,
// so that a server which stops for a moment is not asked less.
//
// Each is a thread of its own that sleeps and reads in the kernel, with no collector
// beside it: Go's timers and its poller, which know milliseconds, made the median
// 0.6 ms at 5,000 requests/s, more than all that is to be measured.

const (
	steadyConnections = 64
	steadyRequests    = 50 // of each connection
)

const steadyRequest = "GET /item HTTP/1.1\r\nHost: shop\r\nUser-Agent: bench\r\n\r\n"

// steadyFigures is what steadyMain prints, and what it took.
type steadyFigures struct {
	Rate     float64 // requests answered per second
	P50, P99 float64 // ms
	Busy     float64 `json:"-"` // share of all processors' time, of whoever
}

// steadyMain asks a server: address, requests per second (0: as fast as answers
// come), duration.
func steadyMain(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("%s: want an address, a rate and a duration", roleSteady)
	}
	server, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	rate, err := strconv.ParseFloat(args[1], 64)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	debug.SetGCPercent(-1)                    // for some seconds, a few MB
	runtime.GOMAXPROCS(2 * steadyConnections) // else who comes back from the kernel waits for another
	var all sync.WaitGroup
	var mu sync.Mutex
	var took []float64
	failed := make(chan error, steadyConnections)
	begun := time.Now()
	for i := range steadyConnections {
		all.Go(func() {
			runtime.LockOSThread()
			times, err := steadyClient(server, i, rate, begun, d)
			if err != nil {
				failed <- err
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, times...)
		})
	}
	all.Wait()
	lasted := time.Since(begun)
	select {
	case err := <-failed:
		return err
	default:
	}
	if len(took) == 0 {
		return errors.New("nothing was asked")
	}
	slices.Sort(took)
	return json.NewEncoder(os.Stdout).Encode(steadyFigures{
		Rate: float64(len(took)) / lasted.Seconds(), P50: took[len(took)/2], P99: took[len(took)*99/100],
	})
}

// steadyClient is the n-th of the connections, one after the other, on a thread of
// its own. It returns how long its answers took, in milliseconds.
func steadyClient(server netip.AddrPort, n int, rate float64, begun time.Time, d time.Duration) (took []float64, err error) {
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // else it may sleep 50 µs longer
	fd := -1
	defer func() { unix.Close(fd) }()
	request, buf := []byte(steadyRequest), make([]byte, 64<<10)
	for asked := 0; ; asked++ {
		due := time.Now()
		if rate > 0 {
			due = begun.Add(time.Duration(float64(asked*steadyConnections+n) / rate * float64(time.Second)))
			sleepUntil(due)
		}
		if due.Sub(begun) >= d {
			return took, nil
		}
		if asked%steadyRequests == 0 {
			unix.Close(fd)
			if fd, err = connect(server); err != nil {
				return nil, err
			}
		}
		if _, err := unix.Write(fd, request); err != nil {
			return nil, fmt.Errorf("ask: %w", err)
		}
		if err := readAnswer(fd, buf); err != nil {
			return nil, err
		}
		took = append(took, float64(time.Since(due).Microseconds())/1000)
	}
}

func sleepUntil(due time.Time) {
	for wait := time.Until(due); wait > 0; wait = time.Until(due) { // a signal ends it
		t := unix.NsecToTimespec(wait.Nanoseconds())
		unix.Nanosleep(&t, nil)
	}
}

// connect returns a socket that blocks.
func connect(server netip.AddrPort) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open a socket: %w", err)
	}
	for {
		err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(server.Port()), Addr: server.Addr().As4()})
		if err == nil || errors.Is(err, unix.EISCONN) {
			return fd, nil
		}
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EALREADY) {
			unix.Close(fd)
			return -1, fmt.Errorf("connect to %v: %w", server, err)
		}
	}
}

// readAnswer reads one, of a server that is not asked for another before.
func readAnswer(fd int, buf []byte) error {
	for have := 0; ; {
		n, err := unix.Read(fd, buf[have:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		have += n
		if !bytes.Contains(buf[:have], []byte("\r\n\r\n")) {
			continue
		}
		answer, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(buf[:have])), nil)
		if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err == nil {
			return nil
		}
	}
}

// steadyArgs are the arguments of a client at a rate.
func steadyArgs(host string, rate float64, d time.Duration) []string {
	return []string{roleSteady, net.JoinHostPort(host, strconv.Itoa(portHTTP)), strings.TrimSpace(fmt.Sprintf("%.0f", rate)), d.String()}
}
