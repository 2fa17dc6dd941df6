package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
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

const soon = 20 * time.Second

func TestWaitListen(t *testing.T) {
	box := newBox(t, Config{})
	for _, test := range []struct {
		listen string
		wanted []Port
		want   []Listener
	}{
		{"0.0.0.0:80", TCP(80, 443), []Listener{{Addr: netip.MustParseAddrPort("0.0.0.0:80")}}},
		{"[::]:8081", nil, []Listener{{Addr: netip.MustParseAddrPort("[::]:8081")}}},
		{"127.0.0.1:8082", TCP(8082), []Listener{{Addr: netip.MustParseAddrPort("127.0.0.1:8082"), LoopbackOnly: true}}},
		{"[::1]:8083", TCP(8083), []Listener{{Addr: netip.MustParseAddrPort("[::1]:8083"), LoopbackOnly: true}}},
		// Production's address, before any session brought it.
		{"198.51.100.7:8084", TCP(8084), []Listener{{Addr: netip.MustParseAddrPort("198.51.100.7:8084")}}},
		{"udp:0.0.0.0:53", UDP(53), []Listener{{Addr: netip.MustParseAddrPort("0.0.0.0:53"), UDP: true}}},
		{"udp:[::]:54", append(TCP(54), UDP(54)...), []Listener{{Addr: netip.MustParseAddrPort("[::]:54"), UDP: true}}},
		{"udp:127.0.0.1:53", UDP(53), []Listener{{Addr: netip.MustParseAddrPort("127.0.0.1:53"), UDP: true, LoopbackOnly: true}}},
		{"[2001:db8::7]:8085", TCP(8085), []Listener{{Addr: netip.MustParseAddrPort("[2001:db8::7]:8085")}}},
	} {
		t.Run(test.listen, func(t *testing.T) {
			app, _ := start(t, box, AppConfig{}, "listen", test.listen)
			got, err := app.WaitListen(t.Context(), soon, test.wanted)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("listeners %v, want %v", got, test.want)
			}
			status, err := app.Stop(soon)
			if err != nil {
				t.Fatal(err)
			}
			if status.Signal != "SIGTERM" {
				t.Errorf("ended by %v, want SIGTERM", status)
			}
			if again, _ := app.Stop(soon); again != status {
				t.Errorf("second Stop says %v, the first %v", again, status)
			}
		})
	}
}

func TestWaitListenElsewhere(t *testing.T) {
	box := newBox(t, Config{})
	app, out := start(t, box, AppConfig{}, "listen", "0.0.0.0:8080")
	out.want(t, "stdout: listening")
	_, err := app.WaitListen(t.Context(), 30*time.Millisecond, TCP(80))
	var elsewhere *NotListeningError
	if !errors.As(err, &elsewhere) {
		t.Fatalf("error %v, want NotListeningError", err)
	}
	if got := elsewhere.Hint(); got != "it listens on port 8080: --app-port 8080" {
		t.Errorf("hint %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := app.WaitListen(ctx, soon, TCP(80)); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %v", err)
	}
}

func TestWaitListenNowhere(t *testing.T) {
	box := newBox(t, Config{})
	app, out := start(t, box, AppConfig{}, "ignore")
	out.want(t, "stdout: ready")
	_, err := app.WaitListen(t.Context(), 20*time.Millisecond, TCP(80))
	if err == nil || !strings.Contains(err.Error(), "listens on none; its last output:\n\tready") {
		t.Errorf("error %v", err)
	}
}

func TestExitsEarly(t *testing.T) {
	box := newBox(t, Config{})
	app, _ := start(t, box, AppConfig{}, "exit", "7")
	_, err := app.WaitListen(t.Context(), soon, TCP(80))
	var exited *ExitedError
	if !errors.As(err, &exited) {
		t.Fatalf("error %v, want ExitedError", err)
	}
	if exited.Status != (ExitStatus{Code: 7}) {
		t.Errorf("status %+v, want exit code 7", exited.Status)
	}
	if n := len(exited.Lines); n != 20 || exited.Lines[0] != "line 10" || exited.Lines[19] != "line 29" {
		t.Errorf("kept lines %q", exited.Lines)
	}
	if status, err := app.Stop(soon); err != nil || status.Code != 7 {
		t.Errorf("stop after the end: %v, %v", status, err)
	}
}

