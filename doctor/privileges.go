package doctor

import (
	"io/fs"
	"strconv"
	"strings"
)

// Capabilities by number (capabilities(7)).
const (
	capSetgid   = 6
	capSetuid   = 7
	capNetAdmin = 12
	capNetRaw   = 13
	capSysAdmin = 21
)

var capNames = map[int]string{
	capSetgid: "CAP_SETGID", capSetuid: "CAP_SETUID", capNetAdmin: "CAP_NET_ADMIN",
	capNetRaw: "CAP_NET_RAW", capSysAdmin: "CAP_SYS_ADMIN",
}

// wanted are the capabilities that run uses, the two that it needs first.
var wanted = []int{capNetAdmin, capSysAdmin, capNetRaw, capSetuid, capSetgid}

func (h *Host) readFile(path string) (string, error) {
	text, err := fs.ReadFile(h.Files, path)
	return string(text), err
}

// effective returns the capabilities of this process, a bit each.
func (h *Host) effective() uint64 {
	for line := range strings.Lines(h.read("proc/self/status")) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return n
		}
	}
	return 0
}

// split tells which of the wanted capabilities are in a set.
func split(set uint64) (have, lack []string) {
	for _, c := range wanted {
		if set&(1<<c) != 0 {
			have = append(have, capNames[c])
		} else {
			lack = append(lack, capNames[c])
		}
	}
	return have, lack
}

func (h *Host) capabilities() Check {
	c := Check{Name: "capabilities", Status: OK}
	set := h.effective()
	have, lack := split(set)
	c.Found = "none of those that run uses"
	if len(have) > 0 {
		c.Found = strings.Join(have, ", ")
	}
	if len(lack) == 0 {
		c.Means = "the application gets none of these"
		return c
	}
	if len(have) > 0 {
		c.Found += "; not " + strings.Join(lack, ", ")
	}
	c.Status, c.Fix = Warning, h.privilegeFix()
	switch {
	case set&(1<<capNetAdmin) == 0 || set&(1<<capSysAdmin) == 0:
		c.Means = "the application's network needs CAP_NET_ADMIN and CAP_SYS_ADMIN"
		if !h.Here.Works() {
			c.Status = Missing
		}
	case set&(1<<capNetRaw) == 0:
		c.Means = "no live captures; files can be replayed"
	default:
		c.Means = "the application runs as you: --user is refused"
		if h.UID != 0 {
			c.Fix = sudoFix
		}
	}
	return c
}

// privilegeFix returns the line that gives what run needs.
func (h *Host) privilegeFix() string {
	if h.UID == 0 {
		return "docker run --cap-add NET_ADMIN --cap-add SYS_ADMIN --cap-add NET_RAW --device /dev/net/tun …    # in a container"
	}
	return sudoFix + "\n" + h.setcap()
}

const sudoFix = "sudo tcpsandbox run …"

// setcap returns the line that lets this program do all that run needs, whoever
// executes it.
func (h *Host) setcap() string {
	return "sudo setcap cap_net_admin,cap_net_raw,cap_sys_admin+ep " + quote(h.Program) + "    # for all who may execute it"
}

func (h *Host) fileCapabilities() Check {
	c := Check{Name: "file-capabilities", Status: OK, Found: "none on " + h.Program}
	if h.FileCaps == 0 {
		return c
	}
	have, lack := split(h.FileCaps)
	c.Found = strings.Join(have, ", ")
	if len(have) == 0 {
		c.Found = "others than run uses"
	}
	c.Means = "whoever may execute " + h.Program + " has these"
	if h.UID != 0 && h.effective()&h.FileCaps != h.FileCaps {
		c.Status = Warning
		c.Means = "they are set but were not given to this process: the file system is mounted nosuid, or no_new_privs is set"
		c.Fix = "findmnt -T " + quote(h.Program) + " -o OPTIONS; grep NoNewPrivs /proc/$$/status"
		return c
	}
	for _, name := range lack {
		if name == capNames[capNetAdmin] || name == capNames[capSysAdmin] {
			c.Status = Warning
			c.Means = "without " + name + " there is no sandbox"
			c.Fix = h.setcap()
		}
	}
	return c
}

