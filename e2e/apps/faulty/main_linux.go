// Command faulty is an application that misbehaves in one way, for the fault
// matrix. But for its fault it answers as testapp does: GET /item/NAME.
//
//	faulty -mode deaf          accepts, and never reads
//	faulty -mode asleep        listens with a backlog of 1, and never accepts
//	faulty -mode closes        closes some connections instead of answering (-seed)
//	faulty -mode resets        resets them
//	faulty -mode dies          exits with code 3 when it is asked for something
//	faulty -mode gone          closes its listener after -after requests, and goes on
//	faulty -mode late          listens after a while
//	faulty -mode chatter       prints -bytes before it answers (-to, -lines)
//	faulty -mode daemons       leaves daemons behind, and exits after -after requests
//	faulty -mode forks         starts processes until it may not, before it answers
//	faulty -mode disk          fills the disk of its working directory
//	faulty -mode memory        takes memory until there is none for it
//	faulty -mode files         may have 20 open files
//	faulty -mode floods        sends -bytes to nobody before it answers, and more until -until is there
package main

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var (
	mode   = flag.String("mode", "", "the fault; none: none")
	seed   = flag.Uint64("seed", 1, "of what happens at random")
	after  = flag.Int64("after", 5, "requests that are answered first")
	bytes  = flag.Int64("bytes", 1<<20, "how much")
	to     = flag.String("to", "stdout", "stdout or stderr")
	until  = flag.String("until", "", "a file that ends it")
	lines  = flag.Bool("lines", true, "with ends of lines")
	daemon = flag.Bool("daemon", false, "be what was left behind")
)

func main() {
	flag.Parse()
	if *daemon {
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
		select {}
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	switch *mode {
	case "asleep":
		sleep()
	case "late":
		time.Sleep(time.Second)
	case "files":
		check(unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 20, Max: 20}))
	case "disk":
		fillDisk()
	case "forks":
		bomb()
	case "bomb":
		check(unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: 100, Max: 100}))
		check(syscall.Exec("/bin/sh", []string{"sh", "-c", `echo 'sh bomb & sh bomb & sleep 1000' >bomb; . ./bomb`}, os.Environ()))
	}
	if *mode != "asleep" {
		l, err := net.Listen("tcp", ":80")
		check(err)
		go serve(l)
	}
	<-ended
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "faulty:", err)
		os.Exit(1)
	}
}

// sleep listens as net.Listen cannot: with room for one connection.
func sleep() {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	check(err)
	check(unix.Bind(fd, &unix.SockaddrInet4{Port: 80}))
	check(unix.Listen(fd, 1))
}

// serve answers, or does not.
func serve(l net.Listener) {
	if *mode == "deaf" {
		for {
			c, err := l.Accept()
			check(err)
			unread = append(unread, c)
		}
	}
	var asked atomic.Int64
	var once sync.Once
	chance, mu := rand.New(rand.NewPCG(*seed, 0)), sync.Mutex{}
	err := http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		switch *mode {
		case "closes", "resets":
			mu.Lock()
			unlucky := chance.IntN(4) == 0
			mu.Unlock()
			if unlucky {
				drop(w, *mode == "resets")
				return
			}
		case "dies":
			os.Exit(3)
		case "gone":
			if n > *after {
				l.Close()
			}
		case "daemons":
			if n > *after {
				leave()
				os.Exit(0)
			}
		case "memory":
			once.Do(eat)
		case "forks":
			<-refused
		case "chatter":
			once.Do(chatter)
		case "floods":
			once.Do(flood)
		}
		w.Header()["Date"] = nil
		fmt.Fprintf(w, "item %s\n", strings.TrimPrefix(r.URL.Path, "/item/"))
	}))
	if *mode != "gone" {
		check(err)
	}
}

// unread are connections that nobody reads, and the collector shall not close.
var unread []net.Conn

// drop ends a request's connection.
func drop(w http.ResponseWriter, reset bool) {
	c, _, err := w.(http.Hijacker).Hijack()
	check(err)
	if reset {
		c.(*net.TCPConn).SetLinger(0)
	}
	c.Close()
}

// chatter prints, and returns when somebody has read all but what a pipe holds.
func chatter() {
	out, line := os.Stdout, []byte(strings.Repeat("0123456789abcdef", 8))
	if *to == "stderr" {
		out = os.Stderr
	}
	if *lines {
		line[len(line)-1] = '\n'
	}
	block := []byte(strings.Repeat(string(line), 512))
	for left := *bytes; left > 0; left -= int64(len(block)) {
		_, err := out.Write(block[:min(left, int64(len(block)))])
		check(err)
	}
}

// flood sends datagrams to an address that is nobody's, for a minute at most.
func flood() {
	c, err := net.Dial("udp", "192.0.2.99:9999")
	check(err)
	datagram := make([]byte, 1000)
	send := func() {
		for left := *bytes; left > 0; left -= int64(len(datagram)) {
			c.Write(datagram) // where there is no room it is lost, as it may be
		}
	}
	send()
	for begun := time.Now(); *until != "" && time.Since(begun) < time.Minute; send() {
		if _, err := os.Stat(*until); err == nil {
			return
		}
	}
}

// leave starts daemons as daemons start: forked twice, in sessions of their own.
func leave() {
	for range 10 {
		c := exec.Command("/bin/sh", "-c", `setsid "$0" -daemon &`, "/proc/self/exe")
		c.Args[3], _ = os.Executable()
		c.Stdout, c.Stderr = os.Stdout, os.Stderr // which keeps them open
		check(c.Run())
	}
}

// refused is closed when the kernel has forbidden to fork.
var refused = make(chan struct{})

// bomb starts what starts itself twice, until the kernel forbids it. This process
// has no such limit.
func bomb() {
	exe, err := os.Executable()
	check(err)
	c := exec.Command(exe, "-mode", "bomb")
	complaints, err := c.StderrPipe()
	check(err)
	check(c.Start())
	go func() {
		var once sync.Once
		for lines := bufio.NewScanner(complaints); lines.Scan(); {
			if strings.Contains(strings.ToLower(lines.Text()), "fork") {
				once.Do(func() {
					fmt.Println("no more processes:", lines.Text())
					close(refused)
				})
			}
		}
	}()
}

// fillDisk writes until nothing more can be.
func fillDisk() {
	f, err := os.Create("ballast")
	check(err)
	for size := 64 << 10; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
	fmt.Println("the disk is full:", err)
}

// eat takes memory until the kernel has no more for this process.
func eat() {
	var status string
	data, err := os.ReadFile("/proc/self/statm")
	check(err)
	fmt.Sscan(string(data), &status)
	var pages uint64
	fmt.Sscan(status, &pages)
	limit := pages*uint64(os.Getpagesize()) + 256<<20
	check(unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: limit, Max: limit}))
	for {
		block := make([]byte, 16<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		taken = append(taken, block)
	}
}

// taken is never given back.
var taken [][]byte
