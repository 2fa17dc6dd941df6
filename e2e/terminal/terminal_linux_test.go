package terminal

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"golang.org/x/sys/unix"
)

// screenVar makes the test binary a program with a full screen.
const screenVar = "TCPSANDBOX_TEST_SCREEN"

func TestMain(m *testing.M) {
	if os.Getenv(screenVar) == "" {
		os.Exit(m.Run())
	}
	fmt.Println("before")
	if _, err := tea.NewProgram(page{}).Run(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("after")
}

// page shows what was typed and clicked, and what emulators misjudge.
type page struct {
	width, height int
	last          string
	offset        int
}

func (p page) Init() tea.Cmd { return nil }

func (p page) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		p.width, p.height = msg.Width, msg.Height
	case tea.MouseClickMsg:
		p.last = fmt.Sprintf("mouse %d,%d", msg.X, msg.Y)
	case tea.KeyPressMsg:
		p.last = "key " + msg.String()
		switch msg.String() {
		case "q":
			return p, tea.Quit
		case "down":
			p.offset++
		}
	}
	return p, nil
}

func (p page) View() tea.View {
	lines := []string{
		fmt.Sprintf("%d x %d, %s", p.width, p.height, p.last),
		lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("204")).Render("coloured") + " plain",
		"世界の終わり e\u0301 ▁▂▃▄ │",
		strings.Repeat("界", p.width), // is cut
	}
	for i := len(lines); i < p.height; i++ {
		lines = append(lines, fmt.Sprintf("line %d %s", i+p.offset, strings.Repeat("─", i)))
	}
	v := tea.NewView(strings.Join(lines, "\n"))
	v.AltScreen, v.ReportFocus, v.MouseMode, v.WindowTitle = true, true, tea.MouseModeCellMotion, "page"
	return v
}

// A program drawn by the library that ours uses, with keys, mouse and resizing.
func TestTerminal(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = Environment(screenVar + "=1")
	term := Start(t, 60, 12, cmd)
	term.WaitFor("60 x 12")
	term.WaitUntil("the alternate screen is shown", func(string) bool { return term.Alternate() })
	if now := term.Termios(); now.Lflag&unix.ICANON != 0 {
		t.Error("the terminal is not in raw mode")
	}
	term.Send(Down)
	term.WaitFor("key down")
	term.WaitFor("line 12 " + strings.Repeat("─", 11))
	term.Send(BackTab)
	term.WaitFor("key shift+tab")
	term.Click(7, 3)
	term.WaitFor("mouse 7,3")
	before := term.Bytes()
	term.Resize(50, 9)
	got := term.WaitUntil("the new size is shown", func(screen string) bool {
		return strings.HasPrefix(screen, "50 x 9") && strings.HasSuffix(screen, "line 9 ────────")
	})
	want := []string{
		"50 x 9, mouse 7,3", "coloured plain", "世界の終わり e\u0301 ▁▂▃▄ │", strings.Repeat("界", 25),
		"line 5 ────", "line 6 ─────", "line 7 ──────", "line 8 ───────", "line 9 ────────",
	}
	if got != strings.Join(want, "\n") {
		t.Errorf("the screen is\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if term.Bytes() <= before {
		t.Error("no output was counted")
	}
	term.Send("q")
	if !term.Exit().Success() {
		t.Errorf("it ended with %v", term.cmd.ProcessState)
	}
	term.WaitFor("before\nafter")
	term.Untouched()
}

// tmux judges the same program as our emulator does.
func TestTmuxAgrees(t *testing.T) {
	tm := StartTmux(t, 60, 12, "env", screenVar+"=1", fmt.Sprintf("/proc/%d/exe", os.Getpid()))
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = Environment(screenVar + "=1")
	term := Start(t, 60, 12, cmd)
	tm.WaitFor("60 x 12")
	term.WaitFor("60 x 12")
	tm.Press("Down", "BTab")
	term.Send(Down)
	term.WaitFor("key down")
	term.Send(BackTab)
	for _, want := range []string{"key shift+tab", "line 12"} {
		tm.WaitFor(want)
		term.WaitFor(want)
	}
	if a, b := tm.Screen(), term.Screen(); a != b {
		t.Errorf("tmux shows\n%s\nour emulator\n%s", a, b)
	}
	if !tm.Alternate() || len(tm.Leftovers()) < 3 {
		t.Errorf("tmux does not know that a program has a full screen: %q", tm.Leftovers())
	}
	tm.Resize(70, 9)
	tm.WaitFor("70 x 9")
	tm.Send("q")
	tm.WaitFor("after")
	if left := tm.Leftovers(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// A program that reads lines, in a terminal of its own that answers.
func TestTerminalLines(t *testing.T) {
	term := Start(t, 40, 5, exec.Command("sh", "-c", `printf '\033[6n'; read -r line; echo "got $line"; stty -echo; echo done`))
	term.Send("hello" + Enter)
	term.WaitFor("got ")
	term.WaitFor("done")
	if got := term.Exit().ExitCode(); got != 0 {
		t.Errorf("exit code %d", got)
	}
	if term.Termios() == term.before {
		t.Error("it has changed the line settings, and that does not show")
	}
}

// An interrupt is a signal of the terminal's own.
func TestTerminalInterrupt(t *testing.T) {
	term := Start(t, 40, 5, exec.Command("sh", "-c", "echo ready; exec cat"))
	term.WaitFor("ready")
	term.Send(Interrupt)
	if got := term.Exit().String(); got != "signal: interrupt" {
		t.Errorf("it ended with %q", got)
	}
}
