package report

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestTextOfDeaths(t *testing.T) {
	const s = time.Second
	died := []Death{
		{At: Seconds(3 * s), ExitCode: 139, Listened: Seconds(3 * s)},
		{At: Seconds(4 * s), ExitCode: -1, Signal: "SIGKILL"},
	}
	many := append(died, make([]Death, 98)...)
	for _, tt := range []struct {
		name        string
		ended       string
		died, again int64
		deaths      []Death
		want, lacks []string
	}{
		{"alive", EndedCapture, 0, 0, nil, []string{"no session was captured"}, []string{"died"}},
		{"once, as ever", EndedAppExited, 1, 0, died[:1], []string{"exited with code 7"}, []string{"died"}},
		{"restarted", EndedCapture, 2, 2, died,
			[]string{"the application died 2 times in the middle of the run", "died 2 times, started again 2 times",
				"after 3.00 s  exit code 139, having listened for 3.00 s", "after 4.00 s  SIGKILL, before it listened"}, []string{"more"}},
		{"given up", EndedAppExited, 1000, 999, many, []string{"exited with code 7", "died 1,000 times", "and 995 more"}, nil},
	} {
		r := &Result{Ended: tt.ended, App: Tested{App: App{Command: "./app", ExitCode: 7}, Died: tt.died, Restarts: tt.again, Deaths: tt.deaths}}
		var b bytes.Buffer
		if err := r.Text(&b); err != nil {
			t.Fatal(err)
		}
		for _, want := range tt.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: no %q in\n%s", tt.name, want, &b)
			}
		}
		for _, lacks := range tt.lacks {
			if strings.Contains(b.String(), lacks) {
				t.Errorf("%s: %q in\n%s", tt.name, lacks, &b)
			}
		}
		if class, badge := tone(r); (class == "bad" && badge == "application failed") != (tt.died > 0) {
			t.Errorf("%s: the page says %s, %s", tt.name, class, badge)
		}
		if cases := r.junitRun(); (cases[0].Error != nil) != (tt.died > 0) {
			t.Errorf("%s: JUnit has %+v", tt.name, cases[0])
		}
	}
}
