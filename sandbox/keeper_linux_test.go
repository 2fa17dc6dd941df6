package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asUserVar marks the test binary that TestAsUser runs.
const asUserVar = "SANDBOX_TEST_AS_USER"

// TestAsUser runs the tests of this package again as somebody without any
// privilege.
func TestAsUser(t *testing.T) {
	if os.Getenv(asUserVar) != "" {
		t.Skip("this is the user's run already")
	}
	if os.Geteuid() != 0 {
		t.Skip("this is a user's run anyway")
	}
	needNamespace(t)
	tmp := t.TempDir()
	for dir := tmp; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(tmp, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	again := exec.Command("/proc/self/exe", "-test.timeout=4m", "-test.v", "-test.skip=^Fuzz")
	again.Dir = "/"
	again.Env = append(os.Environ(), asUserVar+"=1", "TMPDIR="+tmp, "HOME="+tmp, "GOCOVERDIR="+tmp)
	again.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, Pdeathsig: syscall.SIGKILL,
	}
	out, err := again.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if bytes.Contains(out, []byte("--- SKIP: TestRootless ")) && os.Getenv("TCPSANDBOX_NEED") != "all" {
		t.Skip("users may not make namespaces here")
	}
	if !bytes.Contains(out, []byte("--- PASS: TestRootless ")) {
		t.Errorf("TestRootless did not pass:\n%s", out)
	}
}

// TestRootless: without privileges the application is the user, with their
// files, and with no more rights than with root.
func TestRootless(t *testing.T) {
	box := newBox(t, Config{})
	if !box.Rootless() {
		t.Skip("it has privileges: see TestAsUser")
	}
	if w := box.Warnings(); len(w) > 0 {
		t.Logf("warnings: %q", w)
	}
	f := inspect(t, box, AppConfig{}, strconv.Itoa(os.Getpid()))
	if f.UID != os.Geteuid() || f.GID != os.Getegid() {
		t.Errorf("user %d, group %d", f.UID, f.GID)
	}
	for _, name := range []string{"CapBnd", "CapPrm", "CapEff"} {
		if got, _ := strconv.ParseUint(f.Status[name], 16, 64); got != 1<<unix.CAP_NET_BIND_SERVICE {
			t.Errorf("%s %s", name, f.Status[name])
		}
	}
	if f.Status["NoNewPrivs"] != "1" || len(f.Processes) != 2 || f.Status["Seccomp"] == "0" {
		t.Errorf("no_new_privs %s, seccomp %s, it sees processes %v", f.Status["NoNewPrivs"], f.Status["Seccomp"], f.Processes)
	}
	if f.Setns == "entered" || f.SetnsHost == "entered" {
		t.Errorf("enter a namespace: %s, %s", f.Setns, f.SetnsHost)
	}
	kept := inspect(t, box, AppConfig{KeepCaps: []string{"setuid", "chown"}})
	if got, _ := strconv.ParseUint(kept.Status["CapEff"], 16, 64); got != 1<<unix.CAP_NET_BIND_SERVICE|1<<unix.CAP_SETUID|1<<unix.CAP_CHOWN {
		t.Errorf("kept %s", kept.Status["CapEff"])
	}

	path := filepath.Join(t.TempDir(), "made")
	app, err := box.Start(t.Context(), AppConfig{Command: []string{"touch", path}})
	if err != nil {
		t.Fatal(err)
	}
	<-app.Exited()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t); int(owner.Uid) != os.Geteuid() || int(owner.Gid) != os.Getegid() {
		t.Errorf("its file is of user %d, group %d", owner.Uid, owner.Gid)
	}

	_, err = box.Start(t.Context(), AppConfig{Command: []string{"true"}, User: "root"})
	var setup *SetupError
	if !errors.As(err, &setup) || !strings.HasPrefix(err.Error(), "run as root: ") || !strings.HasPrefix(setup.Fix, "sudo tcpsandbox run --user root") {
		t.Errorf("become root: %v, %+v", err, setup)
	}
}

