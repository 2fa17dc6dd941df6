package sandbox

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestInside(t *testing.T) {
	before := hostInterfaces(t)
	box := newBox(t, Config{MTU: 9000, Name: "wire0"})
	if w := box.Warnings(); len(w) > 0 {
		t.Logf("warnings: %q", w)
	}
	for _, ip := range []string{"198.51.100.7", "2001:db8::7", "198.51.100.7", "127.0.0.1", "::ffff:198.51.100.8"} {
		if err := box.AddServer(netip.MustParseAddr(ip)); err != nil {
			t.Error(err)
		}
	}
	for _, ip := range []string{"::1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "ff02::1"} {
		if err := box.AddServer(netip.MustParseAddr(ip)); err == nil {
			t.Errorf("added %s", ip)
		}
	}
	f := inspect(t, box, AppConfig{Dir: "/"}, strconv.Itoa(os.Getpid()))
	if f.Dir != "/" {
		t.Errorf("working directory %s", f.Dir)
	}
	want := []string{"100::1/128", "192.0.0.8/32", "198.51.100.7/32", "198.51.100.8/32", "2001:db8::7/128"}
	got := slices.Sorted(slices.Values(f.Interfaces["wire0"]))
	if !slices.Equal(got, want) {
		t.Errorf("addresses %v, want %v", got, want)
	}
	if lo := f.Interfaces["lo"]; !slices.Equal(lo, []string{"127.0.0.1/8", "::1/128"}) {
		t.Errorf("lo has %v", lo)
	}
	if after := hostInterfaces(t); !slices.Equal(before, after) {
		t.Errorf("host's interfaces were %v, are %v", before, after)
	}
}

func hostInterfaces(t *testing.T) (all []string) {
	t.Helper()
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			all = append(all, i.Name+" "+a.String())
		}
	}
	return all
}

func TestPrivileges(t *testing.T) {
	box := newBox(t, Config{})
	if box.Rootless() {
		t.Skip("in a user namespace there is one user: see TestRootless")
	}
	if ids, err := os.ReadFile("/proc/self/uid_map"); err != nil || !strings.Contains(string(ids), "4294967295") {
		if os.Getenv("TCPSANDBOX_NEED") == "all" {
			t.Fatal("the other users do not exist in this user namespace")
		}
		t.Skip("the other users do not exist in this user namespace")
	}
	const bind = 1 << 10 // NET_BIND_SERVICE
	const set = 1<<6 | 1<<7
	for _, test := range []struct {
		name     string
		cfg      AppConfig
		sudo     string
		uid, gid int
		caps     uint64
	}{
		{"root", AppConfig{User: "root"}, "", 0, 0, bind},
		{"root keeps", AppConfig{KeepCaps: []string{"setuid", "CAP_SETGID"}}, "", 0, 0, bind | set},
		{"user", AppConfig{User: "nobody"}, "", 65534, 65534, bind},
		{"user keeps", AppConfig{User: "nobody", KeepCaps: []string{"CAP_SETUID", "SetGid"}}, "", 65534, 65534, bind | set},
		{"number", AppConfig{User: "4711:4712"}, "", 4711, 4712, bind},
		{"behind sudo", AppConfig{}, "4713", 4713, 4713, bind},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("SUDO_UID", test.sudo)
			t.Setenv("SUDO_GID", test.sudo)
			// What an application must not have: a file of ours left open,
			// without close-on-exec.
			test.cfg.Env = []string{"GOTRACEBACK=none"}
			leak, err := os.Open("/proc/self/ns/net")
			if err != nil {
				t.Fatal(err)
			}
			defer leak.Close()
			if _, err := unix.FcntlInt(leak.Fd(), unix.F_SETFD, 0); err != nil {
				t.Fatal(err)
			}
			f := inspect(t, box, test.cfg, strconv.Itoa(os.Getpid()))
			if f.UID != test.uid || f.GID != test.gid {
				t.Errorf("user %d, group %d", f.UID, f.GID)
			}
			if test.uid == 65534 && (f.User != "nobody" || f.Home == os.Getenv("HOME")) {
				t.Errorf("USER=%s HOME=%s", f.User, f.Home)
			}
			for _, name := range []string{"CapBnd", "CapPrm", "CapEff"} {
				if got, _ := strconv.ParseUint(f.Status[name], 16, 64); got != test.caps {
					t.Errorf("%s %s, want %x", name, f.Status[name], test.caps)
				}
			}
			if f.Status["NoNewPrivs"] != "1" || f.Status["SigBlk"] != "0000000000000000" {
				t.Errorf("no_new_privs %s, blocked signals %s", f.Status["NoNewPrivs"], f.Status["SigBlk"])
			}
			for fd, target := range f.FDs {
				// What lies there the Go runtime of the test application opened itself.
				own := strings.HasPrefix(target, "/proc/") || strings.HasPrefix(target, "/sys/fs/cgroup/")
				if n, _ := strconv.Atoi(fd); n > 2 && !own {
					t.Errorf("file %s open: %s", fd, target)
				}
			}
			if f.FDs["0"] != os.DevNull {
				t.Errorf("stdin is %s", f.FDs["0"])
			}
			if len(f.Processes) != 2 {
				t.Errorf("it sees processes %v, want init and itself", f.Processes)
			}
			if !strings.Contains(f.Setns, "not permitted") && !strings.Contains(f.Setns, "permission denied") {
				t.Errorf("enter the namespace of process 1: %s", f.Setns)
			}
			if !strings.Contains(f.SetnsHost, "no such file") {
				t.Errorf("enter our namespace: %s", f.SetnsHost)
			}
		})
	}
}

