package e2e

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// group is what the scripts look at of one of a report's groups.
type group struct {
	Request string
	Places  []string
	Missing int64
	Command string
}

func (g *group) String() string {
	if len(g.Places) == 0 && g.Missing > 0 {
		return g.Request + ": missing"
	}
	return g.Request + ": " + strings.Join(g.Places, ", ")
}

func groupsOf(ts *testscript.TestScript, file string) (all []group, err error) {
	var doc struct{ Differences []group }
	if err := json.Unmarshal([]byte(ts.ReadFile(file)), &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return doc.Differences, nil
}

// cmdGroups checks that a report has exactly these groups of differences, in
// any order.
func cmdGroups(ts *testscript.TestScript, w *world, args []string) error {
	all, err := groupsOf(ts, args[0])
	if err != nil {
		return err
	}
	var got []string
	for i := range all {
		got = append(got, all[i].String())
	}
	return sameSet([]string{"wanted", args[0]}, [2][]string{slices.Clone(args[1:]), got})
}

// cmdAgain does what somebody does who pastes the command of a report's group.
func cmdAgain(ts *testscript.TestScript, w *world, args []string) error {
	name, file := args[0], args[1]
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	all, err := groupsOf(ts, file)
	if err != nil {
		return err
	}
	if n < 0 || n >= len(all) {
		return fmt.Errorf("%s: no group %d among %d", file, n, len(all))
	}
	const run = "tcpsandbox run "
	rest, ok := strings.CutPrefix(all[n].Command, run)
	if !ok {
		return fmt.Errorf("%s: the command of %s is %q", file, &all[n], all[n].Command)
	}
	line := "exec " + run + "--report " + name + ".json " + rest
	ts.Logf("%s: %s", name, line)
	_, err = w.start(name, "prod", ts.MkAbs("."), ts.Getenv, []string{"/bin/sh", "-c", line})
	return err
}

// cmdJUnit reads a JUnit file as CI systems do, and checks that of its test
// cases exactly those of these names failed.
func cmdJUnit(ts *testscript.TestScript, w *world, args []string) error {
	var failed, passed []string
	d := xml.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "testcase" {
			continue
		}
		var test struct {
			Name    string    `xml:"name,attr"`
			Class   string    `xml:"classname,attr"`
			Failure *struct{} `xml:"failure"`
			Error   *struct{} `xml:"error"`
		}
		if err := d.DecodeElement(&test, &start); err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		switch {
		case test.Name == "" || test.Class == "":
			return fmt.Errorf("%s: a test case without a name or class", args[0])
		case test.Failure != nil, test.Error != nil:
			failed = append(failed, test.Name)
		default:
			passed = append(passed, test.Name)
		}
	}
	if len(passed) == 0 {
		return fmt.Errorf("%s: no test case passed; failed: %q", args[0], failed)
	}
	return sameSet([]string{"wanted", args[0]}, [2][]string{slices.Clone(args[1:]), failed})
}
