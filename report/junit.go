package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// junitClass is the classname of every testcase.
const junitClass = "tcpsandbox"

// The part of the JUnit form that Jenkins and GitLab read, as Jenkins' schema
// (junit-10.xsd of its xUnit plugin) has it.
type (
	junitSuites struct {
		XMLName xml.Name `xml:"testsuites"`
		Suite   junitSuite
	}
	junitSuite struct {
		XMLName    xml.Name        `xml:"testsuite"`
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Time    string        `xml:"time,attr"`
		Skipped *junitMessage `xml:"skipped"`
		Error   *junitMessage `xml:"error"`
		Failure *junitMessage `xml:"failure"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",cdata"`
	}
)

// WriteJUnit writes the result as JUnit XML, for CI systems: a testsuite in
// which each route is a testcase, after those of the run as a whole:
//
//   - "application": it listened, and lasted as long as the run; else an error
//   - "baseline", if there is one: it listened; else an error
//   - "result": there is one, which does not contradict itself; else an error
//   - "delivery": nothing was lost on the way; else a failure
//   - "thresholds": the exit code is not 1; else a failure with the reasons
//
// A route fails if any of its answers differs or is missing, whatever the
// thresholds allow, and is skipped if none could be compared. Its time is the
// median of the application's whole answers, in seconds. The error is w's.
func (r *Result) WriteJUnit(w io.Writer) error {
	t := r.written()
	suite := junitSuite{
		Name:      "tcpsandbox " + xmlText(t.Capture.Source),
		Time:      seconds(time.Duration(t.Duration)),
		Timestamp: t.Started.UTC().Format("2006-01-02T15:04:05"),
		Properties: []junitProperty{
			{"tool", xmlText(t.Tool)}, {"verdict", newText(t).verdict()}, {"command", xmlText(t.App.Command)}, {"exit_code", strconv.Itoa(t.ExitCode)},
		},
	}
	suite.Cases = append(t.junitRun(), t.junitRoutes()...)
	for i := range suite.Cases {
		c := &suite.Cases[i]
		c.Class = junitClass
		suite.Tests++
		switch {
		case c.Error != nil:
			suite.Errors++
		case c.Failure != nil:
			suite.Failures++
		case c.Skipped != nil:
			suite.Skipped++
		}
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(junitSuites{Suite: suite}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// junitRun are the testcases of the run as a whole.
func (r *Result) junitRun() []junitCase {
	zero := seconds(0)
	application := junitCase{Name: "application", Time: seconds(time.Duration(r.Duration))}
	if r.Ended == EndedNoListener || r.Ended == EndedAppExited || r.App.Died > 0 {
		application.Error = &junitMessage{Message: newText(r).verdict(), Type: r.Ended}
	}
	cases := []junitCase{application}
	told := application.Error != nil
	if r.Baseline != nil || r.Ended == EndedNoBaseline {
		baseline := junitCase{Name: "baseline", Time: zero}
		if r.Ended == EndedNoBaseline {
			baseline.Error = &junitMessage{Message: newText(r).verdict(), Type: r.Ended, Text: xmlText(strings.Join(r.Warnings, "\n"))}
			told = true
		}
		cases = append(cases, baseline)
	}
	sound := junitCase{Name: "result", Time: zero}
	switch {
	case len(r.Defects) > 0:
		sound.Error = &junitMessage{Message: "the result contradicts itself, which is a defect of tcpsandbox", Type: "defect", Text: xmlText(strings.Join(r.Defects, "\n"))}
	case r.ExitCode > 1 && !told: // a signal came too early, a source broke, a file could not be written
		sound.Error = &junitMessage{Message: fmt.Sprintf("the run failed: exit code %d", r.ExitCode), Type: "failed", Text: xmlText(strings.Join(r.Warnings, "\n"))}
	}
	delivery := junitCase{Name: "delivery", Time: zero}
	if words := r.LossWords(); words != "" {
		delivery.Failure = &junitMessage{Message: "lost: " + words, Type: "lost"}
	}
	thresholds := junitCase{Name: "thresholds", Time: zero}
	if len(r.Failed) > 0 {
		thresholds.Failure = &junitMessage{Message: xmlText(r.Failed[0]), Type: "threshold", Text: xmlText(strings.Join(r.Failed, "\n"))}
	}
	return append(cases, sound, delivery, thresholds)
}

// junitRoutes is a testcase for each route, and for groups of differences
// whose route is not among those that were counted.
func (r *Result) junitRoutes() (cases []junitCase) {
	groups := map[string][]*Group{}
	var order []string
	for i := range r.Differences {
		route := r.Differences[i].Request
		if groups[route] == nil {
			order = append(order, route)
		}
		groups[route] = append(groups[route], &r.Differences[i])
	}
	for i := range r.Routes {
		route := &r.Routes[i]
		c := junitCase{Name: xmlText(route.Route), Time: seconds(time.Duration(route.Latency.Whole.Application.P50))}
		a := &route.Answers
		switch differ := a.Different + a.Missing; {
		case differ > 0:
			c.Failure = junitFailure(differ, a.Compared, groups[route.Route])
		case a.Compared == 0:
			c.Skipped = &junitMessage{Message: fmt.Sprintf("none of %s could be compared", count(a.Uncompared, "answer"))}
		}
		delete(groups, route.Route)
		cases = append(cases, c)
	}
	for _, route := range order {
		var differ int64
		for _, g := range groups[route] {
			differ += g.Count
		}
		if differ > 0 {
			cases = append(cases, junitCase{Name: xmlText(route), Time: seconds(0), Failure: junitFailure(differ, 0, groups[route])})
		}
	}
	return cases
}

// junitFailure tells of a route's differences as the text does.
func junitFailure(differ, compared int64, groups []*Group) *junitMessage {
	differs := " differ"
	if differ == 1 {
		differs = " differs"
	}
	m := &junitMessage{Message: count(differ, "answer") + differs, Type: "different"}
	if compared > 0 {
		m.Message = number(differ) + " of " + count(compared, "answer") + differs
	}
	t := newText(&Result{})
	for _, g := range groups {
		t.group(g)
	}
	m.Text = "\n" + xmlText(t.b.String())
	return m
}

// seconds writes a time as JUnit has it.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 6, 64) }

// xmlText writes the characters that XML 1.0 §2.2 forbids as in a Go string;
// encoding/xml would lose them.
func xmlText(s string) string {
	if !strings.ContainsFunc(s, forbidden) {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		if forbidden(c) {
			fmt.Fprintf(&b, `\x%02x`, c)
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

func forbidden(c rune) bool {
	return c < ' ' && c != '\t' && c != '\n' || c == '\ufffe' || c == '\uffff' || c == '\r'
}