func TestGoesToBackground(t *testing.T) {
	box := newBox(t, Config{})
	token := unique(t)
	app, _ := start(t, box, AppConfig{}, "leave", token)
	_, err := app.WaitListen(t.Context(), soon, TCP(80))
	var exited *ExitedError
	if !errors.As(err, &exited) || !exited.Status.LeftBehind {
		t.Fatalf("error %v, want one that tells of processes left behind", err)
	}
	if left := processesWith(token); len(left) > 0 {
		t.Errorf("processes %v remain", left)
	}
}

func TestCannotStart(t *testing.T) {
	box := newBox(t, Config{})
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("plain", "#!/bin/sh\n", 0o644)
	write("garbage", "\x01\x02\x03", 0o755)
	write("orphan", "#!/no/such/interpreter\n", 0o755)
	write("foreign", foreignELF(t), 0o755)
	for _, test := range []struct {
		name string
		cfg  AppConfig
		is   error
		text string
		hint string
	}{
		{"nothing", AppConfig{}, nil, `start "": no command given`, ""},
		{"not there", AppConfig{Command: []string{"./x"}}, fs.ErrNotExist, "start ./x: no such file or directory", ""},
		{"not in path", AppConfig{Command: []string{"no-such-command"}}, exec.ErrNotFound, "start no-such-command: executable file not found in $PATH", "PATH"},
		{"in the directory, not the path", AppConfig{Command: []string{"garbage"}}, exec.ErrNotFound, "", "./garbage"},
		{"a folder", AppConfig{Command: []string{"../"}}, syscall.EISDIR, "start ../: is a directory", ""},
		{"not executable", AppConfig{Command: []string{"./plain"}}, fs.ErrPermission, "start ./plain: permission denied", "chmod +x"},
		{"no program", AppConfig{Command: []string{"./garbage"}}, syscall.ENOEXEC, "start ./garbage: exec format error", "#! line"},
		{"other machine", AppConfig{Command: []string{"./foreign"}}, syscall.ENOEXEC, "start ./foreign: exec format error", "built for S390"},
		{"no interpreter", AppConfig{Command: []string{"./orphan"}}, fs.ErrNotExist, "start ./orphan: no such file", "dynamic linker"},
		{"unknown user", AppConfig{Command: []string{"true"}, User: "no-such-user"}, nil, "run as no-such-user: no such user", "getent"},
		{"unknown group", AppConfig{Command: []string{"true"}, User: "0:no-such-group"}, nil, "run as group no-such-group: no such group", "getent"},
		{"unknown capability", AppConfig{Command: []string{"true"}, KeepCaps: []string{"fly"}}, nil, `keep capability "fly": no such capability`, "setuid"},
		{"opening capability", AppConfig{Command: []string{"true"}, KeepCaps: []string{"CAP_SYS_ADMIN"}}, nil, `keep capability "CAP_SYS_ADMIN": it opens the sandbox`, "setuid"},
		{"hidden is missing", AppConfig{Command: []string{"true"}, Hide: []string{"/no/such/socket"}}, fs.ErrNotExist, "hide /no/such/socket: no such file or directory", "--hide none"},
		{"folder is missing", AppConfig{Command: []string{"true"}, Dir: "/no/such/dir"}, fs.ErrNotExist, "start true: working directory", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.cfg.Dir == "" {
				test.cfg.Dir = dir
			}
			app, err := box.Start(t.Context(), test.cfg)
			if err == nil {
				app.Stop(0)
				t.Fatal("it started")
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("error %v, want %v", err, test.is)
			}
			if !strings.HasPrefix(err.Error(), test.text) {
				t.Errorf("error %q, want %q", err, test.text)
			}
			var hinted interface{ Hint() string }
			if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), test.hint) {
				t.Errorf("hint of %v lacks %q", err, test.hint)
			}
		})
	}
}

