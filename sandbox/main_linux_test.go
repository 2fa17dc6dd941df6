package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tcpsandbox/sandbox/sandboxtest"
)

// The test binary is the application too: with roleVar set it plays one of the
// roles below.
const roleVar = "SANDBOX_TEST_ROLE"

func TestMain(m *testing.M) {
	Main()
	if role := os.Getenv(roleVar); role != "" {
		play := roles[role]
		if play == nil {
			fmt.Fprintln(os.Stderr, "no role", role)
			os.Exit(99)
		}
		play(os.Args[1:])
		os.Exit(0)
	}
	if err := sandboxtest.OpenTUN(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

var roles = map[string]func(args []string){
	"listen":  playListen,
	"exit":    playExit,
	"ignore":  playIgnore,
	"family":  playFamily,
	"leave":   func(args []string) { spawnStray(args[0]) },
	"stray":   func([]string) { fmt.Println("stray runs"); forever() },
	"inspect": playInspect,
	"parent":  playParent,
	"dial":    playDial,
	"socket":  playSocket,
	"write":   playWrite,
	"long":    playLong,
	"grow":    playGrow,
	"swarm":   playSwarm,
	"burn":    playBurn,
}

// forever does not return; an empty select would be a deadlock to the
// runtime.
func forever() {
	for {
		unix.Pause()
	}
}

// playListen listens on each address, and answers connections with silence;
// after "udp:" it is one of UDP.
func playListen(addrs []string) {
	for _, addr := range addrs {
		if addr, ok := strings.CutPrefix(addr, "udp:"); ok {
			network := "udp4"
			if addr[0] == '[' {
				network = "udp6"
			}
			if _, err := net.ListenPacket(network, addr); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(3)
			}
			continue
		}
		network := "tcp4"
		if addr[0] == '[' {
			network = "tcp6"
		}
		if _, err := net.Listen(network, addr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
	}
	fmt.Println("listening")
	forever()
}

func playExit(args []string) {
	for i := range 30 {
		fmt.Fprintf(os.Stderr, "line %d\n", i)
	}
	code, _ := strconv.Atoi(args[0])
	os.Exit(code)
}

// playWrite tells whether files can be opened to be written.
func playWrite(paths []string) {
	for _, path := range paths {
		fmt.Println(path, openToWrite(path))
	}
}

// playDial tells what becomes of a connection to each Unix socket.
func playDial(addresses []string) {
	for _, address := range addresses {
		c, err := net.Dial("unix", address)
		if err != nil {
			var op *os.SyscallError
			if errors.As(err, &op) {
				err = op
			}
			fmt.Println(err)
			continue
		}
		c.Close()
		fmt.Println("connected")
	}
}

func playIgnore([]string) {
	signal.Ignore(syscall.SIGTERM)
	fmt.Println("ready")
	forever()
}

// playFamily has a descendant that left its session and process group, and a
// name by which it can be found.
func playFamily(args []string) {
	spawnStray(args[0])
	forever()
}

func spawnStray(token string) {
	stray := exec.Command("/proc/self/exe", token)
	stray.Env = append(os.Environ(), roleVar+"=stray")
	stray.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := stray.StdoutPipe()
	if err == nil {
		err = stray.Start()
	}
	if err == nil {
		_, err = bufio.NewReader(out).ReadString('\n')
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	fmt.Println("family complete")
}

func playLong([]string) {
	os.Stdout.WriteString(strings.Repeat("x", lineLimit) + "\n" + strings.Repeat("y", lineLimit+5) + "\n\nlast")
}

// findings is what playInspect sees from inside.
type findings struct {
	Status     map[string]string // of /proc/self/status
	FDs        map[string]string
	Interfaces map[string][]string
	UID, GID   int
	Groups     []int
	Home, User string
	Setns      string // the error of entering the namespace of process 1, and of the host by /proc
	SetnsHost  string
	Processes  []string
	Ignored    string
	Dir        string
}

func playInspect(args []string) {
	f := findings{Status: map[string]string{}, FDs: map[string]string{}, Interfaces: map[string][]string{}}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		f.Status[key] = strings.TrimSpace(value)
	}
	// The ReadDir's own file is 3 and up, and gone by the time of Readlink.
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.HasPrefix(target, "anon_inode:") {
			f.FDs[e.Name()] = target
		}
	}
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		addrs, _ := i.Addrs()
		f.Interfaces[i.Name] = []string{}
		for _, a := range addrs {
			f.Interfaces[i.Name] = append(f.Interfaces[i.Name], a.String())
		}
	}
	f.UID, f.GID = os.Getuid(), os.Getgid()
	f.Groups, _ = os.Getgroups()
	f.Home, f.User = os.Getenv("HOME"), os.Getenv("USER")
	f.Dir, _ = os.Getwd()
	f.Setns = enter("/proc/1/ns/net")
	if len(args) > 0 {
		f.SetnsHost = enter("/proc/" + args[0] + "/ns/net")
	}
	processes, _ := filepath.Glob("/proc/[0-9]*")
	f.Processes = processes
	json.NewEncoder(os.Stdout).Encode(f)
}

