package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// guardedVar makes the test binary a program with a full screen, which does what
// keys say; see playGuarded.
const guardedVar = "TCPSANDBOX_TEST_GUARDED"

// init hands over as main does. It comes before any TestMain.
func init() {
	guardMain()
	if os.Getenv(guardedVar) != "" {
		playGuarded()
		os.Exit(0)
	}
}

// hostileCrash is a panic that quotes the network.
const hostileCrash = "quoting \x1b[?1049h\x1b]0;title\x07 and \u202e"

func playGuarded() {
	check := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(99)
		}
	}
	con := newConsole(false)
	g, err := guardTerminal(os.Stdin)
	check(err)
	was, err := terminalSettings(os.Stdin)
	check(err)
	raw := *was
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	fmt.Println("before the screen")
	check(unix.IoctlSetTermios(0, unix.TCSETS, &raw))
	fmt.Print("\x1b[?1049h\x1b[?1000h\x1b[?1002h\x1b[?1003h\x1b[?1006h\x1b[?1004h\x1b[?2004h\x1b[?25l\x1b[1;31m")
	fmt.Printf("guard %d up", g.cmd.Process.Pid)
	in := bufio.NewReader(os.Stdin)
	for {
		key, err := in.ReadByte()
		check(err)
		switch key {
		case 'q': // as the drawing library does
			fmt.Print(leaveScreen)
			check(unix.IoctlSetTermios(0, unix.TCSETS, was))
			g.release()
			fmt.Println("the result")
			os.Exit(0)
		case 'r':
			g.restore()
			g.release()
			fmt.Println("ended at once")
			os.Exit(7)
		case 'l': // what somebody's library would log
			os.Stderr.WriteString("a stray line\x1b[2J\n")
			fmt.Print("logged")
		case 'o': // nobody thought of the terminal, in the middle of a sequence
			fmt.Print("\x1b]0;half a title")
			os.Exit(8)
		case 'p':
			go func() { panic(hostileCrash) }()
		case 'd':
			go func() {
				m := map[int]int{}
				for range 2 {
					go func() {
						for {
							m[0]++
						}
					}()
				}
			}()
		case 'c': // a file that the one who started us left open
			check(unix.Close(3))
			fmt.Print("closed")
		case 's': // what signals are answered with
			con.hold(func(kind, text string) { fmt.Printf("<%s: %s>", kind, text) }, g.restore)
			con.warn("missed")
			interruptible(con)
			fmt.Print("listens")
		case 'x':
			c := exec.Command("/proc/self/exe", "-test.run=^TestGuardChild$")
			c.Env = []string{guardChildVar + "=1"}
			out, err := c.StdoutPipe()
			check(err)
			c.ExtraFiles = []*os.File{os.NewFile(3, "held by the test")}
			check(c.Start())
			_, err = bufio.NewReader(out).ReadString('\n')
			check(err)
			fmt.Print("child runs")
		}
	}
}

// guardChildVar makes TestGuardChild what a guarded program has started.
const guardChildVar = "TCPSANDBOX_TEST_GUARD_CHILD"

func TestGuardChild(t *testing.T) {
	if os.Getenv(guardChildVar) == "" {
		t.Skip("a part of TestGuard")
	}
	fmt.Println("child runs")
	io.Copy(io.Discard, os.NewFile(3, "held by the test")) // until the test lets it go
}

func guardedCommand(files ...*os.File) *exec.Cmd {
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), guardedVar+"=1", "GORACE=atexit_sleep_ms=0", "TERM=xterm-256color")
	c.ExtraFiles = files
	return c
}