// foreignELF is the first 64 bytes of a program for a machine that runs no tests.
func foreignELF(t *testing.T) string {
	head := make([]byte, 64)
	copy(head, "\x7fELF\x02\x02\x01") // 64 bits, big endian
	head[17] = 2                      // executable
	head[19] = 22                     // S/390
	head[23] = 1
	head[53], head[55], head[59] = 64, 56, 64
	return string(head)
}

func TestStopIgnored(t *testing.T) {
	box := newBox(t, Config{})
	app, out := start(t, box, AppConfig{}, "ignore")
	out.want(t, "stdout: ready")
	status, err := app.Stop(20 * time.Millisecond)
	if err != nil || status.Signal != "SIGKILL" || status.Code != -1 {
		t.Errorf("stop: %+v, %v; want SIGKILL", status, err)
	}
}

func TestStopEndsFamily(t *testing.T) {
	box := newBox(t, Config{})
	token := unique(t)
	app, out := start(t, box, AppConfig{}, "family", token)
	out.want(t, "stdout: family complete")
	if n := len(processesWith(token)); n != 2 {
		t.Fatalf("%d processes, want the application and its stray", n)
	}
	if _, err := app.Stop(soon); err != nil {
		t.Fatal(err)
	}
	if left := processesWith(token); len(left) > 0 {
		t.Errorf("processes %v remain", left)
	}
}

// TestUncontained does without a process namespace, as where none is allowed.
func TestUncontained(t *testing.T) {
	for _, end := range []string{"stop", "init killed", "parent gone", "keeper killed"} {
		t.Run(end, func(t *testing.T) {
			box := newBox(t, Config{})
			token := unique(t)
			out := make(lines, 10)
			app, err := box.start(t.Context(), AppConfig{
				Command: []string{"/proc/self/exe", token}, Env: []string{roleVar + "=family"}, OnlyNamed: true, Output: out.take,
			}, true)
			if err != nil {
				t.Fatal(err)
			}
			out.want(t, "stdout: family complete")
			if !slices.Contains(processesWith(token), app.Pid()) {
				t.Errorf("process %d is not the application", app.Pid())
			}
			switch end {
			case "stop":
				if status, err := app.Stop(soon); err != nil || status.Signal != "SIGTERM" {
					t.Errorf("stop: %v, %v", status, err)
				}
			case "init killed": // its Pdeathsig ends the application at least
				syscall.Kill(app.init, syscall.SIGKILL)
				<-app.Exited()
				pid := app.Pid()
				until(t, "application ended", func() bool { return !slices.Contains(processesWith(token), pid) })
				for _, pid := range processesWith(token) {
					syscall.Kill(pid, syscall.SIGKILL)
				}
			case "parent gone":
				app.process.control.CloseWrite()
				<-app.Exited()
			case "keeper killed":
				box.keeper.cmd.Process.Kill()
				<-app.Exited()
			}
			until(t, "all processes ended", func() bool { return len(processesWith(token)) == 0 })
		})
	}
}

