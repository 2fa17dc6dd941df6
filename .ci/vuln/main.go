// Command vuln looks for known vulnerabilities in what the program calls, with
// govulncheck. Where their database cannot be reached it says so and passes: a
// check without a network shall not fail for it, nor seem to have been made.
//
//	go run ./.ci/vuln ./...
//
// GOVULNDB names another database, as it does to govulncheck. It exits with
// govulncheck's exit code.
package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"
)

// tool is not in go.mod: it is no part of the program.
const tool = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"

func main() {
	db := os.Getenv("GOVULNDB")
	if db == "" {
		db = "https://vuln.go.dev"
	}
	os.Exit(check(db, os.Stdout, func() error {
		c := exec.Command("go", append([]string{"run", tool}, os.Args[1:]...)...)
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		return c.Run()
	}))
}

// check runs govulncheck where it can do its work, and returns an exit code.
func check(db string, out io.Writer, govulncheck func() error) int {
	if err := reach(db); err != nil {
		fmt.Fprintf(out, "govulncheck was not run: %s cannot be reached: %v\n", db, err)
		return 0
	}
	err := govulncheck()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return max(1, exit.ExitCode())
	case err != nil:
		fmt.Fprintln(out, "govulncheck:", err)
		return 1
	}
	return 0
}

// patience is for a network that swallows packets; without one the answer comes
// at once.
const patience = 10 * time.Second

// reach asks for what govulncheck asks for first.
func reach(db string) error {
	if strings.HasPrefix(db, "file:") {
		return nil
	}
	client := http.Client{Timeout: patience}
	answer, err := client.Head(strings.TrimSuffix(db, "/") + "/index/db.json")
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err // it names the address once more
		}
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return nil
}
