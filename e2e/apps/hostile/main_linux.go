// Command hostile is the application that nobody should have trusted: it tries
// every way out of the sandbox that an application may think of, says what
// became of each, and then serves HTTP like any other.
//
//	hostile -victim victim.sock,@victim,127.0.0.1:9999 -pid victim.pid
//	                              what is to be reached, outside: listens, and writes its process id
//	hostile -listen :80 -reach victim.sock,@victim,127.0.0.1:9999 -pid victim.pid -hidden DIR
//	                              all attempts, a line each; leaves a process behind that should not outlive it
//	hostile -reach ADDRESS,…      only the connections
//
// A line is "refused NAME: why", "REACHED NAME" or, where the reason is none that
// a sandbox has, "UNCLEAR NAME: why".
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
		stray  = flag.String("stray", "", "be the process left behind: first, or last")
	)
	flag.Parse()
	switch {
	case *stray != "":
		leave(*stray)
	case *victim != "":
		check(serveVictim(strings.Split(*victim, ","), *pid))
	}
	for _, address := range strings.Split(*reach, ",") {
		say("connect to "+address, dial(address))
	}
	if *listen == "" {
		return
	}
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

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		os.Exit(1)
	}
}

// reasons are how a sandbox refuses.
var reasons = []syscall.Errno{
	unix.EPERM, unix.EACCES, unix.ENOSYS, unix.EAFNOSUPPORT, unix.ESRCH, unix.ENOENT, unix.ECONNREFUSED, unix.EROFS,
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

func network(address string) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return "tcp"
	}
	return "unix"
}

func dial(address string) error {
	c, err := net.Dial(network(address), address)
	if err == nil {
		c.Close()
	}
	return err
}

func serveVictim(addresses []string, pid string) error {
	for _, address := range addresses {
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
