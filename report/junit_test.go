package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tcpsandbox/compare"
	"tcpsandbox/findings"
)

// junitForm is what Jenkins' schema allows of what is written: of each element
// its attributes, those that must be there first, and the elements in it in
// their order.
var junitForm = map[string]struct{ must, may, in []string }{
	"":           {nil, nil, []string{"testsuites"}},
	"testsuites": {nil, []string{"name", "time", "tests", "failures", "disabled", "errors"}, []string{"testsuite"}},
	"testsuite": {[]string{"name", "tests"}, []string{"failures", "errors", "skipped", "time", "timestamp", "disabled", "hostname", "id", "package"},
		[]string{"properties", "testcase", "system-out", "system-err"}},
	"properties": {nil, nil, []string{"property"}},
	"property":   {[]string{"name", "value"}, nil, nil},
	"testcase":   {[]string{"name"}, []string{"classname", "time", "assertions", "status"}, []string{"skipped", "error", "failure", "system-out", "system-err"}},
	"skipped":    {nil, []string{"message"}, nil},
	"error":      {nil, []string{"type", "message"}, nil},
	"failure":    {nil, []string{"type", "message"}, nil},
}

// valid reports what is wrong with a file by junitForm.
func valid(t *testing.T, data []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(data))
	path, at := []string{""}, []int{0}
	for {
		token, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		switch x := token.(type) {
		case xml.StartElement:
			parent, name := junitForm[path[len(path)-1]], x.Name.Local
			i := slices.Index(parent.in, name)
			if i < at[len(at)-1] {
				t.Errorf("<%s> in <%s>, or not in its place", name, path[len(path)-1])
			}
			at[len(at)-1] = i
			path, at = append(path, name), append(at, 0)
			form := junitForm[name]
			var have []string
			for _, a := range x.Attr {
				have = append(have, a.Name.Local)
				if !slices.Contains(form.must, a.Name.Local) && !slices.Contains(form.may, a.Name.Local) {
					t.Errorf("<%s %s>", name, a.Name.Local)
				}
				if _, err := strconv.ParseFloat(a.Value, 64); a.Name.Local == "time" && err != nil {
					t.Error(err)
				}
			}
			for _, want := range form.must {
				if !slices.Contains(have, want) {
					t.Errorf("<%s> has no %s", name, want)
				}
			}
		case xml.EndElement:
			path, at = path[:len(path)-1], at[:len(at)-1]
		}
	}
}

func junit(t *testing.T, r *Result) (text string, suite junitSuite) {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteJUnit(&b); err != nil {
		t.Fatal(err)
	}
	valid(t, b.Bytes())
	var suites junitSuites
	if err := xml.Unmarshal(b.Bytes(), &suites); err != nil {
		t.Fatal(err)
	}
	return b.String(), suites.Suite
}

func TestJUnitGolden(t *testing.T) {
	for name, r := range map[string]*Result{"eventful": eventful(), "quiet": quiet()} {
		text, _ := junit(t, r)
		golden(t, name+".xml", []byte(text))
	}
}

