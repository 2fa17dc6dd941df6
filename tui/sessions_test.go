package tui

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
	"tcpsandbox/session"
)

// checkView draws a table and checks that it has the size that was asked for.
func checkView(t *rapid.T, s *sessions, w, h int, now time.Time) {
	all := s.view(w, h, styles{}, true, now)
	if len(all) != max(h, 0) {
		t.Fatalf("%dx%d: %d lines", w, h, len(all))
	}
	cursors := 0
	for i, line := range all {
		if n := method.StringWidth(line); n != max(w, 0) {
			t.Fatalf("%dx%d: line %d has %d cells: %q", w, h, i, n, line)
		}
		if strings.ContainsFunc(line, unicode.IsControl) || !utf8.ValidString(line) {
			t.Fatalf("%dx%d: foreign bytes: %q", w, h, line)
		}
		if strings.HasPrefix(line, "▸") {
			cursors++
		}
	}
	if want := min(len(s.rows.shown), 1); w > 0 && h > 1 && cursors != want {
		t.Fatalf("%dx%d: %d rows have the cursor, want %d", w, h, cursors, want)
	}
}

// table has a session of each kind.
func table() *sessions {
	server := netip.MustParseAddrPort("203.0.113.10:80")
	views := []replay.View{
		{Client: netip.MustParseAddrPort("198.51.100.7:40112"), Application: replay.Ended, State: "finished", Production: replay.ProductionClosed, Requests: 3,
			Verdict: compare.Identical, Delivered: 234, Answered: 9_999, FirstProduction: 900 * time.Microsecond, FirstApplication: 1100 * time.Microsecond, Routes: []string{"GET /"}},
		{Client: netip.MustParseAddrPort("255.255.255.255:65535"), Application: replay.Failed, State: "closed-early", Production: replay.ProductionClosed, Requests: 12345,
			Verdict: compare.Missing, Delivered: 1_234_567, Answered: 10_000, Behind: 12345 * time.Millisecond, FirstProduction: 99 * time.Millisecond, Routes: []string{"POST /orders", "GET /cart"}},
		{Client: netip.MustParseAddrPort("[2001:db8:1234:5678:9abc:def0:1234:5678]:54321"), Application: replay.Held, Held: replay.ForAnswer, Due: epoch.Add(-75 * time.Second),
			Production: replay.ProductionOpen, Requests: 1, Verdict: compare.Uncompared, Behind: -1, Routes: []string{"GET /検索/ログ"}},
		{Client: netip.MustParseAddrPort("192.0.2.9:1024"), Application: replay.Ended, State: "finished", Production: replay.ProductionReset, Requests: 2,
			Verdict: compare.Equivalent, Answered: 12_345_678_901, FirstProduction: 2 * time.Second, FirstApplication: 3 * time.Hour, Routes: []string{"GET /\x1b[31mred\x9b"}},
		{Client: netip.MustParseAddrPort("192.0.2.9:1025"), Application: replay.Ended, State: "filtered", Production: replay.ProductionIdle, Verdict: compare.Uncompared},
		{Client: netip.MustParseAddrPort("192.0.2.9:1026"), Application: replay.Held, Held: replay.ForPort, Production: replay.ProductionClosing, Verdict: compare.Different, Requests: 7},
		{Client: netip.MustParseAddrPort("192.0.2.9:1026"), As: netip.MustParseAddrPort("10.9.9.9:1026"), Application: replay.Connecting, Verdict: compare.Uncompared},
		{Client: netip.MustParseAddrPort("192.0.2.10:53000"), Application: replay.Waiting, Held: replay.ForMessage, Verdict: compare.Uncompared, Proto: session.UDP},
		{Client: netip.MustParseAddrPort("192.0.2.11:53000"), Application: replay.Failed, State: "reset", Production: replay.ProductionCaptured, Verdict: compare.Different, Behind: 400 * time.Microsecond},
	}
	for i := range views {
		v := &views[i]
		v.Slot, v.ID, v.Server = i, uint64(99_990+2*i), server
		if i == 6 {
			v.ID, v.Copy = views[5].ID, 1
		}
		if !v.As.IsValid() {
			v.As = v.Client
		}
	}
	views[7].Server = netip.MustParseAddrPort("[2001:db8::35]:53")
	var s sessions
	s.apply(views, epoch)
	return &s
}

func TestTable(t *testing.T) {
	draw := func(s *sessions, w, h int) string {
		return strings.Join(s.view(w, h, styles{}, true, epoch), "\n") + "\n"
	}
	for _, size := range [][2]int{{80, 18}, {120, 30}, {200, 50}, {60, 12}, {40, 8}, {20, 4}} {
		name := fmt.Sprintf("table_%dx%d", size[0], size[1])
		t.Run(name, func(t *testing.T) { golden(t, name, draw(table(), size[0], size[1])) })
	}
	t.Run("sorted", func(t *testing.T) {
		s := table()
		s.rows.sort(verdictColumn, true)
		s.settle()
		golden(t, "table_sorted", draw(s, 80, 12))
	})
	t.Run("filtered", func(t *testing.T) {
		s := table()
		if err := s.filter("state:held -answer"); err != nil {
			t.Fatal(err)
		}
		golden(t, "table_filtered", draw(s, 80, 6))
		if err := s.filter("nothing has this"); err != nil {
			t.Fatal(err)
		}
		golden(t, "table_no_match", draw(s, 80, 6))
	})
	t.Run("none", func(t *testing.T) { golden(t, "table_none", draw(new(sessions), 80, 6)) })
}