// TestKilled: whichever of the processes that stand around the application is
// killed, nothing of it is left, and the namespace goes.
func TestKilled(t *testing.T) {
	needNamespace(t)
	for i, victim := range []string{"parent", "keeper", "init"} {
		t.Run(victim, func(t *testing.T) {
			token, device := unique(t), fmt.Sprintf("gone%d.%d", i, os.Getpid())
			parent := exec.Command("/proc/self/exe", token, device)
			parent.Env = append(os.Environ(), roleVar+"=parent")
			parent.Stderr = os.Stderr
			stdout, err := parent.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			defer parent.Wait()
			defer parent.Process.Kill()
			said := bufio.NewReader(stdout)
			line, err := said.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			var app, init, keeper int
			if _, err := fmt.Sscan(line, &app, &init, &keeper); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(processesWith(token), app) {
				t.Errorf("process %d is not the application", app)
			}
			ns := inode(t, fmt.Sprintf("/proc/%d/ns/net", init))
			if ns == inode(t, "/proc/self/ns/net") {
				t.Error("the application is in our namespace")
			}
			if ns == inode(t, fmt.Sprintf("/proc/%d/ns/net", parent.Process.Pid)) {
				t.Error("the parent is in the application's namespace")
			}
			// While it is held open, no other namespace can get its number.
			held, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", init))
			if err != nil {
				t.Fatal(err)
			}
			defer held.Close()
			pid := map[string]int{"parent": parent.Process.Pid, "keeper": keeper, "init": init}[victim]
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if victim != "parent" { // which hears of it, and can close what is left
				if line, err := said.ReadString('\n'); err != nil || line != "ended by SIGKILL\n" {
					t.Errorf("the parent says %q, %v", line, err)
				}
			}
			until(t, "the application ended", func() bool { return !slices.Contains(processesWith(token), app) })
			until(t, "init and the keeper ended", func() bool { return !running(init) && !running(keeper) })
			until(t, "nobody is in the namespace", func() bool { return len(inNamespace(ns)) == 0 })
			if victim == "parent" {
				until(t, "all processes ended", func() bool { return len(processesWith(token)) == 0 })
			}
			if _, err := os.Stat("/sys/class/net/" + device); err == nil {
				t.Errorf("%s is on the host", device)
			}
		})
	}
}

func running(pid int) bool { return syscall.Kill(pid, 0) == nil }

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	return stat.Ino
}

// inNamespace returns the processes in a network namespace.
func inNamespace(ino uint64) (pids []string) {
	paths, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, path := range paths {
		var stat unix.Stat_t
		if unix.Stat(path, &stat) == nil && stat.Ino == ino {
			pids = append(pids, path)
		}
	}
	return pids
}

func TestOutput(t *testing.T) {
	box := newBox(t, Config{})
	app, out := start(t, box, AppConfig{}, "long")
	<-app.Exited()
	close(out)
	var got []int
	for line := range out {
		got = append(got, len(strings.TrimPrefix(line, "stdout: ")))
	}
	if want := []int{lineLimit, lineLimit, 5, 0, 4}; !slices.Equal(got, want) {
		t.Errorf("lengths of lines %v, want %v", got, want)
	}
}

func TestStartCancelled(t *testing.T) {
	box := newBox(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if app, err := box.Start(ctx, AppConfig{Command: []string{"true"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("start: %v, %v", app, err)
	}
	box.Close()
	if app, err := box.Start(t.Context(), AppConfig{Command: []string{"true"}}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("start after close: %v, %v", app, err)
	}
}

// inspect returns what the application sees.
func inspect(t *testing.T, box *Sandbox, cfg AppConfig, args ...string) findings {
	t.Helper()
	app, out := start(t, box, cfg, "inspect", args...)
	<-app.Exited()
	if s := app.Status(); s.Code != 0 {
		t.Fatalf("%v: %q", s, app.LastLines())
	}
	var f findings
	if err := json.Unmarshal([]byte(strings.TrimPrefix(<-out, "stdout: ")), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestEnvOfHost: variables that lead to the host's services are not handed on,
// unless they are given.
func TestEnvOfHost(t *testing.T) {
	box := newBox(t, Config{})
	for _, name := range []string{"NOTIFY_SOCKET", "DOCKER_HOST", "LISTEN_FDS"} {
		t.Setenv(name, "host")
	}
	t.Setenv("OTHER", "kept")
	out := make(lines, 10)
	_, err := box.Start(t.Context(), AppConfig{
		Command: []string{"sh", "-c", `echo "$NOTIFY_SOCKET,$DOCKER_HOST,$LISTEN_FDS,$OTHER"`},
		Env:     []string{"NOTIFY_SOCKET=given"}, Output: out.take,
	})
	if err != nil {
		t.Fatal(err)
	}
	out.want(t, "stdout: given,,,kept")
}