// Each case is said once, and counted as what it is.
func TestJUnitCases(t *testing.T) {
	route := func(name string, v findings.Verdicts) findings.Route { return findings.Route{Name: name, Verdicts: v} }
	r := quiet()
	summary := &findings.Summary{Routes: []findings.Route{
		route("GET /fine", findings.Verdicts{compare.Identical: 2, compare.Uncompared: 1}),
		route("GET /wrong", findings.Verdicts{compare.Identical: 2, compare.Different: 3, compare.Missing: 1}),
		route("GET /unknown", findings.Verdicts{compare.Uncompared: 5}),
	}, Groups: []findings.Group{
		{Route: "GET /wrong", Answers: 3, Places: []compare.Place{{Kind: compare.InStatus}}},
		{Route: "GET /wrong", Answers: 1, Missing: true},
		{Route: "GET /rare", Answers: 2, Places: []compare.Place{{Kind: compare.InStatus}}}, // not among the routes
	}}
	r.SetFindings(summary)
	r.Ended, r.App.Signal = EndedAppExited, "SIGSEGV"
	r.ClientBytes.Shed = 3
	r.Failed = []string{"too many differ", "too slow"}
	r.Defects = []string{"the bins hold more"}
	_, suite := junit(t, r)
	var got []string
	for _, c := range suite.Cases {
		what := "passed"
		switch {
		case c.Error != nil:
			what = "error " + c.Error.Message
		case c.Failure != nil:
			what = "failure " + c.Failure.Message
		case c.Skipped != nil:
			what = "skipped " + c.Skipped.Message
		}
		got = append(got, c.Name+": "+what)
		if c.Class != "tcpsandbox" {
			t.Errorf("%s is of class %q", c.Name, c.Class)
		}
	}
	want := []string{
		"application: error do not trust this result: it contradicts itself, which is a defect of tcpsandbox",
		"result: error the result contradicts itself, which is a defect of tcpsandbox",
		"delivery: failure lost: 3 client bytes (3 shed)",
		"thresholds: failure too many differ",
		"GET /fine: passed",
		"GET /wrong: failure 4 of 6 answers differ",
		"GET /unknown: skipped none of 5 answers could be compared",
		"GET /rare: failure 2 answers differ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if suite.Tests != 8 || suite.Errors != 2 || suite.Failures != 4 || suite.Skipped != 1 {
		t.Errorf("%d tests, %d errors, %d failures, %d skipped", suite.Tests, suite.Errors, suite.Failures, suite.Skipped)
	}
}

// A run that did not come to a result does not pass.
func TestJUnitFailedRun(t *testing.T) {
	for _, tt := range []struct {
		ended string
		code  int
		want  string // the case with the error
	}{
		{EndedNoBaseline, 4, "baseline"},
		{EndedNoListener, 4, "application"},
		{EndedAppExited, 4, "application"},
		{EndedSignal, 130, "result"}, // before there was anything
		{EndedCapture, 3, "result"},
		{EndedCapture, 0, ""},
	} {
		r := quiet()
		r.Ended, r.ExitCode, r.Baseline = tt.ended, tt.code, &Baseline{}
		_, suite := junit(t, r)
		var got []string
		for _, c := range suite.Cases {
			if c.Error != nil {
				got = append(got, c.Name)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s, exit code %d: errors in %q, want %q", tt.ended, tt.code, got, tt.want)
		}
	}
}

// What a network says stays text, and what XML forbids is written otherwise.
func TestJUnitHostile(t *testing.T) {
	r := hostile()
	r.Tool, r.App.Command = "a\x00b\x1f\r\ufffe\uffff", "]]><failure/>"
	r.Failed = []string{"\x1b[31m", "\x08"}
	text, suite := junit(t, r)
	for _, c := range text {
		if c < ' ' && c != '\n' && c != '\t' || c == '\ufffe' || c == '\ufffd' {
			t.Fatalf("%q is in the file", c)
		}
	}
	if got := suite.Properties[0].Value; got != `a\x00b\x1f\x0d\xfffe\xffff` {
		t.Errorf("%q", got)
	}
	if route := suite.Cases[4].Name; route != r.Routes[0].Route {
		t.Errorf("%q, want %q", route, r.Routes[0].Route)
	}
}

type brokenWriter struct{ left int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, fmt.Errorf("no space")
	}
	return len(p), nil
}

// An error of the file's is an error, wherever it comes.
func TestWriteErrors(t *testing.T) {
	for ending, write := range writers {
		var whole bytes.Buffer
		if err := write(quiet(), &whole); err != nil {
			t.Fatal(err)
		}
		for _, room := range []int{0, 10, whole.Len() / 2, whole.Len() - 1} {
			if err := write(quiet(), &brokenWriter{room}); err == nil {
				t.Errorf("%s: no error with room for %d of %d bytes", ending, room, whole.Len())
			}
		}
	}
}
