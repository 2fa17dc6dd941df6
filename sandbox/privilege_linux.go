package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// capabilities by number (capabilities(7)).
var capabilities = []string{
	"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
	"linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
	"sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
	"sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
	"mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
	"checkpoint_restore",
}

// opening are the capabilities that no application keeps, and what it could do
// with them.
var opening = map[string]string{
	"sys_admin":          "mount, and enter the host's namespaces",
	"net_admin":          "change the sandbox's routes, addresses and devices",
	"net_raw":            "send raw packets past what is counted",
	"sys_ptrace":         "look into and steer other processes",
	"bpf":                "load programs into the kernel",
	"perfmon":            "watch the kernel and other processes",
	"sys_module":         "load code into the kernel",
	"sys_rawio":          "reach the machine's memory and devices",
	"sys_boot":           "restart the machine, or another kernel on it",
	"sys_time":           "set the host's clock",
	"syslog":             "read and clear the kernel's log",
	"dac_read_search":    "open files by handles, past what is hidden (dac_override does what a server needs)",
	"mknod":              "make device files, and reach the host's disks by them",
	"setfcap":            "give files capabilities that hold outside of the sandbox",
	"mac_admin":          "change the host's security policy",
	"mac_override":       "act against the host's security policy",
	"audit_control":      "turn the host's audit off",
	"checkpoint_restore": "reach other processes' files",
}

// keepable returns the names of those that an application may keep.
func keepable() (names []string) {
	for _, name := range capabilities {
		if opening[name] == "" {
			names = append(names, name)
		}
	}
	return names
}

// CheckCaps returns an error if an application cannot keep one of these; see
// AppConfig.KeepCaps.
func CheckCaps(names []string) error {
	_, err := keptCaps(names)
	return err
}

// keptCaps returns the numbers of NET_BIND_SERVICE and of the named ones.
func keptCaps(names []string) ([]uint, error) {
	kept := []uint{unix.CAP_NET_BIND_SERVICE}
next:
	for _, name := range names {
		word := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(name)), "cap_")
		if deed := opening[word]; deed != "" {
			return nil, &SetupError{
				Op:  "keep capability " + strconv.Quote(name),
				Err: fmt.Errorf("it opens the sandbox: with it the application could %s", deed),
				Fix: "leave it out; these can be kept: " + strings.Join(keepable(), ", "),
			}
		}
		for number, known := range capabilities {
			if word == known {
				kept = append(kept, uint(number))
				continue next
			}
		}
		return nil, &SetupError{
			Op: "keep capability " + strconv.Quote(name), Err: fmt.Errorf("no such capability"),
			Fix: "one of: " + strings.Join(keepable(), ", "),
		}
	}
	return kept, nil
}

// privilegeFix returns the line to paste for whoever lacks privileges.
func privilegeFix() string {
	if os.Geteuid() != 0 {
		words := []string{"sudo"}
		for _, arg := range os.Args {
			words = append(words, shellQuote(arg))
		}
		return strings.Join(words, " ")
	}
	return "this needs CAP_NET_ADMIN and CAP_SYS_ADMIN; in a container: docker run --cap-add NET_ADMIN --cap-add SYS_ADMIN --device /dev/net/tun …"
}

