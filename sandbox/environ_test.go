package sandbox

import (
	"slices"
	"testing"
)

// TestWithoutHost: what leads to the host's services is gone, what only reads like
// it is not.
func TestWithoutHost(t *testing.T) {
	given := []string{
		"PATH=/bin", "NOTIFY_SOCKET=/run/systemd/notify", "LISTEN_FDS=1", "LISTEN_FDNAMES", "DOCKER_HOST=unix:///x", "HOME=/root",
		"MY_NOTIFY_SOCKET=1", "DATABASE_URL=postgres://db/shop", "XDG_RUNTIME_DIR=/run/user/0", "SSH_AUTH_SOCK=/run/a", "listen_fds=1",
	}
	want := []string{"PATH=/bin", "HOME=/root", "MY_NOTIFY_SOCKET=1", "DATABASE_URL=postgres://db/shop", "listen_fds=1"}
	if got := withoutHost(given); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if given[1] == want[1] {
		t.Error("it changed what it was given")
	}
}