// Colours add nothing to what is written, and take no room.
func TestTableColours(t *testing.T) {
	s := table()
	plain := s.view(120, 12, styles{}, true, epoch)
	for i, line := range s.view(120, 12, newStyles(true), true, epoch) {
		if got := ansi.Strip(line); got != plain[i] {
			t.Errorf("line %d: %q, without colours %q", i, got, plain[i])
		}
	}
}

func TestTableCursor(t *testing.T) {
	s := table()
	s.view(80, 5, styles{}, true, epoch) // four rows
	at := func(what string, slot, line int) {
		t.Helper()
		v, ok := s.selected()
		if !ok || v.Slot != slot {
			t.Errorf("%s: session %d is selected, want %d", what, v.Slot, slot)
		}
		for i, text := range s.view(80, 5, styles{}, true, epoch) {
			if strings.HasPrefix(text, "▸") != (i == line) {
				t.Errorf("%s: line %d is %q; the cursor should be on %d", what, i, text, line)
			}
		}
	}
	at("at first", 0, 1)
	s.move(2)
	at("down", 2, 3)
	s.page(1)
	at("a page", 5, 4)
	s.last()
	at("the last", 8, 4)
	s.move(1)
	at("no further", 8, 4)
	s.wheel(-3)
	at("the wheel takes it along", 5, 4)
	s.wheel(2)
	at("the wheel leaves it", 5, 2)
	if !s.click(4) {
		t.Error("a click on a row does nothing")
	}
	at("a click", 7, 4)
	if s.click(0) || s.click(5) || s.click(-1) {
		t.Error("a click beside the rows selects one")
	}
	s.reverse()
	at("in reverse it stays", 7, 2)
	s.home()
	at("the first", 8, 1)
	if !s.choose(100_000, 1) {
		t.Error("the copy is not found")
	}
	at("the copy", 6, 3)
	if err := s.filter("held"); err != nil {
		t.Fatal(err)
	}
	at("filtered out, the next one", 5, 1)
	if !s.choose(99_990, 0) || s.filterText() != "" {
		t.Errorf("a session that the filter %q hides cannot be chosen", s.filterText())
	}
	at("no filter any more", 0, 4)
	if s.choose(99_990, 1) {
		t.Error("a session is chosen that does not exist")
	}
	if err := s.filter("latency>x"); err == nil || s.filterText() != "" || len(s.rows.shown) != 9 {
		t.Errorf("a wrong filter: %v, %q, %d rows", err, s.filterText(), len(s.rows.shown))
	}

	s.toggleFollow()
	at("follows", 8, 1)
	s.apply([]replay.View{{Slot: 9, ID: 100_010, Verdict: compare.Uncompared}}, epoch)
	at("follows on", 9, 1)
	s.move(1)
	s.apply([]replay.View{{Slot: 10, ID: 100_012, Verdict: compare.Uncompared}}, epoch)
	at("moved, it follows no longer", 8, 2)
}

// Nothing of it may fail before there is a session, or a screen.
func TestTableWithoutSessions(t *testing.T) {
	var s sessions
	s.apply(nil, epoch)
	s.move(1)
	s.page(-1)
	s.home()
	s.last()
	s.wheel(3)
	s.sortBy(-1)
	s.reverse()
	s.toggleFollow()
	if _, ok := s.selected(); ok || s.click(1) || s.choose(1, 0) {
		t.Error("there is a session")
	}
	s.apply([]replay.View{{Slot: 5, ID: 6}}, epoch)
	if v, ok := s.selected(); !ok || v.ID != 6 {
		t.Errorf("the first session is not selected: %v", v.ID)
	}
}

// Only columns that can be seen are sorted by, each of them in turn.
func TestSortByGoesThroughWhatIsShown(t *testing.T) {
	s := table()
	s.view(80, 18, styles{}, true, epoch)
	var titles []string
	for range 8 {
		titles = append(titles, columns[s.rows.column].title+s.sign())
		s.sortBy(1)
	}
	if got, want := strings.Join(titles, " "), "#▲ client▲ port▲ application▲ req▼ verdict▼ behind▼ #▲"; got != want {
		t.Errorf("sorted by %s, want %s", got, want)
	}
	s.sortBy(-2)
	if got := columns[s.rows.column].title; got != "behind" {
		t.Errorf("back: %s", got)
	}
}

func TestCells(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 9999: "9999", 10_000: "10k", 999_999: "999k", 1_000_000: "1.0M", 9_960_000: "9.9M", 12_345_678: "12M", 1_500_000_000: "1.5G", 1 << 62: "4.6E"} {
		if got := countCell(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		-1: "", 0: "0", 999_999: "999µs", 9_999_999: "9.99ms", 12_345_678: "12.3ms", 999_999_999: "999ms", 1_234_567_890: "1.23s", 99 * time.Second: "99.0s",
		100 * time.Second: "1m40s", 99*time.Minute + 59*time.Second: "99m59s", 100 * time.Minute: "1h40m", 100 * time.Hour: "4d",
	} {
		if got := timeCell(d); got != want {
			t.Errorf("%d is %q, want %q", d, got, want)
		}
	}
}

// The order by behind goes on while nothing changes but the time.
func TestBehindGrows(t *testing.T) {
	var s sessions
	s.apply([]replay.View{
		{Slot: 0, ID: 1, Behind: 5 * time.Second},
		{Slot: 1, ID: 2, Application: replay.Held, Held: replay.ForAnswer, Due: epoch},
	}, epoch)
	s.rows.sort(behindColumn, true)
	if err := s.filter("behind>4s"); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(s.rows.shown); got != "[0]" {
		t.Errorf("at first: %s", got)
	}
	s.apply(nil, epoch.Add(6*time.Second))
	if got := fmt.Sprint(s.rows.shown); got != "[1 0]" {
		t.Errorf("six seconds later: %s", got)
	}
}
