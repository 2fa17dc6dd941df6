package doctor

import (
	"path"
	"slices"
	"strings"
)

// limiting are the controllers of run's --cpus, --memory and --pids.
var limiting = []string{"cpu", "memory", "pids"}

// cgroup looks for a control group in which one with the application's limits
// can be made: the nearest that hands the controllers on (cgroups(7)), else our
// own, which can be divided if nobody else is in it.
func (h *Host) cgroup() Check {
	c := Check{Name: "cgroup", Status: Warning, Means: "the application cannot be given a limit of memory, processors or processes"}
	mount := h.cgroupMount()
	if mount == "" {
		c.Found = "no cgroup v2 is mounted"
		if !strings.Contains(h.read("proc/self/mounts"), " cgroup") {
			c.Found = "none is mounted here, as under ip netns exec"
			c.Fix = "nsenter --net=/run/netns/NAME tcpsandbox run …    # has them"
			return c
		}
		c.Fix = "boot with systemd.unified_cgroup_hierarchy=1; or set limits for the shell: ulimit -v, ulimit -u"
		return c
	}
	if lack := h.lacking(mount, "cgroup.controllers"); len(lack) > 0 {
		c.Found = "cgroup v2 at " + mount + " has no " + strings.Join(lack, ", ")
		if len(lack) < len(limiting) {
			c.Means = "the application cannot be given limits of that kind"
		}
		c.Fix = "boot with systemd.unified_cgroup_hierarchy=1    # cgroup v1 has them"
		return c
	}
	own := path.Clean(mount)
	if at, ok := h.ownCgroup(); ok {
		own = path.Join(mount, at)
	}
	for at := own; ; at = path.Dir(at) {
		if len(h.lacking(at, "cgroup.subtree_control")) == 0 && h.Writable(at) && h.Writable(path.Join(at, "cgroup.procs")) {
			c.Status, c.Found = OK, "v2, "+strings.Join(limiting, ", ")+"; limits are set in "+at
			c.Means = "--cpus, --memory and --pids limit the application"
			return c
		}
		if at == path.Clean(mount) || at == "/" {
			break
		}
	}
	c.Found = "v2, " + strings.Join(limiting, ", ")
	switch lack := h.lacking(own, "cgroup.controllers"); {
	case h.UID != 0:
		c.Found += "; no group here is ours that hands them on"
		c.Fix = "systemd-run --user --scope -p Delegate=yes tcpsandbox run …"
	case len(lack) > 0:
		above := path.Dir(own)
		for above != path.Clean(mount) && len(h.lacking(above, "cgroup.controllers")) > 0 {
			above = path.Dir(above)
		}
		c.Found += "; " + above + " does not hand " + strings.Join(h.lacking(above, "cgroup.subtree_control"), ", ") + " on"
		c.Fix = "echo +" + strings.Join(h.lacking(above, "cgroup.subtree_control"), " +") + " | sudo tee " + quote(path.Join(above, "cgroup.subtree_control"))
	case own == path.Clean(mount) && h.read(under(own, "cgroup.type")) == "": // the host's root has none
		c.Found += "; " + own + " does not hand them on"
		c.Fix = "echo +cpu +memory +pids | sudo tee " + quote(path.Join(own, "cgroup.subtree_control"))
	case !h.Writable(own):
		c.Found += "; " + own + " is not writable"
		c.Fix = "docker run --privileged --cgroupns=private …    # in a container"
	default:
		c.Status = OK
		c.Found += "; " + own + " is divided for limits"
		c.Means = "--cpus, --memory and --pids limit the application where tcpsandbox is alone in its group: sudo systemd-run --scope -p Delegate=yes tcpsandbox run …"
	}
	return c
}

// lacking returns which of the controllers a group's file does not name.
func (h *Host) lacking(group, file string) []string {
	have := strings.Fields(h.read(under(group, file)))
	return slices.DeleteFunc(slices.Clone(limiting), func(c string) bool { return slices.Contains(have, c) })
}

// under returns the name of a group's file for read.
func under(group, file string) string { return strings.TrimPrefix(path.Join(group, file), "/") }
