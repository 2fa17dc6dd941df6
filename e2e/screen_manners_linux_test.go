package e2e

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tcpsandbox/capture/capturetest"
	"tcpsandbox/e2e/terminal"
)

// screenEnds ends runs by signals: the terminal is as before whatever comes.
func screenEnds(t *testing.T, w *world) {
	w.production()
	listens := []string{"run", "--capture", "eth0:80", "--", "testapp", "-grandchild", "-listen", ":80"}
	s := w.screen("term", listens...)
	s.running()
	w.load("-requests", "5", "http")
	s.WaitFor("answers = 5 identical")
	s.Signal(syscall.SIGTERM)
	s.over(0, "(100 %)", "5 identical")

	// Nor does it stay after the run's end when it is to go.
	w.capture("nothing.pcap", 1, time.Second)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		s = w.screen("late "+sig.String(), "run", "--capture", "nothing.pcap:80", "--pace", "asap", "--", "testapp", "-listen", ":80")
		s.finished()
		s.Signal(sig)
		s.over(0, "(100 %)")
	}

	// Nobody can clean up after SIGKILL, but the guard.
	s = w.screen("kill", listens...)
	s.running()
	s.Kill()
	s.gone()

	// While sessions drain for which there is no answer, a second Ctrl-C does
	// not wait, nor does a second signal.
	hangs := []string{"run", "--capture", "eth0:80", "--drain", "5m", "--answer-timeout", "5m", "--", "testapp", "-grandchild", "-listen", ":80", "-delay", "1h"}
	for _, test := range []struct {
		name    string
		end     func()
		meant   string
		code    int
		printed []string
	}{
		{"interrupts", func() { s.Send(terminal.Interrupt) }, "finishing: 2 sessions are open", 0, []string{"signal", "of those failed: 2 pending"}},
		{"signals", func() { s.Signal(syscall.SIGTERM) }, "draining", 143, []string{"ended by a second signal"}},
	} {
		s = w.screen(test.name, hangs...)
		s.running()
		w.load("-connections", "2", "-requests", "1", "http")
		s.WaitFor("1 sessions 2")
		test.end()
		s.WaitFor(test.meant)
		test.end()
		s.over(test.code, test.printed...)
	}
}

// screenApplication shows applications that do not do what they should.
func screenApplication(t *testing.T, w *world) {
	w.production()
	s := w.screen("crash", "run", "--capture", "eth0:80", "--", "testapp", "-listen", ":80", "-crash-after", "3")
	s.running()
	w.load("-requests", "5", "http")
	s.WaitFor("over: the application ended")
	s.WaitFor("exited with 3")
	s.finished()
	s.Send("4")
	s.WaitFor("testapp: crashing now")
	if !s.Alternate() {
		t.Error("the screen is gone")
	}
	s.Send("q")
	s.over(4, "died during the replay: exit code 3", "the application exited with code 3")

	s = w.screen("deaf", "run", "--capture", "eth0:80", "--listen-timeout", "500ms", "--", "testapp", "-listen", ":80", "-listen-after", "never")
	s.over(4, "not after 500ms", "the application never listened") // nobody need leave it

	s = w.screen("late", "run", "--capture", "eth0:80", "--", "testapp", "-listen", ":80", "-listen-after", "never")
	s.WaitFor("starting")
	s.Send("q")
	s.over(130, "before the application listened")
}

// screenSize changes the terminal's size, to none that is of use, too.
func screenSize(t *testing.T, w *world) {
	w.capture("slow.pcap", 30, time.Hour)
	s := w.screen("size", "run", "--capture", "slow.pcap:80", "--", "testapp", "-listen", ":80")
	s.running()
	s.WaitFor("answers = 30 identical")
	for _, size := range [][2]int{{80, 24}, {39, 24}, {200, 60}, {80, 9}, {40, 10}, {120, 40}} {
		cols, rows := size[0], size[1]
		s.Resize(cols, rows)
		if cols < 40 || rows < 10 {
			s.WaitFor("too small")
			continue
		}
		s.WaitUntil("the whole screen is used", func(screen string) bool {
			// The state stands at the right end of the first line.
			lines := strings.Split(screen, "\n")
			return strings.Contains(lines[0], "▶ running") && len([]rune(lines[0])) == cols &&
				strings.Contains(lastLine(screen), "enter open") && len(tableRows(screen)) >= min(30, rows-6)
		})
	}
	s.Send("Q")
	s.over(0)
}

