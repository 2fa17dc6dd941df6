package compare

import "testing"

func TestClose(t *testing.T) {
	for _, tt := range []struct {
		production, application Ending
		want                    Verdict
		place                   string
	}{
		{ClosedFirst, ClosedFirst, Identical, ""},
		{ClosedFirst, ClosedAfter, Different, "close late"},
		{ClosedFirst, KeptOpen, Different, "close missing"},
		{ClosedFirst, EndReset, Different, "close reset"},
		{ClosedAfter, ClosedAfter, Identical, ""},
		{ClosedAfter, ClosedFirst, Different, "close early"},
		{ClosedAfter, KeptOpen, Different, "close missing"},
		{ClosedAfter, EndReset, Different, "close reset"},
		{KeptOpen, KeptOpen, Identical, ""},
		{KeptOpen, ClosedFirst, Different, "close early"},
		{KeptOpen, ClosedAfter, Uncompared, ""}, // production's end of it may not have been captured
		{KeptOpen, EndReset, Different, "close reset"},
		{EndReset, EndReset, Identical, ""},
		{EndReset, ClosedFirst, Different, "close not reset"},
		{EndReset, ClosedAfter, Different, "close not reset"},
		{EndReset, KeptOpen, Different, "close missing"},
		{EndUnknown, ClosedFirst, Uncompared, ""},
		{ClosedFirst, EndUnknown, Uncompared, ""},
	} {
		got := Close(tt.production, tt.application, nil)
		place := ""
		if d := got.First(); d != nil {
			place = d.Place.String()
			if string(d.Production) != tt.production.String() || string(d.Application) != tt.application.String() {
				t.Errorf("%v, %v: %q, %q", tt.production, tt.application, d.Production, d.Application)
			}
		}
		if got.Verdict != tt.want || place != tt.place {
			t.Errorf("production %v, application %v: %v %s, want %v %s", tt.production, tt.application, got.Verdict, place, tt.want, tt.place)
		}
	}
}
