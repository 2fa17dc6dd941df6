package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// The kernel's side of each ratio: server and client in two namespaces, joined
// by a veth pair with the offloads it has by default.

const (
	vethServer = "10.77.0.1"
	vethClient = "10.77.0.2"
)

// veth is the pair with the server at one end.
type veth struct {
	server, client netns.NsHandle
	process        *exec.Cmd
	stdin          io.Closer // ends the server
}

func newVeth() (_ *veth, err error) {
	v := &veth{server: netns.None(), client: netns.None()}
	defer func() {
		if err != nil {
			v.close()
		}
	}()
	for _, ns := range []*netns.NsHandle{&v.server, &v.client} {
		if *ns, err = newNamespace(); err != nil {
			return nil, err
		}
	}
	err = inNamespace(v.client, func() error {
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(v.server),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("make a veth pair: %w", err)
	}
	for ns, address := range map[netns.NsHandle]string{v.server: vethServer, v.client: vethClient} {
		if err := inNamespace(ns, func() error { return setUpVeth(address) }); err != nil {
			return nil, err
		}
	}
	if err := v.routeClients(); err != nil {
		return nil, err
	}
	return v, v.startServer()
}

func newNamespace() (ns netns.NsHandle, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends here
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			ns = netns.None()
			err = fmt.Errorf("make a network namespace: %w", err)
			return
		}
		ns, err = netns.Get()
	}()
	<-done
	return ns, err
}

// inNamespace runs f on a thread of its own inside ns. Processes that f starts
// are in ns, too.
func inNamespace(ns netns.NsHandle, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := netns.Set(ns)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

func setUpVeth(address string) error {
	for _, name := range []string{"lo", "eth0"} {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		if name == "eth0" {
			addr, err := netlink.ParseAddr(address + "/24")
			if err != nil {
				return err
			}
			if err := netlink.AddrAdd(l, addr); err != nil {
				return fmt.Errorf("add %s: %w", address, err)
			}
		}
		if err := netlink.LinkSetUp(l); err != nil {
			return fmt.Errorf("set %s up: %w", name, err)
		}
	}
	// What the sandbox sets as well, and ports enough for a client that has
	// only one address.
	for path, value := range map[string]string{
		"net/core/somaxconn": "65535", "net/ipv4/tcp_max_syn_backlog": "65535",
		"net/ipv4/tcp_max_tw_buckets": "0", "net/ipv4/ip_local_port_range": "1024 65000",
	} {
		if err := os.WriteFile("/proc/sys/"+path, []byte(value), 0); err != nil {
			return err
		}
	}
	return nil
}

// routeClients makes all of 100.0.0.0/8, where clients come from, the client
// namespace's own, and tells the server's namespace where that is.
func (v *veth) routeClients() error {
	dst := &net.IPNet{IP: net.IPv4(100, 0, 0, 0), Mask: net.CIDRMask(8, 32)}
	err := inNamespace(v.client, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: dst, Scope: netlink.SCOPE_HOST, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL})
	})
	if err != nil {
		return fmt.Errorf("own %v: %w", dst, err)
	}
	err = inNamespace(v.server, func() error {
		return netlink.RouteAdd(&netlink.Route{Dst: dst, Gw: net.ParseIP(vethClient)})
	})
	if err != nil {
		return fmt.Errorf("route to %v: %w", dst, err)
	}
	return nil
}

func (v *veth) startServer() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, roleServe, "stdin")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := inNamespace(v.server, cmd.Start); err != nil {
		return fmt.Errorf("start server: %w", err)
	}
	v.process, v.stdin = cmd, stdin
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		return fmt.Errorf("start server: it said %q: %w", line, err)
	}
	return nil
}

// load runs the client once and returns its rate and the CPU time that it took.
func (v *veth) load(kind string, d time.Duration) (rate float64, cpu time.Duration, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, 0, err
	}
	cmd := exec.Command(self, roleClient, kind, vethServer, d.String())
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	if err := inNamespace(v.client, cmd.Start); err != nil {
		return 0, 0, fmt.Errorf("start client: %w", err)
	}
	decoded := json.NewDecoder(stdout).Decode(&rate)
	if err := errors.Join(cmd.Wait(), decoded); err != nil {
		return 0, 0, fmt.Errorf("kernel client, %s: %w", kind, err)
	}
	return rate, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

func (v *veth) close() {
	if v.process != nil {
		v.stdin.Close()
		v.process.Wait()
	}
	for _, ns := range []*netns.NsHandle{&v.server, &v.client} {
		if ns.IsOpen() {
			ns.Close()
		}
	}
}
