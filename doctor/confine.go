package doctor

import (
	"strings"
)

func (h *Host) appArmor() Check {
	c := Check{Name: "apparmor", Status: OK, Found: "not there"}
	if h.read("sys/module/apparmor/parameters/enabled") != "Y" {
		return c
	}
	profile := h.read("proc/self/attr/apparmor/current")
	if profile == "" {
		profile = h.read("proc/self/attr/current") // before Linux 5.8
	}
	c.Found = "enabled; this process is unconfined"
	if profile == "" || strings.HasPrefix(profile, "unconfined") {
		return c
	}
	c.Found = "enabled; this process has the profile " + profile
	if strings.HasSuffix(profile, "(complain)") {
		c.Means = "it forbids nothing"
		return c
	}
	c.Status = Warning
	c.Means = "it decides over mounts, capabilities and the application's program; what it refuses is in the kernel's log"
	name, _, _ := strings.Cut(profile, " ")
	c.Fix = "journalctl -k -g apparmor    # what it refused\nsudo aa-complain " + quote(name) + "\ndocker run --security-opt apparmor=unconfined …    # in a container"
	return c
}

func (h *Host) selinux() Check {
	c := Check{Name: "selinux", Status: OK, Found: "not there"}
	switch h.read("sys/fs/selinux/enforce") {
	case "0":
		c.Found = "permissive"
	case "1":
		c.Found = "enforcing"
		context := strings.TrimRight(h.read("proc/self/attr/current"), "\x00")
		if context == "" || strings.Contains(context, ":unconfined_t:") {
			break
		}
		c.Status, c.Found = Warning, "enforcing; this process is "+context
		c.Means = "it may refuse the namespace, the TUN device or the application's program"
		c.Fix = "sudo ausearch -m avc -ts recent    # what it refused\ndocker run --security-opt label=disable …    # in a container"
	}
	return c
}
