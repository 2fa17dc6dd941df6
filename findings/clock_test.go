package findings

import (
	"fmt"
	"testing"
	"time"

	"tcpsandbox/compare"
)

// A second ends between production's answer and the application's, and between no
// two answers of production and the old version.
func TestClock(t *testing.T) {
	second := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	before := second.Add(-200 * time.Millisecond)
	const unix = `{"at":%d}`
	tests := []struct {
		name            string
		baseline        bool
		asked           time.Time // production; the application 300 ms later
		production, app string
		first           time.Duration
		noise           bool
	}{
		{"a second ended", true, before, fmt.Sprintf(unix, second.Unix()-1), fmt.Sprintf(unix, second.Unix()), time.Millisecond, true},
		{"and no old version", false, before, fmt.Sprintf(unix, second.Unix()-1), fmt.Sprintf(unix, second.Unix()), time.Millisecond, false},
		{"none ended", true, second.Add(100 * time.Millisecond), fmt.Sprintf(unix, second.Unix()), fmt.Sprintf(unix, second.Unix()+1), time.Millisecond, false},
		{"two", true, before, fmt.Sprintf(unix, second.Unix()-1), fmt.Sprintf(unix, second.Unix()+1), time.Millisecond, false},
		{"back", true, before, fmt.Sprintf(unix, second.Unix()), fmt.Sprintf(unix, second.Unix()-1), time.Millisecond, false},
		{"nobody knows when", true, before, fmt.Sprintf(unix, second.Unix()-1), fmt.Sprintf(unix, second.Unix()), 0, false},
		{"in an hour", true, before, `{"at":"2026-03-04T06:06:06Z"}`, `{"at":"2026-03-04T06:06:07Z"}`, time.Millisecond, true},
		{"milliseconds", true, before, `{"at":"2026-03-04T05:06:06.801Z"}`, `{"at":"2026-03-04T05:06:07.101Z"}`, time.Millisecond, true},
		{"decimals", true, before, `{"at":1772600766.801}`, `{"at":1772600767.101}`, time.Millisecond, true},
		{"decimals of old", true, before, `{"at":1772600766.801}`, `{"at":1772600766.102}`, time.Millisecond, false},
		{"a tick behind", true, second.Add(time.Millisecond), `{"at":"2026-03-04T05:06:06Z"}`, `{"at":"2026-03-04T05:06:07Z"}`, time.Millisecond, true},
		{"no time", true, before, `{"at":1}`, `{"at":2}`, time.Millisecond, false},
		{"one of two", true, before,
			`[{"at":"2026-03-04T05:06:06Z"},{"at":"2026-03-04T05:06:06Z"}]`, `[{"at":"2026-03-04T05:06:07Z"},{"at":"2026-03-04T05:06:08Z"}]`, time.Millisecond, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := New(Config{Baseline: tt.baseline})
			var told *compare.Difference
			for i := range 5 {
				ask := func(app string) *compare.Exchange {
					head := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
					x := exchange("GET /a HTTP/1.1", head+tt.production, head+app)
					x.HTTP, x.First = true, true
					x.ProductionAt, x.ProductionTimes = tt.asked, compare.Times{First: tt.first}
					x.At, x.ApplicationTimes = tt.asked.Add(300*time.Millisecond), compare.Times{First: tt.first}
					return x
				}
				app := tt.production
				if i == 3 {
					app = tt.app
				}
				if d := r.Judge(ask(app)).First; d != nil {
					told = d
				}
				if tt.baseline {
					r.Baseline(ask(tt.production))
				}
			}
			s := r.Summary()
			if got := s.Verdicts[compare.Different] == 0 && len(s.Groups) == 0; got != tt.noise {
				t.Errorf("noise %v: %d different, groups %+v; noise %+v", got, s.Verdicts[compare.Different], s.Groups, s.Noise)
			}
			if (told == nil) != tt.noise {
				t.Errorf("told during the run: %+v", told)
			}
			if s.Verdicts[compare.Different]+s.Verdicts[compare.Equivalent] != 1 {
				t.Errorf("verdicts %v", s.Verdicts)
			}
		})
	}
}