// sandbox tells how the trial went: it is what run does first.
func (h *Host) sandbox() Check {
	c := Check{Name: "sandbox", Status: OK, Found: "a namespace with a TUN device was made, and a program started in it"}
	if !h.Here.Works() {
		c.Status, c.Found, c.Fix = Missing, h.Here.Failed, h.Here.Fix
		c.Means = "this is what run does first"
		switch {
		case h.UID != 0 && (h.Here.Denied || c.Fix == ""):
			c.Fix = sudoFix
		case h.Here.Denied || c.Fix == "":
			c.Fix = h.privilegeFix()
		}
		if h.UID != 0 && h.User != nil && h.User.Works() {
			c.Means += "; of files it works in a user namespace"
			c.Fix += "\nunshare -Ur tcpsandbox run --capture FILE …    # needs no privilege"
		}
		return c
	}
	var other []string
	for _, w := range h.Here.Warnings {
		if !strings.Contains(w, "somaxconn") { // that is a line of its own
			other = append(other, w)
		}
	}
	if len(other) > 0 {
		c.Status, c.Means = Warning, strings.Join(other, "; ")
		c.Fix = "docker run --privileged …    # in a container"
		if h.UID != 0 {
			c.Fix = sudoFix
		}
	}
	return c
}

func (h *Host) capture() Check {
	c := Check{Name: "capture", Status: OK, Found: "packet sockets can be opened"}
	if h.PacketSocket != nil {
		c.Status, c.Found = Warning, "open packet socket: "+h.PacketSocket.Error()
		c.Means = "no live captures; files can be replayed"
		c.Fix = sudoFix + "\n" + h.setcap()
		if h.UID == 0 {
			c.Fix = "docker run --cap-add NET_RAW …    # in a container"
		}
	}
	return c
}

// forbidding are the settings that keep users from namespaces of their own. on is
// the value that does.
var forbidding = []struct{ path, on, fix string }{
	{"user/max_user_namespaces", "0", "sudo sysctl user.max_user_namespaces=15000"},
	{"kernel/unprivileged_userns_clone", "0", "sudo sysctl kernel.unprivileged_userns_clone=1"},
	{"kernel/apparmor_restrict_unprivileged_userns", "1", "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
}

// userNamespaces tells whether files can be replayed without any privilege.
func (h *Host) userNamespaces() Check {
	c := Check{Name: "user-namespaces", Status: OK, Found: "allowed"}
	var found, fixes []string
	if _, err := fs.Stat(h.Files, "proc/self/ns/user"); err != nil {
		c.Status, c.Found, c.Fix = Warning, "the kernel has none", kernelFix
		c.Means = "files cannot be replayed without root"
		return c
	}
	for _, f := range forbidding {
		if h.read("proc/sys/"+f.path) == f.on {
			found = append(found, strings.ReplaceAll(f.path, "/", ".")+" is "+f.on)
			fixes = append(fixes, f.fix)
		}
	}
	switch {
	case h.User != nil && h.User.Works():
		c.Found = "a sandbox in one was made"
		found = nil
	case h.User != nil && len(found) == 0:
		found = append(found, h.User.Failed)
		fixes = append(fixes, sudoFix+"\ndocker run --security-opt seccomp=unconfined …    # in a container, where a filter forbids it")
	}
	if len(found) > 0 {
		c.Status, c.Found, c.Fix = Warning, strings.Join(found, "; "), strings.Join(fixes, " && ")
		c.Means = "files cannot be replayed without root"
		return c
	}
	c.Means = "files can be replayed without root: unshare -Ur tcpsandbox run --capture FILE …"
	return c
}

// quote writes a word as a shell takes it.
func quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,+@", r)
	}
	if word != "" && strings.TrimFunc(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
