package sandbox

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestHiddenPaths(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"a", "a/b", "ab", "c"} {
		if err := os.Mkdir(at(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a", at("link")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, test := range []struct {
		name  string
		named []string
		want  []string
	}{
		{"none", nil, nil},
		{"one", []string{at("a")}, []string{at("a")}},
		{"relative", []string{"c"}, []string{at("c")}},
		{"by a link, twice", []string{at("link"), at("a"), at("a") + "/"}, []string{at("a")}},
		{"one in another", []string{at("a/b"), at("ab"), at("a")}, []string{at("a"), at("ab")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := hiddenPaths(test.named, nil, nil)
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("%q, %v, want %q", got, err, test.want)
			}
		})
	}
	for path, text := range map[string]string{
		at("not there"): "hide " + at("not there") + ": no such file or directory",
		"/":             "hide /: it is everything",
	} {
		_, err := hiddenPaths([]string{path}, nil, nil)
		if err == nil || err.Error() != text {
			t.Errorf("error %v, want %s", err, text)
		}
		var hinted interface{ Hint() string }
		if !errors.As(err, &hinted) || hinted.Hint() == "" {
			t.Errorf("no hint: %v", err)
		}
	}
	if _, err := hiddenPaths([]string{at("not there")}, nil, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// TestSteeringHidden: of what is hidden by itself, what is there is found.
func TestSteeringHidden(t *testing.T) {
	got, err := hiddenPaths(nil, nil, func() ([]string, error) { return nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/run/dbus", "/run/docker.sock", "/var/run/docker.sock"} {
		target, err := filepath.EvalSymlinks(path)
		if err == nil && !slices.Contains(got, target) {
			t.Errorf("%s is there and not hidden: %q", path, got)
		}
	}
	for _, path := range got {
		if strings.ContainsAny(path, "*") {
			t.Errorf("a pattern: %s", path)
		}
	}
}

// TestShownPaths: what is shown is left out of what is hidden by default, not of
// what is named.
func TestShownPaths(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"a", "a/b", "a/b/c", "a/d", "e", "e/f"} {
		if err := os.Mkdir(at(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a/b", at("link")); err != nil {
		t.Fatal(err)
	}
	sockets := func() ([]string, error) { return []string{at("a"), at("e/f")}, nil }
	for _, test := range []struct {
		name               string
		named, shown, want []string
		err                string
	}{
		{"none", nil, nil, []string{at("a"), at("e/f")}, ""},
		{"one", nil, []string{at("e/f")}, []string{at("a")}, ""},
		{"what is in a folder", nil, []string{at("e")}, []string{at("a")}, ""},
		{"out of a folder", nil, []string{at("a/b")}, []string{at("a/d"), at("e/f")}, ""},
		{"by a link", nil, []string{at("link")}, []string{at("a/d"), at("e/f")}, ""},
		{"deep in a folder", nil, []string{at("a/b/c")}, []string{at("a/d"), at("e/f")}, ""},
		{"around what is named", []string{at("a/b/c")}, []string{at("a")}, []string{at("a/b/c"), at("e/f")}, ""},
		{"named", []string{at("a")}, []string{at("a/b")}, nil, "show " + at("a/b") + ": --hide " + at("a") + " hides it"},
		{"not there", nil, []string{at("x")}, nil, "show " + at("x") + ": no such file or directory"},
		{"everything", nil, []string{"/"}, nil, "show /: it is everything"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := hiddenPaths(test.named, test.shown, sockets)
			if test.err != "" {
				var hinted interface{ Hint() string }
				if err == nil || err.Error() != test.err || !errors.As(err, &hinted) || hinted.Hint() == "" {
					t.Errorf("error %v, want %s", err, test.err)
				}
				return
			}
			// The host's own are there besides.
			got = slices.DeleteFunc(got, func(path string) bool { return !inside(path, dir) })
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("%q, %v, want %q", got, err, test.want)
			}
		})
	}
}

// TestHide: the application finds a hidden folder empty, hidden sockets and the
// host's abstract sockets refuse, and the host has all of them as before.
func TestHide(t *testing.T) {
	box := newBox(t, Config{})
	dir := t.TempDir()
	folder := filepath.Join(dir, "folder")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	listen := func(address string) {
		l, err := net.Listen("unix", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	}
	hidden, inside, open := filepath.Join(dir, "hidden"), filepath.Join(folder, "inside"), filepath.Join(dir, "open")
	abstract := "@" + unique(t)
	for _, address := range []string{hidden, inside, open, abstract} {
		listen(address)
	}
	app, out := start(t, box, AppConfig{User: ownUser(box), Hide: []string{folder, hidden}, Show: []string{open}}, "dial", hidden, inside, open, abstract)
	out.want(t, "stdout: connect: connection refused")
	out.want(t, "stdout: connect: no such file or directory")
	out.want(t, "stdout: connected")
	out.want(t, "stdout: connect: connection refused")
	<-app.Exited()
	for _, address := range []string{hidden, inside, open, abstract} {
		c, err := net.Dial("unix", address)
		if err != nil {
			t.Errorf("on the host: %v", err)
			continue
		}
		c.Close()
	}
}

// TestHideWorkingDirectory: who is started in a hidden folder is not below what
// hides it, and nobody is started deeper in one.
func TestHideWorkingDirectory(t *testing.T) {
	dir := socketFolder(t)
	bind(t, unix.SOCK_STREAM, filepath.Join(dir, "inner"))
	if err := os.Mkdir(filepath.Join(dir, "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, only := range []bool{true, false} {
		t.Chdir(dir)
		box := newBox(t, Config{})
		app, out := start(t, box, AppConfig{User: ownUser(box), Hide: []string{dir}, OnlyNamed: only}, "dial", "inner", "./inner", "../"+filepath.Base(dir)+"/inner")
		for range 3 {
			out.want(t, "stdout: connect: no such file or directory")
		}
		<-app.Exited()
		t.Chdir("deep")
		deep := newBox(t, Config{})
		_, err := deep.Start(t.Context(), AppConfig{Command: []string{"true"}, User: ownUser(box), Hide: []string{dir}, OnlyNamed: only})
		var setup *SetupError
		if !errors.As(err, &setup) || !strings.HasPrefix(err.Error(), "enter the working directory again") || !strings.Contains(setup.Fix, "not hidden") {
			t.Errorf("deep in a hidden folder: %v", err)
		}
	}
}

// TestKeepable: no capability that opens the sandbox may be kept, and each of
// them exists.
func TestKeepable(t *testing.T) {
	for name := range opening {
		for _, word := range []string{name, "CAP_" + strings.ToUpper(name)} {
			_, err := keptCaps([]string{"setuid", word})
			if err == nil || !strings.Contains(err.Error(), "it opens the sandbox") {
				t.Errorf("keep %s: %v", word, err)
			}
		}
		if !slices.Contains(capabilities, name) {
			t.Errorf("there is no capability %s", name)
		}
	}
	for _, name := range []string{"setuid", "setgid", "chown", "dac_override", "kill", "net_bind_service"} {
		if !slices.Contains(keepable(), name) {
			t.Errorf("%s cannot be kept", name)
		}
	}
	if kept, err := keptCaps(keepable()); err != nil || len(kept) != len(keepable())+1 {
		t.Errorf("kept %v, %v", kept, err)
	}
}
