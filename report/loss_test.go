package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"tcpsandbox/session"
)

// fared returns the detail of a session of which n bytes have a fate, and as
// many were delivered.
func fared(id uint64, f session.Fate, n int64) Detail {
	var l session.Ledger
	l[session.Delivered] = n
	l[f] += n
	return Detail{ID: id, Client: fmt.Sprintf("192.0.2.1:%d", 40000+id), Server: "198.51.100.1:80", State: "finished",
		Verdict: "identical", ClientBytes: Bytes(2*n, l, 0)}
}

// Every bin that is off is found, in the sum and in each session.
func TestCheck(t *testing.T) {
	fresh := func() *Result {
		r := &Result{}
		for id := range uint64(3) {
			r.AddDetail(fared(id, session.Pending, 100))
		}
		r.ClientBytes = ClientBytes{Captured: 600, Delivered: 300, Pending: 300, NotCaptured: 7}
		return r
	}
	if got := fresh().Check(); got != nil {
		t.Fatalf("%q", got)
	}
	for _, bin := range []struct {
		name string
		of   func(*ClientBytes) *int64
	}{
		{"captured", func(c *ClientBytes) *int64 { return &c.Captured }},
		{"delivered", func(c *ClientBytes) *int64 { return &c.Delivered }},
		{"pending", func(c *ClientBytes) *int64 { return &c.Pending }},
		{"gap", func(c *ClientBytes) *int64 { return &c.Gap }},
		{"before-join", func(c *ClientBytes) *int64 { return &c.BeforeJoin }},
		{"filtered", func(c *ClientBytes) *int64 { return &c.Filtered }},
		{"refused", func(c *ClientBytes) *int64 { return &c.Refused }},
		{"closed-early", func(c *ClientBytes) *int64 { return &c.ClosedEarly }},
		{"shed", func(c *ClientBytes) *int64 { return &c.Shed }},
		{"unsupported", func(c *ClientBytes) *int64 { return &c.Unsupported }},
	} {
		for _, off := range []int64{-1, 1} {
			r := fresh()
			*bin.of(&r.ClientBytes) += off
			if got := r.Check(); len(got) != 1 || !strings.HasPrefix(got[0], "in all: ") {
				t.Errorf("%s off by %d in all: %q", bin.name, off, got)
			}
			r = fresh()
			*bin.of(&r.Detail[1].ClientBytes) += off
			if got := r.Check(); len(got) != 1 || !strings.HasPrefix(got[0], "session 1: ") {
				t.Errorf("%s off by %d in a session: %q", bin.name, off, got)
			}
		}
	}
	r := fresh()
	r.ClientBytes.Shed, r.ClientBytes.Delivered = -10, 310
	if got := r.Check(); len(got) != 1 {
		t.Errorf("less than nothing is shed: %q", got)
	}
}

// A result with a defect says so first, and names it.
func TestDefectInText(t *testing.T) {
	r := quiet()
	r.ClientBytes.Gap = 3
	r.Defects = r.Check()
	var b bytes.Buffer
	if err := r.Text(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(b.String(), "do not trust this result") || !strings.Contains(b.String(), "\ndefects of tcpsandbox\n  in all: the bins hold 103 bytes, captured were 100\n") {
		t.Errorf("%s", b.String())
	}
}

// The text names the sessions that lost most, worst first, and counts all,
// however many there are and in whatever order they come.
func TestWorstSessions(t *testing.T) {
	r := quiet()
	for i := range uint64(500) {
		id := 1 + i*7%500 // each once
		r.AddDetail(fared(id, session.ClosedEarly, int64(id/2)))
		r.AddDetail(fared(1000+id, session.Filtered, 50))
	}
	if r.Sessions.Lossy != 499 { // of the first, nothing was captured
		t.Errorf("%d lossy", r.Sessions.Lossy)
	}
	var b bytes.Buffer
	if err := r.Text(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	want := "\nclient bytes were lost in 499 sessions, most in these\n" +
		"  session 500, 192.0.2.1:40500 to 198.51.100.1:80, finished: 250 of 500 bytes delivered\n" +
		"    250 closed-early: the application closed before they were sent\n" +
		"  session 498, "
	if !strings.Contains(text, want) || strings.Count(text, "\n  session ") != worstShown || !strings.Contains(text, "\n  and 489 more sessions\n") {
		t.Errorf("want %s\n%s", want, text)
	}
	for _, pair := range [][2]string{{"session 498,", "session 499,"}, {"session 492,", "session 493,"}} {
		if strings.Index(text, pair[0]) > strings.Index(text, pair[1]) {
			t.Errorf("%s comes after %s:\n%s", pair[0], pair[1], text)
		}
	}
}

// A session that lost something stays in the list, however many come after it.
func TestLossyDetailStays(t *testing.T) {
	r := &Result{}
	for id := range uint64(DetailLimit) {
		r.AddDetail(Detail{ID: id, State: "finished", Verdict: "identical"})
	}
	r.AddDetail(fared(1_000_000, session.InGap, 5))
	if w := r.written(); w.Detail[0].ID != 1_000_000 {
		t.Errorf("first is %d", w.Detail[0].ID)
	}
}

// What show cannot bin is a defect of its list, and the list says so.
func TestListingDefects(t *testing.T) {
	for _, f := range session.Fates() {
		var l session.Ledger
		l[f] = 5
		d, err := Outlook(5, l, 0)
		decided := f == session.Delivered || f == session.InGap || f == session.BeforeJoin || f == session.Unsupported
		if (err == nil) != decided {
			t.Errorf("%v: %v", f, err)
		}
		if sum := d.Deliverable + d.Gap + d.BeforeJoin + d.Unsupported; decided && sum != 5 {
			t.Errorf("%v: %+v", f, d)
		}
		if _, err := Outlook(6, l, 0); err == nil {
			t.Errorf("%v: 5 bytes of 6 are in the bins, and nobody notices", f)
		}
	}
	var l Listing
	_, err := Outlook(6, session.Ledger{}, 0)
	l.Add(ListedSession{ID: 4}, false, err)
	var b bytes.Buffer
	if err := l.Text(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "\ndefects of tcpsandbox\n  session 4: ledger holds 0 bytes, captured were 6\n") {
		t.Errorf("%s", b.String())
	}
}