// forbidding are the settings that keep us from namespaces. on is the value that
// does.
var forbidding = []struct{ path, on, fix string }{
	{"user/max_user_namespaces", "0", "sudo sysctl user.max_user_namespaces=15000"},
	{"user/max_net_namespaces", "0", "sudo sysctl user.max_net_namespaces=15000"},
	{"kernel/unprivileged_userns_clone", "0", "sudo sysctl kernel.unprivileged_userns_clone=1"},
	{"kernel/apparmor_restrict_unprivileged_userns", "1", "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
}

// namespaceFix returns the line that lets us have a namespace which the kernel
// refused.
func namespaceFix(why unix.Errno, read func(path string) string) string {
	switch why {
	case unix.ENOSPC, unix.EPERM, unix.EACCES, unix.EUSERS:
		return cmp.Or(forbiddenBy(why, read), privilegeFix())
	}
	return ""
}

// forbiddenBy returns the line that changes the setting behind an error, "" if
// there is none. read returns a setting's value.
func forbiddenBy(why unix.Errno, read func(path string) string) string {
	for _, f := range forbidding {
		limit := strings.HasPrefix(f.path, "user/") // of which there are too many, or none are allowed
		if read(f.path) == f.on && limit == (why == unix.ENOSPC || why == unix.EUSERS) {
			return f.fix
		}
	}
	return ""
}

// readSysctl returns a kernel setting, "" where there is none.
func readSysctl(path string) string {
	value, _ := os.ReadFile("/proc/sys/" + path)
	return strings.TrimSpace(string(value))
}

func shellQuote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,+@%", r)
	}
	if word != "" && strings.TrimFunc(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// account is who the application becomes.
type account struct {
	*identity          // nil: it stays who we are
	env       []string // HOME, USER, LOGNAME if it changes
}

// findAccount resolves AppConfig.User, with sudo's variables in env. rootless: no
// user exists but us.
func findAccount(name string, env []string, rootless bool) (account, error) {
	group, given := "", name
	if name == "" {
		uid, gid := variable(env, "SUDO_UID"), variable(env, "SUDO_GID")
		if os.Geteuid() != 0 || uid == "" || uid == "0" {
			return account{}, nil
		}
		name, group = uid, gid
	} else {
		name, group, _ = strings.Cut(name, ":")
	}
	who, err := lookupUser(name)
	if err != nil {
		return account{}, err
	}
	id := &identity{}
	if id.UID, err = number(who.Uid); err != nil {
		return account{}, fmt.Errorf("user %s: %w", name, err)
	}
	gid := who.Gid
	if group != "" {
		if gid, err = lookupGroup(group); err != nil {
			return account{}, err
		}
	}
	if gid == "" {
		gid = who.Uid // no such account: a group as private as the number
	}
	if id.GID, err = number(gid); err != nil {
		return account{}, fmt.Errorf("group of user %s: %w", name, err)
	}
	if who.Username != "" {
		groups, err := who.GroupIds()
		if err != nil {
			return account{}, fmt.Errorf("groups of user %s: %w", name, err)
		}
		for _, g := range groups {
			if n, err := number(g); err == nil {
				id.Groups = append(id.Groups, n)
			}
		}
	}
	if int(id.UID) == os.Geteuid() && int(id.GID) == os.Getegid() {
		return account{}, nil // nothing changes, which needs no privilege either
	}
	if rootless {
		return account{}, &SetupError{
			Op: "run as " + cmp.Or(given, name), Err: errors.New("in a user namespace, which it is without privileges, there is no other user"),
			Fix: "sudo tcpsandbox run --user " + shellQuote(cmp.Or(given, name)) + " …",
		}
	}
	a := account{identity: id}
	if who.HomeDir != "" {
		a.env = append(a.env, "HOME="+who.HomeDir)
	}
	if who.Username != "" {
		a.env = append(a.env, "USER="+who.Username, "LOGNAME="+who.Username)
	}
	return a, nil
}

// lookupUser finds a user by name or number. A number without an account is a
// user too, with nothing but the number.
func lookupUser(name string) (*user.User, error) {
	if who, err := user.Lookup(name); err == nil {
		return who, nil
	}
	if who, err := user.LookupId(name); err == nil {
		return who, nil
	}
	if _, err := number(name); err != nil {
		return nil, &SetupError{Op: "run as " + name, Err: fmt.Errorf("no such user"), Fix: "getent passwd " + shellQuote(name)}
	}
	return &user.User{Uid: name}, nil
}

func lookupGroup(name string) (gid string, err error) {
	if g, err := user.LookupGroup(name); err == nil {
		return g.Gid, nil
	}
	if _, err := number(name); err != nil {
		return "", &SetupError{Op: "run as group " + name, Err: fmt.Errorf("no such group"), Fix: "getent group " + shellQuote(name)}
	}
	return name, nil
}

func number(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err
}
