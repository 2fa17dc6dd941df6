// Command tcpsandbox replays production's TCP sessions, captured live or from
// a file, into a test application that runs in a network namespace of its own,
// and says how its answers differ from production's.
//
//	tcpsandbox run --capture eth0:80 -- ./testapp
package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"tcpsandbox/sandbox"
)

// Exit codes: a promise to scripts.
const (
	exitOK        = 0   // all compared answers match
	exitDifferent = 1   // they differ, or something was lost with --fail-on loss
	exitUsage     = 2   // the command line is wrong
	exitCannot    = 3   // it cannot run here, or its books do not balance
	exitApp       = 4   // the application never listened, or died
	exitSignal    = 128 // plus the signal's number: a signal ended it before there was a result
)

func main() {
	sandbox.Main() // does not return in the sandbox's own processes
	guardMain()    // nor does this in the terminal's guard
	os.Exit(run(os.Args[1:]))
}

// run executes a command line and returns the exit code.
func run(args []string) int {
	code := exitOK
	root := &cobra.Command{
		Use:           "tcpsandbox",
		Short:         "Replay production's TCP sessions into a sandboxed application and compare the answers",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{cmd.CommandPath(), err}
	})
	root.AddCommand(runCommand(&code), recordCommand(), showCommand(), doctorCommand(&code), demoCommand(&code))
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	if err == nil {
		return code
	}
	var usage usageError
	var coded exitError
	switch {
	case errors.As(err, &coded):
		code = coded.code
	case errors.As(err, &usage):
		code = exitUsage
	default: // cobra's own complaints: unknown command, wrong number of arguments
		err, code = usageError{cmd.CommandPath(), err}, exitUsage
	}
	if !errors.Is(err, errSaid) {
		newConsole(false).fail(err)
	}
	return code
}

// usageError is a command line that cannot be understood.
type usageError struct {
	command string
	err     error
}

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// Hint prefers what the cause advises.
func (e usageError) Hint() string {
	return cmp.Or(hintOf(e.err), e.command+" --help")
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return e.err.Error() }
func (e exitError) Unwrap() error { return e.err }

// errSaid marks errors that were printed already.
var errSaid = errors.New("said")

func misuse(cmd *cobra.Command, format string, args ...any) error {
	return usageError{cmd.CommandPath(), fmt.Errorf(format, args...)}
}

func cannot(err error) error { return exitError{exitCannot, err} }

// version returns the release, or the commit that this was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}

// commandLine writes a command as a person would type it.
func commandLine(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = a
		if a == "" || strings.ContainsAny(a, " \t\n\"'`$&|;<>()*?[]#~\\") {
			words[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}
