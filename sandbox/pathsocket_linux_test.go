package sandbox

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bind binds a socket for the test's time.
func bind(t testing.TB, kind int, path string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if kind != unix.SOCK_DGRAM {
		if err := unix.Listen(fd, 100); err != nil {
			t.Fatal(err)
		}
	}
}

// socketFolder is one whose path leaves room for names (unix(7): 108 bytes).
func socketFolder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ps")
	if err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestPathSockets: whatever a socket is called, it is found; what is no socket any
// more, or no file at all, is not.
func TestPathSockets(t *testing.T) {
	dir := socketFolder(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.Mkdir(at("real"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", at("link")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	var want []string
	for _, name := range []string{"plain", "a b", "a\nb", "\n", "cr\r", "@at", "\xff"} {
		bind(t, unix.SOCK_STREAM, at(name))
		want = append(want, at(name))
	}
	bind(t, unix.SOCK_DGRAM, at("datagram"))
	bind(t, unix.SOCK_SEQPACKET, at("packets"))
	bind(t, unix.SOCK_STREAM, "relative")
	bind(t, unix.SOCK_STREAM, "./link/../dotted")
	bind(t, unix.SOCK_STREAM, at("link/linked"))
	want = append(want, at("datagram"), at("packets"), at("relative"), at("dotted"), at("real/linked"))
	for _, name := range []string{"gone", "file", "folder"} {
		bind(t, unix.SOCK_STREAM, at(name))
		if err := os.Remove(at(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(at("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(at("folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	bind(t, unix.SOCK_STREAM, "@"+at("plain")+unique(t))

	var from origins
	from.look("/proc")
	got, err := pathSockets(hostGroups(os.Getpid()), &from)
	if err != nil {
		t.Fatal(err)
	}
	got = slices.DeleteFunc(got, func(path string) bool { return !inside(path, dir) })
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

// TestForeignSockets: those of another network namespace, in which a process of
// the host is, are found; those of the run's own sandboxes are not.
func TestForeignSockets(t *testing.T) {
	needNamespace(t)
	dir := socketFolder(t)
	path := filepath.Join(dir, "theirs")
	other := exec.Command("/proc/self/exe", path)
	other.Env = append(os.Environ(), roleVar+"=socket")
	other.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		other.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	defer other.Process.Kill()
	until(t, path+" is there", func() bool { _, err := os.Lstat(path); return err == nil })
	var from origins
	from.look("/proc")
	for _, want := range []bool{true, false} {
		tree := hostGroups(os.Getpid())
		if want { // a run that the other process does not stem from
			other := exec.Command("sleep", "1000")
			if err := other.Start(); err != nil {
				t.Fatal(err)
			}
			defer other.Wait()
			defer other.Process.Kill()
			tree = hostGroups(other.Process.Pid)
		}
		got, err := pathSockets(tree, &from)
		if err != nil || slices.Contains(got, path) != want {
			t.Errorf("%s: among %d %v, want %v: %v", path, len(got), !want, want, err)
		}
	}
	if _, err := pathSockets(hostGroups(1<<30), &from); err == nil {
		t.Error("without a list it hides nothing, and says nothing")
	}
}

func playSocket(args []string) {
	if _, err := net.Listen("unix", args[0]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	forever()
}

// TestPathSocketsHidden: nobody named them, and the application cannot connect;
// with --show, or with nothing hidden, it can, and the host can as before. Of one
// that is made before a second start, that one knows.
func TestPathSocketsHidden(t *testing.T) {
	box := newBox(t, Config{})
	dir := socketFolder(t)
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "sec\nond")
	dials := func(cfg AppConfig, want ...string) {
		t.Helper()
		cfg.User = ownUser(box)
		cfg.Dir = dir
		app, out := start(t, box, cfg, "dial", first, second)
		for _, line := range want {
			out.want(t, "stdout: "+line)
		}
		<-app.Exited()
	}
	const refused, gone, open = "connect: connection refused", "connect: no such file or directory", "connected"
	bind(t, unix.SOCK_STREAM, first)
	dials(AppConfig{}, refused, gone)
	bind(t, unix.SOCK_STREAM, second)
	dials(AppConfig{}, refused, refused)
	// Nor can it take their names away, as servers do before they bind.
	app, err := box.Start(t.Context(), AppConfig{
		Command: []string{"sh", "-c", `rm -f "$0" "$1"; mv -f "$0" "$0.away"; echo > new; mv -f new "$1"`, first, second}, User: ownUser(box), Dir: dir,
	})
	if err != nil {
		t.Fatal(err)
	}
	<-app.Exited()
	dials(AppConfig{Show: []string{first}}, open, refused)
	dials(AppConfig{Show: []string{dir}}, open, open)
	dials(AppConfig{OnlyNamed: true}, open, open)
	dials(AppConfig{OnlyNamed: true, Hide: []string{second}}, open, refused)
	for _, path := range []string{first, second} {
		info, err := os.Lstat(path)
		if err != nil || info.Mode().Type() != fs.ModeSocket {
			t.Errorf("on the host: %v, %v", info, err)
		}
	}
}

// TestManySockets: hundreds of them are hidden, and what that takes.
func TestManySockets(t *testing.T) {
	box := newBox(t, Config{})
	dir := socketFolder(t)
	const many = 500
	last := ""
	for i := range many {
		last = filepath.Join(dir, fmt.Sprint(i))
		bind(t, unix.SOCK_DGRAM, last)
	}
	for _, only := range []bool{true, false} {
		begun := time.Now()
		app, err := box.Start(t.Context(), AppConfig{
			Command: []string{"sh", "-c", "cd " + dir + "; for s in *; do [ -S $s ] && exit 1; done; exit 0"}, User: ownUser(box), OnlyNamed: only,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("start with only the named hidden %v: %v", only, time.Since(begun))
		<-app.Exited()
		if (app.Status().Code == 1) != only {
			t.Errorf("only the named %v: it sees sockets: %v", only, app.Status())
		}
	}
}

func TestEphemeral(t *testing.T) {
	if ephemeral(socketFolder(t)) {
		t.Error("a folder that is not in /run")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root may make folders in /run")
	}
	dir, err := os.MkdirTemp("/run", "tcpsandbox-test-")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "my.sock")
	bind(t, unix.SOCK_STREAM, path)
	for _, name := range []string{"my.sock.lock", "my.pid"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := whole([]string{path, path}); !slices.Equal(got, []string{dir, dir}) {
		t.Errorf("%q", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "resolv.conf"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := whole([]string{path}); !slices.Equal(got, []string{path}) {
		t.Errorf("%q", got)
	}
}

// FuzzSocketNames: a name that is in a list comes out as it is, whatever is in it,
// unless it is abstract.
func FuzzSocketNames(f *testing.F) {
	f.Add("/run/a b", "rel\native")
	f.Add("@abstract", "/a\n0: 00000002 00000000 00010000 0001 01 1 /b")
	f.Add("\n", "\r")
	f.Add("", "/a\n\n")
	f.Fuzz(func(t *testing.T, first, second string) {
		// The kernel ends a name at a NUL, and at 108 bytes.
		list := "Num       RefCount Protocol Flags    Type St Inode Path\n"
		var want []string
		for _, name := range []string{first, second} {
			name, _, _ = strings.Cut(name, "\x00")
			name = name[:min(len(name), 108)]
			list += "00000000acf0e981: 00000002 00000000 00010000 0001 01 47287415"
			if name != "" {
				list += " " + name
			}
			list += "\n"
			if name != "" && name[0] != '@' && !rowWithin(name) {
				want = append(want, name)
			}
		}
		got := socketNames(list)
		for _, name := range want {
			if !slices.Contains(got, name) {
				t.Errorf("%q is not among %q, in %q", name, got, list)
			}
		}
	})
}

// rowWithin reports whether a name has a row of its own in it: no reader can tell.
func rowWithin(name string) bool {
	for _, line := range strings.Split(name, "\n")[1:] {
		if row.MatchString(line) {
			return true
		}
	}
	return false
}
