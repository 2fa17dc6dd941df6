package doctor

import (
	"cmp"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// oldest is the oldest kernel on which nothing is known to be missing: from 4.11
// on net.ipv4.ip_unprivileged_port_start lets an application bind any port.
var oldest = [2]int{4, 11}

func (h *Host) kernel() Check {
	c := Check{Name: "kernel", Status: OK, Found: "Linux " + h.Release + ", " + h.Arch}
	var major, minor int
	if n, _ := fmt.Sscanf(h.Release, "%d.%d", &major, &minor); n < 2 {
		c.Status, c.Means = Warning, "its release cannot be read: what follows was tried all the same"
		return c
	}
	if major < oldest[0] || major == oldest[0] && minor < oldest[1] {
		c.Status = Warning
		c.Means = fmt.Sprintf("older than %d.%d: an application that gives its capabilities up cannot bind ports below 1024 afterwards", oldest[0], oldest[1])
		c.Fix = "a newer kernel, or --app-port with a port from 1024 on"
	}
	return c
}

// namespaces looks at what the kernel was built with, and at limits of zero.
func (h *Host) namespaces() Check {
	c := Check{Name: "namespaces", Status: OK}
	var have, lack []string
	for _, kind := range []string{"net", "mnt", "pid", "user"} {
		if _, err := fs.Stat(h.Files, "proc/self/ns/"+kind); err == nil {
			have = append(have, kind)
		} else {
			lack = append(lack, kind)
		}
	}
	c.Found = strings.Join(have, ", ")
	for _, kind := range []string{"net", "mnt", "pid"} {
		if h.read("proc/sys/user/max_"+kind+"_namespaces") != "0" {
			continue
		}
		c.Found += fmt.Sprintf("; user.max_%s_namespaces is 0", kind)
		c.Status, c.Means = Warning, "an application's stragglers end a moment later than it"
		if kind == "net" {
			c.Status, c.Means = Missing, "the application's network is a namespace"
		}
		c.Fix = fmt.Sprintf("sudo sysctl user.max_%s_namespaces=15000", kind)
		if c.Status == Missing {
			return c
		}
	}
	if len(lack) == 0 {
		return c
	}
	if len(have) == 0 {
		c.Found = "none"
	}
	c.Found += "; the kernel has no " + strings.Join(lack, ", ")
	c.Status, c.Means, c.Fix = Warning, "an application's stragglers end a moment later than it, and rights are all it is kept by", kernelFix
	if lack[0] == "net" {
		c.Status, c.Means = Missing, "the application's network is a namespace"
	}
	return c
}

const kernelFix = "a kernel with CONFIG_NET_NS, CONFIG_PID_NS, CONFIG_USER_NS and a mounted /proc"

func (h *Host) tun() Check {
	c := Check{Name: "tun", Status: OK, Found: "/dev/net/tun"}
	info, err := fs.Stat(h.Files, "dev/net/tun")
	switch {
	case err != nil:
		c.Status, c.Found = Missing, "no /dev/net/tun"
		c.Means = "it is the only way out of the application's network"
		c.Fix = "sudo modprobe tun\nsudo mkdir -p /dev/net && sudo mknod -m 666 /dev/net/tun c 10 200\ndocker run --device /dev/net/tun …    # in a container"
		return c
	case h.OpenTUN != nil:
		c.Status = Missing
		c.Found += fmt.Sprintf(" (%v): %v", info.Mode().Perm(), h.OpenTUN)
		c.Means = "it is the only way out of the application's network"
		switch {
		case strings.Contains(h.OpenTUN.Error(), "no such device"):
			c.Fix = "sudo modprobe tun"
		case h.UID != 0 && info.Mode().Perm()&6 != 6:
			c.Fix = "sudo chmod 666 /dev/net/tun    # opens nothing: a device needs CAP_NET_ADMIN besides"
		default:
			c.Fix = "docker run --device /dev/net/tun …    # in a container"
		}
		return c
	}
	t := h.Here
	switch {
	case !t.Works():
		c.Found += ", can be opened; offload not tried"
	case t.Offload:
		c.Found += ", offload: checksums, TSO4, TSO6"
	default:
		c.Status, c.Found = Warning, c.Found+", no offload"
		c.Means = "bulk data is some 8 times as slow"
		c.Fix = "a kernel whose tun driver knows TUNSETOFFLOAD"
	}
	return c
}

// cgroupMount returns where cgroup v2 is mounted, "" for nowhere.
func (h *Host) cgroupMount() string {
	for line := range strings.Lines(h.read("proc/self/mounts")) {
		f := strings.Fields(line)
		if len(f) > 2 && f[2] == "cgroup2" {
			return f[1]
		}
	}
	return ""
}

// ownCgroup returns the v2 group of this process, below the mount.
func (h *Host) ownCgroup() (string, bool) {
	for line := range strings.Lines(h.read("proc/self/cgroup")) {
		if at, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return at, true
		}
	}
	return "", false
}

// fewFiles is under which number of open files a load test is what runs out of
// them: 1,024 is the default of most shells.
const fewFiles = 4096

