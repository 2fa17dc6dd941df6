package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

// wellFiles are those of a host on which all is well, as root sees them.
var wellFiles = map[string]string{
	"proc/self/ns/net": "", "proc/self/ns/mnt": "", "proc/self/ns/pid": "", "proc/self/ns/user": "",
	"proc/self/status":                                            "Name:\ttcpsandbox\nCapPrm:\t000001ffffffffff\nCapEff:\t000001ffffffffff\n",
	"proc/self/mounts":                                            "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n",
	"proc/self/cgroup":                                            "0::/user.slice/session-1.scope\n",
	"proc/77/limits":                                              "Limit                     Soft Limit           Hard Limit           Units     \nMax processes             96365                96365                processes \nMax open files            65536                524288               files     \n",
	"proc/meminfo":                                                "MemTotal:        8000000 kB\nMemFree:          100000 kB\nMemAvailable:    6000000 kB\n",
	"proc/sys/net/core/somaxconn":                                 "4096\n",
	"proc/sys/user/max_user_namespaces":                           "31000\n",
	"proc/sys/user/max_net_namespaces":                            "31000\n",
	"sys/fs/cgroup/cgroup.controllers":                            "cpuset cpu io memory pids\n",
	"sys/fs/cgroup/cgroup.subtree_control":                        "cpu memory pids\n",
	"sys/fs/cgroup/user.slice/cgroup.controllers":                 "cpu memory pids\n",
	"sys/fs/cgroup/user.slice/cgroup.subtree_control":             "cpu memory pids\n",
	"sys/fs/cgroup/user.slice/session-1.scope/cgroup.type":        "domain\n",
	"proc/pressure/cpu":                                           "some avg10=6.32 avg60=6.74 avg300=5.96 total=1781566\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
	"proc/pressure/memory":                                        "some avg10=1.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=0\n",
	"proc/pressure/io":                                            "some avg10=1.00 avg60=0.03 avg300=0.04 total=186\nfull avg10=0.25 avg60=0.02 avg300=0.00 total=56\n",
	"sys/fs/cgroup/user.slice/session-1.scope/cgroup.controllers": "cpu memory pids\n",
	"sys/fs/cgroup/user.slice/session-1.scope/memory.max":         "max\n",
}

// host returns a host on which all is well.
func host() *Host {
	return &Host{
		Files: tree(nil), Writable: func(string) bool { return true },
		OS: "linux", Release: "6.8.0-49-generic", Arch: "amd64", Parent: 77, CPUs: 4, Program: "/usr/bin/tcpsandbox",
		Interfaces: []Interface{{Name: "eth0", Up: true, Known: true, GRO: true, TSO: true, GSO: true, RXVLAN: true}},
		Here:       Trial{Offload: true},
	}
}

// user returns it as somebody without privileges sees it.
func user() *Host {
	h := host()
	h.Files = tree(map[string]string{"proc/self/status": "CapEff:\t0000000000000000\n"})
	h.UID, h.PacketSocket = 1000, syscall.EPERM
	h.Here = Trial{Offload: true, Rootless: true}
	return h
}

// barred returns a host that allows users no namespaces, as one of them sees it.
func barred(setting string) *Host {
	h := user()
	files := map[string]string{"proc/self/status": "CapEff:\t0000000000000000\n"}
	h.Here = Trial{Failed: "make a user namespace, for want of CAP_SYS_ADMIN and CAP_NET_ADMIN: operation not permitted", Denied: true, Fix: "sudo tcpsandbox doctor"}
	if setting != "" {
		name, value, _ := strings.Cut(setting, "=")
		files["proc/sys/"+strings.ReplaceAll(name, ".", "/")] = value + "\n"
		h.Here.Fix = "sudo sysctl " + name + "=good"
	}
	h.Files = tree(files)
	return h
}

