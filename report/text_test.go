package report

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"tcpsandbox/compare"
	"tcpsandbox/findings"
)

func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		want string
		edit func(*Result)
	}{
		{"all answers match production's (1 compared)", func(r *Result) {}},
		{"all that was compared matches production's (1 answer), but not everything arrived", func(r *Result) { r.ClientBytes.Shed = 1 }},
		{"1 of 2 compared answers is not production's (1 different)", func(r *Result) { r.Answers.Count(compare.Different, 1) }},
		{"4 of 5 compared answers are not production's (1 different, 3 missing)", func(r *Result) { r.Answers.Count(compare.Different, 1); r.Answers.Count(compare.Missing, 3) }},
		{"no session was captured", func(r *Result) { r.Sessions = Sessions{}; r.Answers = Answers{} }},
		{"no answer could be compared with production's", func(r *Result) { r.Answers = Answers{Uncompared: 3} }},
		{"no answer could be compared with production's, and not everything arrived", func(r *Result) { r.Answers, r.ClientBytes.Shed = Answers{}, 1 }},
		{"the application never listened, nothing was replayed", func(r *Result) { r.Ended = EndedNoListener }},
		{"the application exited with code 3 in the middle of the run: 1 answer compared, all match production's", func(r *Result) { r.Ended, r.App.ExitCode = EndedAppExited, 3 }},
		{"the application was ended by SIGSEGV in the middle of the run: 1 of 2 compared answers is not production's (1 missing)", func(r *Result) {
			r.Ended, r.App.Signal = EndedAppExited, "SIGSEGV"
			r.Answers.Count(compare.Missing, 1)
		}},
	} {
		r := quiet()
		tt.edit(r)
		var b bytes.Buffer
		if err := r.Text(&b); err != nil {
			t.Fatal(err)
		}
		if got, _, _ := strings.Cut(b.String(), "\n"); got != tt.want {
			t.Errorf("%s\nwant %s", got, tt.want)
		}
	}
}

// However long what it shows is, a line stays within 100 columns.
func TestTextWidth(t *testing.T) {
	long := strings.Repeat("päth/", 100)
	place := compare.Place{Kind: compare.InJSON, Name: "$." + long}
	latency := findings.Sides{Production: findings.Latency{First: ms(1, 2, 3)}, Application: findings.Latency{First: ms(10, 20, 30)}}
	summary := &findings.Summary{Verdicts: findings.Verdicts{compare.Equivalent: 1, compare.Different: 1}}
	for range 20 {
		summary.Excused = append(summary.Excused, findings.Excused{Excuse: compare.Excuse{Place: place}, Answers: 1_000_000})
		summary.Noise = append(summary.Noise, findings.Noise{Route: "GET " + long, Place: place})
		summary.Routes = append(summary.Routes, findings.Route{Name: "GET " + long, Latency: latency})
		for _, d := range []compare.Difference{
			{Place: place, Production: []byte("1"), Application: []byte(long)},
			{Place: compare.Place{Kind: compare.InBytes, Name: "7-"}, Production: []byte(long), Application: []byte("1"), Offset: 7},
		} {
			summary.Groups = append(summary.Groups, findings.Group{Route: "GET " + long, Answers: 1_000_000, Places: []compare.Place{d.Place, place},
				Example: findings.Example{Client: "192.0.2.1:40000", Differences: []compare.Difference{d}}})
		}
	}
	r := quiet()
	r.SetFindings(summary)
	var b bytes.Buffer
	if err := r.Text(&b); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > textWidth {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if t.Failed() || strings.Count(b.String(), "\n") > 75 {
		t.Logf("%s", b.String())
		t.Fail()
	}
}