// screenLeft ends a screen that stays after its run, by one signal: nothing is
// left to be finished, and a terminal that goes away sends no second one.
func screenLeft(t *testing.T, w *world) {
	w.capture("shop.pcap", 2, 100*time.Millisecond)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		s := w.screen("left by "+sig.String(), "run", "--capture", "shop.pcap:80", "--pace", "asap", "--", "testapp", "-listen", ":80")
		s.finished()
		s.Signal(sig)
		s.over(0, "(100 %)")
	}
}

// screenPrivate has root run a program that is another user's only, as one is that
// was built with a strict umask: the guard is that program again.
func screenPrivate(t *testing.T, w *world) {
	w.capture("shop.pcap", 2, 100*time.Millisecond)
	public, err := exec.LookPath("tcpsandbox")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(public)
	private := filepath.Join(w.dir, "private")
	if err := errors.Join(err, os.WriteFile(private, program, 0o700), os.Chown(private, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	s := w.screenOf("private", 120, 40, func(cmd *exec.Cmd) { cmd.Path = private }, "run", "--capture", "shop.pcap:80", "--pace", "asap", "--", "testapp", "-listen", ":80")
	s.finished()
	s.Send("q")
	s.over(0, "(100 %)")
}

// screenPlain has no screen, or one without colours.
func screenPlain(t *testing.T, w *world) {
	w.capture("shop.pcap", 2, 100*time.Millisecond)
	run := []string{"run", "--capture", "shop.pcap:80", "--pace", "asap"}
	app := []string{"--", "testapp", "-listen", ":80", "-plant", "/item/0-0"}
	args := func(more ...string) []string { return append(append(run[:len(run):len(run)], more...), app...) }

	s := w.screenOf("dumb", 80, 24, func(c *exec.Cmd) { c.Env = append(c.Env, "TERM=dumb") }, args()...)
	s.over(1, "listens on", "(100 %)", "app: testapp is ready")
	if bytes.ContainsRune(s.Output(), '\x1b') {
		t.Errorf("a dumb terminal got an escape sequence: %q", s.Output())
	}

	// A pipe, with a terminal for the rest: a progress line may be erased.
	var out bytes.Buffer
	s = w.screenOf("pipe", 80, 24, func(c *exec.Cmd) { c.Stdout = &out }, args()...)
	s.over(1, "listens on")
	if !strings.Contains(out.String(), "(100 %)") || strings.Contains(out.String(), "\x1b") {
		t.Errorf("the pipe got %q", &out)
	}
	if rest := bytes.ReplaceAll(s.Output(), []byte("\x1b[K"), nil); bytes.ContainsRune(rest, '\x1b') {
		t.Errorf("the terminal got an escape sequence: %q", rest)
	}

	for _, flag := range []string{"--no-tui", "--quiet"} {
		s = w.screen(flag, args(flag)...)
		text := s.over(1, "(100 %)")
		if rest := bytes.ReplaceAll(s.Output(), []byte("\x1b[K"), nil); bytes.ContainsRune(rest, '\x1b') {
			t.Errorf("%s: the terminal got an escape sequence: %q", flag, rest)
		}
		if got := strings.Contains(text, "listens on"); got == (flag == "--quiet") {
			t.Errorf("%s: the terminal has\n%s", flag, text)
		}
	}

	colour := regexp.MustCompile(`\x1b\[([0-9;:]*;)?(3[0-8]|4[0-8]|9[0-7]|10[0-7])[0-9;:]*m`)
	for _, env := range []string{"NO_COLOR=1", "NONE=1"} {
		s = w.screenOf(env, 80, 24, func(c *exec.Cmd) { c.Env = append(c.Env, env) }, args()...)
		s.finished()
		s.Send("2" + terminal.Enter)
		s.WaitFor("a planted bug")
		s.Send("q")
		s.over(1, "(100 %)")
		if found := colour.Find(s.Output()); (found != nil) == (env == "NO_COLOR=1") {
			t.Errorf("%s: the terminal got the colour %q", env, found)
		}
	}
}

// screenInput takes the capture on the standard input, and the keys from the
// terminal all the same.
func screenInput(t *testing.T, w *world) {
	w.capture("shop.pcap", 2, 100*time.Millisecond)
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s := w.screenOf("stdin", 80, 24, func(c *exec.Cmd) { c.Stdin = in }, "run", "--capture", "-", "--app-port", "80", "--", "testapp", "-listen", ":80")
	in.Close()
	if _, err := io.WriteString(out, w.file("shop.pcap")); err != nil {
		t.Fatal(err)
	}
	s.running()
	s.WaitFor("=10 ")
	s.Send("5")
	s.WaitFor("[5 ledger]")
	s.Send("q") // the pipe is still open
	s.over(0, "(100 %)")
}

// foreign is what a terminal would act upon: its title, the cursor, the
// clipboard, and the 8-bit form of an escape.
var foreign = []string{"\x1b]0;owned\x07", "\x1b[13;37H", "\x1b]52;c;b3duZWQ=\x07", "\u009b13;37H", "\x9b13;37H"}

// screenForeign has an application and a network that write escape sequences.
func screenForeign(t *testing.T, w *world) {
	said := "said " + strings.Join(foreign, "") + " so"
	if err := os.WriteFile(filepath.Join(w.dir, "said"), []byte(said+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	answer := "HTTP/1.1 200 OK\r\nX-Said: " + said + "\r\nContent-Length: " + strconv.Itoa(len(said)) + "\r\n\r\n" + said
	conn := func(pause time.Duration) *capturetest.Conn {
		return capturetest.New("10.77.0.2:40000", "10.77.0.1:80").Handshake().
			Client("GET /item/0 HTTP/1.1\r\nHost: shop.test\r\n\r\n").Server(answer).Wait(pause).
			Client("GET /item/" + strings.Join(foreign, "") + " HTTP/1.1\r\nHost: shop.test\r\n\r\n").Server(answer).ClientACK().Close()
	}
	w.captureOf("foreign.pcap", conn(0))
	w.captureOf("slow.pcap", conn(time.Hour)) // the run has not ended when the application does
	app := func(serve string) []string {
		return []string{"--", "sh", "-c", "cat said; exec testapp -listen :80 " + serve}
	}

	s := w.screen("screen", append([]string{"run", "--capture", "foreign.pcap:80", "--app-log", "app.log"}, app("")...)...)
	s.finished()
	s.Send("4")
	s.WaitFor("testapp is ready")
	s.Send("2")
	s.WaitFor("GET /item/")
	s.Send(terminal.Enter)
	s.WaitFor("X-Said")
	s.Send("o")
	s.WaitFor("10.77.0.2:40000 →")
	s.Send(terminal.End + terminal.Enter)
	s.Send("q")
	s.over(1, "(100 %)")
	s.unharmed()
	if got := w.file("app.log"); !strings.Contains(got, said+"\n") {
		t.Errorf("--app-log has %q", got)
	}

	// Without a screen its lines go to the terminal, and the last ones again
	// when it has died.
	s = w.screen("plain", append([]string{"run", "--capture", "slow.pcap:80", "--no-tui"}, app("-crash-after 1")...)...)
	s.over(4, "app: said ", "app: testapp is ready", "died during the replay")
	s.unharmed()
	s = w.screen("died", append([]string{"run", "--capture", "slow.pcap:80"}, app("-crash-after 1")...)...)
	s.finished()
	s.Send("q")
	s.over(4, "testapp is ready", "died during the replay")
	s.unharmed()
}

// unharmed checks that nothing foreign has reached the terminal as it was.
func (s *shown) unharmed() {
	s.w.t.Helper()
	for _, sequence := range foreign {
		if at := bytes.Index(s.Output(), []byte(sequence)); at >= 0 {
			s.w.t.Errorf("%s: the terminal got %q: %q", s.name, sequence, s.Output()[max(0, at-80):at+len(sequence)])
		}
	}
}

// capture writes a capture of sessions with five requests each, which lasts so
// long.
func (w *world) capture(name string, sessions int, length time.Duration) {
	w.t.Helper()
	var conns []*capturetest.Conn
	for i := range sessions {
		c := capturetest.New("10.77.0.2:"+strconv.Itoa(40000+i), "10.77.0.1:80").Handshake()
		for n := range 5 {
			c.Now = capturetest.Epoch.Add(length * time.Duration(n) / 4)
			body := "item " + strconv.Itoa(i) + "-" + strconv.Itoa(n) + "\n"
			c.Client("GET /item/" + strconv.Itoa(i) + "-" + strconv.Itoa(n) + " HTTP/1.1\r\nHost: shop.test\r\n\r\n").
				Server("HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + body).ClientACK()
		}
		conns = append(conns, c.Close())
	}
	w.captureOf(name, conns...)
}

func (w *world) captureOf(name string, conns ...*capturetest.Conn) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), capturetest.Pcap(capturetest.Merge(conns...)), 0o644); err != nil {
		w.t.Fatal(err)
	}
}
