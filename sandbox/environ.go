package sandbox

import (
	"slices"
	"strings"
)

// leading are variables by which a program finds services of the host that act on
// it: those who started this process meant them for it, or for whoever sits at
// the machine. Those of files, such as KUBECONFIG, are not among them.
var leading = []string{
	// systemd: what a service tells it, and sockets that it hands on.
	"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID",
	"FDSTORE", "MAINPID", "MANAGERPID", "MANAGERPIDFDID", "JOURNAL_STREAM", "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE",
	// D-Bus, and the folder with a session's sockets.
	"DBUS_SESSION_BUS_ADDRESS", "DBUS_SESSION_BUS_PID", "DBUS_SYSTEM_BUS_ADDRESS", "DBUS_STARTER_ADDRESS",
	"DBUS_STARTER_BUS_TYPE", "AT_SPI_BUS_ADDRESS", "XDG_RUNTIME_DIR",
	// What runs containers and machines.
	"DOCKER_HOST", "DOCKER_CONTEXT", "CONTAINER_HOST", "CONTAINER_CONNECTION", "CONTAINERD_ADDRESS",
	"CONTAINER_RUNTIME_ENDPOINT", "IMAGE_SERVICE_ENDPOINT", "BUILDKIT_HOST", "LIBVIRT_DEFAULT_URI",
	// Keys.
	"SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_ASKPASS", "GPG_AGENT_INFO", "GNOME_KEYRING_CONTROL",
	// Screens, terminals and loudspeakers.
	"DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET", "XAUTHORITY", "ICEAUTHORITY", "SESSION_MANAGER", "PULSE_SERVER",
	"PIPEWIRE_REMOTE", "TMUX", "STY",
}

// withoutHost returns an environment without what is leading.
func withoutHost(pairs []string) []string {
	return slices.DeleteFunc(slices.Clone(pairs), func(pair string) bool {
		key, _, _ := strings.Cut(pair, "=")
		return slices.Contains(leading, key)
	})
}

// environ returns an environment in which each key is there once, with its last
// value: programs differ in which of two they take.
func environ(pairs []string) []string {
	var env []string
	at := make(map[string]int)
	for _, pair := range pairs {
		key, _, _ := strings.Cut(pair, "=")
		if i, ok := at[key]; ok {
			env[i] = pair
			continue
		}
		at[key] = len(env)
		env = append(env, pair)
	}
	return env
}