func (h *Host) openFiles() Check {
	soft, hard := h.fileLimits()
	c := Check{Name: "open-files", Status: OK, Found: soft + ", at most " + hard}
	c.Means = "tcpsandbox needs none for a session, the application one"
	if n, err := strconv.Atoi(soft); err == nil && n < fewFiles {
		c.Status = Warning
		c.Means = "the application inherits this: with more sessions at a time it refuses some"
		c.Fix = "ulimit -n " + hard
		if n, err := strconv.Atoi(hard); err == nil && n < fewFiles {
			c.Fix = "sudo prlimit --nofile=65536:65536 --pid $$"
		}
	}
	return c
}

// fileLimits returns how many files a process may have open, and how far it may
// raise that. It asks for those of the parent: Go raises its own when it starts,
// and gives what it starts the former ones.
func (h *Host) fileLimits() (soft, hard string) {
	text := h.read(fmt.Sprintf("proc/%d/limits", h.Parent))
	if text == "" { // it has no parent in this process namespace
		text = h.read("proc/self/limits")
	}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			if f := strings.Fields(rest); len(f) > 1 {
				return f[0], f[1]
			}
		}
	}
	return "unknown", "unknown"
}

// backlog looks at how many connections may wait for accept. The sandbox sets its
// own, where it may.
func (h *Host) backlog() Check {
	c := Check{Name: "somaxconn", Status: OK, Found: h.read("proc/sys/net/core/somaxconn") + " on the host, 65535 in the sandbox"}
	if h.Here.Rootless {
		c.Found += ", or 4096 where the kernel keeps it from user namespaces"
	}
	for _, w := range h.Here.Warnings {
		if strings.Contains(w, "somaxconn") {
			c.Status, c.Found = Warning, w
			c.Means = "bursts of connections wait longer in the sandbox, and some are refused"
			c.Fix = "docker run --security-opt systempaths=unconfined …    # in a container"
			if h.Here.Rootless {
				c.Fix = sudoFix
			}
		}
	}
	if !h.Here.Works() {
		c.Found = h.read("proc/sys/net/core/somaxconn") + " on the host; the sandbox sets its own to 65535"
	}
	return c
}

// littleMemory is under which --max-memory's default, a quarter of it, leaves
// little for players: 44 MiB and a ring of 64 MiB are set aside first. mostMemory
// is the default's bound.
const littleMemory, mostMemory = 512 << 20, 2 << 30

func (h *Host) memory() Check {
	c := Check{Name: "memory", Status: OK}
	total, available := h.meminfo("MemTotal"), h.meminfo("MemAvailable")
	limit := h.memoryLimit()
	c.Found = fmt.Sprintf("%s, %s available", mebibytes(total), mebibytes(available))
	if limit < total {
		c.Found += fmt.Sprintf("; the control group may use %s", mebibytes(limit))
	}
	c.Means = fmt.Sprintf("--max-memory is %s unless given", mebibytes(min(min(limit, total)/4, mostMemory)))
	if free := min(available, limit); free < littleMemory {
		c.Status = Warning
		c.Means += ", more than is good beside production: sessions over it are shed"
		c.Fix = fmt.Sprintf("tcpsandbox run --max-memory %dM …", max(free>>21, 128))
	}
	return c
}

// meminfo returns a line of /proc/meminfo, in bytes.
func (h *Host) meminfo(key string) int64 {
	for line := range strings.Lines(h.read("proc/meminfo")) {
		name, rest, _ := strings.Cut(line, ":")
		if name == key {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n << 10
		}
	}
	return 0
}

// memoryLimit returns what the process' control group may use, in bytes, or the
// largest number.
func (h *Host) memoryLimit() int64 {
	limit := int64(math.MaxInt64)
	places := []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"}
	if mount := h.cgroupMount(); mount != "" {
		if at, ok := h.ownCgroup(); ok {
			places = append(places, strings.TrimPrefix(path.Join(mount, at, "memory.max"), "/"))
		}
	}
	for _, file := range places {
		if n, err := strconv.ParseInt(h.read(file), 10, 64); err == nil && n > 0 { // "max" is none
			limit = min(limit, n)
		}
	}
	return limit
}

func mebibytes(n int64) string {
	if n >= 10<<30 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

func (h *Host) processors() Check {
	c := Check{Name: "processors", Status: OK, Found: strconv.Itoa(h.CPUs)}
	if h.CPUs < 2 {
		c.Status = Warning
		c.Means = "production, application and tcpsandbox share it: the replay gives way, and latencies say little"
		c.Fix = "sudo tcpsandbox record --capture eth0:80 -o shop.pcapng    # and replay the file elsewhere"
	}
	switch {
	case !h.Here.Works() || h.PacketSocket != nil || h.CPUs < 2:
	case h.ChoseWay:
		c.Means = "a live run and its application keep the niceness or policy that they are given, and share them"
	case h.Here.Stays == "":
		c.Means = "a live run and its application get what nobody else wants of them"
	default:
		c.Status = Warning
		c.Means = "beside a live capture production comes first by niceness only: " + h.Here.Stays
		c.Fix = cmp.Or(h.Here.StaysFix, "sudo tcpsandbox run …")
		if h.UID == 0 {
			c.Fix = cmp.Or(h.Here.StaysFix, "systemd-run --scope --slice=-.slice -p CPUWeight=idle tcpsandbox run …")
		}
	}
	return c
}