// TestSetnsRefused shows that not even those who see another namespace enter it.
func TestSetnsRefused(t *testing.T) {
	box := newBox(t, Config{})
	out := make(lines, 10)
	// Without the filter: it is the kernel that refuses.
	app, err := box.start(t.Context(), AppConfig{
		Command: []string{"/proc/self/exe", strconv.Itoa(os.Getpid())}, Env: []string{roleVar + "=inspect", "GORACE=atexit_sleep_ms=0"},
		NoFilter: true, OnlyNamed: true, Output: out.take,
	}, true)
	if err != nil {
		t.Fatal(err)
	}
	<-app.Exited()
	got := <-out
	if !strings.Contains(got, `"SetnsHost":"operation not permitted"`) && !strings.Contains(got, `"SetnsHost":"open: `) {
		t.Errorf("with the host's /proc in sight: %s", got)
	}
}

func TestLeavesNothing(t *testing.T) {
	needNamespace(t)
	defer goleak.VerifyNone(t)
	count := func(dir string) int {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	round := func() {
		box, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := box.AddServer(netip.MustParseAddr("198.51.100.7")); err != nil {
			t.Fatal(err)
		}
		app, err := box.Start(t.Context(), AppConfig{Command: []string{"sleep", "1000"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := box.Close(); err != nil {
			t.Fatal(err)
		}
		if app.Status().Signal != "SIGKILL" {
			t.Errorf("ended by %v", app.Status())
		}
		if err := box.Close(); err != nil {
			t.Error("second close:", err)
		}
	}
	round() // the runtime opens its poller, and threads for its own use
	fds, threads := count("/proc/self/fd"), count("/proc/self/task")
	for range 20 {
		round()
	}
	if now := count("/proc/self/fd"); now > fds {
		links, _ := filepath.Glob("/proc/self/fd/*")
		t.Errorf("%d files open, were %d: %v", now, fds, links)
	}
	if kids := children(); len(kids) > 0 {
		t.Errorf("children %v remain", kids)
	}
	// The runtime keeps a few idle threads; 20 rounds would leave 40.
	until(t, "threads end", func() bool { return count("/proc/self/task") <= threads+8 })
}
