// Command gotest runs go test, prints what go test prints without -v, and at
// the end which tests were skipped and why: a test that did not run shall not
// pass unseen.
//
//	go run ./.ci/gotest [flags of go test] ./...
//
// It exits with go test's exit code.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

func main() {
	c := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(1)
	}
	skipped := digest(out, os.Stdout)
	err = c.Wait()
	if len(skipped) > 0 {
		fmt.Printf("\nskipped: %d\n", len(skipped))
		for _, s := range skipped {
			fmt.Println(" ", s)
		}
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(max(1, exit.ExitCode()))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(1)
	}
}

// event is a line of go test -json (go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string // "" for the package itself
	Output  string
}

type test struct{ pkg, name string }

// digest passes on the output of packages and of tests that fail, and returns
// a line for each test that was skipped. It reads to the end.
func digest(in io.Reader, out io.Writer) (skipped []string) {
	lines := make(map[test][]string)
	for r := bufio.NewReader(in); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return skipped
		}
		var e event
		if json.Unmarshal([]byte(line), &e) != nil {
			fmt.Fprint(out, line)
			continue
		}
		key := test{e.Package, e.Test}
		switch {
		case e.Action == "build-output", e.Action == "output" && e.Test == "":
			if e.Output != "PASS\n" {
				fmt.Fprint(out, e.Output)
			}
		case e.Action == "output":
			lines[key] = append(lines[key], e.Output)
		case e.Test == "":
		case e.Action == "skip":
			skipped = append(skipped, e.Package+" "+e.Test+": "+reason(lines[key]))
			delete(lines, key)
		case e.Action == "fail":
			for _, l := range lines[key] {
				if !strings.HasPrefix(l, "=== ") {
					fmt.Fprint(out, l)
				}
			}
			delete(lines, key)
		case e.Action == "pass":
			delete(lines, key)
		}
	}
}

// reason finds what a test said when it skipped itself.
func reason(lines []string) string {
	var words []string
	for _, l := range lines {
		l = strings.TrimSpace(l)
		if l != "" && !strings.HasPrefix(l, "=== ") && !strings.HasPrefix(l, "--- ") {
			words = append(words, l)
		}
	}
	if len(words) == 0 {
		return "no reason given"
	}
	return strings.Join(words, " ")
}