// TestKeeperRefuses: what a parent asks that was taken over, the keeper checks as
// if a user had typed it, and lives on.
func TestKeeperRefuses(t *testing.T) {
	box := newBox(t, Config{})
	addr := func(s string) *netip.Addr { a := netip.MustParseAddr(s); return &a }
	job := func(change func(*appRequest)) *appRequest {
		r := &appRequest{Command: []text{"true"}, Environ: []text{"PATH=/usr/bin:/bin"}}
		change(r)
		return r
	}
	for _, test := range []struct {
		what request
		want string
	}{
		{request{Network: &Config{MTU: 1500, Name: "tun1"}}, "once"},
		{request{}, "does not know"},
		{request{Server: addr("224.0.0.1")}, "no server's"},
		{request{Server: addr("::1")}, "no server's"},
		{request{Server: addr("::ffff:192.0.2.1")}, "no server's"},
		{request{Server: addr("fe80::1%lo")}, "no server's"},
		{request{Listen: &Listener{}}, "invalid"},
		{request{Start: job(func(r *appRequest) { r.Command = nil })}, "no command"},
		{request{Start: job(func(r *appRequest) { r.KeepCaps = []text{"setuid", "Cap_Sys_Admin"} })}, "opens the sandbox"},
		{request{Start: job(func(r *appRequest) { r.Hide = []text{"/"} })}, "everything"},
		{request{Start: job(func(r *appRequest) { r.Show = []text{"/"} })}, "everything"},
		{request{Start: job(func(r *appRequest) { r.User = "no-such-user" })}, "no such user"},
	} {
		_, files, err := box.keeper.ask(test.what)
		if err == nil || !strings.Contains(err.Error(), test.want) || len(files) > 0 {
			t.Errorf("%+v: %v, want %s", test.what, err, test.want)
		}
	}
	// Processes that it did not start it leaves alone.
	bystander := exec.Command("sleep", "1000")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	defer bystander.Wait()
	defer bystander.Process.Kill()
	if _, _, err := box.keeper.ask(request{Kill: bystander.Process.Pid}); err != nil {
		t.Error(err)
	}
	if _, _, err := box.keeper.ask(request{Kill: 1}); err != nil {
		t.Error(err)
	}
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", bystander.Process.Pid)); err != nil || bytes.Contains(stat, []byte(") Z")) {
		t.Errorf("it killed another process: %s, %v", stat, err)
	}
	if err := box.AddServer(netip.MustParseAddr("198.51.100.7")); err != nil {
		t.Error(err)
	}
}

// TestKeeperRights: the keeper and the init process have no capability that opens
// a sandbox but the two that the keeper's work takes.
func TestKeeperRights(t *testing.T) {
	box := newBox(t, Config{})
	app, out := start(t, box, AppConfig{}, "ignore")
	out.want(t, "stdout: ready")
	var most uint64
	for c, name := range capabilities {
		if opening[name] == "" {
			most |= 1 << c
		}
	}
	const needed = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN
	most |= needed
	// With C code linked in, as with -race, only the main thread gives them up.
	pattern := "task/*/status"
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_GETPID, 0, 0, 0); errno == unix.ENOTSUP {
		pattern = "status"
	}
	for what, pid := range map[string]int{"keeper": box.keeper.cmd.Process.Pid, "init": app.init} {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/%s", pid, pattern))
		if err != nil || len(threads) == 0 {
			t.Fatalf("%s has no threads: %v", what, err)
		}
		for _, thread := range threads {
			text, err := os.ReadFile(thread)
			if err != nil {
				continue // it ended
			}
			for line := range strings.Lines(string(text)) {
				key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
				if key != "CapPrm" && key != "CapEff" && key != "CapBnd" && key != "CapInh" && key != "CapAmb" {
					continue
				}
				set, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
				if err != nil || set&^most != 0 {
					t.Errorf("%s, %s: %s is %x, of which it should not have %x: %v", what, thread, key, set, set&^most, err)
				}
				if what == "keeper" && key == "CapEff" && set&needed != needed {
					t.Errorf("%s: it has not what it needs: %x", thread, set)
				}
			}
		}
	}
}