// enter is what nsenter does.
func enter(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return "open: " + err.Error()
	}
	defer file.Close()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return err.Error()
	}
	return "entered"
}

// playParent is a tcpsandbox that will be killed: it prints the process ids of
// the application once the family is complete.
func playParent(args []string) {
	box, err := New(Config{Name: args[1]})
	if err == nil {
		out := make(lines, 10)
		var app *App
		app, err = box.Start(context.Background(), AppConfig{
			Command: []string{"/proc/self/exe", args[0]}, Env: []string{roleVar + "=family"},
			Output: out.take,
		})
		if err == nil {
			<-out
			fmt.Println(app.Pid(), app.init, box.keeper.cmd.Process.Pid)
			<-app.Exited()
			fmt.Println("ended by", app.Status())
			box.Close()
			forever()
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(3)
}

// ownUser is who the application can be without becoming anybody else.
func ownUser(box *Sandbox) string {
	if box.Rootless() {
		return ""
	}
	return "root"
}

// needNamespace skips where no namespace can be made, with the reason.
func needNamespace(t testing.TB) {
	t.Helper()
	box, err := New(Config{})
	if err == nil {
		box.Close()
		return
	}
	if os.Getenv("TCPSANDBOX_NEED") == "all" {
		t.Fatal(err)
	}
	t.Skip(err)
}

func newBox(t testing.TB, cfg Config) *Sandbox {
	t.Helper()
	needNamespace(t)
	box, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return box
}

// lines collects an application's output.
type lines chan string

func (l lines) take(stream Stream, line []byte) { l <- string(stream) + ": " + string(line) }

func (l lines) want(t testing.TB, line string) {
	t.Helper()
	select {
	case got := <-l:
		if got != line {
			t.Fatalf("line %q, want %q", got, line)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("no line %q", line)
	}
}

// start runs a role in the box.
func start(t testing.TB, box *Sandbox, cfg AppConfig, role string, args ...string) (*App, lines) {
	t.Helper()
	out := make(lines, 1000)
	// By this path every user may execute it: nobody looks at the private
	// folder that it lies in.
	cfg.Command = append([]string{"/proc/self/exe"}, args...)
	cfg.Env = append(cfg.Env, roleVar+"="+role, "GORACE=atexit_sleep_ms=0")
	if cfg.Output == nil {
		cfg.Output = out.take
	}
	app, err := box.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return app, out
}

// until waits for a condition.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal("never:", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// unique is an argument by which a test finds its own processes.
func unique(t testing.TB) string { return fmt.Sprintf("%s-%d", t.Name(), os.Getpid()) }

// processesWith returns the ids of live processes that have word as an argument.
func processesWith(word string) (pids []int) {
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for _, arg := range strings.Split(string(line), "\x00")[1:] {
			if arg == word {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
