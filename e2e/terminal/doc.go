// Package terminal runs commands on terminals of a test's own, and tells what
// a person would see there.
//
// [Start] gives a command a pseudo-terminal; what it writes goes to a [Screen],
// which emulates what the terminals of today have in common. [StartTmux] does
// the same under tmux, whose judgement of what is on the screen is not ours.
//
//	term := terminal.Start(t, 80, 24, exec.Command("tcpsandbox", "run", …))
//	term.WaitFor("3 differences")
//	term.Send("q")
//	term.Exit()
//	term.WaitFor("compared") // the result, on the normal screen
//	term.Untouched()
//
// There is nothing to sleep for: all waits are for conditions, and one that
// does not come true fails the test with the whole screen.
package terminal