// TestKeeperGone: who asks a keeper that is gone hears so, and Close works.
func TestKeeperGone(t *testing.T) {
	box := newBox(t, Config{})
	app, out := start(t, box, AppConfig{}, "ignore")
	out.want(t, "stdout: ready")
	box.keeper.cmd.Process.Kill()
	<-app.Exited()
	if s := app.Status(); s.Signal != "SIGKILL" {
		t.Errorf("ended by %v", s)
	}
	for range 2 { // the reason stays
		var lost *LostError
		err := box.AddServer(netip.MustParseAddr("198.51.100.7"))
		if !errors.As(err, &lost) || lost.PID != box.keeper.cmd.Process.Pid || !strings.Contains(lost.Why, "was ended (signal: killed)") {
			t.Error(err)
		}
	}
}

func TestFault(t *testing.T) {
	for _, err := range []error{
		nil,
		errors.New("plain"),
		fmt.Errorf("look: %w", &fs.PathError{Op: "open", Path: "/\xff", Err: unix.ENOENT}),
		&SetupError{Op: "hide /\xff", Err: unix.EPERM, Fix: "do this"},
		&limitError{"no groups", "mount them"},
		&StartError{Command: "x", Err: exec.ErrNotFound, Fix: "./x"},
		&StartError{Command: "x", Err: fmt.Errorf("working directory: %w", unix.ENOTDIR)},
	} {
		got := faultOf(err).error()
		if fmt.Sprint(got) != fmt.Sprint(err) || fmt.Sprintf("%T", got) != fmt.Sprintf("%T", err) && got != nil && errors.As(err, new(interface{ Hint() string })) {
			t.Errorf("%v came as %v", err, got)
		}
		for _, is := range []error{fs.ErrNotExist, fs.ErrPermission, exec.ErrNotFound, unix.ENOTDIR} {
			if errors.Is(got, is) != errors.Is(err, is) {
				t.Errorf("%v came as one that is %v: %v", err, is, errors.Is(got, is))
			}
		}
		var was, is interface{ Hint() string }
		if errors.As(err, &was) && (!errors.As(got, &is) || is.Hint() != was.Hint()) {
			t.Errorf("%v lost its hint", err)
		}
	}
}

