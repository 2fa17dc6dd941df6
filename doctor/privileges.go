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

// wanted are the capabilities that run uses, the two for a network namespace of
// the host's first.
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
	if h.LinksC && set != 0 {
		c.Status, c.Fix = Warning, "make build    # with CGO_ENABLED=0"
		c.Means = "run keeps all of them for as long as it lasts: this program was built with cgo"
		return c
	}
	if len(lack) == 0 {
		c.Means = "once it is set up run keeps CAP_NET_RAW for live captures, and nothing else; the application gets none of these"
		return c
	}
	if len(have) > 0 {
		c.Found += "; not " + strings.Join(lack, ", ")
	}
	c.Status, c.Fix = Warning, h.privilegeFix()
	lacksNamespace := set&(1<<capNetAdmin) == 0 || set&(1<<capSysAdmin) == 0
	switch {
	case lacksNamespace && !h.Here.Works() && !h.onlyTUN():
		c.Status = Missing
		c.Means = "the application's network needs CAP_NET_ADMIN and CAP_SYS_ADMIN, or a user namespace"
	case set&(1<<capNetRaw) == 0:
		c.Means = "no live captures; files can be replayed"
	case lacksNamespace && h.UID != 0:
		c.Status, c.Fix = OK, ""
		c.Means = "once it is set up run keeps CAP_NET_RAW for live captures, and nothing else; the application runs as you, in a user namespace: --user takes root"
	default:
		c.Means = "the application runs as you: --user is refused"
		if h.UID != 0 {
			c.Fix = sudoFix
		}
	}
	return c
}

// privilegeFix returns the lines that give what this process lacks.
func (h *Host) privilegeFix() string {
	if h.UID == 0 {
		return "docker run --cap-add NET_ADMIN --cap-add SYS_ADMIN --cap-add NET_RAW --device /dev/net/tun …    # in a container"
	}
	return sudoFix + "\n" + h.setcap()
}

const sudoFix = "sudo tcpsandbox run …"

// setcap returns the line that lets this program capture, whoever executes it.
// All else a user namespace gives.
func (h *Host) setcap() string {
	return "sudo setcap cap_net_raw+ep " + quote(h.Program) + "    # live captures, for all who may execute it"
}

func (h *Host) fileCapabilities() Check {
	c := Check{Name: "file-capabilities", Status: OK, Found: "none on " + h.Program}
	if h.FileCaps == 0 {
		return c
	}
	have, _ := split(h.FileCaps)
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
	if h.FileCaps&(1<<capSysAdmin) != 0 {
		c.Status = Warning
		c.Means += ", and CAP_SYS_ADMIN is next to root: where user namespaces are allowed run does not need it"
		c.Fix = h.setcap()
	}
	return c
}

// onlyTUN reports whether the trial had its namespace, and failed for want of the
// TUN device: then more rights would not help.
func (h *Host) onlyTUN() bool {
	return h.OpenTUN != nil && strings.HasPrefix(h.Here.Failed, "open /dev/net/tun")
}

// sandbox tells how the trial went: it is what run does first.
func (h *Host) sandbox() Check {
	c := Check{Name: "sandbox", Status: OK, Found: "a namespace with a TUN device was made, and a program started in it"}
	if h.Here.Rootless {
		c.Found = "a user namespace with a TUN device was made, and a program started in it"
		c.Means = "without root the application runs as you"
	}
	if h.Here.NotStarted != "" {
		c.Found = strings.TrimSuffix(c.Found, ", and a program started in it")
		c.Means = "no program was started in it: " + h.Here.NotStarted
	}
	if !h.Here.Works() {
		c.Status, c.Found, c.Fix = Missing, h.Here.Failed, h.Here.Fix
		c.Means = "this is what run does first"
		switch {
		case h.onlyTUN():
			c.Fix = h.tun().Fix
		case h.UID == 0 && (h.Here.Denied || c.Fix == ""):
			c.Fix = h.privilegeFix()
		case c.Fix == "" || strings.HasPrefix(c.Fix, "sudo tcpsandbox "): // with doctor's own command line
			c.Fix = sudoFix
		case h.UID != 0:
			c.Fix += "\n" + sudoFix
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

// userNamespaces tells whether run works without any privilege.
func (h *Host) userNamespaces() Check {
	c := Check{Name: "user-namespaces", Status: OK, Found: "allowed"}
	var found, fixes []string
	if _, err := fs.Stat(h.Files, "proc/self/ns/user"); err != nil {
		c.Status, c.Found, c.Fix = Warning, "the kernel has none", kernelFix
		c.Means = withoutRoot
		return c
	}
	for _, f := range forbidding {
		if h.read("proc/sys/"+f.path) == f.on {
			found = append(found, strings.ReplaceAll(f.path, "/", ".")+" is "+f.on)
			fixes = append(fixes, f.fix)
		}
	}
	tried := h.UID != 0 && h.effective()&(1<<capSysAdmin) == 0
	switch {
	case h.Here.Rootless && h.Here.Works():
		c.Found = "a sandbox in one was made"
		found = nil
	case tried && len(found) == 0 && h.OpenTUN == nil:
		found = append(found, h.Here.Failed)
		fixes = append(fixes, sudoFix+"\ndocker run --security-opt seccomp=unconfined …    # in a container, where a filter forbids it")
	}
	if len(found) > 0 {
		c.Status, c.Found, c.Fix = Warning, strings.Join(found, "; "), strings.Join(fixes, " && ")
		c.Means = withoutRoot
		return c
	}
	c.Means = "run needs no root: of files it needs no privilege at all"
	return c
}

const withoutRoot = "run needs root, also for files"

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