// tree returns the files of such a host with some changed; "-" takes one away.
func tree(changed map[string]string) fs.FS {
	all := fstest.MapFS{"dev/net/tun": {Mode: fs.ModeDevice | fs.ModeCharDevice | 0o666}}
	for name, text := range wellFiles {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	for name, text := range changed {
		if text == "-" {
			delete(all, name)
		} else {
			all[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return all
}

func TestAllIsWell(t *testing.T) {
	r := Examine(host())
	if !r.CanRun || !r.CanCapture {
		t.Errorf("can run %v, can capture %v", r.CanRun, r.CanCapture)
	}
	for _, c := range r.Checks {
		if c.Status != OK || c.Fix != "" {
			t.Errorf("%+v", c)
		}
	}
}

func TestChecks(t *testing.T) {
	// with returns a host with some files changed.
	with := func(changed ...string) *Host {
		h := host()
		m := map[string]string{}
		for i := 0; i < len(changed); i += 2 {
			m[changed[i]] = changed[i+1]
		}
		h.Files = tree(m)
		return h
	}
	// but returns a changed host.
	but := func(h *Host, change func(h *Host)) *Host {
		change(h)
		return h
	}
	const status = "proc/self/status"
	const group = "sys/fs/cgroup/user.slice/session-1.scope/"
	const slice, top = "sys/fs/cgroup/user.slice/cgroup.subtree_control", "sys/fs/cgroup/cgroup.subtree_control"
	tests := []struct {
		name  string
		host  *Host
		check string
		want  Status
		found string // a part of Found
		means string // of Means
		fix   string // of Fix
	}{
		{"not Linux", &Host{OS: "darwin"}, "kernel", Missing, "darwin", "namespaces", "on Linux"},
		{"an old kernel", but(host(), func(h *Host) { h.Release = "3.10.0-1160.el7" }), "kernel", Warning, "3.10.0", "older than 4.11", "--app-port"},
		{"4.11 is not too old", but(host(), func(h *Host) { h.Release = "4.11.0" }), "kernel", OK, "4.11.0", "", ""},
		{"a release of no numbers", but(host(), func(h *Host) { h.Release = "custom" }), "kernel", Warning, "custom", "cannot be read", ""},

		{"no network namespaces", with("proc/self/ns/net", "-"), "namespaces", Missing, "no net", "", "CONFIG_NET_NS"},
		{"no process namespaces", with("proc/self/ns/pid", "-"), "namespaces", Warning, "no pid", "stragglers", "CONFIG_PID_NS"},
		{"none are allowed", with("proc/sys/user/max_net_namespaces", "0"), "namespaces", Missing, "user.max_net_namespaces is 0", "", "sysctl user.max_net_namespaces="},

		{"no TUN device", with("dev/net/tun", "-"), "tun", Missing, "no /dev/net/tun", "", "modprobe tun"},
		{"TUN in a container", but(host(), func(h *Host) { h.OpenTUN = syscall.EPERM }), "tun", Missing, "not permitted", "", "--device /dev/net/tun"},
		{"TUN without a module", but(host(), func(h *Host) { h.OpenTUN = syscall.ENODEV }), "tun", Missing, "no such device", "", "modprobe"},
		{"TUN for root only", but(user(), lacksTUN), "tun", Missing, "-rw-------", "", "chmod 666"},
		{"TUN is all that a user lacks", but(user(), lacksTUN), "capabilities", Warning, "none", "files can be replayed", "setcap"},
		{"and no right gives it", but(user(), lacksTUN), "sandbox", Missing, "open /dev/net/tun", "", "sudo chmod 666 /dev/net/tun"},
		{"TUN without offload", but(host(), func(h *Host) { h.Here.Offload = false }), "tun", Warning, "no offload", "slow", "TUNSETOFFLOAD"},
		{"its offload was seen in a user namespace", user(), "tun", OK, "TSO4", "", ""},

		{"no privileges", user(), "capabilities", Warning, "none", "files can be replayed", "setcap cap_net_raw+ep /usr/bin/tcpsandbox"},
		{"no privileges, and none to be had", barred(""), "capabilities", Missing, "none", "or a user namespace", "sudo tcpsandbox run"},
		{"all of them", host(), "capabilities", OK, "CAP_SYS_ADMIN", "keeps CAP_NET_RAW for live captures", ""},
		{"root of a container", but(with(status, "CapEff:\t00000000a80425fb\n"), func(h *Host) {
			h.Here = Trial{Failed: "make a network namespace: operation not permitted", Denied: true}
		}), "capabilities", Missing, "CAP_NET_RAW, CAP_SETUID, CAP_SETGID; not CAP_NET_ADMIN, CAP_SYS_ADMIN", "", "docker run --cap-add NET_ADMIN"},
		{"a sandbox without them", with(status, "CapEff:\t0\n"), "capabilities", Warning, "none", "", "docker"},
		{"no capture", with(status, "CapEff:\t000001ffffffdfff\n"), "capabilities", Warning, "not CAP_NET_RAW", "files can be replayed", "NET_RAW"},
		{"by the file's", but(user(), func(h *Host) {
			h.Files, h.PacketSocket = tree(map[string]string{status: "CapEff:\t0000000000002000\n"}), nil
			h.FileCaps = 0x2000
		}), "capabilities", OK, "CAP_NET_RAW; not CAP_NET_ADMIN, CAP_SYS_ADMIN", "--user takes root", ""},
		{"all by the file's", but(user(), func(h *Host) {
			h.Files = tree(map[string]string{status: "CapEff:\t0000000000203000\n"})
			h.Here, h.FileCaps = Trial{Offload: true}, 0x203000
		}), "capabilities", Warning, "not CAP_SETUID, CAP_SETGID", "--user is refused", "sudo"},
		{"built with cgo", but(host(), func(h *Host) { h.LinksC = true }), "capabilities", Warning, "CAP_NET_RAW", "keeps all of them", "make build"},
		{"without any, built with cgo", but(user(), func(h *Host) { h.LinksC = true }), "capabilities", Warning, "none", "no live captures", "setcap"},
		{"the file's", but(host(), func(h *Host) { h.FileCaps = 0x3000 }), "file-capabilities", OK, "CAP_NET_ADMIN, CAP_NET_RAW", "whoever", ""},
		{"the file's are too much", but(host(), func(h *Host) { h.FileCaps = 0x203000 }), "file-capabilities", Warning, "CAP_SYS_ADMIN", "next to root", "setcap cap_net_raw+ep"},
		{"the file's have no effect", but(user(), func(h *Host) { h.FileCaps = 0x203000 }), "file-capabilities", Warning, "", "nosuid", "findmnt"},

		{"a sandbox without root", user(), "sandbox", OK, "user namespace", "runs as you", ""},
		{"a sandbox is refused", barred(""), "sandbox", Missing, "operation not permitted", "", "sudo tcpsandbox run"},
		{"by a setting", barred("kernel.unprivileged_userns_clone=0"), "sandbox", Missing, "operation not permitted", "", "sudo sysctl kernel.unprivileged_userns_clone=good\nsudo tcpsandbox run"},
		{"nobody starts this program", but(host(), func(h *Host) { h.Here.NotStarted = "start tcpsandbox: permission denied" }), "sandbox", OK, "TUN device was made", "no program was started in it: start tcpsandbox: permission denied", ""},
		{"for another reason", but(host(), func(h *Host) { h.Here = Trial{Failed: "set lo up: no", Fix: "do this"} }), "sandbox", Missing, "set lo up: no", "", "do this"},
		{"not all could be set", but(host(), func(h *Host) { h.Here.Warnings = []string{"no process namespace"} }), "sandbox", Warning, "", "no process namespace", "--privileged"},
		{"somaxconn could not be set", but(host(), func(h *Host) { h.Here.Warnings = []string{"set net/core/somaxconn to 65535: read-only"} }), "somaxconn", Warning, "read-only", "refused", "docker"},
		{"nor without root", but(user(), func(h *Host) { h.Here.Warnings = []string{"set net/core/somaxconn to 65535: no such file"} }), "somaxconn", Warning, "no such file", "refused", "sudo"},
		{"without root", user(), "somaxconn", OK, "4096 on the host, 65535 in the sandbox, or 4096", "", ""},
		{"that has a line of its own", but(host(), func(h *Host) { h.Here.Warnings = []string{"set net/core/somaxconn to 65535: read-only"} }), "sandbox", OK, "", "", ""},
		{"no packet socket", user(), "capture", Warning, "operation not permitted", "files can be replayed", "setcap"},

		{"user namespaces, tried", user(), "user-namespaces", OK, "was made", "no privilege at all", ""},
		{"no user namespaces", with("proc/self/ns/user", "-"), "user-namespaces", Warning, "the kernel has none", "needs root", "CONFIG_USER_NS"},
		{"none allowed", with("proc/sys/user/max_user_namespaces", "0\n"), "user-namespaces", Warning, "user.max_user_namespaces is 0", "needs root", "sudo sysctl user.max_user_namespaces=15000"},
		{"Debian's", with("proc/sys/kernel/unprivileged_userns_clone", "0\n"), "user-namespaces", Warning, "unprivileged_userns_clone is 0", "", "sudo sysctl kernel.unprivileged_userns_clone=1"},
		{"Ubuntu's", with("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n"), "user-namespaces", Warning, "apparmor_restrict_unprivileged_userns is 1", "", "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
		{"a seccomp filter", barred(""), "user-namespaces", Warning, "operation not permitted", "", "seccomp"},
		{"it works whatever the settings say", but(user(), func(h *Host) {
			h.Files = tree(map[string]string{"proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n"})
		}), "user-namespaces", OK, "was made", "", ""},

		{"AppArmor, unconfined", with("sys/module/apparmor/parameters/enabled", "Y\n", "proc/self/attr/apparmor/current", "unconfined\n"), "apparmor", OK, "unconfined", "", ""},
		{"AppArmor, complaining", with("sys/module/apparmor/parameters/enabled", "Y\n", "proc/self/attr/apparmor/current", "app (complain)\n"), "apparmor", OK, "app (complain)", "", ""},
		{"AppArmor, confined", with("sys/module/apparmor/parameters/enabled", "Y\n", "proc/self/attr/current", "docker-default (enforce)\n"), "apparmor", Warning, "docker-default", "", "apparmor=unconfined"},
		{"AppArmor is off", with("sys/module/apparmor/parameters/enabled", "N\n", "proc/self/attr/current", "x (enforce)\n"), "apparmor", OK, "not there", "", ""},
		{"SELinux, permissive", with("sys/fs/selinux/enforce", "0", "proc/self/attr/current", "system_u:system_r:container_t:s0\x00"), "selinux", OK, "permissive", "", ""},
		{"SELinux, unconfined", with("sys/fs/selinux/enforce", "1", "proc/self/attr/current", "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023\x00"), "selinux", OK, "enforcing", "", ""},
		{"SELinux, confined", with("sys/fs/selinux/enforce", "1", "proc/self/attr/current", "system_u:system_r:container_t:s0\x00"), "selinux", Warning, "container_t:s0", "", "ausearch"},

		{"cgroup v1", with("proc/self/mounts", "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n"), "cgroup", Warning, "no cgroup v2", "limit", "unified_cgroup_hierarchy"},
		{"no cgroup at all", with("proc/self/mounts", "proc /proc proc rw 0 0\n"), "cgroup", Warning, "ip netns exec", "limit", "nsenter"},
		{"both, controllers are v1's", with("proc/self/mounts", "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n", "proc/self/cgroup", "4:memory:/x\n0::/\n"), "cgroup", Warning, "/sys/fs/cgroup/unified has no cpu", "cannot be given a limit", "unified_cgroup_hierarchy"},
		{"one controller is v1's", with("sys/fs/cgroup/cgroup.controllers", "memory pids\n"), "cgroup", Warning, "has no cpu", "of that kind", "unified_cgroup_hierarchy"},
		{"limits in the nearest group", host(), "cgroup", OK, "set in /sys/fs/cgroup/user.slice", "--memory", ""},
		{"limits further up", with(slice, "memory pids\n", group+"cgroup.controllers", "memory pids\n"), "cgroup", OK, "set in /sys/fs/cgroup", "--cpus", ""},
		{"a controller is not handed on", with(slice, "memory pids\n", group+"cgroup.controllers", "memory pids\n", top, "memory pids\n"), "cgroup", Warning, "/sys/fs/cgroup/user.slice does not hand cpu on", "", "echo +cpu | sudo tee /sys/fs/cgroup/user.slice/cgroup.subtree_control"},
		{"a user's session", but(with(), func(h *Host) { h.UID, h.Writable = 1000, func(string) bool { return false } }), "cgroup", Warning, "no group here is ours", "", "systemd-run --user --scope -p Delegate=yes"},
		{"a user's service", but(with(), func(h *Host) {
			h.UID, h.Writable = 1000, func(path string) bool { return strings.HasPrefix(path, "/sys/fs/cgroup/user.slice") }
		}), "cgroup", OK, "set in /sys/fs/cgroup/user.slice", "", ""},
		{"delegated", with(slice, "", top, ""), "cgroup", OK, "session-1.scope is divided", "alone", ""},
		{"the host's root group", with("proc/self/cgroup", "0::/\n", top, ""), "cgroup", Warning, "/sys/fs/cgroup does not hand them on", "", "echo +cpu +memory +pids"},
		{"a container's, to look at only", but(with("proc/self/cgroup", "0::/\n", top, "", "sys/fs/cgroup/cgroup.type", "domain\n"), func(h *Host) { h.Writable = func(string) bool { return false } }), "cgroup", Warning, "is not writable", "", "docker run"},

		{"few files", with("proc/77/limits", "Max open files            1024                 524288               files\n"), "open-files", Warning, "1024, at most 524288", "inherits", "ulimit -n 524288"},
		{"few files for good", with("proc/77/limits", "Max open files            1024                 1024                 files\n"), "open-files", Warning, "1024", "", "prlimit"},
		{"files without a limit", with("proc/77/limits", "Max open files            unlimited            unlimited            files\n"), "open-files", OK, "unlimited", "", ""},
		{"the first of a process namespace", with("proc/77/limits", "-", "proc/self/limits", "Max open files            9000                 9000                 files\n"), "open-files", OK, "9000", "", ""},
		{"no word of files", with("proc/77/limits", "-"), "open-files", OK, "unknown", "", ""},

		{"little memory", with("proc/meminfo", "MemTotal: 1000000 kB\nMemAvailable: 300000 kB\n"), "memory", Warning, "976 MiB, 292 MiB available", "--max-memory is 244 MiB", "--max-memory 146M"},
		{"little for the group", with(group+"memory.max", "268435456\n"), "memory", Warning, "may use 256 MiB", "", "--max-memory 128M"},
		{"a kernel that tells of no pressure", with("proc/pressure/cpu", "-", "proc/pressure/memory", "-", "proc/pressure/io", "-"), "pressure", Warning, "the kernel does not tell of cpu, memory, io", "--max-pressure", "psi=1"},
		{"one that tells of some", with("proc/pressure/io", "garbage"), "pressure", Warning, "cpu 6.32%, memory 0.50%; the kernel does not tell of io", "--max-pressure", "psi=1"},
		{"one processor", but(host(), func(h *Host) { h.CPUs = 1 }), "processors", Warning, "1", "gives way", "tcpsandbox record"},
		{"processors for whom nobody else wants them", host(), "processors", OK, "4", "nobody else", ""},
		{"a niceness was given", but(host(), func(h *Host) { h.ChoseWay = true }), "processors", OK, "4", "keep the niceness", ""},
		{"no group to stand back in", but(host(), func(h *Host) { h.Here.Stays = "no group" }), "processors", Warning, "4", "niceness only: no group", "systemd-run"},
		{"no group at all", but(host(), func(h *Host) { h.Here.Stays, h.Here.StaysFix = "none is mounted", "nsenter" }), "processors", Warning, "4", "niceness only: none", "nsenter"},
		{"no group that is the user's", but(user(), func(h *Host) { h.Here.Stays, h.PacketSocket = "no group", nil }), "processors", Warning, "4", "niceness only: no group", "sudo tcpsandbox run"},

		{"LRO", but(host(), func(h *Host) { h.Interfaces[0].LRO = true }), "interface", Warning, "GRO, LRO, TSO, GSO, RXVLAN", "acknowledgements", "ethtool -K eth0 lro off"},
		{"usual offloads", host(), "interface", OK, "up, GRO, TSO, GSO, RXVLAN", "64 KB", ""},
		{"an interface that is down", but(host(), func(h *Host) { h.Interfaces[0] = Interface{Name: "eth1", Known: true} }), "interface", OK, "down, no offloads", "", ""},
		{"a driver that does not tell", but(host(), func(h *Host) { h.Interfaces[0].Known = false }), "interface", OK, "cannot be read", "", ""},

		{"traffic", looking(Look{Source: "eth0:80", Packets: 9, Sessions: 2, ToServer: 10, ToClient: 20, Clients: true, Servers: true}), "traffic", OK, "9 packets, 2 sessions, 10 bytes to and 20 from", "", ""},
		{"silence", looking(Look{Source: "eth0:80"}), "traffic", Warning, "0 packets", "elsewhere", "--capture any:80"},
		{"silence everywhere", looking(Look{Source: "any:80"}), "traffic", Warning, "0 packets", "elsewhere", "tcpdump"},
		{"one direction", looking(Look{Source: "eth1:80", Packets: 9, Sessions: 2, Clients: true}), "traffic", Warning, "", "no answers", "mirror"},
		{"the other direction", looking(Look{Source: "eth1:80", Packets: 9, Sessions: 2, Servers: true}), "traffic", Warning, "", "nothing to replay", "mirror"},
		{"too much", looking(Look{Source: "eth0:80", Packets: 9, Sessions: 1, Drops: 3, Clients: true, Servers: true}), "traffic", Warning, "dropped 3", "counted", "--max-cpu"},
		{"no session", looking(Look{Source: "eth0:80", Packets: 9}), "traffic", Warning, "0 sessions", "accepted", "--capture eth0 "},
		{"TLS", looking(Look{Source: "eth0:443", Packets: 9, Sessions: 3, TLS: 2, Clients: true, Servers: true}), "traffic", Warning, "2 sessions are TLS", "handshake", "behind the proxy"},
		{"an interface with an odd name", but(host(), func(h *Host) { h.Interfaces[0].Name, h.Interfaces[0].LRO = "e;x", true }), "interface", Warning, "", "", "ethtool -K 'e;x' lro off"},
		{"two settings forbid them", with("proc/sys/user/max_user_namespaces", "0", "proc/sys/kernel/unprivileged_userns_clone", "0"), "user-namespaces", Warning, "max_user_namespaces is 0; kernel.", "", "=15000 && sudo sysctl kernel."},
		{"no right to capture", but(user(), func(h *Host) {
			h.Looks = []Look{{Source: "eth0:80", Failed: "capture on eth0: operation not permitted", Denied: true, Fix: "sudo setcap cap_net_raw+ep x"}}
		}), "traffic", Missing, "not permitted", "run --capture eth0:80 fails", "sudo tcpsandbox run …\nsudo setcap cap_net_raw"},
		{"no such interface", looking(Look{Source: "eth7:80", Failed: "capture on eth7: no such interface"}), "traffic", Missing, "eth7", "fails", "ip link"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := Examine(test.host)
			at := slices.IndexFunc(r.Checks, func(c Check) bool { return c.Name == test.check })
			if at < 0 {
				t.Fatalf("no check %s", test.check)
			}
			c := r.Checks[at]
			if c.Status != test.want || !strings.Contains(c.Found, test.found) || !strings.Contains(c.Means, test.means) || !strings.Contains(c.Fix, test.fix) {
				t.Errorf("%+v\nwant %+v", c, test)
			}
			if test.fix == "" && c.Fix != "" && c.Status == OK {
				t.Errorf("all is well, and the fix is %q", c.Fix)
			}
			if r.CanRun == slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Status == Missing }) {
				t.Errorf("can run: %v", r.CanRun)
			}
			for _, c := range r.Checks {
				if c.Status == Missing && (c.Fix == "" || c.Means == "") {
					t.Errorf("it is missing, and nothing is said of what to do: %+v", c)
				}
			}
		})
	}
}

// lacksTUN makes a host's TUN device root's only.
func lacksTUN(h *Host) {
	h.OpenTUN = syscall.EACCES
	h.Files.(fstest.MapFS)["dev/net/tun"].Mode = fs.ModeDevice | 0o600
	h.Here = Trial{Failed: "open /dev/net/tun: permission denied", Denied: true}
}

func looking(l Look) *Host {
	h := host()
	l.For = 2 * time.Second
	h.Looks = []Look{l}
	return h
}

// A host of which nothing can be read is not a reason to crash.
func TestNothingCanBeRead(t *testing.T) {
	r := Examine(&Host{OS: "linux", Files: fstest.MapFS{}, Writable: func(string) bool { return false }, OpenTUN: errors.New("no")})
	if r.CanRun {
		t.Errorf("%+v", r)
	}
}

func TestText(t *testing.T) {
	h := user()
	h.Interfaces = nil
	var b strings.Builder
	if err := Examine(h).WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/user.txt")
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
	for _, test := range []struct {
		host *Host
		want string
	}{
		{host(), "\nrun can work here\n"},
		{func() *Host { h := host(); h.PacketSocket = syscall.EPERM; return h }(), "\nrun can work here with capture files, not with live captures\n"},
	} {
		b.Reset()
		Examine(test.host).WriteText(&b)
		if !strings.HasSuffix(b.String(), test.want) {
			t.Errorf("%q does not end with %q", b.String(), test.want)
		}
	}
}

// docs/doctor.md has each field of the JSON form, each check and each status.
func TestJSONIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllSubmatch(page, -1) {
		written[string(m[1])] = true
	}
	have := map[string]bool{string(OK): true, string(Warning): true, string(Missing): true}
	for _, f := range []struct {
		prefix string
		form   reflect.Type
	}{{"", reflect.TypeFor[Result]()}, {"checks[].", reflect.TypeFor[Check]()}} {
		for i := range f.form.NumField() {
			name, _, _ := strings.Cut(f.form.Field(i).Tag.Get("json"), ",")
			have[f.prefix+name] = true
		}
	}
	for _, c := range Examine(looking(Look{Source: "eth0:80"})).Checks {
		have[c.Name] = true
	}
	for name := range have {
		if !written[name] {
			t.Errorf("docs/doctor.md has no row for %s", name)
		}
	}
	for name := range maps.Keys(written) {
		if !have[name] {
			t.Errorf("docs/doctor.md has a row for %s, which is not there", name)
		}
	}
}

func TestJSON(t *testing.T) {
	r := Examine(user())
	r.Tool = "v1"
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back Result
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*r, back) {
		t.Errorf("%+v\ncame back as\n%+v", *r, back)
	}
}
