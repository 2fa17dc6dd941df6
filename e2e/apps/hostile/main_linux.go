// Command hostile is the application that nobody should have trusted: it tries
// every way out of the sandbox that an application may think of, says what
// became of each, and then serves HTTP like any other.
//
//	hostile -victim victim.sock,@victim,127.0.0.1:9999 -pid victim.pid
//	                              what is to be reached, outside: listens, and writes its process id
//	hostile -listen :80 -reach victim.sock,@victim,127.0.0.1:9999 -pid victim.pid -hidden DIR
//	                              all attempts, a line each; leaves a process behind that should not outlive it
//	hostile -reach ADDRESS,…      only the connections
//	hostile -send "tcp ADDRESS,udp ADDRESS,…" -marker TEXT
//	                              only these packets; before all else where it is given with -listen
//	hostile -listen :80 -flood "udp ADDRESS,tcp ADDRESS" -marker TEXT
//	                              no attempt but packets, without end
//
// A line is "refused NAME: why", "REACHED NAME", "sent NAME" for a packet that
// nobody has answered or, where the reason is none that a sandbox has, "UNCLEAR
// NAME: why".
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	var (
		victim = flag.String("victim", "", "listen on these, separated by commas, and do nothing else")
		reach  = flag.String("reach", "", "connect to these")
		pid    = flag.String("pid", "", "file with the victim's process id")
		hidden = flag.String("hidden", "", "folder that should be empty")
		listen = flag.String("listen", "", "try everything, then serve HTTP here")
		sends  = flag.String("send", "", "send a packet to each of these")
		floods = flag.String("flood", "", "send packets to these for good")
		marker = flag.String("marker", "hostile", "what is in the packets")
		stray  = flag.String("stray", "", "be the process left behind: first, or last")
	)
	flag.Parse()
	switch {
	case *stray != "":
		leave(*stray)
	case *victim != "":
		check(serveVictim(strings.Split(*victim, ","), *pid))
	}
	open, left := inherited()
	for _, address := range words(*reach) {
		say("connect to "+address, dial(address))
	}
	sendAll(words(*sends), *marker)
	switch {
	case *listen == "":
		return
	case *floods != "":
		flood(words(*floods), *marker)
		check(http.ListenAndServe(*listen, http.NotFoundHandler()))
	}
	say("a file that was left open"+open, left)
	number, err := os.ReadFile(*pid)
	check(err)
	host, err := strconv.Atoi(string(number))
	check(err)
	for _, a := range attempts(host, *hidden) {
		say(a.name, a.try())
	}
	check(exec.Command("/proc/self/exe", "-stray", "first").Run())
	fmt.Println("all tried")
	check(http.ListenAndServe(*listen, http.NotFoundHandler()))
}

func words(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		os.Exit(1)
	}
}

// reasons are how a sandbox refuses.
var reasons = []syscall.Errno{
	unix.EPERM, unix.EACCES, unix.ENOSYS, unix.EAFNOSUPPORT, unix.ESRCH, unix.ENOENT, unix.ECONNREFUSED, unix.EROFS,
	unix.ENODEV, unix.ENETUNREACH, unix.EADDRNOTAVAIL, unix.EPROTONOSUPPORT, unix.EBADF, unix.ETIMEDOUT,
}

func say(name string, err error) {
	var errno syscall.Errno
	switch {
	case err == nil:
		fmt.Println("REACHED", name)
	case errors.As(err, &errno) && slices.Contains(reasons, errno):
		fmt.Printf("refused %s: %v\n", name, errno)
	default:
		fmt.Printf("UNCLEAR %s: %v\n", name, err)
	}
}

// network is what an address is of; after "udp:" of UDP.
func network(address string) string {
	if strings.HasPrefix(address, "udp:") {
		return "udp"
	}
	if _, _, err := net.SplitHostPort(address); err == nil {
		return "tcp"
	}
	return "unix"
}

func dial(address string) error {
	c, err := net.DialTimeout(network(address), address, patience)
	if err == nil {
		c.Close()
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return unix.ETIMEDOUT
	}
	return err
}

func serveVictim(addresses []string, pid string) error {
	for _, address := range addresses {
		if at, ok := strings.CutPrefix(address, "udp:"); ok {
			if err := echo(at); err != nil {
				return err
			}
			continue
		}
		l, err := net.Listen(network(address), address)
		if err != nil {
			return err
		}
		if path := strings.TrimPrefix(address, "@"); path == address && network(address) == "unix" {
			if err := os.Chmod(path, 0o777); err != nil {
				return err
			}
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		}()
	}
	if err := os.WriteFile(pid, strconv.AppendInt(nil, int64(os.Getpid()), 10), 0o644); err != nil {
		return err
	}
	for {
		unix.Pause()
	}
}

// echo answers datagrams.
func echo(at string) error {
	c, err := net.ListenPacket("udp", at)
	if err != nil {
		return err
	}
	go func() {
		p := make([]byte, 1<<16)
		for {
			n, from, err := c.ReadFrom(p)
			if err != nil {
				return
			}
			c.WriteTo(p[:n], from)
		}
	}()
	return nil
}

// leave is a daemon's double fork: a session of its own, then a child of which
// nobody is the parent.
func leave(which string) {
	if which == "first" {
		last := exec.Command("/proc/self/exe", "-stray", "last")
		last.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		check(last.Start())
		os.Exit(0)
	}
	for {
		unix.Pause()
	}
}