// TestLine: files come with their message; a deaf end takes none, and none takes
// a message without end.
func TestLine(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	hears, err := newLine(os.NewFile(uintptr(pair[0]), "a"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer hears.close()
	deaf, err := newLine(os.NewFile(uintptr(pair[1]), "b"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := deaf.send(reply{Init: 1}, w, w); err != nil {
		t.Fatal(err)
	}
	var got reply
	files, err := hears.receive(&got)
	if err != nil || got.Init != 1 || len(files) != 2 {
		t.Fatalf("%+v, %d files, %v", got, len(files), err)
	}
	closeAll(files)
	if err := hears.send(request{Kill: 2}, w); err != nil {
		t.Fatal(err)
	}
	var asked request
	if files, err = deaf.receive(&asked); err != nil || asked.Kill != 2 || len(files) != 0 {
		t.Errorf("%+v, %d files, %v", asked, len(files), err)
	}
	w.Close()
	r.SetReadDeadline(time.Now().Add(soon))
	if n, err := r.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("somebody holds the pipe: %v", err)
	}
	go func() {
		long := bytes.Repeat([]byte("x"), messageMax/8)
		hears.conn.Write([]byte(`"`))
		for range 9 {
			hears.conn.Write(long)
		}
	}()
	var text string
	if _, err := deaf.receive(&text); !errors.Is(err, errTooLong) {
		t.Errorf("a message without end: %v", err)
	}
}

func FuzzReadDump(f *testing.F) {
	msg := func(kind, seq byte, body ...byte) []byte {
		return append([]byte{byte(16 + len(body)), 0, 0, 0, kind, 0, 0, 0, seq, 0, 0, 0, 0, 0, 0, 0}, body...)
	}
	f.Add(append(msg(20, 7, 1, 2, 3, 4), msg(unix.NLMSG_DONE, 7, 0, 0, 0, 0)...))
	f.Add(msg(unix.NLMSG_ERROR, 7, 0xfe, 0xff, 0xff, 0xff))
	bodies := 0
	if done, err := readDump(append(msg(20, 7, 1, 2, 3, 4), msg(3, 6)...), 7, func([]byte) { bodies++ }); done || err != nil || bodies != 1 {
		f.Errorf("%v, %v, %d bodies", done, err, bodies)
	}
	if done, err := readDump(msg(unix.NLMSG_ERROR, 7, 0xfe, 0xff, 0xff, 0xff), 7, nil); !done || err != unix.ENOENT {
		f.Errorf("%v, %v", done, err)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		total := 0
		readDump(packet, 7, func(msg []byte) { total += len(msg) + unix.NLMSG_HDRLEN })
		if total > len(packet) {
			t.Errorf("%d bytes of messages in %d", total, len(packet))
		}
	})
}

// TestNamespaceFix: of several settings the one is named that explains the error.
func TestNamespaceFix(t *testing.T) {
	for _, test := range []struct {
		why     unix.Errno
		setting string // that forbids, beside others that do not
		value   string
		want    string
	}{
		{unix.ENOSPC, "user/max_user_namespaces", "0", "sudo sysctl user.max_user_namespaces=15000"},
		{unix.EUSERS, "user/max_net_namespaces", "0", "sudo sysctl user.max_net_namespaces=15000"},
		{unix.EPERM, "kernel/unprivileged_userns_clone", "0", "sudo sysctl kernel.unprivileged_userns_clone=1"},
		{unix.EACCES, "kernel/apparmor_restrict_unprivileged_userns", "1", "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
		{unix.EPERM, "user/max_user_namespaces", "0", privilegeFix()}, // that is not why
		{unix.ENOSPC, "user/max_user_namespaces", "9", privilegeFix()},
		{unix.ENOMEM, "user/max_user_namespaces", "0", ""},
	} {
		read := func(path string) string {
			if path == test.setting {
				return test.value
			}
			return "12345"
		}
		if got := namespaceFix(test.why, read); got != test.want {
			t.Errorf("%v with %s=%s: %q, want %q", test.why, test.setting, test.value, got, test.want)
		}
	}
}

// FuzzPrepare: whatever a parent asks for that was taken over, what is started
// keeps no capability that opens the sandbox.
func FuzzPrepare(f *testing.F) {
	f.Add([]byte(`{"Command":["dHJ1ZQ=="],"KeepCaps":["c2V0dWlk"],"Environ":["UEFUSD0vYmlu"],"Hide":["L3RtcA=="]}`))
	f.Add([]byte(`{"Command":["L2Jpbi90cnVl"],"KeepCaps":["Q0FQX1NZU19BRE1JTg=="],"User":"MDow"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var what appRequest
		if json.Unmarshal(text, &what) != nil {
			return
		}
		job, err := prepare(&what, true, nil)
		if err != nil {
			if back := faultOf(err).error(); back == nil || back.Error() != err.Error() {
				t.Errorf("%v came as %v", err, back)
			}
			return
		}
		if len(job.Args) == 0 || job.Path == "" || job.User != nil {
			t.Errorf("%+v", job)
		}
		for _, c := range job.KeepCaps {
			if deed := opening[capabilities[c]]; deed != "" {
				t.Errorf("keeps %s, to %s", capabilities[c], deed)
			}
		}
	})
}
